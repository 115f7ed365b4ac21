"""Quality of one conversation and of all together: what is flagged, what is not, and what the real data sets get."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.checking import corpus, language, quality
from pipeline.checking.corpus import NOT_WORTH, Corpus, answer_worth
from pipeline.checking.finding import Finding, Messages
from pipeline.checking.quality import KINDS, quality_findings

SHOWN = {kind.key: kind.threshold for kind in (*KINDS, *corpus.KINDS)}
GOOD = "You can cancel the order in your account under Orders, and the refund arrives within five days."


def talk(*turns: str) -> Messages:
    return [{"role": ("user", "assistant")[place % 2], "content": turn} for place, turn in enumerate(turns)]


def shown(messages: Messages, context: int | None = 2048, main: str | None = "en") -> list[str]:
    found = quality_findings(messages, context, main)
    return [finding.kind for finding in found if finding.score >= SHOWN[finding.kind]]


def score(kind: str, messages: Messages, context: int | None = 2048, main: str | None = "en") -> float:
    return max((one.score for one in quality_findings(messages, context, main) if one.kind == kind), default=0.0)


def test_a_good_conversation_has_no_finding() -> None:
    assert quality_findings(talk("How can I cancel my order please?", GOOD), 2048, "en") == []


def test_a_missing_side_is_said() -> None:
    assert "missing_turn" in shown(talk("How can I cancel my order?"))


def test_an_empty_turn_is_marked_by_its_place() -> None:
    found = quality_findings(talk("How can I cancel my order?", " \n"), 2048, "en")
    assert [(one.kind, one.turn) for one in found] == [("empty_turn", 1)]


def test_the_fewer_words_an_answer_has_the_higher_it_scores() -> None:
    scores = [score("too_short", talk("Is it open?", " ".join(["open"] * size))) for size in (1, 3, 5, 9)]
    assert scores == [1.0, 0.75, 0.5, 0.0]


def test_a_chinese_answer_is_not_short_for_want_of_spaces() -> None:
    assert score("too_short", talk("怎么取消订单?", "您可以在账户的订单页面取消订单,退款五天内到账。")) == 0.0


def test_an_estimate_at_the_limit_scores_a_half_and_a_fifth_above_it_one() -> None:
    said = talk("a" * 200, "b" * 168)
    assert (quality.estimated_tokens(said), score("too_long", said, 100), round(score("too_long", said, 83), 2)) == (
        100,
        0.5,
        1.0,
    )


def test_a_real_count_is_yes_or_no() -> None:
    said = talk("Is my order open?", GOOD)
    long, short = quality_findings(said, 50, None, lambda _: 51), quality_findings(said, 50, None, lambda _: 50)
    assert ([one.kind for one in long], short) == (["too_long"], [])


def test_a_side_in_another_language_is_said() -> None:
    german = "Sie können die Bestellung in Ihrem Konto unter Bestellungen stornieren, das Geld kommt in fünf Tagen."
    assert shown(talk("How can I cancel my order please?", german)) == ["wrong_language"]


def test_few_letters_prove_no_language() -> None:
    assert score("wrong_language", talk("Hola", GOOD)) < SHOWN["wrong_language"]


def test_the_main_language_is_the_one_of_most_texts() -> None:
    texts = [
        "Wie kann ich meine Bestellung stornieren?",
        "Wo ist mein Paket? Es ist nicht angekommen.",
        "Where is my parcel, please?",
    ]
    assert (language.main_language(texts), language.main_language(["", "12 34"])) == ("de", None)


def test_random_words_do_not_address_the_question() -> None:
    assert shown(talk("My phone does not turn on, what can I do?", "Skill well friend form brother serve.")) == ["off_topic"]


def test_an_answer_in_other_words_is_kept_under_the_threshold() -> None:
    said = talk("My phone freezes all the time", "Please hold the power key for ten seconds and let it start again.")
    assert 0 < score("off_topic", said) < SHOWN["off_topic"]


def test_a_label_is_not_called_off_topic() -> None:
    assert (
        score("off_topic", talk("Why is there an extra pound on my statement?", "card_payment_fee_charged"))
        < SHOWN["off_topic"]
    )


def test_another_language_is_not_called_random_words() -> None:
    said = talk(
        "Mein Telefon geht nicht mehr an.", "Bitte halten Sie die Taste zehn Sekunden lang gedrückt, danach startet es neu."
    )
    assert score("off_topic", said, main="de") <= 0.4


@pytest.mark.parametrize(
    "answer",
    [
        "As an AI language model, I do not have access to your order.",
        "I'm sorry, but I can't help with that order.",
        "I cannot assist you with that order, I am afraid.",
    ],
)
def test_a_chat_bots_refusal_is_marked(answer: str) -> None:
    assert "refusal" in shown(talk("Where is my order?", answer))


def test_a_shops_no_is_no_refusal() -> None:
    assert score("refusal", talk("Can I return it?", "I am sorry, but we cannot take the shoes back after ninety days.")) == 0.0


def test_mostly_courtesy_is_boilerplate() -> None:
    answer = (
        "Thank you for contacting us. We value your business. Please let us know if you need anything else. Have a nice day!"
    )
    assert "boilerplate" in shown(talk("Where is my order?", answer))


def test_one_polite_sentence_is_no_boilerplate() -> None:
    assert score("boilerplate", talk("Can I cancel my order?", f"{GOOD} Have a nice day!")) < SHOWN["boilerplate"]


@pytest.mark.parametrize(
    ("roles", "turn"),
    [("uuaa", 1), ("au", 1), ("ua?", 2), ("uasua", 2), ("uau", 2)],
)
def test_a_broken_order_of_turns_is_marked_where_it_breaks(roles: str, turn: int) -> None:
    names = {"u": "user", "a": "assistant", "s": "system", "?": "bot"}
    said = [{"role": names[letter], "content": GOOD} for letter in roles]
    assert turn in [one.turn for one in quality_findings(said, None, None) if one.kind == "role_order"]


def test_capitals_are_shouting_but_an_order_number_is_not() -> None:
    assert (
        shown(talk("WHERE IS MY ORDER, I WANT MY MONEY BACK", GOOD)),
        shown(talk("Where is order ABCDEF please?", GOOD)),
    ) == (
        ["shouting"],
        [],
    )


@pytest.mark.parametrize("noise", ["\x00\x01\x02", "\ufffd\ufffd", "iVBORw0KGgoAAAANSUhEUgAA" * 6, "9f86d081884c7d65" * 6])
def test_bytes_and_encoded_runs_are_no_text(noise: str) -> None:
    assert "non_text" in shown(talk(f"Can I cancel my order? {noise}", GOOD))


ANY_TALK = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "bot"]), "content": st.text(max_size=200)}),
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(ANY_TALK, st.sampled_from([None, "en", "de"]))
def test_any_conversation_can_be_checked_and_scores_stay_graded(said: Messages, main: str | None) -> None:
    found = quality_findings(said, 100, main)
    assert all(0.2 <= one.score <= 1 and -1 <= one.turn < len(said) and one.kind in SHOWN for one in found)


@pytest.mark.heavy
@settings(max_examples=40, deadline=None)
@given(st.lists(ANY_TALK, max_size=6))
def test_any_corpus_can_be_surveyed(talks: list[Messages]) -> None:
    assert all(0 < one.score <= 1 for one in surveyed([(str(place), said) for place, said in enumerate(talks)]).values())


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["a", "A", " ", "\n", ".", "thank you ", "sorry, ", "i am ", "\ufffd", "a'", "A1+/", "-", "您"]
)
def test_200_000_repetitions_do_not_stall(piece: str) -> None:
    found = quality_findings(talk(f"Where {piece * 200_000}", f"There {piece * 200_000}!"), 2048, "en")
    assert "too_long" in [one.kind for one in found]


def surveyed(records: list[tuple[str, Messages]]) -> dict[str, Finding]:
    both = Corpus()
    for _, said in records:
        both.count(said)
    found = {name: one for name, said in records for one in both.findings(name, said)}
    return found | dict(both.rest())


def test_an_answer_pasted_in_ten_records_is_a_macro() -> None:
    found = surveyed([(str(place), talk(f"Question {place}?", GOOD)) for place in range(10)])
    assert {(one.kind, one.score, one.start, one.end) for one in found.values()} == {("macro", 0.5, 0, len(GOOD))}


def test_an_answer_pasted_in_nine_records_is_not() -> None:
    assert surveyed([(str(place), talk(f"Question {place}?", GOOD)) for place in range(9)]) == {}


def test_a_pasted_sentence_is_marked_inside_its_answer() -> None:
    stock = "We always ship within two days and never charge for it"
    answers = [f"{('apple', 'pear', 'plum', 'fig')[place % 4]} {place} is fine. {stock}." for place in range(12)]
    found = surveyed([(str(place), talk("Is it?", answer)) for place, answer in enumerate(answers)])["3"]
    assert answers[3][found.start : found.end].strip() == stock


def test_contradictory_answers_to_the_same_question_point_at_each_other() -> None:
    first = talk("Can I return shoes, order 123?", "Yes, shoes can be sent back within thirty days.")
    second = talk("can i RETURN shoes order 77", "No refunds are ever given for footwear.")
    found = surveyed([("a", first), ("b", second)])
    assert [
        (name, one.kind, "record b" in one.evidence or "record a" in one.evidence) for name, one in sorted(found.items())
    ] == [
        ("a", "contradiction", True),
        ("b", "contradiction", True),
    ]


def test_the_same_answer_to_the_same_question_is_no_contradiction() -> None:
    assert surveyed([("a", talk("Can I return shoes?", GOOD)), ("b", talk("Can I return shoes?", GOOD))]) == {}


def test_a_handful_of_pairs_is_too_few_to_judge() -> None:
    assert answer_worth([("a", talk("Can I return shoes?", GOOD))])[0][0].startswith("Only 1 different")


def test_the_same_sample_and_seed_give_the_same_figures() -> None:
    records = [
        (str(place), talk(f"Where is my {word} parcel", f"Your {word} parcel is here")) for place, word in enumerate(WORDS)
    ]
    assert answer_worth(records, 7) == answer_worth(records, 7)


def test_labels_that_follow_the_question_are_worth_it_without_a_shared_word() -> None:
    topics = [("parcel late", "shipping"), ("card declined", "billing"), ("login broken", "access")]
    records = [(f"{place}", talk(f"{word} {topics[place % 3][0]}", topics[place % 3][1])) for place, word in enumerate(WORDS)]
    assert not answer_worth(records)[0][0].startswith(NOT_WORTH)


WORDS = [
    first + second
    for first in ("red", "blue", "tall", "wide", "soft", "loud")
    for second in ("ant", "bear", "crow", "deer", "elk", "fox", "gnu")
]


def bitext(shared: Path) -> list[Messages]:
    with (shared / "bitext_llm" / "bitext_support_responses_v2_2023-08-18.csv").open(encoding="utf-8", newline="") as file:
        return [talk(row["instruction"], row["response"]) for row in csv.DictReader(file)]


def kaggle(shared: Path) -> list[Messages]:
    with (shared / "kaggle_tickets" / "customer_support_tickets.csv").open(encoding="utf-8", newline="") as file:
        return [talk(row["Ticket Description"], row["Resolution"]) for row in csv.DictReader(file) if row["Resolution"]]


def sample(talks: list[Messages]) -> list[tuple[str, Messages]]:
    return [(str(place), said) for place, said in enumerate(random.Random(1).sample(talks, 2000))]


def off_topic_rate(talks: list[Messages]) -> float:
    return sum("off_topic" in shown(said, None, None) for said in talks) / len(talks)


def test_bitext_answers_address_their_questions(shared_data: Path) -> None:
    assert off_topic_rate(bitext(shared_data)) < 0.01


def test_most_kaggle_answers_do_not(shared_data: Path) -> None:
    assert off_topic_rate(kaggle(shared_data)) > 0.75


def test_kaggle_answers_are_not_worth_training_on(shared_data: Path) -> None:
    assert answer_worth(sample(kaggle(shared_data)))[0][0].startswith(NOT_WORTH)


def test_bitext_answers_are_worth_training_on(shared_data: Path) -> None:
    assert answer_worth(sample(bitext(shared_data)))[0] == (
        "The answers depend on their questions (p = 0.002), as answers worth training on do.",
        0.002,
    )


def test_bitext_answers_shuffled_among_the_questions_are_not(shared_data: Path) -> None:
    talks = bitext(shared_data)
    answers = random.Random(3).sample(talks, len(talks))
    mixed = [[said[0], other[1]] for said, other in zip(talks, answers, strict=True)]
    assert answer_worth(sample(mixed))[0][0].startswith(NOT_WORTH)


def test_the_abcd_dialogues_are_not_called_worthless(shared_data: Path) -> None:
    names = {"agent": "assistant", "customer": "user"}
    dialogues = json.loads((shared_data / "abcd" / "abcd_sample.json").read_text())
    talks = [[{"role": names[who], "content": said} for who, said in one["original"] if who in names] for one in dialogues]
    assert not any(
        sentence.startswith(NOT_WORTH) for sentence, _ in answer_worth((str(place), said) for place, said in enumerate(talks))
    )
