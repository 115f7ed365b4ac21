"""Batched local answers: the same as one at a time, whoever stands beside; what a model finds likely, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import base_models, template
from pipeline.examples import Example
from pipeline.generation.answer import Ask
from pipeline.specs import Decoding
from tests.conftest import STARTER
from tests.test_families import FAMILIES, saved

SYSTEM = {"role": "system", "content": "You answer customers."}
ASKED = ("Where is my tent?", "Hi", "My new red jacket is torn at the left sleeve. What now?", "Refund?", "I want to change it",
         "Do you have the lamp in green, and when can it be here?", "Thanks")
ANSWERS = ("Yes.", "On its way.")
ITEMS = [
    Example(f"i{n}", (SYSTEM, {"role": "user", "content": asked}, {"role": "assistant", "content": ANSWERS[n % 2]}))
    for n, asked in enumerate(ASKED)
]
GREEDY = Decoding(max_new_tokens=12)


def tiny(folder: Path, family: str = "llama") -> Any:
    """A small random model; one thread is quickest for it."""
    import torch

    from pipeline.generation.local import LocalModel

    found = LocalModel(saved(folder / "model", family), None, "lora")
    torch.set_num_threads(1)
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny(tmp_path_factory.mktemp("tiny"))


def said(model: Any, items: list[Example], decoding: Decoding, samples: int = 1) -> dict[tuple[str, int], str]:
    asked = [Ask(item, sample) for item in items for sample in range(samples)]
    return {(found.item_id, found.sample): found.text for found in model.answers(asked, decoding)}


def alone(model: Any, items: list[Example], decoding: Decoding) -> dict[tuple[str, int], str]:
    """transformers' own `generate`, one question at a time."""
    from pipeline.generation.batches import Row

    rows = [Row(n, model.prompt(item), 0, decoding.max_new_tokens) for n, item in enumerate(items)]
    found = {
        (items[made.number].id, 0): model.tokenizer.decode(
            made.tokens[:-1] if made.ended else made.tokens, skip_special_tokens=True
        ).strip()
        for made in model._one_by_one(rows, decoding, lambda: None)
    }
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_batched_answers_are_those_of_generate_one_at_a_time(tmp_path: Path, family: str) -> None:
    items = ITEMS if family not in ("gemma", "gemma2") else [Example(item.id, item.messages[1:]) for item in ITEMS]
    model = tiny(tmp_path, family)
    assert model.takes_memory
    assert said(model, items, GREEDY.model_copy(update={"batch_size": 3})) == alone(model, items, GREEDY)


def test_a_model_that_does_not_answer_alike_through_the_memory_is_asked_in_its_own_way(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    model.model.model.layers[0].self_attn.layer_idx = 1  # two layers would share one place
    model.takes_memory = model._takes_memory()
    assert not model.takes_memory and said(model, ITEMS[:2], GREEDY) and not list(model.likelihoods(ITEMS, ()))


def test_an_answer_says_how_long_it_and_its_question_were(model: Any) -> None:
    found = next(iter(model.answers([Ask(ITEMS[0])], GREEDY)))
    assert found.prompt_tokens == len(model.prompt(ITEMS[0])) and 1 <= found.new_tokens <= 12
    assert found.finish == ("length" if found.new_tokens == 12 else "stop") and found.seconds > 0


def test_the_shared_prompt_is_computed_once(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.generation import batches
    from pipeline.generation.memory import Memory

    blocks: list[tuple[int, int]] = []
    before = Memory.block
    monkeypatch.setattr(Memory, "block", lambda self, first, start, positions, kept=None: (
        blocks.append((start, positions.shape[1])), before(self, first, start, positions, kept))[1])
    said(model, ITEMS, GREEDY)
    prompts = [model.prompt(item) for item in ITEMS]
    common = batches.shared(prompts)
    assert common > 20 and blocks == [(0, common), (common, max(map(len, prompts)) - 1 - common)]


def test_sizes_rounded_up_as_for_a_graph_change_no_answer(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.generation import batches, graphs

    class Again:
        """A graph stands for a computation of one size; here it is computed again each time."""

        def __init__(self, compute: Any, size: tuple[int, int]) -> None:
            self.compute, self.size = compute, size

        def replay(self) -> None:
            replayed.append(self.size)
            self.compute(*self.size)

    class OnTheProcessor(graphs.Graphs):
        def _catch(self, size: tuple[int, int]) -> None:
            self.caught[size] = Again(self.compute, size)

    replayed: list[tuple[int, int]] = []
    was = batches.Table.__post_init__

    def rounding(table: batches.Table) -> None:
        was(table)
        table.graphs = OnTheProcessor(table._compute, table.size, table.memory.columns)

    before = said(model, ITEMS, GREEDY.model_copy(update={"batch_size": 5}))
    monkeypatch.setattr(graphs, "LEAST_COLUMNS", 8)
    monkeypatch.setattr(batches.Table, "__post_init__", rounding)
    assert said(model, ITEMS, GREEDY.model_copy(update={"batch_size": 5})) == before
    assert {rows for rows, _ in replayed} == {1, 4, 5}


def test_out_of_memory_halves_the_batch_and_goes_on(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.generation import batches

    wanted, sizes = said(model, ITEMS, GREEDY), []
    step = batches.Table._step

    def narrow(table: batches.Table) -> None:
        sizes.append(table.size)
        if len(table.active) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        step(table)

    monkeypatch.setattr(batches.Table, "_step", narrow)
    assert said(model, ITEMS, GREEDY.model_copy(update={"batch_size": 7})) == wanted
    assert list(dict.fromkeys(sizes)) == [7, 3, 1]


def test_one_question_that_does_not_fit_is_said_in_words(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.errors import PipelineError
    from pipeline.generation import batches

    def never(table: batches.Table) -> None:
        raise MemoryError

    monkeypatch.setattr(batches.Table, "_step", never)
    with pytest.raises(PipelineError, match="does not fit into memory"):
        said(model, ITEMS, GREEDY)


def test_samples_are_drawn_again_alike_whoever_stands_beside(model: Any) -> None:
    drawn = Decoding(max_new_tokens=8, temperature=0.8, top_p=0.9, samples=3, seed=7)
    all_of_them = said(model, ITEMS, drawn, 3)
    some = said(model, ITEMS[2:4], drawn.model_copy(update={"batch_size": 2}), 3)
    assert some == {key: all_of_them[key] for key in some}
    assert len({all_of_them["i0", sample] for sample in range(3)}) > 1
    assert said(model, ITEMS, drawn.model_copy(update={"seed": 8}), 3) != all_of_them


def test_drawn_tokens_follow_the_models_chances_and_top_p_leaves_the_rest_out() -> None:
    import torch

    from pipeline.generation.batches import choose

    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(20_000, 1)
    numbers = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(1))
    first = torch.zeros(20_000, dtype=torch.long)
    shares = torch.bincount(choose(logits, Decoding(temperature=1.0), numbers, first), minlength=4) / 20_000
    nucleus = torch.bincount(choose(logits, Decoding(temperature=1.0, top_p=0.75), numbers, first), minlength=4) / 20_000
    assert shares.tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.02)
    assert nucleus.tolist() == pytest.approx([0.625, 0.375, 0, 0], abs=0.02)


def test_a_question_that_leaves_no_room_for_an_answer_gets_none(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.config, "max_position_embeddings", len(model.prompt(ITEMS[2])))
    found = {one.item_id: one for one in model.answers([Ask(ITEMS[1]), Ask(ITEMS[2])], GREEDY)}
    assert (found["i2"].text, found["i2"].new_tokens, found["i2"].finish) == ("", 0, "length") and found["i1"].new_tokens > 0


def log_probability(model: Any, item: Example, answer: str) -> tuple[float, int]:
    """Of an answer as transformers alone sees it: the whole conversation, one at a time."""
    import torch

    turns = (*item.question, {"role": "assistant", "content": answer})
    encoded = template.encode(model.tokenizer, item.id, turns)
    with model.own_attention(), torch.no_grad():
        logits = model.model(input_ids=torch.tensor([encoded.ids]), use_cache=False).logits[0].log_softmax(-1)
    learned = [place for place, is_learned in enumerate(encoded.learned) if is_learned]
    return sum(float(logits[place - 1, encoded.ids[place]]) for place in learned), len(learned)


def test_the_references_likelihood_is_that_of_the_model_alone(model: Any) -> None:
    found = {one.item_id: one for one in model.likelihoods(ITEMS, ())}
    for item in ITEMS:
        wanted, tokens = log_probability(model, item, item.answer)
        assert (found[item.id].nats, found[item.id].tokens) == (pytest.approx(-wanted, rel=1e-4), tokens)


def test_each_labels_likelihood_is_as_if_it_were_the_only_answer(model: Any) -> None:
    labels = ("late", "torn jacket", "does not fit at all", "x")
    for found, item in zip(sorted(model.likelihoods(ITEMS, labels), key=lambda one: one.item_id), ITEMS, strict=True):
        for label in labels:
            assert found.labels[label] == pytest.approx(log_probability(model, item, label)[0], rel=1e-4)


def test_likelihoods_do_not_depend_on_how_many_fit_into_one_pass(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.generation import likelihoods

    wide = sorted((one.item_id, one.nats) for one in model.likelihoods(ITEMS, ("late",)))
    monkeypatch.setitem(likelihoods.LOGIT_BYTES, "cpu", 1)
    narrow = sorted((one.item_id, one.nats) for one in model.likelihoods(ITEMS, ("late",)))
    assert [nats for _, nats in narrow] == pytest.approx([nats for _, nats in wide], rel=1e-5)


def test_earlier_answers_in_a_conversation_are_read_and_not_counted(model: Any) -> None:
    turns = ({"role": "user", "content": "Where?"}, {"role": "assistant", "content": "On its way."},
             {"role": "user", "content": "When?"}, {"role": "assistant", "content": "Monday."})
    found = next(iter(model.likelihoods([Example("x", turns)], ())))
    assert found.tokens == len(model.tokenizer("Monday.", add_special_tokens=False)["input_ids"]) + 1


@pytest.fixture(scope="module")
def starter(starter_home: Path) -> Iterator[Any]:
    from pipeline.generation.local import LocalModel

    yield LocalModel(base_models.prepare(STARTER, starter_home, print), None, "qlora")


@pytest.mark.slow
def test_the_starter_answers_in_batches_as_it_does_alone(starter: Any) -> None:
    decoding = Decoding(max_new_tokens=16, batch_size=4)
    assert starter.takes_memory and said(starter, ITEMS, decoding) == alone(starter, ITEMS, decoding)
