"""What leaves a revealed session as a file: verdicts with marks (CSV, JSONL), and preference pairs for DPO.

Preference lines have the form that OpenAI's preference fine-tuning reads (`input`, `preferred_output`, `non_preferred_output`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio import review_stats, reviews
from studio.exports import csv_text
from studio.opinions import FAULTS, Judged
from studio.permissions import needs
from studio.review_texts import Texts
from studio.workspace import Row, Workspace

OF_THE_TEST = ("These questions are test items. A model that is trained on them cannot be tested on this set any more: what "
               "it scores there is shown with and without them.")


@dataclass(frozen=True)
class Preferences:
    """Lines for preference tuning, and what was left out of them, by reason."""

    lines: tuple[Row, ...]
    left_out: Mapping[str, int]

    @property
    def text(self) -> str:
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self.lines)


@needs("export", looks=True)
def rows(ws: Workspace, session_id: str, names: Mapping[str, str]) -> list[Row]:
    """One row an opinion, with everything behind it. `names` are what candidates are called. Raises StudioError before the
    reveal."""
    judged = reviews.standing(ws, session_id)
    texts = reviews.texts(ws, session_id, [one.item_id for one in judged])
    return [_row(one, texts[one.item_id], names) for one in judged if one.item_id in texts]


@needs("export")
def take_out(ws: Workspace, session_id: str, text: str) -> str:
    """One of these files as it leaves: the audit trail notes it. Returns the text."""
    return text


def as_csv(found: Sequence[Row]) -> str:
    """A file that a spreadsheet opens: what is nested is written as JSON."""
    return csv_text([{key: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
                      for key, value in row.items()} for row in found])


def as_jsonl(found: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in found)


@needs("export", looks=True)
def preferences(ws: Workspace, session_id: str) -> Preferences:
    """One line a pair that its reviewers decided, the winner preferred; and one where somebody wrote a better answer, which is
    preferred to the answer that lost (to both, where both were bad)."""
    judged = [one for one in reviews.standing(ws, session_id) if one.blind and not one.again]
    texts = reviews.texts(ws, session_id, [one.item_id for one in judged])
    lines: list[Row] = []
    undecided = 0
    for pair_id, won in review_stats.by_pair(judged).items():
        one = next(one for one in judged if one.pair_id == pair_id)
        known = texts.get(one.item_id)
        if known is None:
            continue
        a, b = known.answers[one.a], known.answers[one.b]
        if won in ("a", "b"):
            lines.append(_preferred(known, a if won == "a" else b, b if won == "a" else a))
        else:
            undecided += 1
        for better in dict.fromkeys(other.better for other in judged if other.pair_id == pair_id and other.better):
            beaten = {"a": [b], "b": [a]}.get(won, [a, b])
            lines += [_preferred(known, better, text) for text in beaten if text.strip() != better.strip()]
    return Preferences(tuple(lines), {"ties and both bad": undecided} if undecided else {})


def _preferred(known: Texts, better: str, worse: str) -> Row:
    asked = [{"role": turn["role"], "content": turn["content"]} for turn in known.question]
    return {"input": {"messages": asked, "tools": [], "parallel_tool_calls": True},
            "preferred_output": [{"role": "assistant", "content": better}],
            "non_preferred_output": [{"role": "assistant", "content": worse}]}


def _row(one: Judged, known: Texts, names: Mapping[str, str]) -> Row:
    called = {"a": names.get(one.a, one.a), "b": names.get(one.b, one.b)}
    answers = {"a": known.answers[one.a], "b": known.answers[one.b]}
    marks = [{"answer": called[fault.side], "words": answers[fault.side][fault.start : fault.end], "start": fault.start,
              "end": fault.end, "fault": FAULTS[fault.kind], "note": fault.note} for fault in one.faults]
    return {"item": one.item_id, "question": known.question[-1]["content"], "answer a": answers["a"], "answer b": answers["b"],
            "a": called["a"], "b": called["b"], "verdict": called.get(one.winner, one.winner.replace("_", " ")),
            "a was": "left" if one.left_is_a else "right", "reviewer": one.who, "said at": one.said_at.isoformat(sep=" "),
            "scores a": dict(one.scores.get("a", {})), "scores b": dict(one.scores.get("b", {})), "marks": marks,
            "note": one.note, "better answer": one.better, "hidden repeat": one.again, "blind": one.blind}
