"""Which record goes into which part: groups that must stay together, placed by a hash of the seed and their content.

Pure. The same pieces, in whatever order, the same recipe and seed give the same parts.

**When shares are met.** Whole groups are placed, so a part can miss its number by less than a group: test holds at most what
was asked for, and no group outside it would still fit; the same for validation among what test left over; train takes the rest.
Split by time, test and validation hold what comes nearest to their number, off by at most half of one group. With `sizes`, no
part is larger than asked for.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from studio.errors import StudioError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
HELD_OUT: tuple[SplitName, ...] = ("test", "validation")
Stratify = Literal["none", "tag", "source"]


@dataclass(frozen=True)
class Recipe:
    """How records are split. `sizes` (train, validation, test lines) goes before the shares, where given.

    Records that ask the same always stay together; twin groups, tickets' threads and customers where they are asked for. Of
    all lines at most the share `synthetic_most` was written by a model, and all of these are in train: what a model wrote is
    no test of one. `stratify` gives each tag, or each import, its share of every part. `by_time` puts the newest groups into
    test, those before them into validation and everything older or undated into train; strata do not count then. """

    validation_share: float = 0.1
    test_share: float = 0.1
    seed: int = 1234
    only_kept: bool = False
    sizes: tuple[int, int, int] | None = None
    stratify: Stratify = "none"
    by_time: bool = False
    twins: bool = True
    threads: bool = True
    customers: bool = False
    synthetic_most: float = 1.0

    @property
    def written(self) -> dict[str, object]:
        """All of it, for a hash or a manifest; what came later and was not asked for is left out, so that hashes stay."""
        return {key: value for key, value in asdict(self).items() if key != "synthetic_most" or value < 1}


class Piece(NamedTuple):
    """One record in narrow columns. `mark` is the hash of its line; pieces that share a key stay together.

    A key begins with its kind and a colon, such as `thread:` or `twins:`. `pin` is the part it is tied to, "" for none.
    """

    record_id: str
    version: int
    mark: str
    keys: tuple[str, ...]
    stratum: str
    at: datetime | None
    pin: str = ""


class Group(NamedTuple):
    """Pieces that stay together. `rank` is the hash that puts groups in order; `at` the time of its newest piece; `pin` the
    part that one of them is tied to: train where they are tied to both, because what was learned from must not be tested
    on."""

    pieces: tuple[Piece, ...]
    rank: str
    stratum: str
    at: datetime | None
    pin: str = ""

    @property
    def size(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True)
class Division:
    """What a recipe makes of pieces. `wanted` is what each part was meant to hold; `left_over` pieces are in none.

    `held` counts groups of two and more; `largest` is the size of the largest; `undated` pieces have no time, nor has any
    piece of their group. `begins` is the earliest of the groups' times in validation and test, when split by time.
    """

    splits: dict[SplitName, tuple[Piece, ...]]
    wanted: dict[SplitName, int]
    left_over: int
    groups: int
    held: int
    largest: int
    undated: int
    begins: dict[SplitName, datetime]
    tied: dict[SplitName, int] = field(default_factory=dict)


def check(recipe: Recipe) -> None:
    """Raises StudioError when the recipe makes no sense."""
    if recipe.sizes is not None:
        if min(recipe.sizes) < 1:
            raise StudioError("Train, validation and test each need at least one record.")
        return
    if not 0 < recipe.validation_share < 1 or not 0 < recipe.test_share < 1:
        raise StudioError("Validation and test each need a share between 0 and 1.")
    if recipe.validation_share + recipe.test_share >= 0.9:
        raise StudioError("Validation and test together take more than nine tenths: nothing is left to learn from.",
                          "Lower one of the shares.")


def divide(pieces: Sequence[Piece], recipe: Recipe) -> Division:
    """Put every piece into its part. Raises StudioError when there is too little for the recipe."""
    check(recipe)
    found = grouped(pieces, recipe.seed)
    wanted = wanted_sizes(len(pieces), recipe)
    tied = {name: [group for group in found if group.pin == name] for name in SPLITS}
    room = {name: wanted[name] - sum(group.size for group in tied[name]) for name in SPLITS}
    _has_room(room, recipe)
    free = [group for group in found if not group.pin]
    placed = (_by_time if recipe.by_time else _by_hash)(free, {name: max(0, size) for name, size in room.items()}, recipe)
    since = {name: min((group.at for group in placed[name] if group.at), default=None) for name in HELD_OUT}
    for name in SPLITS:
        placed[name] = sorted(placed[name] + tied[name], key=lambda group: group.rank) if tied[name] else placed[name]
    splits = {name: tuple(piece for group in placed[name] for piece in group.pieces) for name in SPLITS}
    _enough(splits, wanted, recipe, len(pieces))
    sizes = [group.size for group in found]
    return Division(
        splits, wanted, len(pieces) - sum(map(len, splits.values())), len(found), sum(size > 1 for size in sizes),
        max(sizes, default=0), sum(group.size for group in found if group.at is None),
        {name: at for name, at in since.items() if at} if recipe.by_time else {},
        {name: sum(group.size for group in tied[name]) for name in SPLITS if tied[name]})


def grouped(pieces: Sequence[Piece], seed: int) -> list[Group]:
    """Groups in the order of their rank: pieces that share a key, directly or through others, are one group."""
    roots = _roots(pieces)
    members: dict[int, list[Piece]] = {}
    for piece, root in zip(pieces, roots, strict=True):
        members.setdefault(root, []).append(piece)
    return sorted((_group(part, seed) for part in members.values()), key=lambda group: group.rank)


def wanted_sizes(n: int, recipe: Recipe) -> dict[SplitName, int]:
    if recipe.sizes:
        return dict(zip(SPLITS, recipe.sizes, strict=True))
    test, validation = max(1, round(n * recipe.test_share)), max(1, round(n * recipe.validation_share))
    return {"train": n - test - validation, "validation": validation, "test": test}


def _roots(pieces: Sequence[Piece]) -> list[int]:
    """For every piece the place of the piece that stands for its group (union-find with path halving)."""
    parent = list(range(len(pieces)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    first: dict[str, int] = {}
    for place, piece in enumerate(pieces):
        for key in piece.keys:
            other = first.setdefault(key, place)
            if other != place:
                parent[root(place)] = root(other)
    return [root(place) for place in range(len(pieces))]


def _group(pieces: list[Piece], seed: int) -> Group:
    if len(pieces) == 1:
        only = pieces[0]
        return Group((only,), _hash(seed, only.mark), only.stratum, only.at, only.pin)
    pieces.sort(key=lambda piece: (piece.record_id, piece.mark))
    strata = Counter(piece.stratum for piece in pieces)
    stratum = min(strata, key=lambda name: (-strata[name], name))
    times = [piece.at for piece in pieces if piece.at]
    marks = "".join(sorted(piece.mark for piece in pieces))
    pins = {piece.pin for piece in pieces}
    pin = "train" if "train" in pins else "test" if "test" in pins else ""
    return Group(tuple(pieces), _hash(seed, marks), stratum, max(times, default=None), pin)


def _has_room(room: dict[SplitName, int], recipe: Recipe) -> None:
    """Raises StudioError where more records are tied to a part of a set size than it may hold."""
    full = next((name for name in SPLITS if recipe.sizes and room[name] < 0), None)
    if full:
        raise StudioError(f"{-room[full]:,} more records are tied to {full} than it is to hold.",
                          f"Ask for at least that many more in {full}.")


def _hash(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}:{text}".encode()).hexdigest()


def _by_hash(groups: list[Group], wanted: dict[SplitName, int], recipe: Recipe) -> dict[SplitName, list[Group]]:
    plain = recipe.stratify == "none"
    test, rest = _take(groups, wanted["test"], recipe.seed, plain)
    validation, rest = _take(rest, wanted["validation"], recipe.seed, plain)
    train = _take(rest, wanted["train"], recipe.seed, plain)[0] if recipe.sizes else rest
    return {"train": train, "validation": validation, "test": test}


def _take(groups: list[Group], wanted: int, seed: int, plain: bool) -> tuple[list[Group], list[Group]]:
    """Up to `wanted` pieces in whole groups, each stratum giving its share; then what was not taken, both in rank order.

    Small strata go first: what their groups could not fill is asked of the larger ones. What is missing after the last is
    filled up from all, so that no group that still fits stays outside.
    """
    strata: dict[str, list[Group]] = {}
    for group in groups:
        strata.setdefault("" if plain else group.stratum, []).append(group)
    sizes = {name: sum(group.size for group in part) for name, part in strata.items()}
    targets = _targets(sizes, wanted, seed)
    taken: set[str] = set()
    room = 0
    for name in sorted(strata, key=lambda name: (sizes[name], name)):
        room = _fill(strata[name], room + targets[name], taken)
    _fill([group for group in groups if group.rank not in taken], room, taken)
    return [group for group in groups if group.rank in taken], [group for group in groups if group.rank not in taken]


def _fill(groups: Iterable[Group], room: int, taken: set[str]) -> int:
    """Take every group that fits, in order; returns the room that is left."""
    for group in groups:
        if group.size <= room:
            taken.add(group.rank)
            room -= group.size
    return room


def _targets(sizes: dict[str, int], wanted: int, seed: int) -> dict[str, int]:
    """Whole numbers in proportion to the sizes that add up to `wanted`: systematic rounding along an order of hashes, so that
    a stratum too small for one of its own has its fair chance."""
    total, passed, targets = sum(sizes.values()), 0, {}
    for name in sorted(sizes, key=lambda name: _hash(seed, name)):
        before = wanted * passed // total
        passed += sizes[name]
        targets[name] = wanted * passed // total - before
    return targets


def _by_time(groups: list[Group], wanted: dict[SplitName, int], recipe: Recipe) -> dict[SplitName, list[Group]]:
    """The newest groups are tested on; undated ones come last into train."""
    dated = sorted((group for group in groups if group.at), key=lambda group: (group.at, group.rank), reverse=True)
    placed: dict[SplitName, list[Group]] = {}
    for name in HELD_OUT:
        placed[name], dated = (_exactly if recipe.sizes else _nearest)(dated, wanted[name])
    rest = dated + [group for group in groups if not group.at]
    placed["train"] = _exactly(rest, wanted["train"])[0] if recipe.sizes else rest
    return placed


def _nearest(groups: list[Group], wanted: int) -> tuple[list[Group], list[Group]]:
    """The first groups, as long as each brings their number nearer to what is wanted; then the others."""
    held = 0
    for place, group in enumerate(groups):
        if group.size > 2 * (wanted - held):
            return groups[:place], groups[place:]
        held += group.size
    return groups, []


def _exactly(groups: list[Group], wanted: int) -> tuple[list[Group], list[Group]]:
    """The first groups that fit; those too large on the way are in no part, as the older ones behind them are not newer."""
    taken: list[Group] = []
    for place, group in enumerate(groups):
        if not wanted:
            return taken, groups[place:]
        if group.size <= wanted:
            taken.append(group)
            wanted -= group.size
    return taken, []


def _enough(splits: dict[SplitName, tuple[Piece, ...]], wanted: dict[SplitName, int], recipe: Recipe, n: int) -> None:
    short = [f"{len(splits[name]):,} of {wanted[name]:,} for {name}" for name in SPLITS
             if len(splits[name]) < max(1, wanted[name])]
    if short and (recipe.sizes or any(not splits[name] for name in SPLITS)):
        largest = " Records that belong together cannot be taken apart, and records without a time are never tested on." \
            if recipe.by_time else " Records that belong together cannot be taken apart."
        raise StudioError(f"There are {n:,} different records to freeze, too few for this split ({', '.join(short)}).",
                          "Import or keep more records, or ask for other parts." + largest)
