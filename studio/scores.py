"""Outputs and scores of an evaluation as they are stored: what each candidate answered, and how it did.

`grids` reads the scores, `rivals` and `slices` compare them, `wins` shows them item by item.
"""

from __future__ import annotations

from collections.abc import Sequence

from studio import snapshots
from studio.mentions import named_in
from studio.permissions import needs
from studio.records import Turns
from studio.workspace import Row, Transaction, Workspace

OUTPUT = ("candidate_id", "item_id", "sample", "text", "new_tokens", "prompt_tokens", "seconds", "finish", "answer_key",
          "reused", "cost", "reference_nats", "reference_tokens", "label_scores")


def add(transaction: Transaction, run_id: str, outputs: list[Row], scored: list[Row]) -> None:
    """Store a finished evaluation's lines."""
    unique = {(line["candidate_id"], line["item_id"], line["sample"]): line for line in outputs}
    transaction.insert("outputs", [{"run_id": run_id} | {key: line.get(key) for key in OUTPUT} for line in unique.values()])
    transaction.insert("scores", rows(run_id, scored))


def rows(run_id: str, scored: Sequence[Row]) -> list[Row]:
    """A child's lines, one an answer, as one row a score; the expected label is a row of its own, without a value."""
    made: list[Row] = []
    for line in scored:
        key = {"run_id": run_id, "candidate_id": line["candidate_id"], "item_id": line["item_id"], "sample": line["sample"]}
        made += [key | {"metric": metric, "value": value, "label": line["predicted"] if metric == "accuracy" else None}
                 for metric, value in line["scores"].items()]
        if line["expected"] is not None:
            made.append(key | {"metric": "expected", "value": None, "label": line["expected"]})
    return made


@needs("raw")
def questions(ws: Workspace, run_id: str, item_ids: Sequence[str]) -> dict[str, Turns]:
    """Some test items of an evaluation by record id: the whole conversation, the reference answer last."""
    snapshot_id = ws.value("select snapshot_id from runs where run_id = ?", [run_id])
    lines = snapshots.lines_of(ws, snapshots.get(ws, snapshot_id), item_ids)
    return {record_id: item.messages for record_id, item in lines.items()}


@needs("raw")
def holding(ws: Workspace, item_ids: Sequence[str], words: Sequence[str]) -> list[tuple[str, str]]:
    """(run id, item id) of every answer to one of these items, or in which a model names one of the words (lower case)."""
    found = ws.rows(
        f"""select distinct run_id, item_id from outputs o where item_id in (select unnest(?::varchar[]))
            or exists (from (select unnest(?::varchar[]) as word) w where {named_in('o.text')}) order by all""",
        [list(item_ids), list(words)])
    return [(row["run_id"], row["item_id"]) for row in found]


def forget(transaction: Transaction, answers: Sequence[tuple[str, str]]) -> None:
    """Delete every model's answers to these items of these runs, with their scores."""
    for table in ("outputs", "scores"):
        transaction.execute(
            f"""delete from {table} t using (select unnest(?::varchar[]) as run_id, unnest(?::varchar[]) as item_id) g
                where t.run_id = g.run_id and t.item_id = g.item_id""",
            [[run_id for run_id, _ in answers], [item_id for _, item_id in answers]])
