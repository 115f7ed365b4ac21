"""Reviews: two answers side by side, blind. Which side is whose stays in the database until the session is revealed.

A pair goes to the browser as an opaque id and texts, nothing else; nothing that is counted by model leaves before the reveal.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from studio import scores, verdicts
from studio.errors import StudioError
from studio.grids import PROBES
from studio.mentions import named_in
from studio.records import Turns
from studio.verdicts import Interval
from studio.workspace import Row, Transaction, Workspace

Verdict = Literal["left", "right", "tie", "both_bad"]
VERDICTS: tuple[str, ...] = ("left", "right", "tie", "both_bad")
MAX_NOTE = 4_000


@dataclass(frozen=True)
class Session:
    session_id: str
    run_id: str
    who: str
    items: int
    done: int
    started_at: datetime
    revealed: bool


@dataclass(frozen=True)
class Pair:
    """What a reviewer sees: an opaque id, the conversation, two answers, and the reference to unfold."""

    pair_id: str
    question: Turns
    left: str
    right: str
    reference: str


@dataclass(frozen=True)
class Judged:
    """One pair after the reveal: who won it, with everything behind it."""

    item_id: str
    question: Turns
    a_text: str
    b_text: str
    winner: Literal["a", "b", "tie", "both_bad"]
    note: str
    who: str


@dataclass(frozen=True)
class Tally:
    """The count after the reveal. `b_share` is model b's share of the decided pairs (ties and both-bad left out)."""

    a_wins: int
    b_wins: int
    ties: int
    both_bad: int
    b_share: Interval


def start(ws: Workspace, run_id: str, model_a: str, model_b: str, who: str, limit: int, seed: int | None = None) -> str:
    """Draw the items and the secret order of each pair, on the server; returns the session's id."""
    item_ids = [row["item_id"] for row in ws.rows(
        f"""select item_id from outputs where run_id = ? and candidate_id = ? and {_AN_ITEM} intersect
            select item_id from outputs where run_id = ? and candidate_id = ?""", [run_id, model_a, run_id, model_b])]
    if not item_ids:
        raise StudioError("This evaluation has no answers to review yet.", "Wait until its run is done.")
    dice = random.Random(seed) if seed is not None else random.SystemRandom()
    drawn = dice.sample(sorted(item_ids), min(limit, len(item_ids)))
    session_id = ws.new_id()
    pairs = [{"pair_id": ws.new_id(), "session_id": session_id, "position": place, "item_id": item_id,
              "left_is_a": dice.random() < 0.5} for place, item_id in enumerate(drawn)]
    with ws.transaction() as transaction:
        transaction.insert("review_sessions", [{
            "session_id": session_id, "run_id": run_id, "model_a": model_a, "model_b": model_b, "who": who,
            "items": len(pairs), "started_at": ws.now()}])
        transaction.insert("review_pairs", pairs)
    return session_id


def available(ws: Workspace, run_id: str) -> int:
    """How many test items of the evaluation have answers to judge."""
    return int(ws.value(f"select count(distinct item_id) from outputs where run_id = ? and {_AN_ITEM}", [run_id]))


def sessions(ws: Workspace, run_id: str | None = None) -> list[Session]:
    """Newest first."""
    found = ws.rows(
        """select s.session_id, s.run_id, s.who, s.items, s.started_at,
                  (select count(*) from (select pair_id, arg_max(verdict, seq) as verdict from reviews r
                   where r.session_id = s.session_id group by pair_id) where verdict <> 'undone') as done,
                  exists (from review_reveals v where v.session_id = s.session_id) as revealed
           from review_sessions s where ? is null or s.run_id = ? order by s.started_at desc""", [run_id, run_id])
    return [Session(**row) for row in found]


def get(ws: Workspace, session_id: str) -> Session:
    """Raises StudioError when there is no such session."""
    found = next((s for s in sessions(ws) if s.session_id == session_id), None)
    if found is None:
        raise StudioError(f"There is no review session {session_id} in this workspace.", "Start one on the Review page.")
    return found


def waiting(ws: Workspace, session_id: str, limit: int = 30, after: str = "") -> list[Pair]:
    """The next pairs without a verdict, in the order that was drawn, those behind the pair `after` where one is named."""
    found = ws.rows(
        f"""select p.pair_id, p.item_id, p.left_is_a, oa.text as a_text, ob.text as b_text {_PAIR_OUTPUTS}
            left join ({_NEWEST}) n using (pair_id)
            where s.session_id = ? and coalesce(n.verdict, 'undone') = 'undone'
              and p.position > coalesce((select a.position from review_pairs a where a.pair_id = ?), -1)
            order by p.position limit ?""", [session_id, after, limit])
    return _pairs(ws, session_id, found)


def pair(ws: Workspace, session_id: str, pair_id: str) -> Pair:
    """One pair of the session, judged or not."""
    found = ws.rows(f"""select p.pair_id, p.item_id, p.left_is_a, oa.text as a_text, ob.text as b_text {_PAIR_OUTPUTS}
                        where s.session_id = ? and p.pair_id = ?""", [session_id, pair_id])
    return _pairs(ws, session_id, found)[0]


def judge(ws: Workspace, session_id: str, pair_id: str, verdict: str, note: str, who: str, review_id: str) -> None:
    """Store one verdict press. `review_id` names the press: sent again, it adds nothing."""
    if verdict not in VERDICTS:
        raise StudioError(f"{verdict!r} is not a verdict.")
    _store(ws, session_id, pair_id, verdict, note[:MAX_NOTE], who, review_id)


def undo(ws: Workspace, session_id: str, who: str, review_id: str) -> str | None:
    """Take back this person's newest verdict that still stands in the session; returns its pair's id."""
    last = ws.row(f"""select n.pair_id from ({_NEWEST}) n join review_pairs p using (pair_id)
                      where p.session_id = ? and n.who = ? and n.verdict <> 'undone' order by n.seq desc limit 1""",
                  [session_id, who])
    if last is None or _stored(ws, review_id):
        return None
    _store(ws, session_id, last["pair_id"], "undone", "", who, review_id)
    return str(last["pair_id"])


def reveal(ws: Workspace, session_id: str, who: str) -> None:
    """End the blindness for good: from here on the session takes no more verdicts."""
    session = get(ws, session_id)
    if not session.revealed:
        with ws.transaction() as transaction:
            transaction.decided("review_reveals", [{"session_id": session_id, "who": who, "revealed_at": ws.now()}])


def judged(ws: Workspace, session_id: str) -> list[Judged]:
    """Every verdict with its pair, after the reveal. Raises StudioError before it."""
    if not get(ws, session_id).revealed:
        raise StudioError("This session is still blind.", "Reveal it first: it takes no more verdicts then.")
    found = ws.rows(
        f"""select p.item_id, p.left_is_a, oa.text as a_text, ob.text as b_text, n.verdict, n.note, n.who {_PAIR_OUTPUTS}
            join ({_NEWEST}) n using (pair_id) where s.session_id = ? and n.verdict <> 'undone' order by p.position""",
        [session_id])
    asked = scores.questions(ws, get(ws, session_id).run_id, [row["item_id"] for row in found])
    return [Judged(row["item_id"], asked[row["item_id"]][:-1], row["a_text"], row["b_text"],
                   _winner(row["verdict"], row["left_is_a"]), row["note"], row["who"]) for row in found]


def tally(pairs: Sequence[Judged]) -> Tally:
    """Count verdicts; the interval is Wilson's."""
    count = Counter(pair.winner for pair in pairs)
    return Tally(count["a"], count["b"], count["tie"], count["both_bad"],
                 verdicts.wilson(count["b"], count["a"] + count["b"]))


def word_for(tally: Tally) -> str:
    """What the verdicts allow one to say about the tuned model."""
    if tally.b_share.low > 0.5:
        return "People find the tuned model better"
    if tally.b_share.high < 0.5:
        return "People find the base model better"
    return "Too few verdicts, or too close, to say which is better"


def total(ws: Workspace) -> int:
    """Verdicts that stand, over all sessions."""
    return sum(session.done for session in sessions(ws))


def models_of(ws: Workspace, session_id: str) -> tuple[str, str]:
    """The session's two model ids (a, b), after the reveal. Raises StudioError before it."""
    if not get(ws, session_id).revealed:
        raise StudioError("This session is still blind.")
    row = ws.row("select model_a, model_b from review_sessions where session_id = ?", [session_id]) or {}
    return row["model_a"], row["model_b"]


def about(ws: Workspace, answers: Sequence[tuple[str, str]], words: Sequence[str]) -> list[str]:
    """The ids of verdicts on these answers (run id, item id), and of those whose note holds one of the words (lower case)."""
    found = ws.rows(
        f"""select review_id from reviews where pair_id in ({_PAIRS_OVER}) union
            select review_id from reviews r, (select unnest(?::varchar[]) as word) w where {named_in('r.note')}
            order by all""", [*_parted(answers), list(words)])
    return [row["review_id"] for row in found]


def forget(transaction: Transaction, answers: Sequence[tuple[str, str]], review_ids: Sequence[str]) -> None:
    """Delete the pairs over these answers with their verdicts, and empty the notes of the other verdicts named."""
    for table in ("reviews", "review_pairs"):
        transaction.execute(f"delete from {table} where pair_id in ({_PAIRS_OVER})", _parted(answers))
    transaction.execute("update reviews set note = '' where review_id in (select unnest(?::varchar[]))", [list(review_ids)])
    transaction.execute("""update review_sessions set items =
                           (select count(*) from review_pairs p where p.session_id = review_sessions.session_id)""")


def _parted(answers: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [[run_id for run_id, _ in answers], [item_id for _, item_id in answers]]


_AN_ITEM = f"not starts_with(item_id, '{PROBES}')"
_PAIRS_OVER = """select p.pair_id from review_pairs p join review_sessions s using (session_id)
    join (select unnest(?::varchar[]) as run_id, unnest(?::varchar[]) as item_id) g
    on g.run_id = s.run_id and g.item_id = p.item_id"""
_NEWEST = """select pair_id, arg_max(verdict, seq) as verdict, arg_max(note, seq) as note, arg_max(who, seq) as who,
             max(seq) as seq from reviews group by pair_id"""
_PAIR_OUTPUTS = """from review_pairs p join review_sessions s using (session_id)
    join outputs oa on oa.run_id = s.run_id and oa.candidate_id = s.model_a and oa.item_id = p.item_id and oa.sample = 0
    join outputs ob on ob.run_id = s.run_id and ob.candidate_id = s.model_b and ob.item_id = p.item_id and ob.sample = 0"""


def _pairs(ws: Workspace, session_id: str, found: list[Row]) -> list[Pair]:
    asked = scores.questions(ws, get(ws, session_id).run_id, [row["item_id"] for row in found])
    return [Pair(row["pair_id"], asked[row["item_id"]][:-1], row["a_text" if row["left_is_a"] else "b_text"],
                 row["b_text" if row["left_is_a"] else "a_text"], asked[row["item_id"]][-1]["content"]) for row in found]


def _store(ws: Workspace, session_id: str, pair_id: str, verdict: str, note: str, who: str, review_id: str) -> None:
    with ws.transaction() as transaction:
        if _stored(transaction, review_id):
            return
        if get(ws, session_id).revealed:
            raise StudioError("This session was revealed: it takes no more verdicts.", "Start a new session to judge again.")
        if not transaction.rows("select 1 from review_pairs where session_id = ? and pair_id = ?", [session_id, pair_id]):
            raise StudioError(f"The pair {pair_id} does not belong to this session.")
        transaction.decided("reviews", [{
            "review_id": review_id, "seq": 0, "session_id": session_id, "pair_id": pair_id, "verdict": verdict,
            "note": note, "who": who, "said_at": ws.now()}])


def _stored(read: Workspace | Transaction, review_id: str) -> bool:
    return bool(read.rows("select 1 from reviews where review_id = ?", [review_id]))


def _winner(verdict: str, left_is_a: bool) -> Literal["a", "b", "tie", "both_bad"]:
    if verdict == "tie":
        return "tie"
    if verdict == "both_bad":
        return "both_bad"
    return "a" if (verdict == "left") == left_is_a else "b"
