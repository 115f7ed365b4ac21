"""A search for duplicates in steps that any worker can do, for sets that no machine holds; the same pairs as `engine`.

A step is a list of jobs that read what earlier steps kept and keep one folder each, so a run goes on after the last whole job.
Nobody holds all texts: a worker has one part, one shard, or one range of a band or of pairs; who leads has names and numbers.
What grows with the set is on the storage: 1.2 kB for a text of 60 words. Three things grow in one worker at a time (measured at
a million): a crowd, 280 bytes for each text that shares a value of a band; the copies of one text, 100 bytes each; and, where a
text is in more than 20 pairs, the forest, 240 bytes for each text that is in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedupe import every
from pipeline.dedupe.candidates import CAPS, fitting
from pipeline.dedupe.pairs import BEST, Pairs
from pipeline.dedupe.sharded import meeting, parts, sifting, telling
from pipeline.dedupe.sharded.parts import Search, part_name, shard_name
from pipeline.dedupe.sharded.shelf import Told
from pipeline.dedupe.sketches import BANDS
from pipeline.rundir import Child

Job = tuple[str, tuple[Any, ...]]
Step = Callable[..., Told]


class Do(Protocol):
    """Does `work(search, name, *rest)` for each of these, anywhere, and yields the answers in their order."""

    def __call__(self, work: Step, jobs: Sequence[tuple[Any, ...]]) -> Iterable[Told]: ...


class Steps:
    """The steps of one search, in order: `read`, `near`, `tell`. `full` counts the records that say something, once they are
    read."""

    def __init__(self, child: Child, search: Search, do: Do) -> None:
        self.child, self.search, self._do = child, search, do
        self._there = search.shelf.names()
        self.full = 0

    def read(self, records: int) -> list[int]:
        """Every part, then every shard. Returns the row of the file where each part begins, and how many there are."""
        rows, full = [0], 0
        for told in self._each(parts.read, [(part_name(part), (part,)) for part in range(self.search.parts)]):
            rows.append(rows[-1] + told["rows"])
            full += told["full"]
            self.child.say("reading", rows[-1], records, "records", "Reading the texts")
        shards = -(-full // self.search.sizes.texts)
        jobs: list[Job] = [(shard_name(shard), (shard, shards)) for shard in range(shards)]
        texts = [0]
        for told in self._said("gathering", "Putting texts together by what they say", parts.gather, jobs):
            texts.append(told["texts"])
            self.full += told["rows"]
        self.search = replace(self.search, offsets=tuple(accumulate(texts)))
        return rows

    def near(self) -> tuple[list[str], dict[str, Any]]:
        """Names of the pairs that are kept, in order, and what the run says of them."""
        self.child.say("pairing", sentence="Looking for texts that may be twins")
        if self.search.count <= every.MOST_TEXTS:
            told = next(self._each(sifting.few, [("few", ())]))
            if told["every"]:
                return ["few"], {"near_pairs": told["pairs"], "near_left_out": told["left_out"], "near_every": True,
                                 "crowded": 0, "uncompared": 0}
        met, said = self._met()
        edges = meeting.edges(self.search, met)
        ranges = pairwise(edges)
        jobs: list[Job] = [(f"found-{at:06}", (low, high, met)) for at, (low, high) in enumerate(ranges)]
        made = [told["pairs"] for told in self._said("comparing", "Comparing word by word", sifting.compare, jobs)]
        kept, left_out = self._kept([name for name, _ in jobs])
        return kept, {"near_pairs": sum(made) - left_out, "near_left_out": left_out, "near_every": False, **said}

    def keep(self, found: Pairs) -> list[str]:
        """Put pairs that were found otherwise beside the others."""
        each = self.search.sizes.pairs
        names = []
        for begin in range(0, len(found.left), each):
            names.append(f"meaning-{begin // each:06}")
            if names[-1] not in self._there:
                pairs = meeting.packed(found.left[begin : begin + each], found.right[begin : begin + each])
                self.search.shelf.keep(names[-1], {}, sifting.laid_out(pairs, found.similarity[begin : begin + each]))
        return names

    def tell(self, near: Sequence[str], meaning: Sequence[str], copies: Path, pairs: Path) -> None:
        """Write the two tables, each beside and renamed in."""
        search, found = self.search, [*near, *meaning]
        twins = [f"twins-{shard:06}" for shard in range(search.shards)]
        self._all("Looking up what has twins", telling.twins, [(name, (at, found)) for at, name in enumerate(twins)])
        if not search.both:
            jobs: list[Job] = [(f"others-{part:06}", (part, twins)) for part in range(search.parts)]
            self._all("Reading the other side", telling.others, jobs)
        records: list[Job] = [(f"copies-{at:06}", (at, name)) for at, name in enumerate(twins)]
        self._all("Writing down what was found", telling.copies, records)
        ends: list[Job] = [(f"ends-{name}", (kind, name)) for kind, some in (("near", near), ("meaning", meaning))
                           for name in some]
        self._all("Writing down what was found", telling.pairs, ends)
        self._table(copies, telling.COPIES, [name for name, _ in records])
        self._table(pairs, telling.PAIRS, [name for name, _ in ends])

    def _met(self) -> tuple[list[str], dict[str, Any]]:
        """What every range of every band yields. A band whose ranges took longer runs than suit the whole is made again where
        that changes something."""
        ranges = -(-self.search.count // self.search.sizes.band)
        own: list[Job] = [(f"met-{band:02}-{at:04}-0", (band, at, ranges, 0)) for band in range(BANDS) for at in range(ranges)]
        told = list(self._said("pairing", "Looking for texts that may be twins", meeting.meet, own))
        again: list[tuple[int, Job]] = []
        for first in range(0, len(own), ranges):
            of_band = told[first : first + ranges]
            cap = fitting([sum(counts) for counts in zip(*(one["by_cap"] for one in of_band), strict=True)], self.search.count)
            at = CAPS.index(cap)
            for place, one in enumerate(of_band, first):
                if one["by_cap"][at] != one["by_cap"][CAPS.index(one["cap"])]:
                    band, here, _, _ = own[place][1]
                    again.append((place, (f"met-{band:02}-{here:04}-{cap}", (band, here, ranges, cap))))
        for (place, job), one in zip(again, self._each(meeting.meet, [job for _, job in again]), strict=True):
            own[place], told[place] = job, one
        met = [name for name, _ in own]
        crowds = [name for name, one in zip(met, told, strict=True) if one["crowd"]]
        shards = range(self.search.shards) if crowds else ()
        counted = self._each(meeting.crowded, [(f"crowded-{shard:06}", (shard, crowds)) for shard in shards])
        return met, {"crowded": sum(one["crowded"] for one in counted), "uncompared": sum(one["left_out"] for one in told)}

    def _kept(self, found: list[str]) -> tuple[list[str], int]:
        """Of each text the best pairs and a forest, where a text has more than are kept; else all. And how many fell away."""
        tops: list[Job] = [(f"top-{shard:06}", (shard, found)) for shard in range(self.search.shards)]
        if max(told["most"] for told in self._said("sifting", "Keeping the best pairs", sifting.top, tops)) <= BEST:
            return found, 0
        forest, level = found, 0
        while len(forest) > 1 or not level:
            groups = [forest[at : at + sifting.AT_ONCE] for at in range(0, len(forest), sifting.AT_ONCE)]
            jobs: list[Job] = [(f"forest-{level:02}-{at:06}", (group,)) for at, group in enumerate(groups)]
            self._all("Keeping the best pairs", sifting.grow, jobs)
            forest, level = [name for name, _ in jobs], level + 1
        good = [*(name for name, _ in tops), *forest]
        kept: list[Job] = [(f"kept-{at:06}", (name, good)) for at, name in enumerate(found)]
        told = self._said("sifting", "Keeping the best pairs", sifting.sift, kept)
        return [name for name, _ in kept], sum(one["left_out"] for one in told)

    def _each(self, work: Step, jobs: Sequence[Job]) -> Iterator[Told]:
        """What each job told, in order; of those that an earlier attempt did, what they told then."""
        missing = [(self.search, name, *rest) for name, rest in jobs if name not in self._there]
        done = iter(self._do(work, missing))
        for name, _ in jobs:
            yield self.search.shelf.told(name) if name in self._there else next(done)

    def _said(self, phase: str, sentence: str, work: Step, jobs: Sequence[Job]) -> Iterator[Told]:
        for done, told in enumerate(self._each(work, jobs), 1):
            self.child.say(phase, done, len(jobs), "steps", sentence)
            yield told

    def _all(self, sentence: str, work: Step, jobs: Sequence[Job]) -> None:
        for _ in self._said("writing", sentence, work, jobs):
            pass

    def _table(self, path: Path, schema: pa.Schema, names: Sequence[str]) -> None:
        beside = path.with_name(f".{path.name}.tmp")
        with pq.ParquetWriter(beside, schema, compression="snappy") as file:
            for name in names:
                file.write_table(self.search.shelf.table(name, "table"))
        beside.replace(path)
