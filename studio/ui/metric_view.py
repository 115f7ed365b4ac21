"""Scores on the screen: labels one by one with what is taken for what, scoring again, functions that people write."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio import metrics, own_metrics, rescored, rivals, runs, starts
from studio.own_metrics import OwnMetric
from studio.runs import Meaning, Run
from studio.ui import charts, layout, place_view, session
from studio.ui.formats import ago, count, interval
from studio.workspace import Workspace

ASKED = {"contains": "contains", "regex": "pattern", "schema_valid": "schema"}
FORMS = {"auto": "Found from the references", "text": "Free text", "labels": "Labels", "json": "JSON"}
SHOWN_ERRORS = 20


def draw(ws: Workspace, run: Run) -> None:
    """Everything about the scores of an evaluation that is done."""
    _labels(ws, run)
    st.subheader("Score again", anchor=False)
    st.caption("The stored answers get further scores; nothing is generated or paid for. Scores of the same name are replaced.")
    _form(ws, run)
    newest = next(iter(runs.over(ws, run.run_id, "score")), None)
    if newest:
        layout.live_run(ws, newest.run_id, lambda latest: _watch(ws, latest))
    _own(ws)


def _labels(ws: Workspace, run: Run) -> None:
    """Each label's precision, recall and F1, and the confusion matrix, of one candidate; nothing where there are no labels."""
    names = rivals.roles(run)
    ids = [one for one in names if rescored.labels(ws, run.run_id, one)]
    if not ids:
        return
    st.subheader("Label by label", anchor=False)
    chosen = str(st.selectbox("Candidate", ids, len(ids) - 1, format_func=names.__getitem__, key=f"labels-{run.run_id}"))
    found = rescored.labels(ws, run.run_id, chosen)
    if found is None:
        return
    charts.confusion(found.labels, found.confusion)
    st.dataframe([{"label": one.label, "expected": one.expected, "said": one.said,
                   "F1": f"{one.f1:.2f}", "precision": interval(*one.precision.parts),
                   "recall": interval(*one.recall.parts)} for one in found.each],
                 hide_index=True, alt="Precision, recall and F1 of every label")
    st.caption("Precision: how often it is right when it says the label. Recall: how often it finds it. With 95 % intervals; "
               "a label with few items has a wide one.")


def _form(ws: Workspace, run: Run) -> None:
    own = [metrics.OWN + one.name for one in own_metrics.every(ws)]
    keys = [*(key for key, one in metrics.METRICS.items() if one.kind not in ("probe", "judge")), *own]
    asked = st.multiselect("Scores", keys, format_func=metrics.title, key=f"asked-{run.run_id}",
                           placeholder="Choose what to score by")
    given = {key: _given(run, key) for key in asked if key in ASKED}
    strict, form, meaning = False, "auto", None
    if any(metrics.of(key).kind == "labels" for key in asked):
        strict = st.checkbox("An answer is a label only where it says nothing else", key=f"strict-{run.run_id}",
                             help="Otherwise quotes, a lead such as “Label:” and words around the one label are passed over.")
    if "similarity" in asked:
        folder = st.text_input("Folder of a model that knows meanings (empty: the words count)", key=f"meaning-{run.run_id}",
                               placeholder="/models/all-MiniLM-L6-v2")
        meaning = Meaning(kind="transformer", ref=folder.strip()) if folder.strip() else None
    if asked:
        form = str(st.selectbox("Answers are", list(FORMS), format_func=FORMS.__getitem__, width=280, key=f"form-{run.run_id}"))
    with place_view.there(ws, f"score-{run.run_id}"), layout.guarded():
        if st.button("Score the answers", type="primary", disabled=not asked, key=f"score-{run.run_id}"):
            starts.scoring(ws, run, asked, contains=_words(given.get("contains", "")), pattern=given.get("regex", ""),
                           answer_schema=given.get("schema_valid", ""), labels_read="strict" if strict else "lenient",
                           answers=form, meaning=meaning)
            st.rerun()


def _given(run: Run, key: str) -> str:
    """What a score is told to look for."""
    field = f"{ASKED[key]}-{run.run_id}"
    if key == "contains":
        return st.text_input("Words that an answer must contain, all of them, parted by commas", key=field,
                             placeholder="refund, 14 days")
    if key == "regex":
        return st.text_input("Regular expression that must match somewhere in an answer", key=field,
                             placeholder=r"\b\d+ (business )?days\b")
    return st.text_area("JSON schema that an answer must meet", key=field, placeholder='{"type": "object"}')


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _watch(ws: Workspace, run: Run) -> None:
    """The newest scoring: how far it is, how it ended, and which calls of own functions failed."""
    layout.watch(ws, run, f"{run.title}, {ago(run.started_at, ws.now())}", "Stop")
    failed = runs.lines(ws, run, runs.OWN_ERRORS) if run.state == "done" else []
    if failed:
        with st.expander(f"What went wrong in {count(len(failed), 'call')}", icon=":material/error:"):
            st.dataframe([{"score": metrics.title(row["metric"]), "item": layout.record_address(row["item_id"]),
                           "line": row["line"], "what": row["words"]} for row in failed[:SHOWN_ERRORS]],
                         hide_index=True, column_config={"item": layout.record_column()}, alt="Calls that failed, by item")
            st.caption("Answers whose call failed have no such score; the others keep theirs.")


def _own(ws: Workspace) -> None:
    """The editor of functions that people write."""
    with st.expander("Scores of your own", icon=":material/code:"):
        saved = own_metrics.every(ws)
        chosen = st.selectbox("Function", [None, *saved], format_func=lambda one: one.name if one else "A new one",
                              key=f"own-{len(saved)}")
        _editor(ws, chosen, saved)


def _editor(ws: Workspace, chosen: OwnMetric | None, saved: Sequence[OwnMetric]) -> None:
    key = chosen.own_metric_id if chosen else f"new-{len(saved)}"
    name = st.text_input("Name", chosen.name if chosen else "", max_chars=own_metrics.LONGEST_NAME, key=f"own-name-{key}")
    code = st.text_area("Python", chosen.code if chosen else own_metrics.EXAMPLE, height=220, key=f"own-code-{key}",
                        max_chars=own_metrics.LONGEST_CODE)
    st.caption("It is called with each answer, its reference and the item, in a process of its own that may take 5 seconds a "
               "call, and never in the studio. It returns a number; higher is better. It may read what you may read: run only "
               "what you understand.")
    with st.container(horizontal=True):
        if st.button("Save", key=f"own-save-{key}", type="primary"):
            with layout.guarded():
                own_metrics.save(ws, name, code, session.person())
                st.rerun()
        if chosen and st.button("Delete", key=f"own-delete-{key}"):
            with layout.guarded():
                own_metrics.delete(ws, chosen.name, session.person())
                st.rerun()
