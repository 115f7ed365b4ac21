"""Judges on the screen: what they say, whether people's blind verdicts license them, and a form to ask one."""

from __future__ import annotations

from itertools import combinations

import streamlit as st

from studio import judges, models, review_texts, rivals, runs, starts
from studio.judges import Judging, Mode
from studio.models import Model
from studio.runs import Run
from studio.ui import layout, place_view, session
from studio.ui.formats import ago, count, interval
from studio.workspace import Workspace

MODES: dict[Mode, str] = {"pairwise": "Which of two is better", "absolute": "Each alone, 1 to 5"}


def draw(ws: Workspace, run: Run) -> None:
    """Judges of an evaluation that is done: verdicts first, then the form."""
    names = rivals.roles(run)
    found = judges.of_evaluation(ws, run.run_id)
    if not found:
        layout.empty("A judge is a chat model that says which answer is better. Nobody has asked one about this evaluation. "
                     "It counts for little until people's blind verdicts agree with it.")
    for judging in found:
        _judging(ws, judging, names)
    newest = next(iter(runs.over(ws, run.run_id, "judge")), None)
    if newest and newest.state != "done":
        layout.live_run(ws, newest.run_id, lambda latest: _watch(ws, latest))
    with st.expander("Ask a judge", expanded=not found, icon=":material/gavel:"):
        _form(ws, run, names)


def _judging(ws: Workspace, judging: Judging, names: dict[str, str]) -> None:
    """One judge: for each pair whether it is licensed, what it says, and how far people agree with it."""
    with st.container(border=True):
        st.markdown(f"**{layout.plain(judging.judge)}** · {MODES[judging.mode]} · {ago(judging.judged_at, ws.now())}")
        for a, b in judges.pairs(ws, judging.run_id):
            _pair(ws, judging, a, b, f"{names.get(b, b)} against {names.get(a, a)}")
        st.caption(_spent(judging) + " A flip: the verdict changed with the order of the answers; it counts as a tie.")
        with st.popover("Rubric"):
            st.text(judging.rubric)
        layout.link("Judge some of them yourself, blind", "pages/review.py", {"run": _evaluation(ws, judging)})


def _pair(ws: Workspace, judging: Judging, a: str, b: str, name: str) -> None:
    said, licence = judges.outcome(ws, judging.run_id, a, b), judges.licence(ws, judging.run_id, a, b)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{layout.plain(name)}**", width="content")
        st.badge("licensed" if licence.licensed else "unlicensed", color="green" if licence.licensed else "orange",
                 icon=":material/verified:" if licence.licensed else ":material/warning:")
    words = (f"{count(said.b_wins, 'win')}, {count(said.a_wins, 'loss', 'losses')}, {count(said.ties, 'tie')}; of those "
             f"decided it wins **{interval(*said.b_share.parts)}**")
    words += f"; flips {interval(*said.flips.parts)}" if judging.mode == "pairwise" else ""
    st.markdown(words + (f"; {said.unread} unread." if said.unread else "."))
    told = f" Agreement {interval(*licence.accuracy.parts)}, kappa {interval(*licence.kappa.parts)}." if licence.shared else ""
    st.caption(layout.plain(licence.why + told))


def _evaluation(ws: Workspace, judging: Judging) -> str:
    return str(runs.get(ws, judging.run_id).spec["evaluation_id"])


def _spent(judging: Judging) -> str:
    words = f"{count(judging.asked, 'question')}"
    if judging.spent is not None:
        words += f", {judging.spent:.2f} {judging.money}"
    if judging.unread:
        words += f", {count(judging.unread, 'reply', 'replies')} without a verdict"
    return words + (", stopped before its budget was passed." if judging.budget_reached else ".")


def _watch(ws: Workspace, run: Run) -> None:
    layout.watch(ws, run, f"{run.title}, {ago(run.started_at, ws.now())}", "Stop, keeping the replies")
    if not run.moving:
        layout.log(ws, run)


def _form(ws: Workspace, run: Run, names: dict[str, str]) -> None:
    every = sorted(models.answering(ws), key=lambda one: one.kind != "endpoint")
    judge = st.selectbox("Judge", every, format_func=lambda one: f"{one.name} · {one.kind}", key=f"judge-{run.run_id}",
                         help="A large model behind an endpoint judges best; a small local one hardly can.")
    mode: Mode = st.radio("It says", list(MODES), format_func=MODES.__getitem__, horizontal=True,  # type: ignore[assignment]
                          key=f"mode-{run.run_id}")
    pairs = list(combinations(names, 2))
    chosen = st.multiselect("Pairs", pairs, pairs[-1:], key=f"pairs-{run.run_id}",
                            format_func=lambda pair: f"{names[pair[1]]} against {names[pair[0]]}")
    rubric = _rubric(ws, mode)
    total = len(review_texts.items(ws, run.run_id, list(names)))
    items = int(st.number_input("Items", 1, max(1, total), min(total, 100), key=f"items-{run.run_id}", width=160,
                                help="Those that people judged come first: they decide on the licence."))
    budget = _budget(run, judge)
    asked = len(chosen) * items * 2 if mode == "pairwise" else len({one for pair in chosen for one in pair}) * items
    st.caption(f"{count(asked, 'question')}. Pairs are asked twice with the order swapped.")
    with place_view.there(ws, f"judge-{run.run_id}"), layout.guarded():
        if st.button("Ask the judge", type="primary", disabled=not chosen, key=f"ask-{run.run_id}"):
            starts.judging(ws, run, judge, rubric, chosen, mode, judges.first_items(ws, run.run_id, items), budget)
            st.rerun()


def _budget(run: Run, judge: Model) -> float | None:
    """The most it may cost; asked where the prices are known."""
    if judge.base.get("price_in") is None or judge.base.get("price_out") is None:
        return None
    most = st.number_input(f"At most, {judge.base.get('money', 'USD')} (0: no limit)", 0.0, value=0.0, step=0.5, width=200,
                           key=f"budget-{run.run_id}", help="It stops before a question could pass this.")
    return float(most) or None


def _rubric(ws: Workspace, mode: Mode) -> str:
    """The text that is used; it can be changed here, and kept under a name."""
    saved = judges.rubrics(ws, mode)
    chosen = st.selectbox("Rubric", saved, format_func=lambda one: one.name, key=f"rubric-{mode}-{len(saved)}")
    text = st.text_area("What makes an answer better", chosen.text, height=150, key=f"rubric-text-{mode}-{chosen.rubric_id}",
                        max_chars=judges.LONGEST_TEXT)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Keep it under a name", "", max_chars=judges.LONGEST_NAME, width=260, key=f"rubric-name-{mode}")
        if st.button("Keep", disabled=not name.strip(), key=f"rubric-keep-{mode}"):
            with layout.guarded():
                judges.save_rubric(ws, name, mode, text, session.person())
                st.rerun()
        if chosen.rubric_id and st.button(f"Delete {layout.plain(chosen.name)}", key=f"rubric-delete-{mode}"):
            with layout.guarded():
                judges.delete_rubric(ws, chosen, session.person())
                st.rerun()
    return text
