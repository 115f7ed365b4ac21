"""The light model on the screen: let it learn, how far it can be trusted, and accepting what it is sure of."""

from __future__ import annotations

import streamlit as st

from studio import labels, runs, starts, suggestions
from studio.label_sets import LabelSet
from studio.runs import Run
from studio.suggestions import Learned, Standing
from studio.ui import layout, place_view
from studio.ui.formats import ago, count
from studio.verdicts import Interval
from studio.workspace import Workspace


def light_model(ws: Workspace, label_set: LabelSet, who: str) -> None:
    """Everything about a set's light model, one under the other: start or refresh, trust, accept in bulk."""
    learning(ws, label_set)
    now = suggestions.standing(ws, label_set.set_id)
    if now is not None:
        trust(ws, label_set, now)
        accept(ws, label_set, who)


def learning(ws: Workspace, label_set: LabelSet) -> None:
    """The button that lets the model learn, its progress while it does, and how it ended where it did not get done."""
    newest = runs.latest_suggestions(ws, label_set.set_id)
    if newest is not None and newest.moving:
        layout.live_run(ws, newest.run_id, lambda run: _moving(ws, run))
        return
    if newest is not None and newest.resumable:
        layout.run_end(ws, newest)
    reason = suggestions.too_few(ws, label_set)
    now = suggestions.standing(ws, label_set.set_id)
    with place_view.there(ws, "suggest"), st.container(horizontal=True, vertical_alignment="center"):
        label = "Learn from the labels so far" if now is None else f"Learn again, with {count(now.new_labels, 'new label')}"
        if st.button(label, disabled=bool(reason), icon=":material/model_training:", key=f"learn-{label_set.set_id}",
                     type="primary" if now is None else "secondary",
                     help="A small model reads the labels, suggests one for every other record and doubts some. "
                          "It takes seconds to minutes, and no service is asked."):
            with st.spinner("Writing the records out for the model…"), layout.guarded():
                starts.suggestions(ws, label_set.set_id)
                st.rerun()
        if reason:
            st.caption(layout.plain(reason), width="content")
        elif now is not None:
            st.caption(f"It learned from {count(now.labelled, 'label')}, {ago(now.started_at, ws.now())}, and suggests labels "
                       f"for {count(now.suggested, 'record')}.", width="content")


def trust(ws: Workspace, label_set: LabelSet, now: Standing) -> None:
    """One line a field: right how often in cross-validation, against what, and how often people chose what was suggested."""
    chosen = suggestions.hit_rate(ws, label_set.set_id)
    for field in now.fields:
        st.markdown(_trust(field, chosen.get(field.key)))
        if field.left_out:
            st.caption(layout.plain(f"Too few labels to suggest: {', '.join(field.left_out[:8])}"
                                    f"{' and others' if len(field.left_out) > 8 else ''} (a value needs 3)."))


def _trust(field: Learned, chosen: tuple[Interval, int] | None) -> str:
    title = f"**{layout.plain(field.title)}**"
    if field.too_few:
        return f"{title}: {layout.plain(field.too_few)}"
    better = field.accuracy.low > field.baseline
    words = (f"{title}: right in {_percent(field.accuracy)} of labels it had not seen; always saying the most common value: "
             f"{field.baseline:.0%}.").replace("%.", " %.")
    if not better:
        words += " :orange[:material/warning: Not better than that: do not rely on it yet.]"
    if chosen is not None:
        words += f" People chose what it suggested in {_percent(chosen[0])} of {count(chosen[1], 'label')}."
    return words


def accept(ws: Workspace, label_set: LabelSet, who: str) -> None:
    """Label everything above a confidence as suggested: count and expected errors first, one act, undone as one."""
    with st.popover("Accept suggestions in bulk", icon=":material/done_all:"):
        reason = suggestions.obstacle(ws, label_set)
        if reason:
            st.caption(layout.plain(reason))
            return
        confidence = st.slider("Where the model is at least this sure", 0.5, 0.99, 0.95, 0.01,
                               key=f"accept-at-{label_set.set_id}")
        coming = suggestions.preview(ws, label_set, confidence)
        st.markdown(f"**{count(coming.count, 'record')}** without a label would be labelled as suggested. About "
                    f"**{count(round(coming.wrong), 'label')}** of them would be wrong; in cross-validation "
                    f"{_percent(coming.error)} were, at this confidence.")
        if st.button(f"Label {count(coming.count, 'record')} as suggested", type="primary", disabled=not coming.count,
                     key=f"accept-{label_set.set_id}"):
            with st.spinner("Labelling…"):
                done = suggestions.accept(ws, label_set, confidence, who, ws.new_id())
            st.toast(f"Labelled {count(done, 'record')}. Undo takes them all back.")
            st.rerun()
        if st.button("Undo my last label", icon=":material/undo:", key=f"accept-undo-{label_set.set_id}"):
            undone = labels.undo(ws, label_set.set_id, who, ws.new_id())
            st.toast(layout.plain(undone.sentence) if undone else "There is nothing of yours to undo.")
            st.rerun()


def _moving(ws: Workspace, run: Run) -> None:
    layout.progress(run)
    if run.moving and st.button("Stop", icon=":material/stop_circle:", key=f"stop-{run.run_id}"):
        runs.stop(ws, run.run_id)
        st.toast("Asked to stop.")


def _percent(value: Interval) -> str:
    """`78 % [72, 83]`."""
    return f"{value.value * 100:.0f} % [{value.low * 100:.0f}, {value.high * 100:.0f}]"
