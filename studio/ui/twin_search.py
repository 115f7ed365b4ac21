"""Searching for twins on the screen: what is compared and how, the moving search, what is new since, and the dial."""

from __future__ import annotations

import streamlit as st

from studio import duplicate_groups, duplicates, findings, records, runs, starts
from studio.duplicate_groups import Tally
from studio.duplicates import Search
from studio.runs import Run
from studio.ui import charts, layout, place_view, session, twin_cache
from studio.ui.formats import ago, count
from studio.workspace import Workspace

SIDE_NAMES = {"question": "Questions", "answer": "Answers", "both": "Whole conversations"}
SIDE_WORDS = {
    "question": "Compared is what the customer said, all turns of it.",
    "answer": "Compared is what the agent said, all turns of it.",
    "both": "Compared is the whole conversation, without the system prompt."}
NEAR, BY_MEANING, BY_TFIDF = "Nearly the same words", "The same meaning", "Shared words (TF-IDF)"
MEANINGS = {
    "": ("Not asked", "Word for word and nearly word for word only."),
    "tfidf": ("TF-IDF", "The offline fallback: it sees shared words, not meaning."),
    "model2vec": ("A model2vec model", "Quick on any machine; names the folder it lies in."),
    "transformer": ("A MiniLM model", "Slower and better; names the folder it lies in."),
    "endpoint": ("An endpoint", "Texts leave this machine.")}
LOWEST = {"near": 0.5, "meaning": 0.3}


def newest_search(ws: Workspace) -> tuple[str, Search | None]:
    """What is compared, its newest search, what is new since, and the button that starts one; a moving one with progress."""
    every = runs.every(ws, "dedupe")
    moving = bool(every and every[0].moving)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control("Compare", list(SIDE_NAMES), default="question", required=True, key="side",
                                    bind="query-params", format_func=SIDE_NAMES.__getitem__) or "question"
        found = duplicates.latest(ws, side)
        if found is not None:
            _how(found)
            if not moving:
                with st.popover("Search again", icon=":material/search:", type="primary" if found.changed else "secondary"):
                    _form(ws, side, "Search all records again", bool(found.changed))
    if moving:
        layout.live_run(ws, every[0].run_id, lambda run: _moving(ws, run, found is not None))
        return side, found
    if every and every[0].resumable:
        st.caption(f"The last search, of {SIDE_NAMES[every[0].spec['side']].lower()}:")
        layout.run_end(ws, every[0])
    if found is None:
        st.markdown(f"**{SIDE_NAMES[side]} were not compared yet.** {SIDE_WORDS[side]} A search finds exact copies and texts "
                    "of nearly the same words, and, if you like, of the same meaning. It shows them; it drops nothing.")
        _form(ws, side, "Search for twins", True)
    elif found.changed:
        st.warning(f"{count(found.changed, 'record')} came in, changed or went since this search of "
                   f"{ago(found.searched_at, ws.now())}. They are not in the groups below: search again.",
                   icon=":material/update:")
    if found is not None and side == "answer":
        st.caption(":material/info: One answer to many questions is often right, a macro for instance. Where records fall "
                   "here, their questions fall with them.")
    return side, found


def _how(found: Search) -> None:
    """What is the same to a search, what it found, and what it left out and why."""
    data = found.data
    with st.popover(f"{count(found.records, 'record')} compared", icon=":material/info:"):
        st.markdown(f"{SIDE_WORDS[found.side]} {runs.NORMALISATION}\n\n{runs.SHORT_TEXTS}")
        facts = [(data.get("copies"), "exact copy", "exact copies"), (data.get("near_pairs"), "near pair", ""),
                 (data.get("meaning_pairs"), "pair by meaning", "pairs by meaning"),
                 (data.get("empty"), "record without a word on this side", "records without a word on this side")]
        st.markdown("Found: " + ", ".join(count(number, one, many) for number, one, many in facts if number) + "."
                    if any(number for number, _, _ in facts) else "Found: nothing.")
        if (data.get("meaning_recall") or 1.0) < 1:
            st.markdown(f"By meaning about {data['meaning_recall']:.0%} of the pairs were found, measured on a sample."
                        .replace("%", " %"))
        if data.get("uncompared") or data.get("near_left_out") or data.get("meaning_left_out"):
            left = data.get("near_left_out", 0) + data.get("meaning_left_out", 0)
            st.markdown(f"{runs.CROWDS} Here {count(data.get('uncompared', 0), 'pair')} in crowds were not compared and "
                        f"{count(left, 'pair')} were not stored.")


def _form(ws: Workspace, side: str, label: str, primary: bool) -> None:
    """How meaning is measured, what that needs, and the button."""
    kind = st.radio("Meaning, measured with", list(MEANINGS), key=f"meaning-{side}", horizontal=True,
                    format_func=lambda key: MEANINGS[key][0])
    st.caption(MEANINGS[kind][1])
    ref = model = ""
    if kind in ("model2vec", "transformer"):
        ref = st.text_input("Folder of the model", key=f"model-folder-{side}", placeholder="/models/potion-base-8M",
                            help="It holds a config, a tokenizer and safetensors. Nothing is downloaded.")
    ready = kind in ("", "tfidf") or bool(ref.strip())
    if kind == "endpoint":
        ref = st.text_input("Base URL", key=f"endpoint-{side}", placeholder="https://api.example.com/v1")
        model = st.text_input("Its model", key=f"endpoint-model-{side}", placeholder="text-embedding-3-small",
                              help="The key is read from TUNEWRIGHT_EMBEDDINGS_KEY or OPENAI_API_KEY in the studio's "
                                   "environment and is stored nowhere.")
        ready = bool(ref.strip() and model.strip()) and _may_leave(ws, side, ref)
    place = place_view.choose(ws, f"search-{side}")
    if st.button(label, type="primary" if primary else "secondary", icon=":material/search:", disabled=not ready,
                 key=f"search-{side}"):
        with st.spinner("Writing the texts out for the search…"), layout.guarded(), runs.at(place):
            meaning = runs.Meaning(kind=kind, ref=ref.strip(), model=model.strip()) if kind else None  # type: ignore[arg-type]
            starts.search(ws, side, meaning)
            st.rerun()


def _may_leave(ws: Workspace, side: str, where: str) -> bool:
    """The warning before texts are sent somewhere; with open personal data among them, a box to tick."""
    gate = findings.privacy_gate(ws)
    parts = [f"{SIDE_NAMES[side]} of all {count(records.counts(ws).total, 'record')}, dropped ones too, are sent to "
             f"**{layout.plain(where)}**."]
    if gate.open_records:
        parts.append(f"{count(gate.open_records, 'record')} among them hold{'s' if gate.open_records == 1 else ''} open "
                     "privacy findings.")
    if gate.unchecked_records:
        were = "was" if gate.unchecked_records == 1 else "were"
        parts.append(f"{count(gate.unchecked_records, 'record')} {were} not checked for personal data as now worded.")
    st.warning(" ".join(parts), icon=":material/privacy_tip:")
    if gate.clear:
        return True
    layout.link("Show them on Clean", "pages/clean.py")
    return st.checkbox("I know, and want to send them all the same", key=f"send-{side}")


def _moving(ws: Workspace, run: Run, found: bool) -> None:
    st.markdown(f"**Comparing the {SIDE_NAMES[run.spec['side']].lower()}** of {count(run.spec['records'], 'record')}")
    layout.progress(run)
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.moving and st.button("Stop the search", icon=":material/stop_circle:", key=f"stop-{run.run_id}"):
            runs.stop(ws, run.run_id)
            st.toast("Asked to stop.")
        st.caption("What the search before found stays below meanwhile." if found else
                   "You can go on elsewhere meanwhile: the search goes on, even when the browser closes.", width="content")


def measured(search: Search) -> dict[str, str]:
    """What stands behind "0.84 alike", after what measured it."""
    meaning = search.data.get("meaning") or {}
    return {"near": "", "meaning": " by TF-IDF" if meaning.get("kind") == "tfidf" else " in meaning"}


def names(search: Search) -> dict[str, str]:
    """What each kind of twins is called, after what measured it."""
    meaning = search.data.get("meaning") or {}
    return {"near": NEAR, "meaning": BY_TFIDF if meaning.get("kind") == "tfidf" else BY_MEANING}


def dial(ws: Workspace, search: Search, tally: Tally) -> None:
    """A slider for each kind that was searched, what the groups hold now, and what would fall at other thresholds."""
    side, called = search.side, names(search)
    levels = duplicates.thresholds(ws, side)
    kinds = ["near", *(kind for kind in duplicate_groups.kinds(ws, side) if kind != "near")]
    with st.expander("How alike are twins?", icon=":material/tune:", expanded=True):
        left, right = st.columns([2, 3], gap="large")
    with left:
        for kind in kinds:
            _slider(ws, side, kind, called[kind], levels[kind])
        st.caption("Moving a dial groups anew at once. Nothing is searched again, and no decision changes.")
    st.markdown(f"**{count(tally.groups, 'group')}** of {count(tally.members, 'record')}: {tally.open:,} open, "
                f"{tally.settled:,} settled, {tally.dismissed:,} called no twins.")
    with right:
        shown = st.segmented_control("Chart of", kinds, default=kinds[0], required=True, key=f"chart-{side}",
                                     format_func=called.__getitem__) if len(kinds) > 1 else kinds[0]
        steps = twin_cache.steps(ws, side, shown or kinds[0])
        if steps:
            charts.thresholds({step.threshold: step.fall for step in steps}, levels[shown or kinds[0]])


def _slider(ws: Workspace, side: str, kind: str, name: str, now: float) -> None:
    key = f"dial-{side}-{kind}"
    st.session_state[key] = min(1.0, max(LOWEST[kind], now))  # what is stored goes before what this tab last showed

    def moved() -> None:
        with layout.guarded():
            duplicates.set_threshold(ws, side, kind, round(float(st.session_state[key]), 2), session.person())

    st.slider(f"{name}, from this similarity on", LOWEST[kind], 1.0, step=0.01, key=key, on_change=moved,
              help="1 is the same, 0 has nothing in common. Every pair from the lowest value on is stored: nothing is searched "
                   "again.")
