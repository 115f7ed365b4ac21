"""Scores against the libraries that define them."""

from __future__ import annotations

import pytest
from rouge_score import rouge_scorer
from sklearn.metrics import accuracy_score, f1_score

from pipeline import metrics


def test_rouge_is_rouge_scores_without_stemming() -> None:
    theirs = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False).score("the parcels were lost", "the parcel was lost")
    assert metrics.score("the parcels were lost", "the parcel was lost")["rougeL"] == theirs["rougeL"].fmeasure


@pytest.mark.parametrize(("answer", "value"), [("On its way.", 1.0), (" On its way. \n", 1.0), ("on its way.", 0.0), ("", 0.0)])
def test_exact_match_forgives_white_space_around_and_nothing_else(answer: str, value: float) -> None:
    assert metrics.score("On its way.", answer)["exact_match"] == value


def test_short_repeated_references_are_labels() -> None:
    assert metrics.labels_of(["Billing", "billing.", "Login", "login", "login", "Billing"]) == ("billing", "login")


@pytest.mark.parametrize(
    "references",
    [
        ["We are sorry that your parcel is late today."] * 4 + ["Please send it back to us at once."] * 4,
        ["a", "b", "c", "d"],
        ["yes"] * 10,
    ],
)
def test_sentences_single_answers_and_one_word_for_all_are_no_labels(references: list[str]) -> None:
    assert metrics.labels_of(references) is None


def test_a_label_is_the_first_line_of_an_answer() -> None:
    assert metrics.to_label("  Billing.\nBecause the customer asks about money", ("billing", "login")) == "billing"


def test_accuracy_and_macro_f1_are_scikit_learns() -> None:
    expected, said = ["a", "a", "b", "c"], ["a", "b", "b", "x"]
    assert metrics.classify(expected, said) == {
        "accuracy": accuracy_score(expected, said),
        "macro_f1": f1_score(expected, said, average="macro", zero_division=0),
    }
