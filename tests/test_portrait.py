"""What an import looks like, in numbers."""

from __future__ import annotations

from pathlib import Path

from studio import intake, portrait
from studio.columns import Choices
from studio.portrait import Length
from studio.workspace import Workspace
from tests.tickets import COLUMNS, import_forty, write_csv


def test_lengths_are_counted_in_words(ws: Workspace) -> None:
    seen = portrait.of_import(ws, import_forty(ws).import_id)
    assert seen is not None and (seen.question, sum(seen.question_steps), seen.question_steps[:2]) == (
        Length(median=4, low=4, high=6), 40, (20, 20))  # fmt: skip


def test_answers_that_stand_elsewhere_word_for_word_are_counted(ws: Workspace, tmp_path: Path) -> None:
    rows = [(f"T{n}", f"my question {n}", "the same" if n < 6 else f"another {n}", "5", "x") for n in range(20)]
    report = intake.import_file(ws, write_csv(tmp_path / "f.csv", rows), "f.csv", Choices(COLUMNS))
    seen = portrait.of_import(ws, report.import_id)
    assert seen is not None and (seen.repeated_answers, seen.threads) == (6, 0)


def test_an_import_of_nothing_new_has_no_portrait(ws: Workspace) -> None:
    import_forty(ws)
    assert portrait.of_import(ws, import_forty(ws).import_id) is None


def test_tags_and_ratings_are_counted(ws: Workspace) -> None:
    seen = portrait.of_import(ws, import_forty(ws).import_id)
    assert seen is not None and (seen.tags["late"], seen.ratings) == (10, {1.0: 8, 2.0: 8, 3.0: 8, 4.0: 8, 5.0: 8})
