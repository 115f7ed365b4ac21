"""Together's own calls, held against its published document: one job although it keeps no metadata, and the same result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.managed.service import Order
from pipeline.managed.together_service import Together, suffix
from pipeline.spec_managed import ManagedSpec, Service
from tests import chat_server, children, managed
from tests.spoiling import Proxy, Spoil
from tests.together_server import Standing, serving

pytestmark = pytest.mark.heavy
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"


@pytest.fixture
def together() -> Iterator[tuple[Standing, str]]:
    standing = Standing()
    with serving(standing) as address:
        yield standing, address


def spec(address: str, run_id: str = "run-1", **more: Any) -> ManagedSpec:
    return managed.spec("", run_id, model=MODEL, **more).model_copy(
        update={"service": Service(api="together", base_url=address)}
    )


def test_no_request_breaks_togethers_document(together: tuple[Standing, str], tmp_path: Path) -> None:
    standing, log = together[0], tmp_path / "prism.log"
    with chat_server.checked(together[1], log, chat_server.TOGETHER) as before:
        address = before.removesuffix("/v1")
        wanted = spec(address, validation_file="valid.jsonl", suffix="support", epochs=2, batch_size=8, price=0.5,
                      learning_rate_multiplier=2.0)  # fmt: skip
        data = managed.run(managed.prepared(tmp_path, wanted), tmp_path, wanted)
        service = Together(wanted.service)
        assert service.models() == {MODEL: None} and service.cancel(standing.jobs[0]["id"]).state == "cancelled"
        service.delete("file-1")
    job = standing.jobs[0]
    assert (
        len(standing.files),
        len(standing.jobs),
        [line for line in log.read_text().splitlines() if "Violation:" in line],
    ) == (1, 1, [])
    dials = ("n_epochs", "n_evals", "batch_size", "learning_rate", "random_seed", "training_method")
    assert {name: job[name] for name in dials} == {
        "n_epochs": 2, "n_evals": 10, "batch_size": 8, "learning_rate": 2e-5, "random_seed": 12_345,
        "training_method": {"method": "sft", "train_on_inputs": False}}  # fmt: skip
    assert (data["model"], data["trained_tokens"], data["cost"], data["seconds"]) == (
        job["model_output_name"],
        4_000,
        0.002,
        5.0,
    )


def test_its_figures_and_words_become_curves_and_notes(together: tuple[Standing, str], tmp_path: Path) -> None:
    wanted = spec(together[1])
    folder = managed.prepared(tmp_path, wanted)
    data = managed.run(folder, tmp_path, wanted)
    assert (data["last_train_loss"], data["best_validation_loss"], data["best_step"]) == (0.5, 0.75, 2)
    assert managed.notes(folder) == ["Job started", "Job is running"]


@pytest.mark.parametrize("path", ["/files/upload", "/fine-tunes"])
def test_a_lost_answer_is_looked_for_and_nothing_is_made_twice(
    path: str, together: tuple[Standing, str], tmp_path: Path
) -> None:
    standing, address = together
    with Proxy(address, Spoil("POST", path)) as proxy:
        wanted = spec(proxy.url)
        folder = managed.prepared(tmp_path, wanted)
        managed.run(folder, tmp_path, wanted)
        (folder / "remote.json").unlink()
        managed.run(folder, tmp_path, wanted)
        other = spec(proxy.url, "run-2")
        managed.run(managed.prepared(tmp_path, other), tmp_path, other)
    posts = [asked[1] for asked in standing.asked if asked[0] == "POST"]
    assert posts == ["/files/upload", "/fine-tunes", "/fine-tunes"]


def test_a_wish_to_cancel_is_passed_on_and_one_to_pause_is_answered(together: tuple[Standing, str], tmp_path: Path) -> None:
    standing, address = together
    standing.states = ("running",)
    wanted = spec(address)
    folder = managed.prepared(tmp_path, wanted)
    (folder / "pause").touch()
    managed.when(lambda: bool(standing.jobs) and standing.jobs[0]["looks"] > 0, (folder / "cancel").touch)
    with pytest.raises(PipelineError, match="was cancelled at"):
        managed.run(folder, tmp_path, wanted)
    acts = [(row["act"], row["outcome"]) for row in children.events(folder, "act")]
    assert acts == [("pause", "refused"), ("cancel", "done")]


def test_the_suffix_ends_with_the_mark_of_the_run_and_stays_short() -> None:
    long, none = spec("", suffix="support-answers-in-the-tone-of-our-house-2026"), spec("")
    assert [suffix(Order(one, "file-1")) for one in (long, none)] == ["support-answers-in-the-tone-o-tw4e65d3fb", "tw4e65d3fb"]
