"""Read two answers side by side without knowing whose they are, and say which is better."""

import streamlit as st

from studio import reviews, rivals, runs, verdict_words
from studio.components import desk
from studio.reviews import Session
from studio.ui import layout, session, verdict_view
from studio.ui.formats import ago, interval, share

ws = session.workspace()
layout.header(ws, "Review", "Blind: which answer is whose stays on the server until you end the session.", "proven")
proven, held = runs.proven(ws), reviews.sessions(ws)
if not proven:
    layout.empty("A review needs two models' answers to the same questions: an evaluation that is done.",
                 "Evaluate a model", "pages/evaluate.py")
    st.stop()


def start_new() -> None:
    ids = [run.run_id for run in proven]
    run = st.selectbox("Answers of", proven, index=layout.place(ids, st.query_params.get("run")) or 0,
                       format_func=lambda r: f"Evaluation {ago(r.started_at, ws.now())} · {r.run_id}")
    first, second = verdict_view.choose_pair(run)
    available = reviews.available(ws, run.run_id)
    limit = st.number_input("Pairs to judge", 1, available, min(20, available), width=180,
                            help="Drawn at random from the test items.")
    if st.button("Start a blind session", type="primary"):
        st.query_params.from_dict({"session": reviews.start(ws, run.run_id, first, second, session.person(), int(limit))})
        st.rerun()


def blind(held_now: Session) -> None:
    desk.review(ws, held_now.session_id, session.person())
    with st.expander("End the session and see whose answers they were", icon=":material/visibility:"):
        st.markdown("From then on the session takes no more verdicts. Pairs you did not judge stay out of the count.")
        if st.button("End and reveal", key="reveal"):
            reviews.reveal(ws, held_now.session_id, session.person())
            st.rerun()


def revealed(held_now: Session) -> None:
    judged = reviews.judged(ws, held_now.session_id)
    tally = reviews.tally(judged)
    roles = rivals.roles(runs.get(ws, held_now.run_id))
    names = [roles.get(one, "another") for one in reviews.models_of(ws, held_now.session_id)]
    won_words = {"all": "all", "b": f"{names[1]} better", "a": f"{names[0]} better", "tie": "tie", "both_bad": "both bad"}
    st.subheader(reviews.word_for(tally, *map(verdict_words.noun, names)), anchor=False)
    st.markdown(f"{verdict_words.noun(names[1]).capitalize()} was better in "
                f"**{share(tally.b_wins, tally.a_wins + tally.b_wins)}** of the decided pairs, 95 % interval "
                f"{interval(*tally.b_share.parts)}. Ties {tally.ties}, both bad {tally.both_bad}.")
    counted = {key: sum(key in ("all", pair.winner) for pair in judged) for key in won_words}
    won = st.segmented_control("Verdicts", list(won_words), default="all", required=True,
                               format_func=lambda key: f"{won_words[key]} {counted[key]}")
    for pair in judged:
        if won in ("all", pair.winner):
            layout.judged_pair(pair, won_words[pair.winner], *names)


with st.expander("Start a session", expanded=not held or "run" in st.query_params, icon=":material/add:"), layout.guarded():
    start_new()
if held:
    ids = [one.session_id for one in held]
    chosen = st.selectbox("Session", held, index=layout.place(ids, st.query_params.get("session")) or 0,
                          format_func=lambda s: f"{s.who} · {s.done} of {s.items} judged · {ago(s.started_at, ws.now())}"
                          + (" · revealed" if s.revealed else " · blind"))
    if chosen.revealed:
        revealed(chosen)
    else:
        blind(chosen)
