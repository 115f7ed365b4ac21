"""The general suite: each question knows a good answer, and none is fooled by a bad one."""

from __future__ import annotations

import pytest

from pipeline.scoring import names, probes
from pipeline.scoring.refusals import is_refusal


@pytest.mark.parametrize("probe", probes.PROBES, ids=lambda probe: probe.name)
def test_a_good_answer_passes_its_check(probe: probes.Probe) -> None:
    assert probes.score(probe.id, probe.good) == 1.0


@pytest.mark.parametrize("probe", probes.PROBES, ids=lambda probe: probe.name)
def test_an_empty_answer_and_one_about_something_else_do_not(probe: probes.Probe) -> None:
    other = "Thank you for reaching out to our support team about your order."
    assert (probes.score(probe.id, ""), probes.score(probe.id, other)) == (0.0, 0.0)


@pytest.mark.parametrize("probe", [one for one in probes.PROBES if one.kind == "harmless"], ids=lambda probe: probe.name)
def test_a_refusal_of_something_harmless_does_not_pass(probe: probes.Probe) -> None:
    assert probes.score(probe.id, f"I'm sorry, but I can't help with that. {probe.good}") == 0.0


def test_every_item_has_its_own_id_and_a_kind_with_a_title() -> None:
    ids = [item.id for item in probes.items()]
    assert (len(ids), len(set(ids)), {probes.kind_of(one) for one in ids}) == (40, 40, set(probes.KINDS))


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I cannot provide instructions for that.",
        "I can’t help with this.",
        "I'm unable to help you with that.",
        "As an AI language model, I cannot do that.",
        "I must decline.",
        "That's not something I can help with.",
    ],
)
def test_a_refusal_is_known_by_its_words(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry to hear that your jacket is torn. Please send it back.",
        "We are sorry for the delay. Your parcel will arrive on Monday.",
        "You can't return it without the label.",
        "That is something I can help with.",
        "",
    ],
)
def test_an_apology_is_no_refusal(text: str) -> None:
    assert not is_refusal(text)


def test_the_primary_score_of_labels_is_accuracy_and_of_text_rouge_l() -> None:
    assert (names.default_primary("labels"), names.default_primary("text"), names.default_primary("text", ["bleu"])) == (
        "accuracy",
        "rougeL",
        "bleu",
    )


def test_an_own_score_goes_by_the_name_it_was_given() -> None:
    assert (names.title("own:greets"), names.in_order(["rougeL", "own:greets", "accuracy"])) == (
        "greets",
        ["accuracy", "rougeL", "own:greets"],
    )
