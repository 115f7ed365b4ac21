"""Chat template and loss mask: which tokens a conversation becomes, and which of them are learned.

Learned are the agent's turns, their tool calls included, with the token that ends each (so that the model learns to stop), and
nothing else: no question, no tool's result, no header, no empty "think" block. An assistant turn with `"weight": 0` (OpenAI's
form) is read but not learned.

**What stands before a learned answer is, to the token, the prompt that the model gets when it answers** (`prompt_ids`). Most
templates only ever add to a conversation, so one sequence holds all its answers. Some write earlier turns anew when later ones
come (Qwen 3 takes the "think" block out of them, Mistral moves the system turn and the tools to the last question): there each
answer becomes a sequence of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.errors import PipelineError
from pipeline.examples import Example, Turn

_PLAIN = "Choose a base model with a plain chat template."

_TODAY = ("{%- macro strftime_now(format) -%}{{ format | replace('%d', '26') | replace('%b', 'Jul') | replace('%B', 'July') "
          "| replace('%Y', '2024') | replace('%m', '07') }}{%- endmacro -%}")
"""Templates that write today's date write this one (Llama's own default): else a resumed run would go on with other tokens."""


@dataclass(frozen=True)
class Encoded:
    """`ids[i]` is learned where `learned[i]` is True; both have one entry a token."""

    id: str
    ids: tuple[int, ...]
    learned: tuple[bool, ...]


@dataclass(frozen=True)
class _Text:
    """One sequence before it is tokens; `spans` are (begin, end) of what is learned, in characters."""

    text: str
    spans: tuple[tuple[int, int], ...]


def encode(tokenizer: Any, example_id: str, messages: Sequence[Turn], tools: Sequence[dict[str, Any]] = ()) -> Encoded:
    """Tokens and mask of a whole conversation, up to the end-of-turn token of its last answer; never cut.

    Raises PipelineError when nothing in it is learned, when the template refuses it, and when it takes several sequences.
    """
    found = encode_all(tokenizer, [Example(example_id, tuple(messages), tuple(tools))])[0]
    if isinstance(found, PipelineError):
        raise found
    if len(found) > 1:
        raise PipelineError("This model's chat template rewrites earlier turns when later ones are added, so the answers of "
                            "one conversation cannot be learned together.", _PLAIN)
    return found[0]


def encode_all(tokenizer: Any, examples: Sequence[Example]) -> list[tuple[Encoded, ...] | PipelineError]:
    """For each conversation its sequences, mostly one, or why there is none. One call of the tokenizer for all of them."""
    laid = [_attempt(tokenizer, example) for example in examples]
    texts = [text for found in laid if not isinstance(found, PipelineError) for text in found]
    tokens = iter(_tokens(tokenizer, texts))
    return [found if isinstance(found, PipelineError) else tuple(Encoded(example.id, *next(tokens)) for _ in found)
            for example, found in zip(examples, laid, strict=True)]


def prompt_ids(tokenizer: Any, messages: Sequence[Turn], tools: Sequence[dict[str, Any]] = ()) -> list[int]:
    """Tokens of a question, ready for the model to answer."""
    return _ids(tokenizer, [_text(tokenizer, _plain(messages), tools, answer_next=True)])[0]


def written_out(tokenizer: Any) -> Any:
    """The chat template as another server must have it to write the same prompts: with the date that stands in ours, and with
    no thinking unless it is asked for. (Some models have several templates, by name.)"""
    own = tokenizer.chat_template
    return {name: _settled(text) for name, text in own.items()} if isinstance(own, dict) else _settled(own)


def _settled(text: str) -> str:
    thinks = "{%- set enable_thinking = enable_thinking | default(false) %}" if "enable_thinking" in text else ""
    return thinks + (_TODAY if "strftime_now" in text and _TODAY not in text else "") + text


def _attempt(tokenizer: Any, example: Example) -> list[_Text] | PipelineError:
    try:
        return _lay_out(tokenizer, example.messages, example.tools)
    except PipelineError as error:
        return error


def _lay_out(tokenizer: Any, messages: Sequence[Turn], tools: Sequence[dict[str, Any]]) -> list[_Text]:
    """The texts of a conversation and what is learned of them: one text, or one for each learned answer."""
    plain = _plain(messages)
    places = [place for place, turn in enumerate(messages) if turn["role"] == "assistant" and turn.get("weight", 1) != 0]
    if not places:
        raise PipelineError("An example has no answer to learn from (every assistant turn has weight 0).")
    if places[0] == 0:
        raise PipelineError("A conversation begins with an answer: nothing was asked before it.",
                            "Give that turn weight 0, or leave it out.")
    _check_tools(tokenizer, plain, tools)
    whole = _closed(tokenizer, plain, tools)
    pieces = [_piece(tokenizer, plain, place, tools, whole) for place in places]
    if all(whole.startswith(prompt + answer) for prompt, answer in pieces):
        spans = tuple((len(prompt), len(prompt) + len(answer)) for prompt, answer in pieces)
        return [_Text(whole[: spans[-1][1]] if places[-1] == len(messages) - 1 else whole, spans)]
    return [_Text(prompt + answer, ((len(prompt), len(prompt) + len(answer)),)) for prompt, answer in pieces]


def _piece(tokenizer: Any, plain: list[Turn], place: int, tools: Sequence[dict[str, Any]], whole: str) -> tuple[str, str]:
    """The prompt of the answer at `place`, and that answer with its end-of-turn token, without the white space after it."""
    prompt = _text(tokenizer, plain[:place], tools, answer_next=True)
    answered = whole if place == len(plain) - 1 else _closed(tokenizer, plain[: place + 1], tools)
    if answered.startswith(prompt):
        answer = answered[len(prompt) :]
    else:
        answer = _behind_rewritten(tokenizer, plain, place, tools, prompt, answered)
    if calls := plain[place].get("tool_calls"):
        _check_calls(calls, answer)
    return prompt, answer.rstrip()


def _behind_rewritten(tokenizer: Any, plain: list[Turn], place: int, tools: Sequence[dict[str, Any]], prompt: str,
                      answered: str) -> str:
    """The answer in a text that does not begin with its prompt: from where another answer would make it differ.

    Only believed when the end of the prompt, from the turn before on, stands right before it there too.
    """
    mark = "\u2042" if "\u2042" not in answered else "\u2051"
    other = _closed(tokenizer, [*plain[:place], {"role": "assistant", "content": mark}], tools)
    begin = next((at for at, (left, right) in enumerate(zip(answered, other, strict=False)) if left != right), -1)
    turn = str(plain[place - 1]["content"]).strip()
    behind = prompt[prompt.rfind(turn) :] if turn and turn in prompt else None
    if begin >= 0 and other[begin:].startswith(mark) and behind and answered[:begin].endswith(behind):
        return answered[begin:]
    raise PipelineError("This model's chat template writes a question in one way before its answer and in another with it "
                        "(it may take out what a model thinks), so what is learned cannot be told from what is read.", _PLAIN)


def _closed(tokenizer: Any, plain: list[Turn], tools: Sequence[dict[str, Any]]) -> str:
    """The text of whole turns. Phi-3 puts the end-of-text token behind the last one unless an answer is asked for: left out."""
    text = _text(tokenizer, plain, tools)
    end = tokenizer.eos_token
    if end and text.endswith(end) and not (asked := _text(tokenizer, plain, tools, answer_next=True)).startswith(text):
        return text.removesuffix(end) if asked.startswith(text.removesuffix(end)) else text
    return text


def _tokens(tokenizer: Any, texts: Sequence[_Text]) -> list[tuple[tuple[int, ...], tuple[bool, ...]]]:
    """Tokens of each text and which of them are learned.

    The tokens of a prompt must be just those that the model is given when it answers. Mostly they begin the tokens of the
    whole text; where a token would reach over a border (an answer that begins with white space), the text is cut there.
    """
    inner = [[place for span in one.spans for place in span if place < len(one.text)] for one in texts]
    asked = [piece for one, places in zip(texts, inner, strict=True)
             for piece in (one.text, *(one.text[:place] for place in places))]
    answers = iter(_ids(tokenizer, asked))
    found = []
    for one, places in zip(texts, inner, strict=True):
        ids, before = next(answers), [next(answers) for _ in places]
        if all(ids[: len(part)] == part for part in before):
            cuts = [0, *map(len, before), len(ids)]
        else:
            parts = _ids(tokenizer, [one.text[left:right] for left, right in pairwise([0, *places, len(one.text)])])
            ids, cuts = [token for part in parts for token in part], [0]
            for part in parts:
                cuts.append(cuts[-1] + len(part))
        learned: tuple[bool, ...] = ()
        for number, (left, right) in enumerate(pairwise(cuts)):
            learned += (number % 2 == 1,) * (right - left)
        found.append((tuple(ids), learned))
    return found


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    return list(tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)["input_ids"])


def _plain(messages: Sequence[Turn]) -> list[Turn]:
    """What a template may see of each turn; OpenAI writes the arguments of a call as JSON text, templates read an object."""
    return [{"role": turn["role"], "content": turn.get("content") or ""}
            | {key: turn[key] for key in ("name", "tool_call_id") if turn.get(key) and turn["role"] == "tool"}
            | ({"tool_calls": [_call(call) for call in turn["tool_calls"]]} if turn.get("tool_calls") else {})
            for turn in messages]


def _call(call: dict[str, Any]) -> dict[str, Any]:
    said = call["function"]["arguments"]
    with suppress(ValueError):  # not JSON: as it stands
        said = json.loads(said) if isinstance(said, str) else said
    return call | {"function": call["function"] | {"arguments": said}}


def _text(tokenizer: Any, plain: Sequence[Turn], tools: Sequence[dict[str, Any]], answer_next: bool = False) -> str:
    """The template's text. `enable_thinking` off: the prompt then holds the empty "think" block that Qwen 3 and others write
    before an answer, because tickets are answered without one."""
    try:
        return _rendered(tokenizer, plain, tools, answer_next)
    except PipelineError:
        raise
    except Exception as error:
        if not _is_refusal(error):
            raise
    raise PipelineError(_why_refused(tokenizer, plain, tools), "Choose another base model, or leave those turns out of the "
                        "snapshot.")


def _rendered(tokenizer: Any, plain: Sequence[Turn], tools: Sequence[dict[str, Any]], answer_next: bool = False) -> str:
    written = tokenizer.get_chat_template(tools=list(tools) or None)
    if "strftime_now" in written and _TODAY not in written:
        written = _TODAY + written
    return str(tokenizer.apply_chat_template(list(plain), tools=list(tools) or None, chat_template=written, tokenize=False,
                                             add_generation_prompt=answer_next, enable_thinking=False))


def _is_refusal(error: Exception) -> bool:
    """A template refuses by raising, or stumbles over a turn of a kind it does not know."""
    from jinja2 import TemplateError

    return isinstance(error, TemplateError | TypeError)


def _why_refused(tokenizer: Any, plain: Sequence[Turn], tools: Sequence[dict[str, Any]]) -> str:
    if tools or any("tool_calls" in turn or turn["role"] == "tool" for turn in plain):
        return "This model's chat template refuses a conversation's tool calls, or their form (some want ids of 9 letters)."
    if plain[0]["role"] == "system":
        try:
            _rendered(tokenizer, plain[1:], tools)
        except Exception as error:
            if not _is_refusal(error):
                raise
        else:
            return "This model's chat template takes no system turn."
    return "This model's chat template refuses a conversation of the snapshot: it takes only turns that alternate."


def _check_tools(tokenizer: Any, plain: list[Turn], tools: Sequence[dict[str, Any]]) -> None:
    """Raises PipelineError where a template drops tools or their results without a word."""
    if tools and _text(tokenizer, plain, tools) == _text(tokenizer, plain, ()):
        raise PipelineError("This model's chat template leaves the tools out without a word.", _PLAIN)
    for place, turn in enumerate(plain):
        if turn["role"] == "tool" and len(_closed(tokenizer, plain[: place + 1], tools)) <= len(
                _closed(tokenizer, plain[:place], tools)):
            raise PipelineError("This model's chat template leaves a tool's results out without a word.", _PLAIN)


def _check_calls(calls: list[dict[str, Any]], answer: str) -> None:
    if any(str(call["function"]["name"]) not in answer for call in calls):
        raise PipelineError("This model's chat template leaves an assistant's tool calls out without a word.", _PLAIN)
