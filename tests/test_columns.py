"""Which column holds what is guessed from names and content, with a reason, and never beyond what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import intake
from studio.columns import Guess, agents_among, guess
from studio.errors import StudioError
from studio.workspace import Workspace

QUESTION, ANSWER = "My parcel has not come yet", "It is on its way to you, please wait a day"


def guessed(columns: dict[str, str | tuple[str, ...]], rows: int = 20) -> Guess:
    """A guess over rows whose cells are given once, with the row's number for `#`, or as a cycle of values."""


    def cell(value: str | tuple[str, ...], n: int) -> str:
        return value.replace("#", str(n)) if isinstance(value, str) else value[n % len(value)]

    return guess("file.csv", list(columns), [{name: cell(v, n) for name, v in columns.items()} for n in range(rows)])


def test_names_of_help_desks_are_known() -> None:
    found = guessed({
        "Ticket ID": "T#", "Customer Name": ("Ann Lee", "Bo Day"), "Customer Email": "c#@example.com",
        "Ticket Description": QUESTION, "Resolution": ANSWER, "Ticket Status": ("Open", "Closed"),
        "Created At": ("2026-01-31 10:00:00", "2026-02-01 11:00:00"), "Customer Satisfaction Rating": ("1", "5", ""),
    })  # fmt: skip
    assert found.columns.in_order == (
        "Ticket Description", "Resolution", "Customer Satisfaction Rating", "Ticket ID", None, None, "Ticket Status",
        "Created At", "Customer Name", "Customer Email", None, None, None)  # fmt: skip


def test_a_name_whose_content_does_not_fit_is_not_taken() -> None:
    found = guessed({"message": QUESTION, "answer": ANSWER, "rating": "please call me back", "date": "soon", "email": "none"})
    assert (found.columns.rating, found.columns.time, found.columns.email) == (None, None, None)


def test_unnamed_texts_are_taken_by_their_words_and_said_to_be_a_guess() -> None:
    found = guessed({"n": "#", "x": QUESTION, "y": ANSWER})
    assert (found.columns.message, found.confidence["message"] < 0.8, "wordiest" in found.why["message"]) == ("y", True, True)


def test_an_email_column_is_known_by_its_content() -> None:
    found = guessed({"message": QUESTION, "answer": ANSWER, "contact": "c#@example.com"})
    assert found.columns.email == "contact"


def test_one_row_a_message_is_recognised_by_its_senders() -> None:
    found = guessed({"TicketID": ("A", "A", "B", "B"), "Sender": ("User", "Agent"), "Message": QUESTION})
    assert (found.layout, found.columns.sender, found.columns.ticket, found.columns.message) == (
        "message", "Sender", "TicketID", "Message")  # fmt: skip


def test_a_sender_without_threads_is_no_reason_to_join() -> None:
    assert guessed({"id": "#", "sender": ("user", "agent"), "message": QUESTION, "answer": ANSWER}).layout == "ticket"


@pytest.mark.parametrize(
    ("column", "values", "agents"),
    [
        ("Sender", ("User", "Agent"), ("Agent",)),
        ("author_type", ("end-user", "support", "bot"), ("support", "bot")),
        ("inbound", ("True", "False"), ("False",)),
        ("author", ("ann", "bo"), ()),
    ],
)
def test_agents_are_known_by_what_senders_are_called(column: str, values: tuple[str, ...], agents: tuple[str, ...]) -> None:
    assert agents_among(column, values) == agents


def test_a_file_with_one_text_column_is_refused_by_name() -> None:
    with pytest.raises(StudioError, match="only the column 'note' holds text"):
        guessed({"id": "#", "note": QUESTION})


def test_the_columns_of_the_real_help_desk_export_are_guessed(ws: Workspace, shared_data: Path) -> None:
    found = intake.preview(ws, shared_data / "kaggle_tickets" / "customer_support_tickets.csv").guess.columns
    assert (found.message, found.answer, found.rating, found.ticket, found.name, found.email) == (
        "Ticket Description", "Resolution", "Customer Satisfaction Rating", "Ticket ID", "Customer Name",
        "Customer Email")  # fmt: skip
