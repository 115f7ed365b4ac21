"""The page that `benchmarks.labelling` compares with: one record, a button an option with its key, everything else Streamlit's.

Run with `streamlit run`; `?way=rerun` draws the whole page for a press, `?way=fragment` only a fragment. It uses the same nouns
as the label desk, and freezes the garbage collector as the studio does, so that what is compared is the way of drawing.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from studio import label_sets, labels, queues, records  # noqa: E402
from studio.queues import QueueFilter  # noqa: E402
from studio.ui import session  # noqa: E402

st.set_page_config(layout="wide")
session.settle_memory()
ws = session.workspace()
label_set = label_sets.every(ws)[0]
who = st.query_params["way"]


def answer(record_id: str, value: str) -> None:
    labels.answer(ws, label_set.set_id, record_id, {"intent": value}, who, ws.new_id())


def draw() -> None:
    found = queues.window(ws, QueueFilter(label_set.set_id), "oldest", who, who, 1)
    record = records.get(ws, found[0])
    with st.container(key="rec"):
        st.subheader(record.record_id)
        for turn in record.messages:
            st.text(turn["content"])
        with st.container(horizontal=True):
            for place, option in enumerate(label_set.fields[0].options, start=1):  # a key a record: it cannot be pressed twice
                st.button(option.title, shortcut=str(place), key=f"{record.record_id}-{place}", on_click=answer,
                          args=(record.record_id, option.value))


if who == "fragment":
    st.fragment(draw)()
else:
    draw()
