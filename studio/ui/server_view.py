"""The parts of the Server page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from studio import backups, folders, forgetting, health
from studio.backups import Backup, Plan
from studio.ui import layout, session
from studio.ui.formats import ago, count, size
from studio.workspace import Workspace

OLD = timedelta(days=7)
HOSTS = "STUDIO_HOSTS"


def columns() -> list[DeltaGenerator]:
    return st.columns([3, 2], gap="large")


def newest(ws: Workspace, known: Sequence[Backup], plan: Plan | None) -> None:
    """The last backup and its age; what is wrong where there is none, or an old one."""
    st.subheader("Backups", anchor=False)
    last = next((one for one in known if one.there), None)
    if known and known[0].problem:
        st.error(f"**The backup {ago(known[0].taken_at, ws.now())} failed.** {layout.plain(known[0].problem)}",
                 icon=":material/error:")
    if last is None:
        st.warning("**There is no backup of this workspace.** Labels and decisions cannot be made again by a machine.",
                   icon=":material/warning:")
        return
    words = f"**Last backup {ago(last.taken_at, ws.now())}:** {size(last.bytes)}, {layout.plain(last.path)}"
    late = timedelta(hours=2 * plan.hours) if plan else OLD
    if ws.now() - last.taken_at > late:
        st.warning(f"{words}. That is long ago.", icon=":material/warning:")
    else:
        st.success(words, icon=":material/check:")


def take(ws: Workspace, known: Sequence[Backup], plan: Plan | None, who: str) -> None:
    """Take one now, while everybody works on."""
    going = backups.doing(ws)
    if going is not None and not going.over:
        layout.refresh_while(True, lambda: _progress(ws), 0.5)
        return
    folder = st.text_input("Folder for backups", value=_folder(ws, known, plan), max_chars=400, key="backup-folder",
                           help="On the machine that the studio runs on; best on another disk than the workspace.")
    with st.container(horizontal=True, vertical_alignment="center"):
        models = st.checkbox("Base models too", key="backup-models", help="They can be made again; adapters are always in it.")
        if st.button("Back up now", type="primary", icon=":material/archive:"):
            with layout.guarded():
                backups.begin(ws, folder, who, models)
                st.rerun()
    st.caption("People go on labelling meanwhile. A backup is of one moment, read back byte by byte, and for its owner's eyes "
               "alone: it holds your customers' words. `tunewright restore` makes a workspace from it.")


def listed(ws: Workspace, known: Sequence[Backup]) -> None:
    """Those that are there, with how many people were forgotten since: they are still in them."""
    there = [one for one in known if one.there]
    if not there:
        return
    gone = forgetting.every(ws)
    rows = [{"taken": ago(one.taken_at, ws.now()), "by": one.who, "size": size(one.bytes), "files": one.files,
             "last act": one.journal, "forgotten since": sum(done.said_at >= one.taken_at for done in gone),
             "file": one.path.rpartition("/")[2]}
            for one in there]
    st.dataframe(rows, hide_index=True, alt="Backups that are there", column_config=layout.numbers(["size"]))
    if held := sum(bool(row["forgotten since"]) for row in rows):
        st.warning(f"**{count(held, 'backup holds', 'backups hold')} people who were forgotten since.** Delete those files "
                   "where they lie, and every copy of them.", icon=":material/person_remove:")


def still_held(ws: Workspace, held: Sequence[Backup]) -> None:
    """After somebody was forgotten: the backups that still hold them, by file."""
    if held:
        st.warning(f"**{count(len(held), 'backup still holds', 'backups still hold')} them.** Delete these files, and every "
                   "copy of them, or they come back with a restore:\n\n"
                   + "\n".join(f"- {layout.plain(one.path)}" for one in held), icon=":material/archive:")


def schedule(ws: Workspace, known: Sequence[Backup], plan: Plan | None, who: str) -> None:
    """Every so many hours, by itself."""
    st.subheader("By itself", anchor=False)
    due = backups.due(ws)
    if plan and due:
        when = "now" if due <= ws.now() else ago(ws.now() - (due - ws.now()), ws.now()).replace(" ago", "")
        st.markdown(f"Every {plan.hours:g} hours into {layout.plain(plan.folder)}; the newest {plan.kept} stay. "
                    f"Next: {when if when == 'now' else f'in {when}'}.")
        if st.button("Take none by itself"):
            backups.no_more(ws, who)
            st.rerun()
        return
    with st.form("backup-plan", border=True):
        folder = st.text_input("Folder", value=_folder(ws, known, plan), max_chars=400)
        hours = st.number_input("Hours between two", 1, int(backups.MOST_HOURS), 24)
        kept = st.number_input("How many stay", 1, backups.MOST_KEPT, 7)
        if st.form_submit_button("Back up by itself", icon=":material/schedule:"):
            with layout.guarded():
                backups.every_hours(ws, folder, float(hours), int(kept), who)
                st.rerun()


def workspaces(ws: Workspace) -> None:
    """The workspaces of this server, and a new one."""
    st.subheader("Workspaces", anchor=False)
    st.markdown("\n".join(f"- {layout.plain(name)}{' (this one)' if name == folders.name_of(ws) else ''}"
                          for name in session.mine()))
    with st.form("new-workspace", border=True, clear_on_submit=True):
        name = st.text_input("Name of a new one", max_chars=40, placeholder="returns-desk")
        if st.form_submit_button("Make this workspace", icon=":material/add:"):
            with layout.guarded():
                made = folders.make(ws, name)
                st.success(f"**{layout.plain(made)} is made.** Open it in the list at the left.", icon=":material/check:")


def reached() -> None:
    """How people reach this studio, and what it uses."""
    st.subheader("This server", anchor=False)
    hosts = ", ".join(filter(None, os.environ.get(HOSTS, "").split(",")))
    facts = [f"Reached as {layout.plain(hosts)}" if hosts else
             "For this machine alone: docs/server.md says how to start it for others",
             f"Files up to {st.get_option('server.maxUploadSize'):,} MB are taken"]
    facts += [f"It uses {size(used)} of memory"] if (used := health.memory()) else []
    st.markdown("\n".join(f"- {fact}" for fact in facts))


def _progress(ws: Workspace) -> None:
    going = backups.doing(ws)
    if going is None or going.over:
        st.rerun()
    else:
        st.progress(going.share, text="Backing up; everybody works on…")


def _folder(ws: Workspace, known: Sequence[Backup], plan: Plan | None) -> str:
    """Where backups went last; beside the workspace where there is none yet."""
    if plan:
        return plan.folder
    last = next((one.path for one in known if not one.problem), "")
    return last.rpartition("/")[0] or str(ws.root.with_name(f"{ws.root.name}-backups"))
