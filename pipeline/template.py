"""Chat template and loss mask: which tokens a conversation becomes, and which of them are learned.

Learned are the agent's turns with the token that ends each (so that the model learns to stop), and nothing else. An
assistant turn with `"weight": 0` (OpenAI's form) is read but not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    found = tokenizer(whole[: spans[-1][1]] if messages[-1].get("weight", 1) != 0 else whole, add_special_tokens=False,
                      return_offsets_mapping=True)
    learned = tuple(any(begin <= left and right <= end and right > left for begin, end in spans)
                    for left, right in found["offset_mapping"])
    return Encoded(example_id, tuple(found["input_ids"]), learned)


def prompt_ids(tokenizer: Any, messages: Sequence[Turn]) -> list[int]:
    """Tokens of a question, ready for the model to answer."""
    text = _text(tokenizer, _plain(messages), answer_next=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _plain(messages: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in messages]


def _text(tokenizer: Any, messages: Sequence[dict[str, str]], answer_next: bool = False) -> str:
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=answer_next))


def _span(tokenizer: Any, messages: list[dict[str, str]], place: int, whole: str) -> tuple[int, int]:
    """Where the answer at `place` begins and ends in the text, its end-of-turn token included, white space after it not."""
    begin_text = _text(tokenizer, messages[:place], answer_next=True)
    end_text = _text(tokenizer, messages[: place + 1])
    if not whole.startswith(begin_text) or not whole.startswith(end_text):
        raise PipelineError(_BROKEN, "Choose a base model with a plain chat template.")
    return len(begin_text), len(end_text.rstrip())
