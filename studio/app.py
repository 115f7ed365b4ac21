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
from studio.ui import layout, session, sitemap, theme  # noqa: E402


def main() -> None:
    theme.apply()
    page = st.navigation(sitemap.sections(), expanded=True)
    sitemap.forward(page)
    session.ask_person()
    session.settle_memory()
    with layout.guarded():
        ws = session.workspace()
        forgetting.go_on(ws)
        runs.collect(ws)
        search.keep_up(ws)
        watching.keep_up(ws)
        held.serve(ws, carry_out)
        for warning in ws.warnings:
            st.warning(layout.plain(warning))
        page.run()


main()
