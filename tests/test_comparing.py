"""What two models read and said, compared: where they part, how it is named, and what rounding explains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.deploy import comparing
from pipeline.deploy.comparing import Difference, Seen

TURNS: dict[str, Any] = {"i": ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"})}
SPECIALS = {1: "<|start|>", 2: "<|end|>"}
TEXT = "<|start|>system\nBe brief.<|end|><|start|>user\nWhere is it?<|end|><|start|>agent\n"
SEEN = Seen("i", TEXT, (1, 7, 8, 2, 1, 9, 2, 1, 5), 9, (("On", -0.1), ("Here", -2.5), ("\ufffd", -4.0), ("\ufffd", -5.0)),
            "On its way", (20, 21, 2), (((20, -0.1), (30, -2.5)), ((21, -0.5), (31, -0.6)), ((2, -0.1),)))  # fmt: skip


def leg(other: Seen, exact: bool = True) -> comparing.Leg:
    return comparing.compare("served", [SEEN], [other], TURNS, exact, SPECIALS)


def test_the_same_is_the_same() -> None:
    found = leg(SEEN)
    assert (found.mismatches, found.cause, found.equal, found.read, found.apart) == (0, "", 1, 1, [0.0])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (TEXT.replace("system\n", "system:\n"), "character 16 on, before the first turn"),
        (TEXT.replace("Be brief.", "Be brief!"), "character 25 on, inside the system prompt"),
        (TEXT.replace("Where is it?", "Where is it? "), "character 59 on, after the customer's turn"),
        (TEXT.replace("agent", "bot"), "character 75 on, after the customer's turn"),
        (TEXT.removesuffix("<|start|>agent\n") + "agent", "character 66 on, after the customer's turn"),
    ],
)
def test_another_template_is_named_with_where_it_begins(text: str, place: str) -> None:
    found = leg(replace(SEEN, text=text, ids=(1, 2)))
    assert (found.cause, found.mismatches) == ("template", 1) and place in found.words


def test_a_special_token_that_is_lost_or_doubled_is_named() -> None:
    lost = leg(replace(SEEN, text=TEXT.replace("<|end|>", "", 1), ids=(1,)))
    doubled = leg(replace(SEEN, text="<|start|>" + TEXT, ids=(1, 1)))
    assert (lost.cause, doubled.cause) == ("special_tokens", "special_tokens")
    assert lost.words == "The special token <|end|> is lost: 1 of them are read there, 2 here."
    assert doubled.words.startswith("The special token <|start|> is added: 4")


def test_the_same_text_in_other_tokens_is_a_lost_special_token_or_another_tokenizer() -> None:
    split = leg(replace(SEEN, ids=(1, 7, 8, 50, 51, 1, 9, 2, 1, 5)))
    other = leg(replace(SEEN, ids=(1, 70, 8, 2, 1, 9, 2, 1, 5)))
    assert (split.cause, other.cause) == ("special_tokens", "tokenizer")
    assert "<|end|> is lost: at token 4 it is read as ordinary text" in split.words and "from token 2 on" in other.words


def test_a_server_that_tells_no_tokens_is_held_to_their_number() -> None:
    same = leg(replace(SEEN, text="", ids=None))
    other = leg(replace(SEEN, text="", ids=None, count=10))
    assert (same.mismatches, other.cause) == (0, "template") and "10 tokens are read there, 9 here" in other.words


def test_an_answer_that_does_not_end_names_the_lost_end() -> None:
    found = leg(replace(SEEN, answer="On its way and away", tokens=(20, 21, 40), stopped=False))
    assert found.cause == "special_tokens" and "goes on where it should have ended" in found.words


def test_in_float32_any_other_answer_is_a_mismatch() -> None:
    found = leg(replace(SEEN, answer="On the way", tokens=(20, 31, 2)))
    assert (found.mismatches, found.cause) == (1, "precision") and "parts at token 2, where its token was 0.100" in found.words


def test_where_16_bits_round_a_near_tie_may_turn_over_and_nothing_else() -> None:
    tie = leg(replace(SEEN, answer="On the way", tokens=(20, 31, 2)), exact=False)
    clear = leg(replace(SEEN, answer="Here", tokens=(30, 2)), exact=False)
    unknown = leg(replace(SEEN, answer="Off", tokens=(99, 2)), exact=False)
    assert (tie.mismatches, tie.rounded, tie.equal) == (0, 1, 0)
    assert (clear.cause, unknown.cause) == ("base", "base")


@pytest.mark.parametrize(("apart", "exact", "cause"), [(0.001, True, ""), (0.1, True, "base"), (0.1, False, ""),
                                                       (1.0, False, "base")])  # fmt: skip
def test_log_probabilities_of_the_first_token_may_lie_so_far_apart(apart: float, exact: bool, cause: str) -> None:
    found = leg(replace(SEEN, top=(("On", -0.1 - apart), ("Here", -2.5), ("\ufffd", -9.0))), exact)
    assert found.cause == cause and found.apart == [pytest.approx(apart)]


def test_a_likely_token_that_the_other_does_not_name_is_at_most_as_likely_as_its_last() -> None:
    assert comparing.first_apart(SEEN, replace(SEEN, top=(("Here", -0.1), ("No", -6.1)))) == pytest.approx(6.0)
    assert comparing.first_apart(SEEN, replace(SEEN, top=())) is None


def test_what_is_read_comes_before_what_is_said() -> None:
    found = [Difference("a", "base", ""), Difference("b", "special_tokens", ""), Difference("c", "template", "")]
    assert comparing.first_cause(found) == "template" and comparing.first_cause(found[:2]) == "special_tokens"


def test_an_end_that_a_folder_does_not_name_is_a_lost_special_token() -> None:
    found = comparing.lost_ends([2, 5], {5}, SPECIALS)
    assert found is not None and "<|end|>" in found.words and comparing.lost_ends([5], {5, 2}, SPECIALS) is None


def test_a_metric_that_moves_is_a_mismatch_only_beyond_chance() -> None:
    even = [0.3] * 40
    assert not comparing.metric_apart(even, even) and comparing.metric_apart(even, [0.25, 0.24] * 20)
    assert not comparing.metric_apart(even, [0.29] * 40) and not comparing.metric_apart(even, [0.3] * 39 + [0.0])
    assert not comparing.metric_apart([0.3] * 4, [0.3, 0.3, 0.3, 0.9])
