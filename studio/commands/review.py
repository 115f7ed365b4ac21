"""`tunewright review`: the Review page. Which answer is whose is not told before the session is revealed."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from studio import (
    corrections,
    faults,
    grids,
    marks,
    opinions,
    records,
    review_exports,
    review_results,
    review_samples,
    review_stats,
    review_texts,
    reviews,
)
from studio.commands import chosen
from studio.commands.frame import As, Limit, Out, Table, Told, command, group, lines_of, listed, picked, who, write
from studio.errors import StudioError
from studio.review_samples import Wanted
from studio.review_stats import Result
from studio.review_texts import PLAYGROUND
from studio.reviews import Card, Session, Settings
from studio.workspace import Row, Workspace

review = group()
APPS = {"review": review}
SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id, or `latest`.")]
CardId = Annotated[str, typer.Argument(metavar="CARD", help="The card's id, as `review cards` says it.")]
Way = Literal["random", "slices", "losses", "metrics", "judge"]


@command(review, "start")
def start(
    ws: Workspace,
    run: Annotated[str, typer.Option("--run", help="An evaluation; `playground` for saved comparisons.")] = "",
    candidate: Annotated[list[str] | None, typer.Option(help="Two or more; without it the tuned one and its rival.")] = None,
    way: Annotated[Way, typer.Option(help="Which items.")] = "random",
    by: Annotated[str, typer.Option(help="For slices.")] = "",
    metric: Annotated[str, typer.Option()] = "",
    other: Annotated[str, typer.Option(help="The second metric, for metrics.")] = "",
    pairs: Annotated[int, typer.Option(min=1)] = 60,
    per_person: Annotated[int | None, typer.Option(min=0)] = None,
    overlap: Annotated[int | None, typer.Option(min=0, help="Judged by everybody.")] = None,
    repeats: Annotated[int | None, typer.Option(min=0, help="Shown twice, hidden.")] = None,
    criterion: Annotated[list[str] | None, typer.Option(help="Also scores from 1 to 5.")] = None,
    rule: Annotated[Literal["evidence", "fixed"], typer.Option(help="When it is enough.")] = "evidence",
    ties: Annotated[Literal["left_out", "half"], typer.Option()] = "left_out",
    name: Annotated[str, typer.Option(help="What people see; do not name the models.")] = "",
    as_: As = "",
) -> Told:
    """Open a blind session over stored answers."""
    held = None if run == PLAYGROUND else chosen.evaluation(ws, run)
    source, grid = held.run_id if held else PLAYGROUND, grids.read(ws, held.run_id) if held else None
    who_answers = candidate or (review_results.usual(held) if held else list(review_texts.played(ws))[:2])
    if len(set(who_answers)) < 2:
        raise StudioError("A review needs two different candidates.", "Name them with --candidate.")
    there = len(review_texts.items(ws, source, who_answers))
    pairs = min(pairs, review_results.most_pairs(there, len(who_answers)))
    each, by_all, twice = review_results.shares(pairs)
    wanted = Wanted(way, by, metric or (grid.metrics[0] if grid and way in ("losses", "metrics") else ""), other)
    settings = Settings(
        each if per_person is None else per_person,
        by_all if overlap is None else overlap,
        twice if repeats is None else repeats,
        tuple(criterion or ()),
        ties,
        rule,
        way,
        by,
        pairs,
    )
    items, _ = review_samples.draw(ws, source, grid, who_answers, wanted, pairs, held)
    session_id = reviews.start(ws, source, who_answers, items, settings, who(as_), name)
    return Told({"session": _row(reviews.get(ws, session_id))}, [f"Session {session_id}, {pairs} pairs."])


@command(review, "list")
def every(ws: Workspace) -> Told:
    """Sessions, blind and revealed."""
    return listed(
        "sessions",
        [_row(one) for one in reviews.sessions(ws)],
        "session_id name who items done people revealed",
        "No session was opened yet.",
    )


@command(review, "cards")
def cards(
    ws: Workspace,
    session: SessionId = "latest",
    limit: Limit = 30,
    judged: Annotated[bool, typer.Option("--judged", help="Those judged last instead.")] = False,
    more: Annotated[int, typer.Option(min=0, help="Take so many more pairs.")] = 0,
    as_: As = "",
) -> Told:
    """Your next pairs: a question, an answer left, an answer right."""
    held, me = _session(ws, session), who(as_)
    reviews.join(ws, held.session_id, me, more)
    found = (reviews.mine if judged else reviews.window)(ws, held.session_id, me, limit)
    at = reviews.progress(ws, held.session_id, me)
    rows = [_card(one) for one in found]
    return Told(
        {"cards": rows, "progress": picked(at, "mine cards done people")},
        [
            line
            for one in found
            for line in (f"{one.card_id}: {one.question[-1]['content']}", f"  left:  {one.left}", f"  right: {one.right}")
        ]
        or ["You have judged all of your pairs."],
    )


@command(review, "answer")
def answer(
    ws: Workspace,
    session: SessionId,
    card: CardId,
    verdict: Annotated[Literal["left", "right", "tie", "both_bad"], typer.Argument()],
    note: Annotated[str, typer.Option()] = "",
    better: Annotated[str, typer.Option(help="An answer you would give.")] = "",
    detail: Annotated[str, typer.Option(help='JSON: {"scores": {side: {criterion: 1–5}}, "faults": […]}.')] = "",
    as_: As = "",
) -> Told:
    """Say which answer of a pair is better."""
    held = _session(ws, session)
    press = {"verdict": verdict, "note": note, "better": better} | (_detail(detail) if detail else {})
    _judge(ws, held, card, press, who(as_))
    return Told({"judged": 1}, ["Judged 1 pair."])


@command(review, "import")
def bring_in(
    ws: Workspace, session: SessionId, file: Annotated[str, typer.Argument(help="JSON lines; - is stdin.")] = "-", as_: As = ""
) -> Told:
    """Many verdicts: lines of {"card_id", "verdict", "note", "better", "scores", "faults"}."""
    held, said = _session(ws, session), lines_of(file)
    for number, line in enumerate(said, start=1):
        if not isinstance(line.get("card_id"), str) or line.get("verdict") not in opinions.VERDICTS:
            raise StudioError(f"Line {number} has no card_id, or no verdict of {', '.join(opinions.VERDICTS)}.")
    for line in said:
        _judge(ws, held, line["card_id"], line, who(as_))
    return Told({"judged": len(said)}, [f"Judged {len(said)} pairs."])


@command(review, "undo")
def undo(ws: Workspace, session: SessionId = "latest", as_: As = "") -> Told:
    """Take back your newest verdict of a session."""
    card = reviews.undo(ws, _session(ws, session).session_id, who(as_), ws.new_id())
    return Told(
        {"undone": card is not None, "card_id": card}, ["Taken back." if card else "There is nothing of yours to undo."]
    )


@command(review, "progress")
def progress(ws: Workspace, session: SessionId = "latest", as_: As = "") -> Told:
    """How far people are, and whether it is enough, without saying for whom."""
    held, me = _session(ws, session), who(as_)
    found = review_stats.result(reviews.unnamed(ws, held.session_id), held.settings, held.candidates, held.same, None)
    sentence = review_stats.evidence(found)
    return Told(
        {
            "session": _row(held),
            "progress": picked(reviews.progress(ws, held.session_id, me), "mine cards done people"),
            "evidence": sentence,
        },
        [f"{held.done} of {held.cards} cards are judged. {sentence}"],
    )


@command(review, "look")
def look(ws: Workspace, session: SessionId = "latest", as_: As = "") -> Told:
    """The result so far, for who opened the session: what they judge from then on does not count."""
    held = _session(ws, session)
    reviews.look(ws, held.session_id, who(as_))
    return _result(ws, held, who(as_))


@command(review, "reveal")
def reveal(ws: Workspace, session: SessionId = "latest", as_: As = "") -> Told:
    """End a session for good, and say whose answers won."""
    held = _session(ws, session)
    if held.who != who(as_):
        raise StudioError(f"Only {held.who}, who opened this session, ends it.", "Say --as with their name where you are they.")
    reviews.reveal(ws, held.session_id, who(as_))
    return _result(ws, reviews.get(ws, held.session_id), who(as_))


@command(review, "result")
def result(ws: Workspace, session: SessionId = "latest", as_: As = "") -> Told:
    """What a revealed session says, with intervals."""
    return _result(ws, _session(ws, session), who(as_))


@command(review, "export")
def export(
    ws: Workspace,
    session: SessionId = "latest",
    form: Annotated[Literal["csv", "jsonl", "preferences"], typer.Option("--format")] = "jsonl",
    out: Out = "",
) -> Told:
    """Every verdict of a revealed session, or preference pairs for DPO."""
    held = _session(ws, session)
    rows = review_exports.rows(ws, held.session_id, review_results.names(ws, held))
    preferred = review_exports.preferences(ws, held.session_id)
    text = (
        preferred.text
        if form == "preferences"
        else (review_exports.as_csv(rows) if form == "csv" else review_exports.as_jsonl(rows))
    )
    end = {"csv": ".csv", "jsonl": ".jsonl", "preferences": "-preferences.jsonl"}[form]
    file = write(out or f"review-{held.session_id}{end}", text)
    return Told(
        {"verdicts": len(rows), "preferences": len(preferred.lines), "left_out": preferred.left_out, "file": file},
        [f"Written: {file}", review_exports.OF_THE_TEST],
    )


@command(review, "corrections")
def written(ws: Workspace, session: SessionId = "latest") -> Told:
    """Better answers that reviewers wrote."""
    found = corrections.of_session(ws, _session(ws, session).session_id)
    return listed(
        "corrections",
        [picked(one, "card_id item_id who before better state has_record") for one in found],
        "card_id item_id who better state",
        "Nobody wrote a better answer.",
    )


@command(review, "take")
def take(
    ws: Workspace,
    session: SessionId,
    card: CardId,
    how: Annotated[Literal["version", "example", "left"], typer.Argument(help="Correct its record, a new one, or leave it.")],
    as_: As = "",
) -> Told:
    """Take a better answer over into the data: it goes to train, never to test."""
    held = _session(ws, session)
    found = next((one for one in corrections.of_session(ws, held.session_id) if one.card_id == card), None)
    if found is None:
        raise StudioError("Nobody wrote a better answer on this card.", "`tunewright review corrections` has those that were.")
    record_id = corrections.take(ws, held.session_id, found, how, who(as_), f"{card}-{how}")
    return Told({"record_id": record_id}, [f"Record {record_id}." if record_id else "Left."])


@command(review, "faults")
def marked(
    ws: Workspace,
    session: SessionId = "latest",
    tag: Annotated[str, typer.Option(help="Tag the items of this kind of fault for the label queue.")] = "",
    as_: As = "",
) -> Told:
    """What was marked in answers, by candidate."""
    found = faults.count(reviews.standing(ws, _session(ws, session).session_id))
    meant = [one for one in found if one.kind == tag]
    if tag and not meant:
        raise StudioError(f"Nobody marked a fault of the kind {tag!r}.", f"Kinds are {', '.join(opinions.FAULTS)}.")
    ids = [one.record_id for one in records.every(ws, [item for one in meant for item in one.items])]
    name = f"fault: {meant[0].title.lower()}" if meant else ""
    done = marks.put_many(ws, ids, "tag", name, who(as_), ws.new_id()) if ids else 0
    rows = [picked(one, "candidate kind title items judged share repeated notes") for one in found]
    return Told(
        {"faults": rows, "tag": name, "changed": done},
        Table(rows, "candidate title items repeated", "Nobody marked one.").lines(),
    )


def _session(ws: Workspace, word: str) -> Session:
    if word != "latest":
        return reviews.get(ws, word)
    found = reviews.sessions(ws)
    if not found:
        raise StudioError("No session was opened yet.", "`tunewright review start` opens one.")
    return found[0]


def _row(one: Session) -> Row:
    """A session without whose answers it is about, until that is revealed."""
    return picked(one, "session_id name run_id who items same people cards done started_at revealed") | (
        {"candidates": one.candidates if one.revealed else None}
    )


def _card(one: Card) -> Row:
    return picked(one, "card_id question left right reference") | {"opinion": one.opinion}


def _detail(text: str) -> Row:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StudioError("The detail is no JSON object.")
    return found


def _judge(ws: Workspace, held: Session, card_id: str, press: dict[str, Any], name: str) -> None:
    reviews.join(ws, held.session_id, name)
    card = reviews.card(ws, held.session_id, card_id)
    reviews.judge(ws, held.session_id, card_id, opinions.read(press, card.left, card.right), name, ws.new_id())


def _result(ws: Workspace, held: Session, name: str) -> Told:
    found, called = review_results.of(ws, held, name), review_results.names(ws, held)
    words = [
        f"{review_stats.headline(one, called)}. {review_stats.numbers(one, called)} {review_stats.reach(one)}"
        for one in found.versus
    ]
    return Told(
        {
            "session": _row(held),
            "names": called,
            "versus": _versus(found, called),
            "side": found.side,
            "alpha": found.alpha,
            "consistency": found.consistency,
            "repeats": found.repeats,
            "same": found.same,
            "not_blind": found.not_blind,
            "people": found.people,
            "scores": found.scores,
            "strengths": found.strengths and {"names": found.strengths.names, "strengths": found.strengths.strengths},
            "agreement": [picked(one, "first second records raw kappa") for one in found.agreement],
            "disagreed": review_results.disagreed(reviews.standing(ws, held.session_id, name)),
        },
        words,
    )


def _versus(found: Result, called: dict[str, str]) -> list[Row]:
    return [
        {
            "a": one.a,
            "b": one.b,
            "count": one.count,
            "stop": one.stop,
            "by_slice": one.by_slice,
            "by_person": one.by_person,
            "headline": review_stats.headline(one, called),
        }
        for one in found.versus
    ]
