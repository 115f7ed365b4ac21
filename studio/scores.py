"""Outputs and scores of an evaluation: what each model answered, how it did, and the verdict."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from studio import leaks, snapshots, verdicts
from studio.errors import StudioError
from studio.mentions import named_in
from studio.records import Turns
from studio.verdicts import MIN_ITEMS, Comparison
from studio.workspace import Row, Transaction, Workspace

__all__ = ["MIN_ITEMS", "NAMES", "TEXT_METRICS", "ItemScore", "add", "compare", "cut_answers", "items", "metrics",
           "questions", "suspicious"]
TEXT_METRICS = ("rougeL", "rouge1", "rouge2", "exact_match")
OUTPUT = ("candidate_id", "item_id", "sample", "text", "new_tokens", "prompt_tokens", "seconds", "finish", "answer_key",
          "reused", "cost", "reference_nats", "reference_tokens", "label_scores")
NAMES = {"rougeL": "ROUGE-L", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "exact_match": "Exact match",
         "accuracy": "Accuracy", "macro_f1": "Macro-F1"}


@dataclass(frozen=True)
class ItemScore:
    """One test item: what was asked, the reference, both answers, and their values on one metric."""

    item_id: str
    question: Turns
    reference: str
    a_text: str
    b_text: str
    a: float
    b: float
    a_finish: str
    b_finish: str

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def winner(self) -> str:
        if abs(self.difference) < 1e-9:
            return "tie"
        return "tuned" if self.difference > 0 else "base"


def add(transaction: Transaction, run_id: str, outputs: list[Row], scored: list[Row]) -> None:
    """Store a finished evaluation's lines."""
    rows: list[Row] = []
    for line in scored:
        key = {"run_id": run_id, "candidate_id": line["candidate_id"], "item_id": line["item_id"], "sample": line["sample"]}
        rows += [key | {"metric": metric, "value": value, "label": line["predicted"] if metric == "accuracy" else None}
                 for metric, value in line["scores"].items()]
        if line["expected"] is not None:
            rows.append(key | {"metric": "expected", "value": None, "label": line["expected"]})
    unique = {(line["candidate_id"], line["item_id"], line["sample"]): line for line in outputs}
    transaction.insert("outputs", [{"run_id": run_id} | {key: line.get(key) for key in OUTPUT} for line in unique.values()])
    transaction.insert("scores", rows)


def metrics(ws: Workspace, run_id: str) -> list[str]:
    """The metrics this evaluation has, the telling ones first: labels before text where answers are labels."""
    found = {row["metric"] for row in ws.rows("select distinct metric from scores where run_id = ?", [run_id])}
    labels = ["accuracy", "macro_f1"] if "accuracy" in found else []
    return labels + [metric for metric in TEXT_METRICS if metric in found]


def compare(ws: Workspace, run_id: str, a: str, b: str, without: Collection[str] = ()) -> list[Comparison]:
    """Model b against model a on every metric, with paired 95 % intervals, `without` some of the items.

    Raises StudioError without scores, or where no item is left.
    """
    found = metrics(ws, run_id)
    if not found:
        raise StudioError("This evaluation has no scores yet.", "Wait until its run is done, then open it again.")
    left = "select count(*) from scores where run_id = ? and not list_contains(?::varchar[], item_id)"
    if without and not ws.value(left, [run_id, list(without)]):
        raise StudioError("Every test item is suspicious: nothing is left to compare on.",
                          "Freeze again, and quarantine what resembles train.")
    out = list(without)
    return [_macro_f1(ws, run_id, a, b, out) if metric == "macro_f1" else _means(ws, run_id, a, b, metric, out)
            for metric in found]


def suspicious(ws: Workspace, run_id: str) -> frozenset[str]:
    """The test items of an evaluation that resemble a line of the snapshot's train: their scores may be too good."""
    snapshot_id = ws.value("select snapshot_id from runs where run_id = ?", [run_id])
    tested = {row["item_id"] for row in ws.rows("select distinct item_id from scores where run_id = ?", [run_id])}
    return leaks.suspicious(ws, snapshot_id) & tested


def items(ws: Workspace, run_id: str, a: str, b: str, metric: str) -> list[ItemScore]:
    """Every test item with both answers, the tuned model's largest wins first."""
    metric = "accuracy" if metric == "macro_f1" else metric
    found = ws.rows(
        """select oa.item_id, oa.text as a_text, ob.text as b_text, sa.value as a, sb.value as b,
                  oa.finish as a_finish, ob.finish as b_finish
           from outputs oa join outputs ob on ob.run_id = oa.run_id and ob.item_id = oa.item_id
           join scores sa on sa.run_id = oa.run_id and sa.item_id = oa.item_id and sa.candidate_id = oa.candidate_id
           join scores sb on sb.run_id = ob.run_id and sb.item_id = ob.item_id and sb.candidate_id = ob.candidate_id
           where oa.run_id = ? and oa.candidate_id = ? and ob.candidate_id = ? and sa.metric = ? and sb.metric = ?
           order by sb.value - sa.value desc, oa.item_id""", [run_id, a, b, metric, metric])
    asked = questions(ws, run_id)
    return [ItemScore(question=asked[row["item_id"]][:-1], reference=asked[row["item_id"]][-1]["content"], **row)
            for row in found]


def questions(ws: Workspace, run_id: str) -> dict[str, Turns]:
    """The test items of an evaluation by record id: the whole conversation, the reference answer last."""
    snapshot_id = ws.value("select snapshot_id from runs where run_id = ?", [run_id])
    snapshot = snapshots.get(ws, snapshot_id)
    return {item.record_id: item.messages for item in snapshots.items(ws, snapshot, "test")}


def cut_answers(ws: Workspace, run_id: str) -> dict[str, int]:
    """How many of each model's answers stopped at the token limit, by model id."""
    found = ws.rows("select candidate_id, count(*) filter (finish = 'length') as n from outputs where run_id = ? group by 1",
                    [run_id])
    return {row["candidate_id"]: row["n"] for row in found}


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


def _means(ws: Workspace, run_id: str, a: str, b: str, metric: str, out: list[str]) -> Comparison:
    found = ws.rows(
        """select sa.value as a, sb.value as b from scores sa join scores sb using (run_id, item_id, metric)
           where run_id = ? and metric = ? and sa.candidate_id = ? and sb.candidate_id = ?
             and not list_contains(?::varchar[], item_id) order by item_id""", [run_id, metric, a, b, out])
    return verdicts.compare_means(metric, [row["a"] for row in found], [row["b"] for row in found])


def _macro_f1(ws: Workspace, run_id: str, a: str, b: str, out: list[str]) -> Comparison:
    found = ws.rows(
        """select e.label as expected, sa.label as a, sb.label as b
           from scores e join scores sa using (run_id, item_id) join scores sb using (run_id, item_id)
           where run_id = ? and e.metric = 'expected' and e.candidate_id = ? and sa.metric = 'accuracy' and sa.candidate_id = ?
             and sb.metric = 'accuracy' and sb.candidate_id = ? and not list_contains(?::varchar[], item_id)
           order by item_id""", [run_id, a, a, b, out])
    return verdicts.compare_macro_f1([row["expected"] for row in found], [row["a"] for row in found],
                                     [row["b"] for row in found])
