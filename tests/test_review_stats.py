"""What verdicts allow one to say: the pair is the unit, ties as was said, repeats and looks left out."""

from __future__ import annotations

from datetime import datetime

import pytest
from sklearn.metrics import cohen_kappa_score

from studio import review_stats
from studio.opinions import Judged
from studio.reviews import Settings

NAMES = {"base": "the base model", "tuned": "the tuned model"}
RULES = Settings(aim=100)


def said(pair: int, winner: str, who: str = "ann", left_is_a: bool = True, again: bool = False, blind: bool = True,
         a: str = "base", b: str = "tuned", a_scores: dict[str, int] | None = None,
         b_scores: dict[str, int] | None = None) -> Judged:
    scores = {"a": a_scores or {}, "b": b_scores or {}}
    return Judged(f"{who}-{pair}-{again}", f"p{pair}", f"i{pair}", a, b, winner, left_is_a, again, who,  # type: ignore[arg-type]
                  datetime(2026, 11, 27), scores, (), "", "", blind)


def result(judged: list[Judged], rules: Settings = RULES, candidates: tuple[str, ...] = ("base", "tuned"),
           same: int = 0, slices: dict[str, list[str]] | None = None) -> review_stats.Result:
    return review_stats.result(judged, rules, candidates, same, slices)


def test_the_majority_of_its_reviewers_decides_a_pair() -> None:
    found = result([said(1, "b"), said(1, "b", "bob"), said(1, "a", "cem"), said(2, "a"), said(2, "b", "bob")]).versus[0].count
    assert (found.b, found.a, found.tie) == (1, 0, 1)


def test_ties_are_left_out_or_half_a_win_as_was_decided() -> None:
    judged = [said(n, winner) for n, winner in enumerate(["b"] * 6 + ["a"] * 2 + ["tie"] * 4)]
    rates = [result(judged, Settings(ties=way)).versus[0].count.rate.value for way in ("left_out", "half")]  # type: ignore[arg-type]
    assert rates == [pytest.approx(6 / 8), pytest.approx(8 / 12)]


def test_the_interval_is_wilsons() -> None:
    found = result([said(n, "b" if n < 15 else "a") for n in range(20)]).versus[0].count.rate
    assert (round(found.low, 4), round(found.high, 4)) == (0.5313, 0.8881)  # as statsmodels has it


def test_answers_that_are_the_same_count_as_ties() -> None:
    assert result([said(1, "b")], same=5).versus[0].count.tie == 5


def test_hidden_repeats_and_verdicts_after_a_look_do_not_count() -> None:
    found = result([said(1, "b"), said(1, "a", again=True), said(2, "a", blind=False)])
    assert (found.versus[0].count.b, found.versus[0].count.a, found.not_blind) == (1, 0, 1)


def test_consistency_is_how_often_a_repeat_was_answered_alike() -> None:
    found = result([said(n, "b") for n in range(4)] + [said(n, "b" if n else "a", again=True) for n in range(4)])
    assert (found.consistency.value, found.repeats) == (0.75, 4)


def test_a_habit_of_choosing_left_is_named() -> None:
    judged = [said(n, "a" if n % 2 else "b", left_is_a=bool(n % 2)) for n in range(30)]
    found = result(judged).side
    assert (found.left, found.decided, "more than chance" in review_stats.habit(found)) == (30, 30, True)


def test_an_even_choice_of_sides_is_no_habit() -> None:
    judged = [said(n, "a" if n % 4 < 2 else "b", left_is_a=bool(n % 2)) for n in range(40)]
    assert "as chance would" in review_stats.habit(result(judged).side)


def test_agreement_between_two_reviewers_is_scikit_learns_kappa() -> None:
    ann, bob = ["a", "b", "b", "tie", "a", "b", "b", "a", "tie", "b"], ["a", "b", "a", "tie", "a", "b", "tie", "a", "b", "b"]
    judged = [said(n, one) for n, one in enumerate(ann)] + [said(n, one, "bob") for n, one in enumerate(bob)]
    assert result(judged).agreement[0].kappa.value == pytest.approx(cohen_kappa_score(ann, bob))


def test_a_slice_has_a_count_of_its_own() -> None:
    slices = {"refund": ["i1", "i2"], "none": ["i9"]}
    found = result([said(1, "b"), said(2, "a"), said(3, "a")], slices=slices).versus[0].by_slice
    assert {name: (count.a, count.b) for name, count in found.items()} == {"refund": (1, 1)}


def test_each_reviewer_has_a_count_of_their_own() -> None:
    found = result([said(1, "b"), said(1, "a", "bob"), said(2, "a", "bob")]).versus[0].by_person
    assert {who: (count.a, count.b) for who, count in found.items()} == {"ann": (0, 1), "bob": (2, 0)}


def test_rubric_scores_are_compared_pair_by_pair() -> None:
    found = result([said(n, "b", a_scores={"tone": 2}, b_scores={"tone": 3 + n % 2}) for n in range(12)]).scores
    told = [(one.criterion, one.found.a.value, one.found.b.value, one.found.word) for one in found]
    assert told == [("tone", 2.0, 3.5, "better")]


def test_three_candidates_have_strengths() -> None:
    judged = [said(n, "b" if n % 4 else "a") for n in range(20)]
    judged += [said(20 + n, "b" if n % 4 else "a", a="tuned", b="third") for n in range(20)]
    judged += [said(40 + n, "b" if n % 5 else "a", a="base", b="third") for n in range(20)]
    found = result(judged, candidates=("base", "tuned", "third")).strengths
    assert found is not None and [one.value for one in found.strengths] == sorted(one.value for one in found.strengths)


@pytest.mark.parametrize(("b_wins", "a_wins", "words"), [
    (25, 5, "People find the tuned model better than the base model"),
    (5, 25, "People find the base model better than the tuned model"),
    (6, 5, "Not enough to say whether people find the tuned model better than the base model"),
])
def test_the_headline_says_what_the_rule_allows(b_wins: int, a_wins: int, words: str) -> None:
    judged = [said(n, "b" if n < b_wins else "a") for n in range(b_wins + a_wins)]
    assert review_stats.headline(result(judged).versus[0], NAMES) == words


def test_the_numbers_stand_under_it() -> None:
    judged = [said(n, "b" if n < 15 else "a") for n in range(20)] + [said(30, "tie"), said(31, "both_bad")]
    assert review_stats.numbers(result(judged).versus[0], NAMES) == (
        "The tuned model won 15 of 20 decided pairs; win rate 75 %, 95 % interval 53–89 % (1 both good, 1 both bad).")


def test_whether_it_is_enough_is_said_without_who_leads() -> None:
    ways = [[said(n, "b" if n < 25 else "a") for n in range(30)], [said(n, "a" if n < 25 else "b") for n in range(30)]]
    assert [review_stats.evidence(result(judged)) for judged in ways] == ["Enough: the session may end."] * 2


def test_nothing_judged_says_so() -> None:
    found = result([])
    assert (review_stats.numbers(found.versus[0], NAMES), review_stats.evidence(found)) == (
        "No pair is judged yet.", "No pair is decided yet.")
