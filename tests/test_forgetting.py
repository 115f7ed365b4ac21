"""A customer is forgotten: found, taken out everywhere, and not brought back; a crash in the middle is carried to its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from pipeline import rundir
from pipeline.specs import Candidate, Endpoint, JudgeSpec, dumps
from studio import (
    adjudicate,
    customers,
    findings,
    forgetting,
    intake,
    judges,
    label_sets,
    labels,
    marks,
    own_metrics,
    playground,
    plays,
    previews,
    prompts,
    records,
    reviews,
    runs,
    samples,
    snapshots,
    starts,
)
from studio.columns import Choices, Columns, Condition
from studio.errors import StudioError
from studio.journal import Journal
from studio.opinions import Fault, Opinion
from studio.records import Filter
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.checks import found, recorded_check
from tests.conftest import ROOT
from tests.plays import asked as asked_in_playground
from tests.tickets import opened, recorded_evaluation, recorded_training
from tests.training_runs import FOUND, PART, begun, looked, sample, train_spec

pytestmark = pytest.mark.heavy

ANA = "ana.karenina@mail.example"
COLUMNS = Columns("question", "reply", ticket="id", name="name", email="mail", rating="stars")


def tickets(folder: Path, extra: str = "") -> Path:
    """Forty tickets: two of Ana's, one of Bob's that names her; `extra` is put behind each question."""
    rows = ["id,name,mail,stars,question,reply"]
    for n in range(40):
        name, mail = ("Ana Karenina", ANA) if n in (3, 7) else (f"Bob {n}", f"bob{n}@mail.example")
        asked = f"Where is parcel {n}?" + (" Ana Karenina ordered it with me." if n == 11 else "") + extra
        rows.append(f"T{n},{name},{mail},5,{asked},It is on its way number {n} and comes by truck {n * 7}.")
    path = folder / "tickets.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def bring_in(ws: Workspace, extra: str = "") -> intake.Report:
    return intake.import_file(ws, tickets(ws.root, extra), "tickets.csv", Choices(COLUMNS, desk="shop"))


def told(ws: Workspace) -> Workspace:
    """A workspace in which every place holds something of Ana's: edits, decisions, findings, a snapshot, answers, a review."""
    bring_in(ws)
    (ws.root / "tickets.csv").unlink()
    ana = customers.find(ws, ANA)
    first = records.get(ws, ana.own[0])
    records.edit(ws, first.record_id, [*first.messages[:-1], {"role": "assistant", "content": f"Dear {ANA}, soon."}], "eve")
    records.decide(ws, ana.own, "keep", "eve")
    recorded_check(ws, [found(first.record_id, "email", start=0, end_=3)])
    findings.dismiss(ws, findings.page(ws, "email", 1)[0], "eve")
    talked_about(ws, ana.own[0], customers.find(ws, "T20").own[0])
    snapshot = snapshots.freeze(ws, "All", one_in_each_split(ws))
    run_id = recorded_evaluation(ws, snapshot, recorded_training(ws, snapshot))
    kept_under_names(ws, snapshot.snapshot_id, run_id)
    session = opened(ws, run_id, 12, "eve")
    faults = (Fault("left", 0, 3, "made_up", "Ana Karenina is no customer of ours"),)
    for place, card in enumerate(reviews.window(ws, session, "eve", 40)):
        opinion = Opinion("left", faults=faults, note="Ana Karenina would laugh", better="Dear Ana Karenina, soon.")
        reviews.judge(ws, session, card.card_id, opinion, "eve", f"press-{place}")
    return ws


def kept_under_names(ws: Workspace, snapshot_id: str, run_id: str) -> None:
    """A prompt, a rubric and a function that name her, and a judge's run whose spec holds the rubric."""
    prompts.save(ws, "Kind", "Write as you would to Ana Karenina.", "eve")
    judges.save_rubric(ws, "Hers", "pairwise", "Would Ana Karenina like it?", "eve")
    own_metrics.save(ws, "Hers", 'def score(answer, reference, item):\n    return float("Ana Karenina" in answer)\n', "eve")
    judge = Candidate(model_id="j", name="Judge", endpoint=Endpoint(model="judge"))
    spec = JudgeSpec(run_id="judged", evaluation_id=run_id, items_file="x", rubric="Would Ana Karenina like it?", judge=judge,
                     pairs=(("a", "b"),))
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, "As Ana Karenina would", snapshot_id)
    rundir.prepare(ws.path("runs/judged"), dumps(spec))


def played_with(ws: Workspace, candidate: str = "A") -> None:
    """Questions of the playground that name her, and one that names nobody; two are kept for review, pieces lie about."""
    asked_in_playground(ws, "Ana Karenina asks where it is", {candidate: "Here.", "B": "There."}, "her1", "t1")
    asked_in_playground(ws, "Who ordered it?", {candidate: f"That was {ANA}.", "B": "Nobody."}, "her2", "t2")
    asked_in_playground(ws, "Where is it?", {candidate: "Here.", "B": "There."}, "other", "t3")
    for ask_id in ("her1", "other"):
        playground.save_for_review(ws, ask_id, "eve", f"save-{ask_id}")
    folder = ws.path(runs.every(ws, "play")[0].folder)
    pieces = [{"reply": "her2-0", "at": 0, "text": "That was Ana Kar"}, {"reply": "her2-0", "at": 16, "text": "enina."}]
    (folder / "pieces.jsonl").write_text("".join(json.dumps(piece) + "\n" for piece in pieces))


def talked_about(ws: Workspace, hers: str, other: str) -> None:
    """Labels, marks and settled answers of hers; of another record, some that name her; and a label set that shows her."""
    said = {"key": "note", "title": "Note", "kind": "text"}
    example = {"record_id": hers, "why": "Ana Karenina says it well", "answer": {"note": "Ana Karenina"}}
    label_set = label_sets.save(
        ws, {"name": "Notes", "guidelines": "As with\nAna Karenina.", "examples": [example], "needed": 2,
             "fields": [said, said | {"key": "more"}]}, "eve")  # fmt: skip
    for place, record_id in enumerate((hers, other)):
        answer = {"note": "Like\nAna Karenina", "more": "kept"}
        labels.answer(ws, label_set.set_id, record_id, answer, "eve", f"label-{place}", suggested=answer)
        marks.put(ws, record_id, "comment", "Ana Karenina again", "eve", f"comment-{place}")
        adjudicate.settle(ws, label_set.set_id, record_id, answer, "eve", f"settle-{place}")


def one_in_each_split(ws: Workspace) -> Recipe:
    """A recipe that puts one of the three conversations into each split."""
    ana = customers.find(ws, ANA)
    meant = {*ana.own, *ana.mentions}
    recipes = (Recipe(sizes=(14, 14, 12), seed=seed) for seed in range(1000))
    return next(recipe for recipe in recipes
                if all(meant & {line.record_id for line in part} for part in snapshots.plan(ws, recipe).splits.values()))


def forget_ana(ws: Workspace) -> forgetting.Forgotten:
    ana = customers.find(ws, ANA)
    return forgetting.forget(ws, ana, [*ana.own, *ana.mentions], "eve")


def holding(root: Path, *words: str) -> list[str]:
    """Every file below the folder whose bytes hold one of the words, in any case."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()
                  and any(word.lower().encode() in path.read_bytes().lower() for word in words))


def test_somebody_is_found_by_address_with_every_ticket_of_theirs(ws: Workspace) -> None:
    bring_in(ws)
    assert [records.get(ws, one).external_id for one in customers.find(ws, ANA.upper()).own] == ["T3", "T7"]


def test_somebody_is_found_by_ticket_number_with_their_other_tickets(ws: Workspace) -> None:
    bring_in(ws)
    assert [records.get(ws, one).external_id for one in customers.find(ws, "T7").own] == ["T3", "T7"]


def test_conversations_of_others_that_name_somebody_are_found_too(ws: Workspace) -> None:
    bring_in(ws)
    assert [records.get(ws, one).external_id for one in customers.find(ws, ANA).mentions] == ["T11"]


def test_a_name_inside_a_longer_word_is_not_somebody(ws: Workspace) -> None:
    bring_in(ws)
    assert customers.find(ws, "arce") == customers.Customer((), (), ("arce",), (), ())


def test_too_short_a_word_is_refused_in_a_sentence(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="too short to be somebody"):
        customers.find(ws, " a ")


@pytest.mark.heavy
def test_no_byte_of_the_workspace_names_them_afterwards(ws: Workspace) -> None:
    told(ws)
    before = holding(ws.root, "karenina")
    forget_ana(ws)
    ws.close()
    assert (bool(before), holding(ws.root, "karenina")) == (True, [])


def test_a_label_of_another_record_stays_without_the_text_that_named_them(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    label_set = label_sets.every(ws)[0]
    other = customers.find(ws, "T20").own[0]
    final = labels.final(ws, label_set.set_id)
    assert (final, label_set.examples, label_set.guidelines) == ({other: {"more": "kept"}}, (), "As with\n[forgotten].")


def test_the_label_set_comes_back_from_the_journal_without_them(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    before = label_sets.every(ws)[0]
    ws.close()
    (ws.root / "studio.duckdb").unlink()
    again = Workspace(ws.root)
    after = label_sets.every(again)[0]
    again.close()
    assert after == before


def test_everybody_else_is_still_there(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    left = [record.external_id for record in records.page(ws, Filter(), 100)]
    assert left == [f"T{n}" for n in range(40) if n not in (3, 7, 11)]


def test_their_lines_leave_the_snapshot_which_says_so_and_still_verifies(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    snapshot = snapshots.every(ws)[0]
    snapshots.verify(ws, snapshot)
    kept = snapshot.train + snapshot.validation + snapshot.test
    assert (kept, snapshot.manifest["forgotten"]) == (37, 3)


def test_what_reviewers_said_of_others_stays_without_the_note_that_named_them(ws: Workspace) -> None:
    told(ws)
    session = reviews.sessions(ws)[0]
    forget_ana(ws)
    now = reviews.get(ws, session.session_id)
    notes = ws.rows("select distinct note, data from reviews")
    assert (session.done - now.done, now.done == now.items, notes) == (1, True, [{"note": "", "data": "{}"}])


def test_the_journal_keeps_its_chain_and_its_numbers(ws: Workspace) -> None:
    told(ws)
    before = len(Journal(ws.journal.path).entries)
    forget_ana(ws)
    after = Journal(ws.journal.path)
    kinds = {entry.table for entry in after.entries}
    assert (after.warning, len(after.entries) >= before, "forgotten" in kinds) == ("", True, True)


def test_a_decision_made_afterwards_is_found_again_after_the_studio_restarts(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    other = records.page(ws, Filter(), 1)[0].record_id
    records.decide(ws, [other], "drop", "eve")
    ws.close()
    again = Workspace(ws.root)
    decision, warnings = records.get(again, other).decision, again.warnings
    again.close()
    assert (decision, warnings) == ("drop", [])


def test_the_next_export_of_the_desk_does_not_bring_them_back_and_says_why(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    report = bring_in(ws, " It is late.")
    reasons = intake.filtered_reasons(ws, report.import_id)
    assert (report.rows_in, report.rows_updated, reasons) == (40, 37, {"its customer was forgotten": 3})


def test_a_new_ticket_of_theirs_stays_out_too(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    path = ws.root / "newer.csv"
    rows = ["id,name,mail,stars,question,reply", f"T90,A. K.,{ANA},5,Is it there?,It is.", "T91,Bo,bo@x.example,5,Hi?,Yes."]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    report = intake.import_file(ws, path, "newer.csv", Choices(COLUMNS, desk="shop"))
    assert (report.conversations, report.rows_filtered) == (1, 1)


def test_a_filter_that_named_them_names_nobody_any_more(ws: Workspace) -> None:
    told(ws)
    conditions = (Condition("name", ("Ana Karenina", "Bob 5", "Bob 6")),)
    intake.import_file(ws, tickets(ws.root), "Ana Karenina.csv", Choices(COLUMNS, desk="other", conditions=conditions))
    (ws.root / "tickets.csv").unlink()
    forget_ana(ws)
    ws.close()
    assert holding(ws.root, "karenina") == []


def test_a_kept_excel_file_that_names_them_goes_too(ws: Workspace) -> None:
    bring_in(ws)
    book = openpyxl.Workbook()
    book.active.append(["question", "reply"])
    book.active.append(["Is Ana Karenina there?", "No."])
    place = ws.path("uploads/elsewhere.xlsx")
    book.save(place)
    forget_ana(ws)
    assert not place.exists()


def test_a_model_that_learned_from_them_is_named(ws: Workspace) -> None:
    bring_in(ws)
    recorded_training(ws, snapshots.freeze(ws, "All", Recipe(sizes=(38, 1, 1))))
    ana = customers.find(ws, ANA)
    assert customers.reach(ws, ana, ana.own).models == ("Forty in style (tuned)",)


@pytest.mark.heavy
def test_nothing_is_forgotten_while_a_run_moves(ws: Workspace) -> None:
    bring_in(ws)
    starts.check(ws)
    with pytest.raises(StudioError, match="still running"):
        forget_ana(ws)
    runs.stop(ws, runs.every(ws)[0].run_id)
    while runs.every(ws)[0].moving:
        pass
    assert len(customers.find(ws, ANA).own) == 2


@pytest.mark.heavy
@pytest.mark.parametrize("step", ["_clean_runs", "_clean_tables", "journal", "rewrite"])
def test_an_act_that_a_crash_cut_off_is_carried_to_its_end_at_the_next_start(
    tmp_path: Path, step: str
) -> None:
    ws = told(Workspace(tmp_path / "ws"))
    ws.close()
    where = {"journal": "studio.journal.Journal.forget", "rewrite": "studio.workspace.Workspace.rewrite"}
    dies = where.get(step, f"studio.forgetting.{step}")
    owner, name = dies.rsplit(".", 1)
    code = (
        "import os, sys; from pathlib import Path; import studio.forgetting as f, studio.customers as c;"
        "from studio.workspace import Workspace; from studio.journal import Journal; import studio;"
        f"setattr(eval({owner!r}), {name!r}, lambda *a: os._exit(9));"
        f"ws = Workspace(Path(sys.argv[1])); a = c.find(ws, {ANA!r}); f.forget(ws, a, [*a.own, *a.mentions], 'eve')"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path / "ws")], cwd=ROOT, check=False)
    again = Workspace(tmp_path / "ws")
    forgetting.go_on(again)
    left = records.counts(again).total
    again.close()
    assert (died.returncode, left, holding(tmp_path / "ws", "karenina")) == (9, 37, [])


def test_what_is_kept_of_them_does_not_say_who_they_were(ws: Workspace) -> None:
    told(ws)
    forget_ana(ws)
    kept = json.dumps(ws.rows("select * from forgotten") + ws.rows("select * exclude said_at from forgettings"))
    assert ("mail.example" in kept, len(ws.rows("from forgotten"))) == (False, 4)


def test_the_command_says_what_would_go_and_changes_nothing_unless_told_to(tmp_path: Path) -> None:
    ws = Workspace(tmp_path / "ws")
    bring_in(ws)
    ws.close()
    command = [sys.executable, "-c", "from studio.cli import main; main()", "forget", ANA, "--workspace", str(tmp_path / "ws")]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    done = subprocess.run([*command, "--yes"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ("Nothing was changed" in asked.stdout, "Forgotten: 3 records" in done.stdout) == (True, True)


def watched(ws: Workspace, ids: Sequence[str]) -> None:
    """A training run that answered questions of hers and of somebody else's; a preview that names and shows them."""
    snapshot = snapshots.freeze(ws, "All", Recipe(sizes=(20, 6, 12)))
    child = begun(ws, train_spec(snapshot, "sampled00001"), snapshot, "Sampled")
    for number, record_id in enumerate([ids[0], "somebody"]):
        sample(child, number, 0, "Where is it?", record_id)
    child.finish("stopped", "Stopped.")
    rendered = [{"id": name, "pieces": [["Where is it?", False], ["Here.", True]], "tokens": 9, "learned": 2}
                for name in (ids[0], "somebody")]
    looked(ws, snapshot, found=FOUND | {"train": PART | {"too_long": [ids[0], "somebody"]}}, rendered=rendered)


def test_their_sample_answers_and_rendered_examples_go_and_those_of_others_stay(ws: Workspace) -> None:
    bring_in(ws)
    ana = customers.find(ws, ANA)
    watched(ws, ana.own)
    forget_ana(ws)
    run = runs.get(ws, "looked000001")
    assert (
        [one.record_id for one in samples.every(ws, runs.get(ws, "sampled00001"))],
        [one.record_id for one in previews.examples(ws, run)],
        previews.read(run).train.too_long,
    ) == (["somebody"], ["somebody"], ("somebody",))


def test_no_run_names_their_records_afterwards(ws: Workspace) -> None:
    bring_in(ws)
    ana = customers.find(ws, ANA)
    watched(ws, ana.own)
    before = holding(ws.path("runs"), ana.own[0])
    forget_ana(ws)
    kept = json.dumps(ws.rows("select data from run_results"))
    assert (len(before), holding(ws.path("runs"), ana.own[0]), ana.own[0] in kept) == (3, [], False)


def test_questions_of_the_playground_that_name_them_go_whole_and_others_stay(ws: Workspace) -> None:
    bring_in(ws)
    (ws.root / "tickets.csv").unlink()
    played_with(ws)
    ana = customers.find(ws, ANA)
    said = " ".join(customers.sentences(ws, ana, ana.own))
    forget_ana(ws)
    left = [one.question for thread in plays.threads(ws, 10) for one in plays.thread(ws, thread.thread_id)]
    assert ("2 questions of the playground" in said, left, [one.ask_id for one in playground.saved(ws)]) == (
        True, ["Where is it?"], ["other"])  # fmt: skip
    ws.close()
    assert holding(ws.root, "karenina", "ana kar", "enina") == []
