"""`tunewright twins`: the Twins page."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from studio import conflicts, duplicate_groups, duplicates, keepers, leaving, starts
from studio.commands import follow
from studio.commands.chosen import Accept, MeaningFrom, MeaningKind, MeaningModel, meaning
from studio.commands.frame import As, Limit, Skip, Table, Told, Wait, command, group, listed, picked, who
from studio.commands.records import row as record_row
from studio.commands.records import undone
from studio.conflicts import Conflict
from studio.duplicate_groups import Group, Order, State
from studio.errors import StudioError
from studio.keepers import Rule
from studio.workspace import Row, Workspace

twins = group()
APPS = {"twins": twins}
GROUP = "group_id key members standing texts reworded similarity spread state"
Side = Annotated[Literal["question", "answer", "both"], typer.Option(help="Which side of the records is compared.")]
GroupId = Annotated[str, typer.Argument(help="The group's id, as `twins groups` says it.")]
Spare = Annotated[bool, typer.Option(help="Leave records marked keep alone.")]
Who = Annotated[Rule, typer.Option("--rule", help="Who stays.")]


@command(twins, "search", elsewhere=True)
def search(
    ws: Workspace,
    side: Side = "question",
    kind: MeaningKind = "",
    where: MeaningFrom = "",
    name: MeaningModel = "",
    accept: Accept = False,
    wait: Wait = True,
) -> Told:
    """Compare all records. It shows what it finds; it drops nothing."""
    how = meaning(kind, where, name)
    if kind == "endpoint":
        leaving.check(ws, accept)
    told = follow.started(ws, starts.search(ws, side, how), wait)
    return Told(told.document | {"tally": _tally(ws, side)}, told.words) if wait else told


@command(twins, "groups")
def groups(
    ws: Workspace,
    side: Side = "question",
    state: Annotated[State, typer.Option()] = "open",
    order: Annotated[Order, typer.Option()] = "size",
    limit: Limit = 25,
    skip: Skip = 0,
) -> Told:
    """Groups of records that say the same."""
    found = duplicates.latest(ws, _searched(ws, side))
    rows = [picked(one, GROUP) for one in duplicate_groups.listing(ws, side, limit, skip, order, state)[1]]
    return Told(
        {
            "groups": rows,
            "tally": _tally(ws, side),
            "changed_since": found.changed if found else 0,
            "thresholds": duplicates.thresholds(ws, side),
        },
        Table(rows, "group_id members texts standing similarity spread state", "No such group.").lines(),
    )


@command(twins, "show")
def show(ws: Workspace, group_id: GroupId, side: Side = "question", limit: Limit = 500) -> Told:
    """The records of one group, and how alike they are."""
    found = _group(ws, side, group_id)
    rows = [
        record_row(one.record) | picked(one, "copy_of similarity source")
        for one in duplicate_groups.everyone(ws, side, group_id, limit)
    ]
    return Told(
        {"group": picked(found, GROUP), "records": rows},
        Table(rows, "record_id decision similarity rating question answer", widest=40).lines(),
    )


@command(twins, "accept")
def accept(
    ws: Workspace,
    ids: Annotated[list[str] | None, typer.Argument(help="Groups; without any, all.")] = None,
    side: Side = "question",
    rule: Who = "rated",
    spare: Spare = True,
    at_least: Annotated[float, typer.Option(min=0, max=1, help="Only twins at least this alike.")] = 0.0,
    look: Annotated[bool, typer.Option("--look", help="Only say what would fall.")] = False,
    as_: As = "",
) -> Told:
    """Drop the twins of who stays, as one act that can be undone."""
    plan = keepers.plan(ws, _searched(ws, side), rule, ids or None, at_least, spare)
    slices = [picked(one, "by name before after shrinks") for one in keepers.cost(ws, plan.drops)]
    fallen = 0 if look else keepers.accept(ws, plan, who(as_))
    return Told(
        {
            "falls": len(plan.drops),
            "marked_keep": plan.marked_drops,
            "groups": plan.groups_touched,
            "dropped": fallen,
            "slices": slices,
        },
        [
            *(f"{one['by']} {one['name']}: {one['before']:,} → {one['after']:,}" for one in slices if one["shrinks"]),
            f"{len(plan.drops):,} records {'would fall' if look else 'were dropped'}, out of {plan.groups_touched:,} groups.",
        ],
    )


@command(twins, "keep")
def keep(
    ws: Workspace,
    group_id: GroupId,
    record_id: Annotated[str, typer.Argument(help="Who stays.")],
    side: Side = "question",
    as_: As = "",
) -> Told:
    """Keep one record of a group; those that are its own twins are dropped."""
    done = keepers.keep_this(ws, side, _group(ws, side, group_id), record_id, who(as_))
    return Told({"dropped": done}, [f"{done:,} records were dropped."])


@command(twins, "dismiss")
def dismiss(ws: Workspace, group_id: GroupId, side: Side = "question", as_: As = "") -> Told:
    """Say that a group holds different things: not asked about again until it changes."""
    duplicate_groups.dismiss(ws, side, _group(ws, side, group_id), who(as_))
    return Told({"group": picked(_group(ws, side, group_id), GROUP)}, ["They are no twins."])


@command(twins, "ask-again")
def ask_again(ws: Workspace, group_id: GroupId, side: Side = "question", as_: As = "") -> Told:
    """Take a "no twins" back."""
    duplicate_groups.take_back(ws, side, _group(ws, side, group_id), who(as_))
    return Told({"group": picked(_group(ws, side, group_id), GROUP)}, ["The group is open again."])


@command(twins, "threshold")
def threshold(
    ws: Workspace,
    kind: Annotated[Literal["near", "meaning"], typer.Argument()],
    value: Annotated[float, typer.Argument(min=0, max=1, help="0 to 1.")],
    side: Side = "question",
    as_: As = "",
) -> Told:
    """From which similarity on two records are twins. Groups anew at once; nothing is searched again."""
    duplicates.set_threshold(ws, _searched(ws, side), kind, value, who(as_))
    tally = _tally(ws, side)
    return Told({"tally": tally, "thresholds": duplicates.thresholds(ws, side)}, [f"{tally['open']:,} groups are open."])


@command(twins, "steps")
def steps(ws: Workspace, side: Side = "question", kind: Annotated[Literal["near", "meaning"], typer.Option()] = "near") -> Told:
    """How many records would fall at other thresholds."""
    rows = [picked(one, "threshold fall") for one in duplicate_groups.steps(ws, _searched(ws, side), kind)]
    return listed("steps", rows, "threshold fall")


@command(twins, "conflicts")
def clashes(
    ws: Workspace,
    low: Annotated[float, typer.Option(min=0, max=1, help="Answers less alike than this differ.")] = 0.5,
    limit: Limit = 25,
    skip: Skip = 0,
) -> Told:
    """Questions that are twins and were answered differently."""
    total, found = conflicts.listing(ws, limit, skip, low)
    rows = [_conflict(one) for one in found]
    words = [f"{one['group_id']}: {one['records']:,} records, {len(one['answers']) + one['more']:,} answers" for one in rows]
    return Told({"conflicts": rows, "open": total}, words or ["No question was answered in two ways, or each was settled."])


@command(twins, "settle")
def settle(
    ws: Workspace,
    group_id: GroupId,
    answer: Annotated[str, typer.Argument(help="The record whose answer stays; nothing: all of them are right.")] = "",
    low: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
    as_: As = "",
) -> Told:
    """Keep one answer of a conflict, or say that all are right."""
    found = next((one for one in conflicts.listing(ws, 100_000, 0, low)[1] if one.group.group_id == group_id), None)
    if found is None:
        raise StudioError(f"There is no open conflict {group_id}.", "`tunewright twins conflicts` has them.")
    if not answer:
        conflicts.all_right(ws, found, who(as_))
        return Told({"dropped": 0}, ["All of them are right."])
    chosen = next((one for one in found.answers if one.record.record_id == answer), None)
    if chosen is None:
        raise StudioError(
            f"The record {answer} gives none of its answers.",
            f"Choose among {', '.join(one.record.record_id for one in found.answers)}.",
        )
    done = conflicts.keep_answer(ws, found, chosen, who(as_))
    return Told({"dropped": done}, [f"{done:,} records were dropped."])


@command(twins, "undo")
def undo(ws: Workspace, as_: As = "") -> Told:
    """Take back your newest act on twins."""
    return undone(duplicate_groups.undo(ws, who(as_)))


def _searched(ws: Workspace, side: str) -> str:
    if duplicates.latest(ws, side) is None:
        raise StudioError(
            f"Nobody compared this side of the records yet ({side}).", f"`tunewright twins search --side {side}` does."
        )
    return side


def _group(ws: Workspace, side: str, group_id: str) -> Group:
    return duplicate_groups.get(ws, _searched(ws, side), group_id)


def _tally(ws: Workspace, side: str) -> Row:
    return picked(duplicate_groups.tally(ws, side), "open settled dismissed members waiting groups")


def _conflict(one: Conflict) -> Row:
    return {
        "group_id": one.group.group_id,
        "records": one.group.standing,
        "alike": one.alike,
        "more": one.more,
        "answers": [
            picked(said, "source given falls marked")
            | {"record_id": said.record.record_id, "question": said.record.question, "answer": said.record.answer}
            for said in one.answers
        ],
    }
