"""Slices: the test items parted by what they are (tag, language, length, source, ...), each with its own paired comparison.

Many slices are many tries for chance, so what is called better or worse is corrected for their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from studio import faults, keepers, label_sets, labels, marks, masking, metrics, rivals, runs, snapshots, verdicts
from studio.grids import Grid
from studio.permissions import Given, needs
from studio.runs import Run
from studio.ui.formats import excerpt
from studio.verdicts import MIN_ITEMS, Comparison
from studio.workspace import Workspace

BY = {"tag": "Tag", "language": "Language", "length": "Length of the question", "source": "Import", "twins": "Twins",
      "marked": "Tag of people", "expected": "Expected label", "fault": "Fault marked in review"}
LENGTHS = (1, 11, 26, 51, 101, 201)
"""A slice by length begins at each of these numbers of words."""
MOST = 100
"""So many slices of a kind are compared, those with the most items."""
_TAGS = "select record_id, coalesce(nullif(trim(tags), ''), 'no tag') as name from record_now"
_SOURCES = """select n.record_id, coalesce(i.source_name, n.import_id) as name
              from record_now n left join imports i using (import_id)"""
_MARKED = "select distinct record_id, value as name from marks_now where kind = 'tag'"
Parts = Mapping[str, NDArray[np.int64]]
"""Places in a grid by the name of a slice; an item may be in several, or in none."""


@dataclass(frozen=True)
class Slice:
    """One part of the test items. `found` is None where they are too few to say anything."""

    name: str
    places: NDArray[np.int64]
    found: Comparison | None

    @property
    def items(self) -> int:
        return len(self.places)


@needs("read")
def ways(ws: Workspace, grid: Grid, run: Run | None = None) -> dict[str, str]:
    """By what the items can be parted here: key and title. A label set's field is `label:<set>:<field>`."""
    ways = {key: title for key, title in BY.items() if key != "expected" or grid.labels}
    if runs.latest_check(ws) is None:
        del ways["language"]
    if not run or not faults.of_evaluation(ws, run.run_id):
        del ways["fault"]
    for label_set in label_sets.every(ws):
        ways |= {f"label:{label_set.set_id}:{field.key}": f"{label_set.name}: {field.title}" for field in label_set.fields
                 if field.kind in ("choice", "multi")}
    return ways


def _veiled(ws: Workspace, found: Parts, given: Given) -> Parts:
    return part(ws, given["run"], given["grid"], given["by"], True) if given["by"] == "twins" else found


@needs("read", veil=_veiled)
def part(ws: Workspace, run: Run, grid: Grid, by: str, masked: bool = False) -> Parts:
    """The items parted one way, the largest slice first. `masked`: named as for somebody who may not read personal data."""
    if by.startswith("label:"):
        found = _labelled(ws, grid, *by.split(":")[1:])
    else:
        found = {"tag": lambda: _by_record(ws, grid, _TAGS), "source": lambda: _by_record(ws, grid, _SOURCES),
                 "marked": lambda: _by_record(ws, grid, _MARKED), "twins": lambda: _twins(ws, grid, masked),
                 "language": lambda: _grouped(grid, keepers.languages(ws, list(grid.items))),
                 "length": lambda: _lengths(ws, run, grid), "expected": lambda: _expected(grid),
                 "fault": lambda: _faulty(ws, run, grid)}[by]()
    return dict(sorted(found.items(), key=lambda one: (-len(one[1]), one[0])))


def cut(grid: Grid, parts: Parts, metric: str, rival: str, judged: str) -> list[Slice]:
    """Each slice's comparison, the surest losses first (by the best that the interval allows); too small ones last."""
    large = [(name, places) for name, places in parts.items() if len(places) >= MIN_ITEMS][:MOST]
    compared = []
    for name, places in large:
        among = np.zeros(len(grid.items), bool)
        among[places] = True
        if rivals.grid_has(grid, metric, rival, judged, among):
            compared.append((name, places, rivals.compare(grid, metric, rival, judged, among)))
    settled = verdicts.settle([found for _, _, found in compared])
    lower = metrics.of(metric).better == "lower"
    said = [Slice(name, places, found) for (name, places, _), found in zip(compared, settled, strict=True)]
    said.sort(key=lambda one: -one.found.difference.low if lower else one.found.difference.high)  # type: ignore[union-attr]
    there = {name for name, _, _ in compared}
    return said + [Slice(name, places, None) for name, places in parts.items() if name not in there]


def _twins(ws: Workspace, grid: Grid, masked: bool) -> Parts:
    """Groups of questions that are twins, with more than one test item; named by what the first of them asks."""
    parts = _by_record(ws, grid, "select record_id, group_id as name from duplicate_groups where side = 'question'")
    several = {group: places for group, places in parts.items() if len(places) > 1}
    asked = ws.rows("""select n.record_id, json_extract_string(v.messages, '$[*].content') as said,
                              json_extract_string(v.messages, '$[*].role') as roles
                       from record_now n join record_versions v on v.record_id = n.record_id and v.version = n.version
                       where n.record_id in (select unnest(?::varchar[]))""",
                    [[str(grid.items[places[0]]) for places in several.values()]])
    words = {row["record_id"]: next((text for text, role in zip(row["said"], row["roles"], strict=True) if role == "user"), "")
             for row in asked}
    if masked:
        masks = masking.of_records(ws, list(words))
        words = {record_id: masks[record_id].text(text) for record_id, text in words.items()}
    return {f"{excerpt(words.get(str(grid.items[places[0]]), ''), 60)} ({group[:6]})": places
            for group, places in several.items()}


def _expected(grid: Grid) -> Parts:
    return {label: np.flatnonzero(grid.expected == place) for place, label in enumerate(grid.labels)
            if (grid.expected == place).any()}


def _lengths(ws: Workspace, run: Run, grid: Grid) -> Parts:
    path = ws.path(snapshots.get(ws, run.snapshot_id).file("test"))
    found = ws.rows(
        r"""select id,
                   len(regexp_extract_all(list_filter(messages, lambda turn: turn.role = 'user')[-1].content, '\S+')) as words
            from read_json(?, format = 'newline_delimited',
                           columns = {id: 'varchar', messages: 'struct(role varchar, content varchar)[]'})""", [str(path)])
    names = [f"{low}–{high - 1} words" for low, high in pairwise(LENGTHS)] + [f"{LENGTHS[-1]} words or more"]
    return _grouped(grid, {row["id"]: names[max(0, sum((row["words"] or 0) >= low for low in LENGTHS) - 1)] for row in found})


def _labelled(ws: Workspace, grid: Grid, set_id: str, key: str) -> Parts:
    here = {str(item): place for place, item in enumerate(grid.items)}
    found: defaultdict[str, list[int]] = defaultdict(list)
    for record_id, answer in labels.final(ws, set_id).items():
        if record_id in here and answer.get(key):
            for value in answer[key] if isinstance(answer[key], list) else [answer[key]]:
                found[str(value)].append(here[record_id])
    return {name: np.array(places) for name, places in found.items()}


def _faulty(ws: Workspace, run: Run, grid: Grid) -> Parts:
    """Items by what reviewers marked in an answer to them; an item may be in several."""
    return {name: np.flatnonzero(grid.among(items)) for name, items in faults.of_evaluation(ws, run.run_id).items()}


def _by_record(ws: Workspace, grid: Grid, named: str) -> Parts:
    """Parts from a query of (record_id, name)."""
    rows = ws.columns(f"""select i.place, n.name from ({named}) n
                          join (select unnest($1::varchar[]) as record_id, unnest(range($2)) as place) i using (record_id)
                          order by n.name, i.place""", [list(grid.items), len(grid.items)])
    names, places = rows["name"], rows["place"]
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1), len(names)] if len(names) else []
    return {str(names[low]): places[low:high] for low, high in pairwise(starts)}


def _grouped(grid: Grid, names: Mapping[str, str]) -> Parts:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(grid.items):
        if item in names:
            found[names[item]].append(place)
    return {name: np.array(places) for name, places in found.items()}


def tag_for(by: str, name: str) -> str:
    """The tag that marks a slice's records: short enough to be one."""
    return excerpt(f"evaluated: {by.split(':')[0]} {name}", 60)


@needs("curate")
def tag_items(ws: Workspace, grid: Grid, places: Sequence[int], tag: str, who: str, press_id: str) -> int:
    """Put a tag on the records of a slice, as one act that can be undone; returns how many."""
    ids = [str(grid.items[place]) for place in places]
    here = {row["record_id"] for row in ws.rows("""select record_id from record_now
                                                   where record_id in (select unnest(?::varchar[]))""", [ids])}
    return marks.put_many(ws, [record_id for record_id in ids if record_id in here], "tag", tag, who, press_id)
