"""Readiness follows from facts, in words with the numbers behind them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studio import readiness
from studio.readiness import CONSISTENT, DIVERSE, ENOUGH, LASTING, PROMPT, Facts, Readiness

GOOD = Facts(
    train=3_000,
    lines=3_600,
    measured=3_600,
    short_answers=0,
    long_answers=0,
    multi_turn=100,
    distinct_answers=3_500,
    answer_words=60,
    looked_at=1_800,
    variety=0.7,
    changes_daily={"changes_daily": 36, "prices": 30, "dates": 6, "stock": 0},
    twins_searched=True,
    twins_left=40,
    checked=True,
    conflicts=10,
    worth="The answers depend on their questions (p = 0.002), as answers worth training on do.",
    worth_training=True,
)


def said(found: Readiness, question: str) -> tuple[str, str]:
    return next((one.word, one.sentence) for one in found.verdicts if one.question == question)


def test_good_data_is_ready_with_its_numbers() -> None:
    found = readiness.judge(GOOD)
    assert (found.word, found.task, found.sentence) == ("yes", "medium", "Ready to be trained on.")
    assert said(found, ENOUGH)[1] == (
        "3,000 lines to train on; most are one answer to one question, 60 words long in the middle: that wants 1,000 to 5,000."
    )


@pytest.mark.parametrize(
    ("short", "long", "threads", "task"),
    [(3_000, 0, 0, "simple"), (2_800, 0, 0, "medium"), (0, 500, 600, "complex"), (0, 500, 500, "medium")],
)
def test_the_kind_of_task_is_seen_in_the_answers(short: int, long: int, threads: int, task: str) -> None:
    assert readiness.task_of(replace(GOOD, short_answers=short, long_answers=long, multi_turn=threads)) == task


@pytest.mark.parametrize(("train", "word"), [(1_000, "yes"), (999, "partly"), (500, "partly"), (499, "no")])
def test_how_many_are_enough_depends_on_the_task(train: int, word: str) -> None:
    assert said(readiness.judge(replace(GOOD, train=train)), ENOUGH)[0] == word


def test_conversations_want_five_thousand_and_more() -> None:
    word, sentence = said(readiness.judge(replace(GOOD, multi_turn=3_600)), ENOUGH)
    wanted = "100 % of the answers are conversations or long answers: that wants 5,000 and more."
    assert (word, sentence) == ("partly", f"3,000 lines to train on; {wanted}")


def test_a_few_pasted_answers_are_texts_to_choose_from() -> None:
    found = readiness.judge(replace(GOOD, distinct_answers=27))
    assert (found.word, said(found, DIVERSE)[0], said(found, PROMPT)) == (
        "no", "no", ("yes", "27 answers fit into a prompt, or into a list to choose from."))  # fmt: skip


def test_a_few_labels_are_what_a_classification_has() -> None:
    assert said(readiness.judge(replace(GOOD, distinct_answers=27, short_answers=3_600)), DIVERSE)[0] == "yes"


@pytest.mark.parametrize(
    ("variety", "twins", "word"), [(0.2, 0, "no"), (0.4, 0, "partly"), (0.7, 2_000, "partly"), (0.7, 0, "yes")]
)
def test_questions_worded_alike_are_said_to_be_so(variety: float, twins: int, word: str) -> None:
    assert said(readiness.judge(replace(GOOD, variety=variety, twins_left=twins)), DIVERSE)[0] == word


def test_answers_that_do_not_fit_are_not_ready_however_many_there_are() -> None:
    found = readiness.judge(replace(GOOD, worth_training=False, worth="These answers are not worth training on."))
    assert (found.sentence, said(found, CONSISTENT)[0], said(found, PROMPT)[0]) == (
        "Not ready: answers that contradict each other or do not fit their questions.", "no", "yes")  # fmt: skip


def test_contradictions_are_counted() -> None:
    words = [said(readiness.judge(replace(GOOD, conflicts=number)), CONSISTENT)[0] for number in (36, 37, 181)]
    assert words == ["yes", "partly", "no"]


def test_answers_full_of_prices_are_a_case_for_retrieval() -> None:
    found = readiness.judge(replace(GOOD, changes_daily={"changes_daily": 900, "prices": 800, "dates": 300, "stock": 5}))
    assert said(found, LASTING) == (
        "no", "25 % of the answers name something that changes daily (800 prices, 300 dates, 5 stock). "
        "A model would learn yesterday's: look these up (retrieval), train on the rest.")  # fmt: skip


def test_too_few_examples_belong_into_a_prompt_first() -> None:
    assert said(readiness.judge(replace(GOOD, train=200)), PROMPT)[0] == "yes"


def test_what_was_not_measured_is_not_judged() -> None:
    found = readiness.judge(replace(GOOD, measured=0, checked=False))
    assert (found.word, {one.word for one in found.verdicts}, found.task) == ("not measured", {"not measured"}, None)
