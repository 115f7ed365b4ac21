"""Training, with the real starter in real child processes: it learns, survives being killed, and stops when asked."""

from __future__ import annotations

import fcntl
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import base_models, rundir, template
from pipeline.errors import PipelineError, is_out_of_memory
from pipeline.rundir import Result
from pipeline.specs import BaseSource, TrainSpec
from pipeline.training import recipe
from studio import models
from studio.workspace import Workspace
from tests import children, tuned
from tests.conftest import STARTER
from tests.test_families import saved
from tests.tuned import ANSWER, spec, write_tickets

STEPS = 12


@pytest.fixture(scope="module")
def workspace(starter_home: Path) -> Path:
    """The starter, twelve tickets answered in one odd style, one that is too long, and three to validate on."""
    write_tickets(starter_home)
    return starter_home


@pytest.fixture(scope="module")
def trained(workspace: Path) -> tuple[Path, Result]:
    """One run from start to end without interruption."""
    return tuned.trained(workspace)


def losses(folder: Path) -> dict[tuple[str, float], float]:
    """Every loss by kind and step, as a chart shows them: the newest where a resumed run took a step again."""
    return {(kind, row["step"]): row["loss"] for kind in ("loss", "validation") for row in children.events(folder, kind)}


@pytest.mark.slow
def test_training_lowers_the_loss_on_tickets_it_has_not_seen(trained: tuple[Path, Result]) -> None:
    data = trained[1].data
    assert data["best_validation_loss"] < data["first_validation_loss"] - 1.0, trained[1]


@pytest.mark.slow
def test_another_chat_template_than_the_pinned_one_is_a_note_and_no_error(trained: tuple[Path, Result]) -> None:
    notes = [row["sentence"] for row in children.events(trained[0], "note")]
    assert [note for note in notes if "another chat template" in str(note)]


@pytest.mark.slow
def test_a_ready_base_model_is_pinned_by_the_template_that_training_reads(workspace: Path) -> None:
    ws = Workspace(workspace)
    pin = models.ready(ws)[0].pin
    ws.close()
    tokenizer = base_models.load_tokenizer(workspace / "models" / base_models.slug(STARTER))
    assert pin["chat_template_sha256"] == base_models.template_sha256(tokenizer.chat_template)


@pytest.mark.slow
def test_training_goes_on_learning_after_an_evaluation_pass(trained: tuple[Path, Result]) -> None:
    found = [row["loss"] for row in children.events(trained[0], "validation")]
    assert len(found) == 1 + STEPS // 3 and found[-1] < found[1] - 0.3


@pytest.mark.slow
def test_the_result_counts_what_was_done_and_what_was_left_out(trained: tuple[Path, Result]) -> None:
    folder, ended = trained
    counted = {key: ended.data[key] for key in ("adapter", "epochs", "steps", "left_out", "tokens")}
    tokens = sum(int(row["tokens"]) for row in children.events(folder, "loss"))
    assert counted == {"adapter": "adapter", "epochs": 4, "steps": STEPS, "left_out": 1, "tokens": tokens}


@pytest.mark.slow
def test_what_a_run_leaves_holds_no_pickle_and_no_path_of_this_machine(trained: tuple[Path, Result]) -> None:
    folder, _ = trained
    kinds = {path.suffix for place in ("adapter", "checkpoints") for path in (folder / place).rglob("*") if path.is_file()}
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert kinds <= {".safetensors", ".json", ".jinja", ".md", ".txt"}
    assert config["base_model_name_or_path"] == STARTER.name and str(folder.parent.parent) not in json.dumps(config)


@pytest.mark.slow
def test_a_killed_run_is_lost_and_goes_on_from_its_checkpoint_to_the_very_same_losses(
    workspace: Path, trained: tuple[Path, Result]
) -> None:
    folder = children.prepared(workspace, spec("killed"))
    child = children.begin_to_kill(folder, workspace)
    children.wait_until(lambda: any(row["step"] == 5 for row in children.events(folder, "loss")), folder)
    child.send_signal(signal.SIGKILL)
    child.wait()
    lost = rundir.state(folder, time.time() + rundir.STARTING_SECONDS)
    ended = children.finished(folder, workspace)
    assert (lost, ended.outcome, ended.attempt) == ("lost", "done", 2)
    assert min(row["step"] for row in children.events(folder, "loss") if row["attempt"] == 2) > 3
    assert losses(folder) == losses(trained[0])
    assert ended.data["adapter_sha256"] == trained[1].data["adapter_sha256"]


@pytest.mark.slow
def test_a_run_asked_to_stop_saves_its_last_step_and_stops(workspace: Path) -> None:
    folder = children.prepared(workspace, spec("stopped"))
    child = children.begin_to_kill(folder, workspace)
    children.wait_until(lambda: len(children.events(folder, "loss")) >= 2, folder)
    asked_at = len(children.events(folder, "loss"))
    rundir.ask_to_stop(folder)
    child.wait(timeout=60)
    steps = [row["step"] for row in children.events(folder, "loss")]
    assert rundir.state(folder, time.time()) == "stopped" and len(steps) <= asked_at + 2
    assert (folder / "checkpoints" / f"step-{steps[-1]:06d}" / "place.json").is_file()


def test_a_run_waits_for_the_one_that_computes_and_can_be_stopped_while_it_waits(tmp_path: Path) -> None:
    folder = children.prepared(tmp_path, spec("waiting"))
    with (tmp_path / "runs" / "device.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = children.begin_to_kill(folder, tmp_path)
        children.wait_until(lambda: (found := rundir.status(folder)) is not None and found.phase == "queued", folder)
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)
    assert rundir.state(folder, time.time()) == "stopped"


@pytest.mark.heavy
def test_a_folder_that_is_no_model_ends_the_run_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    base = STARTER.model_copy(update={"kind": "folder", "ref": str(tmp_path / "empty")})
    folder = children.prepared(tmp_path, spec("wrong").model_copy(update={"base": base}))
    ended = children.finished(folder, tmp_path)
    assert ended.outcome == "failed" and "is not a model's folder" in ended.message and ended.hint


@pytest.mark.slow
def test_the_guard_catches_a_processor_on_which_evaluating_breaks_the_gradients(starter_home: Path) -> None:
    import bitsandbytes as bnb
    import torch

    from pipeline.training import guard, quantised
    from pipeline.training.decoder import Decoder

    if not any("avx512_bf16" in line for line in _processor()):
        pytest.skip("only processors with AVX512-BF16 have this fault")
    folder = base_models.prepare(STARTER, starter_home, print)
    tokenizer = base_models.load_tokenizer(folder)
    turns = [{"role": "user", "content": "Where is my tent?"}, {"role": "assistant", "content": ANSWER}]
    base = quantised.load_base(folder, torch.bfloat16, torch.device("cpu"))
    for module in base.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = True
    decoder = Decoder(quantised.add_adapter(base, 8, seed=1), torch.bfloat16, hold=False)
    with pytest.raises(PipelineError, match="evaluation pass changes the gradients"):
        guard.check(decoder, [template.encode(tokenizer, "x", turns)] * 2)


@pytest.mark.slow
def test_an_example_that_is_too_long_refuses_the_start_until_somebody_says_to_leave_it_out(workspace: Path) -> None:
    folder = children.prepared(workspace, spec("refused").model_copy(update={"too_long": "refuse"}))
    ended = children.finished(folder, workspace)
    assert ended.outcome == "failed" and ended.message.startswith("One example of train.jsonl is longer than 128 tokens")
    assert "left out" in ended.hint


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tickets beside a tiny random base."""
    home = tmp_path_factory.mktemp("small")
    saved(home / "base", "llama")
    write_tickets(home)
    return home


def small_spec(home: Path, run_id: str, **dials: Any) -> TrainSpec:
    """Four steps an epoch, of lengths in bytes; at this rate two steps that differ go apart at once."""
    base = BaseSource(kind="folder", ref=str(home / "base"), name="Tiny")
    fixed = {"base": base, "max_tokens": 400, "step_tokens": 620, "row_tokens": 640, "learning_rate": 5e-3}
    return spec(run_id).model_copy(update=fixed | dials)


def trained_here(home: Path, asked: TrainSpec) -> Path:
    """The run folder of a training in this process."""
    from pipeline.training import trainer

    folder = children.prepared(home, asked)
    with rundir.Child(folder) as child:
        trainer.run(child, asked, home)
    return folder


@pytest.fixture(scope="module")
def asked(small: Path) -> Path:
    """Four epochs, with two questions answered at every validation."""
    return trained_here(small, small_spec(small, "asked", sample_prompts=2))


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["off", "on"])
def test_two_processes_have_the_losses_of_one_with_the_same_steps(small: Path, asked: Path, sharding: str) -> None:
    folder = children.prepared(small, small_spec(small, f"two-{sharding}", processes=2, row_tokens=320, sharding=sharding))
    ended = children.finished(folder, small)
    assert ended.outcome == "done", ended
    both, one = losses(folder), losses(asked)
    assert both.keys() == one.keys() and max(abs(both[key] - one[key]) for key in one) < 0.02
    assert one["validation", 16] < one["validation", 0] - 0.5


@pytest.mark.slow
def test_memory_that_runs_out_is_an_event_and_the_same_steps_go_on_in_smaller_rows(
    small: Path, asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from pipeline.training.decoder import Decoder
    from pipeline.training.rows import Row

    whole = Decoder.loss

    def loss(self: Decoder, row: Row, scale: float = 1.0) -> torch.Tensor:
        """As it is, but for rows of over 400 tokens it asks for memory that no machine has."""
        return whole(self, row, scale) if row.tokens <= 400 else torch.empty(10**15)

    monkeypatch.setattr(Decoder, "loss", loss)
    folder = trained_here(small, small_spec(small, "short"))
    events = children.events(folder, "out_of_memory")
    assert [(row["row_tokens_before"], row["row_tokens"]) for row in events] == [(640, 320)]
    one, other = losses(asked), losses(folder)
    assert other.keys() == one.keys() and max(abs(other[key] - one[key]) for key in one) < 0.02


@pytest.mark.slow
def test_the_fixed_questions_are_answered_at_every_validation(asked: Path) -> None:
    rows = rundir.read_lines(asked / "samples.jsonl")
    assert [(row["step"], row["number"]) for row in rows] == [(step, number) for step in (0, 4, 8, 12, 16) for number in (0, 1)]
    assert all(row["question"].startswith("Where is my") and row["answer"] and "Ahoy" in row["expected"] for row in rows)


def test_each_epoch_has_every_example_once_in_an_order_of_its_own() -> None:
    lengths = [(place * 37) % 101 + 1 for place in range(103)]
    first, again, second = (recipe.steps(lengths, 400, seed=1, epoch=epoch) for epoch in (0, 0, 1))
    assert first == again != second
    assert Counter(place for step in second for place in step) == Counter(range(103))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=400), st.integers(300, 2_000), st.integers(0, 5))
def test_a_step_never_learns_from_more_tokens_than_asked(lengths: list[int], step_tokens: int, epoch: int) -> None:
    steps = recipe.steps(lengths, step_tokens, 7, epoch)
    assert all(sum(lengths[place] for place in step) <= step_tokens for step in steps)
    assert sorted(place for step in steps for place in step) == list(range(len(lengths)))


def test_steps_of_tickets_are_full_so_that_little_is_computed_for_nothing() -> None:
    lengths = [(place * 37) % 301 + 20 for place in range(2_000)]
    steps = recipe.steps(lengths, 8_192, seed=1, epoch=0)
    assert sum(lengths) > 0.97 * 8_192 * len(steps)


def test_a_small_data_set_has_about_fifty_steps_an_epoch_and_a_large_one_forty_examples_a_step() -> None:
    tokens = [recipe.step_tokens_for([100] * count) for count in (50, 800, 100_000)]
    assert tokens == [400, 1_600, 4_000]


def test_the_learning_rate_warms_up_to_the_given_one_and_then_falls_to_a_tenth() -> None:
    from pipeline.training.trainer import learning_rate

    rates = [learning_rate(spec("x"), step, 100) for step in range(100)]
    assert max(rates) == rates[4] == 5e-4 and rates[0] == 1e-4 and rates[-1] == pytest.approx(5e-5, rel=0.01)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_memory_that_the_processor_has_not_got_is_known_as_that() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)


def _processor() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
