"""How varied made questions are; that a model which repeats itself is noticed, and real tickets are not taken for one."""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.synthesis import diversity
from studio import sample_texts

pytestmark = pytest.mark.heavy

SIX = ("where is my {parcel}, it has not {moved} since {day}", "how do I {return} the {thing}, it does not {fit}",
       "I was {charged} twice for my {thing} order", "the zip of my {thing} {broke} after {day}",
       "I cannot {login} since {day}, the reset mail never comes", "please {send} an {invoice} for the {thing}")
OTHERWISE = {
    "parcel": ("parcel", "package", "delivery", "box"), "moved": ("moved", "changed", "been updated"),
    "return": ("return", "send back", "give back"), "fit": ("fit", "suit me", "sit right"),
    "broke": ("broke", "ripped", "tore"), "charged": ("charged", "billed", "debited"),
    "login": ("log in", "sign in", "get into my account"),
    "send": ("send me", "mail me", "get me"), "invoice": ("invoice", "receipt", "bill"),
    "day": ("Monday", "Tuesday", "last week", "yesterday"), "thing": ("jacket", "tent", "boots", "backpack", "lamp", "fleece")}
BEFORE = ("", "Hi, ", "Hello there, ", "Good morning, ", "Dear team, ", "Quick question: ", "Sorry to bother you, but ")
BEHIND = ("", " Thanks!", " Please help.", " Can you check?", " I would appreciate a quick answer.", " What can I do?")


def reworded(count: int, seed: int = 3) -> list[str]:
    """The same six questions again and again, each time in somewhat other words."""
    chance = random.Random(seed)
    return [chance.choice(BEFORE) + chance.choice(SIX).format(**{key: chance.choice(some) for key, some in OTHERWISE.items()})
            + chance.choice(BEHIND) for _ in range(count)]


def varied(count: int, seed: int = 5) -> list[str]:
    """Questions of the sample shop on all its topics."""
    chance = random.Random(seed)
    asks = [ask for topic in sample_texts.TOPICS for ask in topic.asks]
    return [chance.choice(asks).format(product=chance.choice(sample_texts.PRODUCTS), city=chance.choice(sample_texts.CITIES),
                                       order=f"FH-{chance.randint(10000, 99999)}", amount="£40", name="Jo")
            for _ in range(count)]


@pytest.fixture(scope="module")
def banking(shared_data: Path) -> dict[str, list[str]]:
    """Real questions of a bank's customers by what they are about, in an order drawn once."""
    found = defaultdict(list)
    with (shared_data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["category"]].append(row["text"])
    for texts in found.values():
        random.Random(1).shuffle(texts)
    return found


@pytest.fixture(scope="module")
def mixed(banking: dict[str, list[str]]) -> list[str]:
    texts = [text for some in banking.values() for text in some]
    random.Random(2).shuffle(texts)
    return texts


def test_a_model_that_begins_to_repeat_itself_is_noticed_in_a_sentence() -> None:
    before, again = varied(200), reworded(60)
    assert diversity.repeating(before) == diversity.repeating(before + again[:10]) == ""
    words = diversity.repeating(before + again)
    assert words.startswith("The last 50 questions are as like each other as ") and "earlier in this run" in words


def test_a_model_that_repeats_itself_goes_on_being_noticed() -> None:
    assert diversity.repeating(varied(200) + reworded(400)) != ""


def test_the_last_questions_are_held_against_the_most_varied_part_of_the_run() -> None:
    assert "earlier in this run" in diversity.repeating(reworded(100, seed=1) + varied(100) + reworded(100))


def test_the_same_question_from_the_first_on_is_noticed() -> None:
    assert "said again and again" in diversity.repeating(["Where is my order?", "Where is my order, please?"] * 10)


def test_few_questions_say_nothing() -> None:
    assert diversity.repeating(["Where is my order?"] * 19) == "" and diversity.repeating([]) == ""


def test_a_cell_that_goes_on_alone_is_held_against_its_own_beginning() -> None:
    one, texts, cells = reworded(60), [], []
    for place, text in enumerate(varied(200)):
        texts += [text] if place % 20 else [text, one[place // 20]]
        cells += ["many"] if place % 20 else ["many", "one"]
    texts, cells = texts + one[10:], cells + ["one"] * 50
    assert "earlier in this run" in diversity.repeating(texts) and diversity.repeating(texts, cells) == ""


def test_real_questions_in_any_order_are_never_taken_for_repetition(mixed: list[str]) -> None:
    assert {diversity.repeating(mixed[:end]) for end in range(20, 2_000, 40)} == {""}


def test_real_questions_on_one_matter_are_never_taken_for_repetition(banking: dict[str, list[str]]) -> None:
    assert {diversity.repeating(texts[:end]) for texts in banking.values() for end in (20, 35, 50, 100, 150)} == {""}


def test_six_questions_after_real_ones_are_noticed_whatever_is_drawn(mixed: list[str]) -> None:
    assert all(diversity.repeating(mixed[begin : begin + 200] + reworded(50, seed=begin)) for begin in range(0, 2_000, 200))


def test_fewer_than_twenty_texts_are_not_measured() -> None:
    assert diversity.measure(varied(19), varied(300)) == {"texts": 19, "real": 300, "enough": False}


def test_without_real_questions_only_the_made_ones_are_measured() -> None:
    data = diversity.measure(varied(100), varied(19))
    assert data["coverage"] is None and data["clusters"] == [] and data["map"]["real"] == []
    assert data["distinct"]["real"] is None and len(data["distinct"]["made"]) == 3 and len(data["map"]["made"]) == 100


def test_a_share_of_the_runs_of_words_is_distinct() -> None:
    data = diversity.measure(["one two three four"] * 10 + ["five six seven eight"] * 10)
    assert data["distinct"]["made"] == [0.1, 0.1, 0.1] and data["self_similarity"]["made"] == 1.0
    assert data["openings"]["made"] == {"distinct": 0.1, "common": [["five six seven", 0.5], ["one two three", 0.5]]}


def test_repetition_lowers_every_number_of_variety() -> None:
    many, few = diversity.measure(varied(200)), diversity.measure(reworded(200))
    assert many["distinct"]["made"][1] > few["distinct"]["made"][1]
    assert many["openings"]["made"]["common"][0][1] < 0.2


def test_other_real_questions_cover_the_real_ones_and_those_of_another_trade_do_not(mixed: list[str]) -> None:
    as_good = diversity.measure(mixed[:1_000], mixed[1_000:3_000])
    other = diversity.measure(varied(1_000), mixed[1_000:3_000])
    assert 0.85 < as_good["coverage"] < 0.95 and other["coverage"] < 0.3
    assert sum(one["made"] for one in as_good["clusters"]) > 700 > 300 > sum(one["made"] for one in other["clusters"])


def test_made_ones_are_held_against_as_many_real_ones(mixed: list[str]) -> None:
    for made, real in ((mixed[:200], mixed[1_000:5_000]), (mixed[1_000:5_000], mixed[:200])):
        data = diversity.measure(made, real)
        assert data["compared"] == 200 and abs(data["distinct"]["made"][1] - data["distinct"]["real"][1]) < 0.05
        assert abs(data["self_similarity"]["made"] - data["self_similarity"]["real"]) < 0.05


def test_what_is_left_out_shows_as_clusters_without_a_made_one(banking: dict[str, list[str]], mixed: list[str]) -> None:
    left_out = {"exchange_rate", "card_payment_wrong_exchange_rate", "wrong_exchange_rate_for_cash_withdrawal",
                "exchange_charge", "exchange_via_app", "fiat_currency_support"}
    some = [text for name, texts in banking.items() if name not in left_out for text in texts[::8]]
    clusters = diversity.measure(some, mixed[:3_000])["clusters"]
    empty = [one for one in clusters if "exchange" in one["words"]]
    assert empty and all(one["made"] < 0.2 * one["real"] for one in empty) and sum(one["real"] for one in clusters) <= 3_000


def test_coverage_is_only_said_of_fifty_of_each(mixed: list[str]) -> None:
    assert [diversity.measure(mixed[:count], mixed[100:400])["coverage"] is None for count in (49, 50)] == [True, False]


def test_the_same_texts_give_the_same_numbers_that_json_can_hold(mixed: list[str]) -> None:
    first, again = (diversity.measure(mixed[:300], mixed[300:900]) for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(again)


@pytest.mark.parametrize("texts", [[""] * 30, [" \n"] * 30, ["\u200b"] * 30, ["same"] * 30, ["a", "b"] * 15, ["!?"] * 30,
                                   ["\ud83d half"] * 30, ["荷物がまだ届きません"] * 30])
def test_odd_texts_are_measured_without_a_crash(texts: list[str]) -> None:
    assert diversity.measure(texts, texts)["enough"] and isinstance(diversity.repeating(texts), str)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=20, max_size=40), st.lists(st.text(max_size=30), max_size=40))
def test_any_texts_are_measured_without_a_crash(made: list[str], real: list[str]) -> None:
    data = diversity.measure(made, real)
    assert json.loads(json.dumps(data, allow_nan=False))["enough"] and isinstance(diversity.repeating(made), str)
