"""Making a snapshot on the screen: the recipe, what it would do, and the gate that lines resembling train must pass."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from studio import inspections, intake, leaks, made, models, records, runs, word_diff
from studio.leaks import Checked, Leak
from studio.models import Ready
from studio.planning import Plan
from studio.records import Counts, Turns
from studio.runs import Meaning, Run
from studio.snapshots import SPLITS, Recipe, Stratify
from studio.ui import layout, place_view, session
from studio.ui.formats import count
from studio.workspace import Workspace

SHOWN = 8
_WAYS: dict[Stratify, str] = {"none": "nothing", "tag": "tag", "source": "import"}
_MEANINGS = {"": "no", "tfidf": "TF-IDF, no model", "model2vec": "a model2vec model", "transformer": "a sentence transformer",
             "endpoint": "an endpoint"}
_WHERE = {"model2vec": "Its folder", "transformer": "Its folder", "endpoint": "Its base URL"}
_TIES = {"question": "ask the same question", "twins": "are twins", "thread": "belong to the same ticket",
         "customer": "come from the same customer"}


def choose(ws: Workspace, counted: Counts) -> Recipe:
    """Everything that decides which record goes where."""
    with st.container(horizontal=True):
        validation = st.number_input("Validation, %", 1, 45, 10, width=140, help="Watched during training, never learned.")
        test = st.number_input("Test, %", 1, 45, 10, width=140, help="Kept away from training; the verdict rests on it.")
        seed = st.number_input("Seed", 0, 2**31 - 1, 1234, width=140, help="Another seed, another split.")
        likely: Stratify = "tag" if records.tags(ws) else "source" if len(intake.imports(ws)) > 1 else "none"
        ways: list[Stratify] = list(_WAYS)
        by_time = st.session_state.get("by-time", False)
        stratify = st.selectbox("Equal shares of each", ways, index=ways.index(likely), format_func=_WAYS.__getitem__,
                                width=170, disabled=by_time,
                                help="Every tag, or every import, gives its share to train, validation and test.")
    by_time = st.toggle("Train on the past, test on the future", key="by-time",
                        help="The newest records are tested on, those before validated on; what has no date goes to train.")
    with st.container(horizontal=True):
        twins = st.checkbox("Twins stay together", value=True, help="Groups that a search on the Twins page found.")
        threads = st.checkbox("Records of one ticket stay together", value=True)
        customers = st.checkbox("Records of one customer stay together", help="By the name and the e-mail address columns.")
    only_kept = st.checkbox(
        f"Only records marked keep ({counted.keep:,}); otherwise all that nobody dropped ({counted.usable:,})")
    most = 100
    if made.some(ws):
        most = int(st.number_input("Synthetic examples at most, %", 0, 99, 30, width=240,
                                   help="Of all lines. What a model wrote goes to train alone: it is no test of a model."))
    return Recipe(validation / 100, test / 100, int(seed), only_kept, None, "none" if by_time else stratify, by_time,
                  twins, threads, customers, most / 100)


def choose_base(ws: Workspace) -> Ready | None:
    """Which base model's chat template is pinned; nothing is asked while there is no choice."""
    ready = models.ready(ws)
    if not ready:
        st.caption(":material/info: No base model is ready on this machine yet, so no chat template is pinned.")
        return None
    if len(ready) == 1:
        return ready[0]
    return st.selectbox("Made for", ready, format_func=lambda one: one.name, width=380,
                        help="Its chat template and tokenizer are pinned: training another base says so.")


def planned(found: Plan) -> None:
    """What would be written, what stays together, and what is left out."""
    parts = ", ".join(f"**{len(found.splits[split]):,} {split}**" for split in SPLITS)
    st.markdown(f"{count(found.eligible, 'record')} → {parts}. {count(found.identical, 'word-for-word repeat')} left out.")
    ties = [f"{number:,} {_TIES[kind]}" for kind, number in found.ties.items() if number]
    division = found.division
    if ties:
        st.caption(f"Held together: {', '.join(ties)}; {count(division.held, 'group')}, the largest of {division.largest:,}.")
    else:
        st.caption("Records that ask the same question stay in one part; no two do.")
    if found.too_synthetic:
        st.caption(f"{count(found.too_synthetic, 'synthetic record')} left out: the recipe allows no more.")
    if division.tied:
        st.caption("Tied by people: " + ", ".join(f"{number:,} to {part}" for part, number in division.tied.items())
                   + ", with what hangs together with them.")
    if division.largest * 5 > found.eligible - found.identical > 20:
        st.warning(f"One group of {division.largest:,} records belongs together: more than a fifth of all. Perhaps a name such "
                   "as “Customer” stands for many, or a low threshold on Twins joins too much.")
    if found.recipe.twins and not found.searched:
        st.caption(":material/info: Twins were not searched for yet, so only word-for-word questions are known to be the same.")
    if found.recipe.by_time:
        begins = ", ".join(f"{name} from {at:%Y-%m-%d}" for name, at in sorted(division.begins.items(), reverse=True))
        st.caption(f"By time: {begins}. {count(division.undated, 'record')} without a date "
                   f"{'goes' if division.undated == 1 else 'go'} to train.")


def leak_gate(ws: Workspace, found: Plan) -> Checked | None:
    """The check for leaks of just this plan: started, watched, decided about. None while nobody has looked."""
    moving = next((run for run in runs.every(ws, "inspect") if run.moving and run.spec["plan"]), None)
    if moving is not None:
        if moving.spec["plan"] != found.sha256:
            st.caption("This check is of another plan than the one above.")
        layout.live_run(ws, moving.run_id, lambda run: watch(ws, run))
        return None
    checked = leaks.of_plan(ws, found.sha256)
    if checked is None:
        _unchecked(ws, found)
        return None
    open_ones, out, let_in = checked.open, len(checked.said("quarantine")), len(checked.said("accept"))
    if not checked.leaks:
        st.success(_clean(checked), icon=":material/verified:")
    elif open_ones:
        st.warning(f"**{count(open_ones, 'line')} of validation and test "
                   f"{'resembles' if open_ones == 1 else 'resemble'} train.** Decide about each, or about all at once.",
                   icon=":material/difference:")
    else:
        st.success(f"Checked for leaks: {count(out, 'line')} quarantined, {let_in:,} accepted.", icon=":material/verified:")
    if checked.leaks:
        _decide(ws, found, checked)
    return checked


def watch(ws: Workspace, run: Run) -> None:
    """A moving check with its end in sight, or how it ended."""
    if not run.moving:
        layout.run_end(ws, run)
        return
    layout.progress(run)
    if st.button("Stop the check", icon=":material/stop_circle:", key=f"stop-{run.run_id}"):
        runs.stop(ws, run.run_id)
        st.toast("Asked to stop.")


def how_to_match(key: str) -> tuple[float, Meaning | None]:
    """From which similarity on a line is a leak, and whether meaning counts too."""
    with st.popover("How alike is too alike", icon=":material/tune:"):
        floor = st.slider("Near twins from this similarity on", 0.5, 1.0, inspections.NEAR_FLOOR, 0.05, key=f"floor-{key}",
                          help="Share of three-word sequences that two questions have in common.")
        kind = st.selectbox("Match by meaning too", list(_MEANINGS), format_func=_MEANINGS.__getitem__, key=f"meaning-{key}")
        ref = st.text_input(_WHERE[kind], key=f"ref-{key}") if kind in _WHERE else ""
        name = st.text_input("Name of its model", key=f"model-{key}") if kind == "endpoint" else ""
        if kind == "tfidf":
            st.caption("Without a model, meaning is judged by shared rare words: paraphrases in other words are not seen.")
        if kind == "endpoint":
            st.caption("The texts of the lines are sent there; its key is read from the environment.")
    return floor, _meaning(kind, ref.strip(), name.strip())


def _meaning(kind: str, ref: str, model: str) -> Meaning | None:
    kinds: dict[str, Literal["tfidf", "model2vec", "transformer", "endpoint"]] = {
        "tfidf": "tfidf", "model2vec": "model2vec", "transformer": "transformer", "endpoint": "endpoint"}
    return Meaning(kind=kinds[kind], ref=ref, model=model) if kind in kinds else None


def _unchecked(ws: Workspace, found: Plan) -> None:
    newest = next((run for run in runs.every(ws, "inspect") if run.spec["plan"] == found.sha256), None)
    if newest is not None and newest.state != "done":
        layout.run_end(ws, newest)
    st.markdown("Before a snapshot is whole, its validation and test lines are held against train: a line that stands on both "
                "sides fakes the result.")
    place = place_view.choose(ws, "leaks-plan")
    with st.container(horizontal=True, vertical_alignment="center"):
        floor, meaning = how_to_match("plan")
        if st.button("Check for leaks", type="primary", icon=":material/difference:"):
            with runs.at(place), st.spinner("Writing the planned lines out for the check…"):
                inspections.of_plan(ws, found.recipe, floor, meaning)
            st.rerun()


def _clean(checked: Checked) -> str:
    looked = sum(number for split, number in checked.data["lines"].items() if split != "train")
    return f"Checked for leaks: none of {looked:,} lines of validation and test resembles train."


def _decide(ws: Workspace, found: Plan, checked: Checked) -> None:
    who = session.person()
    waiting = [leak.item_id for leak in checked.leaks if not leak.decision]
    everything = [leak.item_id for leak in checked.leaks]
    meant, word = (waiting, "open") if waiting else (everything, "decided")
    with st.container(horizontal=True):
        if st.button(f"Quarantine all {len(meant):,} {word}", type="primary" if waiting else "secondary",
                     help="They are left out of this snapshot. The records themselves stay as they are."):
            leaks.decide(ws, found.sha256, meant, "quarantine", who)
            st.rerun()
        if st.button(f"Accept all {len(meant):,} {word}",
                     help="They are frozen all the same; Evaluate shows each score with and without them."):
            leaks.decide(ws, found.sha256, meant, "accept", who)
            st.rerun()
    listed = sorted(checked.leaks, key=lambda leak: bool(leak.decision))
    shown = layout.page_of(listed, SHOWN, "leaks")
    texts = {record.record_id: record.messages
             for record in records.every(ws, [name for leak in shown for name in (leak.item_id, leak.train_id)])}
    for leak in shown:
        with st.container(border=True):
            pair(leak, texts)
            _press(ws, found, leak, who)


def _press(ws: Workspace, found: Plan, leak: Leak, who: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for decision, label in (("quarantine", "Quarantine"), ("accept", "Accept")):
            now = leak.decision == decision
            if st.button(f"{label}{'d' if now and decision == 'quarantine' else 'ed' if now else ''}", disabled=now,
                         key=f"{decision}-{leak.split}-{leak.item_id}"):
                leaks.decide(ws, found.sha256, [leak.item_id], decision, who)  # type: ignore[arg-type]
                st.rerun()
        layout.link("Its record", "pages/curate.py", {"record": leak.item_id})
        layout.link("The one in train", "pages/curate.py", {"record": leak.train_id})


def pair(leak: Leak, texts: dict[str, Turns]) -> None:
    """A line and the one of train it resembles, side by side, differences marked by word."""
    answers = "" if leak.other_similarity is None else f", answers {leak.other_similarity:.2f}"
    st.caption(f"{leak.split} · {leaks.KINDS[leak.kind]} · similarity {leak.similarity:.2f}{answers}"
               + (f" · **{leak.decision}**" if leak.decision else ""))
    sides = [_sides(texts.get(name)) for name in (leak.item_id, leak.train_id)]
    marked = [word_diff.differences(sides[0][part], sides[1][part]) for part in (0, 1)]
    for column, place, title in zip(st.columns(2, gap="medium"), (0, 1), (f"In {leak.split}", "In train"), strict=True):
        with column:
            st.html(f'<div class="tw-turn tw-user"><div class="tw-who">{html.escape(title)}: customer</div>'
                    f'<div class="tw-said">{marked[0][place]}</div></div>'
                    f'<div class="tw-turn tw-assistant"><div class="tw-who">Agent</div>'
                    f'<div class="tw-said">{marked[1][place]}</div></div>')


def _sides(messages: Sequence[dict[str, str]] | None) -> tuple[str, str]:
    if messages is None:
        return "(not in this workspace)", ""
    return runs.sides(messages)
