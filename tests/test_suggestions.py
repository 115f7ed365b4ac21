"""The light model as a run: it learns, orders, suggests and doubts, in a real child, on real questions of bank customers."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest

from pipeline import light_model
from pipeline.rundir import Child
from pipeline.specs import SuggestField, SuggestSpec
from pipeline.suggestions import learn
from studio import intake, label_sets, labels, records, runs, starts, suggestions
from studio.columns import Choices
from studio.errors import StudioError
from studio.label_sets import LabelSet
from studio.labels import Given
from studio.records import Filter
from studio.workspace import Workspace
from tests import children
from tests.children import prepared
from tests.tickets import COLUMNS, write_csv

pytestmark = pytest.mark.heavy

SEED = 5
WORDS = {"late": "is late and still not here", "torn": "is torn and has a hole in it", "size": "is too small, does not fit"}


def definition(values: list[str], kind: str = "choice") -> dict[str, object]:
    options = [{"value": value, "title": value} for value in values]
    return {"name": "Trouble", "fields": [{"key": "trouble", "title": "Trouble", "kind": kind, "options": options}]}


def tickets(ws: Workspace, many: int = 90) -> tuple[LabelSet, dict[str, str]]:
    """Many tickets of three troubles in turn, and a set that asks for the trouble; returns what each record's is."""
    things = ("jacket", "tent", "lamp", "stove", "boots", "bottle", "poles")
    rows = [(f"T{n}", f"My {things[n % 7]} number {n} {WORDS[list(WORDS)[n % 3]]}.", "Sorry, we send another.", "5", "x")
            for n in range(many)]
    intake.import_file(ws, write_csv(ws.root / "many.csv", rows), "many.csv", Choices(COLUMNS))
    found = records.page(ws, Filter(), many)
    truth = {record.record_id: next(key for key, words in WORDS.items() if words in record.question) for record in found}
    return label_sets.save(ws, definition(list(WORDS)), "ann"), truth


def label(ws: Workspace, label_set: LabelSet, truth: dict[str, str], many: int) -> None:
    given = [Given(record_id, {"trouble": value}) for record_id, value in list(truth.items())[:many]]
    labels.answer_many(ws, label_set.set_id, given, "ann", "the first labels")


@pytest.fixture
def learned(ws: Workspace) -> tuple[Workspace, LabelSet, dict[str, str]]:
    """Thirty of ninety tickets labelled, and the light model's run over, in a real child."""
    label_set, truth = tickets(ws)
    label(ws, label_set, truth, 30)
    run = children.collected(ws, starts.suggestions(ws, label_set.set_id))
    assert run.state == "done", runs.log_tail(ws, run)
    return ws, label_set, truth


def test_too_few_labels_are_said_in_words_and_nothing_is_started(ws: Workspace) -> None:
    label_set, truth = tickets(ws)
    label(ws, label_set, truth, 12)
    with pytest.raises(StudioError, match="Too few labels: 12 of the 20"):
        starts.suggestions(ws, label_set.set_id)
    assert runs.every(ws) == []


def test_a_run_suggests_a_label_for_every_unlabelled_record(learned: tuple[Workspace, LabelSet, dict[str, str]]) -> None:
    ws, label_set, truth = learned
    rest = list(truth)[30:]
    found = suggestions.of(ws, label_set.set_id, list(truth))
    assert {record_id: one["trouble"].value for record_id, one in found.items()} == {one: truth[one] for one in rest}


def test_every_record_has_its_place_in_the_order_to_ask(learned: tuple[Workspace, LabelSet, dict[str, str]]) -> None:
    ws, _, _ = learned
    ranks = [row["rank"] for row in ws.rows("select rank from suggestions order by rank")]
    assert ranks == list(range(1, 61))


def test_the_accuracy_is_cross_validated_and_stands_beside_the_most_common_value(
    learned: tuple[Workspace, LabelSet, dict[str, str]],
) -> None:
    ws, label_set, _ = learned
    now = suggestions.standing(ws, label_set.set_id)
    assert now is not None
    field = now.fields[0]
    assert (now.labelled, now.suggested, round(field.baseline, 2), field.accuracy.low > field.baseline) == (30, 60, 0.33, True)


def test_the_copy_of_the_texts_is_deleted_once_the_run_is_collected(
    learned: tuple[Workspace, LabelSet, dict[str, str]],
) -> None:
    ws, _, _ = learned
    assert list(ws.path("runs").glob("*/records.jsonl")) + list(ws.path("runs").glob("*/suggestions.jsonl")) == []


def test_bulk_acceptance_is_previewed_stored_as_labels_and_undone_as_one_act(
    learned: tuple[Workspace, LabelSet, dict[str, str]],
) -> None:
    ws, label_set, truth = learned
    coming = suggestions.preview(ws, label_set, 0.5)
    done = suggestions.accept(ws, label_set, 0.5, "bob", "press1")
    given = labels.final(ws, label_set.set_id)
    kept = ws.rows("select distinct who, suggested = answer as same from label_now where who = 'bob'")
    labels.undo(ws, label_set.set_id, "bob", "press2")
    assert (coming.count, done, {key: one["trouble"] for key, one in given.items()} == truth) == (60, 60, True)
    assert (kept, len(labels.final(ws, label_set.set_id))) == ([{"who": "bob", "same": True}], 30)


def test_a_bulk_press_that_is_sent_again_labels_nothing_twice(learned: tuple[Workspace, LabelSet, dict[str, str]]) -> None:
    ws, label_set, _ = learned
    suggestions.accept(ws, label_set, 0.5, "bob", "press1")
    assert (suggestions.accept(ws, label_set, 0.5, "bob", "press1"), len(labels.final(ws, label_set.set_id))) == (0, 90)


def test_records_reworded_or_dropped_since_are_not_accepted(learned: tuple[Workspace, LabelSet, dict[str, str]]) -> None:
    ws, label_set, truth = learned
    edited, dropped = list(truth)[30:32]
    turns = [{"role": "user", "content": "Something else."}, {"role": "assistant", "content": "Yes."}]
    records.edit(ws, edited, turns, "ann")
    records.decide(ws, [dropped], "drop", "ann")
    assert (suggestions.preview(ws, label_set, 0.5).count, suggestions.of(ws, label_set.set_id, [edited])) == (58, {})


def test_the_hit_rate_counts_what_people_then_chose_and_not_what_was_accepted_in_bulk(
    learned: tuple[Workspace, LabelSet, dict[str, str]],
) -> None:
    ws, label_set, truth = learned
    for place, record_id in enumerate(list(truth)[30:40]):
        suggested = {"trouble": truth[record_id] if place else "torn" if truth[record_id] != "torn" else "late"}
        labels.answer(ws, label_set.set_id, record_id, {"trouble": truth[record_id]}, "ann", f"p{place}", suggested=suggested)
    suggestions.accept(ws, label_set, 0.5, "bob", "press1")
    interval, counted = suggestions.hit_rate(ws, label_set.set_id)["trouble"]
    assert (counted, interval.value, round(interval.low, 3), round(interval.high, 3)) == (10, 0.9, 0.596, 0.982)


def test_a_set_with_a_required_text_cannot_be_accepted_in_bulk(ws: Workspace) -> None:
    label_set, truth = tickets(ws)
    label(ws, label_set, truth, 30)
    children.collected(ws, starts.suggestions(ws, label_set.set_id))
    changed = label_sets.definition_of(label_set)
    changed["fields"].append({"key": "why", "title": "Why", "kind": "text", "required": True})
    changed_set = label_sets.save(ws, changed, "ann", label_set.set_id)
    with pytest.raises(StudioError, match="Why is required, and no model suggests it"):
        suggestions.accept(ws, changed_set, 0.9, "ann", "press")


def test_several_values_are_learned_one_against_the_rest(ws: Workspace) -> None:
    tickets(ws)
    label_set = label_sets.save(ws, definition(list(WORDS), "multi") | {"name": "Several"}, "ann")
    found = records.page(ws, Filter(), 90)
    told = {one.record_id: [key for key, words in WORDS.items() if words in one.question] for one in found}
    given = [Given(record_id, {"trouble": values}) for record_id, values in list(told.items())[:45]]
    labels.answer_many(ws, label_set.set_id, given, "ann", "b")
    assert children.collected(ws, starts.suggestions(ws, label_set.set_id)).state == "done"
    suggested = suggestions.of(ws, label_set.set_id, list(told)[45:])
    assert {record_id: one["trouble"].value for record_id, one in suggested.items()} == dict(list(told.items())[45:])


def test_a_value_with_two_labels_is_left_out_and_named(tmp_path: Path) -> None:
    lines = [{"text": f"{WORDS[key]} {n}", "given": {"trouble": key}, "id": str(n)}
             for n, key in enumerate(["late", "torn"] * 12)]
    lines += [{"text": WORDS["size"], "given": {"trouble": "size"}, "id": f"s{n}"} for n in range(2)]
    asked = SuggestField(key="trouble", title="Trouble", kind="choice", values=tuple(WORDS))
    one = learn(asked, lines, light_model.vectoriser([str(line["text"]) for line in lines]), SEED)
    assert not isinstance(one, dict)
    assert (one.values, one.report["left_out"]) == (("late", "torn"), ["size"])


def test_a_run_that_is_asked_to_stop_suggests_nothing(tmp_path: Path) -> None:
    from pipeline import suggestions as engine
    from pipeline.errors import Stopped

    asked = SuggestField(key="trouble", title="Trouble", kind="choice", values=tuple(WORDS))
    spec = SuggestSpec(run_id="stopped", set_id="s", fields=(asked,), records=24, labelled=24)
    folder = prepared(tmp_path, spec)
    (folder / "records.jsonl").write_text(
        "".join(f'{{"id": "{n}", "version": 1, "text": "word {n}", "given": {{"trouble": "late"}}}}\n' for n in range(24)))
    (folder / "stop").touch()
    with pytest.raises(Stopped):
        engine.run(Child(folder), spec, tmp_path)
    assert not (folder / "suggestions.jsonl").exists()


# Real questions ---------------------------------------------------------------------------------------------------------

def questions(shared_data: Path) -> tuple[list[str], np.ndarray]:
    """The questions of ten intents of banking77 in a seeded order, and their intents as numbers."""
    rows = [row for name in ("train", "test") for row in
            csv.DictReader((shared_data / "banking77" / f"{name}.csv").open(encoding="utf-8"))]
    dice = random.Random(SEED)
    intents = dice.sample(sorted({row["category"] for row in rows}), 10)
    chosen = [row for row in rows if row["category"] in intents]
    dice.shuffle(chosen)
    return [row["text"] for row in chosen], np.array([intents.index(row["category"]) for row in chosen])


def curve(rows: object, truth: np.ndarray, held: int, informative: bool) -> list[float]:
    """Accuracy on the last `held` questions after 40, 60, … 200 labels."""
    pool, known, found = len(truth) - held, list(range(40)), []
    while True:
        present = np.unique(truth[known])
        model = light_model.fit(rows[known], np.searchsorted(present, truth[known]), 1.0)  # type: ignore[index]
        found.append(float((present[model.guess(rows[pool:]).chosen] == truth[pool:]).mean()))  # type: ignore[index]
        if len(known) == 200:
            return found
        rest = np.setdiff1d(np.arange(pool), known)
        if informative:
            margins = model.guess(rows[rest]).margin  # type: ignore[index]
            unsure = np.argsort(margins)[:1_000]
            rest = rest[unsure[light_model.spread(rows[rest[unsure]], margins[unsure], SEED)]]  # type: ignore[index]
        known += [int(place) for place in rest[:20]]


def test_asking_in_the_informative_order_needs_fewer_labels_than_asking_at_random(shared_data: Path) -> None:
    texts, truth = questions(shared_data)
    rows = light_model.vectoriser(texts).transform(texts)
    chosen, random_order = curve(rows, truth, 500, True), curve(rows, truth, 500, False)
    print("\nlabels     ", *(f"{n:5}" for n in range(40, 201, 20)), "\ninformative", *(f"{a:5.2f}" for a in chosen),
          "\nrandom     ", *(f"{a:5.2f}" for a in random_order))
    needed = 40 + 20 * next(place for place, accuracy in enumerate(chosen) if accuracy >= random_order[-1])
    assert needed <= 160


def test_planted_label_errors_are_found(shared_data: Path) -> None:
    texts, truth = questions(shared_data)
    dice, found, right, planted = random.Random(SEED), 0, 0, 0
    vectoriser = light_model.vectoriser(texts)
    for start in range(0, 1_000, 200):
        rows = vectoriser.transform(texts[start : start + 200])
        given = truth[start:start + 200].copy()
        flipped = dice.sample(range(200), 20)
        for place in flipped:
            given[place] = (given[place] + dice.randrange(1, 10)) % 10
        doubted = light_model.doubted(given, light_model.test(rows, given, SEED).probabilities)
        found, planted = found + len(doubted), planted + len(flipped)
        right += len({place for place, _, _ in doubted} & set(flipped))
    print(f"\nplanted {planted}, doubted {found}: precision {right / found:.2f}, recall {right / planted:.2f}")
    assert (right / planted >= 0.6, right / found >= 0.5) == (True, True)


def test_confidence_is_honest_after_the_temperature(shared_data: Path) -> None:
    texts, truth = questions(shared_data)
    rows = light_model.vectoriser(texts).transform(texts)
    tested = light_model.test(rows[:300], truth[:300], SEED)
    model = light_model.fit(rows[:300], truth[:300], tested.temperature)
    said = model.guess(rows[300:])
    hit = float((said.chosen == truth[300:]).mean())
    print(f"\nmean confidence {said.confidence.mean():.3f}, accuracy {hit:.3f}")
    assert abs(float(said.confidence.mean()) - hit) < 0.05
