"""What the Evaluate page asks at every redraw, kept as long as nothing that it depends on changed (`grids.stamp`).

A redraw without a change (another page of answers, a fold opened) then costs nothing, also with 100,000 answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import costs, evaluations, grids, leaks, permissions, rivals, runs, slices, starts
from studio.costs import Cost, Kept
from studio.evaluations import Entry
from studio.grids import Grid
from studio.rivals import Verdict
from studio.runs import Run
from studio.slices import Parts, Slice
from studio.snapshots import Snapshot
from studio.starts import Chosen, Decoding
from studio.workspace import Workspace


def grid(ws: Workspace, run: Run) -> Grid:
    return _grid(ws, grids.stamp(ws, run.run_id), run.run_id)


def suspicious(ws: Workspace, run: Run) -> frozenset[str]:
    """The test items that resemble a line of train, or that one of the candidates learned from."""
    learned = leaks.learned(ws, run.snapshot_id, [one.model_id for one in runs.candidates(run)])
    return (leaks.suspicious(ws, run.snapshot_id) | learned) & frozenset(map(str, grid(ws, run).items))


def verdicts(ws: Workspace, run: Run, judged: str, without: frozenset[str] = frozenset()) -> list[Verdict]:
    return _verdicts(ws, grids.stamp(ws, run.run_id), run, judged, without)


def parts(ws: Workspace, run: Run, by: str) -> Parts:
    """The items by slice; also anew with every word that people say (labels, tags)."""
    return _parts(ws, *_said(ws, run), run, by)


def cut(ws: Workspace, run: Run, by: str, metric: str, rival: str, judged: str) -> list[Slice]:
    return _cut(ws, *_said(ws, run), run, by, metric, rival, judged)


def spent(ws: Workspace, run: Run) -> list[Cost]:
    return _spent(ws, grids.stamp(ws, run.run_id), run)


def kept(ws: Workspace, run: Run, before: str, after: str) -> list[Kept]:
    return _kept(ws, grids.stamp(ws, run.run_id), run, before, after)


def entries(ws: Workspace, metric: str) -> list[Entry]:
    return _entries(ws, grids.stamp(ws, ""), metric)


def already(ws: Workspace, snapshot: Snapshot, chosen: Sequence[Chosen], decoding: Decoding, probes: bool) -> tuple[int, int]:
    """Answers that are there, and all that are needed."""
    who = "-".join((snapshot.snapshot_id, *(one.candidate_id for one in chosen), decoding.model_dump_json(), str(probes)))
    return _already(ws, grids.stamp(ws, who), snapshot, tuple(chosen), decoding, probes)


def _said(ws: Workspace, run: Run) -> tuple[str, bool]:
    """What slices and their names depend on: what was said so far, and whether who looks reads them masked."""
    return f"{grids.stamp(ws, run.run_id)}-{ws.journal.next_n}", not permissions.may(ws, "raw")


@st.cache_resource(max_entries=6, show_spinner="Reading the scores…")
def _grid(_ws: Workspace, stamp: str, run_id: str) -> Grid:
    return grids.read(_ws, run_id)


@st.cache_resource(max_entries=16, show_spinner="Comparing…")
def _verdicts(_ws: Workspace, stamp: str, _run: Run, judged: str, without: frozenset[str]) -> list[Verdict]:
    return rivals.judge(_run, grid(_ws, _run), judged, without)


@st.cache_resource(max_entries=16, show_spinner="Parting the items…")
def _parts(_ws: Workspace, stamp: str, masked: bool, _run: Run, by: str) -> Parts:
    return slices.part(_ws, _run, grid(_ws, _run), by, masked)


@st.cache_resource(max_entries=16, show_spinner="Comparing slice by slice…")
def _cut(_ws: Workspace, stamp: str, masked: bool, _run: Run, by: str, metric: str, rival: str, judged: str) -> list[Slice]:
    return slices.cut(grid(_ws, _run), parts(_ws, _run, by), metric, rival, judged)


@st.cache_resource(max_entries=8, show_spinner="Adding up…")
def _spent(_ws: Workspace, stamp: str, _run: Run) -> list[Cost]:
    return costs.of(_ws, _run)


@st.cache_resource(max_entries=8, show_spinner="Comparing before and after…")
def _kept(_ws: Workspace, stamp: str, _run: Run, before: str, after: str) -> list[Kept]:
    return costs.kept(_ws, _run, before, after)


@st.cache_resource(max_entries=8, show_spinner="Reading all evaluations…")
def _entries(_ws: Workspace, stamp: str, metric: str) -> list[Entry]:
    return evaluations.entries(_ws, metric)


@st.cache_resource(max_entries=8, show_spinner="Looking for answers that are there…")
def _already(_ws: Workspace, stamp: str, _snapshot: Snapshot, _chosen: tuple[Chosen, ...], _decoding: Decoding,
             probes: bool) -> tuple[int, int]:
    return starts.already(_ws, _snapshot, _chosen, _decoding, probes)
