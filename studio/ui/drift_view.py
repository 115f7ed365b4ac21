"""Drift on the screen: a check, what it found in a sentence, the topics with their rows, and every number it rests on."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import drifts, live, production, runs, snapshots, traffic
from studio.drifts import Comparison, Found, Topic
from studio.runs import Run
from studio.ui import drift_charts, layout, monitor_rows, place_view
from studio.ui.formats import ago, count, excerpt
from studio.workspace import Row, Workspace

ALL, NOTHING, SHOWN, AT_ONCE = "all models", "only the weeks before", 5, 25
VIEW = "Drift"
AGAINST = {"training": "the training data", "before": "the weeks before"}
PARTS = {"classifier": "A classifier tells them apart (AUC, 0.5: not at all)",
         "distance": "Distance in meaning (energy distance)", "clusters": "Largest change of a topic's share (standard errors)",
         "lengths": "Lengths (largest gap of shares)", "languages": "Languages (standard errors)",
         "refusals": "Answers that decline (standard errors)"}
KINDS = {"new": ("New", ":material/new_releases:"), "more": ("More", ":material/trending_up:"),
         "less": ("Less", ":material/trending_down:")}


def draw(ws: Workspace, who: str) -> None:
    """The rows behind one number where the address names it, else the newest check."""
    monitor_rows.queued(ws)
    every = runs.every(ws, "drift")
    found = drifts.newest(ws)
    if found is not None and "drift" in st.query_params:
        _behind(ws, found, st.query_params["drift"], who)
        return
    moving = bool(every and every[0].moving)
    if moving:
        layout.live_run(ws, every[0].run_id, lambda run: layout.watch(ws, run, run.title, "Stop this check"))
    elif every and every[0].state != "done":
        layout.run_end(ws, every[0])
    if found is None and not moving:
        st.markdown("**Are today's questions still what the model was trained on?** A check holds the newest questions against "
                    "the training data and against the weeks before. Its thresholds come from your own data, shuffled, so that "
                    "it stays quiet where nothing changed.")
    if not moving:
        with st.expander("Check again" if found else "Check for drift", icon=":material/compare_arrows:", expanded=not found):
            _form(ws)
    if found is not None:
        _found(ws, found, every, who)


def finished(run: Run) -> None:
    """Where to go on from a check that is done, on the page Runs."""
    layout.go("Open what drifted" if drifts.found(run).drifted else "Open what was measured", "pages/monitor.py",
              {"view": VIEW}, primary=True)


def _form(ws: Workspace) -> None:
    names, known = [ALL, *live.models(ws)], snapshots.every(ws)
    model = st.selectbox("Questions to", names, layout.place(names, production.chosen(ws)) or 0, width=300, key="drift-model")
    usual = drifts.reference(ws, "" if model == ALL else model)
    titles = {one.snapshot_id: f"{one.name} ({one.train:,} examples)" for one in known} | {"": NOTHING}
    place = layout.place(list(titles), usual.snapshot_id if usual else "")
    at = place_view.choose(ws, "drift")
    with st.form("drift", border=False), runs.at(at), st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Held against", list(titles), place or 0, format_func=titles.__getitem__, width=300,
                              help="The train part of a snapshot: what the model learned from.")
        days = st.number_input("Newest days", 1, 90, int(drifts.DAYS), width=130)
        weeks = st.number_input("Such times before", 0, 12, drifts.WEEKS, width=160)
        if st.form_submit_button("Check for drift", type="primary"):
            drifts.start(ws, snapshots.get(ws, chosen) if chosen else None, "" if model == ALL else model, days, int(weeks))
            st.rerun()
    st.caption("Afterwards it is checked again by itself, whenever as long a time of new questions has come in.")


def _found(ws: Workspace, found: Found, every: Sequence[Run], who: str) -> None:
    if found.drifted:
        st.error(f"**{layout.plain(found.sentence)}**\n\n{layout.plain(found.advice)}", icon=":material/error:")
    else:
        st.success(f"**{layout.plain(found.sentence)}**", icon=":material/check_circle:")
    run = next(one for one in every if one.run_id == found.run_id)
    looked, rows = found.data["looked_at"], found.data["rows"]
    part = f"{looked['now']:,} of " if looked["now"] < rows["now"] else ""
    st.caption(f"{part}{count(rows['now'], 'question')} to {layout.plain(found.model or ALL)}, from {found.since:%d %b %Y} to "
               f"{found.until:%d %b %Y, %H:%M} UTC. Checked {ago(run.started_at, ws.now())}.")
    for place, topic in enumerate(_listed(found)):
        _topic(ws, topic, place, who)
    if not found.topics:
        for place, comparison in enumerate(found.parts):
            if comparison.drifted:
                _unlike(ws, comparison, place, who)
    drift_charts.weeks(found)
    _measured(found)


def _listed(found: Found) -> list[Topic]:
    return [*found.topics, *(topic for part in found.parts for topic in part.topics if topic.kind == "less")]


def _topic(ws: Workspace, topic: Topic, place: int, who: str) -> None:
    """One topic: how large it is, a few of its rows, and one click that brings all of them back to the data."""
    word, icon = KINDS[topic.kind]
    with st.container(border=True):
        about = ", ".join(topic.words) or "no word of its own"
        kind = "" if topic.what == "questions" else " in the answers"
        st.markdown(f"{icon} **{word}{kind}: {layout.plain(about)}**")
        st.markdown(f"{_percent(topic.share)} of today's {topic.what}, {_percent(topic.before)} of {AGAINST[topic.against]}.")
        if topic.records:
            st.caption("Records of the training data that fewer people ask like now:")
            for record_id in topic.row_ids[:SHOWN]:
                layout.link(f"Record {record_id[:8]}", "pages/curate.py", {"record": record_id})
            return
        _table(traffic.every(ws, topic.row_ids[:SHOWN]), f"Rows about {about}")
        _acts(ws, topic.row_ids, f"topic-{place}", who, send=topic.kind != "less")


def _table(rows: Sequence[Row], title: str) -> None:
    """What was asked first: a phone shows no more."""
    st.dataframe([{"customer": excerpt(row["question"]), "model said": excerpt(row["answer"]), "when": row["happened_at"],
                   "row": f"/monitor?row={row['row_id']}"} for row in rows], hide_index=True, alt=title, column_config={
                       "when": st.column_config.DatetimeColumn(format="D MMM, HH:mm"),
                       "row": st.column_config.LinkColumn("row", display_text=r"row=(.{6})", help="Read all of it")})


def _unlike(ws: Workspace, comparison: Comparison, place: int, who: str) -> None:
    with st.container(border=True):
        st.markdown(f"**{comparison.what.capitalize()} least like those of {AGAINST[comparison.against]}**")
        _table(traffic.every(ws, comparison.unlike[:SHOWN]), f"{comparison.what} that look least like before")
        _acts(ws, comparison.unlike, f"unlike-{place}", who)


def _acts(ws: Workspace, ids: Sequence[str], name: str, who: str, send: bool = True) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if send:
            fresh = [row["row_id"] for row in traffic.every(ws, ids) if not row["record_id"]]
            monitor_rows.send(ws, fresh, "drifted", who, name)
        layout.go(f"Read all {count(len(ids), 'row')}", "pages/monitor.py", {"view": VIEW, "drift": name})


def _behind(ws: Workspace, found: Found, name: str, who: str) -> None:
    """The rows behind a number: of a topic, of a language, of answers that decline, of a comparison."""
    title, ids = rows_of(found, name)
    st.subheader(title, anchor=False)
    rows = traffic.every(ws, ids)
    if rows:
        monitor_rows.table(layout.page_of(rows, AT_ONCE, name), title)
        monitor_rows.send(ws, [row["row_id"] for row in rows if not row["record_id"]], "drifted", who, name)
    else:
        st.caption("There are no rows behind it, or they are not here any more.")
    if st.button("Back to the check"):
        st.query_params.pop("drift", None)
        st.rerun()


def rows_of(found: Found, name: str) -> tuple[str, tuple[str, ...]]:
    """What a number is called and the rows behind it; of a number there is none of, no rows."""
    kind, _, which = name.partition("-")
    topics = _listed(found)
    if kind == "topic" and which.isdigit() and int(which) < len(topics):
        return f"{topics[int(which)].what.capitalize()} about {', '.join(topics[int(which)].words)}", topics[int(which)].row_ids
    if kind == "unlike" and which.isdigit() and int(which) < len(found.parts):
        part = found.parts[int(which)]
        return f"{part.what.capitalize()} least like those of {AGAINST[part.against]}", part.unlike
    if kind == "refusals":
        return "Answers that decline", tuple(found.data["refusals"]["row_ids"])
    told = next((one for one in found.data["languages"] if kind == "language" and one["language"] == which), None)
    return f"Questions in {which}", tuple(told["row_ids"]) if told else ()


def _measured(found: Found) -> None:
    """Every comparison with all its parts, then what the times are like."""
    st.subheader("What was measured", anchor=False)
    st.dataframe([{
        "compared": f"{one.what} with {AGAINST[one.against]}", "": "✗ drifted" if one.drifted else "✓ alike",
        "told apart (AUC)": "{:.2f} [{:.2f}, {:.2f}]".format(*one.auc), "chance where nothing changed": _chance(one.adjusted),
        "today": one.now, "before": one.then, "rows": f"/monitor?view={VIEW}&drift=unlike-{place}"}
        for place, one in enumerate(found.parts)], hide_index=True, alt="Comparisons", column_config={
            **layout.numbers(["told apart (AUC)", "chance where nothing changed"]),
            "rows": st.column_config.LinkColumn(display_text="least alike")})
    st.caption(f"A check alarms where this chance, corrected for all parts and comparisons, is at most "
               f"{_percent(found.data['level'])}: questions that did not change alarm no more often than that.")
    if (families := max((one.in_families for one in found.parts), default=0)) > 0:
        st.caption(f"About {_percent(families)} of the texts came in families of near-identical ones, as when a customer asks "
                   "again. A family counts as one, so that it alarms nobody.")
    with st.expander("All parts, with their thresholds", icon=":material/rule:"):
        st.dataframe([{"compared": f"{one.what} with {AGAINST[one.against]}", "by": PARTS[part.name],
                       "value": f"{part.value:.3f}", "alarms above": f"{part.threshold:.3f}", "chance": _chance(part.p_value)}
                      for one in found.parts for part in one.parts], hide_index=True, alt="All parts",
                     column_config=layout.numbers(["value", "alarms above", "chance"]))
        st.caption("Thresholds come from the same texts with shuffled labels: 1 % of shuffles pass one of them.")
    _times(found)


def _times(found: Found) -> None:
    """Lengths, languages, refusals: today, before and in the training data."""
    data, times = found.data, {"now": "today", "before": "the weeks before", "training": "the training data"}
    there = [name for name in times if name in data["lengths"]["questions"]]
    rows: list[Row] = [{"what": f"Words of {side}, median [middle half]", **{
        times[name]: "{1:.0f} [{0:.0f}, {2:.0f}]".format(*data["lengths"][side][name]) for name in there}, "rows": ""}
        for side in ("questions", "answers")]
    rows += [{"what": f"Questions in {one['language']}", **{times[name]: _percent(one[name]) for name in there},
              "rows": f"/monitor?view={VIEW}&drift=language-{one['language']}"} for one in data["languages"]]
    rows.append({"what": "Answers that decline", **{times[name]: _percent(data["refusals"][name]) for name in there},
                 "rows": f"/monitor?view={VIEW}&drift=refusals"})
    st.dataframe(rows, hide_index=True, alt="Lengths, languages and refusals by time", column_config={
        **layout.numbers([times[name] for name in there]), "rows": st.column_config.LinkColumn(display_text="today's rows")})
    st.caption("Short questions whose language cannot be told are in no language's share.")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _chance(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
