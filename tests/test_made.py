"""From a run that writes to records: seeds that may leave, examples as records with their origin, a ledger, a cap, gaps."""

from __future__ import annotations

import time

import pytest

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.specs import dumps
from studio import forgetting, gaps, ledger, made, models, recipes, records, runs, seeds, snapshots, synthesis
from studio.customers import Customer
from studio.errors import StudioError
from studio.recipes import Recipe
from studio.splits import Recipe as Split
from studio.workspace import Workspace
from tests.checks import found, recorded_check
from tests.synthesising import reply, spec
from tests.tickets import freeze_forty, import_forty


def written(ws: Workspace, accepted: int = 6, refused: int = 2, only: int | None = None, run_id: str = "made") -> runs.Run:
    """A run as its child would have left it, collected."""
    asked = spec("http://x/v1", accepted + refused, run_id).model_copy(update={"only": only})
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, asked, "New questions by Writer", "")
    folder = ws.path(f"runs/{run_id}")
    rundir.prepare(folder, dumps(asked))
    rundir.note_launch(folder, time.time())
    (folder / "seeds.jsonl").write_text("")
    with Child(folder) as child:
        for n in range(accepted + refused):
            said = reply(n)
            turns = [{"role": "user", "content": said["question"]}, {"role": "assistant", "content": said["answer"]}]
            child.call({"call": f"{run_id}{n}", "slot": f"s{n}", "try": 1, "purpose": "make", "at": 1_795_000_000.0 + n,
                        "seconds": 0.5, "prompt_tokens": 100, "new_tokens": 50, "cost": 0.0002, "outcome": "ok",
                        "reply": None})  # fmt: skip
            child.example({"slot": f"s{n}", "place": n, "try": 1, "cell": n, "state": "accepted" if n < accepted else "refused",
                           "messages": turns, "reasons": [] if n < accepted else ["short"], "why": [], "score": None,
                           "seeds": ["seed1"], "prompt_sha256": "ab", "at": 1_795_000_000.0 + n})  # fmt: skip
        child.finish("done", "It is done.", data={"wanted": accepted + refused, "accepted": accepted})
    runs.collect(ws)
    return runs.get(ws, run_id)


def test_what_passed_becomes_records_that_say_what_they_are(ws: Workspace) -> None:
    import_forty(ws)
    run = written(ws)
    ids = [
        row["record_id"] for row in ws.rows("select record_id from records where import_id = ? order by position", [run.run_id])
    ]
    origin = made.origins(ws, ids)[ids[0]]
    assert (records.counts(ws).total, records.get(ws, ids[0]).question, records.get(ws, ids[0]).tags) == (
        46, reply(0)["question"], "case 0000")  # fmt: skip
    assert origin.words == "synthetic: case 0000, by Writer, after 1 record"
    assert [row["reasons"] for row in made.refused(ws, run.run_id)] == [["short"], ["short"]]


def test_collecting_again_adds_nothing(ws: Workspace) -> None:
    run = written(ws)
    with ws.transaction() as transaction:
        transaction.execute("delete from run_results where run_id = ?", [run.run_id])
    runs.collect(ws)
    assert (records.counts(ws).total, len(ledger.by_run(ws)), ledger.by_run(ws)[0].calls) == (6, 1, 8)


def test_a_preview_makes_no_records_and_still_stands_in_the_ledger(ws: Workspace) -> None:
    written(ws, only=8)
    assert (records.counts(ws).total, ledger.by_run(ws)[0].calls) == (0, 8)


def test_the_ledger_counts_by_run_and_by_day(ws: Workspace) -> None:
    written(ws)
    run, day = ledger.by_run(ws)[0], ledger.by_day(ws)[0]
    assert (run.prompt_tokens, run.new_tokens, round(run.cost or 0, 6), run.seconds, day.calls, str(day.day)) == (
        800, 400, 0.0016, 0.5, 8, "2026-11-18")  # fmt: skip


def test_rates_and_spending_are_read_as_they_come(ws: Workspace) -> None:
    run = written(ws)
    rates, spent = synthesis.rates(ws, run), synthesis.spending(ws, run)
    assert [(one.scenario, one.accepted, dict(one.reasons)) for one in rates][5:7] == [
        ("case 0005", 1, {}),
        ("case 0006", 0, {"short": 1}),
    ]
    assert (spent.calls, spent.failed, round(spent.rate, 3)) == (8, 0, 1.0)


def test_synthetic_records_go_to_train_alone_and_no_more_of_them_than_the_recipe_allows(ws: Workspace) -> None:
    import_forty(ws)
    written(ws, accepted=60, refused=0)
    plan = snapshots.plan(ws, Split(synthetic_most=0.2))
    mine = {row["record_id"] for row in ws.rows("select record_id from records where import_id = 'made'")}
    held = {name: sum(piece.record_id in mine for piece in part) for name, part in plan.splits.items()}
    assert (held, plan.too_synthetic) == ({"train": 10, "validation": 0, "test": 0}, 50)


def test_a_recipe_without_a_cap_is_written_as_it_was_before_there_was_one() -> None:
    assert "synthetic_most" not in Split().written and Split(synthetic_most=0.5).written["synthetic_most"] == 0.5


def test_seeds_are_checked_records_outside_test_without_open_personal_data(ws: Workspace) -> None:
    freeze_forty(ws)
    assert (seeds.find(ws, Recipe()).ids, seeds.find(ws, Recipe()).left_out.split(";")[0][-40:]) == (
        (), "22 were never checked for personal data")  # fmt: skip
    held = {row["record_id"] for row in ws.rows("select record_id from snapshot_items where split <> 'train'")}
    train = sorted(row["record_id"] for row in ws.rows("select record_id from snapshot_items where split = 'train'"))
    recorded_check(ws, [found(train[0], "email", start=0, end_=3)])
    usable = seeds.find(ws, Recipe())
    assert (set(usable.ids) & held, train[0] in usable.ids, usable.personal, usable.held_out) == (set(), False, 1, len(held))


def test_work_on_seeds_without_any_is_refused_with_what_to_do(ws: Workspace) -> None:
    import_forty(ws)
    starter = models.get(ws, models.STARTER_ID)
    with pytest.raises(StudioError, match=r"None of these records can be worked on\. Kept back: 40 were never checked"):
        synthesis.start(ws, Recipe(work="paraphrases"), starter)


@pytest.mark.parametrize(("recipe", "words"), [
    (Recipe(scenarios=()), "at least one scenario"),
    (Recipe(scenarios=("a",), each=30_000), "at most 20,000"),
    (Recipe(scenarios=("a",), prompt="Write something."), "is missing"),
])  # fmt: skip
def test_a_recipe_that_cannot_be_followed_is_said_in_words(recipe: Recipe, words: str) -> None:
    with pytest.raises(StudioError, match=words):
        recipes.check(recipe)


def test_a_recipe_comes_back_as_it_was_kept(ws: Workspace) -> None:
    recipe = Recipe(work="hard", scenarios=("gibberish",), languages=("de",), documents=("We are open.",), twin_at=0.7)
    recipes.save(ws, "Mine", recipe, "ann")
    assert recipes.every(ws) == {"Mine": recipe}


def test_rare_tags_are_gaps_with_seeds(ws: Workspace) -> None:
    import_forty(ws)
    rows = ws.rows("select record_id, position from record_now order by position")
    with ws.transaction() as transaction:
        for place, row in enumerate(rows):
            tag = "refund" if place < 18 else "delivery" if place < 36 else "warranty"
            transaction.execute("update record_now set tags = ? where record_id = ?", [tag, row["record_id"]])
    gap = gaps.find(ws)[0]
    assert (gap.scenario, gap.have, gap.fill, len(gap.seeds)) == ("warranty", 4, 14, 4)


def test_somebody_who_is_forgotten_leaves_no_example_behind(ws: Workspace) -> None:
    import_forty(ws)
    written(ws)
    mine = ws.rows("select record_id from records where import_id = 'made' order by position")[0]["record_id"]
    forgetting.forget(ws, Customer((), (), ("amber amber amber amber",), (mine,), ()), [mine], "eve")
    assert ws.value("select count(*) from made_examples where contains(messages, 'amber amber amber amber')") == 0
    assert not (ws.path("runs/made/examples.jsonl").read_text().count("amber amber amber amber"))
