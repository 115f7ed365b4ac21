"""Starting an evaluation: who answers, what the verdict will speak of, how answers are made. All of it chosen beforehand."""

from __future__ import annotations

from typing import Any

import streamlit as st

from studio import candidates, metrics, models, prompts, runs, snapshots, starts
from studio.candidates import Chosen
from studio.models import Model
from studio.snapshots import Snapshot
from studio.starts import Decoding
from studio.ui import evaluate_cache, layout, place_view, session
from studio.ui.formats import count, share
from studio.workspace import Workspace

WAYS = {"greedy": "Greedy: the likeliest words, the same each time", "samples": "Several samples an item, drawn with a seed"}
WRITTEN = "The one written for this snapshot"
PRIMARY = ("", "rougeL", "chrf", "accuracy", "macro_f1", "exact_match", "field_accuracy", "json_valid")


def draw(ws: Workspace) -> None:
    """The whole form; starting opens the run."""
    judged, snapshot = _what(ws)
    st.subheader("Who answers", anchor=False)
    chosen = _chosen(ws, judged, snapshot)
    st.subheader("What the verdict speaks of", anchor=False)
    primary = st.selectbox("Primary metric, chosen before anything is seen", PRIMARY, width=340, key="primary",
                           format_func=lambda one: metrics.title(one) if one else "What suits the answers",
                           help="Accuracy where the answers are labels, right fields where they are JSON, else ROUGE-L. All "
                           "other metrics are measured as well and stand beside it as support.")
    decoding = _decoding()
    probes = st.checkbox("Also ask the general suite: was anything forgotten?", True, key="probes",
                         help="About forty short questions of our own on knowledge, arithmetic, form and refusals.")
    st.divider()
    there, wanted = evaluate_cache.already(ws, snapshot, chosen, decoding, probes)
    st.markdown(f"**{count(len(chosen), 'candidate')}** × **{count(snapshot.test, 'test item')}**"
                + (" and the general suite" if probes else "") + f": {count(wanted, 'answer')}, the same items and the same "
                f"decoding for all. **{share(there, wanted)}** are there from earlier evaluations and are not made again.")
    place = place_view.choose(ws, "evaluate")
    if st.button("Start evaluation", type="primary", icon=":material/play_arrow:", disabled=len(chosen) < 2):
        with runs.at(place):
            run_id = starts.evaluation(ws, snapshot, chosen, decoding, primary=primary, probes=probes)
        st.query_params.pop("model", None)
        st.query_params.pop("against", None)
        st.query_params["run"] = run_id
        session.turn_to("view", "verdict")
    if len(chosen) < 2:
        st.caption("Choose at least two: a comparison needs somebody to be compared with.")


def _what(ws: Workspace) -> tuple[Model, Snapshot]:
    """The model that is judged, and whose test items it answers; its own snapshot comes first."""
    tuned = models.tuned(ws) or models.answering(ws)
    ids = [model.model_id for model in tuned]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox("Model to judge", tuned, index=layout.place(ids, st.query_params.get("model")) or 0,
                             width=420, format_func=lambda one: one.name)
        own = runs.get(ws, model.run_id).snapshot_id if model.run_id else ""
        frozen = sorted(snapshots.every(ws), key=lambda one: one.snapshot_id != own)
        snapshot = st.selectbox("Test items of", frozen, key=f"of-{own}", width=420,
                                format_func=lambda one: f"{one.name} · {count(one.test, 'test item')}")
    if own and snapshot.snapshot_id != own:
        st.warning("This is not the snapshot the model was trained on: some of these test items may have been in its training "
                   "data.")
    return model, snapshot


def _chosen(ws: Workspace, judged: Model, snapshot: Snapshot) -> list[Chosen]:
    """The base as it is first, then with a prompt and with examples, further models, and who is judged last."""
    base = models.base_of(ws, judged)
    found: list[Chosen] = []
    if st.checkbox(f"The base as it is: {layout.plain(base.name)}", True, key="with-base"):
        found.append(Chosen(base))
    if st.checkbox("The base with a good system prompt", True, key="with-prompt",
                   help="A good prompt is the rival that a tuned model must beat: it costs nothing to train."):
        found.append(_prompted(ws, base, snapshot))
    if st.checkbox("The base with examples from train before each question", False, key="with-examples"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            number = st.number_input("Examples", 1, 32, 4, width=130)
            choice: Any = st.segmented_control("Which ones", ["nearest", "diverse"], default="nearest", required=True,
                                               help="The most similar to each question, or one varied set for all.")
        found.append(Chosen(base, shots=candidates.few_shot(snapshot, int(number), choice)))
    others = [one for one in (*models.answering(ws), *candidates.checkpoints(ws, judged))
              if one.model_id not in (base.model_id, judged.model_id)]
    against = [one for one in others if one.model_id == st.query_params.get("against")]
    more = st.multiselect("Further models, checkpoints and endpoints", others, against, key="further",
                          format_func=lambda one: one.name, placeholder="none", disabled=not others)
    found += [Chosen(one) for one in more]
    st.markdown(f":material/check_box: Judged: **{layout.plain(judged.name)}**")
    return [*found, Chosen(judged)]


def _prompted(ws: Workspace, base: Model, snapshot: Snapshot) -> Chosen:
    """The base with a prompt that can be edited, saved and chosen again."""
    saved = {one.name: one.text for one in prompts.every(ws)}
    with st.container(border=True):
        name = str(st.selectbox("System prompt", [WRITTEN, *saved], width=340, key="prompt"))
        text = st.text_area("Its words", saved.get(name) or candidates.default_prompt(ws, snapshot), height=170,
                            key=f"prompt-{snapshot.snapshot_id}-{name}", max_chars=prompts.LONGEST_TEXT,
                            help="Written from train alone. Test items must not shape it.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            title = st.text_input("Save it as", "" if name == WRITTEN else name, max_chars=prompts.LONGEST_NAME, width=260)
            if st.button("Save prompt", disabled=not title.strip(), icon=":material/save:"):
                prompts.save(ws, title, text, session.person())
                st.rerun()
    return Chosen(base, text.strip(), prompt_name="written prompt" if name == WRITTEN else name)


def _decoding() -> Decoding:
    with st.expander("How answers are made", icon=":material/tune:"):
        tokens = int(st.number_input("Longest answer, tokens", 16, 4096, 150, width=200,
                                     help="Answers that reach it are counted."))
        way = st.radio("Words are chosen", list(WAYS), format_func=WAYS.__getitem__)
        if way == "greedy":
            return Decoding(max_new_tokens=tokens)
        with st.container(horizontal=True):
            samples = int(st.number_input("Samples an item", 1, 32, 3, width=150))
            temperature = float(st.number_input("Temperature", 0.1, 2.0, 0.8, 0.1, width=150))
            seed = int(st.number_input("Seed", 0, 2**31 - 1, 1234, width=150))
        return Decoding(max_new_tokens=tokens, samples=samples, temperature=temperature, seed=seed)
