"""Slots of a run that makes examples: a fixed list, keys that last, seeds spread over the prompts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from pipeline.errors import PipelineError
from pipeline.specs import BaseSource, Candidate, Cell, SynthesisSpec, Work
from pipeline.synthesis import plan
from tests.seeds import TOPICS, seed

MODEL = Candidate(model_id="m", name="Starter", base=BaseSource(kind="starter", name="Starter"))
REFUND, PARCEL = Cell(scenario="refund", count=3), Cell(scenario="parcel", tone="angry", count=2)
SEEDS = [seed(f"{topic}{number}", f"{words} {number}") for topic, words in TOPICS.items() for number in range(4)]


def spec(*cells: Cell, work: Work = "examples", shots: int = 3, seed: int = 1234, only: int | None = None) -> SynthesisSpec:
    return SynthesisSpec(run_id="r", model=MODEL, work=work, cells=cells, prompt="", system="", documents=(), shots=shots,
                         seed=seed, budget=None, only=only)


def test_each_cell_gets_as_many_slots_as_it_asks_for_the_first_of_each_first() -> None:
    made = plan.slots(spec(REFUND, PARCEL))
    assert [(slot.cell.scenario, slot.number) for slot in made] == [
        ("refund", 0), ("parcel", 0), ("refund", 1), ("parcel", 1), ("refund", 2)]


def test_the_same_spec_gives_the_same_slots_and_another_seed_other_examples() -> None:
    first, again = plan.slots(spec(REFUND, PARCEL), SEEDS), plan.slots(spec(REFUND, PARCEL), SEEDS)
    other = plan.slots(spec(REFUND, PARCEL, seed=7), SEEDS)
    assert first == again and [one.seeds for one in first] != [one.seeds for one in other]


def test_keys_are_unlike_and_stay_when_more_is_asked_for() -> None:
    few = [slot.key for slot in plan.slots(spec(REFUND, PARCEL))]
    longer = REFUND.model_copy(update={"count": 9})
    many = [slot.key for slot in plan.slots(spec(longer, PARCEL, Cell(scenario="more", count=1)))]
    assert len(set(few)) == 5 and set(few) <= set(many)


def test_a_cell_that_stands_twice_in_the_list_goes_on_counting() -> None:
    made = plan.slots(spec(REFUND, REFUND))
    assert sorted(slot.number for slot in made) == [0, 1, 2, 3, 4, 5] and len({slot.key for slot in made}) == 6


def test_a_preview_is_the_first_slots_of_the_whole_run() -> None:
    assert plan.slots(spec(REFUND, PARCEL, only=3), SEEDS) == plan.slots(spec(REFUND, PARCEL), SEEDS)[:3]


def test_the_seeds_of_a_prompt_are_unlike_each_other_and_others_in_the_next_prompt() -> None:
    made = plan.slots(spec(Cell(scenario="any", count=40)), SEEDS)
    topics = [{SEEDS[place].id.rstrip("0123") for place in slot.seeds} for slot in made]
    assert all(len(some) == 3 for some in topics) and all(a.seeds != b.seeds for a, b in pairwise(made))


def test_seeds_are_shown_about_equally_often() -> None:
    shown = Counter(place for slot in plan.slots(spec(Cell(scenario="any", count=100)), SEEDS) for place in slot.seeds)
    assert len(shown) == len(SEEDS) and max(shown.values()) - min(shown.values()) <= 2


def test_without_seeds_or_shots_a_prompt_shows_none() -> None:
    assert {slot.seeds for slot in [*plan.slots(spec(REFUND)), *plan.slots(spec(REFUND, shots=0), SEEDS)]} == {()}


def test_fewer_seeds_than_shots_are_all_shown() -> None:
    assert {tuple(sorted(slot.seeds)) for slot in plan.slots(spec(REFUND), SEEDS[:2])} == {(0, 1)}


def test_seeds_that_use_tools_are_never_shown() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    tools = seed("t", "where is it", between=(call, {"role": "tool", "content": "7"}))
    assert {slot.seeds for slot in plan.slots(spec(REFUND), [tools, SEEDS[0]])} == {(1,)}


@pytest.mark.parametrize("work", ["paraphrases", "answers"])
def test_work_on_seeds_uses_each_seed_equally_often_in_the_run_and_in_each_cell(work: Work) -> None:
    cells = [Cell(scenario="s", tone=tone, count=len(SEEDS)) for tone in ("calm", "angry")]
    made = plan.slots(spec(*cells, work=work), SEEDS)
    used = Counter((slot.cell.tone, slot.seeds[0]) for slot in made)
    assert set(used.values()) == {1} and len(used) == 2 * len(SEEDS) and all(len(slot.seeds) == 1 for slot in made)


def test_a_cell_goes_on_with_the_seeds_where_the_one_before_it_ended() -> None:
    made = plan.slots(spec(*(Cell(scenario=name, count=len(SEEDS) // 2) for name in "ab"), work="answers"), SEEDS)
    assert sorted(slot.seeds[0] for slot in made) == list(range(len(SEEDS)))


def test_work_on_seeds_without_seeds_is_refused_in_words() -> None:
    with pytest.raises(PipelineError, match="Better answers to real questions need seeds"):
        plan.slots(spec(REFUND, work="answers"))


def test_seeds_of_nothing_but_blanks_break_nothing() -> None:
    assert len(plan.slots(spec(REFUND), [seed("a", " "), seed("b", "\u200b"), seed("c", "")])) == 3
