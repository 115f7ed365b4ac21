"""Groups stay whole, shares are met within one group, and neither order nor machine matters."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from studio import splits
from studio.errors import StudioError
from studio.splits import SPLITS, Division, Piece, Recipe

DAY = datetime(2026, 1, 1)


def pieces(n: int, group: int = 1, stratum: str = "") -> list[Piece]:
    """`n` pieces, in twin groups of this size."""
    return [Piece(f"r{i:05}", 1, f"mark {i}", (f"twins:{i // group}",), stratum, DAY + timedelta(days=i)) for i in range(n)]


@st.composite
def any_pieces(draw: st.DrawFn) -> list[Piece]:
    """Pieces with twins, threads, customers, strata and times at random; keys overlap across kinds."""
    n = draw(st.integers(6, 80))
    few = st.integers(0, n)
    kinds = st.sampled_from(("question", "twins", "thread", "customer"))
    keys = st.lists(st.builds(lambda kind, number: f"{kind}:{number}", kinds, few), max_size=3)
    times = st.one_of(st.none(), st.integers(0, 50).map(lambda days: DAY + timedelta(days=days)))
    strata = st.sampled_from(("", "refund", "delivery", "a rare one"))
    return [Piece(f"r{i}", 1, f"mark {i}", tuple(draw(keys)), draw(strata), draw(times)) for i in range(n)]


RECIPES = st.builds(
    Recipe,
    validation_share=st.floats(0.05, 0.4),
    test_share=st.floats(0.05, 0.4),
    seed=st.integers(0, 2**31 - 1),
    stratify=st.sampled_from(("none", "tag")),
    by_time=st.booleans(),
)


def divided(found: list[Piece], recipe: Recipe) -> Division:
    try:
        return splits.divide(found, recipe)
    except StudioError:
        assume(False)
        raise


@settings(max_examples=80, deadline=None)
@given(any_pieces(), RECIPES, st.randoms(use_true_random=False))
def test_no_group_straddles_shares_are_met_within_one_group_and_order_does_not_matter(
    found: list[Piece], recipe: Recipe, dice: random.Random
) -> None:
    division = divided(found, recipe)
    where = {piece.record_id: name for name in SPLITS for piece in division.splits[name]}
    sides: dict[str, set[str]] = {}
    for piece in found:
        for key in piece.keys:
            sides.setdefault(key, set()).add(where[piece.record_id])
    assert all(len(names) == 1 for names in sides.values())

    outside = {
        "test": [*_sizes(division, "validation", recipe), *_sizes(division, "train", recipe)],
        "validation": _sizes(division, "train", recipe),
    }
    for name, others in outside.items():
        missing = division.wanted[name] - len(division.splits[name])
        if recipe.by_time:
            assert missing < 0 or not others or missing * 2 <= division.largest or division.undated
            assert -missing * 2 <= division.largest
        else:
            assert 0 <= missing < min(others)

    mixed = list(found)
    dice.shuffle(mixed)
    assert splits.divide(mixed, recipe) == division


def _sizes(division: Division, name: str, recipe: Recipe) -> list[int]:
    return [group.size for group in splits.grouped(division.splits[name], recipe.seed)]  # type: ignore[index]


@settings(max_examples=30, deadline=None)
@given(any_pieces(), RECIPES)
def test_everything_is_in_just_one_part(found: list[Piece], recipe: Recipe) -> None:
    division = divided(found, recipe)
    placed = Counter(piece.record_id for name in SPLITS for piece in division.splits[name])
    assert (placed == Counter(piece.record_id for piece in found), division.left_over) == (True, 0)


def test_groups_hang_together_through_others() -> None:
    a, b, c = (
        Piece(name, 1, name, keys, "", None)
        for name, keys in (("a", ("thread:1",)), ("b", ("thread:1", "twins:9")), ("c", ("twins:9",)))
    )
    assert [group.size for group in splits.grouped([a, b, c], 1)] == [3]


def test_each_tag_gives_its_share_of_every_part() -> None:
    found = [piece._replace(stratum="rare" if place % 10 == 0 else "common") for place, piece in enumerate(pieces(400))]
    division = splits.divide(found, Recipe(stratify="tag"))
    rare = {name: sum(piece.stratum == "rare" for piece in division.splits[name]) for name in SPLITS}
    assert rare == {"train": 32, "validation": 4, "test": 4}


def test_unstratified_parts_are_as_large_but_let_tags_fall_where_they_fall() -> None:
    division = splits.divide(pieces(400, stratum="a"), Recipe())
    assert {name: len(part) for name, part in division.splits.items()} == {"train": 320, "validation": 40, "test": 40}


def test_sizes_are_met_exactly_and_what_is_left_over_is_counted() -> None:
    division = splits.divide(pieces(400, group=2), Recipe(sizes=(100, 20, 40), stratify="tag"))
    assert ([len(division.splits[name]) for name in SPLITS], division.left_over) == ([100, 20, 40], 240)


def test_split_by_time_nothing_in_train_is_newer_than_what_is_tested() -> None:
    division = splits.divide(pieces(100, group=3), Recipe(by_time=True))
    last = {name: max(group.at for group in splits.grouped(division.splits[name], 1) if group.at) for name in SPLITS}
    begins = division.begins
    assert last["train"] < begins["validation"] <= last["validation"] < begins["test"]


def test_what_has_no_time_goes_to_train_and_is_counted() -> None:
    found = [piece._replace(at=None) if place < 30 else piece for place, piece in enumerate(pieces(100))]
    division = splits.divide(found, Recipe(by_time=True))
    undated = {piece.record_id for piece in found[:30]}
    assert (division.undated, undated <= {piece.record_id for piece in division.splits["train"]}) == (30, True)


def test_where_nothing_has_a_time_a_split_by_time_is_refused_in_words() -> None:
    with pytest.raises(StudioError) as refused:
        splits.divide([piece._replace(at=None) for piece in pieces(40)], Recipe(by_time=True))
    assert "without a time are never tested on" in refused.value.hint


def test_one_group_of_everything_is_refused_in_words() -> None:
    with pytest.raises(StudioError) as refused:
        splits.divide(pieces(40, group=40), Recipe())
    assert "cannot be taken apart" in refused.value.hint


def test_a_larger_group_is_not_placed_before_smaller_ones() -> None:
    """Its rank is one hash, not the smallest of its members' hashes, which would favour it."""
    orders = [splits.grouped([*pieces(60), *_big()], seed) for seed in range(60)]
    ranks = [next(place for place, group in enumerate(order) if group.size > 1) for order in orders]
    assert 20 < sum(ranks) / len(ranks) < 40


def _big() -> list[Piece]:
    return [Piece(f"big{n}", 1, f"big {n}", ("thread:big",), "", None) for n in range(20)]


def test_another_seed_puts_groups_in_another_order() -> None:
    orders = [[group.pieces[0].record_id for group in splits.grouped(pieces(20), seed)] for seed in (1, 2)]
    assert all(sorted(one) == sorted(other) and one != other for one, other in pairwise(orders))
