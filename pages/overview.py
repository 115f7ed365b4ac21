"""Where this workspace stands, stage by stage, and the one next thing to do."""

import streamlit as st

from studio import intake, loop, records, rivals, runs, verdict_words
from studio.ui import evaluate_cache, layout, session, sitemap
from studio.ui.formats import count

ws = session.workspace()
layout.header(ws, "Overview", "From a pile of support tickets to a tuned model you can prove is better.")
if not session.may("read"):
    layout.empty("A review session is blind here: judge your pairs. Data and results are shown once it is revealed.",
                 "Open the sessions", "pages/review.py")
    st.stop()

counted, step = records.counts(ws), loop.next_step(ws)
recent, proven = runs.every(ws)[:6], runs.proven(ws)


def first_steps() -> None:
    own, sample = st.columns(2, gap="medium")
    with own.container(border=True, height="stretch"):
        st.subheader("Your own tickets", anchor=False)
        st.markdown("A CSV, Excel, JSON or Parquet file with one column of customer messages and one of answers. Ratings, "
                    "ticket ids and tags are used when it has them. The file stays on this machine.")
        layout.go("Import your file", "pages/import_tickets.py", primary=True)
    with sample.container(border=True, height="stretch"):
        st.subheader("The sample", anchor=False)
        st.markdown("About 650 made-up tickets of a made-up shop: threads, ratings, near-twins, bad rows, and answers "
                    "with a style worth learning. Good for a first walk through every page.")
        if st.button("Open the sample"):
            report = intake.import_sample(ws)
            layout.open_page("pages/import_tickets.py", {"import": report.import_id})


def latest_verdict() -> None:
    run = proven[0]
    roles, judged = rivals.roles(run), rivals.judged(run)
    with st.container(border=True), layout.guarded():
        st.subheader("Latest verdict", anchor=False)
        for one in evaluate_cache.verdicts(ws, run, judged):
            st.markdown(f"**{verdict_words.headline(one.first, roles[judged], roles[one.rival])}.** "
                        f"{layout.plain(verdict_words.numbers(one.first, roles[judged], roles[one.rival]))}")
        layout.link("Open the answers behind it", "pages/evaluate.py", {"run": run.run_id})


if not counted.total and session.may("curate"):
    first_steps()
else:
    left, right = st.columns([3, 2], gap="large")
    with left:
        if sitemap.reaches(step.page_path):
            with st.container(border=True):
                st.subheader("Next", anchor=False)
                st.markdown(layout.plain(step.sentence))
                layout.go(step.button, step.page_path, primary=True)
        if proven:
            latest_verdict()
        st.markdown(f"{count(counted.total, 'record')}: {counted.keep:,} kept, {counted.drop:,} dropped, "
                    f"{counted.undecided:,} undecided, {counted.edited:,} edited.")
    with right:
        st.subheader("Runs", anchor=False)
        for run in recent:
            layout.run_line(ws, run)
        if not recent:
            st.caption("None yet. Training and evaluation show up here, running or ended.")
