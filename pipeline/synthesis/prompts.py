"""What is asked of the model for one slot, and the example that its reply becomes. Light: the app shows prompts with it too.

A template has placeholders in braces (`names.PLACEHOLDERS`). Seeds and documents are put in between marks, with marks inside
them broken up, so that nothing in them can end its own part; `FRAME` says that they are material.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pipeline.examples import Example, Turn
from pipeline.judging import ALONE
from pipeline.specs import SynthesisSpec, Work
from pipeline.synthesis import names, templates
from pipeline.synthesis.plan import Slot

DEFAULT: dict[Work, str] = {
    "examples": templates.EXAMPLES, "paraphrases": templates.PARAPHRASES, "answers": templates.ANSWERS,
    "conversations": templates.CONVERSATIONS, "hard": templates.HARD,
}
MOST_AVOIDED, MOST_OPENING = 20, 120
"""How many openings a prompt holds, the newest ones, and how many characters of each."""

_MADE = {"scenario", "persona", "difficulty", "tone", "language", "examples", "documents", "avoid"}
_OF_SEED = _MADE - {"examples"} | {"question", "answer"}
_KNOWN: dict[Work, set[str]] = {"examples": _MADE, "conversations": _MADE, "hard": _MADE, "paraphrases": _OF_SEED,
                                "answers": _OF_SEED}
_NEEDED: dict[Work, tuple[str, ...]] = {"examples": ("scenario", "language"), "conversations": ("scenario", "language"),
                                        "hard": ("scenario", "language"), "paraphrases": ("question", "language"),
                                        "answers": ("question", "language")}
_PLACEHOLDER = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)\}(?!\})")
_MARK = re.compile(r"<(?=\s*/?\s*(?:example|document|question|answer|conversation)\b)", re.IGNORECASE)
_SPEAKERS = {"user": "customer", "assistant": "agent"}
_TEXTS = {"question": "the customer's message", "answer": "the agent's answer"}


def check(template: str, work: Work) -> list[str]:
    """What is wrong with a person's template, a sentence each: nothing in it, what is missing, what nobody knows."""
    if not template.strip():
        return ["The prompt is empty."]
    found = list(dict.fromkeys(_PLACEHOLDER.findall(template)))
    missing = [name for name in _NEEDED[work] if name not in found]
    said = [f"{{{name}}} is missing: {names.PLACEHOLDERS[name]}. Without it the model does not know what to write."
            for name in missing]
    return said + [_unknown(name, work) for name in found if name not in _KNOWN[work]]


def unread(spec: SynthesisSpec, seeds: int) -> list[str]:
    """What was set and would reach nobody because the template has no place for it, a sentence each."""
    found = set(_PLACEHOLDER.findall(_template(spec)))
    given = {name for name in ("persona", "difficulty", "tone") if any(getattr(cell, name) for cell in spec.cells)}
    given |= {"documents"} if spec.documents else set()
    given |= {"examples"} if seeds and spec.shots and spec.work not in names.ON_SEEDS else set()
    return [f"There is no {{{name}}} in the prompt, so the model does not read {names.PLACEHOLDERS[name]}."
            for name in names.PLACEHOLDERS if name in given - found]


def render(spec: SynthesisSpec, slot: Slot, seeds: Sequence[Example], avoid: Sequence[str] = ()) -> tuple[Turn, ...]:
    """The turns that are sent: `FRAME`, and the template filled in. `seeds` are all lines of seeds.jsonl; `avoid` are openings
    of what the cell has already, oldest first."""
    values = {name: getattr(slot.cell, name).strip() for name in ("scenario", "persona", "difficulty", "tone")}
    values["language"] = names.language(slot.cell.language)
    values["documents"] = "\n".join(_marked("document", text) for text in spec.documents if text.strip())
    values["avoid"] = "\n".join(f"- {opening(text)}" for text in avoid[-MOST_AVOIDED:] if text.strip())
    mine = [seeds[place] for place in slot.seeds]
    if spec.work in names.ON_SEEDS:
        values |= {"question": _marked("question", _asked(mine[0])), "answer": _marked("answer", mine[0].answer)}
    else:
        values["examples"] = "\n".join(_marked("example", _spoken(seed.messages)) for seed in mine)
    return ({"role": "system", "content": templates.FRAME}, {"role": "user", "content": _filled(_template(spec), values)})


def schema(work: Work) -> dict[str, Any]:
    """The JSON schema of the reply, in the form that OpenAI calls strict."""
    if work == "conversations":
        turn = _object({"role": {"type": "string", "enum": ["user", "assistant"]}, "content": {"type": "string"}})
        return _object({"turns": {"type": "array", "items": turn, "description": "what customer and agent say in turn"}})
    parts = {"paraphrases": ("question",), "answers": ("answer",)}.get(work, ("question", "answer"))
    return _object({name: {"type": "string", "description": _TEXTS[name]} for name in parts})


def messages(spec: SynthesisSpec, slot: Slot, reply: Mapping[str, Any], seeds: Sequence[Example]) -> list[Turn]:
    """The example that a reply (of this work's schema) becomes. A seed's own system turn is kept where the spec has none."""
    question, answer = str(reply.get("question", "")).strip(), str(reply.get("answer", "")).strip()
    if spec.work in names.ON_SEEDS:
        turns = [dict(turn) for turn in seeds[slot.seeds[0]].messages]
        if spec.work == "answers":
            turns[-1] = {"role": "assistant", "content": answer}
        else:
            turns[last_said(turns)]["content"] = question
        if not spec.system:
            return turns
        turns = [turn for turn in turns if turn["role"] != "system"]
    elif spec.work == "conversations":
        turns = [{"role": str(turn["role"]), "content": str(turn["content"]).strip()} for turn in reply.get("turns", [])]
    else:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [{"role": "system", "content": spec.system}, *turns] if spec.system else turns


def judged(spec: SynthesisSpec, messages: Sequence[Turn]) -> tuple[Turn, ...]:
    """What a judge is asked about a made example; `judging.read(reply, "absolute")` reads its reply."""
    rubric = spec.checks.rubric.strip() or names.RUBRIC
    parts = [_marked("conversation", _spoken(messages[:-1])), _marked("answer", str(messages[-1].get("content") or ""))]
    return ({"role": "system", "content": ALONE.format(rubric=rubric)}, {"role": "user", "content": "\n\n".join(parts)})


def opening(text: str) -> str:
    """The beginning of a text in one line, for `avoid`."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_OPENING else line[:MOST_OPENING].rsplit(" ", 1)[0] + " …"


def last_said(turns: Sequence[Turn]) -> int:
    """The place of the customer's last turn. Raises ValueError where there is none."""
    return max(place for place, turn in enumerate(turns) if turn["role"] == "user")


def _template(spec: SynthesisSpec) -> str:
    return spec.prompt if spec.prompt.strip() else DEFAULT[spec.work]


def _unknown(name: str, work: Work) -> str:
    if name in names.PLACEHOLDERS:
        return f"{{{name}}} has nothing to stand for in this kind of work ({names.WORKS[work].title.lower()})."
    near = get_close_matches(name.lower(), sorted(_KNOWN[work]), 1)
    hint = f"did you mean {{{near[0]}}}?" if near else "braces that are meant as they are need a blank inside."
    return f"{{{name}}} is no placeholder; {hint}"


def _filled(template: str, values: Mapping[str, str]) -> str:
    """`names.FILLING`, in one pass: braces in what is put in are left alone."""
    kept = []
    for paragraph in re.split(r"\n[ \t]*\n", template.strip()):
        if _is_empty(paragraph, values):
            continue
        lines = [line for line in paragraph.split("\n") if not _is_empty(line, values)]
        kept.append(_PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), "\n".join(lines)))
    return "\n\n".join(kept)


def _is_empty(part: str, values: Mapping[str, str]) -> bool:
    found = [name for name in _PLACEHOLDER.findall(part) if name in values]
    return bool(found) and not any(values[name] for name in found)


def _marked(mark: str, text: str) -> str:
    """Material between its marks; what looks like a mark inside is broken up. Nothing where there is no text."""
    return f"<{mark}>\n{_MARK.sub('‹', text.strip())}\n</{mark}>" if text.strip() else ""


def _asked(seed: Example) -> str:
    """A seed's question: one message as it is, several with who said them."""
    turns = [turn for turn in seed.question if turn["role"] != "system"]
    return str(turns[0].get("content") or "") if len(turns) == 1 else _spoken(turns)


def _spoken(turns: Sequence[Turn]) -> str:
    return "\n".join(f"{_SPEAKERS.get(turn['role'], turn['role'])}: {turn.get('content') or ''}" for turn in turns
                     if turn["role"] != "system")


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
