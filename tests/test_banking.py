"""Real intents of a bank's customers: base, few-shot and tuned on two cores, and figures that scikit-learn agrees with."""

from __future__ import annotations

import csv
from math import comb
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from pipeline import rundir
from studio import candidates, grids, intake, models, rivals, snapshots, starts
from studio.candidates import Chosen
from studio.columns import Choices
from studio.dials import Dials
from studio.snapshots import Recipe, Snapshot
from studio.starts import Decoding
from studio.workspace import Workspace
from tests import children
from tests.tickets import COLUMNS, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
INTENTS = ("age_limit", "atm_support", "card_arrival", "change_pin", "exchange_rate", "lost_or_stolen_card",
           "passcode_forgotten", "terminate_account", "top_up_failed", "verify_my_identity")
EACH = 32


def in_words(intent: str) -> str:
    return intent.replace("_", " ")


@pytest.fixture(scope="module")
def banking(shared_data: Path, starter_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    home = tmp_path_factory.mktemp("banking") / "ws"
    home.mkdir()
    (home / "models").symlink_to(starter_home / "models")
    with (shared_data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["category"] in INTENTS]
    kept = [row for intent in INTENTS for row in [one for one in rows if one["category"] == intent][:EACH]]
    path = write_csv(home / "banking.csv", [(f"T{n}", row["text"], in_words(row["category"]), "5", row["category"])
                                            for n, row in enumerate(kept)])
    ws = Workspace(home)
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    return ws


def followed(ws: Workspace, run_id: str) -> str:
    run = children.collected(ws, run_id, seconds=600)
    assert run.state == "done", (run.result, rundir.log_tail(ws.path(run.folder)))
    return run_id


def predicted(ws: Workspace, run_id: str, candidate: Chosen) -> dict[str, str]:
    rows = ws.rows("select item_id, label from scores where run_id = ? and candidate_id = ? and metric = 'accuracy'",
                   [run_id, candidate.candidate_id])
    return {row["item_id"]: row["label"] for row in rows}


def two_sided(only_a: int, only_b: int) -> float:
    """McNemar's exact test, written out: how often a fair coin falls at least as unevenly."""
    n, k = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)


def test_base_few_shot_and_tuned_answer_and_the_verdict_is_that_of_scikit_learn_and_of_mcnemar(banking: Workspace) -> None:
    ws = banking
    snapshot: Snapshot = snapshots.freeze(ws, "Banking", Recipe(sizes=(200, 10, 60), stratify="tag"))
    base = models.get(ws, models.STARTER_ID)
    dials = Dials(epochs=1, learning_rate=1e-3, evaluations_per_epoch=1, keep=1, sample_prompts=0, method="lora")
    tuned = models.get(ws, followed(ws, starts.training(ws, snapshot, base, dials)))
    few_shot = Chosen(base, candidates.default_prompt(ws, snapshot), candidates.few_shot(snapshot, 6, "diverse"))
    chosen = [Chosen(base), few_shot, Chosen(tuned)]
    run_id = followed(ws, starts.evaluation(ws, snapshot, chosen, Decoding(max_new_tokens=8), probes=False))

    expected = {item.record_id: item.messages[-1]["content"] for item in snapshots.items(ws, snapshot, "test")}
    said = [predicted(ws, run_id, one) for one in chosen]
    truth = list(expected.values())
    answers = [[one[item] for item in expected] for one in said]
    right = [[a == b for a, b in zip(some, truth, strict=True)] for some in answers]
    grid = grids.read(ws, run_id)
    every = np.ones(len(grid.items), bool)
    for other in (1, 2):
        found = {metric: rivals.compare(grid, metric, chosen[0].candidate_id, chosen[other].candidate_id, every)
                 for metric in ("accuracy", "macro_f1")}
        pairs = list(zip(right[0], right[other], strict=True))
        assert found["accuracy"].b.value == pytest.approx(accuracy_score(truth, answers[other]))
        assert found["accuracy"].p_value == pytest.approx(two_sided(pairs.count((True, False)), pairs.count((False, True))))
        assert found["macro_f1"].b.value == pytest.approx(f1_score(truth, answers[other], average="macro", zero_division=0))
    assert found["accuracy"].word == "better" and found["accuracy"].b.value > 0.6
    likely = ws.row("""select count(label_scores) as labels, sum(reference_nats) as nats from outputs where run_id = ?
                       and candidate_id = ?""", [run_id, tuned.model_id])
    assert likely and likely["labels"] == 60 and likely["nats"] < 60
