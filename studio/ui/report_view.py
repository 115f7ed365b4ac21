"""The report on the screen: what goes in, two ways to take it along, and the whole of it to read."""

from __future__ import annotations

import streamlit as st

from studio import report, report_text
from studio.runs import Run
from studio.ui import evaluate_cache, verdict_view
from studio.workspace import Workspace


def draw(ws: Workspace, run: Run) -> None:
    st.markdown("For somebody who has no studio: one file that loads nothing, with the verdict, the numbers, and what is not "
                "known.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        judged = verdict_view.choose_judged(run)
        examples = int(st.number_input("Losses and wins as texts, each", 0, 20, 0, width=220,
                                       help="These are your customers' words. 0 leaves them out."))
    if examples:
        st.warning("The report will hold texts of customers. Send it only to those who may read them.")
    made = report.gather(ws, run, evaluate_cache.grid(ws, run), judged, examples)
    page, text = report_text.as_html(made), report_text.as_markdown(made)
    with st.container(horizontal=True):
        st.download_button("Download as HTML", page, report.file_name(made, "html"), "text/html", icon=":material/download:",
                           type="primary", on_click="ignore")
        st.download_button("Download as Markdown", text, report.file_name(made, "md"), "text/markdown",
                           icon=":material/download:", on_click="ignore")
    with st.container(border=True, height=640, key="tw-report"):
        st.markdown(text)
