"""Judges: chat models that say which answer is better, their rubrics, and whether people's blind verdicts license them.

A judge is licensed for two candidates when it was held against people on enough items and agrees with them more than chance
would. Only sessions that were revealed count: before that, nothing that is counted by model leaves `reviews`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from studio import agreement, named, reviews, verdicts
from studio.errors import StudioError
from studio.mentions import named_in
from studio.named import RUBRICS
from studio.permissions import needs
from studio.verdicts import Interval
from studio.workspace import Row, Transaction, Workspace

Mode = Literal["pairwise", "absolute"]
Winner = Literal["a", "b", "tie"]
LONGEST_NAME, LONGEST_TEXT = RUBRICS.longest_name, 10_000
LEAST_SHARED = 30
"""Items that people and the judge must share: with 30, the interval of an accuracy of 0.8 begins at 0.63, clear of the half
that tossing a coin gets; with 10 it begins at 0.49, and says nothing."""

BUILT_IN = {
    "pairwise": ("Better for the customer",
                 "Which answer would help this customer more? In this order: it is right and invents nothing; it settles what "
                 "was asked, or says what happens next; it is friendly and in the tone of the reference; it is no longer than "
                 "it needs to be. The reference is an answer a person gave; another good answer is as good."),
    "absolute": ("Good for the customer",
                 "How well does this answer help the customer? 5: right, complete, in the tone of the reference. 4: right, "
                 "with a small lack. 3: usable, but something that matters is missing. 2: mostly of no help. 1: wrong, "
                 "invented, rude, or about something else. Another good answer than the reference is as good."),
}
"""A rubric for each mode that comes with Tunewright: its name and its text."""


@dataclass(frozen=True)
class Rubric:
    """`rubric_id` changes with every change, and is empty for one that comes with Tunewright."""

    rubric_id: str
    name: str
    mode: Mode
    text: str


@dataclass(frozen=True)
class Judging:
    """One run of a judge that is done: who judged, how, and what it cost. `unread` replies held no verdict."""

    run_id: str
    judge: str
    mode: Mode
    rubric: str
    judged_at: datetime
    asked: int
    unread: int
    spent: float | None
    money: str
    budget_reached: bool


@dataclass(frozen=True)
class Outcome:
    """What a judge says of candidate b against a. `b_share` is b's share of the items that it decided; `flips` the share of
    items on which the order of the answers changed its verdict (they count as ties). Absolute judges never flip: NaN."""

    items: int
    a_wins: int
    b_wins: int
    ties: int
    unread: int
    b_share: Interval
    flips: Interval


@dataclass(frozen=True)
class Licence:
    """A judge held against people's blind verdicts on the items they share. `chance` is how often it would agree if it gave
    each verdict as often, whatever the item (as in kappa). `why` says in words what is missing, or what it rests on."""

    licensed: bool
    shared: int
    accuracy: Interval
    kappa: Interval
    chance: float
    why: str


@needs("read")
def rubrics(ws: Workspace, mode: Mode) -> list[Rubric]:
    """The built-in one first, then those that were saved, by name."""
    saved = [Rubric(row["rubric_id"], row["name"], row["mode"], row["text"]) for row in named.every(ws, RUBRICS)
             if row["mode"] == mode]
    return [Rubric("", BUILT_IN[mode][0], mode, BUILT_IN[mode][1]), *saved]


@needs("run")
def save_rubric(ws: Workspace, name: str, mode: Mode, text: str, who: str) -> Rubric:
    """Keep a rubric under a name; what stood under it before is replaced. Raises StudioError for what cannot be used."""
    name, text = named.name_of(RUBRICS, name, [BUILT_IN[mode][0]]), text.strip()
    check_text(text)
    return Rubric(named.say(ws, RUBRICS, name, text, who, mode=mode), name, mode, text)


def check_text(text: str) -> None:
    """Raises StudioError where a text cannot be a rubric."""
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise StudioError(f"A rubric has 1 to {LONGEST_TEXT:,} characters.", "Say what makes one answer better than another.")


@needs("run")
def delete_rubric(ws: Workspace, rubric: Rubric, who: str) -> None:
    """Take a saved rubric off the list. Raises StudioError where there is none of that name."""
    named.delete(ws, RUBRICS, rubric.name, who, mode=rubric.mode)


def collect(transaction: Transaction, run_id: str, evaluation_id: str, mode: Mode, lines: Sequence[Row]) -> None:
    """Store what a judge's run wrote down: two replies make one judgement of a pair. May be repeated."""
    by_key: dict[str, Row] = {line["key"]: line for line in lines}
    costs: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if line["cost"] is not None:
            costs[line["key"]].append(line["cost"])
    told = [line | {"cost": sum(costs[key]) if key in costs else None} for key, line in by_key.items()]
    rows = [_alone(line) for line in told] if mode == "absolute" else _pairs(told)
    transaction.execute("delete from judgements where judge_run_id = ?", [run_id])
    transaction.insert("judgements", [row | {"judge_run_id": run_id, "evaluation_id": evaluation_id} for row in rows])
    if mode == "absolute":
        transaction.execute("delete from scores where run_id = ? and metric = 'judge'", [evaluation_id])
        transaction.insert("scores", [{
            "run_id": evaluation_id, "candidate_id": row["candidate_a"], "item_id": row["item_id"], "sample": 0,
            "metric": "judge", "value": row["score"], "label": None} for row in rows if row["score"] is not None])


@needs("read")
def of_evaluation(ws: Workspace, evaluation_id: str) -> list[Judging]:
    """Judges' runs over an evaluation that are done, newest first."""
    found = ws.rows("""select r.run_id, r.spec, e.data, e.ended_at from runs r join run_results e using (run_id)
                       where r.kind = 'judge' and e.outcome = 'done' and json_extract_string(r.spec, '$.evaluation_id') = ?
                       order by r.started_at desc""", [evaluation_id])
    made = []
    for row in found:
        spec, data = json.loads(row["spec"]), json.loads(row["data"])
        made.append(Judging(row["run_id"], spec["judge"]["name"], spec["mode"], spec["rubric"], row["ended_at"], data["asked"],
                            data["unread"], data["spent"], data["money"], data["budget_reached"]))
    return made


@needs("read")
def pairs(ws: Workspace, run_id: str) -> list[tuple[str, str]]:
    """The pairs of candidate ids a judge's run was asked about."""
    spec = json.loads(ws.value("select spec from runs where run_id = ?", [run_id]))
    return [(str(a), str(b)) for a, b in spec["pairs"]]


@needs("read")
def first_items(ws: Workspace, evaluation_id: str, most: int) -> list[str]:
    """So many test items, those that people judged first (they decide on a licence), the others in no order that means
    anything."""
    found = ws.rows(
        """select o.item_id from (select distinct item_id from outputs where run_id = ? and item_id not like 'probe:%') o
           order by exists (from review_pairs p join review_sessions s using (session_id) join reviews r using (pair_id)
                            where s.run_id = ? and p.item_id = o.item_id) desc, md5(o.item_id) limit ?""",
        [evaluation_id, evaluation_id, most])
    return [row["item_id"] for row in found]


@needs("read")
def outcome(ws: Workspace, run_id: str, a: str, b: str) -> Outcome:
    """What the judge says of candidate b against a."""
    rows = _judged(ws, run_id, a, b)
    said = Counter(row["winner"] for row in rows)
    flips = [row["flipped"] for row in rows if row["flipped"] is not None]
    return Outcome(len(rows), said["a"], said["b"], said["tie"], said[None], verdicts.wilson(said["b"], said["a"] + said["b"]),
                   verdicts.wilson(sum(flips), len(flips)))


@needs("read")
def licence(ws: Workspace, run_id: str, a: str, b: str) -> Licence:
    """The judge's agreement with people on the items that both judged, and whether it may be believed for these two."""
    people = _people(ws, run_id, a, b)
    judge = {row["item_id"]: row["winner"] for row in _judged(ws, run_id, a, b) if row["winner"]}
    shared = sorted(people.keys() & judge.keys())
    votes = {item: {"judge": judge[item], "people": people[item]} for item in shared}
    found = agreement.of_field("winner", votes, "nominal").pairs if shared else ()
    kappa = found[0].kappa if found else Interval(float("nan"), float("nan"), float("nan"))
    accuracy = verdicts.wilson(sum(people[item] == judge[item] for item in shared), len(shared))
    chance = _chance([people[item] for item in shared], [judge[item] for item in shared])
    licensed = len(shared) >= LEAST_SHARED and accuracy.low > chance
    return Licence(licensed, len(shared), accuracy, kappa, chance, _why(len(shared), accuracy, chance))


@needs("read")
def unsure(ws: Workspace, run_id: str, a: str, b: str) -> set[str]:
    """Items on which the judge said another thing once the order was swapped, or called a tie."""
    return {row["item_id"] for row in _judged(ws, run_id, a, b) if row["flipped"] or row["winner"] == "tie"}


def forget(transaction: Transaction, answers: Sequence[tuple[str, str]], words: Sequence[str]) -> None:
    """Delete judgements of these answers (run id, item id), and empty the reasons in which one of the words stands."""
    transaction.execute(
        """delete from judgements j using (select unnest(?::varchar[]) as run_id, unnest(?::varchar[]) as item_id) g
           where j.evaluation_id = g.run_id and j.item_id = g.item_id""",
        [[run_id for run_id, _ in answers], [item_id for _, item_id in answers]])
    transaction.execute(f"""update judgements set reason = '' where exists (
        from (select unnest(?::varchar[]) as word) w where {named_in('judgements.reason')})""", [list(words)])


def _alone(line: Row) -> Row:
    return {"item_id": line["item_id"], "candidate_a": line["first"], "candidate_b": "", "winner": None, "flipped": None,
            "score": line["score"], "reason": line["reason"], "cost": line["cost"]}


def _pairs(lines: Sequence[Row]) -> list[Row]:
    """One row for two replies in swapped order; the first that was asked names the pair's a. One reply alone says nothing."""
    asked = {(line["item_id"], line["first"], line["second"]): line for line in lines}
    rows, seen = [], set()
    for (item_id, first, second), line in asked.items():
        swapped = asked.get((item_id, second, first))
        if swapped is None or (item_id, second, first) in seen:
            continue
        seen.add((item_id, first, second))
        there = {"first": "a", "second": "b", "tie": "tie", None: None}[line["verdict"]]
        back = {"first": "b", "second": "a", "tie": "tie", None: None}[swapped["verdict"]]
        read = there is not None and back is not None
        rows.append({"item_id": item_id, "candidate_a": first, "candidate_b": second,
                     "winner": (there if there == back else "tie") if read else None,
                     "flipped": there != back if read else None, "score": None, "reason": line["reason"],
                     "cost": _sum(line["cost"], swapped["cost"])})
    return rows


def _sum(*costs: float | None) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


def _judged(ws: Workspace, run_id: str, a: str, b: str) -> list[Row]:
    """Rows of item_id, winner ("a", "b", "tie", None) and flipped, as seen from a and b; of scores, the higher one wins."""
    found = ws.rows(
        """select item_id, candidate_a, winner, flipped from judgements where judge_run_id = ?
           and (candidate_a = ? and candidate_b = ? or candidate_a = ? and candidate_b = ?)""", [run_id, a, b, b, a])
    if found:
        turn = {"a": "b", "b": "a"}
        return [row | {"winner": row["winner"] if row["candidate_a"] == a else turn.get(row["winner"], row["winner"])}
                for row in found]
    return ws.rows("""select x.item_id, null::boolean as flipped, case when x.score is null or y.score is null then null
                      when x.score > y.score then 'a' when x.score < y.score then 'b' else 'tie' end as winner
                      from judgements x join judgements y using (judge_run_id, item_id)
                      where judge_run_id = ? and x.candidate_a = ? and y.candidate_a = ? and x.candidate_b = ''
                        and y.candidate_b = ''""", [run_id, a, b])


def _people(ws: Workspace, run_id: str, a: str, b: str) -> dict[str, Winner]:
    """What people said of each item, blind, in sessions that were revealed: what most of them said, a tie where none leads."""
    evaluation_id = ws.value("select json_extract_string(spec, '$.evaluation_id') from runs where run_id = ?", [run_id])
    return {item: _most(Counter(said)) for item, said in reviews.people_said(ws, evaluation_id, a, b).items()}


def _most(counted: Counter[str]) -> Winner:
    ranked: list[tuple[Any, int]] = counted.most_common(2)
    return "tie" if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def _chance(people: Sequence[str], judge: Sequence[str]) -> float:
    """How often two would agree who say each verdict as often as they do, at random; at least a half, as tossing a coin."""
    if not people:
        return 0.5
    theirs, its = Counter(people), Counter(judge)
    return max(0.5, sum(theirs[word] * its[word] for word in theirs) / len(people) ** 2)


def _why(shared: int, accuracy: Interval, chance: float) -> str:
    if shared < LEAST_SHARED:
        return (f"Unlicensed: people judged {shared} of its items blind; a licence needs {LEAST_SHARED}. Review "
                f"{LEAST_SHARED - shared} more, and reveal the session.")
    if accuracy.low <= chance:
        return (f"Unlicensed: it agrees with people on {100 * accuracy.value:.0f} % of {shared} items, which chance could do "
                f"too ({100 * chance:.0f} %). Change the rubric or the judge.")
    return (f"Licensed: it agrees with people on {100 * accuracy.value:.0f} % of {shared} items, where chance would on "
            f"{100 * chance:.0f} %.")
