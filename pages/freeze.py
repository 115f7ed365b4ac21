"""Freeze records into train, validation and test files that never change."""

import streamlit as st

from studio import findings, records, snapshots
from studio.snapshots import SPLITS, Recipe, Snapshot
from studio.ui import finding_view, layout, session
from studio.ui.formats import ago, count, excerpt

PAGE = 50

ws = session.workspace()
layout.header(ws, "Freeze", "A snapshot is what a model learns from and is tested on: the same records, shares and seed give "
              "the same bytes.", "frozen")
counted, frozen = records.counts(ws), snapshots.every(ws)
if not counted.total:
    layout.empty("A snapshot needs records, and there are none yet.", "Import tickets", "pages/import_tickets.py")
    st.stop()


def choose() -> Recipe:
    with st.container(horizontal=True):
        validation = st.number_input("Validation, %", 1, 45, 10, width=140, help="Watched during training, never learned.")
        test = st.number_input("Test, %", 1, 45, 10, width=140, help="Kept away from training; the verdict rests on it.")
        seed = st.number_input("Seed", 0, 2**31 - 1, 1234, width=140, help="Another seed, another split.")
    only_kept = st.checkbox(
        f"Only records marked keep ({counted.keep:,}); otherwise all that nobody dropped ({counted.usable:,})")
    return Recipe(validation / 100, test / 100, int(seed), only_kept)


def freeze_new() -> None:
    name = st.text_input("Name", f"Snapshot {len(frozen) + 1}", max_chars=80)
    recipe = choose()
    planned = snapshots.plan(ws, recipe)
    parts = ", ".join(f"**{len(planned.splits[split]):,} {split}**" for split in SPLITS)
    st.markdown(f"{count(planned.eligible, 'record')} → {parts}. {count(planned.identical, 'word-for-word repeat')} left out. "
                "Records that ask the same question stay in one part.")
    gate = findings.privacy_gate(ws, recipe.only_kept)
    if st.button("Freeze snapshot" if gate.clear else "Freeze anyway", type="primary", icon=":material/ac_unit:",
                 disabled=not finding_view.passed(gate)):
        st.query_params["snapshot"] = snapshots.freeze(ws, name, recipe, gate, session.person()).snapshot_id
        st.rerun()


def show(snapshot: Snapshot) -> None:
    st.subheader(layout.plain(snapshot.name), anchor=False)
    st.caption(f"{snapshot.train:,} train · {snapshot.validation:,} validation · {snapshot.test:,} test · "
               f"{snapshot.snapshot_id} · frozen {ago(snapshot.frozen_at, ws.now())} · "
               f"seed {snapshot.manifest['recipe']['seed']}")
    if accepted := findings.accepted(ws, snapshot.snapshot_id):
        st.caption(f":material/privacy_tip: {layout.plain(accepted)}")
    with st.container(horizontal=True):
        layout.go("Train on it", "pages/launch.py", {"snapshot": snapshot.snapshot_id}, primary=True)
        for name in (*(f"{split}.jsonl" for split in SPLITS), "manifest.json"):
            st.download_button(name, snapshots.content(ws, snapshot, name), name, icon=":material/download:", on_click="ignore")
        if st.button("Check every byte"):
            snapshots.verify(ws, snapshot)
            st.toast("Every file is as it was frozen.", icon=":material/verified:")
    split = st.segmented_control("Lines of", SPLITS, default="train", required=True)
    items = snapshots.items(ws, snapshot, split)
    page = st.number_input("Page", 1, max(1, -(-len(items) // PAGE)), 1, width=120) if len(items) > PAGE else 1
    st.dataframe([{"record": layout.record_address(item.record_id), "customer": excerpt(item.messages[-2]["content"]),
                   "agent": excerpt(item.messages[-1]["content"]), "turns": len(item.messages)}
                  for item in items[(page - 1) * PAGE : page * PAGE]], hide_index=True,
                 column_config={"record": layout.record_column()}, alt=f"Lines of {split}")


with st.expander("Freeze a new snapshot", expanded=not frozen, icon=":material/add:"), layout.guarded():
    freeze_new()
if frozen:
    ids = [snapshot.snapshot_id for snapshot in frozen]
    chosen = st.selectbox("Snapshot", frozen, index=layout.place(ids, st.query_params.get("snapshot")) or 0,
                          format_func=lambda s: f"{s.name} · {s.train:,} train · {ago(s.frozen_at, ws.now())}")
    show(chosen)
