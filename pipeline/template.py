"""Chat template and loss mask: which tokens a conversation becomes, and which of them are learned.

Learned are the agent's turns with the token that ends each (so that the model learns to stop), and nothing else. An
assistant turn with `"weight": 0` (OpenAI's form) is read but not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeline.errors import PipelineError
from pipeline.examples import Turn

_BROKEN = ("This model's chat template rewrites earlier turns when later ones are added, so what is learned cannot be told "
           "from what is only read.")


@dataclass(frozen=True)
class Encoded:
    """`ids[i]` is learned where `learned[i]` is True; both have one entry a token."""

    id: str
    ids: tuple[int, ...]
    learned: tuple[bool, ...]


def encode(tokenizer: Any, example_id: str, messages: Sequence[Turn]) -> Encoded:
    """Tokens and mask of a whole conversation, up to the end-of-turn token of its last answer; never cut.

    Raises PipelineError when the template is not incremental: the text of the first k turns must begin the whole text.
    """
    plain = _plain(messages)
    whole = _text(tokenizer, plain)
    spans = [_span(tokenizer, plain, place, whole) for place, turn in enumerate(messages)
             if turn["role"] == "assistant" and turn.get("weight", 1) != 0]
    if not spans:
        raise PipelineError("An example has no answer to learn from (every assistant turn has weight 0).")
    ids, learned = _tokens(tokenizer, whole[: spans[-1][1]] if messages[-1].get("weight", 1) != 0 else whole, spans)
    return Encoded(example_id, tuple(ids), tuple(learned))


def prompt_ids(tokenizer: Any, messages: Sequence[Turn]) -> list[int]:
    """Tokens of a question, ready for the model to answer."""
    text = _text(tokenizer, _plain(messages), answer_next=True)
    return _ids(tokenizer, text)


def _tokens(tokenizer: Any, text: str, spans: list[tuple[int, int]]) -> tuple[list[int], list[bool]]:
    """Tokens of the text and which of them are learned.

    The tokens of a question must be just those that the model is given when it answers. Mostly they begin the tokens of the
    whole text; where a token would reach over a border (an answer that begins with white space), the text is cut there.
    """
    ids = _ids(tokenizer, text)
    borders = [place for span in spans for place in span]
    before = [_ids(tokenizer, text[:place]) for place in borders]
    if all(ids[: len(part)] == part for part in before):
        cuts = [len(part) for part in before]
        return ids, [sum(cut <= place for cut in cuts) % 2 == 1 for place in range(len(ids))]
    edges = [0, *borders, len(text)]
    parts = [_ids(tokenizer, text[left:right]) for left, right in pairwise(edges)]
    return ([token for part in parts for token in part],
            [number % 2 == 1 for number, part in enumerate(parts) for _ in part])


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _plain(messages: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in messages]


def _text(tokenizer: Any, messages: Sequence[dict[str, str]], answer_next: bool = False) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=answer_next))
    except TemplateError:
        raise PipelineError("This model's chat template refuses a conversation of the snapshot; some take no system turn, "
                            "others only turns that alternate.", "Choose a base model with a plain chat template.") from None


def _span(tokenizer: Any, messages: list[dict[str, str]], place: int, whole: str) -> tuple[int, int]:
    """Where the answer at `place` begins and ends in the text, its end-of-turn token included, white space after it not."""
    begin_text = _text(tokenizer, messages[:place], answer_next=True)
    end_text = _text(tokenizer, messages[: place + 1])
    if not whole.startswith(begin_text) or not whole.startswith(end_text):
        raise PipelineError(_BROKEN, "Choose a base model with a plain chat template.")
    return len(begin_text), len(end_text.rstrip())
