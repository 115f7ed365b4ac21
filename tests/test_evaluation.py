"""Evaluation in a real child: a killed child loses no answer, and an adapter that does nothing changes nothing."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from rouge_score import rouge_scorer

from pipeline import base_models, rundir
from pipeline.rundir import Result
from pipeline.specs import BaseSource, Candidate, Decoding, EvaluateSpec
from tests import children
from tests.conftest import STARTER
from tests.test_families import saved

ITEMS = [
    (f"i{n}", f"Where is my {thing}?", f"Your {thing} is on its way.")
    for n, thing in enumerate(("tent", "new red jacket", "lamp", "stove", "pair of boots"))
]


def save_adapter_that_does_nothing(home: Path, source: BaseSource = STARTER) -> str:
    """LoRA begins with B = 0; returns its path in the workspace."""
    import torch

    from pipeline.training import quantised

    base = quantised.load_base(base_models.prepare(source, home, print), torch.float32, torch.device("cpu"))
    quantised.add_adapter(base, 4, seed=1).save_pretrained(home / "empty-adapter", save_embedding_layers=False)
    return "empty-adapter"


@pytest.fixture(scope="module")
def killed_and_resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], Result]:
    """An evaluation of a tiny base and of it with an empty adapter: its folder, what was there at the kill, its end."""
    home = tmp_path_factory.mktemp("evaluation")
    source = BaseSource(kind="folder", ref=str(saved(home / "base", "llama")), name="Tiny")
    children.write_examples(home / "items.jsonl", ITEMS)
    spec = EvaluateSpec(
        run_id="evaluated",
        items_file="items.jsonl",
        decoding=Decoding(max_new_tokens=12, batch_size=2),
        candidates=(
            Candidate(model_id="base", name="Base", base=source),
            Candidate(model_id="same", name="Same", base=source, adapter=save_adapter_that_does_nothing(home, source)),
        ),
    )
    folder = children.prepared(home, spec)
    child = children.begin_to_kill(folder, home)
    children.wait_until(lambda: len(rundir.read_lines(folder / "outputs.jsonl")) >= 2, folder)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with (folder / "outputs.jsonl").open("a") as file:
        file.write('{"candidate_id": "base", "item_id": "i4", "te')
    before = rundir.read_lines(folder / "outputs.jsonl")
    return folder, before, children.finished(folder, home)


@pytest.mark.slow
def test_answers_that_were_there_are_kept_and_none_is_given_twice(
    killed_and_resumed: tuple[Path, list[dict[str, Any]], Result],
) -> None:
    folder, before, ended = killed_and_resumed
    outputs = rundir.read_lines(folder / "outputs.jsonl")
    pairs = [(row["candidate_id"], row["item_id"]) for row in outputs]
    assert ended.outcome == "done", ended
    assert 2 <= len(before) < len(outputs) == 10 and outputs[: len(before)] == before
    assert set(pairs) == {(model, item) for model in ("base", "same") for item, _, _ in ITEMS}


@pytest.mark.slow
def test_an_adapter_that_does_nothing_answers_as_its_base(
    killed_and_resumed: tuple[Path, list[dict[str, Any]], Result],
) -> None:
    outputs = rundir.read_lines(killed_and_resumed[0] / "outputs.jsonl")
    said = {
        who: {row["item_id"]: row["text"] for row in outputs if row["candidate_id"] == who} for who in ("base", "same")
    }
    assert said["base"] == said["same"] and all(said["base"].values())


@pytest.mark.slow
def test_every_answer_is_scored_against_its_own_reference(
    killed_and_resumed: tuple[Path, list[dict[str, Any]], Result],
) -> None:
    folder, _, ended = killed_and_resumed
    texts = {(row["candidate_id"], row["item_id"]): row["text"] for row in rundir.read_lines(folder / "outputs.jsonl")}
    judge = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    wanted = {
        (model, item): judge.score(reference, texts[model, item])["rougeL"].fmeasure
        for model in ("base", "same")
        for item, _, reference in ITEMS
    }
    scored = rundir.read_lines(folder / "scores.jsonl")
    assert {(row["candidate_id"], row["item_id"]): row["scores"]["rougeL"] for row in scored} == wanted
    assert ended.data["metrics"]["base"]["rougeL"] == pytest.approx(sum(list(wanted.values())[:5]) / 5)


@pytest.mark.slow
def test_an_answer_at_the_token_limit_says_so(killed_and_resumed: tuple[Path, list[dict[str, Any]], Result]) -> None:
    outputs = rundir.read_lines(killed_and_resumed[0] / "outputs.jsonl")
    assert all(row["new_tokens"] <= 12 and (row["finish"] == "stop" or row["new_tokens"] == 12) for row in outputs)
    assert any(row["finish"] == "length" for row in outputs)
