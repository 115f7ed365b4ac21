"""A workspace with an evaluation that looks like a real one: the sample's tickets, three candidates, scores by rouge-score.

The tuned model writes nearly as the desk does, but answers parcels badly; the prompted base is polite and vague.
"""

from __future__ import annotations

import random
from datetime import timedelta

from rouge_score import rouge_scorer

from pipeline import rundir
from pipeline.scoring.probes import PROBES
from pipeline.specs import BaseSource, Candidate, Decoding, EvaluateSpec
from studio import intake, leaks, models, runs, snapshots
from studio.snapshots import Recipe, Snapshot
from studio.workspace import Workspace
from tests.tickets import BASE, _json, _launched, recorded_training

RUN, TUNED, PROMPTED = "evaluated003", "trained00001", "starter-prompted"
PROMPT = "You are an experienced customer support agent. Be friendly, concrete and complete.\nWrite about 45 words."
VAGUE = (
    "Thank you for reaching out to us. We are sorry to hear about your experience. Please provide more details about your "
    "order so that we can help you."
)
RAMBLING = (
    "I'm sorry, but as an AI I cannot access your order. You may want to contact the company. If you have any other "
    "questions, feel free to ask. If you have any other questions, feel free to ask."
)


def evaluated(ws: Workspace, test: int = 120, run_id: str = RUN, seed: int = 7) -> Snapshot:
    """Import the sample, freeze it, train and evaluate, all as recorded; collected."""
    intake.import_sample(ws)
    snapshot = snapshots.freeze(ws, "Sample", Recipe(sizes=(200, 40, test)))
    recorded_training(ws, snapshot)
    recorded(ws, snapshot, run_id, seed)
    return snapshot


def recorded(
    ws: Workspace, snapshot: Snapshot, run_id: str = RUN, seed: int = 7, skill: float = 0.75, tokens: int = 150
) -> None:
    """One evaluation of base, prompted base and tuned, as its child would have left it."""
    child = _launched(ws, _asked(ws, snapshot, run_id, tokens), snapshot, "Sample in style against its base")
    dice, scorer = random.Random(seed), rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    tags = {row["record_id"]: row["tags"] or "" for row in ws.rows("select record_id, tags from record_now")}
    weak = sorted(set(tags.values()))[-1]
    scored = []
    for place, item in enumerate(snapshots.items(ws, snapshot, "test")):
        reference = item.messages[-1]["content"]
        bad = tags.get(item.record_id) == weak
        texts = {
            "starter": _mixed(dice, reference, RAMBLING, 0.1),
            PROMPTED: _mixed(dice, reference, VAGUE, 0.3),
            TUNED: _mixed(dice, reference, VAGUE, 0.15 if bad else skill),
        }
        for who, text in texts.items():
            cut = who == "starter" and place % 9 == 0
            child.output(
                {
                    "candidate_id": who,
                    "item_id": item.record_id,
                    "sample": 0,
                    "text": text,
                    "answer_key": "",
                    "new_tokens": len(text.split()) * 4 // 3,
                    "prompt_tokens": 60 + 40 * (who == PROMPTED),
                    "seconds": 0.4 + dice.random(),
                    "finish": "length" if cut else "stop",
                    "reused": who == "starter",
                }
            )
            values = {name: found.fmeasure for name, found in scorer.score(reference, text).items()}
            scored.append(
                {
                    "candidate_id": who,
                    "item_id": item.record_id,
                    "sample": 0,
                    "expected": None,
                    "predicted": None,
                    "scores": values | {"exact_match": float(reference == text), "length_ratio": len(text) / len(reference)},
                }
            )
    scored += _probed(dice)
    rundir.write_atomic(child.folder / "scores.jsonl", "".join(f"{line}\n" for line in map(_json, scored)))
    train = [line.record_id for line in snapshots.items(ws, snapshot, "train")]
    near = [{"item_id": item.record_id, "train_ids": dice.sample(train, 3)} for item in snapshots.items(ws, snapshot, "test")]
    rundir.write_atomic(child.folder / "nearest.jsonl", "".join(f"{line}\n" for line in map(_json, near)))
    child.finish("done", f"3 candidates answered {snapshot.test} test items.", data={"items": snapshot.test})
    runs.collect(ws)


def _asked(ws: Workspace, snapshot: Snapshot, run_id: str, tokens: int) -> EvaluateSpec:
    models.every(ws)
    source = BaseSource(**BASE)
    adapter = models.get(ws, TUNED).adapter
    return EvaluateSpec(
        run_id=run_id,
        items_file=snapshot.file("test"),
        primary="rougeL",
        probes=True,
        decoding=Decoding(max_new_tokens=tokens),
        candidates=(
            Candidate(model_id="starter", name=BASE["name"], base=source),
            Candidate(model_id="starter", candidate_id=PROMPTED, name="Starter + written prompt", base=source, system=PROMPT),
            Candidate(model_id=TUNED, name="Sample in style (tuned)", base=source, adapter=adapter),
        ),
    )


def leaking(ws: Workspace, snapshot: Snapshot, number: int) -> None:
    """Let some test items be known to resemble train."""
    items, train = snapshots.items(ws, snapshot, "test"), snapshots.items(ws, snapshot, "train")[0].record_id
    with ws.transaction() as transaction:
        transaction.insert(
            "leaks",
            [
                {
                    "snapshot_id": snapshot.snapshot_id,
                    "split": "test",
                    "item_id": item.record_id,
                    "train_id": train,
                    "kind": "near",
                    "similarity": 0.9,
                    "other_similarity": 0.9,
                    "run_id": "inspect",
                }
                for item in items[:number]
            ],
        )
    assert len(leaks.suspicious(ws, snapshot.snapshot_id)) == number


def later(ws: Workspace, days: int = 1) -> None:
    """The clock goes on."""
    now = ws.now
    ws.now = lambda: now() + timedelta(days=days)


def _mixed(dice: random.Random, reference: str, other: str, skill: float) -> str:
    """Sentences of the reference, each kept with some chance, the rest from elsewhere."""
    kept = [part for part in reference.split(". ") if dice.random() < skill]
    return ". ".join([*kept, *dice.sample(other.split(". "), 1)]) if kept else other


def _probed(dice: random.Random) -> list[dict[str, object]]:
    return [
        {
            "candidate_id": who,
            "item_id": probe.id,
            "sample": 0,
            "expected": None,
            "predicted": None,
            "scores": {"probe": float(dice.random() < (0.4 if who == TUNED else 0.85))},
        }
        for probe in PROBES
        for who in ("starter", PROMPTED, TUNED)
    ]
