"""Drift tests keep their word: quiet where nothing drifted, awake where something did, and with examples of it."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks import drift as simulated
from pipeline import drift_families, drift_tests, drift_texts, drift_topics, drift_words
from pipeline.drift_tests import LEVEL, Compared

pytestmark = pytest.mark.heavy

SHUFFLES = 299


@cache
def pool(related: bool = False) -> simulated.Pool:
    return simulated.pool_of(*simulated.made_up(1_500 if related else 2_500), related)


def compared(now: list[str], then: list[str], answers: bool = False) -> Compared:
    return drift_tests.compare(drift_texts.look([*now, *then]), len(now), 1, answers, SHUFFLES)


def part(found: Compared, name: str) -> drift_tests.Part:
    return next(one for one in found.parts if one.name == name)


def test_a_snapshot_split_at_random_alarms_in_at_most_five_of_a_hundred_trials() -> None:
    trials = [simulated.trial(pool(), 100, 0, seed, SHUFFLES) for seed in range(200)]
    assert simulated.false_alarms(trials) <= 0.05


def test_families_of_reworded_questions_held_on_one_side_alarm_no_more_often() -> None:
    trials = [simulated.trial(pool(related=True), 100, 0, seed, SHUFFLES) for seed in range(200)]
    assert simulated.false_alarms(trials) <= 0.05


def test_a_planted_topic_of_twenty_percent_alarms_at_500_rows_and_is_shown() -> None:
    trials = [simulated.trial(pool(), 500, 0.2, seed, SHUFFLES) for seed in range(40)]
    assert (simulated.power(trials) >= 0.95, simulated.shown(trials) >= 0.95) == (True, True)


@pytest.mark.parametrize("data", ["bitext", "banking77"])
def test_so_it_does_in_real_questions(data: str, shared_data: Path) -> None:
    found = simulated.pool(data, False)
    trials = [simulated.trial(found, 500, 0.2, seed, SHUFFLES) for seed in range(20)]
    assert (simulated.power(trials) >= 0.95, simulated.shown(trials) >= 0.95) == (True, True)


def test_the_interval_of_the_auc_holds_a_half_where_nothing_drifted() -> None:
    trials = [simulated.trial(pool(), 100, 0, seed, 99) for seed in range(100)]
    assert np.mean([one.covers for one in trials]) >= 0.88


def test_the_same_texts_give_the_same_numbers() -> None:
    texts, _ = simulated.made_up(150, 3)
    first, again = (compared(texts[:50], texts[50:]) for _ in range(2))
    assert (first.p_value, first.auc, first.parts) == (again.p_value, again.auc, again.parts)


def test_texts_that_are_all_the_same_drift_nowhere() -> None:
    found = compared(["Where is it?"] * 60, ["Where is it?"] * 120)
    assert (found.p_value > LEVEL, found.auc[1] <= 0.5 <= found.auc[2]) == (True, True)


def test_one_new_question_that_many_ask_in_the_same_words_is_found() -> None:
    texts, _ = simulated.made_up(300, 3)
    looked = drift_texts.look([*texts[:80], *["The site is down"] * 20, *texts[80:280]])
    found = drift_tests.compare(looked, 100, 1, shuffles=SHUFFLES)
    topics = drift_topics.find(looked, found)
    assert found.p_value <= LEVEL and set(topics[0].rows[:10]) <= set(range(80, 100))


def test_longer_questions_on_the_same_matters_are_told_by_their_length() -> None:
    texts, _ = simulated.made_up(300, 3)
    found = compared([text + " " + text for text in texts[:100]], texts[100:])
    assert part(found, "lengths").p_value <= LEVEL


def test_another_language_is_told() -> None:
    texts, _ = simulated.made_up(300, 3)
    german = ["Wo bleibt denn meine Bestellung, ich warte schon seit zwei Wochen auf das Paket"] * 15
    found = compared([*texts[:85], *german], texts[85:285])
    assert part(found, "languages").p_value <= LEVEL


def test_answers_that_begin_to_decline_are_told() -> None:
    texts, _ = simulated.made_up(300, 3)
    declined = [f"I'm sorry, but I can't help with that. {text}" for text in texts[:20]]
    found = compared([*declined, *texts[20:100]], texts[100:], answers=True)
    assert part(found, "refusals").p_value <= LEVEL


def test_fewer_than_twenty_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="20 texts"):
        compared(["a question"] * 19, ["another one"] * 50)


def test_texts_without_a_word_break_nothing() -> None:
    assert compared([*["???", "", "  "] * 10], [*["!", "ok", ""] * 20]).now == 30


def test_a_word_that_four_texts_have_describes_no_topic() -> None:
    texts = ["Karenina wants a refund"] * 4 + ["somebody wants a refund"] * 6 + ["where is the parcel"] * 30
    words = drift_topics.describe(drift_texts.look(texts), np.arange(10))
    assert "refund" in words and "karenina" not in words


def test_families_are_found_where_they_are_on_one_side_and_not_where_they_are_spread() -> None:
    dice = random.Random(2)
    texts, _ = simulated.made_up(150, 3)
    pairs = [text for text in texts for text in (text, simulated.reworded(text, dice))]
    looked = drift_texts.look(pairs)
    vectors = drift_texts.meaning(looked, 1)
    together = np.repeat(np.arange(150) % 3 == 0, 2).astype(np.float32)
    spread = np.array([n % 3 == 0 for n in range(300)], np.float32)
    shares = [drift_families.find(vectors, labels, np.random.default_rng(1))[1] for labels in (together, spread)]
    assert (shares[0] > 0.3, shares[1]) == (True, 0.0)


def test_holm_corrects_the_smallest_by_all_and_keeps_the_order() -> None:
    assert drift_tests.holm([0.04, 0.001, 0.03]) == pytest.approx([0.06, 0.003, 0.06])


def test_what_is_said_names_topic_shares_and_certainty() -> None:
    topic = {"kind": "new", "words": ["box", "trail"], "share": 0.2, "before": 0.004}
    one = {"what": "questions", "against": "training", "drifted": True, "auc": [0.6, 0.55, 0.65], "topics": [topic],
           "now": 500, "in_families": 0.0, "parts": []}  # fmt: skip
    assert drift_words.sentence({"comparisons": [one], "level": 0.01}) == (
        "Questions are unlike those of the training data: 20 % about box, trail (there 0.4 %). Of two, a classifier tells "
        "today's in 60 % [55, 65] of cases (luck: 50 %); where nothing changed, at most 1 check in 100 says so.")


def test_where_nothing_was_found_it_is_said_what_would_have_been() -> None:
    one = {"what": "questions", "against": "training", "drifted": False, "now": 500, "in_families": 0.0}
    assert drift_words.sentence({"comparisons": [one], "level": 0.01}) == (
        "No drift: 500 questions look like those of the training data. A new topic of 20 % of them would almost surely have "
        "been found.")
