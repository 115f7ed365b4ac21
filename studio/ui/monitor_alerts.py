"""Targets, alerts and webhooks on the screen."""

from __future__ import annotations

import streamlit as st

from studio import alerts, live, targets, traffic, watching, webhooks
from studio.alerts import Alert
from studio.live import MEASURES
from studio.ui import layout, monitor_rows
from studio.ui.formats import ago, interval
from studio.workspace import Workspace

ALL = "all"


def draw(ws: Workspace, who: str) -> None:
    """One alert where the address names it, else targets, alerts and where they are told."""
    monitor_rows.queued(ws)
    if "alert" in st.query_params:
        _one(ws, alerts.get(ws, st.query_params["alert"]), who)
        if st.button("Back to targets and alerts"):
            st.query_params.pop("alert", None)
            st.rerun()
        return
    st.subheader("Targets", anchor=False)
    _targets(ws, who)
    st.subheader("Alerts", anchor=False)
    _alerts(ws)
    st.subheader("Told elsewhere", anchor=False)
    _hooks(ws, who)


def _one(ws: Workspace, alert: Alert, who: str) -> None:
    st.subheader("Alert", anchor=False)
    show = st.error if alert.open else st.info
    show(f"**{layout.plain(alert.sentence)}**\n\n{layout.plain(alert.reason)}",
         icon=":material/notifications_active:" if alert.open else ":material/notifications_paused:")
    over = f", over {ago(alert.over_at, ws.now())}" if alert.over_at else ", not over"
    note = f": {layout.plain(alert.note)}" if alert.note else ""
    seen = f" Seen by {layout.plain(alert.seen_by)}{note}." if alert.seen_by else ""
    st.caption(f"Opened {ago(alert.opened_at, ws.now())}{over}.{seen}")
    rows = traffic.every(ws, alert.row_ids)
    if rows:
        st.markdown("**Rows that show it**")
        monitor_rows.table(rows, "Rows that show the alert")
        monitor_rows.send(ws, [row["row_id"] for row in rows if not row["record_id"]],
                          "drifted" if alert.kind == "drift" else "target missed", who, alert.alert_id)
    elif alert.row_ids:
        st.caption("The rows that showed it are not here any more.")
    if not alert.seen_by:
        with st.form("seen", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
            note = st.text_input("Note", placeholder="what is being done about it", max_chars=1000, width=420)
            if st.form_submit_button("I have seen it", type="primary", icon=":material/visibility:"):
                alerts.acknowledge(ws, alert.alert_id, note, who)
                st.rerun()


def _targets(ws: Workspace, who: str) -> None:
    found = targets.judged(ws)
    if found:
        st.dataframe([{"target": one.target.words, "it is": interval(one.figure.value, one.figure.low, one.figure.high,
                       MEASURES[one.target.measure].digits) if one.figure.known else "not known", "rows": one.figure.n,
                       "": {"missed": "✗ ", "met": "✓ "}.get(one.state, "") + targets.WORDS[one.state],
                       "over": f"{one.target.hours:g} h", "set by": one.target.who} for one in found], hide_index=True,
                     column_config=layout.numbers(["it is"]), alt="Targets and whether they are met")
    else:
        st.caption("No target is set. A target says what production should be: 95 of 100 answers within 2 s (p95), say.")
    st.caption("A target is missed when the whole 99 % interval lies on its wrong side, over the newest hours of the logs and "
               "at least "
               "as many rows as it asks for. A model exactly as good as wanted is called worse in about one of 200 looks.")
    with st.expander("Set or take back a target", icon=":material/flag:", expanded=not found):
        _form(ws, who)


def _form(ws: Workspace, who: str) -> None:
    measure = st.selectbox("Measure", list(MEASURES), index=1, format_func=lambda one: MEASURES[one].title, width=300)
    share = MEASURES[measure].unit == "share"
    with st.form("target", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            word = "At most" if MEASURES[measure].better == "lower" else "At least"
            unit = {"share": "share, 0 to 1", "s": "seconds", "money": "for 1,000 answers"}[MEASURES[measure].unit]
            bound = st.number_input(f"{word} ({unit})", 0.0, 0.999 if share else None, targets.STARTING[measure],
                                    0.05 if share else 0.1, width=190, key=f"bound-{measure}")
            model = st.selectbox("Of model", [ALL, *live.models(ws)], width=210)
            part = st.selectbox("Of slice", [ALL, *live.slices(ws)], width=210)
            hours = st.number_input("Over the newest hours", 1.0, 24.0 * 366, 24.0, format="%g", width=180)
            least = st.number_input("Rows at least", 20, 1_000_000, targets.LEAST, width=140)
        with st.container(horizontal=True):
            said = st.form_submit_button("Set this target", type="primary")
            gone = st.form_submit_button("Take it back")
    if said or gone:
        targets.say(ws, measure, None if gone else bound, who, "" if model == ALL else model,
                    "" if part == ALL else part, int(least), hours)
        watching.after(ws)
        st.rerun()


def _alerts(ws: Workspace) -> None:
    found = alerts.every(ws)
    if not found:
        st.caption("There was none. Targets are judged whenever logs come in.")
        return
    st.dataframe([{"alert": layout.address(f"/monitor?alert={one.alert_id}"), "what": one.sentence,
                   "opened": ago(one.opened_at, ws.now()),
                   "over": ago(one.over_at, ws.now()) if one.over_at else "● open", "seen by": one.seen_by} for one in found],
                 hide_index=True, alt="Alerts, open ones first", column_config={
                     "alert": st.column_config.LinkColumn("alert", display_text="open", help="What shows it")})


def _hooks(ws: Workspace, who: str) -> None:
    st.caption("A webhook gets figures and row ids, never a text. It goes to https, or to this machine; no redirect is "
               "followed.")
    for hook in webhooks.every(ws):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(layout.plain(hook.name))
            if st.button("Take it off", key=f"hook-{hook.hook_id}"):
                webhooks.remove(ws, hook, who)
                st.rerun()
    with st.form("hook", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        address = st.text_input("Address, or the environment variable that holds it", width=460,
                                placeholder="https://example.com/alerts or TUNEWRIGHT_ALERT_HOOK")
        if st.form_submit_button("Tell alerts there"):
            webhooks.add(ws, address, who)
            st.rerun()
    if calls := webhooks.calls(ws, 5):
        st.dataframe([{"when": ago(one.called_at, ws.now()), "alert": one.alert_id, "": one.outcome, "how it went": one.words,
                       "tries": one.tries} for one in calls], hide_index=True, alt="The newest calls of webhooks")
