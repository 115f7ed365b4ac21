"""The playground: one question to one or more models at once, their answers as they come, and what is kept of them.

Questions go to a run of kind "play" (`pipeline/playing`), which answers them in its own process; `plays` has the tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from studio import authored, candidates, models, plays, runs, snapshots, starts
from studio.candidates import Chosen
from studio.errors import StudioError
from studio.models import Model
from studio.permissions import needs
from studio.plays import Ask, Reply
from studio.records import Turns
from studio.runs import Candidate, Decoding, Run
from studio.workspace import Workspace

__all__ = ["Ask", "Chosen", "Decoding", "Reply"]

MOST_CANDIDATES, LONGEST_QUESTION = 4, 20_000
REST_SECONDS = 10.0


@dataclass(frozen=True)
class SavedAsk:
    """A comparison kept for review: the question as all of its candidates were asked it, and their answers by candidate id."""

    ask_id: str
    question: Turns
    answers: dict[str, str]
    names: dict[str, str]
    who: str


@needs("run", looks=True)
def options(ws: Workspace, checkpoints: bool = False) -> list[Chosen]:
    """Everyone that can answer: tuned models, bases, bases with a written prompt where there is a snapshot, endpoints."""
    tuned, bases = models.tuned(ws), models.bases(ws)
    found = [Chosen(one) for one in (*tuned, *bases)]
    frozen = snapshots.every(ws)
    if frozen:
        prompt = candidates.default_prompt(ws, _own_snapshot(ws, tuned) or frozen[0])
        found += [Chosen(base, prompt, prompt_name="written prompt") for base in bases]
    found += [Chosen(one) for one in models.endpoints(ws) if one not in tuned]
    return found + [Chosen(one) for model in tuned if checkpoints for one in candidates.checkpoints(ws, model)]


@needs("run", looks=True)
def defaults(ws: Workspace, model_id: str = "") -> list[str]:
    """Candidate ids to begin with: the model that is named; else the newest tuned one and its base; else the first base."""
    known = {model.model_id for model in models.answering(ws)}
    if model_id in known:
        return [model_id]
    tuned = models.tuned(ws)
    return [tuned[0].model_id, models.base_of(ws, tuned[0]).model_id] if tuned else [models.bases(ws)[0].model_id]


@needs("run")
def ask(ws: Workspace, question: str, chosen: Sequence[Chosen], decoding: Decoding, who: str, ask_id: str) -> str:
    """Begin a conversation with these; returns the thread's id. Raises StudioError for what cannot be asked."""
    ids = [one.candidate_id for one in chosen]
    if not 1 <= len(ids) <= MOST_CANDIDATES:
        raise StudioError(f"One to {MOST_CANDIDATES} models answer at a time.", "Choose who is to answer.")
    if len(set(ids)) < len(ids):
        raise StudioError("Two of those who answer are the same.", "Take one of them out.")
    specs = [candidates.spec(ws, one, candidates.held(chosen, one.model.base)) for one in chosen]
    thread_id = f"t{ask_id}"
    _ask(ws, thread_id, question, specs, decoding, who, ask_id)
    return thread_id


@needs("run")
def follow(ws: Workspace, thread_id: str, question: str, who: str, ask_id: str) -> None:
    """Go on with a conversation. Raises StudioError while a reply is on its way."""
    collect(ws)
    before = _thread(ws, thread_id)
    if any(one.open for one in before):
        raise StudioError("A reply is still on its way.", "Wait for its end, or stop it.")
    specs = [Candidate.model_validate(one) for one in before[-1].candidates]
    _ask(ws, thread_id, question, specs, Decoding.model_validate(before[-1].decoding), who, ask_id)


@needs("run", looks=True)
def thread(ws: Workspace, thread_id: str) -> list[Ask]:
    """A conversation as it stands now. Raises StudioError where there is none."""
    keep_up(ws)
    return [_live(ws, one) for one in _thread(ws, thread_id)]


@needs("run", looks=True)
def now(ws: Workspace, ask_id: str) -> Ask:
    """One question with its replies as they stand now."""
    keep_up(ws)
    return _live(ws, _one(ws, ask_id))


@needs("run")
def stop(ws: Workspace, reply: Reply) -> None:
    """End a reply; what it said so far stays."""
    run = runs.get(ws, _one(ws, reply.ask_id).run_id)
    if run.moving:
        starts.stop_reply(ws, run, reply.reply_id)
    else:
        plays.end(ws, reply)


@needs("run", looks=True)
def keep_up(ws: Workspace) -> None:
    """Collect what ended; hand over what the child has not got; start it again where it ended before it could answer."""
    for run in collect(ws):
        asks = [one for one in plays.unanswered(ws) if one.run_id == run.run_id]
        there = {line["reply"] for line in runs.lines(ws, run, runs.ASKS)}
        wake = _may_wake(run, asks)
        if wake or (run.moving and any(reply.open and reply.reply_id not in there for one in asks for reply in one.replies)):
            wanted = [(reply.reply_id, Candidate.model_validate(one.candidates[place]),
                       conversation(ws, one, reply.candidate_id), Decoding.model_validate(one.decoding))
                      for one in asks for place, reply in enumerate(one.replies) if reply.open]
            starts.hand_over(ws, run, wanted, wake)


@needs("run", looks=True)
def collect(ws: Workspace) -> list[Run]:
    """Bring replies that ended into the tables, and those whose process died; returns the runs that owed some, as they were."""
    owing, asks = [], plays.unanswered(ws)
    for run_id in dict.fromkeys(one.run_id for one in asks):
        run = runs.get(ws, run_id)
        lines = runs.lines(ws, run, runs.PIECES)
        told = plays.heard(lines)
        news = [told[reply.reply_id] for one in asks for reply in one.replies if reply.open and reply.reply_id in told]
        if any(one.get("finish") or (one.get("begun") and not run.moving) for one in news):
            with ws.transaction() as transaction:
                plays.collect(ws, transaction, lines, over=not run.moving)
        owing.append(run)
    return owing


@needs("run", looks=True)
def rest(ws: Workspace) -> None:
    """End a process that nobody has asked anything, so that nothing waits for it; the next question starts it again."""
    owing = {one.run_id for one in plays.unanswered(ws)}
    for run in runs.every(ws, "play"):
        if run.moving and run.run_id not in owing:
            runs.stop(ws, run.run_id)
            runs.wait(ws, run.run_id, REST_SECONDS)


@needs("run", looks=True)
def conversation(ws: Workspace, ask: Ask, candidate_id: str) -> Turns:
    """What a candidate reads: the earlier questions of the thread that it answered, with its answers, and this question."""
    turns: Turns = []
    for earlier in plays.thread(ws, ask.thread_id):
        reply = next((one for one in earlier.replies if one.candidate_id == candidate_id), None)
        if earlier.seq < ask.seq and reply is not None and reply.said:
            turns += [{"role": "user", "content": earlier.question}, {"role": "assistant", "content": reply.text}]
    return [*turns, {"role": "user", "content": ask.question}]


@needs("curate")
def save_as_item(ws: Workspace, ask_id: str, candidate_id: str, expected: str, who: str) -> str:
    """Keep a question with the answer that is expected, tied to the test part of later snapshots; returns the record's id.

    The same answer saved again is the same record.
    """
    one = _one(ws, ask_id)
    stamp = hashlib.sha256(f"{candidate_id}/{expected}".encode()).hexdigest()[:12]
    messages = [*conversation(ws, one, candidate_id), {"role": "assistant", "content": expected.strip()}]
    return authored.add(ws, messages, "playground", who, f"play-{ask_id}-{stamp}", tags="playground", part="test")


@needs("run", looks=True)
def is_comparison(ws: Workspace, one: Ask) -> bool:
    """Whether it can be reviewed: at least two answers to the first question of a thread. (Later on each has read others.)"""
    return sum(reply.said for reply in one.replies) >= 2 and plays.thread(ws, one.thread_id)[0].ask_id == one.ask_id


@needs("run")
def save_for_review(ws: Workspace, ask_id: str, who: str, press_id: str) -> None:
    """Put a comparison on the list that a review can be started from. Raises StudioError for what is none."""
    if not is_comparison(ws, _one(ws, ask_id)):
        raise StudioError("Only the first question of a conversation with at least two answers can be reviewed.",
                          "Ask it again in a new conversation.")
    plays.keep(ws, ask_id, True, who, press_id)


@needs("run")
def unsave(ws: Workspace, ask_id: str, who: str, press_id: str) -> None:
    """Take it off the list."""
    plays.keep(ws, ask_id, False, who, press_id)


@needs("run", looks=True)
def saved(ws: Workspace) -> list[SavedAsk]:
    """What is on the list for review, the oldest first."""
    return [SavedAsk(one.ask_id, [{"role": "user", "content": one.question}],
                     {reply.candidate_id: reply.text for reply in one.replies if reply.said},
                     {reply.candidate_id: reply.name for reply in one.replies if reply.said}, one.who)
            for one in plays.kept(ws)]


def _ask(ws: Workspace, thread_id: str, question: str, specs: Sequence[Candidate], decoding: Decoding, who: str,
         ask_id: str) -> None:
    question = question.strip()
    if not question or len(question) > LONGEST_QUESTION:
        raise StudioError(f"A question has 1 to {LONGEST_QUESTION:,} characters.")
    run = starts.play(ws, any(one.base is not None and one.base.kind == "hub" for one in specs))
    plays.add(ws, ask_id, run.run_id, thread_id, question, [one.model_dump() for one in specs], decoding.model_dump(), who)
    keep_up(ws)


def _may_wake(run: Run, asks: Sequence[Ask]) -> bool:
    """Whether a child that does not live is to be started: it ended because it was quiet, or something was asked since it was
    started last. One that dies at its start is not started again and again."""
    newest = max((one.said_at.replace(tzinfo=UTC).timestamp() for one in asks), default=0.0)
    return not run.moving and bool(asks) and (run.state == "done" or newest > run.launched_at)


def _live(ws: Workspace, one: Ask) -> Ask:
    if not one.open:
        return one
    run = runs.get(ws, one.run_id)
    found = plays.with_heard(one, plays.heard(runs.lines(ws, run, runs.PIECES)))
    if run.moving:
        return found
    why = run.result.message if run.result else "Its process died."
    return replace(found, replies=tuple(
        replace(reply, waits=f"Nobody answers this: {why} Ask again.") if reply.open else reply for reply in found.replies))


def _thread(ws: Workspace, thread_id: str) -> list[Ask]:
    found = plays.thread(ws, thread_id)
    if not found:
        raise StudioError("There is no such conversation here.", "Begin a new one.")
    return found


def _one(ws: Workspace, ask_id: str) -> Ask:
    found = plays.of_ids(ws, [ask_id])
    if not found:
        raise StudioError("This question is gone.", "Reload the page.")
    return found[0]


def _own_snapshot(ws: Workspace, tuned: Sequence[Model]) -> snapshots.Snapshot | None:
    """The snapshot that the newest tuned model learned from."""
    run_id = tuned[0].run_id if tuned else None
    snapshot_id = runs.get(ws, run_id).snapshot_id if run_id else ""
    return snapshots.get(ws, snapshot_id) if snapshot_id else None
