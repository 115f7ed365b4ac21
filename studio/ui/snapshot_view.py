"""Reading a snapshot on the screen: its card, whether it is ready, its lines, what differs from another, ways out and in."""

from __future__ import annotations

import functools
from pathlib import Path

import streamlit as st

from studio import (
    adoption,
    card_text,
    cards,
    comparison,
    exports,
    findings,
    foreign,
    inspections,
    leaks,
    readiness,
    runs,
    snapshot_exports,
    validation,
)
from studio import snapshots as nouns
from studio.cards import Card
from studio.comparison import Change
from studio.foreign import Known
from studio.readiness import Readiness
from studio.runs import Run
from studio.snapshots import SPLITS, Snapshot
from studio.ui import charts, freeze_view, layout, place_view
from studio.ui.formats import ago, count, excerpt
from studio.workspace import Workspace

LINES, CHANGES, PAIRS = 50, 200, 6
_MARKS = {"yes": ":material/check_circle:", "partly": ":material/error:", "no": ":material/cancel:",
          "not measured": ":material/help:"}
_BOXES = {"yes": st.success, "partly": st.warning, "no": st.error, "not measured": st.info}
_CHANGED = {"added": "Only in the later one", "removed": "Only in the earlier one", "edited": "The same record, worded anew",
            "moved": "The same record in another part"}


def head(ws: Workspace, snapshot: Snapshot) -> None:
    """What it is, and what one does with it first."""
    st.subheader(layout.plain(snapshot.name), anchor=False)
    st.caption(f"{snapshot.train:,} train · {snapshot.validation:,} validation · {snapshot.test:,} test · "
               f"{snapshot.snapshot_id} · frozen {ago(snapshot.frozen_at, ws.now())} · "
               f"seed {snapshot.manifest['recipe']['seed']}")
    with st.container(horizontal=True):
        layout.go("Train on it", "pages/launch.py", {"snapshot": snapshot.snapshot_id}, primary=True)
        if st.button("Check every byte", icon=":material/verified:"):
            nouns.verify(ws, snapshot)
            st.toast("Every file is as it was frozen.", icon=":material/verified:")


def leak_warning(ws: Workspace, snapshot: Snapshot, card: Card | None) -> None:
    """Aloud where nobody looked for leaks; a way to look now; what was let in."""
    moving = next((run for run in runs.every(ws, "inspect") if run.moving and run.snapshot_id == snapshot.snapshot_id
                   and run.spec["measure"]), None)
    if moving:
        layout.live_run(ws, moving.run_id, lambda run: freeze_view.watch(ws, run))
        return
    if card is None or card.leaks is None:
        st.warning(f"**{card_text.NOT_CHECKED}**", icon=":material/difference:")
        with place_view.there(ws, "leaks"), st.container(horizontal=True, vertical_alignment="center"):
            floor, meaning = freeze_view.how_to_match("later")
            if st.button("Check for leaks now", icon=":material/difference:"):
                inspections.of_snapshot(ws, snapshot, floor, meaning)
                st.rerun()
    found = leaks.of_snapshot(ws, snapshot.snapshot_id)
    if found:
        with st.expander(f"{count(len(found), 'suspicious line')} in it: Evaluate shows each score with and without them",
                         icon=":material/difference:"):
            shown = layout.page_of(found, PAIRS, "suspicious")
            lines = nouns.lines_of(ws, snapshot, {name for leak in shown for name in (leak.item_id, leak.train_id)})
            for leak in shown:
                with st.container(border=True):
                    freeze_view.pair(leak, {name: item.messages for name, item in lines.items()})


def card(ws: Workspace, snapshot: Snapshot, found: Card | None) -> None:
    """The data card, the readiness above it, and both as Markdown."""
    if found is None:
        st.info("This snapshot was frozen by an older Tunewright, which made no card. Checking it for leaks makes one.")
        return
    ready(readiness.judge(found.facts))
    sections = card_text.sections(snapshot, found, findings.accepted(ws, snapshot.snapshot_id))
    left, right = st.columns(2, gap="large")
    for place, section in enumerate(sections):
        with left if place % 2 == 0 else right:
            st.markdown(f"**{section.title}**  \n" + "  \n".join(layout.plain(sentence) for sentence in section.sentences))
    left, right = st.columns(2, gap="large")
    with left:
        if found.measures:
            tokens = found.measures["tokens"]
            bars = max((place + 1 for place, number in enumerate(tokens["counts"]) if number), default=1) + 1
            charts.token_lengths(tokens["steps"][:bars], tokens["counts"][:bars], tokens["median"], tokens["longest"],
                                 "tokens" if tokens["by"] == "tokenizer" else "estimated tokens")
    with right:
        if found.tags:
            charts.topics(dict(list(found.tags.items())[:12]))
    st.download_button("Card as Markdown", lambda: card_text.markdown(ws, snapshot), f"{snapshot.snapshot_id}-card.md",
                       "text/markdown", icon=":material/download:", on_click="ignore")


def ready(found: Readiness) -> None:
    """The verdict, and the numbers behind each part of it."""
    _BOXES[found.word](f"**{layout.plain(found.sentence)}**", icon=_MARKS[found.word])
    for one in found.verdicts:
        mark = ":material/lightbulb:" if one.question == readiness.PROMPT else _MARKS[one.word]
        st.markdown(f"{mark} **{one.question} {one.word.capitalize()}.** {layout.plain(one.sentence)}")


def lines(ws: Workspace, snapshot: Snapshot) -> None:
    """The lines of each part, a page at a time."""
    split = st.segmented_control("Lines of", SPLITS, default="train", required=True)
    pages = -(-snapshot.count(split) // LINES)
    page = int(st.number_input("Page", 1, pages, 1, width=120, key=f"lines-{split}")) if pages > 1 else 1
    st.dataframe([{"record": layout.record_address(item.record_id), "customer": excerpt(item.messages[-2]["content"]),
                   "agent": excerpt(item.messages[-1]["content"]), "turns": len(item.messages)}
                  for item in nouns.items(ws, snapshot, split, (page - 1) * LINES, LINES)], hide_index=True,
                 column_config={"record": layout.record_column()}, alt=f"Lines of {split}")


def compare(ws: Workspace, snapshot: Snapshot, others: list[Snapshot]) -> None:
    """What differs between this snapshot and another one."""
    if not others:
        st.markdown("There is no other snapshot to compare with.")
        return
    other = st.selectbox("Compared with", others, format_func=lambda one: f"{one.name} · {ago(one.frozen_at, ws.now())}")
    before, after = sorted((snapshot, other), key=lambda one: one.frozen_at)
    counted = comparison.counts(ws, before.snapshot_id, after.snapshot_id)
    if not any(counted.values()):
        st.success("They hold the same lines in the same parts.", icon=":material/check:")
        return
    kind = st.segmented_control("Differences", comparison.KINDS, default=next(kind for kind in counted if counted[kind]),
                                required=True, format_func=lambda kind: f"{kind} {counted[kind]:,}")
    st.caption(f"{_CHANGED[kind]}, from “{layout.plain(before.name)}” to “{layout.plain(after.name)}”.")
    pages = max(1, -(-counted[kind] // CHANGES))
    page = int(st.number_input("Page", 1, pages, 1, width=120, key=f"changes-{kind}")) if pages > 1 else 1
    found = comparison.changes(ws, before.snapshot_id, after.snapshot_id, kind, CHANGES, (page - 1) * CHANGES)
    if found:
        st.dataframe([_change(one, kind) for one in found], hide_index=True, column_config={"record": layout.record_column()},
                     alt=f"Records that were {kind}")
    st.download_button("All of them as CSV", lambda: exports.csv_text([vars(one) for one in comparison.changes(
        ws, before.snapshot_id, after.snapshot_id, kind, 10_000_000)]), f"{kind}.csv", "text/csv", on_click="ignore")


def export(ws: Workspace, snapshot: Snapshot) -> None:
    """Every way out; files are made when they are asked for."""
    split = st.segmented_control("Part", SPLITS, default="train", required=True, key="export-split")
    last = st.checkbox("Learn from the last answer only: earlier ones in a conversation weigh 0", key="last-only")
    name = f"{snapshot.snapshot_id}-{split}"
    with st.container(horizontal=True):
        for label, make, suffix, kind in (
                ("Chat JSONL", lambda: snapshot_exports.chat(ws, snapshot, split, last), "jsonl", "application/x-ndjson"),
                ("Parquet", lambda: snapshot_exports.table(ws, snapshot, split), "parquet", "application/octet-stream"),
                ("CSV", lambda: snapshot_exports.sheet(ws, snapshot, split), "csv", "text/csv")):
            st.download_button(label, make, f"{name}.{suffix}", kind, icon=":material/download:", on_click="ignore")
    st.markdown("**The files as they were frozen**")
    with st.container(horizontal=True):
        for file in (*(f"{part}.jsonl" for part in SPLITS), "manifest.json"):
            st.download_button(file, functools.partial(nouns.content, ws, snapshot, file), file, icon=":material/download:",
                               on_click="ignore")
    st.markdown("**For Hugging Face `datasets`**: unzip it, then `load_dataset(folder)` reads all parts.")
    st.download_button("Folder as zip", lambda: snapshot_exports.zipped(ws, snapshot), f"{snapshot.snapshot_id}.zip",
                       "application/zip", icon=":material/folder_zip:", on_click="ignore")
    _push(ws, snapshot)


def _push(ws: Workspace, snapshot: Snapshot) -> None:
    if not snapshot_exports.token_is_set():
        st.caption(f":material/key_off: {snapshot_exports.NO_TOKEN} With one, the folder can be put on the Hub from here.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        repository = st.text_input("Put it on the Hugging Face Hub as", placeholder="owner/name", width=320)
        public = st.checkbox("Everybody may see it")
        if st.button("Push to the Hub", disabled=not repository, icon=":material/cloud_upload:"):
            with st.spinner("Uploading…"), layout.guarded():
                address = snapshot_exports.push(ws, snapshot, repository, private=not public)
                st.success(f"It is at {layout.plain(address)}.")


def foreign_file(ws: Workspace, snapshot: Snapshot) -> None:
    """A test file made elsewhere, held against this snapshot's train."""
    st.caption("Does a benchmark, or another team's test file, hold questions that this snapshot trains on?")
    earlier = foreign.every(ws, snapshot)
    uploaded = st.file_uploader("JSONL test file", type=["jsonl", "ndjson", "json", "txt"], key=f"foreign-{len(earlier)}")
    typed = st.text_input("Or its path on this machine", placeholder="/data/test.jsonl")
    with st.container(horizontal=True, vertical_alignment="center"):
        floor, meaning = freeze_view.how_to_match("foreign")
        if st.button("Hold it against train", type="primary", disabled=not (uploaded or typed), icon=":material/difference:"):
            with layout.guarded():
                file = validation.receive(ws, uploaded.name, uploaded.getbuffer()) if uploaded else typed
                foreign.start(ws, snapshot, file, floor, meaning)
                st.rerun()
    if earlier:
        ids = [run.run_id for run in earlier]
        chosen = st.selectbox("Result", ids, format_func=lambda name: earlier[ids.index(name)].title)
        layout.live_run(ws, chosen, lambda run: _known(ws, run))


def _known(ws: Workspace, run: Run) -> None:
    total = run.result.data["leaking"] if run.state == "done" and run.result else 0
    if not total or run.result is None:
        freeze_view.watch(ws, run)
        return
    st.warning(f"**{layout.plain(run.result.message)}**", icon=":material/difference:")
    pages = -(-total // CHANGES)
    page = int(st.number_input("Page", 1, pages, 1, width=120, key="known")) if pages > 1 else 1
    st.dataframe([_told(one, link=True) for one in foreign.known(ws, run, CHANGES, (page - 1) * CHANGES)], hide_index=True,
                 column_config={"record": layout.record_column()}, alt="Lines that resemble train")
    st.download_button(f"Download {count(total, 'line')} as CSV",
                       lambda: exports.csv_text([_told(one, link=False) for one in foreign.known(ws, run)]),
                       "lines-that-resemble-train.csv", "text/csv", on_click="ignore")


def _told(one: Known, link: bool) -> dict[str, object]:
    return {"line": one.line, "question": one.question, "how": leaks.KINDS[one.kind], "similarity": round(one.similarity, 3),
            "answers": None if one.answers_similarity is None else round(one.answers_similarity, 3),
            "record": layout.record_address(one.train_id) if link else one.train_id, "question in train": one.train_question}


def adopt(ws: Workspace) -> None:
    """A snapshot's folder from another workspace."""
    folder = st.text_input("Folder of the snapshot", placeholder="/other/workspace/snapshots/s0123456789a", key="adopt-folder")
    name = st.text_input("Name", max_chars=80, key="adopt-name")
    if st.button("Adopt it", disabled=not folder, icon=":material/input:"):
        with st.spinner("Checking every byte…"):
            st.query_params.from_dict({"snapshot": adoption.adopt(ws, Path(folder).expanduser(), name).snapshot_id})
        st.rerun()


def chosen_card(ws: Workspace, snapshot: Snapshot) -> Card | None:
    return cards.get(ws, snapshot.snapshot_id)


def _change(one: Change, kind: comparison.Kind) -> dict[str, object]:
    """One record of a comparison, in the columns that tell something of such a difference."""
    record = {"record": layout.record_address(one.record_id)}
    if kind in ("added", "removed"):
        return record | {"part": one.after or one.before, "wording": one.version_after or one.version_before}
    if kind == "moved":
        return record | {"from": one.before, "to": one.after}
    return record | {"part": one.after, "wording before": one.version_before, "wording after": one.version_after}
