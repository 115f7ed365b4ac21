"""Let candidates answer the same test items, and say what the numbers allow: is the tuned model better, where, at what cost."""

import streamlit as st

from studio import models, runs
from studio.ui import (
    answers_view,
    compare_view,
    costs_view,
    evaluation_form,
    judge_view,
    layout,
    metric_view,
    report_view,
    session,
    verdict_view,
    where_view,
)

VIEWS = {"start": "Start", "verdict": "Verdict", "where": "Where", "answers": "Answers", "scores": "Scores", "judge": "Judge",
         "cost": "Cost", "compare": "Compare", "report": "Report"}

RIGHTS = dict.fromkeys(VIEWS, "read") | {"start": "run", "scores": "run", "judge": "run", "report": "export"}

ws = session.workspace()
layout.header(ws, "Evaluate", "Same test items, same decoding, paired differences with 95 % intervals.", "proven")
tuned, done = models.tuned(ws), runs.every(ws, "evaluate")
if not tuned and not done:
    layout.empty("An evaluation compares a tuned model with its base, and with a base that has a good prompt. "
                 "No model was tuned yet.", "Launch a training run", "pages/launch.py")
    st.stop()

session.turned("view")
fresh = (not done or "model" in st.query_params) and session.may("run")
if not done and not fresh:
    layout.empty("An evaluation compares a tuned model with its base. None was made yet; a curator starts one.")
    st.stop()
view = st.segmented_control("View", session.within(RIGHTS) if done else ["start"], default="start" if fresh else "verdict",
                            required=True, key="view", bind="query-params", format_func=VIEWS.__getitem__,
                            label_visibility="collapsed")
if view == "start":
    with layout.guarded():
        evaluation_form.draw(ws)
elif view == "compare":
    compare_view.draw(ws)
else:
    chosen = verdict_view.choose_run(ws, done)
    layout.live_run(ws, chosen.run_id, lambda run: verdict_view.watch(ws, run))
    if chosen.state == "done":
        drawn = {"verdict": verdict_view, "where": where_view, "answers": answers_view, "scores": metric_view,
                 "judge": judge_view, "cost": costs_view, "report": report_view}
        with layout.guarded():
            drawn[view].draw(ws, chosen)
