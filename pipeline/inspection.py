"""An inspection: do validation and test resemble train, and what is the data like that would be frozen?

Reads split files `{"id", "messages"}` and writes `matches.jsonl`: ids, kinds and similarities, no texts. A foreign file may
hold conversations, or questions with answers, under their common names; its lines go by their numbers.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.dedupe.leaks import Item, Match, find
from pipeline.dedupe.vectors import suited
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Turn
from pipeline.foreign import read_foreign, sides
from pipeline.measures import Measures
from pipeline.rundir import Child, write_atomic
from pipeline.specs import InspectSpec

MATCHES = "matches.jsonl"
FOREIGN = "foreign"
CHUNK = 1_000

def run(child: Child, spec: InspectSpec, workspace: Path) -> dict[str, Any]:
    """Match and measure, and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    began = time.monotonic()
    child.say("reading", sentence="Reading the lines")
    train = _items(workspace / spec.train_file)
    tested = {part.split: (_foreign if part.split == FOREIGN else _items)(workspace / part.file) for part in spec.tested}
    if not any(tested.values()):
        raise PipelineError("The file holds no question that could be looked for.",
                            "It needs lines with `messages`, or with a question under `question`, `prompt`, `instruction` or "
                            "`text`.")
    found = [(split, match) for split, items in tested.items() for match in _matches(child, spec, train, split, items)]
    write_atomic(child.folder / MATCHES, "".join(_line(split, match) for split, match in found))
    measured = None
    if spec.measure:
        files = [workspace / spec.train_file, *(workspace / part.file for part in spec.tested)]
        counted = len(train) + sum(map(len, tested.values()))
        measured = _measure(child, files, counted, workspace / spec.tokenizer if spec.tokenizer else None)
    kinds = Counter(match.kind for _, match in found)
    return {"lines": {"train": len(train)} | {split: len(items) for split, items in tested.items()},
            "leaking": len({(split, match.id) for split, match in found}), "kinds": dict(kinds), "near_floor": spec.near_floor,
            "meaning": spec.meaning.model_dump() if spec.meaning else None, "measures": measured,
            "seconds": time.monotonic() - began}


def done_words(data: dict[str, Any]) -> str:
    looked = sum(size for split, size in data["lines"].items() if split != "train")
    leaking = data["leaking"]
    if not leaking:
        return f"None of {looked:,} lines resembles one of the {data['lines']['train']:,} to train on."
    return (f"{leaking:,} of {looked:,} lines {'resembles' if leaking == 1 else 'resemble'} one of the "
            f"{data['lines']['train']:,} to train on.")


def _matches(child: Child, spec: InspectSpec, train: Sequence[Item], split: str, items: Sequence[Item]) -> list[Match]:
    def watch(done: int, total: int) -> None:
        child.say(f"matching {split}", done, total, sentence=f"Looking for lines of {split} that resemble train")
        _stop_if_asked(child)

    floor = spec.meaning_floor
    if spec.meaning and floor is None:
        floor = suited(spec.meaning).threshold
    return find(train, items, spec.near_floor, spec.meaning, watch, floor) if items else []


def _measure(child: Child, files: Sequence[Path], total: int, tokenizer: Path | None) -> dict[str, Any]:
    measures, done = Measures(total, tokenizer), 0
    for path in files:
        chunk: list[Sequence[Turn]] = []
        for _, messages in _lines(path):
            chunk.append(messages)
            if len(chunk) == CHUNK:
                measures.add(chunk)
                done, chunk = done + CHUNK, []
                child.say("measuring", done, total, "lines", "Measuring what the data is like")
                _stop_if_asked(child)
        measures.add(chunk)
        done += len(chunk)
    return measures.said()


def _stop_if_asked(child: Child) -> None:
    if child.stop_requested():
        raise Stopped("Stopped before the end, as asked; nothing is said of these lines.")


def _items(path: Path) -> list[Item]:
    return [_item(name, messages) for name, messages in _lines(path)]


def _item(name: str, messages: Sequence[Turn]) -> Item:
    return Item(name, *sides(messages))


def _lines(path: Path) -> Iterator[tuple[str, Sequence[Turn]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield row["id"], row["messages"]
    except FileNotFoundError:
        raise PipelineError(f"The file {path.name} is gone.", "Start the check again.") from None
    except (ValueError, KeyError, TypeError):
        raise PipelineError(f"{path.name} is not a file of conversations.",
                            "The files of a snapshot are not meant to be edited.") from None


def _foreign(path: Path) -> list[Item]:
    """The lines that hold a question, by their number from 1; others are passed over."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        raise PipelineError(f"The file {path.name} is gone.", "Choose it again.") from None
    found = [(number, read_foreign(line)) for number, line in enumerate(text.split("\n"), start=1)]
    return [Item(str(number), *both) for number, both in found if both and both[0].strip()]


def _line(split: str, match: Match) -> str:
    return json.dumps({"split": split, "item_id": match.id, "train_id": match.train_id, "kind": match.kind,
                       "similarity": round(match.similarity, 4),
                       "other_similarity": None if match.other_similarity is None else round(match.other_similarity, 4)}) + "\n"
