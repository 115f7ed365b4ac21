"""The verdict on the screen: a sentence for each rival, the numbers under it, all candidates on all metrics, the intervals."""

from __future__ import annotations

import streamlit as st

from studio import metrics, rivals, runs, verdict_words
from studio.grids import Grid
from studio.rivals import Verdict
from studio.runs import Run
from studio.ui import charts, evaluate_cache, layout
from studio.ui.formats import ago, count, interval, signed
from studio.verdicts import Word
from studio.workspace import Workspace

CHOICE = 167
"""How wide a choice is, in pixels: four stand in a row, two on a phone."""
LOOKS: dict[Word, tuple[str, str]] = {
    "better": ("green", ":material/trending_up:"), "worse": ("red", ":material/trending_down:"),
    "no difference worth having": ("gray", ":material/drag_handle:"), "inconclusive": ("orange", ":material/question_mark:")}


def choose_run(ws: Workspace, done: list[Run]) -> Run:
    """Which evaluation is looked at; the address says it."""
    ids = [run.run_id for run in done]
    run = st.selectbox("Evaluation", done, index=layout.place(ids, st.query_params.get("run")) or 0,
                       format_func=lambda r: f"{r.title} · {r.state} · {ago(r.started_at, ws.now())}")
    if "run" in st.query_params or run is not done[0]:
        st.query_params["run"] = run.run_id
    return run


def watch(ws: Workspace, run: Run) -> None:
    """How far an evaluation is, or how it ended where it is not done."""
    if run.state == "done":
        return
    layout.watch(ws, run, f"started {ago(run.started_at, ws.now())}, attempt {run.attempt}", "Stop, keeping the answers so far")
    if not run.moving:
        layout.log(ws, run)


def choose_judged(run: Run) -> str:
    """Who is judged; where there are only two candidates nobody is asked."""
    roles, default = rivals.roles(run), rivals.judged(run)
    if len(roles) < 3:
        return default
    ids = list(roles)
    return str(st.selectbox("Judged", ids, index=ids.index(default), format_func=lambda one: roles[one], key="judged",
                            bind="query-params", width=CHOICE, help="Held against each of the others."))


def choose_pair(run: Run) -> tuple[str, str]:
    """Rival and judged candidate."""
    judged = choose_judged(run)
    roles = {one: role for one, role in rivals.roles(run).items() if one != judged}
    if len(roles) == 1:
        return next(iter(roles)), judged
    ids = list(roles)
    return str(st.selectbox("Against", ids, format_func=lambda one: roles[one], key="against", bind="query-params",
                            width=CHOICE)), judged


def choose_metric(run: Run, grid: Grid, whole: bool = False) -> str:
    """The metric that is looked at, the primary one first; `whole`: also those that an item by itself does not have."""
    first = rivals.primary(run, grid)
    found = [one for one in rivals.measured(grid) if metrics.of(one).better != "neither" and (whole or one != rivals.MACRO_F1)]
    found.sort(key=lambda one: one != first)
    return str(st.selectbox("Metric", found, format_func=metrics.title, key="metric", bind="query-params", width=CHOICE))


def draw(ws: Workspace, run: Run) -> None:
    """All of the verdict."""
    grid, roles = evaluate_cache.grid(ws, run), rivals.roles(run)
    judged = choose_judged(run)
    found = evaluate_cache.verdicts(ws, run, judged)
    rest = _without_suspicious(ws, run, judged)
    for place, one in enumerate(found):
        _headline(one, roles, judged, rest[place] if rest else None)
    st.caption(verdict_words.correction(found))
    _names(run, roles)
    _cut(ws, run, roles)
    st.subheader("All candidates on all metrics", anchor=False)
    rows = _table(found, roles, judged, rest)
    numbers = layout.numbers(key for key in rows[0] if not key.startswith(("metric", "verdict")))
    st.dataframe(rows, hide_index=True, column_config=numbers,
                 alt="Scores of every candidate with intervals, and the verdict against each rival")
    _chart(found, roles, judged)
    people = st.container(horizontal=True, vertical_alignment="center")
    with people:
        layout.go("Review the answers blind", "pages/review.py", {"run": run.run_id}, primary=True)
        tuned = next((one.model_id for one in runs.candidates(run) if one.candidate_id == judged and one.adapter), "")
        if tuned:
            layout.go("Deploy it", "pages/deploy.py", {"model": tuned})
        st.caption(f"{count(len(grid.items), 'test item')}. Numbers compare words; whether people find the answers better is "
                   "asked on Review.", width="stretch")


def _headline(one: Verdict, roles: dict[str, str], judged: str, rest: Verdict | None) -> None:
    colour, icon = LOOKS[one.first.word]
    rival = roles[one.rival]
    with st.container(border=True, key=f"tw-verdict-{one.first.word.split()[0]}-{list(roles).index(one.rival)}", gap="xsmall"):
        st.subheader(f":{colour}[{icon}] {layout.plain(verdict_words.headline(one.first, roles[judged], rival))}", anchor=False)
        st.markdown(layout.plain(verdict_words.numbers(one.first, roles[judged], rival)))
        st.caption(layout.plain(verdict_words.reach(one.first)))
        if rest is not None:
            st.markdown(f":material/difference: Without the suspicious items: difference "
                        f"**{signed(*rest.first.difference.parts, verdict_words.places(rest.first.metric))}** on "
                        f"{count(rest.first.items, 'item')}, {rest.first.word}.")


def _without_suspicious(ws: Workspace, run: Run, judged: str) -> list[Verdict]:
    """The same verdicts without the test items that resemble a line of train; what they are is said above them."""
    leaking = evaluate_cache.suspicious(ws, run)
    if not leaking:
        return []
    are, them = ("are, or resemble,", "them") if len(leaking) != 1 else ("is, or resembles,", "it")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(f"{count(len(leaking), 'test item')} {are} a line of train and may flatter whoever learned it. Every score "
                   f"stands here with and without {them}.")
        layout.link("Read them on Snapshots", "pages/snapshots.py", {"snapshot": run.snapshot_id})
    with layout.guarded():
        return evaluate_cache.verdicts(ws, run, judged, leaking)
    return []


def _names(run: Run, roles: dict[str, str]) -> None:
    with st.expander("Who answered, and how", icon=":material/groups:"):
        for one in runs.candidates(run):
            st.markdown(f"**{roles[one.candidate_id]}**: {layout.plain(one.name)}")
            if one.system is not None:
                st.text(one.system)


def _cut(ws: Workspace, run: Run, roles: dict[str, str]) -> None:
    cut = {roles[one.candidate_id]: one.cut for one in evaluate_cache.spent(ws, run)}
    if any(cut.values()):
        said = ", ".join(f"{role} {number}" for role, number in cut.items())
        st.warning(f"Answers that stopped at the token limit: {said}. A longer limit would show whether their scores change.")


def _table(found: list[Verdict], roles: dict[str, str], judged: str, rest: list[Verdict]) -> list[dict[str, str]]:
    """One row a metric: every candidate's value, then difference and word against each rival, once more without leaks."""
    rows: dict[str, dict[str, str]] = {}
    for one in found:
        for compared in one.every:
            digits = verdict_words.digits(compared)
            row = rows.setdefault(compared.metric, {"metric": metrics.title(compared.metric)})
            row[roles[one.rival]] = interval(*compared.a.parts, digits)
            row[roles[judged]] = interval(*compared.b.parts, digits)
    for sign, verdicts in (("", found), (" without suspicious", rest)):
        for one in verdicts:
            for compared in one.every:
                if compared.metric in rows:
                    digits = verdict_words.digits(compared)
                    rows[compared.metric] |= {f"against {roles[one.rival]}{sign}": signed(*compared.difference.parts, digits),
                                              f"verdict on {roles[one.rival]}{sign}": compared.word}
    heads = ["metric", *(roles[one.rival] for one in found), roles[judged]]
    more = list(dict.fromkeys(key for row in rows.values() for key in row if key not in heads))
    return [{key: row.get(key, "–") for key in (*heads, *more)} for row in rows.values()]


def _chart(found: list[Verdict], roles: dict[str, str], judged: str) -> None:
    rows = [{"name": metrics.title(one.metric), "value": one.difference.value, "low": one.difference.low,
             "high": one.difference.high, "word": one.word, "of": f"against {roles[verdict.rival]}"}
            for verdict in found for one in verdict.every if metrics.of(one.metric).high == 1.0]
    if rows:
        charts.intervals(rows, "How much better, and how sure are we?",
                         f"{roles[judged]} minus the rival, 95 % paired interval")
