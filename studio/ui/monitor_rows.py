"""Rows of production on the screen: read one, choose some, send them to the people who label."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import runs, starts, traffic
from studio.ui import layout
from studio.ui.formats import count, excerpt
from studio.workspace import Row, Workspace

THUMBS = {1: "▲ up", 0: "neutral", -1: "▼ down", None: ""}
SUCCESS = {True: "yes", False: "no", None: ""}


def one(ws: Workspace, row_id: str) -> None:
    """A single row, opened from a table."""
    found = traffic.every(ws, [row_id])
    if not found:
        st.warning("This row is not here any more: its log was taken out, or somebody asked to be forgotten.")
    for row in found:
        when = f"{row['happened_at']:%d %b %Y, %H:%M} UTC" if row["happened_at"] else ""
        took = f"{row['latency_s']:.2f} s" if row["latency_s"] is not None else ""
        said = (f"Row {row['row_id']}", row["model"], row["slice"], when, took, THUMBS[row["rating"]])
        st.caption(layout.plain(" · ".join(filter(None, said))))
        layout.conversation(traffic.conversation(row) or [{"role": "user", "content": row["question"]}])
        if row["record_id"]:
            layout.link("Its record", "pages/curate.py", {"record": row["record_id"]})
    if st.button("Back to production"):
        st.query_params.pop("row", None)
        st.rerun()


def table(rows: Sequence[Row], title: str) -> None:
    """Rows as a table, each with a link to itself."""
    taken = any(row["record_id"] for row in rows)
    st.dataframe(
        [{"row": layout.address(f"/monitor?row={row['row_id']}"), "when": row["happened_at"], "model": row["model"],
          "slice": row["slice"], "customer": excerpt(row["question"]), "model said": excerpt(row["answer"]),
          "thumb": THUMBS[row["rating"]], "success": SUCCESS[row["success"]],
          "latency": f"{row['latency_s']:.2f} s" if row["latency_s"] is not None else ""}
         | ({"record": layout.record_address(row["record_id"]) if row["record_id"] else None} if taken else {})
         for row in rows],
        hide_index=True, alt=title, column_config={
            "row": st.column_config.LinkColumn("row", display_text=r"row=(.{6})", help="Read the whole conversation"),
            "customer": st.column_config.TextColumn(width="medium"), "model said": st.column_config.TextColumn(width="medium"),
            "when": st.column_config.DatetimeColumn(format="D MMM, HH:mm"), "record": layout.record_column(),
            "latency": st.column_config.TextColumn(alignment="right")})


def send(ws: Workspace, row_ids: Sequence[str], why: str, who: str, key: str) -> None:
    """One click makes them records; then what comes next, privacy first."""
    if st.button(f"Send {count(len(row_ids), 'row')} to the label queue", icon=":material/label:", key=f"send-{key}",
                 disabled=not row_ids, type="primary"):
        done = traffic.to_queue(ws, row_ids, why, who)
        st.session_state["queued"] = (f"{count(done.new, 'record is', 'records are')} new, {done.already:,} were records "
                                      f"already, "
                                      f"{done.unusable:,} lack a question or an answer.")
        st.rerun()


def queued(ws: Workspace) -> None:
    """After rows were sent: what they are now, and the two things to do with them."""
    if (said := st.session_state.get("queued")) is None:
        return
    st.success(f"**{said}** They are unchecked, and no snapshot takes one before somebody keeps it or rewrites its answer.",
               icon=":material/check:")
    checks = [run for run in runs.every(ws, "check") if run.moving]
    with st.container(horizontal=True):
        if checks:
            st.caption("A check is running already.")
        elif st.button("Check them for personal data first", type="primary", icon=":material/shield_person:"):
            starts.check(ws)
            del st.session_state["queued"]
            layout.open_page("pages/clean.py", {})
        layout.go("Label them", "pages/label.py", {"import": traffic.SOURCE_NAME})
        if st.button("Done here"):
            del st.session_state["queued"]
            st.rerun()
