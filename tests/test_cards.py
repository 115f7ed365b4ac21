"""What a snapshot's card says was measured, and says so where it was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline import measures
from studio import card_text, cards, findings, intake, leaks, records, snapshots
from studio.cards import Card
from studio.columns import Choices
from studio.records import Filter
from studio.snapshots import Recipe, Snapshot
from studio.workspace import Workspace
from tests.checks import email, import_twelve, recorded_check
from tests.inspections import recorded_inspection
from tests.tickets import COLUMNS, freeze_forty, import_forty, write_csv


def card_of(ws: Workspace, snapshot: Snapshot) -> Card:
    card = cards.get(ws, snapshot.snapshot_id)
    assert card is not None
    return card


def test_sources_with_the_synthetic_share_come_from_the_imports(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    rows = [(f"S{n}", f"A made up question {n}", f"A made up answer {n}", "5", "late") for n in range(10)]
    intake.import_file(ws, write_csv(tmp_path / "made.csv", rows), "made.csv", Choices(COLUMNS, synthetic=True, desk="made"))
    snapshot = snapshots.freeze(ws, "s", Recipe())
    card = card_of(ws, snapshot)
    sources = [(row["source"], row["synthetic"], row["records"]) for row in card.sources]
    assert (sources, card.synthetic) == ([("forty.csv", False, 40), ("made.csv", True, 10)], 10)
    assert "Synthetic: 10 of 50 (20 %)." in card_text.markdown(ws, snapshot)


def test_tags_and_what_people_looked_at_are_counted(ws: Workspace) -> None:
    import_forty(ws)
    first, second = records.page(ws, Filter(), 2)
    records.decide(ws, [first.record_id], "keep", "ann")
    records.edit(ws, second.record_id, [*second.messages[:-1], {"role": "assistant", "content": "New."}], "ann")
    card = card_of(ws, snapshots.freeze(ws, "s", Recipe()))
    assert (card.tags, card.reviewed, card.edited) == ({"colour": 10, "fit": 10, "late": 10, "torn": 10}, 2, 1)


def test_open_findings_are_those_of_the_day_it_was_frozen(ws: Workspace) -> None:
    ids = import_twelve(ws)
    recorded_check(ws, [email(ws, ids[0]), email(ws, ids[1])])
    snapshot = snapshots.freeze(ws, "s", Recipe(sizes=(6, 3, 3)), findings.privacy_gate(ws), "ann")
    findings.drop(ws, "email", "ann")
    said = card_text.markdown(ws, snapshot)
    assert card_of(ws, snapshot).findings == {"privacy": 2, "cleaning": 0, "quality": 0, "unchecked": 0}
    assert "ann froze it with 2 records with open privacy findings." in said


def test_without_a_check_the_card_says_so_aloud_and_judges_nothing(ws: Workspace) -> None:
    snapshot = freeze_forty(ws)
    said = card_text.markdown(ws, snapshot)
    assert card_text.NOT_CHECKED in said
    assert "Lengths were not measured" in said and "It cannot be said yet" in said


def test_what_the_check_measured_stands_on_the_card(ws: Workspace) -> None:
    import_forty(ws)
    found = recorded_inspection(ws, Recipe(), leaking=2)
    plan = snapshots.plan(ws, Recipe()).sha256
    leaks.decide(ws, plan, found[:1], "accept", "ann")
    leaks.decide(ws, plan, found[1:], "quarantine", "ann")
    said = card_text.markdown(ws, snapshots.freeze(ws, "s", Recipe()))
    assert "2 lines resembled train; 1 quarantined, 1 accepted by ann." in said
    assert "48 tokens in the middle" in said and "counted by the base model's own tokenizer" in said
    assert "| English | 38 |" in said


def test_frozen_again_after_a_check_the_same_snapshot_has_a_fuller_card(ws: Workspace) -> None:
    import_forty(ws)
    bare = snapshots.freeze(ws, "s", Recipe())
    recorded_inspection(ws, Recipe())
    again = snapshots.freeze(ws, "s", Recipe())
    assert (again.snapshot_id, card_of(ws, again).leaks is not None) == (bare.snapshot_id, True)


def test_markup_in_names_and_tags_stays_text(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", f"question {n} here", f"answer {n}", "5", "<b>|[x](http://evil)") for n in range(20)]
    intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "# <i>f</i>.csv", Choices(COLUMNS))
    said = card_text.markdown(ws, snapshots.freeze(ws, "*s*", Recipe()))
    assert "\\<b\\>\\|\\[x\\](http://evil)" in said and "\\# \\<i\\>f" in said and "# \\*s\\*" in said


def test_a_card_of_later_facts_is_read_back_as_it_was_written(ws: Workspace) -> None:
    card = card_of(ws, freeze_forty(ws))
    with ws.transaction() as transaction:
        cards.keep(ws, transaction, "s1", replace(card, conflicts=7))
    assert cards.get(ws, "s1") == replace(card, conflicts=7)


def talk(asked: str, answered: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def test_prices_dates_and_stock_words_are_what_changes_daily() -> None:
    texts = {
        "prices": ["It costs $1,299.99 today", "That is 20 € less", "about 15 dollars"],
        "dates": ["by 2026-03-01", "on 3rd March", "until 24.12.2026"],
        "stock": ["It is out of stock", "back in stock soon", "Sold out"],
        "none": ["Press the key for 10 seconds", "Call {{Phone}}", "Section 3.2 of 4", "You may reset it in March mode"],
    }
    found = {
        kind: [sorted(name for name, pattern in measures.CHANGES_DAILY.items() if pattern.search(text)) for text in examples]
        for kind, examples in texts.items()
    }
    assert found == {kind: [[] if kind == "none" else [kind]] * len(texts[kind]) for kind in texts}


def test_variety_is_the_share_of_different_word_sequences() -> None:
    found = [measures.distinct_share(texts) for texts in (["a b c d", "a b c d"], ["a b c"], [])]
    assert found == [0.5, 1.0, 1.0]


def test_short_long_and_many_turned_lines_are_told_apart() -> None:
    found = measures.Measures(4, None)
    found.add([talk("Where is it?", "refund"), talk("Where is it?", "word " * 300), talk("Wo ist mein Paket?", "refund"),
               [*talk("And?", "Yes."), *talk("So?", "It is on its way to you and comes soon.")]])  # fmt: skip
    said = found.said()
    assert (said["short_answers"], said["long_answers"], said["multi_turn"], said["distinct_answers"]) == (2, 1, 1, 3)
