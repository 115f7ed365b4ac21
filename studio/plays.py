"""Plays: what was asked in the playground, what the models replied, and which comparisons somebody keeps for review.

A thread is a conversation with the same candidates from its first question on; its asks follow each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from studio.mentions import named_in
from studio.permissions import needs
from studio.workspace import Row, Transaction, Workspace

UNANSWERED = ("failed", "filter")
"""Ends after which nothing is there that a model said."""


@dataclass(frozen=True)
class Reply:
    """What one candidate replies. `finish` is empty while it is on its way; then "stop", "length" or "filter" as a model ended
    it, "stopped" by a person, "cut" by the death of its process, or "failed" with a `problem`. `waits` says for what."""

    reply_id: str
    ask_id: str
    candidate_id: str
    name: str
    kind: str
    text: str = ""
    finish: str = ""
    problem: str = ""
    tokens: int | None = None
    prompt_tokens: int | None = None
    seconds: float = 0.0
    first_seconds: float | None = None
    cost: float | None = None
    money: str = ""
    waits: str = ""
    begun: bool = False

    @property
    def open(self) -> bool:
        return not self.finish

    @property
    def said(self) -> bool:
        """Whether there is an answer, whole or in part."""
        return bool(self.text.strip()) and self.finish not in UNANSWERED and not self.open


@dataclass(frozen=True)
class Ask:
    """One question of a thread. `candidates` are specs as the pipeline reads them, `decoding` too."""

    ask_id: str
    seq: int
    run_id: str
    thread_id: str
    question: str
    candidates: tuple[Row, ...]
    decoding: Row
    who: str
    said_at: datetime
    replies: tuple[Reply, ...]
    saved: bool

    @property
    def open(self) -> bool:
        return any(reply.open for reply in self.replies)


@dataclass(frozen=True)
class Thread:
    """A conversation in short."""

    thread_id: str
    question: str
    names: tuple[str, ...]
    asks: int
    who: str
    said_at: datetime


@needs("run")
def add(ws: Workspace, ask_id: str, run_id: str, thread_id: str, question: str, candidates: Sequence[Row], decoding: Row,
        who: str) -> None:
    """Write a question down, once."""
    with ws.transaction() as transaction:
        if not transaction.rows("select 1 from play_asks where ask_id = ?", [ask_id]):
            transaction.decided("play_asks", [{
                "ask_id": ask_id, "seq": 0, "run_id": run_id, "thread_id": thread_id, "question": question,
                "candidates": json.dumps(list(candidates), ensure_ascii=False), "decoding": json.dumps(decoding), "who": who,
                "said_at": ws.now()}])


@needs("run", looks=True)
def thread(ws: Workspace, thread_id: str) -> list[Ask]:
    """Its questions in order; replies that are on their way are empty."""
    return _asks(ws, "thread_id = ?", [thread_id])


@needs("run", looks=True)
def of_ids(ws: Workspace, ask_ids: Sequence[str]) -> list[Ask]:
    return _asks(ws, "ask_id in (select unnest(?::varchar[]))", [list(ask_ids)])


@needs("run", looks=True)
def unanswered(ws: Workspace) -> list[Ask]:
    """Questions of which a reply has not ended, in order."""
    return _asks(ws, """json_array_length(candidates) > (select count(*) from play_replies r where r.ask_id = a.ask_id)""", [])


@needs("run", looks=True)
def threads(ws: Workspace, most: int) -> list[Thread]:
    """The newest first."""
    rows = ws.rows("""select thread_id, arg_min(question, seq) as question, arg_min(candidates, seq) as candidates,
                      count(*) as asks, arg_min(who, seq) as who, max(said_at) as said_at
                      from play_asks group by thread_id order by max(seq) desc limit ?""", [most])
    return [Thread(row["thread_id"], row["question"], tuple(one["name"] for one in json.loads(row["candidates"])), row["asks"],
                   row["who"], row["said_at"]) for row in rows]


def heard(lines: Iterable[Row]) -> dict[str, dict[str, Any]]:
    """Each reply as far as its run told it, by its id: fields of a `Reply`."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        one = found.setdefault(line["reply"], {"text": "", "waits": ""})
        if "at" in line:
            one["text"] = one["text"][: line["at"]] + line["text"]
            one["waits"] = ""
        elif "finish" in line:
            one |= {key: value for key, value in line.items() if key != "reply"} | {"waits": ""}
        elif "begun" in line:
            one["begun"] = True
        else:
            one["waits"] = line["waits"]
    return found


def with_heard(ask: Ask, told: dict[str, dict[str, Any]]) -> Ask:
    """The question with what its run told of the replies that are on their way."""
    return replace(ask, replies=tuple(replace(one, **told.get(one.reply_id, {})) if one.open else one for one in ask.replies))


@needs("run")
def collect(ws: Workspace, transaction: Transaction, lines: Iterable[Row], over: bool) -> None:
    """Store replies that ended; where the run is `over`, also those that it died upon. May be repeated."""
    told = {reply_id: one for reply_id, one in heard(lines).items() if one.get("finish") or (over and one.get("begun"))}
    known = {row["reply_id"] for row in transaction.rows(
        "select reply_id from play_replies where reply_id in (select unnest(?::varchar[]))", [list(told)])}
    asked = {row["ask_id"]: json.loads(row["candidates"]) for row in transaction.rows(
        "select ask_id, candidates from play_asks where ask_id in (select unnest(?::varchar[]))",
        [list({reply_id.rpartition("-")[0] for reply_id in told})])}
    for reply_id, one in told.items():
        ask_id, _, place = reply_id.rpartition("-")
        if reply_id not in known and ask_id in asked:
            _put(ws, transaction, reply_id, ask_id, asked[ask_id][int(place)]["candidate_id"], {"finish": "cut"} | one)


@needs("run")
def end(ws: Workspace, reply: Reply) -> None:
    """A person stopped a reply that no process works on."""
    with ws.transaction() as transaction:
        if not transaction.rows("select 1 from play_replies where reply_id = ?", [reply.reply_id]):
            _put(ws, transaction, reply.reply_id, reply.ask_id, reply.candidate_id, {"finish": "stopped", "text": reply.text})


@needs("run")
def keep(ws: Workspace, ask_id: str, kept: bool, who: str, press_id: str) -> None:
    """Put a comparison on the list for review, or take it off; sent again, it adds nothing."""
    with ws.transaction() as transaction:
        if not transaction.rows("select 1 from play_saved where press_id = ?", [press_id]):
            transaction.decided("play_saved", [{"press_id": press_id, "seq": 0, "ask_id": ask_id, "kept": kept, "who": who,
                                                "said_at": ws.now()}])


@needs("run", looks=True)
def kept(ws: Workspace) -> list[Ask]:
    """Comparisons on the list for review, the oldest first."""
    return _asks(ws, "ask_id in (select ask_id from play_saved group by ask_id having arg_max(kept, seq))", [])


@needs("run", looks=True)
def about(ws: Workspace, words: Sequence[str]) -> list[str]:
    """Questions in which one of the words (lower case) stands, or in an answer to them or a prompt before them."""
    named = (("a.question", "play_asks a"), ("a.candidates", "play_asks a"),
             ("r.text", "play_replies r join play_asks a using (ask_id)"))
    found = [ws.rows(f"select distinct a.ask_id from {source}, (select unnest(?::varchar[]) as word) w where {named_in(text)}",
                     [list(words)]) for text, source in named]
    return sorted({row["ask_id"] for rows in found for row in rows})


def forget(transaction: Transaction, ask_ids: Sequence[str]) -> None:
    for table in ("play_replies", "play_saved", "play_asks"):
        transaction.execute(f"delete from {table} where ask_id in (select unnest(?::varchar[]))", [list(ask_ids)])


def _put(ws: Workspace, transaction: Transaction, reply_id: str, ask_id: str, candidate_id: str, one: Row) -> None:
    transaction.insert("play_replies", [{
        "reply_id": reply_id, "ask_id": ask_id, "candidate_id": candidate_id, "text": one["text"], "finish": one["finish"],
        "problem": one.get("problem", ""), "tokens": one.get("tokens"), "prompt_tokens": one.get("prompt_tokens"),
        "seconds": one.get("seconds", 0.0), "first_seconds": one.get("first_seconds"), "cost": one.get("cost"),
        "ended_at": ws.now()}])


def _asks(ws: Workspace, condition: str, parameters: Sequence[Any]) -> list[Ask]:
    rows = ws.rows(f"""select a.*, coalesce((select arg_max(kept, s.seq) from play_saved s where s.ask_id = a.ask_id), false)
                       as saved from play_asks a where {condition} order by a.seq""", parameters)
    stored = {row["reply_id"]: row for row in ws.rows(
        "select * exclude (ended_at) from play_replies where ask_id in (select unnest(?::varchar[]))",
        [[row["ask_id"] for row in rows]])}
    return [_ask(row, stored) for row in rows]


def _ask(row: Row, stored: dict[str, Row]) -> Ask:
    candidates = tuple(json.loads(row["candidates"]))
    replies = []
    for place, one in enumerate(candidates):
        kind = "endpoint" if one["endpoint"] else "tuned" if one["adapter"] else "base"
        known: Row = {"reply_id": f"{row['ask_id']}-{place}", "ask_id": row["ask_id"], "candidate_id": one["candidate_id"]}
        replies.append(Reply(**(known | stored.get(known["reply_id"], {})), name=one["name"], kind=kind,
                             money=(one["endpoint"] or {}).get("money", "")))
    return Ask(**(row | {"candidates": candidates, "decoding": json.loads(row["decoding"]), "replies": tuple(replies)}))
