"""`tunewright snapshots`: the Snapshots page."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from studio import adoption, card_text, cards, comparison, foreign, inspections, leaks, leaving, readiness, snapshot_exports
from studio import snapshots as nouns
from studio.commands import chosen, follow
from studio.commands.frame import (
    Limit,
    Out,
    Skip,
    Table,
    Told,
    Wait,
    command,
    group,
    listed,
    path,
    picked,
    write,
)
from studio.comparison import Kind
from studio.errors import StudioError
from studio.snapshots import Snapshot
from studio.splits import SplitName
from studio.workspace import Row, Workspace

snapshots = group()
APPS = {"snapshots": snapshots}
Floor = Annotated[float, typer.Option("--near", min=0.5, max=1, help="From this similarity on a line is a leak.")]
Form = Literal["chat", "parquet", "csv", "frozen", "manifest", "dataset"]
ENDS = {"chat": "jsonl", "parquet": "parquet", "csv": "csv", "frozen": "jsonl"}


@command(snapshots, "list")
def every(ws: Workspace) -> Told:
    """Snapshots, newest first."""
    return listed(
        "snapshots",
        [row(one) for one in nouns.every(ws)],
        "snapshot_id name train validation test frozen_at",
        "Nothing is frozen yet.",
    )


@command(snapshots, "show")
def show(
    ws: Workspace,
    snapshot: chosen.Latest = "latest",
    out: Annotated[str, typer.Option("--out", help="Write the card as Markdown here.")] = "",
) -> Told:
    """One snapshot: its card, and whether it is ready to be trained on."""
    found = chosen.snapshot(ws, snapshot)
    card, text = cards.get(ws, found.snapshot_id), card_text.markdown(ws, found)
    ready = readiness.judge(card.facts) if card else None
    verdicts = [picked(one, "question word sentence") for one in ready.verdicts] if ready else []
    return Told(
        {
            "snapshot": row(found),
            "folder": ws.path(found.folder),
            "card": text,
            "manifest": found.manifest,
            "readiness": {"word": ready.word, "sentence": ready.sentence, "verdicts": verdicts} if ready else None,
            "suspicious": len(leaks.of_snapshot(ws, found.snapshot_id)),
            "file": write(out, text) if out else None,
        },
        [text],
    )


@command(snapshots, "lines")
def lines(
    ws: Workspace,
    snapshot: chosen.Latest = "latest",
    split: Annotated[SplitName, typer.Option()] = "train",
    limit: Limit = 25,
    skip: Skip = 0,
) -> Told:
    """Lines of one part."""
    rows = [
        picked(one, "record_id split messages") for one in nouns.items(ws, chosen.snapshot(ws, snapshot), split, skip, limit)
    ]
    return listed("lines", rows, "record_id messages")


@command(snapshots, "verify")
def verify(ws: Workspace, snapshot: chosen.Latest = "latest") -> Told:
    """Check every byte against what was frozen."""
    nouns.verify(ws, found := chosen.snapshot(ws, snapshot))
    return Told({"snapshot": row(found), "verified": True}, ["Every file is as it was frozen."])


@command(snapshots, "check", elsewhere=True)
def check(
    ws: Workspace,
    snapshot: chosen.Latest = "latest",
    near: Floor = inspections.NEAR_FLOOR,
    kind: chosen.MeaningKind = "",
    where: chosen.MeaningFrom = "",
    name: chosen.MeaningModel = "",
    accept: chosen.Accept = False,
    wait: Wait = True,
) -> Told:
    """Look for leaks in a snapshot that is frozen already; its card says what is found."""
    if kind == "endpoint":
        leaving.check(ws, accept)
    found = chosen.snapshot(ws, snapshot)
    told = follow.started(ws, inspections.of_snapshot(ws, found, near, chosen.meaning(kind, where, name)), wait)
    return Told(told.document | {"suspicious": len(leaks.of_snapshot(ws, found.snapshot_id))}, told.words)


@command(snapshots, "suspicious")
def suspicious(ws: Workspace, snapshot: chosen.Latest = "latest") -> Told:
    """Lines that resemble a line of train and were let in."""
    found = leaks.of_snapshot(ws, chosen.snapshot(ws, snapshot).snapshot_id)
    return listed(
        "lines",
        [picked(one, "split item_id train_id kind similarity other_similarity decision") for one in found],
        "split item_id train_id kind similarity",
    )


@command(snapshots, "compare")
def compare(
    ws: Workspace,
    first: Annotated[str, typer.Argument(help="An id or a name.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    kind: Annotated[Kind | None, typer.Option(help="List the records of one kind of difference.")] = None,
    limit: Limit = 100,
    skip: Skip = 0,
) -> Told:
    """What differs between two snapshots."""
    before, after = sorted((chosen.snapshot(ws, first), chosen.snapshot(ws, second)), key=lambda one: one.frozen_at)
    counted = comparison.counts(ws, before.snapshot_id, after.snapshot_id)
    changes = (
        [
            picked(one, "record_id before after version_before version_after")
            for one in comparison.changes(ws, before.snapshot_id, after.snapshot_id, kind, limit, skip)
        ]
        if kind
        else []
    )
    return Told(
        {"before": row(before), "after": row(after), "counts": counted, "changes": changes},
        [
            ", ".join(f"{number:,} {word}" for word, number in counted.items()),
            *(Table(changes, "record_id before after").lines() if kind else []),
        ],
    )


@command(snapshots, "export")
def export(
    ws: Workspace,
    snapshot: chosen.Latest = "latest",
    form: Annotated[Form, typer.Option("--format", help="frozen: the file as it is; dataset: a zip for `datasets`.")] = "chat",
    split: Annotated[SplitName, typer.Option()] = "train",
    last_only: Annotated[bool, typer.Option("--last-only", help="Earlier answers of a conversation weigh 0.")] = False,
    out: Out = "",
) -> Told:
    """Write a snapshot's lines in another form."""
    found = chosen.snapshot(ws, snapshot)
    content: str | bytes
    if form == "chat":
        content = snapshot_exports.chat(ws, found, split, last_only)
    elif form == "parquet":
        content = snapshot_exports.table(ws, found, split)
    elif form == "csv":
        content = snapshot_exports.sheet(ws, found, split)
    elif form == "dataset":
        content = snapshot_exports.zipped(ws, found)
    else:
        content = nouns.content(ws, found, "manifest.json" if form == "manifest" else f"{split}.jsonl")
    ends = {"manifest": "manifest.json", "dataset": "zip"}
    file = write(out or f"{found.snapshot_id}-{ends[form] if form in ends else f'{split}.{ENDS[form]}'}", content)
    return Told({"snapshot": row(found), "format": form, "file": file}, [f"Written: {file}"])


@command(snapshots, "push")
def push(
    ws: Workspace,
    repository: Annotated[str, typer.Argument(help="owner/name on the Hugging Face Hub.")],
    snapshot: chosen.OfSnapshot = "",
    public: Annotated[bool, typer.Option("--public", help="Everybody may see it.")] = False,
) -> Told:
    """Put a snapshot on the Hub as a data set. The token is read from HF_TOKEN."""
    address = snapshot_exports.push(ws, chosen.snapshot(ws, snapshot), repository, not public)
    return Told({"address": address}, [f"It is at {address}."])


@command(snapshots, "adopt")
def adopt(
    ws: Workspace,
    folder: Annotated[str, typer.Argument(help="A snapshot's folder, of another workspace.")],
    name: Annotated[str, typer.Option()] = "",
) -> Told:
    """Take in a snapshot that was frozen elsewhere, after every byte was checked."""
    made = adoption.adopt(ws, path(folder), name)
    return Told({"snapshot": row(made)}, [f"Adopted: {made.snapshot_id}."])


@command(snapshots, "hold-against", elsewhere=True)
def hold_against(
    ws: Workspace,
    file: Annotated[str, typer.Argument(help="A JSONL test file made elsewhere.")],
    snapshot: chosen.OfSnapshot = "",
    near: Floor = inspections.NEAR_FLOOR,
    kind: chosen.MeaningKind = "",
    where: chosen.MeaningFrom = "",
    name: chosen.MeaningModel = "",
    wait: Wait = True,
) -> Told:
    """Does a test file hold questions that a snapshot trains on?"""
    run_id = foreign.start(ws, chosen.snapshot(ws, snapshot), str(path(file)), near, chosen.meaning(kind, where, name))
    told = follow.started(ws, run_id, wait)
    return _known(ws, run_id, told) if wait else told


@command(snapshots, "held-against")
def held_against(ws: Workspace, run_id: Annotated[str, typer.Argument(help="A run of hold-against.")]) -> Told:
    """What an earlier one found."""
    return _known(ws, run_id, follow.started(ws, run_id, False))


def row(snapshot: Snapshot) -> Row:
    """A snapshot in the fields that every document has for one."""
    return picked(snapshot, "snapshot_id name train validation test frozen_at")


def _known(ws: Workspace, run_id: str, told: Told) -> Told:
    run = _held(ws, run_id)
    rows = [
        picked(one, "line question kind similarity answers_similarity train_id train_question")
        for one in foreign.known(ws, run)
    ]
    return Told(
        told.document | {"lines": rows},
        Table(rows, "line kind similarity question train_question", "No line resembles train.").lines(),
    )


def _held(ws: Workspace, run_id: str) -> follow.Run:
    run = follow.runs.get(ws, run_id)
    if run.kind != "inspect" or run.spec["measure"]:
        raise StudioError(f"{run_id} held no file against a snapshot.", "`tunewright snapshots hold-against` does.")
    return run
