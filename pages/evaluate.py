"""Let base and tuned answer the same test items, and say what the numbers allow."""

import streamlit as st

from studio import candidates, models, runs, scores, snapshots, starts
from studio.runs import Run
from studio.ui import charts, layout, session
from studio.ui.formats import ago, count, interval, signed

PAGE = 20

ws = session.workspace()
layout.header(ws, "Evaluate", "Same test items, same decoding, paired differences with 95 % intervals.", "proven")
tuned, done = models.tuned(ws), runs.every(ws, "evaluate")
if not tuned:
    layout.empty("An evaluation compares a tuned model with its base. No model was tuned yet.",
                 "Launch a training run", "pages/launch.py")
    st.stop()


def start_new() -> None:
    ids = [model.model_id for model in tuned]
    model = st.selectbox("Tuned model", tuned, index=layout.place(ids, st.query_params.get("model")) or 0,
                         format_func=lambda m: m.name)
    own = runs.get(ws, model.run_id).snapshot_id
    frozen = sorted(snapshots.every(ws), key=lambda s: s.snapshot_id != own)
    snapshot = st.selectbox("Test items of", frozen, key=f"of-{own}",
                            format_func=lambda s: f"{s.name} · {count(s.test, 'test item')}")
    if snapshot.snapshot_id != own:
        st.warning("This is not the snapshot the model was trained on: some of these test items may have been in its "
                   "training data.")
    tokens = st.number_input("Longest answer, tokens", 16, 2048, 150, width=200, help="Answers that reach it are counted.")
    if st.button("Start evaluation", type="primary", icon=":material/play_arrow:"):
        chosen, decoding = candidates.default_set(ws, model, snapshot), starts.Decoding(max_new_tokens=int(tokens))
        st.query_params.from_dict({"run": starts.evaluation(ws, snapshot, chosen, decoding, probes=False)})
        st.rerun()


def watch(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        layout.state_badge(run)
        st.markdown(f"started {ago(run.started_at, ws.now())}, attempt {run.attempt}")
    if run.moving:
        layout.progress(run)
        if st.button("Stop, keeping the answers so far", key=f"stop-{run.run_id}"):
            runs.stop(ws, run.run_id)
    elif run.state != "done":
        layout.run_end(ws, run)
        layout.log(ws, run)


def verdict(run: Run) -> None:
    (base, base_name), (best, best_name) = ((c.candidate_id, c.name) for c in runs.candidates(run)[:2])
    compared = scores.compare(ws, run.run_id, base, best)
    first = compared[0]
    st.subheader(f"{scores.NAMES[first.metric]}: {first.word}", anchor=False)
    st.markdown(f"Base **{interval(*first.a.parts)}**, tuned **{interval(*first.b.parts)}**, difference "
                f"**{signed(*first.difference.parts)}** on {count(first.items, 'test item')}.")
    if first.items < scores.MIN_ITEMS:
        st.caption(f"Fewer than {scores.MIN_ITEMS} test items cannot carry a verdict, whatever they say.")
    st.caption(f"Base: {layout.plain(base_name)}. Tuned: {layout.plain(best_name)}.")
    rows = [{"metric": scores.NAMES[c.metric], "base": interval(*c.a.parts, 3), "tuned": interval(*c.b.parts, 3),
             "difference": signed(*c.difference.parts, 3), "verdict": c.word} for c in compared]
    with layout.guarded():
        rows = without_suspicious(run, base, best, rows)
    st.dataframe(rows, hide_index=True, alt="Scores of base and tuned with intervals")
    charts.intervals([{"metric": scores.NAMES[c.metric], "value": c.difference.value, "low": c.difference.low,
                       "high": c.difference.high, "word": c.word} for c in compared])
    cut = scores.cut_answers(ws, run.run_id)
    if any(cut.values()):
        st.warning(f"Answers that stopped at the token limit: base {cut.get(base, 0)}, tuned {cut.get(best, 0)}. "
                   "A longer limit would show whether their scores change.")
    layout.go("Review the answers blind", "pages/review.py", {"run": run.run_id}, primary=True)
    answers(run, base, best)


def without_suspicious(run: Run, base: str, best: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Each score once more without the test items that resemble a line of train."""
    leaking = scores.suspicious(ws, run.run_id)
    if not leaking:
        return rows
    rest = scores.compare(ws, run.run_id, base, best, leaking)
    st.markdown(f":material/difference: Without {count(len(leaking), 'suspicious item')}: difference "
                f"**{signed(*rest[0].difference.parts)}**, {rest[0].word}. They resemble a line of train.")
    layout.link("Read them on Snapshots", "pages/snapshots.py", {"snapshot": run.snapshot_id})
    without = [{"without suspicious": signed(*c.difference.parts, 3), "verdict without": c.word} for c in rest]
    return [row | more for row, more in zip(rows, without, strict=True)]


def answers(run: Run, base: str, best: str) -> None:
    metric = st.segmented_control("Sorted by", scores.metrics(ws, run.run_id), required=True,
                                  default=scores.metrics(ws, run.run_id)[0], format_func=scores.NAMES.__getitem__)
    found = scores.items(ws, run.run_id, base, best, metric)
    charts.differences([item.difference for item in found], scores.NAMES[metric])
    wanted = st.segmented_control("Show items won by", ["all", "tuned", "base", "tie"], default="all", required=True,
                                  format_func=lambda who: f"{who} {sum(who in ('all', item.winner) for item in found)}")
    shown = [item for item in found if wanted in ("all", item.winner)]
    page = st.number_input("Page", 1, max(1, -(-len(shown) // PAGE)), 1, width=120) if len(shown) > PAGE else 1
    for item in shown[(page - 1) * PAGE : page * PAGE]:
        layout.answer_pair(item)


fresh = not done or "model" in st.query_params
with st.expander("Start an evaluation", expanded=fresh, icon=":material/add:"), layout.guarded():
    start_new()
if done:
    places = [run.run_id for run in done]
    chosen = st.selectbox("Evaluation", done, index=layout.place(places, st.query_params.get("run")) or 0,
                          format_func=lambda r: f"{r.title} · {r.state} · {ago(r.started_at, ws.now())}")
    layout.live_run(ws, chosen.run_id, watch)
    if chosen.state == "done":
        verdict(chosen)
