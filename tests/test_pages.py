"""Each page alone under Streamlit's own test driver, on an empty and on a filled workspace."""

from __future__ import annotations

import getpass
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import card_text, findings, intake, label_sets, labels, leaks, records, reviews, runs, snapshots, validation
from studio import workspace as folders
from studio.columns import Choices
from studio.records import Filter
from studio.snapshots import Recipe
from studio.workspace import Workspace
from tests.bad_files import write
from tests.checks import NOT_WORTH, email, found, import_twelve, recorded_check, signature
from tests.children import wait_until
from tests.conftest import ROOT
from tests.inspections import recorded_inspection
from tests.tickets import (
    COLUMNS,
    filled,
    forty,
    freeze_forty,
    import_forty,
    opened,
    write_csv,
)

pytestmark = pytest.mark.heavy

PAGES = (
    "overview",
    "import_tickets",
    "clean",
    "twins",
    "curate",
    "label",
    "forget",
    "freeze",
    "snapshots",
    "validate",
    "launch",
    "runs",
    "models",
    "evaluate",
    "review",
    "playground",
    "deploy",
    "monitor",
    "server",
)
EMPTY_WORDS = {
    "overview": "Your own tickets",
    "import_tickets": "Nothing is changed until you press Import",
    "clean": "checked for what a model should never learn. There are none yet",
    "twins": "does not learn them twice and is not tested on what it learned. There are none yet",
    "curate": "There are none yet",
    "label": "Here people answer questions about records",
    "forget": "Nobody's data is here yet",
    "freeze": "A snapshot needs records",
    "snapshots": "None was frozen yet",
    "validate": "says every problem by line",
    "launch": "Training needs a frozen snapshot",
    "runs": "None was started yet",
    "models": "No model was tuned here yet",
    "evaluate": "No model was tuned yet",
    "review": "A review needs two models' answers",
    "playground": "the base model answers alone",
    "deploy": "a tuned model goes out of the door",
    "monitor": "See here what production says",
    "server": "There is no backup of this workspace",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path / "ws"


def draw(name: str, **query: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=30)
    for key, value in query.items():
        page.query_params[key] = value
    return page.run()


def words(page: AppTest) -> str:
    parts = [*page.title, *page.subheader, *page.markdown, *page.caption, *page.warning, *page.error, *page.success]
    return "\n".join(str(part.value) for part in parts).replace(":small[]", "")  # which parts an address, and draws nothing


@pytest.mark.parametrize("name", PAGES)
def test_on_an_empty_workspace_the_page_says_what_it_is_for(home: Path, name: str) -> None:
    page = draw(name)
    assert (list(page.exception), EMPTY_WORDS[name] in words(page)) == ([], True)


@pytest.mark.parametrize("name", PAGES)
def test_on_a_filled_workspace_the_page_draws_without_errors(home: Path, name: str) -> None:
    filled(folders.open_workspace(home))
    page = draw(name)
    assert (list(page.exception), list(page.error), len(page.title)) == ([], [], 1)


def test_overview_shows_the_latest_verdict_with_its_interval(home: Path) -> None:
    filled(folders.open_workspace(home))
    said = words(draw("overview")).replace("\\", "")
    assert "**The tuned model is better than the base model.** ROUGE-L: base 0.20 [0.20, 0.20], tuned 0.49" in said


def test_the_sample_opens_with_one_press(home: Path) -> None:
    page = draw("import_tickets")
    next(button for button in page.button if button.label == "Import the sample").click()
    said = "**468 conversations** came in. 682 rows = 522 imported + 148 filtered + 12 refused + 0 already here"
    assert said in words(page.run())


def test_a_file_is_counted_before_it_is_imported(home: Path, tmp_path: Path) -> None:
    page = draw("import_tickets", path=str(forty(tmp_path / "forty.csv")))
    assert "**16 new conversations.** 40 rows = 16 imported + 24 filtered + 0 refused + 0 already here" in words(page)


def test_a_counted_file_is_imported_with_one_press(home: Path, tmp_path: Path) -> None:
    page = draw("import_tickets", path=str(forty(tmp_path / "forty.csv")))
    next(button for button in page.button if button.label == "Import 16 conversations").click()
    assert "**16 conversations** came in. 40 rows = 16 imported + 24 filtered" in words(page.run())


def test_a_file_that_cannot_be_used_is_said_to_be_so_on_the_page(home: Path, tmp_path: Path) -> None:
    page = draw("import_tickets", path=str(write(tmp_path, "cut.csv")))
    assert ("ends inside a quoted cell" in words(page), list(page.exception)) == (True, [])


def test_files_that_are_gone_are_asked_for_again(home: Path) -> None:
    assert "not waiting any more" in words(draw("import_tickets", arrival="0123456789ab"))


def test_refused_rows_are_shown_with_line_and_reason(home: Path) -> None:
    page = draw("import_tickets")
    next(button for button in page.button if button.label == "Import the sample").click()
    table = page.run().dataframe[0].value
    columns = ["line", "reason", "begins with", "file"]
    assert (len(table), list(table.columns), table.iloc[0]["reason"]) == (12, columns, "no answer")


def test_a_bulk_drop_and_its_undo(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    page = draw("curate", view="Table", show="Kept")
    page.button(key="bulk-drop").click().run()
    dropped = ws.value("select count(*) from current_records where decision = 'drop'")
    next(button for button in page.button if button.label == "Undo my last act").click().run()
    assert (dropped, ws.value("select count(*) from current_records where decision = 'drop'")) == (4, 1)


def test_freeze_shows_what_it_will_write_before_it_does(home: Path) -> None:
    filled(folders.open_workspace(home))
    assert "39 records → **31 train**, **4 validation**, **4 test**" in words(draw("freeze"))


def test_a_share_that_leaves_nothing_is_said_on_the_page_and_nothing_is_frozen(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    page = draw("freeze")
    page.number_input[0].set_value(45)
    page.number_input[1].set_value(45)
    page.run()
    assert ("nothing is left to learn from" in words(page), len(ws.rows("select * from snapshots"))) == (True, 1)


def checked(home: Path) -> tuple[Workspace, list[str]]:
    """Twelve tickets: two open addresses, one open signature, one greeting below its threshold."""
    ws = folders.open_workspace(home)
    ids = import_twelve(ws)
    lines = [email(ws, ids[0]), email(ws, ids[1]), signature(ws, ids[2]), found(ids[3], "greeting", end_=5, score=0.3)]
    recorded_check(ws, lines)
    return ws, ids


def shown(page: AppTest) -> str:
    return "\n".join(part.proto.body for part in page.get("html"))


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click()
    return page.run()


def buttons(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def test_before_the_first_check_the_clean_page_offers_one_thing(home: Path) -> None:
    import_twelve(folders.open_workspace(home))
    assert buttons(draw("clean")) == ["Check all records"]


def test_kinds_stand_with_their_counts_and_the_place_is_marked_with_what_it_becomes(home: Path) -> None:
    checked(home)
    page = draw("clean")
    counted = [label for label in buttons(page) if " · " in label]
    place = '<mark>ana0@mail.example</mark> <span class="tw-becomes">→ [EMAIL_1]</span>'
    assert (counted, place in shown(page)) == (["E-mail address · 2", "Signature · 1", "Greeting line · 0"], True)


def test_the_address_names_the_kind(home: Path) -> None:
    checked(home)
    assert "→ removed" in shown(draw("clean", kind="signature"))


def test_above_an_answer_that_is_doubted_as_a_whole_stands_its_question(home: Path) -> None:
    ws, ids = checked(home)
    recorded_check(ws, [found(ids[4], "off_topic", turn=2)])
    assert '<div class="tw-said tw-asked">Where is my parcel 4?' in shown(draw("clean", kind="off_topic"))


def test_text_from_the_data_is_escaped_around_and_inside_the_mark(home: Path) -> None:
    ws, ids = checked(home)
    record = records.get(ws, ids[5])
    evil = [*record.messages[:-1], {"role": "assistant", "content": "<b>bold</b><script>alert(1)</script>"}]
    records.edit(ws, ids[5], evil, "ann")
    recorded_check(ws, [found(ids[5], "html", turn=2, start=3, end_=11, replacement="<i>")], only_new=True)
    page = draw("clean", kind="html")
    assert "&lt;b&gt;<mark>bold&lt;/b&gt;</mark>" in shown(page) and "<script>" not in shown(page) + words(page)


def test_applying_a_fix_changes_the_records_and_offers_to_check_them_again(home: Path) -> None:
    ws, ids = checked(home)
    page = press(draw("clean", kind="email"), "Apply to these 2 records")
    assert (records.get(ws, ids[0]).version, "Check 2 new or changed records" in buttons(page)) == (2, True)


def test_the_clean_page_undoes_what_it_did(home: Path) -> None:
    ws, _ = checked(home)
    page = press(draw("clean", kind="email"), "Drop these 2 records")
    dropped = records.counts(ws).drop
    press(page, "Undo my last act")
    assert (dropped, records.counts(ws).drop) == (2, 0)


def test_moving_the_threshold_changes_the_counts_at_once(home: Path) -> None:
    ws, _ = checked(home)
    page = draw("clean", kind="greeting")
    page.slider[0].set_value(0.25).run()
    assert (findings.thresholds(ws)["greeting"], "Greeting line · 1" in buttons(page)) == (0.25, True)


def test_not_a_problem_takes_one_finding_off_the_list(home: Path) -> None:
    checked(home)
    page = press(draw("clean", kind="email"), "Not a problem")
    assert ("E-mail address · 1" in buttons(page), "ana0@mail.example" in shown(page)) == (True, False)


def test_answers_not_worth_training_on_are_said_aloud(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_twelve(ws)
    recorded_check(ws, [], worth=(NOT_WORTH, ("0 % of the answers fit.", 0.0)), is_worth=False)
    said = draw("clean").warning[0].value
    assert ("not worth training on" in said, "of the answers fit" in said) == (True, True)


def test_the_runs_page_leads_from_a_check_to_its_findings(home: Path) -> None:
    checked(home)
    assert "Open the findings" in buttons(draw("runs"))


def test_freezing_what_was_never_checked_asks_first(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_twelve(ws)
    page = draw("freeze")
    button = next(button for button in page.button if button.label == "Freeze anyway")
    assert ("These records were not checked for personal data." in words(page), button.disabled) == (True, True)


def test_freezing_with_open_privacy_findings_takes_a_tick_and_is_noted(home: Path) -> None:
    checked(home)
    page = draw("freeze")
    asked = "2 records hold open privacy findings." in words(page)
    recorded_inspection(folders.open_workspace(home))
    page.checkbox(key="accept-open").check().run()
    page = press(page, "Freeze anyway")
    said = findings.accepted(folders.open_workspace(home), snapshots.every(folders.open_workspace(home))[0].snapshot_id)
    assert (asked, "froze it with 2 records with open privacy findings" in said) == (True, True)


def test_freezing_what_is_settled_asks_nothing(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_twelve(ws)
    recorded_check(ws, [])
    recorded_inspection(ws)
    page = draw("freeze")
    assert (buttons(page), page.button[0].disabled) == (["Freeze snapshot"], False)


def test_nothing_is_frozen_before_its_leaks_were_looked_for(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_twelve(ws)
    recorded_check(ws, [])
    page = draw("freeze")
    assert (buttons(page), page.button[1].disabled) == (["Check for leaks", "Freeze snapshot"], True)


def test_another_seed_asks_for_another_check(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_twelve(ws)
    recorded_inspection(ws)
    page = draw("freeze")
    page.number_input[2].set_value(99).run()
    assert "Check for leaks" in buttons(page)


def test_leaks_stand_side_by_side_and_each_is_decided_about(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_forty(ws)
    recorded_check(ws, [])
    found = recorded_inspection(ws, leaking=3)
    page = draw("freeze")
    assert ("**3 lines of validation and test resemble train.**" in words(page), "<del>" in shown(page)) == (True, True)
    page.button(key=f"accept-test-{found[1]}").click().run()
    page = press(page, "Quarantine all 2 open")
    assert "Checked for leaks: 2 lines quarantined, 1 accepted." in words(page)
    press(page, "Freeze snapshot")
    made = snapshots.every(ws)[0]
    assert (made.test, [leak.item_id for leak in leaks.of_snapshot(ws, made.snapshot_id)]) == (2, [found[1]])


def test_a_snapshot_nobody_checked_says_so_aloud(home: Path) -> None:
    filled(folders.open_workspace(home))
    page = draw("snapshots")
    assert (card_text.NOT_CHECKED in page.warning[0].value, "Check for leaks now" in buttons(page)) == (True, True)


def test_a_card_says_what_was_measured_and_whether_it_is_enough(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_forty(ws)
    recorded_inspection(ws, Recipe())
    snapshots.freeze(ws, "s", Recipe())
    said = words(draw("snapshots"))
    assert ("48 tokens in the middle" in said, "English 95 %, German 5 %" in said, "32 lines to train on" in said) == (
        True, True, True)  # fmt: skip


@pytest.mark.parametrize("view", ["Card", "Lines", "Compare", "Export", "Test file"])
def test_every_view_of_a_snapshot_draws(home: Path, view: str) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    snapshots.freeze(ws, "Another", Recipe(seed=5))
    page = draw("snapshots", view=view)
    assert (list(page.exception), list(page.error)) == ([], [])


def test_two_snapshots_are_compared_with_links_to_the_records(home: Path) -> None:
    ws = folders.open_workspace(home)
    snapshot = freeze_forty(ws)
    snapshots.freeze(ws, "Later", Recipe(sizes=(20, 6, 12), seed=5))
    page = draw("snapshots", view="Compare", snapshot=snapshot.snapshot_id)
    table = page.dataframe[0].value
    assert (list(table.columns), table.iloc[0]["record"][:15]) == (["record", "part", "wording"], "/curate?record=")


def test_with_a_token_a_snapshot_can_be_pushed_and_without_one_the_page_says_why(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(folders.open_workspace(home))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    bare = draw("snapshots", view="Export")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    ready = draw("snapshots", view="Export")
    assert ("HF_TOKEN is not set" in words(bare), "Push to the Hub" in buttons(bare)) == (True, False)
    assert ("Push to the Hub" in buttons(ready), "hf_secret" in words(ready)) == (True, False)


def test_split_by_time_says_where_the_future_begins(home: Path, tmp_path: Path) -> None:
    ws = folders.open_workspace(home)
    header = ("ticket", "message", "answer", "rating", "topic", "asked")
    rows = [(f"T{n}", f"question {n} here", f"answer {n}", "5", "x", f"2026-03-{1 + n:02}" if n else "") for n in range(30)]
    path = write_csv(tmp_path / "dated.csv", rows, header)
    intake.import_file(ws, path, path.name, Choices(replace(COLUMNS, time="asked")))
    page = draw("freeze")
    page.toggle(key="by-time").set_value(True).run()
    assert "By time: validation from 2026-03-25, test from 2026-03-28. 1 record without a date goes to train." in words(page)


def test_a_folder_that_is_no_snapshot_is_refused_on_the_page(home: Path, tmp_path: Path) -> None:
    folders.open_workspace(home)
    page = draw("snapshots")
    page.text_input(key="adopt-folder").set_value(str(tmp_path)).run()
    page = press(page, "Adopt it")
    assert "There is no snapshot in" in words(page)


def test_an_import_can_be_marked_as_written_by_a_model(home: Path, tmp_path: Path) -> None:
    page = draw("import_tickets", path=str(forty(tmp_path / "forty.csv")))
    next(box for box in page.checkbox if box.label == "A model wrote these answers").check().run()
    press(page, "Import 16 conversations")
    assert folders.open_workspace(home).value("select synthetic from imports") is True


def test_the_first_label_set_is_made_from_a_ready_one(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    press(draw("label"), "Make this set")
    found = label_sets.every(ws)[0]
    assert (found.name, [option.value for option in found.fields[0].options]) == ("Intent", ["colour", "fit", "late", "torn"])


def test_a_label_set_that_cannot_be_asked_is_refused_in_words_and_not_saved(home: Path) -> None:
    filled(folders.open_workspace(home))
    page = draw("label")
    next(area for area in page.text_area if area.label == "Options, one a line").set_value("late\nlate").run()
    button = next(button for button in page.button if button.label == "Make this set")
    assert ("Two options of Intent have the same value" in words(page), button.disabled) == (True, True)


def test_a_changed_label_set_keeps_what_was_answered_before(home: Path) -> None:
    ws, made = labelled(home)
    page = draw("label", view="Sets")
    next(area for area in page.text_area if area.label == "Options, one a line").set_value("late\nother").run()
    press(page, "Save the set")
    assert (label_sets.get(ws, made).version, labels.total(ws)) == (2, 4)


def labelled(home: Path) -> tuple[Workspace, str]:
    """Two people over four records of forty; they disagree on the last."""
    ws = folders.open_workspace(home)
    filled(ws)
    made = label_sets.save(ws, label_sets.starter_sets(ws)[0] | {"needed": 2}, "ann").set_id
    for n, record in enumerate(records.page(ws, Filter(), 4)):
        labels.answer(ws, made, record.record_id, {"intent": "late"}, "ann", f"a{n}", 2.0)
        labels.answer(ws, made, record.record_id, {"intent": "late" if n < 3 else "torn"}, "ben", f"b{n}", 4.0)
    return ws, made


def test_progress_stands_by_person(home: Path) -> None:
    labelled(home)
    table = draw("label", view="Progress").dataframe[0].value
    found = list(zip(table["person"], table["answers"], table["a record"], strict=True))
    assert found == [("ann", 4, "2 s"), ("ben", 4, "4 s")]


def test_agreement_stands_by_field_with_its_confusions(home: Path) -> None:
    labelled(home)
    page = draw("label", view="Agreement")
    tables = [table.value for table in page.dataframe]
    assert (tables[0]["raw agreement"][0][:4], tables[1]["torn"].dropna().tolist(), list(page.exception)) == ("0.75", [1], [])


def test_agreement_without_a_second_opinion_says_what_to_do(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    label_sets.save(ws, label_sets.starter_sets(ws)[0], "ann")
    assert "records that two people have answered" in words(draw("label", view="Agreement"))


@pytest.mark.parametrize("view", ["Label", "Settle", "Suggestions"])
def test_every_view_of_the_label_page_draws(home: Path, view: str) -> None:
    labelled(home)
    page = draw("label", view=view)
    assert (list(page.exception), list(page.error)) == ([], [])


def test_who_opened_a_review_can_end_it(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    session = opened(ws, reviews.sessions(ws)[0].run_id, 3, getpass.getuser())
    page = draw("review", session=session)
    page.toggle(key="organiser").set_value(True).run()
    page.button(key="reveal").click().run()
    assert reviews.get(ws, session).revealed


def test_a_lost_run_is_said_to_be_lost_and_can_be_resumed(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    (ws.path("runs/trained00001") / "result.json").unlink()
    (ws.path("runs/trained00001") / "launch.json").write_text('{"attempt": 1, "at": 0}')
    page = draw("runs", run="trained00001")
    assert (
        runs.get(ws, "trained00001").state,
        "gone without a word" in words(page),
        "Resume from what it saved" in [button.label for button in page.button],
    ) == ("lost", True, True)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("runs", "run"),
        ("clean", "kind"),
        ("snapshots", "snapshot"),
        ("evaluate", "run"),
        ("review", "session"),
        ("launch", "base"),
    ],
)
def test_an_address_that_names_what_is_gone_still_draws(home: Path, name: str, key: str) -> None:
    filled(folders.open_workspace(home))
    assert list(draw(name, **{key: "gone"}).exception) == []


def test_the_router_turns_an_error_meant_for_people_into_words(home: Path) -> None:
    page = AppTest.from_file(str(ROOT / "studio" / "app.py"), default_timeout=30)
    home.write_text("a file where the folder should be")
    page.run()
    assert (list(page.exception), len(page.error)) == ([], 1)


def test_a_file_is_validated_and_its_problems_are_listed_by_line(home: Path, tmp_path: Path) -> None:
    ws = folders.open_workspace(home)
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n' * 12)
    run_id = validation.start(ws, str(tmp_path / "bad.jsonl"), 8192)
    wait_until(lambda: not runs.get(ws, run_id).moving, ws.path(f"runs/{run_id}"))
    page = draw("validate", run=run_id)
    table = page.dataframe[1].value
    assert ("Not ready" in words(page), len(table), table.iloc[0]["line"]) == (True, 13, 1)


def test_a_customer_is_forgotten_after_a_tick_and_a_press(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    page = draw("forget")
    page.text_input[0].set_value("T3").run()
    said = words(page)
    next(box for box in page.checkbox if "cannot be undone" in box.label).check().run()
    next(button for button in page.button if button.label == "Forget 1 conversation for good").click().run()
    assert ("1 conversations with every wording" in said, "Forgotten:** 1 conversation" in words(page)) == (True, True)
