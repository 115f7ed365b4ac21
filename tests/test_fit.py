"""Parameters, memory and the plan: against models made by transformers, against one H100's peaks, and as properties."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.training import fit
from pipeline.training.fit import GIB, Shape, Task

LLAMA_8B = Shape("llama", 4096, 14_336, 32, 32, 8, 128, 128_256, tied=False)
STARTER = Shape("llama", 576, 1536, 30, 9, 3, 64, 49_152, tied=True)
TRAINED_8B = 41_943_040

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "head_dim": 32},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 32},
    "gemma": {"num_key_value_heads": 1, "head_dim": 64},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 64},
    "gemma3_text": {"num_key_value_heads": 2, "head_dim": 64},
    "phi3": {"num_key_value_heads": 2, "pad_token_id": 0},
    "smollm3": {"num_key_value_heads": 2, "pad_token_id": 0},
}

shapes = st.builds(
    Shape,
    family=st.just("llama"),
    hidden=st.sampled_from((576, 1024, 2048, 4096)),
    intermediate=st.sampled_from((1536, 5632, 14_336)),
    layers=st.integers(2, 48),
    heads=st.sampled_from((8, 16, 32)),
    kv_heads=st.sampled_from((1, 4, 8)),
    head_dim=st.sampled_from((64, 128)),
    vocabulary=st.sampled_from((32_000, 151_936)),
    tied=st.booleans(),
)
methods = st.sampled_from(("qlora", "lora"))
devices = st.sampled_from(("cuda", "cpu"))


def small(family: str) -> Any:
    """A config of the family with three narrow layers."""
    from transformers import AutoConfig

    return AutoConfig.for_model(
        family,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        vocab_size=50_000,
        **FAMILIES[family],
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_of_the_model_that_transformers_builds(family: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    config = small(family)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shape = Shape.from_config(config.to_dict())
    real = sum(parameter.numel() for parameter in model.parameters())
    assert shape.parameters == pytest.approx(real, rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_parameters_are_those_that_peft_adds(family: str) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = small(family)
    with torch.device("meta"):
        adapted = get_peft_model(
            AutoModelForCausalLM.from_config(config),
            LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
    real = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert Shape.from_config(config.to_dict()).lora_parameters(8) == real


def test_a_config_that_leaves_the_tie_out_is_read_as_its_family_means_it() -> None:
    config = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
    }
    tied = [Shape.from_config(config | {"model_type": name}).tied for name in ("llama", "gemma2", "qwen2")]
    assert tied == [False, True, False]


def test_gemma_3_is_read_from_the_text_part_of_its_config_with_what_it_leaves_out() -> None:
    # The text part as in google/gemma-3-4b-it.
    inner = {"hidden_size": 2560, "intermediate_size": 10_240, "model_type": "gemma3_text", "num_hidden_layers": 34}
    shape = Shape.from_config({"model_type": "gemma3", "text_config": inner})
    assert (shape.heads, shape.kv_heads, shape.head_dim, shape.tied) == (8, 4, 256, True)
    assert shape.parameters == pytest.approx(3.88e9, rel=0.01)


@pytest.mark.parametrize(
    "odd",
    [
        {"num_local_experts": 8},
        {"layer_types": ["full_attention", "linear_attention"]},
        {"hidden_size": None},
        {"vocab_size": 0},
    ],
)
def test_a_model_of_another_kind_is_refused_in_words(odd: dict[str, Any]) -> None:
    config = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
    }
    with pytest.raises(PipelineError, match="shape of this model is not known"):
        Shape.from_config(config | odd)


def test_the_work_of_a_token_is_that_of_the_measured_baselines() -> None:
    # 30.50 GFLOP a token at the ticket-like lengths there, whose token-weighted mean is about 290.
    assert fit.flops_per_token(LLAMA_8B, 16, 290) / 1e9 == pytest.approx(30.50, abs=0.01)


def test_checkpointing_costs_what_was_measured() -> None:
    # B3 at 13,700 tokens/s without checkpointing and 9,406 with it: 1.457 times the work.
    assert 1 + fit.recompute(LLAMA_8B, 16) == pytest.approx(13_700 / 9_406, rel=0.02)


@pytest.mark.parametrize(
    ("rows", "checkpointing", "held", "measured"),
    [(8192, False, False, 36.66), (8192, True, False, 9.63), (4608, True, False, 8.64), (8192, False, True, 46.08)],
)
def test_memory_is_within_a_tenth_of_the_peaks_of_one_h100(rows: int, checkpointing: bool, held: bool, measured: float) -> None:
    """The peaks that torch counted with this engine (`benchmarks/RESULTS.md`, `benchmarks/NOTES.md`)."""
    found = fit.memory(LLAMA_8B, "qlora", 16, rows, checkpointing, "cuda", held)
    assert found.allocated == pytest.approx(measured * GIB, rel=0.1)


@given(shapes, methods, devices, st.booleans(), st.booleans(), st.integers(16, 16_384), st.integers(0, 16_384))
def test_more_tokens_never_need_less_memory(
    shape: Shape, method: fit.Method, device: fit.Device, checkpointing: bool, resident: bool, rows: int, more: int
) -> None:
    sizes = [fit.memory(shape, method, 16, tokens, checkpointing, device, resident).total for tokens in (rows, rows + more)]
    assert sizes[0] <= sizes[1]


@given(shapes, methods, devices, st.integers(16, 16_384), st.integers(1, 256), st.integers(0, 256))
def test_a_higher_rank_never_needs_less_memory(
    shape: Shape, method: fit.Method, device: fit.Device, rows: int, rank: int, more: int
) -> None:
    sizes = [fit.memory(shape, method, r, rows, False, device).total for r in (rank, rank + more)]
    assert sizes[0] <= sizes[1]


@given(
    shapes,
    devices,
    st.sampled_from(("auto", "qlora", "lora")),
    st.integers(16, 20_000),
    st.integers(16, 40_000),
    st.floats(0.5, 200),
    st.sampled_from((2, 4)),
)
def test_a_plan_fits_and_its_rows_hold_the_longest_example(
    shape: Shape, device: fit.Device, method: str, longest: int, step: int, free: float, width: int
) -> None:
    plan = fit.fitting(fit.Task(shape, 16, longest, step, device, method, width), int(free * GIB))
    assert plan is None or (plan.memory.total <= 0.92 * free * GIB and plan.row_tokens >= longest)


@given(shapes, devices, st.integers(16, 4_096), st.integers(16, 40_000), st.floats(0.5, 200), st.floats(0, 50))
def test_what_fits_still_fits_with_more_memory(
    shape: Shape, device: fit.Device, longest: int, step: int, free: float, more: float
) -> None:
    task = fit.Task(shape, 16, longest, step, device)
    less, enough = (fit.fitting(task, int(size * GIB)) for size in (free, free + more))
    assert less is None or enough is not None


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (79, ("lora", 8192, False)),
        (48, ("qlora", 8192, False)),
        (40, ("lora", 4096, False)),
        (30, ("qlora", 4096, False)),
        (12, ("qlora", 8192, True)),
    ],
)
def test_the_quickest_plan_that_fits_is_taken(free: int, expected: tuple[str, int, bool]) -> None:
    plan = fit.choose(Task(LLAMA_8B, 16, 1_024, 8_192, "cuda"), free * GIB)
    assert (plan.method, plan.row_tokens, plan.checkpointing) == expected


# Peaks of the process (VmHWM, GiB) over the first two steps of the starter on two CPU cores, rows of 1,024 tokens, 40 % of them
# learned.
@pytest.mark.parametrize(
    ("method", "resident", "checkpointing", "width", "learned", "measured"),
    [
        ("lora", False, False, 2, 0.4, 2.18),
        ("lora", False, True, 2, 0.4, 1.70),
        ("lora", False, False, 2, 0.9, 2.44),
        ("lora", False, False, 4, 0.4, 2.77),
        ("qlora", False, False, 2, 0.4, 2.02),
        ("qlora", True, False, 2, 0.4, 2.25),
    ],
)
def test_memory_on_a_cpu_is_within_a_tenth_of_the_peaks_of_the_starter(
    method: fit.Method, resident: bool, checkpointing: bool, width: int, learned: float, measured: float
) -> None:
    found = fit.memory(STARTER, method, 16, 1_024, checkpointing, "cpu", resident, width, learned)
    assert found.total - fit.CPU_GROWN == pytest.approx(measured * GIB, rel=0.1)


# The same over whole runs: an epoch of 42 and of 29 steps, answers of real tickets (most of each is learned).
@pytest.mark.parametrize(("rows", "measured"), [(786, 2.94), (661, 2.65)])
def test_memory_of_a_whole_run_on_a_cpu_is_within_a_tenth_of_its_peak(rows: int, measured: float) -> None:
    assert fit.memory(STARTER, "lora", 16, rows, False, "cpu", learned=0.95).total == pytest.approx(measured * GIB, rel=0.1)


def test_a_card_with_room_keeps_dequantised_weights_where_qlora_is_asked_for() -> None:
    assert fit.choose(Task(LLAMA_8B, 16, 1_024, 8_192, "cuda", "qlora"), 79 * GIB).resident16


def test_a_row_is_no_longer_than_a_step() -> None:
    assert fit.choose(Task(LLAMA_8B, 16, 512, 3_000, "cuda"), 79 * GIB).row_tokens == 3_000


def test_the_starter_trains_on_a_small_machine() -> None:
    plan = fit.choose(Task(STARTER, 16, 512, 4_000, "cpu", compute_bytes=4), 4 * GIB)
    assert (plan.method, plan.row_tokens) == ("lora", 1_024)


LLAMA_70B = Shape("llama", 8192, 28_672, 80, 64, 8, 128, 128_256, False)


@pytest.mark.parametrize(
    ("processes", "sharding", "shared"), [(2, "auto", True), (4, "auto", True), (1, "auto", None), (2, "off", None)]
)
def test_what_does_not_fit_into_one_card_is_shared_by_several(
    processes: int, sharding: Literal["auto", "off"], shared: bool | None
) -> None:
    task = Task(LLAMA_70B, 16, 512, 2_048, "cuda", processes=processes, sharding=sharding)
    plan = fit.fitting(task, 36 * GIB)
    assert (plan and plan.sharded) == shared


def test_the_base_is_whole_everywhere_where_it_fits() -> None:
    assert not fit.choose(Task(LLAMA_8B, 16, 1_024, 8_192, "cuda", processes=2), 79 * GIB).sharded


def test_a_model_that_is_too_large_says_which_would_fit() -> None:
    with pytest.raises(PipelineError, match=r"needs at least 8\.\d GiB .* this graphics card has 6\.0 GiB free") as caught:
        fit.choose(Task(LLAMA_8B, 16, 1_024, 8_192, "cuda"), 6 * GIB)
    assert caught.value.hint == "A model of about 3 billion parameters would fit."


def test_where_only_the_method_is_too_large_the_other_is_named() -> None:
    with pytest.raises(PipelineError) as caught:
        fit.choose(Task(LLAMA_8B, 16, 1_024, 8_192, "cuda", "lora"), 12 * GIB)
    assert "QLoRA would fit" in caught.value.hint
