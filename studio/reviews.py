"""Reviews: two answers side by side, blind. Which side is whose stays in the database until the session is revealed.

A session compares candidates over some items. A pair is one item and two candidates; a card is a pair as one person gets it: an
opaque id and an order drawn for this person alone. The browser gets cards, nothing else; nothing that is counted by candidate
leaves before the reveal, but to the organiser, whose own later verdicts then do not count.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from studio import decks, masking, opinions, review_texts
from studio.errors import StudioError
from studio.opinions import Judged, Opinion
from studio.permissions import Given, needs, of_one
from studio.records import Turns
from studio.review_texts import Texts
from studio.workspace import Row, Transaction, Workspace

__all__ = ["Texts"]

PAIRS_AT_MOST = 5_000


@dataclass(frozen=True)
class Settings:
    """What was decided before the first verdict.

    Each person gets `per_person` pairs (0: all), the first `overlap` pairs of the session among them, and `repeats` of them
    once more, hidden. `rubric` names the criteria that are asked for. `ties`: how ties count in a win rate. `rule`: when to
    stop ("evidence": as soon as it is enough; "fixed": after `aim` pairs). `sample` and `by` say how the items were drawn.
    """

    per_person: int = 20
    overlap: int = 0
    repeats: int = 0
    rubric: tuple[str, ...] = ()
    ties: Literal["left_out", "half"] = "left_out"
    rule: Literal["evidence", "fixed"] = "evidence"
    sample: str = "random"
    by: str = ""
    aim: int = 0


@dataclass(frozen=True)
class Session:
    """A session as it stands. `items` pairs are to be judged; `same` pairs had the same answer twice and are ties. `people`
    have a deck; `done` verdicts stand on `cards` cards. `candidates` are ids: nothing for the eyes of who still judges."""

    session_id: str
    name: str
    run_id: str
    who: str
    candidates: tuple[str, ...]
    settings: Settings
    items: int
    same: int
    people: int
    cards: int
    done: int
    started_at: datetime
    revealed: bool


@dataclass(frozen=True)
class Card:
    """What a reviewer sees: an opaque id, the conversation, two answers, the reference to unfold, and what they said of it."""

    card_id: str
    question: Turns
    left: str
    right: str
    reference: str
    opinion: Opinion | None = None


@dataclass(frozen=True)
class Progress:
    """How far one person is: `mine` of their `cards`; `done` verdicts of `people` in all."""

    mine: int
    cards: int
    done: int
    people: int


def _blind(ws: Workspace, found: list[Session], given: Given) -> list[Session]:
    return [one if one.revealed else replace(one, candidates=()) for one in found]


def _veiled(ws: Workspace, found: list[Card], given: Given) -> list[Card]:
    masks = review_texts.masks(ws, given["session_id"], [one.card_id for one in found])
    return [replace(one, question=mask.turns(one.question), left=mask.text(one.left), right=mask.text(one.right),
                    reference=mask.text(one.reference)) for one in found for mask in (masks[one.card_id],)]


def _veiled_texts(ws: Workspace, found: dict[str, Texts], given: Given) -> dict[str, Texts]:
    return review_texts.masked(ws, get(ws, given["session_id"]).run_id, found)


def _veiled_words(ws: Workspace, found: list[Judged], given: Given) -> list[Judged]:
    hide = review_texts.masks(ws, given["session_id"], [one.card_id for one in found])
    return [opinions.hidden(one, hide[one.card_id].text) for one in found]


@needs("curate")
def start(ws: Workspace, run_id: str, candidates: Sequence[str], item_ids: Sequence[str], settings: Settings, who: str,
          name: str = "") -> str:
    """Open a session over these items, in this order; returns its id.

    With more than two candidates every item is compared in turns, so that each two meet equally often. Raises StudioError where
    there is nothing to compare.
    """
    chosen = list(dict.fromkeys(candidates))
    if len(chosen) < 2:
        raise StudioError("A review needs two different candidates.", "Choose at least two.")
    session_id = ws.new_id()
    pairs, same = _pairs(ws, run_id, chosen, list(dict.fromkeys(item_ids)), settings.aim or PAIRS_AT_MOST, session_id)
    if not pairs:
        raise StudioError("There is nothing to judge: all answers to these items are the same, word for word." if same else
                          "None of these items has answers of the chosen candidates.",
                          "Choose other candidates, or draw other items.")
    with ws.transaction() as transaction:
        transaction.decided("review_sessions", [{
            "session_id": session_id, "run_id": run_id, "name": " ".join(name.split())[:80], "candidates": json.dumps(chosen),
            "settings": json.dumps(asdict(settings)), "who": who, "items": len(pairs), "same": same,
            "started_at": ws.now()}])
        transaction.decided("review_pairs", pairs)
    return session_id


@needs("review", looks=True, veil=_blind)
def sessions(ws: Workspace, run_id: str | None = None) -> list[Session]:
    """Newest first."""
    found = ws.rows(
        f"""select s.*, coalesce(c.people, 0) as people, coalesce(c.cards, 0) as cards, coalesce(n.done, 0) as done,
                   exists (from review_reveals v where v.session_id = s.session_id) as revealed
            from review_sessions s
            left join (select session_id, count(*) as cards, count(distinct who) as people from review_cards
                       group by session_id) c using (session_id)
            left join (select session_id, count(*) as done from ({_STANDING}) group by session_id) n using (session_id)
            where ? is null or s.run_id = ? order by s.started_at desc, s.session_id""", [run_id, run_id])
    return [_session(row) for row in found]


@needs("review", looks=True, veil=of_one(_blind))
def get(ws: Workspace, session_id: str) -> Session:
    """Raises StudioError when there is no such session."""
    found = next((s for s in sessions(ws) if s.session_id == session_id), None)
    if found is None:
        raise StudioError(f"There is no review session {session_id} in this workspace.", "Choose one on the Review page.")
    return found


@needs("review")
def join(ws: Workspace, session_id: str, who: str, more: int = 0) -> None:
    """Draw this person's deck, once; `more` adds so many pairs to it that they have not had."""
    with ws.transaction() as transaction:
        session = get(ws, session_id)
        mine = transaction.rows("select * from review_cards where session_id = ? and who = ?", [session_id, who])
        if session.revealed or (mine and not more):
            return
        pairs = transaction.rows(
            """select p.pair_id, count(c.card_id) as held from review_pairs p
               left join review_cards c on c.pair_id = p.pair_id and not c.again
               where p.session_id = ? group by p.pair_id, p.position order by p.position""", [session_id])
        chosen = session.settings
        drawn = decks.draw([(row["pair_id"], row["held"]) for row in pairs], {row["pair_id"] for row in mine},
                           more or chosen.per_person or len(pairs), *((0, 0) if mine else (chosen.overlap, chosen.repeats)))
        if drawn:
            transaction.decided("review_cards", [
                {"card_id": ws.new_id() + ws.new_id(), "session_id": session_id, "pair_id": one.pair_id, "who": who,
                 "position": len(mine) + place, "left_is_a": one.left_is_a, "again": one.again}
                for place, one in enumerate(drawn)])


@needs("review", looks=True, veil=_veiled)
def window(ws: Workspace, session_id: str, who: str, limit: int = 30, after: str = "") -> list[Card]:
    """This person's next cards without a verdict, those behind the card `after` where one is named."""
    found = ws.rows(
        f"""{_CARDS} left join ({_STANDING}) n using (card_id)
            where c.session_id = ? and c.who = ? and n.verdict is null
              and c.position > coalesce((select a.position from review_cards a where a.card_id = ?), -1)
            order by c.position limit ?""", [session_id, who, after, limit])
    return _cards(ws, session_id, found)


@needs("review", looks=True, veil=_veiled)
def mine(ws: Workspace, session_id: str, who: str, limit: int) -> list[Card]:
    """What this person judged last, the newest first, to go back to."""
    found = ws.rows(f"""{_CARDS} join ({_STANDING}) n using (card_id) where c.session_id = ? and c.who = ?
                        order by n.seq desc limit ?""", [session_id, who, limit])
    return _cards(ws, session_id, found)


@needs("review", looks=True, veil=of_one(_veiled))
def card(ws: Workspace, session_id: str, card_id: str) -> Card:
    """One card, judged or not. Raises StudioError where it is not of this session, or somebody else's."""
    found = ws.rows(f"{_CARDS} left join ({_STANDING}) n using (card_id) where c.session_id = ? and c.card_id = ? and {_OWN}",
                    [session_id, card_id, _me(ws)])
    if found:
        return _cards(ws, session_id, found)[0]
    raise StudioError(*_NOT_YOURS)


@needs("review")
def judge(ws: Workspace, session_id: str, card_id: str, opinion: Opinion, who: str, review_id: str,
          seconds: float | None = None) -> None:
    """Store one opinion. `review_id` names the press: sent again, it adds nothing."""
    if masking.HIDDEN in opinion.better:
        raise StudioError("Your better answer holds hidden words.", "Write a word like [name] in place of each.")
    _store(ws, session_id, card_id, opinion, who, review_id, seconds)


@needs("review")
def undo(ws: Workspace, session_id: str, who: str, review_id: str) -> str | None:
    """Take back this person's newest verdict that still stands in the session; returns its card's id, also when the press comes
    a second time."""
    before = ws.row("select card_id from reviews where review_id = ?", [review_id])
    if before is not None:
        return str(before["card_id"])
    last = ws.row(f"select card_id from ({_STANDING}) n where session_id = ? and who = ? order by seq desc limit 1",
                  [session_id, who])
    if last is None:
        return None
    _store(ws, session_id, last["card_id"], Opinion("undone"), who, review_id, None)
    return str(last["card_id"])


@needs("review", looks=True)
def stored(ws: Workspace, review_ids: Sequence[str]) -> bool:
    """Whether any of these presses was stored before."""
    return ws.row("select 1 from reviews where review_id in (select unnest(?)) limit 1", [list(review_ids)]) is not None


@needs("review", looks=True)
def progress(ws: Workspace, session_id: str, who: str) -> Progress:
    row = ws.row(
        f"""select count(*) filter (c.who = $2 and n.verdict is not null) as mine, count(*) filter (c.who = $2) as cards,
                   count(n.verdict) as done, count(distinct c.who) as people
            from review_cards c left join ({_STANDING}) n using (card_id) where c.session_id = $1""", [session_id, who]) or {}
    return Progress(**row)


@needs("curate")
def look(ws: Workspace, session_id: str, who: str) -> None:
    """The organiser looks at the result so far: from here on their own verdicts do not count. Raises StudioError for others."""
    session = get(ws, session_id)
    if session.who != who:
        raise StudioError(f"Only {session.who}, who opened this session, may look at its result before the end.")
    if not session.revealed and not looked(ws, session_id, who):
        with ws.transaction() as transaction:
            transaction.decided("review_looks", [{"session_id": session_id, "who": who, "looked_at": ws.now()}])


@needs("review", looks=True)
def looked(ws: Workspace, session_id: str, who: str) -> bool:
    """Whether this person has looked at the result before the reveal."""
    return bool(ws.rows("select 1 from review_looks where session_id = ? and who = ?", [session_id, who]))


@needs("curate")
def reveal(ws: Workspace, session_id: str, who: str) -> None:
    """End the blindness for good: from here on the session takes no more verdicts."""
    session = get(ws, session_id)
    if not session.revealed:
        with ws.transaction() as transaction:
            transaction.decided("review_reveals", [{"session_id": session_id, "who": who, "revealed_at": ws.now()}])


@needs("read", veil=_veiled_words)
def standing(ws: Workspace, session_id: str, who: str = "") -> list[Judged]:
    """Every opinion that stands, by candidate. Before the reveal only for the organiser who said that they look; else raises
    StudioError."""
    session = get(ws, session_id)
    if not session.revealed and not (who == session.who and looked(ws, session_id, who)):
        raise StudioError("This session is still blind.", "End and reveal it first: it takes no more verdicts then.")
    return unnamed(ws, session_id)


@needs("curate", looks=True)
def unnamed(ws: Workspace, session_id: str) -> list[Judged]:
    """Every opinion that stands, for what is the same whoever leads (is the evidence enough?). Show nothing else of it."""
    found = ws.rows(
        f"""select n.*, p.pair_id, p.item_id, p.a, p.b, c.left_is_a, c.again,
                   coalesce(n.said_at < (select min(looked_at) from review_looks l
                                         where l.session_id = n.session_id and l.who = n.who), true) as blind
            from ({_STANDING}) n join review_cards c using (card_id) join review_pairs p on p.pair_id = c.pair_id
            where n.session_id = ? order by p.position, n.seq""", [session_id])
    return [_judged(row) for row in found]


@needs("read", veil=_veiled_texts)
def texts(ws: Workspace, session_id: str, item_ids: Sequence[str]) -> dict[str, Texts]:
    """What was asked and answered of these items; those that are gone are left out."""
    session = get(ws, session_id)
    return review_texts.read(ws, session.run_id, item_ids, session.candidates)


@needs("read")
def total(ws: Workspace) -> int:
    """Verdicts that stand, over all sessions."""
    return int(ws.value(f"select count(*) from ({_STANDING})"))


@needs("read")
def people_said(ws: Workspace, run_id: str, a: str, b: str) -> dict[str, list[Literal["a", "b", "tie"]]]:
    """What people said, blind, of two candidates of an evaluation in sessions that were revealed: item id → verdicts, one a
    person. Hidden repeats, and what somebody said after a look at the result, are left out; both bad is a tie."""
    said: dict[str, list[Literal["a", "b", "tie"]]] = defaultdict(list)
    for session in sessions(ws, run_id):
        if session.revealed and {a, b} <= set(session.candidates):
            for one in standing(ws, session.session_id):
                if {one.a, one.b} == {a, b} and one.blind and not one.again:
                    turned = {"a": "b", "b": "a"} if one.a == b else {}
                    won = "tie" if one.winner == "both_bad" else one.winner
                    said[one.item_id].append(turned.get(won, won))  # type: ignore[arg-type]
    return said


# Verdicts from before sessions had cards name their pair alone; the card has its id.
_STANDING = """select * from (
    select session_id, coalesce(nullif(card_id, ''), pair_id) as card_id, arg_max(verdict, seq) as verdict,
           arg_max(note, seq) as note, arg_max(data, seq) as data, arg_max(who, seq) as who, arg_max(said_at, seq) as said_at,
           max(seq) as seq from reviews group by all) where verdict <> 'undone'"""
_CARDS = """select c.card_id, c.left_is_a, p.item_id, p.a, p.b, n.verdict, n.note, n.data
    from review_cards c join review_pairs p using (pair_id)"""


_OWN = "c.who = coalesce(?, c.who)"
_NOT_YOURS = "This pair does not belong to this session, or not to you.", "Load the page again."


def _me(ws: Workspace) -> str | None:
    return ws.person.email if ws.person else None  # where nobody signs in, anybody's cards are one's own


def _pairs(ws: Workspace, run_id: str, candidates: list[str], item_ids: list[str], aim: int,
           session_id: str) -> tuple[list[Row], int]:
    """At most `aim` pairs, and how many of them have the same answer twice; those are no rows."""
    known = review_texts.read(ws, run_id, item_ids, candidates)
    met, same = decks.meetings({item_id: one.answers for item_id, one in known.items()}, candidates, item_ids, aim)
    return [{"pair_id": ws.new_id(), "session_id": session_id, "position": place, "item_id": item_id, "a": a, "b": b}
            for place, (item_id, a, b) in enumerate(met)], same


def _cards(ws: Workspace, session_id: str, found: Sequence[Row]) -> list[Card]:
    known = texts(ws, session_id, [row["item_id"] for row in found])
    made = []
    for row in found:
        if (asked := known.get(row["item_id"])) is None:
            continue
        left, right = (row["a"], row["b"]) if row["left_is_a"] else (row["b"], row["a"])
        said = opinions.stored(row["verdict"], row["note"], json.loads(row["data"])) if row["verdict"] else None
        made.append(Card(row["card_id"], asked.question, asked.answers[left], asked.answers[right], asked.reference, said))
    return made


def _store(ws: Workspace, session_id: str, card_id: str, opinion: Opinion, who: str, review_id: str,
           seconds: float | None) -> None:
    with ws.transaction() as transaction:
        if _stored(transaction, review_id):
            return
        if transaction.rows("select 1 from review_reveals where session_id = ?", [session_id]):
            raise StudioError("This session was revealed: it takes no more verdicts.", "Start a new session to judge again.")
        found = transaction.rows(f"select pair_id from review_cards c where session_id = ? and card_id = ? and {_OWN}",
                                 [session_id, card_id, _me(ws)])
        if not found:
            raise StudioError(*_NOT_YOURS)
        transaction.decided("reviews", [{
            "review_id": review_id, "seq": 0, "session_id": session_id, "pair_id": found[0]["pair_id"], "card_id": card_id,
            "verdict": opinion.verdict, "note": opinion.note, "data": json.dumps(opinion.data(), ensure_ascii=False),
            "seconds": seconds, "who": who, "said_at": ws.now()}])


def _stored(read: Workspace | Transaction, review_id: str) -> bool:
    return bool(read.rows("select 1 from reviews where review_id = ?", [review_id]))


def _session(row: Row) -> Session:
    settings: dict[str, Any] = json.loads(row["settings"])
    if "rubric" in settings:
        settings["rubric"] = tuple(settings["rubric"])
    return Session(row["session_id"], row["name"], row["run_id"], row["who"], tuple(json.loads(row["candidates"])),
                   Settings(**settings), row["items"], row["same"], row["people"], row["cards"], row["done"], row["started_at"],
                   row["revealed"])


def _judged(row: Row) -> Judged:
    said = opinions.stored(row["verdict"], row["note"], json.loads(row["data"]))
    where = row["left_is_a"]
    scores: dict[str, Mapping[str, int]] = {opinions.turned(side, where): given for side, given in said.scores.items()}
    faults = tuple(replace(one, side=opinions.turned(one.side, where)) for one in said.faults)
    return Judged(row["card_id"], row["pair_id"], row["item_id"], row["a"], row["b"], opinions.winner(row["verdict"], where),
                  where, row["again"], row["who"], row["said_at"], scores, faults, said.note, said.better, row["blind"])
