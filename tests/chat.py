"""Small tokenizers with the special tokens and the chat templates of real models, and masks written by hand.

The templates are those that the models ship with, read from the package trl (Apache-2.0, `trl/chat_templates`, there called
"original templates"; nothing of it is run): Llama 3 and 3.1 (Meta), Qwen 2.5, Qwen 3 and Qwen 3 2507 (Alibaba), Gemma (1 and 2
have the same) and Gemma 3 (Google), Phi 3 and 3.5 (Microsoft). It has none of Mistral: `MISTRAL` below is written for these
tests in the format of Mistral-Nemo-Instruct-2407; both gave the same masks for the conversations here (2026-11-24).
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from tests.conftest import lacking

SPECIAL = {
    "llama": ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
    "qwen": ("<|endoftext|>", "<|im_end|>", "<|im_start|>"),
    "gemma": ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    "phi": ("<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    "mistral": (
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "[AVAILABLE_TOOLS]",
        "[/AVAILABLE_TOOLS]",
        "[TOOL_CALLS]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
    ),
}
"""By family: the token that begins a text, the one that ends it (eos), and the others."""

MISTRAL = """{%- set turns = messages | rejectattr('role', 'equalto', 'system') | list -%}
{%- set asked = turns | selectattr('role', 'equalto', 'user') | list -%}
{{ bos_token }}
{%- for turn in turns %}
{%- if turn.role == 'user' %}
{%- if tools and turn == asked[-1] -%}
[AVAILABLE_TOOLS][{% for tool in tools %}{{ {'type': 'function', 'function': tool.function} | tojson }}
{{- ', ' if not loop.last else '' }}{% endfor %}][/AVAILABLE_TOOLS]
{%- endif -%}
[INST]{{ messages[0].content + '\\n\\n' if loop.last and messages[0].role == 'system' else '' }}{{ turn.content }}[/INST]
{%- elif turn.tool_calls -%}
[TOOL_CALLS][{% for call in turn.tool_calls %}{{ (call.function | tojson)[:-1] }}, "id": "{{ call.id }}"}
{{- ', ' if not loop.last else '' }}
{%- if call.id | length != 9 %}{{ raise_exception('Tool call ids have nine letters.') }}{% endif %}{% endfor %}]{{ eos_token }}
{%- elif turn.role == 'tool' -%}
[TOOL_RESULTS]{"content": {{ turn.content }}, "call_id": "{{ turn.tool_call_id }}"}[/TOOL_RESULTS]
{%- else -%}
{{ turn.content }}{{ eos_token }}
{%- endif %}
{%- endfor %}"""


def template(name: str) -> str:
    """A model's own chat template, by its name in trl's folder; ours for "mistral"."""
    if name == "mistral":
        return MISTRAL
    found = importlib.util.find_spec("trl")
    places = list(found.submodule_search_locations or []) if found else []
    path = Path(places[0]) / "chat_templates" / f"{name}.jinja" if places else None
    if path is None or not path.is_file():
        lacking(f"the chat template {name} (make setup-dev)")
        raise AssertionError
    return path.read_text(encoding="utf-8")


def tokenizer(family: str, chat_template: str) -> Any:
    """A byte-level tokenizer without merges: one token a byte, and one for each special token of the family."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_only.decoder = decoders.ByteLevel()
    begin, end, *others = SPECIAL[family]
    bytes_only.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL[family]])
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_only,
        bos_token=begin,
        eos_token=end,
        pad_token=begin,
        additional_special_tokens=others,
        chat_template=chat_template,
    )


def by_hand(made: Any, marked: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Tokens and mask of a text in which what is learned stands between « and »."""
    ids: list[int] = []
    learned: list[bool] = []
    for piece in re.findall(r"«[^»]*»|[^«]+", marked):
        found = made(piece.strip("«»"), add_special_tokens=False)["input_ids"]
        ids += found
        learned += [piece.startswith("«")] * len(found)
    return tuple(ids), tuple(learned)
