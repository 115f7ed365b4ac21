"""The table of records: found by words, filtered, sorted, counted and paged; decided on in bulk and taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from studio import intake, label_sets, labels, marks, record_table, records, search
from studio import workspace as folders
from studio.columns import Choices
from studio.record_columns import Column
from studio.record_table import Found, Order, Wanted
from studio.records import Filter
from studio.workspace import Workspace
from tests.browser import chromium, grid, running, settled, shoot
from tests.checks import email, import_twelve, recorded_check
from tests.conftest import ROOT
from tests.tickets import COLUMNS, import_forty, write_csv


@pytest.fixture
def ids(ws: Workspace) -> list[str]:
    import_forty(ws)
    return [record.record_id for record in records.page(ws, Filter(), 40)]


def indexed(ws: Workspace) -> Workspace:
    while search.read_on(ws):
        pass
    return ws


def shown(ws: Workspace, wanted: Wanted, order: Order | None = None, number: int = 1, size: int = 40) -> list[str]:
    return [line.record.record_id for line in Found(ws, wanted).page(order or Order(), number, size).lines]


# Words ------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, found", [
    ("tent", 4), ("TENT", 4), ("ten", 4), ("tent late", 1), ("late, tent!", 1), ("ent", 0), ("tent unicorn", 0), ("--", 0),
    ("' or 1=1 --\"", 0), ("%", 0), ("_", 0)])
def test_every_word_must_begin_a_word_of_the_record_whether_or_not_the_index_has_read_it(
    ws: Workspace, ids: list[str], text: str, found: int
) -> None:
    before = record_table.matching(ws, Wanted(text=text))
    assert (before, search.unread(ws), record_table.matching(indexed(ws), Wanted(text=text)), search.unread(ws)) == (
        found, 40, found, 0)


def test_letters_of_scripts_without_spaces_are_found_one_by_one(ws: Workspace) -> None:
    rows = [("T1", "我要退款,谢谢", "好的 我们退款", "5", "x"), ("T2", "Größe ÄNDERN bitte", "Gern geändert.", "5", "x")]
    rows += [(f"T{n}", f"Something else {n}", "An answer.", "5", "x") for n in range(3, 12)]
    intake.import_file(ws, write_csv(ws.root / "t.csv", rows), "t.csv", Choices(COLUMNS))
    indexed(ws)
    assert [record_table.matching(ws, Wanted(text=text)) for text in ("退款", "größe", "ändern", "款谢猫")] == [1, 1, 1, 0]


def test_an_edit_is_found_at_once_and_the_old_words_are_not(ws: Workspace, ids: list[str]) -> None:
    indexed(ws)
    turns = [{"role": "user", "content": "My unicorn is torn."}, {"role": "assistant", "content": "Poor thing."}]
    records.edit(ws, ids[0], turns, "ann")
    edited = shown(ws, Wanted(text="unicorn")), ids[0] in shown(ws, Wanted(text="jacket"))
    records.undo(ws, "ann")
    assert (edited, shown(ws, Wanted(text="unicorn")), ids[0] in shown(ws, Wanted(text="jacket"))) == (
        ([ids[0]], False), [], True)


def test_many_edits_are_taken_into_the_index(ws: Workspace) -> None:
    rows = [(f"T{n}", f"Ticket number {n}.", "An answer.", "5", "x") for n in range(300)]
    intake.import_file(ws, write_csv(ws.root / "t.csv", rows), "t.csv", Choices(COLUMNS))
    indexed(ws)
    every = records.page(ws, Filter(), 300)
    records.rewrite(ws, [(one.record_id, 1, [{"role": "user", "content": "A unicorn."}, one.messages[-1]]) for one in every],
                    "ann", "unicorns everywhere")
    before = search.unread(ws), record_table.matching(ws, Wanted(text="unicorn"))
    indexed(ws)
    matching = [record_table.matching(ws, Wanted(text=text)) for text in ("unicorn", "ticket")]
    after = search.unread(ws), *matching
    assert (before, after) == ((300, 300), (0, 300, 0))


def test_records_that_come_in_later_are_found(ws: Workspace, ids: list[str]) -> None:
    indexed(ws)
    rows = [(f"N{n}", f"The unicorn number {n} is late.", "An answer.", "5", "x") for n in range(12)]
    intake.import_file(ws, write_csv(ws.root / "t.csv", rows), "t.csv", Choices(COLUMNS))
    before = record_table.matching(ws, Wanted(text="late"))
    assert (before, record_table.matching(indexed(ws), Wanted(text="late"))) == (22, 22)


def test_a_forgotten_record_leaves_no_word_behind(ws: Workspace, ids: list[str]) -> None:
    indexed(ws)
    with ws.transaction() as transaction:
        records.forget(transaction, ids[-4:])
    words = ws.value("select count(*) from record_words where word = 'hammock'")
    assert (words, record_table.matching(ws, Wanted(text="hammock")), record_table.matching(ws, Wanted())) == (0, 0, 36)


# Filters, order, pages --------------------------------------------------------------------------------------------------

def test_filters_hold_together(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:4], "keep", "ann")
    source = record_table.sources(ws)[0].import_id
    wanted = (Wanted("keep"), Wanted(tag="late"), Wanted(import_id=source), Wanted(import_id="other"), Wanted(rating_low=4),
              Wanted(rating_low=2, rating_high=3), Wanted("keep", "late", "jacket", source, 1, 1))
    assert [record_table.matching(ws, one) for one in wanted] == [4, 10, 40, 0, 16, 16, 1]


def test_open_findings_and_flags_filter(ws: Workspace) -> None:
    ids = import_twelve(ws)
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[5])])
    marks.put(ws, ids[3], "flag", "", "ann", "press")
    assert (shown(ws, Wanted(finding="email")), shown(ws, Wanted(flagged=True))) == ([ids[0], ids[5]], [ids[3]])


def test_every_column_sorts_both_ways_and_equal_ones_keep_the_order_they_came_in(ws: Workspace) -> None:
    columns = ("ticket", "message", "answer", "rating", "topic", "created")
    rows = [
        ("A", "Short one", "An answer.", "3", "x", "2026-01-03"),
        ("B", "This one is rather longer", "An answer.", "", "x", ""),
        ("C", "A middle one", "An answer.", "5", "x", "2026-01-01"),
        ("D", "Another one", "An answer.", "3", "x", "2026-01-02"),
    ]
    rows += [(f"E{n}", f"Row {n} that is the longest of them all", "An answer.", "3", "y", "2026-02-01") for n in range(8)]
    path = write_csv(ws.root / "t.csv", rows, columns)
    intake.import_file(ws, path, "t.csv", Choices(replace(COLUMNS, time="created")))
    indexed(ws)
    named = {record.record_id: record.external_id for record in records.page(ws, Filter(), 12)}

    def order(column: Column, descending: bool) -> str:
        return "".join(named[one] or "" for one in shown(ws, Wanted(tag="x"), Order(column, descending)))

    records.decide(ws, [next(one for one, name in named.items() if name == "C")], "drop", "ann")
    assert [order(column, down) for column in ("rating", "date", "length", "decision") for down in (False, True)] == [
        "ADCB", "CADB", "CDAB", "ADCB", "ADCB", "BCDA", "ABDC", "CABD"]


def test_pages_follow_each_other_and_a_number_too_high_gives_the_last(ws: Workspace, ids: list[str]) -> None:
    pages = [shown(ws, Wanted(), number=number, size=15) for number in (1, 2, 3, 9)]
    assert (pages[0] + pages[1] + pages[2], pages[3]) == (ids, ids[30:])


def test_facets_count_what_matches(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:3], "drop", "ann")
    counted = Found(ws, Wanted()).facet("decision"), Found(ws, Wanted("drop")).facet("tag")
    assert counted == ([("undecided", 37), ("drop", 3)], [("fit", 1), ("late", 1), ("torn", 1)])


def test_every_count_of_a_facet_equals_the_rows_behind_it(ws: Workspace, ids: list[str]) -> None:
    for value, number in Found(ws, Wanted()).facet("rating"):
        assert number == record_table.matching(ws, Wanted(rating_low=float(value), rating_high=float(value)))


def test_what_others_decide_meanwhile_is_seen_at_the_next_look(ws: Workspace, ids: list[str]) -> None:
    before = record_table.matching(ws, Wanted("undecided"))
    records.decide(ws, ids[:7], "keep", "bob")
    assert (before, record_table.matching(ws, Wanted("undecided"))) == (40, 33)


# In bulk ----------------------------------------------------------------------------------------------------------------

def test_a_bulk_decision_changes_as_many_as_were_previewed_and_is_undone_as_one_act(ws: Workspace, ids: list[str]) -> None:
    records.decide(ws, ids[:2], "drop", "ann")
    coming = len(Found(ws, Wanted()).undecided_so("drop"))
    done = record_table.decide_matching(ws, Wanted(), "drop", "ann")
    records.undo(ws, "ann")
    assert (coming, done, records.counts(ws).drop) == (38, 38, 2)


# On the page ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path / "ws"


def draw(**query: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / "curate.py"), default_timeout=30)
    for key, value in ({"view": "Table"} | query).items():
        page.query_params[key] = value
    return page.run()


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click()
    return page.run()


def test_the_address_holds_the_filter(home: Path) -> None:
    import_forty(folders.open_workspace(home))
    page = draw(show="All", tag="late", words="tent")
    assert (list(page.exception), len(page.dataframe[0].value)) == ([], 1)


def test_buttons_say_how_many_records_they_change_and_undo_takes_it_back(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_forty(ws)
    page = press(draw(show="All", tag="late"), "Drop 10 records")
    dropped = records.counts(ws).drop
    press(page, "Undo my last act")
    assert (dropped, records.counts(ws).drop) == (10, 0)


def test_a_count_narrows_the_filter_to_its_rows(home: Path) -> None:
    import_forty(folders.open_workspace(home))
    page = draw(**{"show": "All", "count-by": "Rating"})
    page.pills[0].set_value("2").run()
    assert [row["rating"] for _, row in page.dataframe[0].value.iterrows()] == [2.0] * 8


def test_all_that_match_are_labelled_as_one_act(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_forty(ws)
    intent = label_sets.save(ws, label_sets.starter_sets(ws)[0], "ann")
    page = draw(show="All", words="tent")
    page.selectbox(key=f"bulk-label-{intent.set_id}").set_value("late").run()
    press(page, "Label 4 records")
    given = [answer["intent"] for answer in labels.final(ws, intent.set_id).values()]
    labels.undo(ws, intent.set_id, labels.of_records(ws, intent.set_id, list(labels.final(ws, intent.set_id)))[
        next(iter(labels.final(ws, intent.set_id)))][0].who, "press")
    assert (given, labels.final(ws, intent.set_id)) == (["late"] * 4, {})


def test_a_tag_goes_on_and_off_what_matches_and_lacks_or_bears_it(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_forty(ws)
    marks.put(ws, records.page(ws, Filter(tag="late"), 1)[0].record_id, "tag", "warm", "ann", "m1")
    page = draw(show="All", tag="late")
    page.selectbox(key="bulk-tag").set_value("warm").run()
    press(page, "Tag 9 records")
    tagged = len(marks.positions(ws, "tag", "warm"))
    page.selectbox(key="bulk-tag").set_value("warm").run()
    press(page, "Take it off 10 records")
    assert (tagged, len(marks.positions(ws, "tag", "warm"))) == (10, 0)


def test_a_tag_that_people_put_on_filters(ws: Workspace, ids: list[str]) -> None:
    marks.put_many(ws, ids[3:5], "tag", "warm", "ann", "press")
    assert shown(ws, Wanted(marked="warm")) == ids[3:5]


def test_a_filter_that_matches_nothing_says_what_to_do(home: Path) -> None:
    import_forty(folders.open_workspace(home))
    page = draw(words="unicorn")
    assert ("No record matches these filters" in "\n".join(str(part.value) for part in page.markdown), page.dataframe.len) == (
        True, 0)


def test_dates_of_tickets_are_shown(home: Path) -> None:
    ws = folders.open_workspace(home)
    import_forty(ws)
    ws.rows("update records set happened_at = ?", [datetime(2026, 3, 4)])
    assert str(draw().dataframe[0].value["date"].iloc[0])[:10] == "2026-03-04"


@pytest.mark.slow
def test_in_a_browser_a_search_fills_the_address_and_ticked_rows_are_dropped(home: Path, chromium_here: str) -> None:
    ws = Workspace(home)
    import_forty(ws)
    ws.close()
    with running(home) as studio, chromium() as browser:
        page = browser.new_context().new_page()
        page.goto(f"{studio.url}/curate?view=Table&show=All")
        settled(page)
        page.get_by_label("Holds the words", exact=True).fill("tent")
        page.get_by_label("Holds the words", exact=True).press("Enter")
        expect(page.get_by_role("button", name="Drop 4 records")).to_be_visible(timeout=30_000)
        assert "words=tent" in page.url
        settled(page)
        shoot(page, "04c-curate-table")
        left, top = grid(page)
        page.mouse.click(left + 16, top + 36 + 16)  # the tick box of the first row
        page.get_by_role("button", name="Drop 1 record", exact=True).click(timeout=30_000)
        expect(page.get_by_text("Dropped 1 record.")).to_be_visible(timeout=30_000)
    ws = Workspace(home)
    found = [record.question for record in records.page(ws, Filter("drop"), 9)]
    ws.close()
    assert found == ["My tent is late."]


@pytest.mark.slow
def test_in_a_browser_a_click_on_a_column_sorts_all_rows_and_another_turns_the_order_round(
    home: Path, chromium_here: str
) -> None:
    ws = Workspace(home)
    import_forty(ws)
    ws.close()
    with running(home) as studio, chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(f"{studio.url}/curate?view=Table&show=All")
        for address in ("order=Rating", "order=Rating&down=true"):
            settled(page)
            left, top = grid(page)
            page.mouse.click(left + 245, top + 18)  # the head of the third column
            page.wait_for_url(lambda url, wanted=address: wanted in url, timeout=20_000)
