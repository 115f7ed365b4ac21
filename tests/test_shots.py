"""Few-shot examples: the nearest ones or a spread set, from train alone, as many as fit."""

from __future__ import annotations

from pipeline import shots
from pipeline.examples import Example


def example(name: str, asked: str, tools: tuple[dict[str, str], ...] = ()) -> Example:
    return Example(name, ({"role": "user", "content": asked}, {"role": "assistant", "content": f"answer {name}"}), tools)


TRAIN = [example("t0", "my tent is torn"), example("t1", "my red tent is torn at the side"), example("t2", "where is the lamp"),
         example("t3", "where is the green lamp"), example("t4", "invoice is missing"), example("t5", "my tent is torn", ({},))]
ITEMS = [example("i0", "the lamp, where is it?"), example("i1", "my tent is torn")]


def names(found: list[list[Example]]) -> list[list[str]]:
    return [[one.id for one in some] for some in found]


def test_the_nearest_examples_come_in_the_order_of_their_likeness() -> None:
    assert names(shots.choose(TRAIN, ITEMS, 2, "nearest")) == [["t2", "t3"], ["t0", "t1"]]


def test_a_diverse_set_is_the_same_for_all_and_holds_no_two_alike() -> None:
    first, second = names(shots.choose(TRAIN, ITEMS, 3, "diverse"))
    assert first == second and {frozenset(("t0", "t1")), frozenset(("t2", "t3"))}.isdisjoint(
        {frozenset((a, b)) for a in first for b in first}) and "t4" in first


def test_more_examples_than_there_are_gives_all_without_tools() -> None:
    assert [len(set(some)) for some in names(shots.choose(TRAIN, ITEMS, 9, "nearest"))] == [5, 5]
    assert sorted(names(shots.choose(TRAIN, ITEMS, 9, "diverse"))[0]) == ["t0", "t1", "t2", "t3", "t4"]


def test_the_most_telling_example_stands_next_to_the_question() -> None:
    assert [one.id for one in shots.that_fit(TRAIN[:3], lambda some: True)] == ["t2", "t1", "t0"]


def test_an_example_that_does_not_fit_is_left_out_and_shorter_ones_stay() -> None:
    def fits(some: object) -> bool:
        return sum(len(shots.question(one)) for one in some) <= 40  # type: ignore[attr-defined]

    assert [one.id for one in shots.that_fit(TRAIN[:4], fits)] == ["t2", "t0"]


def test_items_without_a_word_of_train_still_get_examples() -> None:
    assert len(shots.choose(TRAIN, [example("x", "")], 2, "nearest")[0]) == 2
