"""Findings: what counts as open, what people say of it, and fixes that can be undone."""

from __future__ import annotations

import json

import pytest

from studio import check_items, findings, records, runs, snapshots, starts
from studio.errors import StudioError
from studio.findings import Gate, KindCount
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests import children
from tests.checks import email, found, import_twelve, recorded_check, signature


@pytest.fixture
def ids(ws: Workspace) -> list[str]:
    return import_twelve(ws)


def counted(ws: Workspace, kind: str) -> KindCount:
    return next(one for one in findings.kinds(ws) if one.kind.key == kind)


def opened(ws: Workspace, kind: str) -> tuple[int, int]:
    return counted(ws, kind).open, counted(ws, kind).records


def customer(ws: Workspace, record_id: str) -> str:
    return records.get(ws, record_id).messages[1]["content"]


def test_findings_are_counted_by_kind_and_by_record(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[0], start=0, end_=5), email(ws, ids[1])])
    assert opened(ws, "email") == (3, 2)


def test_a_finding_below_its_threshold_is_kept_but_does_not_count(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0], score=0.4), email(ws, ids[1], score=0.6)])
    assert (opened(ws, "email"), counted(ws, "email").seen) == ((1, 1), 2)


def test_a_lower_threshold_counts_at_once_without_another_check(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0], score=0.4)])
    findings.set_threshold(ws, "email", 0.4, "ann")
    assert (opened(ws, "email"), len(runs.every(ws, "check"))) == ((1, 1), 1)


def test_the_newest_threshold_counts(ws: Workspace, ids: list[str]) -> None:
    findings.set_threshold(ws, "email", 0.9, "ann")
    findings.set_threshold(ws, "email", 0.2, "bob")
    assert findings.thresholds(ws)["email"] == 0.2


def test_thresholds_and_dismissals_come_back_from_the_journal(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0])])
    findings.set_threshold(ws, "email", 0.3, "ann")
    findings.dismiss(ws, findings.of_record(ws, ids[0])[0], "ann")
    with ws.transaction() as transaction:
        for table in ("finding_thresholds", "finding_dismissals", "journaled"):
            transaction.execute(f"delete from {table}")
    ws.close()
    again = Workspace(ws.root)
    came_back = findings.thresholds(again)["email"], opened(again, "email")
    again.close()
    assert came_back == (0.3, (0, 0))


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_that_no_score_can_have_is_refused(ws: Workspace, threshold: float) -> None:
    with pytest.raises(StudioError, match="between 0 and 1"):
        findings.set_threshold(ws, "email", threshold, "ann")


def test_an_unknown_kind_is_refused_in_words(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="no kind of finding called gone"):
        findings.page(ws, "gone", 10)


def test_examples_come_surest_first_or_least_sure_first(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[place], score=score) for place, score in enumerate((0.7, 0.9, 0.8))])
    scores = [[one.score for one in findings.page(ws, "email", 2, 0, least)] for least in (False, True)]
    assert scores == [[0.9, 0.8], [0.7, 0.8]]


def test_examples_go_on_where_the_page_before_ended(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, record_id) for record_id in ids])
    pages = [one.record.record_id for skip in (0, 5, 10) for one in findings.page(ws, "email", 5, skip)]
    assert pages == ids


def test_a_finding_of_an_older_wording_is_no_longer_open(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0])])
    record = records.get(ws, ids[0])
    records.edit(ws, ids[0], [*record.messages[:-1], {"role": "assistant", "content": "New."}], "ann")
    assert (opened(ws, "email"), findings.unchecked(ws)) == ((0, 0), 1)


def test_a_dropped_record_holds_no_open_findings_until_the_drop_is_undone(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    dropped = findings.drop(ws, "email", "ann")
    before = opened(ws, "email")
    findings.undo(ws, "ann")
    assert (dropped, before, opened(ws, "email")) == (2, (0, 0), (2, 2))


def test_not_a_problem_is_not_asked_again_by_a_later_check(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    findings.dismiss(ws, findings.of_record(ws, ids[0])[0], "ann")
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    assert [one.record.record_id for one in findings.page(ws, "email", 5)] == [ids[1]]


def test_undo_takes_back_the_newest_act_whatever_it_was(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), signature(ws, ids[1])])
    findings.dismiss(ws, findings.of_record(ws, ids[0])[0], "ann")
    findings.drop(ws, "signature", "ann")
    undone = [findings.undo(ws, "ann"), findings.undo(ws, "ann"), findings.undo(ws, "ann")]
    assert [one.sentence if one else None for one in undone] == [
        f"Undone: drop {ids[1]}", "Undone: not a problem (E-mail address)", None]  # fmt: skip


def test_nobody_undoes_what_another_called_no_problem(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0])])
    findings.dismiss(ws, findings.of_record(ws, ids[0])[0], "ann")
    assert (findings.undo(ws, "bob"), opened(ws, "email")) == (None, (0, 0))


def test_a_fix_makes_a_new_wording_of_every_record_it_concerns(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    applied = findings.apply(ws, ["email"], "ann")
    words = [customer(ws, ids[n]).removeprefix(f"Where is my parcel {n}? Write to ") for n in range(3)]
    assert (applied.changed, words) == (2, ["[EMAIL_1]", "[EMAIL_1]", "ana2@mail.example"])


def test_a_fix_is_undone_whole(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    before = [customer(ws, record_id) for record_id in ids]
    findings.apply(ws, ["email"], "ann")
    undone = findings.undo(ws, "ann")
    assert ([customer(ws, record_id) for record_id in ids], undone.sentence if undone else "") == (
        before, "Undone: replace personal data in 2 records (E-mail address)")  # fmt: skip


def test_a_fix_can_be_made_in_chosen_records_only(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    findings.apply(ws, ["email"], "ann", [ids[1]])
    assert [records.get(ws, record_id).version for record_id in ids[:2]] == [1, 2]


def test_several_kinds_are_fixed_as_one_act(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), signature(ws, ids[0])])
    findings.apply(ws, ["email", "signature"], "ann")
    record = records.get(ws, ids[0])
    assert (record.version, record.messages[1]["content"][-9:], record.answer) == (2, "[EMAIL_1]", "On its way, number 0.")


def test_a_dismissed_finding_is_not_fixed(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    findings.dismiss(ws, findings.of_record(ws, ids[0])[0], "ann")
    assert (findings.apply(ws, ["email"], "ann").changed, customer(ws, ids[0])[-17:]) == (1, "ana0@mail.example")


def test_fixed_records_are_unchecked_until_the_next_check(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), signature(ws, ids[0]), signature(ws, ids[1])])
    findings.apply(ws, ["email"], "ann")
    before = findings.unchecked(ws), opened(ws, "signature")
    recorded_check(ws, [signature(ws, ids[0])], only_new=True)
    assert (before, findings.unchecked(ws), opened(ws, "signature")) == ((1, (1, 1)), 0, (2, 2))


def test_a_check_of_new_records_leaves_the_findings_of_others_alone(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    record = records.get(ws, ids[1])
    records.edit(ws, ids[1], [*record.messages[:-1], {"role": "assistant", "content": "New."}], "ann")
    recorded_check(ws, [], only_new=True)
    assert [one.record.record_id for one in findings.page(ws, "email", 5)] == [ids[0]]


def test_what_all_records_together_show_is_said_anew_by_every_check(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [found(ids[0], "macro"), found(ids[1], "macro")])
    record = records.get(ws, ids[0])
    records.edit(ws, ids[0], [*record.messages[:-1], {"role": "assistant", "content": "New."}], "ann")
    recorded_check(ws, [found(ids[2], "macro")], only_new=True)
    assert [one.record.record_id for one in findings.page(ws, "macro", 5)] == [ids[2]]


def test_collecting_a_check_again_changes_nothing(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0])])
    assert (runs.collect(ws), opened(ws, "email")) == ([], (1, 1))


def test_after_collecting_no_copy_of_the_texts_stays_in_the_run_folder(ws: Workspace, ids: list[str]) -> None:
    run_id = recorded_check(ws, [email(ws, ids[0])])
    assert {path.name for path in ws.path(f"runs/{run_id}").iterdir()} <= {"spec.json", "launch.json", "result.json"}


def test_the_gate_knows_that_nothing_was_ever_checked(ws: Workspace, ids: list[str]) -> None:
    assert findings.privacy_gate(ws) == Gate(0, 12, False)


def test_the_gate_counts_records_with_open_privacy_findings_and_no_others(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1]), signature(ws, ids[2])])
    assert findings.privacy_gate(ws) == Gate(2, 0, True)


def test_the_gate_can_look_at_kept_records_only(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    records.decide(ws, [ids[1], ids[2]], "keep", "ann")
    assert findings.privacy_gate(ws, only_kept=True) == Gate(1, 0, True)


def test_a_record_that_could_not_be_checked_does_not_pass_the_gate(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [found(ids[0], "not_checked", turn=-1, score=1.0)])
    assert not findings.privacy_gate(ws).clear


def test_freezing_all_the_same_is_noted_and_changes_no_byte(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0])])
    recipe = Recipe(sizes=(6, 3, 3))
    planned = snapshots.freeze(ws, "s", recipe, findings.privacy_gate(ws), "ann")
    manifest = snapshots.content(ws, planned, "manifest.json")
    assert (findings.accepted(ws, planned.snapshot_id), b"ann" in manifest) == (
        "ann froze it with 1 record with open privacy findings.", False)  # fmt: skip


def test_a_clear_gate_is_not_noted(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [])
    snapshot = snapshots.freeze(ws, "s", Recipe(sizes=(6, 3, 3)), findings.privacy_gate(ws), "ann")
    assert findings.accepted(ws, snapshot.snapshot_id) == ""


@pytest.mark.heavy
def test_a_check_goes_from_the_app_through_its_process_and_back(ws: Workspace, ids: list[str]) -> None:
    run_id = starts.check(ws)
    with pytest.raises(StudioError, match="running already"):
        starts.check(ws)
    children.collected(ws, run_id)
    one = findings.page(ws, "email", 1, 3)[0]
    marked = one.text[one.start : one.end], one.replacement
    assert (opened(ws, "email"), marked, findings.unchecked(ws)) == ((12, 12), ("ana3@mail.example", "[EMAIL_1]"), 0)


def test_when_all_is_checked_there_is_nothing_to_start(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [])
    with pytest.raises(StudioError, match="nothing to check"):
        starts.check(ws)


def test_made_up_values_take_the_place_of_personal_data_and_are_known_later(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0])])
    findings.apply(ws, ["email"], "ann", style="surrogate")
    known = [row["value"] for row in ws.rows("select value from surrogates where record_id = ?", [ids[0]])]
    assert (len(known), known[0].endswith("@example.com"), known[0] in customer(ws, ids[0])) == (1, True, True)


def test_a_check_is_given_the_made_up_values_of_a_record(ws: Workspace, ids: list[str]) -> None:
    recorded_check(ws, [email(ws, ids[0])])
    findings.apply(ws, ["email"], "ann", style="surrogate")
    with ws.transaction() as transaction:
        check_items.choose(transaction, "next", True)
    check_items.write_out(ws, "next", ws.root / "records.jsonl")
    line = json.loads((ws.root / "records.jsonl").read_text().splitlines()[0])
    assert line["own"] == [row["value"] for row in ws.rows("select value from surrogates")]
