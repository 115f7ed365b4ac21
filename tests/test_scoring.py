"""Scores against the libraries that are trusted for them, and what an answer is read as."""

from __future__ import annotations

import csv
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF
from sklearn.metrics import accuracy_score, f1_score

from pipeline.errors import PipelineError
from pipeline.examples import Example
from pipeline.scoring import corpora, engine, labels, rouge, structure, texts
from pipeline.specs import Candidate, Decoding, Endpoint, EvaluateSpec, ScoreSpec
from tests.conftest import ROOT, lacking

DATA = ROOT.parent / "shared" / "data" / "bitext_llm" / "bitext_support_responses_v2_2023-08-18.csv"
THEIRS = rouge_scorer.RougeScorer(list(rouge.KEYS), use_stemmer=False)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """A thousand pairs of real answers: unlike ones, and ones with a part cut out, so that all counts are met."""
    if not DATA.exists():
        lacking("the customer support responses of Bitext beside the project")
    with DATA.open(encoding="utf-8", newline="") as file:
        said = [row["response"] for row in csv.DictReader(file)]
    dice = random.Random(7)
    cut = [(one, one[: dice.randrange(len(one))] + one[dice.randrange(len(one)) :]) for one in dice.sample(said, 400)]
    return cut + [(dice.choice(said), dice.choice(said)) for _ in range(600)]


def theirs(reference: str, answer: str) -> dict[str, float]:
    return {key: found.fmeasure for key, found in THEIRS.score(reference, answer).items()}


def test_rouge_is_rouge_scores_bit_for_bit_on_a_thousand_pairs(pairs: list[tuple[str, str]]) -> None:
    assert [rouge.score(*pair) for pair in pairs] == [theirs(*pair) for pair in pairs]


WORDS = st.text("ab c.\n0İß") | st.text() | st.lists(st.sampled_from(["a", "b", "cd", "7", "-"]), max_size=80).map(" ".join)


@given(WORDS, WORDS)
def test_rouge_is_rouge_scores_on_any_text(reference: str, answer: str) -> None:
    assert rouge.score(reference, answer) == theirs(reference, answer)


def test_bleu_and_chrf_are_sacrebleus_for_one_answer_and_for_all(pairs: list[tuple[str, str]]) -> None:
    some = pairs[::10]
    references, answers = zip(*some, strict=True)
    corpus = corpora.Corpus(("bleu", "chrf"))
    bleu, chrf = BLEU(effective_order=True), CHRF()
    assert [corpus.add(*pair) for pair in some] == [
        {"bleu": bleu.sentence_score(b, [a]).score, "chrf": chrf.sentence_score(b, [a]).score} for a, b in some
    ]
    assert corpus.scores() == {
        "bleu": BLEU().corpus_score(answers, [references]).score,
        "chrf": CHRF().corpus_score(answers, [references]).score,
    }


@given(WORDS, WORDS)
def test_chrf_is_sacrebleus_on_any_text(reference: str, answer: str) -> None:
    assert corpora.Corpus(("chrf",)).add(reference, answer) == {"chrf": CHRF().sentence_score(answer, [reference]).score}


def spec(**given: object) -> EvaluateSpec:
    asked = Candidate(model_id="m", name="M", endpoint=Endpoint(model="m"))
    return EvaluateSpec(run_id="r", items_file="f", candidates=(asked,), decoding=Decoding(), **given)  # type: ignore[arg-type]


def items(*references: str) -> list[Example]:
    asked = {"role": "user", "content": "What now?"}
    return [
        Example(f"i{n}", (asked, {"role": "assistant", "content": reference})) for n, reference in enumerate(references)
    ]


def outputs(*said: str, **more: object) -> list[engine.Row]:
    return [{"candidate_id": "m", "item_id": f"i{n}", "sample": 0, "text": text} | more for n, text in enumerate(said)]


def scored(
    references: tuple[str, ...], said: list[engine.Row], asked: EvaluateSpec | ScoreSpec
) -> tuple[list[engine.Row], engine.Row]:
    return engine.score(items(*references), said, asked, lambda done, total: None)


def test_what_is_no_label_counts_as_one_wrong_label_and_not_as_many() -> None:
    said = outputs("billing.", "Login\nbecause", "Well, I think", "As an assistant", "Billing", "Sure, here")
    rows, facts = scored(("Billing", "Login") * 3, said, spec())
    assert facts["labels"] == ["billing", "login"]
    assert [row["predicted"] for row in rows] == ["billing", "login", "(none)", "(none)", "billing", "(none)"]


def test_accuracy_and_macro_f1_are_scikit_learns() -> None:
    dice = random.Random(3)
    truth, said = ([dice.choice(("pin", "card", "fee")) for _ in range(60)] for _ in range(2))
    _, facts = scored(tuple(truth), outputs(*said), spec())
    assert (facts["metrics"]["m"]["accuracy"], facts["metrics"]["m"]["macro_f1"]) == (
        accuracy_score(truth, said),
        f1_score(truth, said, average="macro"),
    )


LABELS = ("card arrival", "card_not_working", "pin")


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Card arrival.", "card arrival"),
        ("**card_arrival**", "card arrival"),
        ('Label: "pin"', "pin"),
        ("The intent is: card not working", "card_not_working"),
        ("I think it is about the pin of your card", "pin"),
        ("card arrival or pin", labels.NO_LABEL),
        ("pinboard", labels.NO_LABEL),
        ("", labels.NO_LABEL),
    ],
)
def test_read_leniently_the_one_label_that_stands_in_an_answer_counts(answer: str, label: str) -> None:
    assert labels.to_label(answer, LABELS) == label


@pytest.mark.parametrize(
    ("answer", "label"), [(" PIN. ", "pin"), ("Label: pin", labels.NO_LABEL), ("pin\nbecause", labels.NO_LABEL)]
)
def test_read_strictly_an_answer_is_the_label_and_nothing_else(answer: str, label: str) -> None:
    assert labels.to_label(answer, LABELS, "strict") == label


def test_a_label_within_a_longer_one_does_not_make_two() -> None:
    assert labels.to_label("It is card arrival estimate", ("card arrival", "card arrival estimate")) == "card arrival estimate"


def test_by_likelihood_the_likeliest_label_counts_whatever_was_said() -> None:
    said = outputs("Hm.", "Hm.", "Hm.", "Hm.", label_scores=json.dumps({"Pin": -2.0, "card": -1.5}))
    rows, _ = scored(("Pin", "Card") * 2, said, spec())
    assert [row["scores"]["accuracy_likelihood"] for row in rows] == [0.0, 1.0] * 2


def test_perplexity_of_all_is_not_the_mean_of_each() -> None:
    said = outputs("Yes, on Monday.", "No, it is not.")
    likely = [{"reference_nats": 2.0, "reference_tokens": 2}, {"reference_nats": 9.0, "reference_tokens": 3}]
    rows, facts = scored(("Yes.", "No, sorry."), [a | b for a, b in zip(said, likely, strict=True)], spec())
    assert [row["scores"]["perplexity"] for row in rows] == [math.exp(1), math.exp(3)]
    assert facts["metrics"]["m"]["perplexity"] == math.exp(11 / 5)


def test_items_of_the_general_suite_get_their_own_check_and_nothing_else() -> None:
    asked = [*items("Yes, gladly."), Example("probe:capital", ({"role": "user"}, {"role": "assistant", "content": "Paris."}))]
    said = [*outputs("Yes."), {"candidate_id": "m", "item_id": "probe:capital", "sample": 0, "text": "It is Paris"}]
    rows, facts = engine.score(asked, said, spec(), lambda done, total: None)
    assert (rows[1]["scores"], "probe" in rows[0]["scores"], facts["metrics"]["m"]["probe"]) == ({"probe": 1.0}, False, 1.0)


def test_the_form_of_the_references_chooses_the_scores() -> None:
    forms = [engine.form_of(said) for said in (("a", "b", "a", "b"), ('{"a": 1}', "[2]"), ("Hello there.", "Good day."))]
    assert forms == ["labels", "json", "text"]


def test_a_score_of_labels_is_refused_for_free_text() -> None:
    with pytest.raises(PipelineError, match="needs references that are labels"):
        scored(("Hello there.", "Good day."), outputs("Hi", "Ho"), spec(metrics=("accuracy",)))


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('{"city": "Rome", "days": [1, 2]}', 1.0),
        ('```json\n{"city": "Rome", "days": [1, 2]}\n```', 1.0),
        ('{"city": "Rome", "days": [1, 3]}', 2 / 3),
        ('{"city": "Rome", "days": [1, 2], "more": 1}', 3 / 4),
        ('{"city": "Rome"', 0.0),
        ("[]", 0.0),
    ],
)
def test_fields_are_right_where_both_have_them_alike(answer: str, right: float) -> None:
    assert structure.field_accuracy('{"days": [1.0, 2], "city": "Rome"}', answer) == right


def test_true_is_not_one() -> None:
    assert structure.field_accuracy('{"ok": true}', '{"ok": 1}') == 0.0


@given(st.text(max_size=40))
def test_no_answer_breaks_the_scores_of_json(answer: str) -> None:
    assert structure.valid(answer) in (0.0, 1.0) and 0 <= structure.field_accuracy('{"a": 1}', answer) <= 1


def test_nesting_without_end_is_no_json() -> None:
    assert (structure.valid("[" * 100_000), structure.field_accuracy('{"a": 1}', "[" * 100_000)) == (0.0, 0.0)


def test_an_answer_meets_a_schema_or_not() -> None:
    check = structure.schema_check('{"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}')
    assert [check(text) for text in ('{"city": "Rome"}', '{"city": 1}', "Rome", "{}")] == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("schema", ["{", '{"type": "objekt"}', '{"$ref": "https://example.org/other.json"}'])
def test_a_schema_that_cannot_be_used_is_refused_in_words_and_nothing_is_fetched(schema: str) -> None:
    with pytest.raises(PipelineError, match="schema"):
        structure.schema_check(schema)("{}")


def test_similarity_is_one_for_the_same_words() -> None:
    found = texts.similarities(["My parcel is late", "My boots are torn"], ["my parcel is late", "Where is the invoice"], None)
    assert [round(value, 6) for value in found] == [1.0, 0.0]


def test_words_are_contained_only_where_all_are() -> None:
    assert [texts.contains(("Refund", "days"), said) for said in ("A refund takes 3 days", "A refund")] == [1.0, 0.0]


@pytest.mark.parametrize(("answer", "value"), [("On its way.", 1.0), (" On its way. \n", 1.0), ("on its way.", 0.0), ("", 0.0)])
def test_exact_match_forgives_white_space_around_and_nothing_else(answer: str, value: float) -> None:
    assert texts.exact_match("On its way.", answer) == value


def test_short_repeated_references_are_labels() -> None:
    assert labels.labels_of(["Billing", "billing.", "Login", "login", "login", "Billing"]) == ("billing", "login")


@pytest.mark.parametrize(
    "references",
    [
        ["We are sorry that your parcel is late today."] * 4 + ["Please send it back to us at once."] * 4,
        ["a", "b", "c", "d"],
        ["yes"] * 10,
    ],
)
def test_sentences_single_answers_and_one_word_for_all_are_no_labels(references: list[str]) -> None:
    assert labels.labels_of(references) is None
