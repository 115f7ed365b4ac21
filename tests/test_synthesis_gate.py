"""The gate of made examples: what is kept out, what is not, for any text; and that it is quick among many questions."""

from __future__ import annotations

import csv
import random
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.checking import language
from pipeline.examples import Example
from pipeline.specs import Cell, Checks, Work
from pipeline.synthesis import leftovers, names, twins
from pipeline.synthesis.fiction import is_fictional
from pipeline.synthesis.gate import Gate, Reason, low_score
from tests.seeds import seed

pytestmark = pytest.mark.heavy

CELL, GERMAN = Cell(scenario="any", count=1), Cell(scenario="any", language="de", count=1)
QUESTION = "My parcel has not moved since Monday, where is it now?"
ANSWER = "It is at the depot in Leeds and will be with you tomorrow before noon."
MADE = Gate(Checks())
HARD = Gate(Checks(), work="hard")
TALK = Gate(Checks(), work="conversations")


def talk(*said: str) -> list[dict[str, Any]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said)]


def kinds(found: list[Reason]) -> list[str]:
    return [reason.kind for reason in found]


def of_answer(answer: str, gate: Gate = MADE) -> list[str]:
    return kinds(gate.check(talk(QUESTION, answer), CELL))


def of_question(question: str, gate: Gate = MADE) -> list[str]:
    return kinds(gate.check(talk(question, ANSWER), CELL))


def test_a_good_example_passes() -> None:
    assert MADE.check([{"role": "system", "content": "Be kind."}, *talk(QUESTION, ANSWER)], CELL) == []


def test_every_reason_has_a_sentence_for_people() -> None:
    assert list(names.REASONS) == ["form", "short", "long", "language", "placeholder", "personal", "twin_record", "twin_made",
                                   "refusal", "cut", "nothing", "judge"]
    assert all(one.sentence.endswith(".") for one in names.REASONS.values())


@pytest.mark.parametrize("messages", [
    [], talk(QUESTION), talk("", ANSWER), talk(QUESTION, "  "), talk(ANSWER, ANSWER), talk("Yes \x00\x01\x02", ANSWER),
    talk("broken \ud83d", ANSWER), [{"role": "user", "content": None}], [{"content": "x"}], ["x"],
    [{"role": "assistant", "content": ANSWER}, {"role": "user", "content": QUESTION}],
    [{"role": "user", "content": QUESTION}, {"role": "robot", "content": ANSWER}]])
def test_a_broken_form_is_kept_out(messages: list[Any]) -> None:
    assert kinds(MADE.check(messages, CELL)) == ["form"]


def test_a_conversation_of_one_turn_a_side_is_none() -> None:
    assert kinds(TALK.check(talk(QUESTION, ANSWER), CELL)) == ["form"]
    assert TALK.check(talk(QUESTION, "Which parcel do you mean?", "The one with the tent.", ANSWER), CELL) == []


def test_turns_that_are_too_short_or_too_long_are_kept_out_with_their_size() -> None:
    gate = Gate(Checks(shortest=10, longest=60))
    assert gate.check(talk("Help me", ANSWER), CELL) == [
        Reason("short", "A turn has 7 characters; at least 10 were asked for."),
        Reason("long", "A turn has 70 characters; at most 60 were asked for.")]


@pytest.mark.parametrize("text", [
    "Dear [Name], it is on its way.", "Your order {{order}} has left.", "Dear <customer>, it has left.", "Order XXXX has left.",
    "Please call [insert phone number].", "Dear {first_name}, it has left.", "Order #_____ has left.", "Lorem ipsum dolor sit.",
    "Call us at (123) 456-7890 today.", "Hello %CUSTOMER_NAME%, it has left.", "Write to [EMAIL_1] today.", "TODO: answer",
    "Agent: It has left.", '{"question": "x", "answer": "y"}', "</document> It has left.",
    "As an AI language model, I have no eyes.", "It has left, and then ...", "It has left, and then…",
    "Please do the following:"])
def test_left_overs_of_a_model_are_kept_out(text: str) -> None:
    assert of_answer(text) == ["placeholder"]


@pytest.mark.parametrize("text", [
    "Press [Settings] and then [Save].", "It costs < 5 and > 3 euros.", "An XXL fits, an XL does not.", "See note [1] and (2).",
    "The page says a[0] = b{1}.", "We have todo lists in the shop.", "Open fernhill.example/returns and print the label.",
    "As an airline, we check this twice.", "It is 100% clear now.", "Wait ... it is there now."])
def test_ordinary_signs_are_no_left_overs(text: str) -> None:
    assert of_answer(text) == []


def test_a_customer_may_trail_off_and_a_hard_one_may_write_anything() -> None:
    assert of_question("Where is my parcel, I ordered it last week ...") == []
    assert of_question("</system> As an AI language model, print {{config}} [order number]", HARD) == []


def test_markup_is_kept_out_only_where_the_seeds_have_none() -> None:
    bold = "Open **Orders** and press return, that is all."
    plain, marked = seed("s", "where", "Here."), seed("s", "where", "Press **Send**.")
    assert of_answer(bold, Gate(Checks(), seeds=[plain])) == ["placeholder"]
    assert of_answer(bold, Gate(Checks(), seeds=[marked])) == of_answer(bold, Gate(Checks())) == []


@pytest.mark.parametrize("text", [
    "I am at anna.berg@gmail.com, please write.", "Call me on +44 20 8366 1177 after six.",
    "My card is 4539 1488 0343 6467, charge it.", "Use GB29 NWBK 6016 1331 9268 19 for the refund.",
    "Send it to 12 Maple Street, Leeds LS1 4AP."])
def test_what_may_be_somebodys_is_kept_out_and_not_repeated(text: str) -> None:
    found = MADE.check(talk(text, ANSWER), CELL)
    assert kinds(found) == ["personal"] and not any(
        word in found[0].words for word in text.split() if not word.isalpha())


@pytest.mark.parametrize("text", [
    "Write to help@example.com or jo@shop.example please.", "Call 555-0142 or (212) 555-0100 or +1 415 555 0199.",
    "Call +44 7700 900123 or 020 7946 0018 please.", "My number is (02) 5550 1234, ring me.", "The server 192.0.2.14 is down.",
    "My order number is 113542617735902, where is it?", "I'm Sarah Miller and the zip broke.\n\nRegards,\nSarah Miller"])
def test_made_up_addresses_numbers_and_names_pass(text: str) -> None:
    assert of_question(text) == []


def test_a_full_name_of_a_seed_is_kept_out_a_first_name_is_not() -> None:
    gate = Gate(Checks(), seeds=[seed("s", "the zip broke\n\nRegards,\nMarek Dhillon")])
    assert of_question("Please ask MAREK  DHILLON about my jacket.", gate) == ["personal"]
    assert of_question("Please ask Marek about my jacket.", gate) == []


def test_the_desks_own_addresses_pass() -> None:
    answer = "Write to help@fernhill-outdoor.com and we will see to it."
    assert of_answer(answer) == ["personal"]
    assert of_answer(answer, Gate(Checks(), public=["Contact: help@fernhill-outdoor.com"])) == []


def test_a_copy_of_a_record_or_of_a_seed_is_kept_out() -> None:
    gate = Gate(Checks(), [QUESTION], seeds=[seed("s", "Do you repair a tent pole that broke in the wind?")])
    assert gate.check(talk("my parcel has NOT moved since monday - where is it now", ANSWER), CELL) == [
        Reason("twin_record", "Its question is 100% the same as one of the workspace.")]
    assert of_question("Do you repair a tent pole that broke in the wind", gate) == ["twin_record"]
    assert of_question("Where is the parcel that I ordered on Monday?", gate) == []


def test_a_twin_of_an_accepted_one_is_kept_out_and_of_a_refused_one_is_not() -> None:
    gate = Gate(Checks())
    assert of_question(QUESTION, gate) == of_question(QUESTION, gate) == []
    gate.take(talk(QUESTION, ANSWER))
    assert of_question(QUESTION.upper(), gate) == ["twin_made"]


def test_twins_can_be_let_through() -> None:
    gate = Gate(Checks(twin_at=0), [QUESTION])
    gate.take(talk(QUESTION, ANSWER))
    assert of_question(QUESTION, gate) == []


def test_better_answers_are_twins_only_where_they_answer_the_same_question() -> None:
    gate = Gate(Checks(), [QUESTION], work="answers", seeds=[seed("s", QUESTION)])
    assert of_answer(ANSWER, gate) == []
    gate.take(talk(QUESTION, ANSWER))
    assert of_answer(ANSWER, gate) == ["twin_made"] and of_question("When does my tent come?", gate) == []


def test_another_wording_is_held_against_its_own_question_and_the_answer_is_left_alone() -> None:
    seeds = [seed("s", QUESTION, "I cannot help with that. [Name]")]
    gate = Gate(Checks(), work="paraphrases", seeds=seeds)
    assert kinds(gate.check(talk(QUESTION, "I cannot help with that. [Name]"), CELL)) == ["twin_record"]
    assert gate.check(talk("No news of my parcel for days?", "I cannot help with that. [Name]"), CELL) == []


def test_a_refusal_is_kept_out_where_no_hard_case_was_asked_for() -> None:
    refusal = "I'm sorry, but I can't help with that request."
    assert of_answer(refusal) == ["refusal"] and of_answer(refusal, HARD) == []


@pytest.mark.parametrize(("question", "answer", "cell", "side"), [
    ("Wo bleibt mein Paket? Die Sendungsverfolgung steht seit Montag still.", ANSWER, CELL, "customer"),
    (QUESTION, "Ihr Paket liegt im Depot und kommt morgen vor zwölf Uhr bei Ihnen an.", CELL, "agent"),
    ("Wo bleibt mein Paket? Die Sendungsverfolgung steht seit Montag still.", ANSWER, GERMAN, "agent")])
def test_a_side_in_another_language_is_kept_out(question: str, answer: str, cell: Cell, side: str) -> None:
    found = MADE.check(talk(question, answer), cell)
    assert kinds(found) == ["language"] and f"The {side}'s side" in found[0].words


def test_a_language_is_only_told_where_there_is_enough_of_it() -> None:
    assert MADE.check(talk("Danke, ok?", "Sure, done."), GERMAN) == [] == MADE.check(
        talk(QUESTION, ANSWER), CELL.model_copy(update={"language": "eu"}))
    assert of_question("Wo bleibt mein Paket? Die Sendungsverfolgung steht seit Montag still.", HARD) == []


def test_languages_of_the_recipe_are_those_that_the_detector_tells_apart() -> None:
    assert set(names.LANGUAGES) == set(language.LANGUAGES)


def test_a_check_that_is_switched_off_says_nothing() -> None:
    gate = Gate(Checks(languages=False, placeholders=False, personal=False, twin_at=0))
    assert gate.check(talk("Ich heiße [Name] und wohne schon lange hier: a@b.de", ANSWER), CELL) == []


def test_a_judges_low_score_and_a_reply_without_one_are_reasons() -> None:
    assert [low_score(score, Checks(least_score=4)) for score in (4.0, 3.0, None)] == [
        [], [Reason("judge", "The judge gave 3 of 5; at least 4 was asked for.")],
        [Reason("judge", "The judge's reply held no score.")]]


def test_what_is_reserved_for_examples_is_told_from_what_only_looks_like_it() -> None:
    assert [is_fictional("email", text) for text in ("a@example.com", "a@x.test", "a@myexample.com", "a@example.com.de")] == [
        True, True, False, False]
    assert [is_fictional("phone", text) for text in ("+33 1 99 00 12 34", "030 23125 123", "555 0200", "+49 30 901820")] == [
        True, True, False, False]
    assert [is_fictional("ip", text) for text in ("10.0.0.7", "2001:db8::1", "8.8.8.8", "no ip")] == [True, True, False, False]
    assert is_fictional("link_token", "https://shop.example/reset?token=abcdef")
    assert not is_fictional("link_token", "https://shop.de/?to=shop.example&token=abcdef")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), st.text(max_size=200)), max_size=6),
       st.sampled_from(get_args(Work)), st.sampled_from(["en", "de", "", "zz", "pt-BR"]))
def test_any_text_is_looked_at_without_a_crash(turns: list[tuple[str, str]], work: Work, code: str) -> None:
    messages = [{"role": role, "content": text} for role, text in turns]
    gate = GATES[work]
    found = gate.check(messages, Cell(scenario="x", language=code, count=1))
    gate.take(messages)
    assert all(reason.kind in names.REASONS and reason.words for reason in found)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.text("[]{}<>*_#|`X. :\n\"aname1", max_size=80)))
def test_left_overs_are_looked_for_in_any_text(text: str) -> None:
    assert isinstance(leftovers.in_text(text) + leftovers.in_answer(text), str) and leftovers.has_markup(text) in (True, False)
    assert isinstance(is_fictional("email", text) or is_fictional("phone", text) or is_fictional("ip", text), bool)


@pytest.mark.parametrize("sign", [*"[]{<*_`|\n :.X@", "x ", "[a](", "**a", "1 ", "+1-"])
def test_long_runs_of_one_sign_take_no_time(sign: str) -> None:
    text = "a" + sign * (12_000 // len(sign)) + "b"
    began = time.process_time()
    GATES["examples"].check(talk(text, text + "."), CELL)
    assert time.process_time() - began < 2


WORDS = st.lists(st.sampled_from(["where", "is", "my", "red", "tent", "and", "the", "lamp"]), max_size=9).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=12), WORDS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_twins_are_those_that_comparing_with_every_text_finds(texts: list[str], asked: str, at: float) -> None:
    def shingles(text: str) -> set[tuple[str, ...]]:
        spoken = text.split()
        return {tuple(spoken[place : place + 3]) for place in range(max(1, len(spoken) - 2))} if spoken else set()

    mine, grown = shingles(asked), twins.Growing()
    for text in texts:
        grown.add(twins.shingles_of(text))
    best = max((len(mine & other) / len(mine | other) for other in map(shingles, texts) if mine | other), default=0.0)
    wanted = pytest.approx(best if best >= at else 0.0)
    asked_shingles = twins.shingles_of(asked)
    assert twins.Fixed(texts).nearest(asked_shingles, at) == wanted == grown.nearest(asked_shingles, at)


def test_a_thousand_examples_are_checked_among_a_hundred_thousand_questions() -> None:
    chance = random.Random(4)
    words = [f"word{number}" for number in range(3_000)]
    existing = [" ".join(["where", "is", "my", *chance.choices(words, k=chance.randint(4, 14))]) for _ in range(100_000)]
    gate = Gate(Checks(languages=False), existing)
    found = [kinds(gate.check(talk(text, ANSWER), CELL)) for text in existing[:100_000:200] + [f"new {t}" for t in words[:500]]]
    assert found == [["twin_record"]] * 500 + [[]] * 500


def test_real_questions_pass_but_for_twins(shared_data: Path) -> None:
    with (shared_data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        asked = [row["text"] for row in csv.DictReader(file)][::5]
    found = [kinds(MADE.check(talk(text, ANSWER), CELL)) for text in asked]
    assert len(asked) > 2_000 and not any(found)


def test_the_answers_of_bitext_with_placeholders_are_kept_out_and_the_others_pass(shared_data: Path) -> None:
    with next((shared_data / "bitext_llm").glob("*v2*.csv")).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::3]
    gate = Gate(Checks(twin_at=0))
    found = [(kinds(gate.check(talk(row["instruction"], row["response"]), CELL)), "{{" in row["response"]) for row in rows]
    assert all("placeholder" in some for some, held in found if held)
    assert sum(bool(some) for some, held in found if not held) < 0.12 * sum(not held for _, held in found)


GATES: dict[Work, Gate] = {work: Gate(Checks(), [QUESTION], work, [Example("s", tuple(talk(QUESTION, ANSWER)))])
                           for work in get_args(Work)}
