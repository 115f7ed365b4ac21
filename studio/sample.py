"""The sample: tickets of a made-up shop, from a seeded generator. The same seed gives the same bytes on every machine.

What it holds on purpose: threads, ratings with weak answers below four, unrated tickets, personal data (reserved names and
numbers only), near-twins, rows that an import must refuse, and one house style that a small model can learn.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from studio.sample_texts import (
    CITIES,
    CLOSERS,
    FIRST_NAMES,
    LAST_NAMES,
    OPENERS,
    PRODUCTS,
    SIGN_OFF,
    TOPICS,
    WEAK_ANSWERS,
    Topic,
)

COLUMNS = ("ticket_id", "created_at", "customer_message", "agent_response", "satisfaction_score", "tags")
PLAIN_TICKETS, TWINS, THREADS = 560, 44, 66
FIRST_DAY = datetime(2026, 3, 2, 8, 0)
Cell = TypeVar("Cell")


@dataclass(frozen=True)
class SampleFacts:
    """How many rows and tickets were written, and how many of each kind."""

    rows: int
    tickets: int
    threads: int
    twins: int
    personal: int
    bad_rows: int


@dataclass(frozen=True)
class Ticket:
    """One ticket before it becomes rows; `slots` fill the gaps of its texts."""

    ticket_id: str
    created: datetime
    topic: Topic
    slots: dict[str, str]
    message: str
    rating: int | None
    personal: bool


def write_sample(path: Path, seed: int = 7) -> SampleFacts:
    """Write the CSV file (UTF-8) and say what is in it."""
    dice = random.Random(seed)
    tickets = [_ticket(dice, number) for number in range(PLAIN_TICKETS)]
    twins = [_twin(dice, tickets[dice.randrange(len(tickets))], PLAIN_TICKETS + number) for number in range(TWINS)]
    liked = [ticket.ticket_id for ticket in tickets if ticket.rating is not None and ticket.rating >= 3]
    threaded = set(sorted(liked, key=lambda _: dice.random())[:THREADS])
    rows = [row for ticket in tickets + twins for row in _rows(dice, ticket, ticket.ticket_id in threaded)]
    bad = _bad_rows()
    for place, row in zip(range(25, 25 + 53 * len(bad), 53), bad, strict=True):
        rows.insert(place, row)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return SampleFacts(len(rows), len(tickets) + len(twins), len(threaded), len(twins),
                       sum(ticket.personal for ticket in tickets + twins), len(bad))


def _pick(dice: random.Random, choices: Sequence[Cell]) -> Cell:
    return choices[int(dice.random() * len(choices))]


def _ticket(dice: random.Random, number: int) -> Ticket:
    topic = TOPICS[number % len(TOPICS)]
    name = _pick(dice, FIRST_NAMES)
    slots = {"name": name, "product": _pick(dice, PRODUCTS), "city": _pick(dice, CITIES),
             "order": f"FH-{10000 + dice.randrange(90000)}", "amount": f"£{5 + dice.randrange(140)}.{dice.randrange(10)}0"}
    message = _pick(dice, OPENERS) + _pick(dice, topic.asks) + _pick(dice, CLOSERS)
    personal = dice.random() < 0.11
    if personal:
        message += " " + _personal(dice, name)
    created = FIRST_DAY + timedelta(hours=3 * number, minutes=dice.randrange(120))
    return Ticket(f"T{1000 + number}", created, topic, slots, _slips(dice, message.format(**slots)), _rating(dice), personal)


def _rating(dice: random.Random) -> int | None:
    roll = dice.random()
    return None if roll < 0.06 else 1 if roll < 0.10 else 2 if roll < 0.15 else 3 if roll < 0.23 else 4 if roll < 0.5 else 5


def _personal(dice: random.Random, name: str) -> str:
    """A line with personal data, made of names and numbers that are reserved for examples (RFC 2606, RFC 5737)."""
    last = _pick(dice, LAST_NAMES)
    return _pick(dice, (
        f"You can reach me at {name.lower()}.{last.lower()}@example.com.",
        f"My number is 555-01{dice.randrange(100):02d}, {name} {last}.",
        "The card I used is 4111 1111 1111 1111.",
        f"I live at {1 + dice.randrange(90)} Example Street, {name} {last}.",
        f"The error page showed my address 192.0.2.{1 + dice.randrange(254)}."))


def _slips(dice: random.Random, message: str) -> str:
    """What hurried people do to a text: lower case, capitals, swapped letters."""
    roll = dice.random()
    if roll < 0.12:
        return message.lower()
    if roll < 0.15:
        return message.upper()
    if roll < 0.27:
        place = 1 + dice.randrange(max(1, len(message) - 3))
        return message[:place] + message[place + 1] + message[place] + message[place + 2 :]
    return message


def _twin(dice: random.Random, first: Ticket, number: int) -> Ticket:
    """Nearly the same ticket again: another id and day, a few words more, or other capitals."""
    changes = (first.message + " Anyone there?", "Again: " + first.message, first.message.replace("?", "??"),
               first.message[:1].swapcase() + first.message[1:] + " ", first.message.replace("the ", "my "))
    return Ticket(f"T{1000 + number}", first.created + timedelta(days=2), first.topic, first.slots, _pick(dice, changes),
                  first.rating, first.personal)


def _rows(dice: random.Random, ticket: Ticket, threaded: bool) -> list[list[str]]:
    rating = "" if ticket.rating is None else str(ticket.rating)
    weak = ticket.rating is not None and ticket.rating <= 2
    answer = _pick(dice, WEAK_ANSWERS) if weak else _house_answer(ticket)
    rows = [[ticket.ticket_id, f"{ticket.created:%Y-%m-%d %H:%M}", ticket.message, answer, rating, ticket.topic.tag]]
    if threaded:
        later = ticket.created + timedelta(hours=5)
        rows.append([ticket.ticket_id, f"{later:%Y-%m-%d %H:%M}", ticket.topic.follow_up.format(**ticket.slots),
                     _follow_answer(ticket), rating, ticket.topic.tag])
    return rows


def _house_answer(ticket: Ticket) -> str:
    """The style worth learning: name, one sentence that shows it was read, three steps, the sign-off."""
    steps = "\n".join(f"{place}. {step}" for place, step in enumerate(ticket.topic.steps, start=1))
    text = f"Hi {{name}},\n\nThank you for writing: {ticket.topic.acknowledges}.\n\n{steps}\n\n{SIGN_OFF}"
    return text.format(**ticket.slots)


def _follow_answer(ticket: Ticket) -> str:
    return f"Hi {{name}},\n\n{ticket.topic.follow_answer}\n\n{SIGN_OFF}".format(**ticket.slots)


def _bad_rows() -> list[list[str]]:
    """Rows that an import must refuse, each for a reason that it can name."""
    good = ["2026-03-09 10:00", "Where is my parcel?", "It is on its way.", "4", "delivery"]
    no_answer = [["T9001", good[0], "Nobody answered this one.", "", "", "delivery"],
                 ["T9002", good[0], "Hello? Is this thing on?", "   ", "3", "account"],
                 ["T9003", good[0], "Refund please", "", "1", "refunds"]]
    no_message = [["T9004", good[0], "", "Thank you for your message.", "5", "care"],
                  ["T9005", good[0], " ", "We close this ticket.", "", "stock"],
                  ["T9006", good[0], "", "", "", ""]]
    too_many = [["T9007", *good, "extra"], ["T9008", good[0], "One, two", "three", "four", "5", "sizing", "spilled", "over"],
                ["T9009", *good, ""]]
    too_few = [["T9010", good[0], "The export stopped here"], ["T9011"], ["T9012", *good[:3]]]
    return [row for four in zip(no_answer, no_message, too_many, too_few, strict=True) for row in four]
