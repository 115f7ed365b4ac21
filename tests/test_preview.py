"""A preview run: what it counts, plans and renders, with the real starter's tokenizer in a real child process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import base_models, examples, machine, rundir, template
from pipeline.errors import PipelineError
from pipeline.machine import Machine
from pipeline.rundir import Result
from pipeline.specs import PreviewSpec
from pipeline.training import plans, recipe
from pipeline.training.fit import GIB, Shape
from studio import previews
from studio.workspace import Workspace
from tests import children
from tests.conftest import STARTER

SHAPE = Shape("llama", 576, 1536, 30, 9, 3, 64, 49_152, tied=True)
HERE = Machine("cpu", "a processor", 24 * GIB, 20 * GIB, 2, "bfloat16")
ASKED = plans.Asked(16, 500, 4_000, 1_000_000, 70_000, 250.0, 0.4, "auto", 1, None)

USER, AGENT = "user", "assistant"
SEVERAL = [
    {"role": USER, "content": "Where is it?"},
    {"role": AGENT, "content": "Which one?", "weight": 0},
    {"role": USER, "content": "The tent."},
    {"role": AGENT, "content": "On its way."},
]


def line(name: str, messages: list[dict[str, Any]]) -> str:
    return json.dumps({"id": name, "messages": messages}) + "\n"


def asked(question: str, answer: str, weight: int = 1) -> list[dict[str, Any]]:
    return [{"role": USER, "content": question}, {"role": AGENT, "content": answer, "weight": weight}]


@pytest.fixture(scope="module")
def workspace(starter_home: Path) -> Path:
    """Thirty tickets, one of several turns, one that is too long, one with nothing to learn; three to validate on."""
    lines = [line(f"t{n}", asked(f"Where is parcel {n}? " * (1 + n % 4), f"Number {n} comes on Friday.")) for n in range(30)]
    odd = [
        line("several", SEVERAL),
        line("long", asked("Where is it? " * 60, "Here.")),
        line("silent", asked("Hello?", "Hi.", weight=0)),
    ]
    (starter_home / "preview-train.jsonl").write_text("".join(lines + odd), encoding="utf-8")
    (starter_home / "preview-validation.jsonl").write_text("".join(lines[:3]), encoding="utf-8")
    return starter_home


@pytest.fixture(scope="module")
def looked(workspace: Path) -> tuple[Path, Result]:
    spec = PreviewSpec(
        run_id="looked",
        base=STARTER,
        train_file="preview-train.jsonl",
        validation_file="preview-validation.jsonl",
        epochs=2,
        max_tokens=128,
    )
    folder = children.prepared(workspace, spec)
    return folder, children.finished(folder, workspace)


@pytest.fixture(scope="module")
def encoded(workspace: Path) -> list[template.Encoded]:
    """The examples that fit, each encoded by itself."""
    tokenizer = base_models.load_tokenizer(base_models.prepare(STARTER, workspace, print))
    usable = [one for one in examples.read(workspace / "preview-train.jsonl") if one.id not in ("long", "silent")]
    return [template.encode(tokenizer, one.id, one.messages) for one in usable]


def rendered(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rundir.read_lines(folder / "preview.jsonl")}


@pytest.mark.slow
def test_examples_that_stand_in_the_way_are_named(looked: tuple[Path, Result]) -> None:
    train = looked[1].data["train"]
    assert (train["examples"], train["too_long"], train["no_target"]) == (33, ["long"], ["silent"]), looked[1]


@pytest.mark.slow
def test_tokens_and_learned_tokens_are_those_of_training(
    looked: tuple[Path, Result], encoded: list[template.Encoded]
) -> None:
    train = looked[1].data["train"]
    assert (train["tokens"], train["learned_tokens"], train["lengths"][-1]) == (
        sum(len(one.ids) for one in encoded),
        sum(sum(one.learned) for one in encoded),
        max(len(one.ids) for one in encoded),
    )


@pytest.mark.slow
def test_steps_are_those_that_training_will_take(looked: tuple[Path, Result], encoded: list[template.Encoded]) -> None:
    data, lengths = looked[1].data, [len(one.ids) for one in encoded]
    made = [len(recipe.steps(lengths, recipe.step_tokens_for(lengths), 1234, epoch)) for epoch in (0, 1)]
    assert (data["steps"], data["steps_per_epoch"]) == (sum(made), made[0])


@pytest.mark.slow
def test_a_rendered_example_shows_what_is_learned_and_nothing_more(looked: tuple[Path, Result]) -> None:
    pieces = rendered(looked[0])["several"]["pieces"]
    assert [text for text, learned in pieces if learned] == ["On its way.<|im_end|>"]
    assert "Which one?" in "".join(text for text, learned in pieces if not learned)


@pytest.mark.slow
def test_odd_examples_are_rendered_and_no_more_than_twenty(looked: tuple[Path, Result]) -> None:
    found = rendered(looked[0])
    assert {"long", "several"} <= set(found) and len(found) == 20


@pytest.mark.slow
def test_both_methods_are_planned_and_the_parts_make_up_the_peak(looked: tuple[Path, Result]) -> None:
    rows = looked[1].data["plans"]
    assert [row["method"] for row in rows] == ["qlora", "lora"]
    assert all(sum(row["parts"].values()) == pytest.approx(row["peak_gib"]) for row in rows)


@pytest.mark.slow
def test_what_is_said_of_model_and_machine_is_there(looked: tuple[Path, Result]) -> None:
    model, here = looked[1].data["model"], looked[1].data["machine"]
    assert (model["layers"], model["hidden"], model["vocabulary"], model["context"]) == (30, 576, 49_152, 8_192)
    assert model["parameters"] == pytest.approx(134.5e6, rel=0.001) and 0 < here["free_gib"] <= here["memory_gib"]


@pytest.mark.slow
def test_no_example_that_can_be_used_ends_the_run_in_words(workspace: Path) -> None:
    (workspace / "all-long.jsonl").write_text(line("long", asked("Where is it? " * 60, "Here.")), encoding="utf-8")
    spec = PreviewSpec(
        run_id="all-long",
        base=STARTER,
        train_file="all-long.jsonl",
        validation_file="preview-validation.jsonl",
        max_tokens=64,
    )
    ended = children.finished(children.prepared(workspace, spec), workspace)
    assert ended.outcome == "failed" and ended.message == "Every example of train is longer than 64 tokens."


def test_the_time_is_that_of_the_tokens_at_the_speed_said() -> None:
    row = plans.said(SHAPE, ASKED, HERE, 0.4e12, False)["plans"][1]
    assert row["seconds"] == pytest.approx((1_000_000 + 0.35 * 70_000) / row["tokens_s"])


def test_a_measured_run_replaces_the_estimate_and_says_so() -> None:
    found = plans.said(SHAPE, replace(ASKED, known=321.0), HERE, 0.4e12, False)
    row = next(row for row in found["plans"] if row["method"] == found["recommended"])
    assert (row["tokens_s"], row["basis"]) == (321.0, "The newest run of this base model here made 321 tokens/s.")


def test_a_measured_run_of_the_other_method_leaves_the_distance_between_them() -> None:
    known = plans.said(SHAPE, replace(ASKED, known=321.0, known_method="qlora"), HERE, 0.4e12, False)["plans"]
    guessed = plans.said(SHAPE, ASKED, HERE, 0.4e12, False)["plans"]
    speeds = {row["method"]: row["tokens_s"] for row in known}
    assert speeds["qlora"] == 321.0
    assert speeds["lora"] / 321.0 == pytest.approx(guessed[1]["tokens_s"] / guessed[0]["tokens_s"])


def test_an_estimate_says_that_it_is_one() -> None:
    assert plans.said(SHAPE, ASKED, HERE, 0.4e12, False)["plans"][0]["basis"].startswith("An estimate: ")


def test_a_device_in_use_has_no_speed_but_its_plans() -> None:
    card = Machine("cuda", "a card", 80 * GIB, 70 * GIB, 16, "bfloat16")
    rows = plans.said(SHAPE, ASKED, card, None, True)["plans"]
    assert [(row["fits"], row["tokens_s"], row["seconds"]) for row in rows] == [(True, None, None)] * 2


def test_where_nothing_fits_none_is_recommended_and_it_says_why() -> None:
    found = plans.said(SHAPE, ASKED, replace(HERE, free=GIB // 2), 0.4e12, False)
    assert found["recommended"] is None and "needs at least" in found["why"]
    assert not any(row["fits"] for row in found["plans"])


def test_processes_of_one_cpu_share_its_memory() -> None:
    alone, four = (
        plans.said(SHAPE, replace(ASKED, processes=processes), replace(HERE, free=5 * GIB), 0.4e12, False)
        for processes in (1, 4)
    )
    assert alone["recommended"] == "lora" and four["recommended"] is None


def test_a_speed_follows_from_the_flops_that_were_measured() -> None:
    slow, quick = (plans.said(SHAPE, ASKED, HERE, flops, False)["plans"][1]["tokens_s"] for flops in (2e11, 4e11))
    assert quick == pytest.approx(2 * slow)


@pytest.mark.parametrize(
    ("rows", "method", "measured"), [(8_192, "lora", 15_743), (4_096, "lora", 14_800), (8_192, "qlora", 15_362)]
)
def test_speeds_of_one_h100_are_told_within_a_twentieth(rows: int, method: Any, measured: int) -> None:
    from pipeline.training import fit, speed

    shape = Shape("llama", 4096, 14_336, 32, 32, 8, 128, 128_256, tied=False)
    plan = fit.Plan(method, False, rows, False, fit.memory(shape, method, 16, rows, False, "cuda"), 0.0)
    found = speed.tokens_per_second(shape, 16, 290, 1.0, plan, "cuda", 694e12, "bfloat16")
    assert found == pytest.approx(measured, rel=0.05)


def test_a_container_has_no_more_memory_than_it_may_use(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       24000000 kB\nMemAvailable:   20000000 kB\n")
    (tmp_path / "memory.max").write_text("4000000000\n")
    (tmp_path / "memory.current").write_text("1000000000\n")
    assert machine.ram(meminfo, tmp_path) == (4_000_000_000, 3_000_000_000)


def test_without_a_container_memory_is_what_the_system_says(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       24000000 kB\nMemAvailable:   20000000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.ram(meminfo, tmp_path) == (24_000_000 * 1024, 20_000_000 * 1024)


def test_a_model_of_an_unknown_shape_ends_in_words() -> None:
    with pytest.raises(PipelineError, match="shape of this model is not known"):
        Shape.from_config({"model_type": "mixtral", "num_local_experts": 8})


def test_the_speed_of_the_newest_finished_run_of_the_same_base_is_known(ws: Workspace) -> None:
    base = STARTER.model_dump()
    for number, (kind, source, outcome, speed) in enumerate(
        [
            ("train", base, "done", 100.0),
            ("train", base, "done", 200.0),
            ("train", base | {"ref": "other"}, "done", 300.0),
            ("train", base, "failed", 400.0),
        ]
    ):
        with ws.transaction() as transaction:
            spec = json.dumps({"base": source})
            row = {"run_id": str(number), "kind": kind, "title": "x", "snapshot_id": "", "spec": spec, "folder": "runs/x"}
            transaction.insert("runs", [row | {"started_at": ws.now()}])
            ended = {"run_id": str(number), "attempt": 1, "outcome": outcome, "message": "", "hint": ""}
            data = json.dumps({"tokens_s": speed, "method": "lora"})
            transaction.insert("run_results", [ended | {"data": data, "ended_at": ws.now(), "collected_at": ws.now()}])
    assert previews.known_speed(ws, base, 1) == {"known_tokens_s": 200.0, "known_method": "lora"}


def test_nothing_is_known_of_a_number_of_processes_that_never_ran(ws: Workspace) -> None:
    assert previews.known_speed(ws, STARTER.model_dump(), 2) == {}


def test_what_a_model_reads_at_once_is_found_inside_a_nested_config(tmp_path: Path) -> None:
    from pipeline import base_models

    inner = {"model_type": "gemma3_text", "max_position_embeddings": 1_024}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": inner}))
    assert base_models.context(tmp_path) == 1_024
