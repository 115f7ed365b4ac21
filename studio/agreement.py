"""How far people agree: pure functions on what they said, no workspace, no words from data.

Raw agreement, Cohen's kappa (Cohen 1960) for two people, Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's
Alpha-Reliability") for any number, with answers missing. The unit is the record, and so it is in every bootstrap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studio.verdicts import Interval

Level = Literal["nominal", "ordinal", "interval"]
Value = str | int | float
Span = tuple[int, int, int, str]
"""A mark: turn, first character, the one behind the last, and what is marked."""
Floats = NDArray[np.float64]
RESAMPLES = 1_000
_AT_ONCE = 50
MIN_RECORDS = 10
"""With fewer records an interval is too narrow to be believed."""


@dataclass(frozen=True)
class ValueAgreement:
    """How often somebody else says this value too, of a record where one says it (specific agreement, Cicchetti and Feinstein
    1990); `uses` counts the answers with it."""

    value: Value
    uses: int
    agreement: float


@dataclass(frozen=True)
class PairAgreement:
    """Two people: the records both answered, and a confusion matrix over `values` (rows the first's, columns the second's)."""

    first: str
    second: str
    records: int
    raw: Interval
    kappa: Interval
    values: tuple[Value, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class FieldAgreement:
    """One field: `records` have at least two answers. `confusion` counts pairs of different people's answers to one record,
    each pair once with the smaller value (in the order of `values`) as the row. Figures are NaN where nothing can be said."""

    field: str
    level: Level
    records: int
    answers: int
    raw: Interval
    alpha: Interval
    values: tuple[Value, ...]
    confusion: tuple[tuple[int, ...], ...]
    by_value: tuple[ValueAgreement, ...]
    pairs: tuple[PairAgreement, ...]


@dataclass(frozen=True)
class Overlap:
    """How far marks on the text meet: F1 over characters (twice what two people marked alike, by what both marked), over every
    two people of a record. `records` have at least two answers, and a mark in one of them."""

    field: str
    records: int
    f1: Interval


def raw(a: Sequence[Value], b: Sequence[Value]) -> float:
    """The share of records in which two people say the same; NaN without any."""
    return _kappa_parts(_confused(a, b)[1][None])[0][0].item()


def cohen_kappa(a: Sequence[Value], b: Sequence[Value]) -> float:
    """Cohen's kappa of two people's values for the same records, unweighted; NaN where chance alone would always agree."""
    return _kappa_parts(_confused(a, b)[1][None])[1][0].item()


def krippendorff_alpha(units: Sequence[Sequence[Value]], level: Level) -> float:
    """Krippendorff's alpha. `units` are records, each with the values given to it, however many; single ones do not count.

    NaN where there is no record with two values, or where everything is the same value.
    """
    values = _in_order([value for unit in units for value in unit])
    patterns, counts = _patterns(units, values)
    return _alphas(patterns, counts[None].astype(np.float64), values, level)[0].item()


def confusion(a: Sequence[Value], b: Sequence[Value]) -> tuple[tuple[Value, ...], tuple[tuple[int, ...], ...]]:
    """The values that occur, in order, and how often the first person's (rows) met the second's (columns)."""
    values, counted = _confused(a, b)
    return values, _plain(counted)


def of_field(field: str, votes: Mapping[str, Mapping[str, Value]], level: Level, seed: int = 0) -> FieldAgreement:
    """Everything about one field. `votes` are record id → who → value; records with a single answer are left out."""
    shared = {record: said for record, said in votes.items() if len(said) > 1}
    values = _in_order([value for said in shared.values() for value in said.values()])
    patterns, counts = _patterns([list(said.values()) for said in shared.values()], values)
    uses, sizes = counts @ patterns, patterns.sum(1)
    per_value = _divided((counts[:, None] * patterns * (patterns - 1)).sum(0), (counts * (sizes - 1)) @ patterns)
    shares, alphas = _raw_and_alpha(patterns, counts[None].astype(np.float64), values, level)
    parts = [_raw_and_alpha(patterns, weights, values, level) for weights in _drawn(counts, seed)]
    return FieldAgreement(
        field, level, len(shared), int(counts @ sizes), _interval(shares[0], [part[0] for part in parts], len(shared)),
        _interval(alphas[0], [part[1] for part in parts], len(shared)), values, _pairs_met(patterns, counts),
        tuple(ValueAgreement(value, int(n), float(share)) for value, n, share in zip(values, uses, per_value, strict=True)),
        tuple(_pair(shared, first, second, seed) for first, second in _met(shared)))


def of_marks(field: str, votes: Mapping[str, Mapping[str, Sequence[Span]]], seed: int = 0) -> Overlap:
    """One field of marks. `votes` are record id → who → marks; a record that nobody marked says nothing and is left out."""
    alike, marked = [], []
    for said in votes.values():
        places = [{(turn, at, value) for turn, start, end, value in spans for at in range(start, end)}
                  for spans in said.values()]
        if len(places) > 1 and any(places):
            alike.append(sum(2 * len(a & b) for a, b in combinations(places, 2)))
            marked.append(sum(len(a) + len(b) for a, b in combinations(places, 2)))
    same, all_of = np.array(alike, np.float64), np.array(marked, np.float64)
    once = np.ones(len(same), np.int64)
    drawn = [_divided(weights @ same, weights @ all_of) for weights in _drawn(once, seed)] if alike else []
    return Overlap(field, len(same), _interval(_divided(same.sum(), all_of.sum()), drawn, len(same)))


def _pair(votes: Mapping[str, Mapping[str, Value]], first: str, second: str, seed: int) -> PairAgreement:
    both = [(said[first], said[second]) for said in votes.values() if first in said and second in said]
    values, counted = _confused([a for a, _ in both], [b for _, b in both])
    cells = counted.reshape(-1)
    parts = [_kappa_parts(drawn.reshape(-1, *counted.shape)) for drawn in _drawn(cells, seed)]
    (share,), (kappa,) = _kappa_parts(counted[None])
    return PairAgreement(first, second, len(both), _interval(share, [part[0] for part in parts], len(both)),
                         _interval(kappa, [part[1] for part in parts], len(both)), values, _plain(counted))


def _met(votes: Mapping[str, Mapping[str, Value]]) -> list[tuple[str, str]]:
    """Pairs of people who answered the same record."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for people in {tuple(sorted(said)) for said in votes.values()}:
        for pair in combinations(people, 2):
            found[pair] += 1
    return sorted(found)


def _in_order(values: Sequence[Value]) -> tuple[Value, ...]:
    """The values that occur: numbers by size, before words."""
    return tuple(sorted(set(values), key=lambda value: (isinstance(value, str), value)))


def _patterns(units: Sequence[Sequence[Value]], values: Sequence[Value]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Units with two values or more, as counts per value, shape (patterns, values), equal ones once; and how often each."""
    place = {value: n for n, value in enumerate(values)}
    rows: dict[tuple[int, ...], int] = defaultdict(int)
    for unit in units:
        if len(unit) > 1:
            rows[tuple(sorted(place[value] for value in unit))] += 1
    patterns = np.zeros((len(rows), len(values)), np.int64)
    for n, row in enumerate(rows):
        np.add.at(patterns[n], list(row), 1)
    return patterns, np.array(list(rows.values()), np.int64)


def _raw_and_alpha(patterns: NDArray[np.int64], weights: Floats, values: Sequence[Value],
                   level: Level) -> tuple[Floats, Floats]:
    sizes = patterns.sum(1)
    same = _divided(weights @ (patterns * (patterns - 1)).sum(1), weights @ (sizes * (sizes - 1)))
    return same, _alphas(patterns, weights, values, level)


def _alphas(patterns: NDArray[np.int64], weights: Floats, values: Sequence[Value], level: Level) -> Floats:
    """Alpha for each row of weights, shape (resamples, patterns): 1 - observed disagreement / expected disagreement."""
    if not len(patterns):
        return np.full(len(weights), np.nan)
    others = (patterns.sum(1) - 1)[:, None]
    totals = weights @ patterns
    apart = _distances(totals, values, level)
    if level == "ordinal":
        pairs = patterns[:, :, None] * (patterns / others)[:, None, :]
        observed = (np.tensordot(weights, pairs, 1) * apart).sum((1, 2))
    else:
        observed = weights @ ((patterns @ apart[0]) * patterns / others).sum(1)
    expected = (np.matmul(totals[:, None, :], apart)[:, 0] * totals).sum(1)
    return 1 - _divided((totals.sum(1) - 1) * observed, expected)


def _distances(totals: Floats, values: Sequence[Value], level: Level) -> Floats:
    """Squared differences between values, shape (1 or resamples, values, values); ordinal ones depend on how often each is
    said: the sum of all from the one to the other, less half of the two."""
    n = len(values)
    if level == "nominal":
        return 1 - np.eye(n)[None]
    if level == "interval":
        numbers = np.array(values, np.float64)
        return ((numbers[:, None] - numbers[None, :]) ** 2)[None]
    reached = np.cumsum(totals, 1)
    middle = reached - totals / 2
    return (middle[:, :, None] - middle[:, None, :]) ** 2


def _confused(a: Sequence[Value], b: Sequence[Value]) -> tuple[tuple[Value, ...], NDArray[np.int64]]:
    if len(a) != len(b):
        raise ValueError("two people are compared on the same records")
    values = _in_order([*a, *b])
    place = {value: n for n, value in enumerate(values)}
    counted = np.zeros((len(values), len(values)), np.int64)
    np.add.at(counted, ([place[value] for value in a], [place[value] for value in b]), 1)
    return values, counted


def _kappa_parts(counted: NDArray[Any]) -> tuple[Floats, Floats]:
    """Raw agreement and kappa of each confusion matrix, shape (n, values, values)."""
    total = counted.sum((1, 2)).astype(np.float64)
    observed = _divided(np.trace(counted, axis1=1, axis2=2), total)
    chance = _divided((counted.sum(1) * counted.sum(2)).sum(1), total * total)
    return observed, _divided(observed - chance, 1 - chance)


def _pairs_met(patterns: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    met = np.einsum("p,pi,pj->ij", counts, patterns, patterns)
    alone = np.einsum("p,pi->i", counts, patterns * (patterns - 1) // 2)
    upper = np.triu(met, 1)
    upper[np.diag_indices_from(upper)] = alone
    return _plain(upper)


def _drawn(counts: NDArray[np.int64], seed: int) -> Iterator[Floats]:
    """How often each pattern is drawn when its records are drawn anew (Efron 1979), a few resamples at a time."""
    total = int(counts.sum())
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES // _AT_ONCE if total else 0):
        yield generator.multinomial(total, counts / total, size=_AT_ONCE).astype(np.float64)


def _interval(value: Any, resampled: Sequence[Floats], records: int) -> Interval:
    """The 95 % percentile interval; from NaN to NaN with too few records, or where nothing varies."""
    every = np.concatenate(resampled) if resampled else np.zeros(0)
    kept = every[~np.isnan(every)]
    if records < MIN_RECORDS or not len(kept):
        return Interval(float(value), float("nan"), float("nan"))
    low, high = np.percentile(kept, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))


def _divided(a: NDArray[Any], b: NDArray[Any]) -> Floats:
    top, bottom = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.divide(top, bottom, out=np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan), where=bottom != 0)


def _plain(counted: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(n) for n in row) for row in counted)
