"""The editor of a label set: a plain form; what it says is looked at as it will be stored, and faults are told in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from studio import label_sets
from studio.errors import StudioError
from studio.label_sets import LabelSet
from studio.ui import layout
from studio.workspace import Row, Workspace

KINDS = {"choice": "Choose one", "multi": "Choose any", "scale": "Scale", "text": "Text", "spans": "Marks on the text"}
NEW_FIELD = {"key": "question", "title": "Question", "kind": "choice", "help": "", "required": True,
             "options": [{"value": "yes", "title": "yes", "colour": "", "key": ""},
                         {"value": "no", "title": "no", "colour": "", "key": ""}], "low": 1, "high": 5}


def editor(ws: Workspace, who: str, label_set: LabelSet | None) -> str:
    """Change a set, or make one from a starter. Returns the id of the set that was saved just now, else an empty text."""
    key = f"set-form-{label_set.set_id}-{label_set.version}" if label_set else "set-form-new"
    start = label_sets.definition_of(label_set) if label_set else _starter(ws, key)
    draft: Row = st.session_state.setdefault(f"{key}-draft-{start['name']}", _full(start))
    if label_set:
        st.caption("Changing keeps old answers: they stay readable under the version they were given under.")
    written = _form(draft, f"{key}-{start['name']}")
    with layout.guarded():
        return _save(ws, who, label_set, written)
    return ""


def option_lines(options: Sequence[Row]) -> str:
    """Options as lines of `title | key | #colour | value`, the last parts left out where they say nothing."""
    lines = []
    for option in options:
        parts = [option["title"], option.get("key", ""), option.get("colour", ""),
                 "" if option["value"] == option["title"] else option["value"]]
        while len(parts) > 1 and not parts[-1]:
            parts.pop()
        lines.append(" | ".join(parts))
    return "\n".join(lines)


def options_from(text: str) -> list[Row]:
    """What `option_lines` wrote, read again; a line that holds a title only is its own value."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")] + [""] * 3
        if parts[0]:
            found.append({"title": parts[0], "key": parts[1], "colour": parts[2], "value": parts[3] or parts[0]})
    return found


def _starter(ws: Workspace, key: str) -> Row:
    ready = {one["name"]: one for one in label_sets.starter_sets(ws)} | {"Empty": {"name": "", "fields": [NEW_FIELD]}}
    chosen = st.segmented_control("Start from", list(ready), default=next(iter(ready)), required=True, key=f"{key}-starter")
    return ready[chosen]


def _full(definition: Row) -> Row:
    """A definition with every part that the form shows; each field gets a name of its own for its widgets."""
    fields = [NEW_FIELD | {"options": []} | field | {"uid": place} for place, field in enumerate(definition["fields"])]
    return {"guidelines": "", "examples": [], "needed": 1, "overlap": 0.0} | definition | {"fields": fields}


def _form(draft: Row, key: str) -> Row:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", draft["name"], max_chars=80, key=f"{key}-name", width=260)
        needed = st.number_input("Answers a record", 1, label_sets.MOST_NEEDED, draft["needed"], width=150, key=f"{key}-needed",
                                 help="How many people answer each record; two or more let you measure agreement.")
        overlap = st.number_input("One more for, %", 0, 100, round(draft["overlap"] * 100), width=150, key=f"{key}-overlap",
                                  help="A share of the records that gets one answer more, so that agreement can be measured.")
    guidelines = st.text_area("Guidelines", draft["guidelines"], key=f"{key}-guidelines", height=110,
                              help="Shown beside the record with the key G.")
    fields = [_field(draft, field, f"{key}-{field['uid']}") for field in draft["fields"]]
    if st.button("Add a field", icon=":material/add:", key=f"{key}-add"):
        draft["fields"].append(NEW_FIELD | {"uid": max((field["uid"] for field in draft["fields"]), default=0) + 1,
                                            "key": f"question_{len(fields) + 1}"})
        st.rerun()
    return {"name": name, "guidelines": guidelines, "examples": _examples(draft, fields, key), "needed": int(needed),
            "overlap": overlap / 100, "fields": fields}


def _field(draft: Row, field: Row, key: str) -> Row:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            title = st.text_input("Field", field["title"], key=f"{key}-title", width=230)
            name = st.text_input("Key in exports", field["key"], key=f"{key}-key", width=150)
            kind = st.selectbox("Kind", list(KINDS), list(KINDS).index(field["kind"]), format_func=KINDS.__getitem__,
                                key=f"{key}-kind", width=170)
            required = st.checkbox("Required", field["required"], key=f"{key}-required")
            if len(draft["fields"]) > 1 and st.button("Take out", key=f"{key}-out", icon=":material/delete:"):
                draft["fields"].remove(field)
                st.rerun()
        words = st.text_input("Help", field["help"], key=f"{key}-help", placeholder="A line under the field's name")
        found = {"key": name, "title": title, "kind": kind, "help": words, "required": required}
        return found | _answers(field, kind, key)


def _answers(field: Row, kind: str, key: str) -> Row:
    """What can be answered: options a line each, or the ends of a scale."""
    if kind in ("choice", "multi", "spans"):
        lines = st.text_area("Options, one a line", option_lines(field["options"]), key=f"{key}-options", height=120,
                             help="Title | key | #colour | value in exports. All but the title may be left out; the first nine "
                                  "have the keys 1 to 9 as well.")
        return {"options": options_from(lines)}
    if kind == "scale":
        with st.container(horizontal=True):
            low = st.number_input("From", value=field["low"], step=1, width=110, key=f"{key}-low")
            high = st.number_input("To", value=field["high"], step=1, width=110, key=f"{key}-high")
        return {"low": int(low), "high": int(high)}
    return {}


def _examples(draft: Row, fields: Sequence[Row], key: str) -> list[Row]:
    """Records shown beside the guidelines, each with the answer it should get and why."""
    found = []
    with st.expander(f"Examples ({len(draft['examples'])})"):
        for place, example in enumerate(draft["examples"]):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                record = st.text_input("Record", example["record_id"], key=f"{key}-example-{place}", width=190,
                                       help="The record's id: the label desk shows it above the text.")
                answer = {field["key"]: value for field in fields
                          if (value := _answer(field, example["answer"].get(field["key"]), f"{key}-{place}")) is not None}
                why = st.text_input("Why", example["why"], key=f"{key}-why-{place}", width=260)
            if record.strip():
                found.append({"record_id": record, "why": why, "answer": answer})
        if st.button("Add an example", key=f"{key}-add-example"):
            draft["examples"].append({"record_id": "", "why": "", "answer": {}})
            st.rerun()
    return found


def _answer(field: Row, value: Any, key: str) -> Any:
    name, values = f"{key}-{field['key']}", [option["value"] for option in field.get("options", [])]
    if field["kind"] == "choice":
        return st.selectbox(field["title"], values, layout.place(values, value), key=name, width=170)
    if field["kind"] == "multi":
        known = [one for one in value or [] if one in values]
        return st.multiselect(field["title"], values, known, key=name, width=230) or None
    if field["kind"] == "scale":
        return st.selectbox(field["title"], steps := list(range(field["low"], field["high"] + 1)),
                            steps.index(value) if value in steps else None, key=name, width=90)
    return None


def _save(ws: Workspace, who: str, label_set: LabelSet | None, written: Row) -> str:
    try:
        checked = label_sets.parse(written)
        problem = None
    except StudioError as error:
        checked, problem = {}, error
    if problem:
        layout.error(problem)
    changed = label_set is None or checked != label_sets.definition_of(label_set)
    with st.container(horizontal=True):
        pressed = st.button("Save the set" if label_set else "Make this set", type="primary",
                            disabled=bool(problem) or not changed)
        if label_set and st.button("Put it away", help="It is not offered any more; its answers stay.",
                                   icon=":material/archive:"):
            label_sets.archive(ws, label_set.set_id, who)
            st.rerun()
    if not pressed:
        return ""
    return label_sets.save(ws, written, who, label_set.set_id if label_set else "").set_id
