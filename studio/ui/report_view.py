"""The report on the screen: what goes in, two ways to take it along, and the whole of it to read."""

from __future__ import annotations

from functools import partial

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
        for label, said, form, kind in (("Download as HTML", page, "html", "text/html"),
                                        ("Download as Markdown", text, "md", "text/markdown")):
            st.download_button(label, partial(report.take_out, ws, run.run_id, said), report.file_name(made, form), kind,
                               icon=":material/download:", type="primary" if form == "html" else "secondary",
                               on_click="ignore")
    with st.container(border=True, height=640, key="tw-report"):
        st.markdown(text)
