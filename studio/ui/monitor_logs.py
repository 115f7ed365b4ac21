"""Logs on the screen: bring files in, watch folders, receive rows, and what became of every line."""

from __future__ import annotations

from typing import Any

import streamlit as st

from studio import log_arrivals, logs, receiving, watching
from studio.log_arrivals import Coming
from studio.log_columns import ROLES, SHAPES
from studio.logs import Report
from studio.ui import layout, session
from studio.ui.formats import ago, count, excerpt
from studio.workspace import Workspace

MAIN = ("messages", "question", "answer", "time", "model", "latency", "end", "rating", "success", "cost", "slice")
SUFFIXES = ("jsonl", "ndjson", "json", "log", "csv", "tsv", "parquet", "pq", "txt")
NOWHERE = "not in this log"
HOW = {"upload": "uploaded", "path": "from a path", "folder": "from a watched folder", "endpoint": "received"}


def draw(ws: Workspace, who: str) -> None:
    """What is on its way, the three ways in, and what was read."""
    if coming := log_arrivals.find(ws, st.query_params.get("log", "")):
        _coming(ws, coming, who)
    else:
        if not logs.sources(ws, 1):
            layout.empty("See here what production says of the model: latency, thumbs, success and cost against your "
                         "targets, by model and slice. Bring logs in first, in one of three ways.")
        _ways_in(ws, who)
    _read(ws)


def _ways_in(ws: Workspace, who: str) -> None:
    files, folder, post = st.tabs([":material/upload_file: Files", ":material/folder_eye: A folder that is watched",
                                   ":material/outbox: POST"])
    with files, layout.guarded():
        _files(ws)
    with folder, layout.guarded():
        _folders(ws, who)
    with post, layout.guarded():
        _endpoint(ws)


def _files(ws: Workspace) -> None:
    st.caption("JSONL, CSV or Parquet: request and response records as OpenAI, vLLM and LiteLLM write them, or plain columns. "
               "The "
               "same file, or the same rows in another one, add nothing.")
    given = st.file_uploader("A log", type=list(SUFFIXES), key="log-file")
    with st.form("log-path", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        path = st.text_input("Or a path on this machine", placeholder="/var/log/llm/2026-11.jsonl", width=460)
        opened = st.form_submit_button("Look at it")
    if given is not None:
        _to(log_arrivals.receive(ws, given.name, given.getbuffer()))
    if opened:
        _to(log_arrivals.open_path(ws, path))


def _to(coming: Coming) -> None:
    st.query_params["log"] = coming.token
    st.rerun()


def _coming(ws: Workspace, coming: Coming, who: str) -> None:
    """One log on its way, in the state it is in."""
    st.subheader(layout.plain(coming.seen.name), anchor=False)
    if coming.state == "reading":
        layout.refresh_while(True, lambda: _progress(ws, coming), 0.5)
        return
    if coming.state == "done":
        for report in coming.reports:
            _became(report)
        if st.button("See production", type="primary"):
            _leave(ws, coming)
            session.turn_to("view", "production")
        if st.button("Bring in another log"):
            _leave(ws, coming)
            st.rerun()
        return
    if coming.error is not None:
        layout.error(coming.error)
    _choices(coming)
    with st.container(horizontal=True):
        more = f" and {count(len(coming.paths) - 1, 'file')} more" if len(coming.paths) > 1 else ""
        if st.button(f"Read it in{more}", type="primary", icon=":material/download:"):
            log_arrivals.begin(ws, coming, who)
            coming.finished.wait(0.3)
            st.rerun()
        if st.button("Not this one"):
            _leave(ws, coming)
            st.rerun()


def _progress(ws: Workspace, coming: Coming) -> None:
    if coming.state != "reading":
        st.rerun()
    st.progress(min(1.0, coming.share), text=layout.plain(f"{coming.sentence}…"))
    if st.button("Stop reading"):
        log_arrivals.discard(ws, coming)
        st.rerun()


def _leave(ws: Workspace, coming: Coming) -> None:
    log_arrivals.discard(ws, coming)
    st.query_params.pop("log", None)


def _choices(coming: Coming) -> None:
    """Where each thing stands, to be corrected before anything is read."""
    found = coming.seen.found
    st.markdown(f"It looks like **{SHAPES[found.shape]}**" + (", read as somebody chose before." if found.said else "."))
    labels = [NOWHERE, *found.leaves]
    with st.expander("What stands where", icon=":material/schema:", expanded=found.shape == "rows"):
        for start in range(0, len(ROLES), 3):
            for box, role in zip(st.columns(3), list(ROLES)[start : start + 3], strict=False):
                here = (found.roles[role] or (None,))[0]
                chosen = box.selectbox(ROLES[role], labels, layout.place(labels, here) or 0, key=f"role-{coming.token}-{role}")
                if chosen != (here or NOWHERE):
                    log_arrivals.choose(coming, role, None if chosen == NOWHERE else chosen)
        if found.roles["latency"] and found.milliseconds:
            st.caption("Its latency is read as milliseconds.")
    st.dataframe(_head(coming), hide_index=True, alt="How the first rows are read")


def _head(coming: Coming) -> list[dict[str, Any]]:
    """The first values of every role that was found."""
    found = coming.seen.found
    shown = {role: found.places(role)[0].examples for role in MAIN if found.places(role)}
    return [{ROLES[role]: excerpt(cells[place], 60) if place < len(cells) else "" for role, cells in shown.items()}
            for place in range(5)]


def _became(report: Report) -> None:
    if report.same:
        st.info(f"**{layout.plain(report.name)} was read before:** it adds nothing.", icon=":material/done_all:")
        return
    later = f" {count(report.told_later, 'earlier row')} got a rating or a success." if report.told_later else ""
    st.success(f"**{layout.plain(report.name)}:** {count(report.rows_in, 'row')}, of which {report.rows_added:,} are new, "
               f"{report.rows_already:,} were here and {report.rows_refused:,} could not be read.{later}",
               icon=":material/check:")


def _folders(ws: Workspace, who: str) -> None:
    st.caption("While the studio runs, it looks every two seconds whether something came: new files, and new lines of files "
               "that "
               "grow.")
    for folder in watching.folders(ws):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{layout.plain(folder.path)}** · {count(folder.files, 'file')} read")
            if st.button("Stop watching", key=f"unwatch-{folder.folder_id}"):
                watching.unwatch(ws, folder, who)
                st.rerun()
        for name, problem in folder.problems[:5]:
            st.warning(f"{layout.plain(name)}: {layout.plain(problem)}", icon=":material/warning:")
    with st.form("watch", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        path = st.text_input("Folder", placeholder="/var/log/llm", width=460)
        if st.form_submit_button("Watch this folder"):
            watching.watch(ws, path, who)
            st.rerun()


def _endpoint(ws: Workspace) -> None:
    run = receiving.newest(ws)
    if run is not None and run.moving:
        layout.live_run(ws, run.run_id, lambda now: layout.watch(ws, now, "rows are taken by POST", "Stop receiving"))
        address = receiving.address(run) or f"http://127.0.0.1:{receiving.PORT}/logs"
        st.code(f"curl -X POST {address} -H \"Authorization: Bearer ${receiving.TOKEN}\" \\\n"
                "  -H 'Content-Type: application/x-ndjson' --data-binary @rows.jsonl", language="bash")
        st.caption("One JSON object a line, or a list of objects as application/json. 200 means that the rows are on the disk.")
    else:
        if run is not None and run.state != "done":
            layout.run_end(ws, run)
        st.caption(f"A small server of its own takes rows while it runs, also while the studio is down. The token is read "
                   f"from the "
                   f"environment variable {receiving.TOKEN}.")
        with st.form("receive", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
            host = st.selectbox("Who may reach it", list(receiving.HOSTS), format_func=receiving.HOSTS.__getitem__, width=330)
            port = st.number_input("Port", 1, 65_535, receiving.PORT, width=130)
            if st.form_submit_button("Start receiving", type="primary"):
                receiving.start(ws, int(port), host)
                st.rerun()
    if left := receiving.unread(ws):
        st.warning(f"{count(len(left), 'file')} with received rows hold no log of a model; they lie in "
                   f"{layout.plain(str(left[0].parent))}.", icon=":material/warning:")


def _read(ws: Workspace) -> None:
    found = logs.sources(ws)
    if not found:
        return
    st.subheader("Read so far", anchor=False)
    st.dataframe([{"log": one.name, "shape": SHAPES[one.shape], "how": HOW[one.how], "when": ago(one.read_at, ws.now()),  # type: ignore[index]
                   "rows": one.rows_in, "new": one.rows_added, "here before": one.rows_already, "refused": one.rows_refused,
                   "by": one.who} for one in found], hide_index=True, alt="Logs that were read, the newest first")
    if bad := [one for one in found if one.rows_refused]:
        with st.expander(f"Lines that were refused: {sum(one.rows_refused for one in bad):,}", icon=":material/rule:"):
            chosen = st.selectbox("Log", bad, format_func=lambda one: f"{one.name} · {count(one.rows_refused, 'line')}")
            st.dataframe(logs.refused(ws, chosen.source_id), hide_index=True, alt="Refused lines with their reason")
            if chosen.rows_refused > logs.LISTED:
                st.caption(f"The first {logs.LISTED:,} are listed.")
    with st.expander("Take a log out again", icon=":material/undo:"):
        one = st.selectbox("Which one", found, key="take-out",
                           format_func=lambda one: f"{one.name} · {ago(one.read_at, ws.now())}")
        st.caption("Its rows go, and the file can be read again in another way. Records that were made of them stay.")
        if st.button(f"Take out {count(one.rows_added, 'row')}"):
            logs.take_out(ws, one.source_id)
            st.rerun()
