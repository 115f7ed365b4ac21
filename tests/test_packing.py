"""Packed rows teach what each conversation alone would: same loss, same slopes, in every family and on every path."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pipeline.template import Encoded
from pipeline.training import adapted, attention, decoder, ops, quantised, rows
from pipeline.training.decoder import Decoder

SHAPE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 16},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma2": {"head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16, "attn_implementation": "eager"},
    "gemma3_text": {"head_dim": 16, "sliding_window": 16},
    "phi3": {},
}
OURS = ("llama", "mistral", "qwen2", "qwen3")
ROUNDING = 2e-5
"""Relative, of float32 sums in another order."""


def conversation(name: str, length: int, first: int) -> Encoded:
    """Ids that do not repeat soon; the second half is learned."""
    ids = tuple(5 + (first + 37 * place) % 290 for place in range(length))
    return Encoded(name, ids, tuple(place >= length // 2 for place in range(length)))


TICKETS = [conversation("a", 13, 1), conversation("b", 40, 2), conversation("c", 7, 3), conversation("d", 25, 4)]


def model(family: str) -> Any:
    """Two random layers with an adapter whose B is not zero, so that every slope is there."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    settings = {key: value for key, value in FAMILIES[family].items() if key != "attn_implementation"}
    base = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(family, **SHAPE, **settings),
        attn_implementation=FAMILIES[family].get("attn_implementation", "sdpa"),
    )
    base.requires_grad_(False)
    made = quantised.add_adapter(base, 8, seed=1)
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.05)
    return made


@cache
def alone(family: str) -> tuple[float, dict[str, Tensor]]:
    """Summed loss and slopes, each conversation for itself, by transformers and peft."""
    found = model(family)
    total = torch.zeros(())
    for ticket in TICKETS:
        ids, wanted = torch.tensor(ticket.ids), torch.tensor(ticket.learned)[1:]
        total = total + cross_entropy(found(input_ids=ids[None]).logits[0, :-1][wanted], ids[1:][wanted], reduction="sum")
    total.backward()  # type: ignore[no-untyped-call]
    return total.item(), {name: part.grad.clone() for name, part in quantised.trained(found).items()}  # type: ignore[union-attr]


def difference(decoded: Decoder, slopes: dict[str, Tensor], row: rows.Row) -> float:
    """The largest relative difference of a parameter's slope."""
    decoded.adapters.slopes.zero_()
    decoded.loss(row).backward()  # type: ignore[no-untyped-call]
    found = {name: part.grad for name, part in quantised.trained(decoded.model).items()}
    return max(float((found[name] - slopes[name]).norm() / slopes[name].norm()) for name in slopes)  # type: ignore[operator]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_rows_loss_is_that_of_its_conversations_alone(family: str) -> None:
    with torch.no_grad():
        packed = float(Decoder(model(family), torch.float32, hold=False).loss(rows.row(TICKETS)))
    assert packed == pytest.approx(alone(family)[0], rel=ROUNDING)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_rows_slopes_are_those_of_its_conversations_alone(family: str) -> None:
    assert difference(Decoder(model(family), torch.float32, hold=False), alone(family)[1], rows.row(TICKETS)) < ROUNDING


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_that_are_computed_again_give_the_same_slopes(family: str) -> None:
    decoded = Decoder(model(family), torch.float32, hold=False)
    decoded.checkpointed = 2
    assert difference(decoded, alone(family)[1], rows.row(TICKETS)) < ROUNDING


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_are_held_beside_the_adapter_give_the_same_slopes(family: str) -> None:
    assert difference(Decoder(model(family), torch.float32, hold=True), alone(family)[1], rows.row(TICKETS)) < ROUNDING


@pytest.mark.parametrize("family", FAMILIES)
def test_without_borders_between_conversations_the_slopes_are_others(family: str) -> None:
    row = rows.row(TICKETS)
    leaking = rows.Row(row.ids, torch.arange(row.tokens), row.borders[[0, -1]], row.predicting, row.targets, 1, row.tokens)
    assert difference(Decoder(model(family), torch.float32, hold=False), alone(family)[1], leaking) > 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_of_llamas_layout_goes_the_fused_way_and_others_their_own(family: str) -> None:
    body = Decoder(model(family), torch.float32, hold=False).body
    assert isinstance(body, decoder.OwnBody if family in OURS else decoder.TheirBody)


def test_the_model_generates_as_before_after_it_learned_with_our_layers_in_it() -> None:
    found = model("gemma3_text").eval()
    ids = torch.tensor([TICKETS[1].ids[:9]])
    before = found.generate(input_ids=ids, max_new_tokens=8, do_sample=False)
    decoded = Decoder(found, torch.float32, hold=True)
    decoded.loss(rows.row(TICKETS)).backward()  # type: ignore[no-untyped-call]
    assert torch.equal(decoded.plain().generate(input_ids=ids, max_new_tokens=8, do_sample=False), before)


def test_four_bit_slopes_are_those_of_the_dequantised_model() -> None:
    import bitsandbytes as bnb

    from pipeline.generation.local import dequantise

    torch.manual_seed(0)
    packed, plain = model("llama"), model("llama")
    for found in (packed, plain):
        for parent in list(found.get_base_model().model.modules()):
            for name, layer in list(parent.named_children()):
                if name == "base_layer":
                    made = bnb.nn.Linear4bit(
                        layer.in_features, layer.out_features, bias=False, quant_type="nf4", compute_dtype=torch.float32
                    )
                    made.weight = bnb.nn.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4").to("cpu")
                    parent.base_layer = made
    quantised.keep_codes(packed)
    dequantise(plain.get_base_model())
    slopes = {}
    for name, found in (("packed", packed), ("plain", plain)):
        decoded = Decoder(found, torch.float32, hold=False)
        decoded.loss(rows.row(TICKETS)).backward()  # type: ignore[no-untyped-call]
        slopes[name] = decoded.adapters.slopes.clone()
    assert float((slopes["packed"] - slopes["plain"]).norm() / slopes["plain"].norm()) < ROUNDING


def test_the_heads_loss_in_chunks_is_the_plain_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "CPU_CHUNK_BYTES", 4 * 300 * 128)  # 128 rows at a time
    torch.manual_seed(0)
    hidden, head, targets = torch.randn(700, 32, requires_grad=True), torch.randn(300, 32), torch.arange(700) % 300
    ops.HeadLoss.apply(hidden, head, targets, 0.5, None).backward()
    fused, hidden.grad = hidden.grad, None
    (0.5 * cross_entropy(hidden @ head.t(), targets, reduction="sum")).backward()
    assert fused is not None and hidden.grad is not None and torch.allclose(fused, hidden.grad, atol=1e-5)


def test_a_cap_on_the_heads_logits_is_in_the_loss_and_in_its_slope() -> None:
    torch.manual_seed(0)
    hidden, head, targets = torch.randn(20, 32, requires_grad=True), torch.randn(300, 32), torch.arange(20)
    ops.HeadLoss.apply(hidden, head, targets, 1.0, 5.0).backward()
    fused, hidden.grad = hidden.grad, None
    cross_entropy(5.0 * torch.tanh(hidden @ head.t() / 5.0), targets, reduction="sum").backward()
    assert fused is not None and hidden.grad is not None and torch.allclose(fused, hidden.grad, atol=1e-5)


def test_attention_looks_back_no_further_than_the_window() -> None:
    torch.manual_seed(0)
    row = rows.row(TICKETS[:2])
    query, key, value = (torch.randn(row.tokens, 2, 8) for _ in range(3))
    seen = attention.attend(query, key, value, row, 0.3, window=4)
    last = torch.softmax(0.3 * torch.einsum("hd,thd->ht", query[-1], key[-4:]), -1)
    assert torch.allclose(seen[-1], torch.einsum("ht,thd->hd", last, value[-4:]), atol=1e-5)


def test_the_first_token_of_a_conversation_is_never_learned_because_nothing_comes_before_it() -> None:
    row = rows.row([Encoded("a", (5, 6), (True, True)), Encoded("b", (7, 8), (True, True))])
    assert row.predicting.tolist() == [0, 2] and row.targets.tolist() == [6, 8]


def test_rows_restart_positions_and_say_where_each_conversation_begins() -> None:
    row = rows.row([TICKETS[2], Encoded("x", (9, 9, 9), (False, True, True))])
    assert row.positions.tolist() == [*range(7), *range(3)] and row.borders.tolist() == [0, 7, 10] and row.longest == 7


def test_a_row_that_is_filled_up_to_a_round_length_has_the_same_loss() -> None:
    decoded = Decoder(model("llama"), torch.float32, hold=False)
    filled = rows.row(TICKETS, multiple=64)
    with torch.no_grad():
        found = float(decoded.loss(filled))
    assert filled.tokens == 128 and found == pytest.approx(alone("llama")[0], rel=ROUNDING)


def test_rows_may_be_as_long_as_the_longest_conversation() -> None:
    found = rows.rows([*TICKETS, conversation("e", 90, 5)], 45)
    assert sorted(row.tokens for row in found) == [85, 90]


def test_the_adapters_parameters_and_slopes_are_views_of_the_flat_ones() -> None:
    decoded = Decoder(model("llama"), torch.float32, hold=False)
    decoded.adapters.values.fill_(3.0)
    decoded.adapters.slopes.fill_(4.0)
    assert all(bool((part == 3).all() and (part.grad == 4).all()) for part in quantised.trained(decoded.model).values())


def test_a_wide_tensor_keeps_its_values_and_passes_only_their_slope() -> None:
    x = torch.ones(3, 4, requires_grad=True)
    wide = adapted.widen(x, 2)
    wide.backward(torch.arange(18.0).view(3, 6))  # type: ignore[no-untyped-call]
    assert torch.equal(wide[:, :4], x) and x.grad is not None and x.grad[1].tolist() == [6.0, 7.0, 8.0, 9.0]
