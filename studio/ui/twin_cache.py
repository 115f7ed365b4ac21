"""What the Twins page asks at every redraw, kept as long as nothing that it depends on changed.

A redraw without a change (a fold opened, a text read) then costs nothing, also with a million records.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import conflicts, duplicate_groups, keepers
from studio.conflicts import Conflict
from studio.duplicate_groups import Group, Order, State, Step, Tally
from studio.keepers import Plan, Rule, Slice
from studio.workspace import Workspace


def listing(ws: Workspace, side: str, limit: int, skip: int, order: Order, state: State) -> tuple[Tally, list[Group]]:
    return _listing(ws, duplicate_groups.stamp(ws), side, limit, skip, order, state)


def plan(ws: Workspace, side: str, rule: Rule, group_ids: Sequence[str] | None, at_least: float, spare: bool) -> Plan:
    return _plan(ws, duplicate_groups.stamp(ws), side, rule, None if group_ids is None else tuple(group_ids), at_least, spare)


def cost(ws: Workspace, proposed: Plan) -> list[Slice]:
    return _cost(ws, duplicate_groups.stamp(ws), proposed.key, proposed)


def steps(ws: Workspace, side: str, kind: str) -> list[Step]:
    return _steps(ws, duplicate_groups.stamp(ws), side, kind)


def clashes(ws: Workspace, limit: int, skip: int, low: float) -> tuple[int, list[Conflict]]:
    return _clashes(ws, duplicate_groups.stamp(ws), limit, skip, low)


@st.cache_resource(max_entries=16, show_spinner="Reading the groups…")
def _listing(_ws: Workspace, stamp: str, side: str, limit: int, skip: int, order: Order,
             state: State) -> tuple[Tally, list[Group]]:
    return duplicate_groups.listing(_ws, side, limit, skip, order, state)


@st.cache_resource(max_entries=4, show_spinner="Working out who stays…")
def _plan(_ws: Workspace, stamp: str, side: str, rule: Rule, group_ids: tuple[str, ...] | None, at_least: float,
          spare: bool) -> Plan:
    return keepers.plan(_ws, side, rule, group_ids, at_least, spare)


@st.cache_resource(max_entries=8, show_spinner="Counting what would fall…")
def _cost(_ws: Workspace, stamp: str, key: str, _proposed: Plan) -> list[Slice]:
    return keepers.cost(_ws, _proposed.drops)


@st.cache_resource(max_entries=16, show_spinner="Counting what falls at each threshold…")
def _steps(_ws: Workspace, stamp: str, side: str, kind: str) -> list[Step]:
    return duplicate_groups.steps(_ws, side, kind)


@st.cache_resource(max_entries=8, show_spinner="Looking for answers that contradict…")
def _clashes(_ws: Workspace, stamp: str, limit: int, skip: int, low: float) -> tuple[int, list[Conflict]]:
    return conflicts.listing(_ws, limit, skip, low)
