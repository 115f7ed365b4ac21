"""The studio's front door: theme, navigation, and one place where errors become words. Run with `streamlit run`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # Streamlit puts only this file's folder there
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from studio import forgetting, held, runs, search, watching  # noqa: E402
from studio.commands.frame import carry_out  # noqa: E402
from studio.ui import door, layout, session, sitemap, theme  # noqa: E402


def main() -> None:
    theme.apply()
    session.settle_memory()
    with layout.guarded():
        if not door.known():
            return
        mine = session.mine()
        if not door.invited(mine):
            return
        session.enter(mine)
        if not door.enter(session.core()):
            return
        ws = session.workspace()
        page = st.navigation(sitemap.sections(), expanded=True)
        sitemap.forward(page)
        if ws.person is None:
            session.ask_person()
        else:
            door.foot(ws)
        forgetting.go_on(ws.core)
        runs.collect(ws.core)
        search.keep_up(ws.core)
        watching.keep_up(ws.core)
        held.serve(ws.core, carry_out)
        with st.container():  # always there: a part of the page is known by its place, which must not move with the warnings
            for warning in ws.warnings:
                st.warning(layout.plain(warning))
        door.page(ws, page)


main()
