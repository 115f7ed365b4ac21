"""Answers item by item: who won, what each said, word by word against the reference, and what the model learned from nearby.

Text from data is escaped here and never run.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import get_args

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from studio import metrics, slices, wins, word_diff
from studio.rivals import roles as roles_of
from studio.runs import Run
from studio.ui import charts, evaluate_cache, layout, verdict_view
from studio.ui.formats import count, excerpt
from studio.wins import Near, Win
from studio.workspace import Workspace

PAGE = 10
ORDERS: dict[wins.Order, str] = {"losses": "Heaviest losses first", "wins": "Largest wins first",
                                 "largest": "Largest differences first"}
MARKS = {"reference": "Words of the reference", "other": "What the two say differently", "none": "Nothing"}


def draw(ws: Workspace, run: Run) -> None:
    """Drawn anew by itself: turning a page reruns this much and no more."""
    layout.hidden_note()
    layout.fragment(lambda: _draw(ws, run))


def _draw(ws: Workspace, run: Run) -> None:
    grid, roles = evaluate_cache.grid(ws, run), roles_of(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rival, judged = verdict_view.choose_pair(run)
        metric = verdict_view.choose_metric(run, grid)
        among = _choose_slice(ws, run)
    gain = wins.gains(grid, metric, rival, judged)
    shown = gain if among is None else np.where(among, gain, np.nan)
    counted = wins.counted(shown)
    if not counted["all"]:
        layout.empty("Both have no score of this metric on any of these items. Choose another metric or slice.")
        return
    names = {"all": "all", "judged": f"{roles[judged]} better", "rival": f"{roles[rival]} better", "tie": "equal"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        won = st.segmented_control("Show", list(get_args(wins.Won)), default="all", required=True, key="won",
                                   format_func=lambda one: f"{names[one]} {counted[one]:,}")
        order: wins.Order = st.selectbox("Order", list(ORDERS), format_func=ORDERS.__getitem__, key="answers-order", width=215)
        marks = st.selectbox("Marked", list(MARKS), format_func=MARKS.__getitem__, key="marks", width=215)
    with st.expander("All items at a glance", icon=":material/bar_chart:"):
        charts.wins(shown[np.isfinite(shown)].tolist(), metrics.title(metric), roles[judged], roles[rival])
    found = wins.places(gain, won, order, among)
    number = _turn(len(found), f"{rival}{judged}{metric}{won}{order}{st.query_params.get('in', '')}")
    page = wins.page(ws, run, grid, metric, rival, judged, found[(number - 1) * PAGE : number * PAGE].tolist())
    near = wins.nearest(ws, run, [one.item_id for one in page if one.winner == "rival"])
    for place, one in enumerate(page):
        _card(one, roles[rival], roles[judged], marks, near.get(one.item_id, []), place == 0)


def _choose_slice(ws: Workspace, run: Run) -> NDArray[np.bool_] | None:
    """Which items: all, or one slice as Where parts them; kept in the address by its name."""
    ways = slices.ways(ws, evaluate_cache.grid(ws, run), run)
    by = st.selectbox("Parted by", list(ways), index=None, format_func=lambda one: ways[one], key="by", bind="query-params",
                      placeholder="all items", width=verdict_view.CHOICE)
    if by is None:
        return None
    parts = evaluate_cache.parts(ws, run, by)
    name = st.selectbox("Slice", list(parts), format_func=lambda one: f"{excerpt(one, 40)} · {len(parts[one]):,}", key="slice",
                        bind="query-params", width=260, disabled=not parts)
    found = np.zeros(len(evaluate_cache.grid(ws, run).items), bool)
    if name in parts:
        found[parts[name]] = True
    return found


def _turn(total: int, key: str) -> int:
    """Page by page, with the arrow keys too; returns the page's number, from 1."""
    pages, held = max(1, -(-total // PAGE)), f"answers-page-{hash(key)}"
    number = min(int(st.session_state.get(held, 1)), pages)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Back", icon=":material/arrow_back:", shortcut="Left", disabled=number <= 1, key="answers-back",
                  on_click=_to_page, args=(held, number - 1))
        st.button("On", icon=":material/arrow_forward:", shortcut="Right", disabled=number >= pages, key="answers-on",
                  on_click=_to_page, args=(held, number + 1))
        low = (number - 1) * PAGE + 1 if total else 0
        st.caption(f"{low:,}–{min(total, number * PAGE):,} of {count(total, 'item')}", width="content")
    return number


def _to_page(held: str, number: int) -> None:
    st.session_state[held] = number


def _card(one: Win, rival: str, judged: str, marks: str, near: Sequence[Near], open_: bool) -> None:
    sign = {"judged": f":green[▲ {judged} better]", "rival": f":red[▼ {rival} better]"}.get(one.winner, ":gray[= equal]")
    asked = next((turn["content"] for turn in reversed(one.question) if turn["role"] == "user"), "")
    with st.expander(f"{sign} {one.gain:+.2f} · {layout.plain(excerpt(asked))}", expanded=open_):
        layout.conversation(one.question)
        theirs, mine = _marked(one, marks)
        st.html('<div class="tw-answers">' + "".join((
            _text(_name(rival, one.rival), theirs, ""), _text(_name(judged, one.judged), mine, "tw-judged"),
            _text("Reference", html.escape(one.reference), "tw-expected"))) + "</div>")
        if near:
            st.caption("The nearest examples it was trained on:")
            st.html('<div class="tw-answers tw-near">' + "".join(_text(
                "Training example", f'<div class="tw-asked">{html.escape(excerpt(example.question, 300))}</div>'
                                    f"{html.escape(excerpt(example.answer, 500))}", "") for example in near) + "</div>")
        layout.link("Open its record", "pages/curate.py", {"record": one.item_id})


def _name(role: str, answer: wins.Answer) -> str:
    said = f"{role}: {answer.score:.3f}"
    if answer.samples > 1:
        said += f", mean of {answer.samples} samples, the first shown"
    return said + (", stopped at the token limit" if answer.finish == "length" else "")


def _marked(one: Win, marks: str) -> tuple[str, str]:
    if marks == "reference":
        return word_diff.common(one.reference, one.rival.text), word_diff.common(one.reference, one.judged.text)
    if marks == "other":
        return word_diff.differences(one.rival.text, one.judged.text)
    return html.escape(one.rival.text), html.escape(one.judged.text)


def _text(name: str, body: str, kind: str) -> str:
    return (f'<div class="tw-turn {kind}"><div class="tw-who">{html.escape(name)}</div>'
            f'<div class="tw-said">{body or "<em>nothing</em>"}</div></div>')
