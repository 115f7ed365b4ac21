"""What an answer depends on, and that what is known is not made again."""

from __future__ import annotations

import pytest

from pipeline import answers
from pipeline.examples import Example
from pipeline.specs import BaseSource, Candidate, Decoding, Endpoint, Shots

BASE = BaseSource(kind="starter", name="Starter")
CANDIDATE = Candidate(model_id="m", name="M", base=BASE, adapter="runs/a/adapter", sha256="1" * 64)
ITEM = Example("i1", ({"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}))
SHOTS = Shots(train_file="snapshots/s/train.jsonl", sha256="2" * 64, examples=2)
SERVER = Candidate(model_id="e", name="E", endpoint=Endpoint(base_url="http://a/v1", model="small"))


def key(candidate: Candidate = CANDIDATE, decoding: Decoding = Decoding(), item: Example = ITEM, sample: int = 0) -> str:
    return answers.answer_key(candidate, decoding, item, sample)


@pytest.mark.parametrize("other", [
    key(CANDIDATE.model_copy(update={"system": "Be kind."})), key(CANDIDATE.model_copy(update={"system": ""})),
    key(CANDIDATE.model_copy(update={"sha256": "3" * 64})), key(CANDIDATE.model_copy(update={"method": "lora"})),
    key(CANDIDATE.model_copy(update={"adapter": None})), key(CANDIDATE.model_copy(update={"shots": SHOTS})),
    key(CANDIDATE.model_copy(update={"base": BASE.model_copy(update={"kind": "hub", "ref": "a/b"})})),
    key(decoding=Decoding(max_new_tokens=9)), key(decoding=Decoding(temperature=0.5)), key(sample=1), key(SERVER),
    key(item=Example("i1", ({"role": "user", "content": "When?"}, ITEM.messages[1])))])
def test_another_model_prompt_decoding_question_or_sample_is_another_answer(other: str) -> None:
    assert other != key()


@pytest.mark.parametrize("same", [
    key(CANDIDATE.model_copy(update={"name": "N", "model_id": "n", "candidate_id": "c"})),
    key(decoding=Decoding(batch_size=3, seed=5)),
    key(item=Example("i2", (ITEM.messages[0], {"role": "assistant", "content": "No"})))])
def test_names_batches_greedy_seeds_and_references_change_no_answer(same: str) -> None:
    assert same == key()


def test_examples_of_another_train_file_or_another_choice_are_another_prompt() -> None:
    given = [SHOTS, SHOTS.model_copy(update={"sha256": "4" * 64}), SHOTS.model_copy(update={"choice": "diverse"}),
             SHOTS.model_copy(update={"examples": 3})]
    assert len({key(CANDIDATE.model_copy(update={"shots": shots})) for shots in given}) == 4


def test_a_seed_counts_where_answers_are_drawn_and_how_many_there_are_does_not() -> None:
    drawn = Decoding(temperature=1.0, samples=2)
    assert key(decoding=drawn) == key(decoding=Decoding(temperature=1.0, samples=5))
    assert key(decoding=drawn) != key(decoding=Decoding(temperature=1.0, samples=2, seed=5))


def test_prices_of_a_server_change_no_answer_and_its_address_does() -> None:
    def of(**fields: object) -> str:
        return key(Candidate(model_id="e", name="E", endpoint=Endpoint(model="small", **fields)))  # type: ignore[arg-type]

    assert of(base_url="http://a/v1", price_in=1.0, money="EUR", key_env="TUNEWRIGHT_X") == key(SERVER) != of(base_url="http://b/v1")


TURNS = Example("i", ({"role": "system", "content": "Item's own."}, {"role": "user", "content": "Q"},
                      {"role": "assistant", "content": "A"}))
SHOT = Example("t", ({"role": "system", "content": "Train's own."}, {"role": "user", "content": "TQ"},
                     {"role": "assistant", "content": "TA"}))


@pytest.mark.parametrize(("system", "said"), [
    (None, ["Item's own.", "TQ", "TA", "Q", "A"]), ("Mine.", ["Mine.", "TQ", "TA", "Q", "A"]), ("", ["TQ", "TA", "Q", "A"])])
def test_a_candidates_prompt_takes_the_place_of_the_items_and_examples_stand_before_the_question(
        system: str | None, said: list[str]) -> None:
    found = answers.conversation(CANDIDATE.model_copy(update={"system": system}), TURNS, [SHOT])
    assert [turn["content"] for turn in found.messages] == said
