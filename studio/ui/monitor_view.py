"""Production on the screen: five figures against their targets, how they move, and who and what is behind them."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from studio import alerts, live, production, targets, traffic
from studio.live import MEASURES, Figure, Group, Measure, Picture
from studio.targets import Judged
from studio.ui import charts, layout, monitor_rows, session
from studio.ui.formats import count, interval
from studio.watching import DEFAULT_DAYS
from studio.workspace import Workspace

WINDOWS: dict[str, float | None] = {"1": 1.0, "7": DEFAULT_DAYS, "30": 30.0, "all": None}
WINDOW_NAMES = {"1": "the last day", "7": "7 days", "30": "30 days", "all": "everything"}
SHOWN = 12
STATES = {"met": (":material/check:", "green"), "missed": (":material/error:", "red"), "unsure": (":material/help:", "gray"),
          "too_few": (":material/hourglass_empty:", "gray")}


def draw(ws: Workspace, who: str) -> None:
    """Alerts first, then the figures, then the way back."""
    monitor_rows.queued(ws)
    _alerts(ws)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        window = st.segmented_control("Time", list(WINDOWS), default="7", required=True, format_func=WINDOW_NAMES.__getitem__,
                                      key="window", bind="query-params")
    picture = live.picture(ws, WINDOWS[window])
    if picture is None:
        return
    judged = {one.target.measure: one for one in targets.judged(ws) if not one.target.model and not one.target.slice}
    _figures(picture, judged)
    known = [name for name in MEASURES if picture.everything.figures[name].known]
    if known:
        measure = st.segmented_control("Measure", known, default=_first(known, judged), required=True, key="measure",
                                       bind="query-params", format_func=lambda one: MEASURES[one].title)
        _over_time(picture, measure, judged.get(measure))
        left, right = st.columns(2)
        with left:
            _by(picture.by_model, measure, "By model", "model", judged.get(measure))
        with right:
            _by(picture.by_slice, measure, "By slice", "slice", judged.get(measure))
    if session.may("raw"):
        _worst(ws, picture, who)
    if session.may("run"):
        _next(ws, who)


def _first(known: list[Measure], judged: dict[Measure, Judged]) -> Measure:
    """What is looked at first: what is missed, else what has a target, else anything."""
    missed = [name for name in known if name in judged and judged[name].state == "missed"]
    return (missed or [name for name in known if name in judged] or known)[0]


def written(figure: Figure, measure: Measure) -> str:
    """`0.35 [0.29, 0.41]`, with its unit."""
    if not figure.known:
        return "not known"
    unit = " s" if MEASURES[measure].unit == "s" else ""
    return interval(figure.value, figure.low, figure.high, MEASURES[measure].digits) + unit


def _alerts(ws: Workspace) -> None:
    standing = [one for one in alerts.every(ws) if one.open]
    for one in standing[:3]:
        with st.container(horizontal=True, vertical_alignment="center"):
            seen = f" Seen by {layout.plain(one.seen_by)}." if one.seen_by else ""
            st.error(f"**Alert:** {layout.plain(one.sentence)}{seen}", icon=":material/notifications_active:")
            if session.may("curate") and st.button("What shows it", key=f"alert-{one.alert_id}"):
                st.query_params["alert"] = one.alert_id
                session.turn_to("view", "alerts")
    if reason := alerts.retrain(ws):
        st.warning(f"**Retraining is suggested.** {layout.plain(reason)} Send the rows that show it to the label queue, "
                   f"correct their "
                   "answers, freeze a snapshot, and train again.", icon=":material/model_training:")


def _figures(picture: Picture, judged: dict[Measure, Judged]) -> None:
    untimed = f" {count(picture.untimed, 'row')} without a time are left out." if picture.untimed else ""
    st.caption(f"{count(picture.everything.rows, 'answer')} from {picture.since:%d %b %Y, %H:%M} to "
               f"{picture.until:%d %b %Y, %H:%M} UTC, with 95 % intervals.{untimed}")
    for box, measure in zip(st.columns(len(MEASURES)), MEASURES, strict=True):
        figure = picture.everything.figures[measure]
        with box.container(border=True, height="stretch"):
            st.caption(MEASURES[measure].title)
            st.markdown(f"**{written(figure, measure)}**")
            st.caption(f"{figure.n:,} {MEASURES[measure].counts}" if figure.n else "No row says it.")
            if one := judged.get(measure):
                icon, colour = STATES[one.state]
                most = "≤" if MEASURES[measure].better == "lower" else "≥"
                st.badge(f"{most} {targets.written(measure, one.target.bound)}: {targets.WORDS[one.state]}", icon=icon,
                         color=colour)  # type: ignore[arg-type]


def _over_time(picture: Picture, measure: Measure, judged: Judged | None) -> None:
    kind = MEASURES[measure]
    lines = picture.by_model_and_time if len(picture.by_model) > 1 else {"all": picture.by_time}
    rows = [{"at": one.at, "of": name or "no model", "value": figure.value, "low": figure.low, "high": min(figure.high, 1e9),
             "rows": figure.n, "said": written(figure, measure)}
            for name, groups in lines.items() for one in groups if (figure := one.figures[measure]).known]
    names = [one.name or "no model" for one in picture.by_model] if len(picture.by_model) > 1 else ["all"]
    colours = alt.Scale(domain=names, range=[charts.TUNED, *charts.LINES, charts.BASE][: len(names)])
    step = "hour" if picture.hours == 1 else "day"
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("at:T", title=f"by {step}, UTC"),
        color=alt.Color("of:N", scale=colours, title=None,
                        legend=alt.Legend(orient="top", labelLimit=260, symbolOpacity=1) if len(names) > 1 else None))
    axis = alt.Y("low:Q", title=_axis(measure), scale=alt.Scale(zero=False))
    tooltip = [alt.Tooltip("at:T", format="%d %b, %H:%M"), "of:N", alt.Tooltip("said:N", title=kind.title),
               alt.Tooltip("rows:Q", format=",")]
    parts = [base.mark_area(opacity=0.18).encode(y=axis, y2="high:Q"),
             base.mark_line(point=alt.OverlayMarkDef(filled=True, size=34)).encode(y="value:Q", tooltip=tooltip)]
    if judged:
        rule = alt.Chart(pd.DataFrame([{"bound": judged.target.bound}]))
        parts.append(rule.mark_rule(strokeDash=[6, 4], color=charts.WARNING, strokeWidth=2).encode(y="bound:Q"))
    wanted = f" (dashed: wanted, {targets.written(measure, judged.target.bound)})" if judged else ""
    title = alt.TitleParams(f"How does it move? {kind.title}{wanted}", anchor="start", frame="bounds")
    st.altair_chart(alt.layer(*parts).properties(title=title), width="stretch", height=charts.HEIGHT + 20,
                    alt=f"{kind.title} by {step} and model, with intervals")


def _axis(measure: Measure) -> str:
    return {"s": "seconds", "share": "share", "money": "cost of 1,000 answers"}[MEASURES[measure].unit]


def _by(groups: tuple[Group, ...], measure: Measure, title: str, column: str, judged: Judged | None) -> None:
    """One line a group, the most seen first; what lies on the wrong side of the target with its whole interval says so."""
    st.markdown(f"**{title}**")
    rows = []
    for one in groups[:SHOWN]:
        figure = one.figures[measure]
        worse = judged is not None and figure.known and targets.decide(judged.target, figure) == "missed"
        rows.append({column: one.name or f"no {column}", "answers": one.rows, MEASURES[measure].title: written(figure, measure),
                     "": "✗ off target" if worse else ""})
    st.dataframe(rows, hide_index=True, alt=f"{MEASURES[measure].title} {title.lower()}",
                 column_config=layout.numbers([MEASURES[measure].title]))


def _worst(ws: Workspace, picture: Picture, who: str) -> None:
    """What customers did not like, and one click that brings it back to the data."""
    ids = traffic.thumbs_down(ws, picture.since)
    st.subheader("Rated down, or failed", anchor=False)
    if not ids:
        st.caption("No answer of this time was rated down or failed, or all of them are records already.")
        return
    monitor_rows.table(traffic.every(ws, ids[:SHOWN]), "Answers that were rated down or failed, the newest first")
    st.caption(f"The newest {min(SHOWN, len(ids))} of {len(ids):,}{' or more' if len(ids) >= 500 else ''} that are no records "
               f"yet.")
    if session.may("curate"):
        monitor_rows.send(ws, ids, "rated down", who, "worst")


def _next(ws: Workspace, who: str) -> None:
    """The next tuned model is held against the one in production."""
    names = live.models(ws)
    if not names:
        return
    st.subheader("The next model against this one", anchor=False)
    now = production.chosen(ws)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("In production", names, layout.place(names, now) or 0, width=300)
        if chosen != now:
            production.choose(ws, chosen, who)
            st.rerun()
        address = production.comparison(ws)
        if address:
            layout.go("Evaluate the newest tuned model beside it", "pages/evaluate.py", address)
    if address is None:
        st.caption("No other model was tuned here yet.")
    elif "against" not in address:
        st.caption(f"No model of this workspace is called {layout.plain(now)}: add it as an endpoint on Models under that "
                   f"name, and it "
                   "answers the same test items.")


