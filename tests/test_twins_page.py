"""The Twins page under Streamlit's own test driver: searching, the dial, groups, conflicts, cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import duplicate_groups, duplicates, records
from studio import workspace as folders
from studio.workspace import Workspace
from tests.checks import recorded_check
from tests.recorded_twins import asked, import_tickets, recorded_search
from tests.test_pages import draw, press, shown, words

pytestmark = pytest.mark.heavy


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace that the page opens as well."""
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    return folders.open_workspace(tmp_path / "ws")


def searched(ws: Workspace) -> list[str]:
    """Five copies of a question rated 1 to 5 and answered in two ways; two near ones; a chain; one alone."""
    tickets = [asked(7, str(n + 1), "late", f"2026-01-0{n + 1}", f"Answer {n % 2}.") for n in range(5)]
    tickets += [asked(1, "5", "torn"), asked(2, "1", "torn"), asked(3, "3"), asked(4, "2"), asked(5, "4"), asked(9, "4")]
    ids = import_tickets(ws, tickets)
    copies = dict.fromkeys(range(1, 5), 0)
    recorded_search(ws, ids, copies, [(5, 6, 0.92, 0.1), (7, 8, 0.9), (8, 9, 0.85)])
    return ids


def dropped(ws: Workspace, ids: list[str]) -> list[int]:
    return [place for place, record in enumerate(records.every(ws, ids)) if record.decision == "drop"]


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def press_first(page: AppTest, beginning: str) -> AppTest:
    next(button for button in page.button if button.label.startswith(beginning)).click()
    return page.run()


def test_before_the_first_search_the_page_offers_one_thing(ws: Workspace) -> None:
    import_tickets(ws, [asked(n) for n in range(3)])
    page = draw("twins")
    assert (labels(page), "Questions were not compared yet" in words(page)) == (["Search for twins"], True)


def test_tfidf_is_said_to_see_words_and_not_meaning(ws: Workspace) -> None:
    import_tickets(ws, [asked(n) for n in range(3)])
    page = draw("twins")
    page.radio[0].set_value("tfidf").run()
    assert "The offline fallback: it sees shared words, not meaning." in words(page)


def test_a_model_needs_its_folder_before_the_search_can_start(ws: Workspace) -> None:
    import_tickets(ws, [asked(n) for n in range(3)])
    page = draw("twins")
    page.radio[0].set_value("model2vec").run()
    without = page.button[0].disabled
    page.text_input[0].set_value("/models/potion").run()
    assert (without, page.button[0].disabled) == (True, False)


def test_an_endpoint_is_warned_about_and_open_privacy_findings_ask_for_a_tick(ws: Workspace) -> None:
    ids = import_tickets(ws, [("Write to ana@mail.example", "Yes."), asked(1)])
    record = records.get(ws, ids[0])
    found = {"start": 9, "end_": 25, "turn": next(n for n, t in enumerate(record.messages) if t["role"] == "user")}
    recorded_check(ws, [{**_email(ids[0]), **found}])
    page = draw("twins")
    page.radio[0].set_value("endpoint").run()
    page.text_input[0].set_value("https://api.example.com/v1").run()
    page.text_input[1].set_value("embed-small").run()
    warned, before = page.warning[0].value, page.button[0].disabled
    page.checkbox[0].check().run()
    assert "dropped ones too, are sent to" in warned and "1 record among them holds open privacy findings" in warned
    assert (before, page.button[0].disabled) == (True, False)


def _email(record_id: str) -> dict[str, object]:
    return {"record_id": record_id, "kind": "email", "score": 0.9, "evidence": "Because.", "replacement": "[EMAIL_1]"}


def test_a_search_that_is_older_than_newer_records_says_so(ws: Workspace) -> None:
    searched(ws)
    import_tickets(ws, [asked(11), asked(12)], "newer.csv")
    page = draw("twins")
    assert "2 records came in, changed or went since this search" in words(page)
    assert "Search all records again" in labels(page)


def test_groups_stand_with_what_stays_beside_what_falls(ws: Workspace) -> None:
    searched(ws)
    page = draw("twins")
    assert "**5 records**, 1 wording · the same word for word · ratings 4 apart" in words(page)
    assert "Falls, 0.92 alike" in shown(page) and "Accept all 3 groups on this page: drop 6 records" in labels(page)


def test_differences_between_twins_are_marked(ws: Workspace) -> None:
    searched(ws)
    assert "parcel number<del> 1</del><ins> 2</ins>?" in shown(draw("twins"))


def test_word_for_word_copies_are_folded(ws: Workspace) -> None:
    searched(ws)
    assert "and 4 word-for-word copies: 4 fall" in words(draw("twins"))


def test_text_from_the_data_is_escaped(ws: Workspace) -> None:
    evil = ("<script>alert(1)</script> **bold** [a](javascript:alert(2))", "<img src=x onerror=alert(3)>", "3", "<b>tag</b>")
    ids = import_tickets(ws, [evil, evil, asked(1)], "<i>desk</i>.csv".replace("/", "_"))
    recorded_search(ws, ids, {1: 0})
    for part in ("Groups", "Conflicts", "Cost"):
        page = draw("twins", part=part)
        assert "<script" not in shown(page) + words(page) and "<img" not in shown(page) + words(page)
        assert "<i>desk" not in shown(page) and not page.exception


def test_accepting_the_page_drops_what_was_counted_and_undo_brings_it_back(ws: Workspace) -> None:
    ids = searched(ws)
    page = press_first(draw("twins"), "Accept all 3 groups")
    fell = dropped(ws, ids)
    press(page, "Undo my last act")
    assert (fell, dropped(ws, ids)) == ([0, 1, 2, 3, 6, 8], [])


def test_accepting_one_group_leaves_the_others(ws: Workspace) -> None:
    ids = searched(ws)
    press(draw("twins"), "Accept: drop 4 records")
    assert dropped(ws, ids) == [0, 1, 2, 3]


def test_by_hand_the_chosen_record_stays(ws: Workspace) -> None:
    ids = searched(ws)
    page = draw("twins", rule="By hand")
    assert "Twin, 0.92 alike" in shown(page) and "Falls" not in shown(page) + words(page)
    page.button(key=next(b.key for b in page.button if b.key and b.key.endswith(ids[6]))).click().run()
    assert dropped(ws, ids) == [5]


def test_no_twins_takes_a_group_off_the_list_and_it_can_be_asked_about_again(ws: Workspace) -> None:
    searched(ws)
    press(draw("twins"), "No twins")
    without = duplicate_groups.tally(ws, "question")
    press(draw("twins", groups="No twins"), "Ask about it again")
    assert (without.open, without.dismissed, duplicate_groups.tally(ws, "question").open) == (2, 1, 3)


def test_moving_the_dial_groups_anew_at_once(ws: Workspace) -> None:
    searched(ws)
    page = draw("twins")
    page.slider[0].set_value(0.91).run()
    assert (duplicates.thresholds(ws, "question")["near"], "**2 groups** of 7 records" in words(page)) == (0.91, True)


def test_a_search_that_found_no_twins_says_what_to_do(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n, "3") for n in range(3)])
    recorded_search(ws, ids, pairs=[(0, 1, 0.6)])
    page = draw("twins")
    assert ("No twins at these thresholds" in page.info[0].value, list(page.exception)) == (True, [])


def test_nothing_left_open_is_said(ws: Workspace) -> None:
    searched(ws)
    page = press_first(draw("twins"), "Accept all 3 groups")
    assert "Nothing is open" in words(page)


def test_a_settled_group_lists_what_was_dropped(ws: Workspace) -> None:
    ids = searched(ws)
    records.decide(ws, ids[:5], "drop", "ann")
    page = draw("twins", groups="Settled")
    assert list(page.dataframe[0].value["decision"]) == ["drop"] * 5


def test_a_group_of_many_wordings_is_shown_part_by_part(ws: Workspace) -> None:
    ids = import_tickets(ws, [asked(n, "3") for n in range(20)])
    recorded_search(ws, ids, pairs=[(0, n, 0.9) for n in range(1, 20)])
    page = draw("twins")
    first = shown(page)
    page.number_input[0].set_value(4).run()
    assert ("Wordings 19 to 20 of 20" in words(page), shown(page) != first) == (True, True)


def test_conflicts_stand_with_their_answers_and_keeping_one_drops_the_others(ws: Workspace) -> None:
    ids = searched(ws)
    page = draw("twins", part="Conflicts")
    listed = "**2 questions** with answers that contradict" in words(page)
    press(page, "Keep this answer")
    assert (listed, dropped(ws, ids)) == (True, [1, 3])


def test_all_of_them_are_right_settles_a_conflict(ws: Workspace) -> None:
    searched(ws)
    page = press(draw("twins", part="Conflicts"), "All of them are right")
    assert "**1 question** with answers that contradict" in words(page)


def test_conflicts_of_answers_point_to_the_questions(ws: Workspace) -> None:
    ids = searched(ws)
    recorded_search(ws, ids, {2: 0, 4: 0}, side="answer")
    page = draw("twins", part="Conflicts", side="Answers")
    assert "Compare **Questions** to see them" in page.info[0].value


def test_the_cost_is_shown_before_all_is_accepted_with_a_warning_for_small_slices(ws: Workspace) -> None:
    ids = searched(ws)
    page = draw("twins", part="Cost")
    said = words(page)
    assert "Drops **6 of 11 (55 %)** records, out of 3 groups; **5** stay." in said and "tag **late**: 5 → 1" in said
    press(page, "Accept all: drop 6 records")
    assert len(dropped(ws, ids)) == 6


def test_an_address_that_names_what_is_gone_still_draws(ws: Workspace) -> None:
    searched(ws)
    assert list(draw("twins", side="gone", part="gone", rule="gone", page="gone", groups="gone", order="gone").exception) == []


def test_the_runs_page_leads_from_a_search_to_its_twins(ws: Workspace) -> None:
    searched(ws)
    assert "Open the twins" in labels(draw("runs"))


def test_records_marked_keep_are_left_alone_unless_told_otherwise(ws: Workspace) -> None:
    ids = searched(ws)
    records.decide(ws, ids[:2], "keep", "ann")
    page = draw("twins", part="Cost")
    spared = "Accept all: drop 5 records" in labels(page)
    page.checkbox(key="spare").uncheck().run()
    assert (spared, "Accept all: drop 6 records" in labels(page), "1 record of them is marked keep" in words(page)) == (
        True, True, True)  # fmt: skip
