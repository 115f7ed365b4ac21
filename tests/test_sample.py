"""The sample holds what it says it holds, and imports as a person would want."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from studio import intake, records, sample
from studio.records import Filter
from studio.workspace import Workspace


def test_the_same_seed_gives_the_same_bytes_for_ever(tmp_path: Path) -> None:
    sample.write_sample(tmp_path / "s.csv")
    assert hashlib.sha256((tmp_path / "s.csv").read_bytes()).hexdigest().startswith("d43a21976d71c234")


def test_another_seed_gives_other_tickets(tmp_path: Path) -> None:
    sample.write_sample(tmp_path / "a.csv", seed=1)
    sample.write_sample(tmp_path / "b.csv", seed=2)
    assert (tmp_path / "a.csv").read_bytes() != (tmp_path / "b.csv").read_bytes()


def test_it_has_over_six_hundred_tickets_with_threads_twins_personal_data_and_bad_rows(tmp_path: Path) -> None:
    facts = sample.write_sample(tmp_path / "s.csv")
    assert facts == sample.SampleFacts(rows=682, tickets=604, threads=66, twins=44, personal=69, bad_rows=12)


def test_its_import_refuses_the_bad_rows_and_keeps_the_well_rated_ones(ws: Workspace) -> None:
    report = intake.import_sample(ws)
    assert (report.rows_in, report.rows_imported, report.rows_filtered, report.rows_refused, report.conversations) == (
        682,
        522,
        148,
        12,
        468,
    )


def test_threads_become_conversations_of_four_turns(ws: Workspace) -> None:
    intake.import_sample(ws)
    assert {len(record.messages) for record in records.page(ws, Filter(), 1000)} == {3, 5}


def test_personal_data_uses_reserved_names_and_numbers_only(tmp_path: Path) -> None:
    sample.write_sample(tmp_path / "s.csv")
    text = (tmp_path / "s.csv").read_text()
    mails = set(re.findall(r"[\w.]+@([\w.]+\w)", text))
    phones = set(re.findall(r"555-\d{4}", text))
    assert ({mail.lower() for mail in mails}, all(phone.startswith("555-01") for phone in phones), len(phones) > 3) == (
        {"example.com"},
        True,
        True,
    )
