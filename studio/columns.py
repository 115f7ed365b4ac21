"""Which column of an export holds what: guessed from names and content, with the reasons, for a person to correct."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Literal

from studio.errors import StudioError
from studio.moments import formats_of
from studio.ratings import read_scale

Layout = Literal["ticket", "message", "conversation"]
"""What one row is: a ticket with its answer, one message of a thread, or a whole conversation."""


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None where the file has no such column.

    With one row a message, `message` is the text, `sender` says who wrote it, and `ticket`, or `message_id` with `reply_to`,
    say what belongs together. With one row a conversation, `message` holds its turns and `answer` is not used.
    """

    message: str | None = None
    answer: str | None = None
    rating: str | None = None
    ticket: str | None = None
    tags: str | None = None
    subject: str | None = None
    status: str | None = None
    time: str | None = None
    name: str | None = None
    email: str | None = None
    sender: str | None = None
    message_id: str | None = None
    reply_to: str | None = None

    @property
    def in_order(self) -> tuple[str | None, ...]:
        return tuple(asdict(self).values())

    def changed(self, role: str, column: str | None) -> Columns:
        return replace(self, **{role: column})


@dataclass(frozen=True)
class Guess:
    """What one row seems to be, which column holds what, and for each guessed role how sure that is (0 to 1) and why."""

    layout: Layout
    columns: Columns
    confidence: dict[str, float]
    why: dict[str, str]


DEFAULT_SYSTEM_PROMPT = "You are a helpful customer support agent."


@dataclass(frozen=True)
class Condition:
    """Only rows whose `column` holds one of these values (blanks at the ends left out); "" is an empty cell."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Choices:
    """How a person wants files imported.

    Rows with the same ticket become one conversation when `join` is on. `agents` are the sender's values that stand for the
    agent where one row is a message. `since` and `until` are whole days of the time column, both included. `desk` names the
    help desk, within which a ticket id means one ticket; empty: files of the same columns are of the same desk. `synthetic`:
    a model wrote these answers.
    """

    columns: Columns
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    rating_min: float | None = None
    keep_unrated: bool = True
    join: bool = True
    layout: Layout = "ticket"
    agents: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    since: date | None = None
    until: date | None = None
    with_subject: bool = False
    desk: str = ""
    synthetic: bool = False


_NAMES: dict[str, tuple[str, ...]] = {
    "message": ("customer_message", "message", "question", "instruction", "ticket_description", "description", "prompt",
                "query", "body", "text", "comment", "content", "input", "utterance", "subject"),
    "answer": ("agent_response", "response", "answer", "reply", "agent_reply", "resolution", "completion", "output", "solution",
               "category", "label", "intent"),
    "rating": ("satisfaction_score", "customer_satisfaction_rating", "satisfaction_rating", "rating", "csat", "csat_score",
               "score", "stars", "feedback", "satisfaction"),
    "ticket": ("ticket_id", "ticketid", "ticket", "conversation_id", "thread_id", "case_id", "case_number", "issue_id",
               "dialogue_id", "convo_id", "id"),
    "tags": ("intent", "tags", "tag", "topic", "category", "ticket_type", "type", "labels"),
    "subject": ("ticket_subject", "subject", "title", "summary", "issue"),
    "status": ("ticket_status", "status", "state"),
    "time": ("created_at", "timestamp", "created", "sent_at", "date_created", "created_time", "opened_at",
             "datetime", "time", "date"),
    "name": ("customer_name", "requester_name", "requester", "client_name", "user_name", "customer", "name", "full_name"),
    "email": ("customer_email", "requester_email", "email", "e_mail", "client_email", "email_address", "from_email"),
    "sender": ("sender", "author_type", "sender_type", "speaker", "role", "author", "from", "direction", "inbound",
               "author_id"),
    "message_id": ("message_id", "tweet_id", "comment_id", "msg_id", "id"),
    "reply_to": ("in_response_to_tweet_id", "in_response_to", "in_reply_to", "reply_to", "parent_id", "in_reply_to_id")}

CUSTOMER_WORDS = {"user", "customer", "client", "requester", "end user", "end-user", "enduser", "consumer", "human", "visitor",
                  "inbound", "incoming", "contact", "buyer", "guest"}
AGENT_WORDS = {"agent", "assistant", "support", "admin", "operator", "staff", "bot", "representative", "rep", "outbound",
               "outgoing",
               "system agent", "helpdesk", "advisor", "virtual assistant", "gpt", "employee", "team"}

Rows = Sequence[dict[str, str]]


def guess(file_name: str, columns: Sequence[str], rows: Rows, form: str = "rows") -> Guess:
    """Guess from up to a few hundred rows. Raises StudioError when nothing in the file is text to learn from."""
    cells = {column: [row[column] for row in rows if row[column].strip()] for column in columns}
    if form in ("messages", "sharegpt"):
        found = _Guessing(cells, {"message": "messages"}, {"message": 1.0}, {"message": "it holds chat turns"})
        return found.finish("conversation", ("rating", "ticket", "tags", "status", "time", "name", "email"))
    threads = _threads(cells)
    if threads is not None:
        return threads
    found = _Guessing(cells, {}, {}, {})
    _texts(file_name, columns, cells, found)
    return found.finish("ticket", ("rating", "ticket", "time", "email", "name", "status", "subject", "tags"))


@dataclass
class _Guessing:
    cells: dict[str, list[str]]
    chosen: dict[str, str]
    confidence: dict[str, float]
    why: dict[str, str]

    def take(self, role: str) -> None:
        """Give a role the free column that fits best by name and content, if any does."""
        free = [column for column in self.cells if column not in self.chosen.values()]
        named = [(1.0 if place == 0 else 0.9, column) for place, name in enumerate(_NAMES[role]) for column in free
                 if _plain(column) == name]
        likely = [(sure, column) for sure, column in named if _FITS.get(role, lambda cells: True)(self.cells[column])]
        if likely:
            self.choose(role, likely[0][1], likely[0][0], "its name says so, and its content fits")
            return
        if role in ("email", "rating"):
            by_content = [column for column in free if self.cells[column] and _CONTENT[role](self.cells[column])]
            if by_content:
                self.choose(role, by_content[0], 0.5, "its content looks like it")

    def choose(self, role: str, column: str, confidence: float, why: str) -> None:
        self.chosen[role], self.confidence[role], self.why[role] = column, confidence, why

    def finish(self, layout: Layout, roles: Sequence[str]) -> Guess:
        for role in roles:
            self.take(role)
        return Guess(layout, Columns(**self.chosen), self.confidence, self.why)


def _texts(file_name: str, columns: Sequence[str], cells: dict[str, list[str]], found: _Guessing) -> None:
    """The customer's message and the answer: by name, else the two wordiest columns."""
    wordy = {column: mean_words(cells[column]) for column in columns}
    textual = [column for column in columns if wordy[column] >= 0.5]
    if len(textual) < 2:
        only = f"only the column {textual[0]!r} holds" if textual else "none of its columns holds"
        raise StudioError(f"{file_name} cannot be used: {only} text (its columns: {', '.join(columns[:8])}).",
                          "Choose a file with one column of customer messages and one of answers.")
    left = textual
    for role in ("message", "answer"):
        named = _by_name(role, left)
        wordiest = max(left, key=lambda column: wordy[column])
        chosen = named or wordiest
        sure = 1.0 if named and wordy[named] >= 3 else 0.7 if named else 0.4
        found.choose(role, chosen, sure, f"its name says so; {wordy[chosen]:.0f} words a cell" if named
                     else f"the wordiest column that is left: {wordy[chosen]:.0f} words a cell")
        left = [column for column in left if column != chosen]


def _threads(cells: dict[str, list[str]]) -> Guess | None:
    """One row a message: a sender with few values that are roles, and something that says what belongs together."""
    found = _Guessing(cells, {}, {}, {})
    for role in ("sender", "reply_to"):
        found.take(role)
    if "sender" not in found.chosen:
        return None
    if "reply_to" in found.chosen:
        found.take("message_id")
    found.take("ticket")
    ticket = found.chosen.get("ticket")
    repeats = bool(ticket) and len(set(cells[str(ticket)])) < 0.9 * len(cells[str(ticket)])
    if ticket and not repeats:
        return None
    if not repeats and not ("message_id" in found.chosen and "reply_to" in found.chosen):
        return None
    free = [column for column in cells if column not in found.chosen.values() and mean_words(cells[column]) >= 0.5]
    if not free:
        return None
    named = _by_name("message", free)
    text = named or max(free, key=lambda column: mean_words(cells[column]))
    found.choose("message", text, 0.9 if named else 0.5, "its name says so" if named else "the wordiest column")
    return found.finish("message", ("time", "rating", "email", "name", "status", "subject", "tags"))


def role_of(value: str) -> Literal["customer", "agent"] | None:
    """Whose words these are, where a sender's value says so ("Agent", "inbound", "end-user"); None where it does not."""
    plain = value.strip().lower().replace("_", " ")
    if plain in CUSTOMER_WORDS:
        return "customer"
    return "agent" if plain in AGENT_WORDS else None


def agents_among(column: str, values: Sequence[str]) -> tuple[str, ...]:
    """Those values of a sender column that are the agent's. `inbound` true means the customer wrote it."""
    if _plain(column) in ("inbound", "incoming", "is_customer", "from_customer"):
        return tuple(value for value in values if value.strip().lower() in ("false", "0", "no"))
    return tuple(value for value in values if role_of(value) == "agent")


def mean_words(cells: Sequence[str]) -> float:
    """Words of letters in a cell, on average: zero for numbers, dates and ids."""
    words = [sum(any(letter.isalpha() for letter in word) and len(word) > 1 for word in cell.split()) for cell in cells[:200]]
    return sum(words) / len(words) if words else 0.0


def _by_name(role: str, columns: Sequence[str]) -> str | None:
    plain = {_plain(column): column for column in reversed(columns)}
    return next((plain[name] for name in _NAMES[role] if name in plain), None)


def _plain(column: str) -> str:
    return "_".join(column.lower().replace("-", " ").replace("_", " ").replace(".", " ").split())


def _is_rating(cells: Sequence[str]) -> bool:
    scale = read_scale({cell: cells.count(cell) for cell in set(cells)}) if cells else None
    read = sum(cell in scale.numbers for cell in cells) if scale else 0
    return bool(cells) and read >= 0.6 * len(cells) and len(set(cells)) <= max(12, len(cells) // 2)


def _is_identity(cells: Sequence[str]) -> bool:
    return bool(cells) and len(set(cells)) >= len(cells) / 40 and max(map(len, cells)) <= 80


def _is_sender(cells: Sequence[str]) -> bool:
    values = set(cells)
    known = sum(role_of(value) is not None for value in values)
    flags = {value.strip().lower() for value in values} <= {"true", "false", "0", "1", "yes", "no"}
    return 2 <= len(values) <= 50 and (known >= 1 or (flags and len(values) == 2))


def _is_short(cells: Sequence[str]) -> bool:
    return not cells or sum(map(len, cells)) / len(cells) <= 60


_FITS: dict[str, Callable[[Sequence[str]], bool]] = {
    "rating": _is_rating, "ticket": _is_identity, "message_id": _is_identity, "sender": _is_sender,
    "time": lambda cells: bool(formats_of(cells)), "email": lambda cells: bool(cells) and _share(cells, "@") > 0.8,
    "tags": _is_short, "status": _is_short, "name": lambda cells: bool(cells) and _is_short(cells) and _share(cells, "@") < 0.2,
    "subject": lambda cells: bool(cells) and sum(map(len, cells)) / len(cells) <= 160}
_CONTENT: dict[str, Callable[[Sequence[str]], bool]] = {
    "email": lambda cells: _share(cells, "@") > 0.8 and mean_words(cells) < 2,
    "rating": lambda cells: len(cells) >= 10 and {cell.strip() for cell in cells} in ({"good", "bad"}, {"👍", "👎"})}


def _share(cells: Sequence[str], mark: str) -> float:
    return sum(mark in cell for cell in cells) / len(cells)
