"""Answers, scores and vectors by a pool of workers on two nodes of a real Ray cluster: those of one process, in order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.rundir import Child, append, read_lines
from pipeline.specs import Candidate, Decoding, EvaluateSpec, Meaning
from tests import children, on_ray, tiny
from tests.ray_cluster import RayCluster

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ITEMS = [(f"i{n:02}", f"Where is my order {n * n}?", "On its way." if n % 2 else "It is late.") for n in range(40)]
KEPT = 6
"""Answers that an earlier attempt had written down."""


def evaluated(home: Path, tuned: Candidate, run_id: str, known: list[dict[str, object]]) -> Path:
    """The run folder of an evaluation in this process, or directed by it."""
    from pipeline import evaluation

    spec = EvaluateSpec(run_id=run_id, items_file="items.jsonl", candidates=(tuned,), decoding=Decoding(max_new_tokens=150),
                        answers="text", metrics=("rougeL", "bleu", "chrf", "perplexity"))
    folder = children.prepared(home, spec)
    append(folder / "outputs.jsonl", known)
    with Child(folder) as child:
        evaluation.run(child, spec, home)
    return folder


@pytest.fixture(scope="module")
def folders(ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of an evaluation by one process, and of one that is resumed by two workers of which one is killed."""
    home = tmp_path_factory.mktemp("pools")
    tuned = tiny.made(home, "lora")
    children.write_examples(home / "items.jsonl", ITEMS)
    alone = evaluated(home, tuned, "alone", [])
    rows = {row["item_id"]: row for row in read_lines(alone / "outputs.jsonl")}
    known = [rows[f"i{n:02}"] | {"answer_key": "", "prompt_tokens": -1} for n in range(KEPT)]
    written = home / "runs" / "together" / "outputs.jsonl"
    with (on_ray.job(ray_cluster, home),
          on_ray.killing(ray_cluster, "MapWorker", lambda: len(read_lines(written)) > KEPT) as killed):
        together = evaluated(home, tuned, "together", known)
    assert len(killed) == 1
    return alone, together


def test_greedy_texts_are_those_of_one_process_in_the_order_of_the_items(folders: tuple[Path, Path]) -> None:
    alone, together = ({row["item_id"]: row["text"] for row in read_lines(folder / "outputs.jsonl")} for folder in folders)
    assert together == alone and list(together) == [item[0] for item in ITEMS]


def test_answers_that_were_there_are_not_asked_for_again(folders: tuple[Path, Path]) -> None:
    rows = read_lines(folders[1] / "outputs.jsonl")
    assert [row["prompt_tokens"] == -1 for row in rows] == [True] * KEPT + [False] * (len(ITEMS) - KEPT)


def test_a_killed_worker_is_an_event_and_costs_no_answer(folders: tuple[Path, Path]) -> None:
    notes = [row["sentence"] for row in children.events(folders[1], "note")]
    assert notes == ["A worker died; another took its place, and what it had begun was done again."]
    assert len(read_lines(folders[1] / "outputs.jsonl")) == len(ITEMS)


def test_scores_by_a_worker_are_those_of_one_process() -> None:
    """What a worker does, without the cluster, which only carries it."""
    from dataclasses import asdict

    from pipeline.cluster import scoring
    from pipeline.scoring import engine

    asked = engine.Asked("text", (), ("rougeL", "bleu", "chrf", "exact_match"), False)
    pairs = [("It is on its way.", "It is late."), ("It is late.", "It is late."), ("A tent", "")]
    said = json.loads(scoring.judging(asked)(json.dumps(pairs).encode()))
    assert said == json.loads(json.dumps([asdict(one) for one in engine.judged(pairs, asked)]))


def test_vectors_by_a_worker_are_those_of_one_process(tmp_path: Path) -> None:
    """What a worker does, without the cluster, which only carries it."""
    import io

    from pipeline.cluster import scoring
    from pipeline.dedupe import vectors
    from tests.test_families import saved

    meaning = Meaning(kind="transformer", ref=str(saved(tmp_path / "base", "llama")))
    texts = [item[1] for item in ITEMS]
    made = np.load(io.BytesIO(scoring.embedding(meaning.model_dump(), 1)(json.dumps(texts).encode())))
    assert np.allclose(made, vectors.of(texts, meaning), atol=1e-6)
