"""The same few questions, answered at every validation, so that a person sees the model learn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from pipeline import template
from pipeline.examples import Example
from pipeline.generation.local import end_tokens
from pipeline.training import quantised

MOST_TOKENS = 64
MOST_CHARACTERS = 2_000


def choose(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """`count` examples with short questions, by a hash of seed and id: the same ones at every validation and after a resume."""
    short = [example for example in examples
             if sum(len(turn.get("content") or "") for turn in example.question) <= MOST_CHARACTERS]
    return sorted(short, key=lambda example: hashlib.sha256(f"{seed}/{example.id}".encode()).digest())[:count]


def answers(model: Any, tokenizer: Any, examples: Sequence[Example]) -> list[str]:
    """One greedy answer each, of at most 64 tokens, all in one batch."""
    prompts = [template.prompt_ids(tokenizer, example.question, example.tools) for example in examples]
    longest, pad, where = max(map(len, prompts)), tokenizer.pad_token_id, model.device
    ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts], device=where)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=where)
    ends = end_tokens(tokenizer, model)
    with quantised.evaluating(model):
        made = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=MOST_TOKENS, do_sample=False, pad_token_id=pad,
                              eos_token_id=ends, use_cache=True, temperature=None, top_p=None, top_k=None)
    return [_text(tokenizer, row[longest:].tolist(), ends) for row in made]


def _text(tokenizer: Any, tokens: list[int], ends: list[int]) -> str:
    end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return str(tokenizer.decode(tokens[:end], skip_special_tokens=True)).strip()
