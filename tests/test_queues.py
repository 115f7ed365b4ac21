"""Queues: what comes next, for whom; nothing twice, nothing left out."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from studio import adjudicate, findings, intake, label_sets, labels, marks, queues, records, search, snapshots
from studio.boards import Order, Show
from studio.columns import Choices
from studio.errors import StudioError
from studio.queues import QueueFilter
from studio.workspace import Workspace
from tests.checks import found, recorded_check
from tests.label_cases import MOOD, ids, mood, say, turns
from tests.tickets import COLUMNS, freeze_forty, write_csv


def window(ws: Workspace, set_id: str, who: str, limit: int, show: Show = "open", order: Order = "oldest", after: str = "",
           session: str = "") -> list[str]:  # fmt: skip
    return queues.window(ws, QueueFilter(set_id, show), order, who, session or f"tab of {who}", limit, after)


def test_the_oldest_come_first_and_the_next_behind_them(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    first = window(ws, set_id, "ann", 5)
    assert first + window(ws, set_id, "ann", 5, after=first[-1]) == ids(ws, 10)


def test_two_people_get_different_records(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    assert window(ws, set_id, "ann", 5) + window(ws, set_id, "bob", 5) == ids(ws, 10)


def test_two_tabs_of_one_person_get_different_records(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    assert window(ws, set_id, "ann", 5, session="one") + window(ws, set_id, "ann", 5, session="two") == ids(ws, 10)


def test_a_session_that_leaves_gives_its_records_back(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    window(ws, set_id, "ann", 5)
    queues.leave(ws, "tab of ann")
    assert window(ws, set_id, "bob", 5) == ids(ws, 5)


def test_records_that_are_given_back_go_to_others(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    held = window(ws, set_id, "ann", 5)
    queues.give_back(ws, set_id, "tab of ann", held[:2])
    assert window(ws, set_id, "bob", 3) == [*held[:2], ids(ws)[5]]


def test_a_lease_ends_after_ten_minutes_without_a_word_and_every_window_renews_it(tmp_path: Path) -> None:
    clock = [datetime(2026, 1, 1, 12)]
    ws = Workspace(tmp_path / "ws", now=lambda: clock[0])
    set_id = mood(ws).set_id
    seen = []
    held = window(ws, set_id, "ann", 40)
    for minutes in (9, 9, 11):
        clock[0] += timedelta(minutes=minutes)
        seen.append(len(window(ws, set_id, "bob", 40)))
        if minutes == 9:
            window(ws, set_id, "ann", 1, after=held[0])
    ws.close()
    assert seen == [0, 0, 40]


def test_an_answered_record_does_not_come_again_to_anybody_when_one_answer_is_enough(ws: Workspace) -> None:
    label_set = mood(ws)
    say(ws, label_set, "ann", "good", "bad")
    assert (window(ws, label_set.set_id, "ann", 1), window(ws, label_set.set_id, "bob", 1)) == (ids(ws)[2:3], ids(ws)[3:4])


def test_a_record_that_needs_two_answers_comes_to_a_second_person_but_not_again_to_the_first(ws: Workspace) -> None:
    label_set = mood(ws, needed=2)
    say(ws, label_set, "ann", "good", "bad")
    assert (window(ws, label_set.set_id, "bob", 2), window(ws, label_set.set_id, "ann", 1)) == (ids(ws, 2), ids(ws)[2:3])


def test_a_share_of_overlap_asks_a_second_person_about_that_share(ws: Workspace) -> None:
    label_set = mood(ws, overlap=0.5)
    say(ws, label_set, "ann", *["good"] * 40)
    again = len(window(ws, label_set.set_id, "bob", 40))
    assert (10 <= again <= 30, queues.progress(ws, label_set.set_id).done) == (True, 40 - again)


def test_a_skipped_record_comes_back_only_where_skipped_ones_are_asked_for_and_still_goes_to_others(ws: Workspace) -> None:
    label_set = mood(ws)
    first = ids(ws, 1)[0]
    labels.skip(ws, label_set.set_id, first, "ann", "s1")
    assert (
        first in window(ws, label_set.set_id, "ann", 40),
        window(ws, label_set.set_id, "ann", 40, "skipped"),
    ) == (False, [first])
    queues.leave(ws, "tab of ann")
    assert window(ws, label_set.set_id, "bob", 1) == [first]


def test_a_label_that_is_taken_back_brings_its_record_back(ws: Workspace) -> None:
    label_set = mood(ws)
    say(ws, label_set, "ann", "good")
    window(ws, label_set.set_id, "bob", 1)
    labels.undo(ws, label_set.set_id, "ann", "u1")
    assert window(ws, label_set.set_id, "ann", 1) == ids(ws, 1)


def test_the_end_of_the_queue_goes_on_from_its_start_without_what_is_held(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    held = window(ws, set_id, "bob", 3)
    mine = window(ws, set_id, "ann", 40)
    queues.leave(ws, "tab of bob")
    assert window(ws, set_id, "ann", 40, after=mine[-1]) == held


def test_random_order_is_the_same_every_time_and_leaves_nobody_out(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    first = window(ws, set_id, "ann", 25, order="random")
    rest = window(ws, set_id, "ann", 40, order="random", after=first[-1])
    queues.leave(ws, "tab of ann")
    again = window(ws, set_id, "bob", 40, order="random")
    assert (first + rest == again, sorted(again) == sorted(ids(ws)), again != ids(ws)) == (True, True, True)


def test_records_that_come_in_later_come_into_the_queue(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    window(ws, set_id, "ann", 40)
    path = write_csv(ws.root / "more.csv", [("T90", "Is it new?", "Yes, it is quite new.", "5", "new")])
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    assert [records.get(ws, one).external_id for one in window(ws, set_id, "bob", 40)] == ["T90"]


def test_a_dropped_record_is_not_handed_out(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    window(ws, set_id, "ann", 1)
    queues.leave(ws, "tab of ann")
    records.decide(ws, ids(ws, 3), "drop", "eve")
    assert window(ws, set_id, "ann", 2) == ids(ws)[3:5]


@pytest.mark.parametrize(
    ("chosen", "number"),
    [
        ({"tag": "late"}, 10),
        ({"rating_low": 4}, 16),
        ({"rating_low": 2, "rating_high": 3}, 16),
        ({"text": "TENT"}, 4),
        ({"import_id": "another"}, 0),
        ({"tag": "torn", "text": "lamp"}, 1),
    ],
)
def test_a_filter_shows_what_it_says(ws: Workspace, chosen: dict[str, str], number: int) -> None:
    set_id = mood(ws).set_id
    assert len(queues.window(ws, QueueFilter(set_id, **chosen), "oldest", "ann", "tab", 40)) == number  # type: ignore[arg-type]


def test_a_filter_by_split_shows_the_lines_of_that_split(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    set_id = label_sets.save(ws, MOOD, "ann").set_id
    chosen = QueueFilter(set_id, snapshot_id=snapshot.snapshot_id, split="test")
    shown = set(queues.window(ws, chosen, "random", "ann", "tab", 40))
    assert shown == {item.record_id for item in snapshots.items(ws, snapshot, "test")}


def test_a_filter_by_finding_shows_the_records_that_hold_one(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    second = ids(ws, 2)[1]
    recorded_check(ws, [found(second, "email", start=0, end_=3)])
    assert window(ws, set_id, "ann", 40)[:1] != [second]
    queues.leave(ws, "tab of ann")
    shown = queues.window(ws, QueueFilter(set_id, finding="email"), "oldest", "ann", "tab", 40)
    assert (shown, len(findings.positions_of(ws, "email"))) == ([second], 1)


@pytest.mark.parametrize("read", [False, True])
def test_words_are_found_in_what_the_index_has_read_and_in_what_it_has_not(ws: Workspace, read: bool) -> None:
    set_id = mood(ws).set_id
    while read and search.read_on(ws):
        pass
    records.edit(ws, ids(ws, 1)[0], turns("Where is my umbrella?", "On its way."), "ann")
    found = [queues.window(ws, QueueFilter(set_id, text=text), "oldest", "ann", text, 40) for text in ("umbrella", "jack late")]
    assert (found, len(ids(ws))) == ([ids(ws, 1), []], 40)


def test_a_filter_by_a_tag_of_people_follows_at_once(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    found = []
    for place, record_id in enumerate(ids(ws, 2)):
        found.append(queues.window(ws, QueueFilter(set_id, marked="warm"), "oldest", "ann", "tab", 40))
        marks.put(ws, record_id, "tag", "warm", "bob", f"m{place}")
    assert found == [[], ids(ws, 1)]


def test_mine_flagged_and_disagreed_are_shown_to_whoever_asks(ws: Workspace) -> None:
    label_set = mood(ws, needed=2)
    first, second, third = say(ws, label_set, "ann", "good", "bad", "odd")
    say(ws, label_set, "bob", "good", "good")
    marks.put(ws, third, "flag", "", "bob", "f1")
    shown = {show: window(ws, label_set.set_id, "ann", 40, show) for show in ("mine", "flagged", "disagreed")}  # type: ignore[arg-type]
    assert shown == {"mine": [first, second, third], "flagged": [third], "disagreed": [second]}


def test_the_most_informative_come_first_by_rank_and_the_rest_behind(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    first, second, third = ids(ws, 3)
    with ws.transaction() as transaction:
        transaction.insert("suggestions", [
            {"set_id": set_id, "field": "mood", "record_id": record_id, "record_version": 1, "value": "good", "confidence": 0.5,
             "rank": rank, "run_id": "run1"} for rank, record_id in enumerate((third, first))])  # fmt: skip
    assert window(ws, set_id, "ann", 4, order="informative") == [third, first, second, ids(ws)[3]]


def test_doubtful_labels_come_again_until_somebody_looked(ws: Workspace) -> None:
    label_set = mood(ws)
    first, second, _ = say(ws, label_set, "ann", "good", "bad", "odd")
    with ws.transaction() as transaction:
        transaction.insert("label_doubts", [
            {"set_id": label_set.set_id, "field": "mood", "record_id": record_id, "given": "good", "likely": "bad",
             "doubt": doubt, "run_id": "run1"} for record_id, doubt in ((first, 0.6), (second, 0.9))])  # fmt: skip
    before = window(ws, label_set.set_id, "bob", 9, order="doubtful")
    labels.answer(ws, label_set.set_id, second, {"mood": "bad"}, "bob", "again")
    assert (before, window(ws, label_set.set_id, "bob", 9, order="doubtful")) == ([second, first], [first])


@pytest.mark.parametrize("order", ["informative", "doubtful"])
def test_an_order_that_needs_a_model_says_so_before_one_has_run(ws: Workspace, order: Order) -> None:
    set_id = mood(ws).set_id
    with pytest.raises(StudioError, match="light model"):
        window(ws, set_id, "ann", 1, order=order)


def test_a_browser_takes_its_records_again_after_a_restart_and_hears_what_is_gone(ws: Workspace) -> None:
    label_set = mood(ws)
    held = window(ws, label_set.set_id, "ann", 3)
    queues.forget(ws)
    taken = window(ws, label_set.set_id, "bob", 1)
    lost = queues.renew(ws, label_set.set_id, "ann", "tab of ann", held)
    assert (lost, window(ws, label_set.set_id, "bob", 40, after=taken[0])[0]) == (taken, ids(ws)[3])


def test_how_many_are_before_others_is_told(ws: Workspace) -> None:
    set_id = mood(ws).set_id
    window(ws, set_id, "bob", 3)
    chosen = QueueFilter(set_id)
    assert (queues.elsewhere(ws, chosen, "ann", "tab of ann"), queues.size(ws, chosen, "ann")) == (3, 40)


def test_progress_counts_people_and_records(tmp_path: Path) -> None:
    clock = [datetime(2026, 1, 1, 12)]
    ws = Workspace(tmp_path / "ws", now=lambda: clock[0])
    label_set = mood(ws, needed=2)
    say(ws, label_set, "ann", "good", "bad")
    clock[0] += timedelta(days=1)
    labels.answer(ws, label_set.set_id, ids(ws, 1)[0], {"mood": "bad"}, "bob", "b1", seconds=4.0)
    labels.skip(ws, label_set.set_id, ids(ws, 2)[1], "bob", "b2")
    told = queues.progress(ws, label_set.set_id)
    ws.close()
    people = [(one.who, one.answered, one.skipped, one.today, one.per_hour, one.median_seconds) for one in told.people]
    assert (told.total, told.done, told.answers, people) == (
        40, 1, 3, [("ann", 2, 0, 0, 1800.0, 2.0), ("bob", 1, 1, 1, 900.0, 4.0)])  # fmt: skip


def test_a_record_that_lay_open_over_lunch_counts_as_five_minutes(ws: Workspace) -> None:
    label_set = mood(ws)
    labels.answer(ws, label_set.set_id, ids(ws, 1)[0], {"mood": "bad"}, "bob", "b1", seconds=4_000.0)
    assert queues.progress(ws, label_set.set_id).people[0].per_hour == 12.0


@pytest.mark.parametrize("seed", range(2))
def test_a_queue_that_was_kept_up_is_the_same_as_one_made_anew(ws: Workspace, seed: int) -> None:
    label_set, chance = mood(ws, needed=2), random.Random(seed)
    for press in range(40):
        who, record_id = chance.choice(("ann", "bob", "cleo")), chance.choice(ids(ws, 8))
        do = chance.choice(("answer", "answer", "answer", "skip", "undo", "settle"))
        if do == "answer":
            labels.answer(ws, label_set.set_id, record_id, {"mood": chance.choice(("good", "bad"))}, who, f"p{press}")
        elif do == "skip":
            labels.skip(ws, label_set.set_id, record_id, who, f"p{press}")
        elif do == "settle":
            adjudicate.settle(ws, label_set.set_id, record_id, {"mood": "good"}, who, f"p{press}")
        else:
            labels.undo(ws, label_set.set_id, who, f"p{press}")
        queues.size(ws, QueueFilter(label_set.set_id, chance.choice(("open", "disagreed"))), who)
    kept_up = everybodys_view(ws, label_set.set_id)
    queues.forget(ws)
    assert kept_up == everybodys_view(ws, label_set.set_id)


def everybodys_view(ws: Workspace, set_id: str) -> list[tuple[list[str], int]]:
    """What each person's queue shows under each filter, and how far the set is."""
    found = []
    shows: tuple[Show, ...] = ("open", "unlabelled", "mine", "skipped", "disagreed")
    for who, show in ((who, show) for who in ("ann", "bob", "cleo") for show in shows):
        found.append((window(ws, set_id, who, 40, show, session="tab"), queues.progress(ws, set_id).done))
        queues.leave(ws, "tab")
    return found


def test_a_set_that_is_not_there_is_said_in_a_sentence(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="no such label set"):
        window(ws, "nowhere", "ann", 1)


@pytest.mark.parametrize("needed", [1, 2])
def test_four_people_at_once_label_everything_just_as_often_as_asked(ws: Workspace, needed: int) -> None:
    set_id = label_sets.save(ws, MOOD | {"needed": needed}, "ann").set_id
    assert four_people(ws, set_id, 60, ("random", "random", "oldest", "oldest")) == (60, {needed})


@pytest.mark.slow
def test_four_people_at_once_label_a_thousand_records(ws: Workspace) -> None:
    set_id = label_sets.save(ws, MOOD, "ann").set_id
    labelled = four_people(ws, set_id, 1_000, ("oldest", "oldest", "oldest", "oldest"))
    told = queues.progress(ws, set_id)
    assert (labelled, told.done, len(told.people)) == ((1_000, {1}), 1_000, 4)


def four_people(ws: Workspace, set_id: str, rows: int, orders: tuple[Order, ...]) -> tuple[int, set[int]]:
    """Import records and let four people label until nothing is left; how many got answers, and how many answers each."""
    tickets = [(f"N{n}", f"Question number {n}?", f"Answer number {n} is long enough.", "5", "x") for n in range(rows)]
    intake.import_file(ws, write_csv(ws.root / "many.csv", tickets), "many.csv", Choices(COLUMNS))
    people = zip(("ann", "bob", "cleo", "dan"), orders, strict=True)
    threads = [threading.Thread(target=label_until_done, args=(ws, set_id, who, order)) for who, order in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = Counter(row["record_id"] for row in ws.rows("select record_id from labels"))
    return len(times), set(times.values())


def label_until_done(ws: Workspace, set_id: str, who: str, order: Order) -> None:
    """As a browser would: a window of seven, answered one after the other, until nothing is left, elsewhere included.

    What others held while the window was asked for may be free by the time one looks elsewhere: so it is asked for once more.
    """
    nothing_elsewhere = False
    while True:
        held = window(ws, set_id, who, 7, order=order)
        for record_id in held:
            labels.answer(ws, set_id, record_id, {"mood": "good"}, who, f"{who}-{record_id}")
        if not held and nothing_elsewhere:
            return
        nothing_elsewhere = not held and not queues.elsewhere(ws, QueueFilter(set_id), who, f"tab of {who}")
