"""A run of kind "synthesize": a model writes examples, slot by slot; each passes the gate, or is asked for again, or is set
aside.

Every call is a line of calls.jsonl (`ledger`) before anything is done with its reply, and the reply stands in it until the run
is over: a run that is killed pays for nothing again. Calls that fail wait by themselves, so that the pool stays full; a model
of which nothing can be had is given up after a few calls (`pace`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from pipeline import examples, judging
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example, Turn
from pipeline.purse import Purse
from pipeline.rundir import Child, read_lines
from pipeline.specs import Decoding, SynthesisSpec
from pipeline.synthesis import diversity, gate, names, plan, prompts, structured
from pipeline.synthesis.asking import FORM, Reply, Writer
from pipeline.synthesis.lanes import KEPT, Heard, Job, Lane, words
from pipeline.synthesis.ledger import ANSWERED, Ledger
from pipeline.synthesis.plan import Slot

SEEDS, EXISTING, EXAMPLES, PAUSE = "seeds.jsonl", "existing.jsonl", "examples.jsonl", "pause"
SAME = 5
"""So many replies in a row that are the same text, and the run ends."""
UNREADABLE = 10
"""So many replies in a row that could not be read, not at the second asking either, and the run ends."""
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 0.05, 3.0
REPAIR = "Your reply could not be read: {why} Answer once more, with the JSON object alone."
JUDGED = Decoding(max_new_tokens=400)
Row = dict[str, Any]


def run(child: Child, spec: SynthesisSpec, workspace: Path) -> Row:
    """Write what is not written yet; returns the facts. Raises PipelineError in words, Stopped when asked to stop."""
    return Engine(child, spec, workspace).run()


def done_words(data: Row) -> str:
    """How it ended, in words: never more than there is."""
    said = f"{data['accepted']:,} of {data['wanted']:,} examples were accepted"
    said += f"; {data['refused']:,} were set aside: {names.counted(data['reasons'])}" if data["refused"] else ""
    money = f" for {data['spent']:.4f} {data['money']}" if data["spent"] is not None else ""
    return f"{said}. {data['calls']:,} calls{money}."


class Engine:
    """All of a run's state; only the calls themselves happen in threads."""

    def __init__(self, child: Child, spec: SynthesisSpec, workspace: Path) -> None:
        self.child, self.spec = child, spec
        path = child.folder / SEEDS
        self.seeds: list[Example] = examples.read(path) if path.exists() and path.stat().st_size else []
        self.slots = {slot.key: slot for slot in plan.slots(spec, self.seeds)}
        self.places = {key: place for place, key in enumerate(self.slots)}
        self.cells = {cell: place for place, cell in reversed(list(enumerate(spec.cells)))}
        self.existing = [str(row["text"]) for row in read_lines(child.folder / EXISTING)]
        child.say("preparing", sentence="Reading what is here already")
        diversity.repeating(["What it needs is loaded before the first call, not in the middle."] * diversity.ENOUGH)
        self.gate = gate.Gate(spec.checks, self.existing, spec.work, self.seeds, (spec.system, *spec.documents))
        self.ledger = Ledger(child)
        self.newest: dict[str, Row] = {}
        self.done = 0
        self.openings: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=prompts.MOST_AVOIDED))
        self.recent: deque[tuple[str, str]] = deque(maxlen=diversity.BEFORE + diversity.WINDOW)
        self.looked, self.said = 0.0, ""
        self.paused, self.looked_for_orders = False, 0.0
        self.texts: deque[str] = deque(maxlen=SAME)
        self.unreadable = 0
        self.different: set[str] = set()
        self.refused: Counter[str] = Counter()
        for row in read_lines(child.folder / EXAMPLES):
            self._remember(row)
        self.heard: SimpleQueue[Heard] = SimpleQueue()
        drawn = Decoding(max_new_tokens=spec.max_new_tokens, temperature=spec.temperature, seed=spec.seed)
        self.writing = Lane(Writer(child, spec.model, workspace, drawn, prompts.schema(spec.work)), self.heard)
        self.way, judge = self.writing.writer.way, spec.checks.judge
        self.judging = Lane(Writer(child, judge, workspace, JUDGED, None), self.heard) if judge else None
        self.lanes = [lane for lane in (self.judging, self.writing) if lane]  # what is written already goes first
        self.purse = Purse(spec.budget, self.ledger.spent, [spec.model.endpoint, judge.endpoint if judge else None])

    # --- the loop -----------------------------------------------------------------------------------------------------
    def run(self) -> Row:
        ended: BaseException | None = None
        put_off = False
        try:
            for job in self._todo():
                self._lane(job).ready.append(job)
            while any(lane.busy for lane in self.lanes):
                ended = ended or self._orders()
                if ended is not None:
                    self._call_back()
                elif not self.paused:
                    put_off = not all([self._send(lane) for lane in self.lanes])
                if not any(lane.going for lane in self.lanes) and (ended is not None or put_off):
                    break  # nothing is on its way that could make room in the budget
                try:
                    self._receive()
                except PipelineError as error:
                    ended = ended or error
                self._tell(ended is not None)
        except PipelineError as error:
            ended = error
        finally:
            for lane in self.lanes:
                lane.close()
        if ended is None and put_off:
            ended = PipelineError(f"It stopped before the budget of {self.spec.budget:g} was passed:",
                                  "Give it a larger budget in a new run; what is there is kept.")
        if ended is not None:
            raise self._with_what_is_there(ended)
        self.ledger.forget_replies()
        return self._facts()

    def _lane(self, job: Job) -> Lane:
        return self.judging if job.purpose == "judge" and self.judging else self.writing

    def _send(self, lane: Lane) -> bool:
        """Send off what may go now; False where the budget does not allow the next call."""
        while (job := lane.next(time.time(), self._most(lane))) is not None:
            if job.purpose == "make":
                job.turns = self._prompt(job.slot)
                job.prompt = _hash(job.turns)
            call, writer = uuid4().hex, lane.writer
            if not self.purse.reserve(call, writer.candidate.endpoint, job.turns, writer.decoding.max_new_tokens):
                return False
            lane.send(call)
        return True

    def _most(self, lane: Lane) -> int | None:
        """So that little is paid for nothing: one call until a reply could be read, and no more than `SAME` until two were
        different. A local model costs nothing."""
        if lane is not self.writing or lane.writer.endpoint is None or len(self.different) > 1:
            return None
        if not self.different:
            return 1
        return SAME - self._same() if len(self.slots) >= SAME else None

    def _call_back(self) -> None:
        for lane in self.lanes:
            for call in lane.call_back():
                self.purse.pay(call, 0.0)

    def _receive(self) -> None:
        """Deal with the next reply, if one comes soon."""
        try:
            heard = self.heard.get(timeout=LOOK_SECONDS)
        except Empty:
            return
        del heard.lane.going[heard.call]
        for job, seconds in self._hear(heard.lane, heard.job, heard.call, heard.reply.result()):
            if seconds:
                self._lane(job).wait_for(job, time.time() + seconds)
            else:
                self._lane(job).ready.appendleft(job)

    def _hear(self, lane: Lane, job: Job, call: str, reply: Reply) -> Iterator[tuple[Job, float]]:
        """Write the call down, then do what follows; yields what is to be asked, and after how many seconds."""
        if reply.outcome == "stopped":
            return
        refused = reply.outcome in ("rate", "unstructured", "fatal") or reply.outcome.startswith("error")
        cost = self.purse.pay(call, 0.0 if refused else reply.cost)  # a server charges nothing for what it refuses
        self.ledger.write({
            "call": call, "slot": job.slot.key, "try": job.attempt, "purpose": job.purpose, "at": reply.at,
            "seconds": reply.seconds, "prompt_tokens": reply.prompt_tokens, "new_tokens": reply.new_tokens, "cost": cost,
            "outcome": reply.outcome, "prompt_sha256": job.prompt, "reply": reply.text if reply.outcome == "ok" else None})
        lane.heed(reply)
        if reply.outcome == "unstructured":
            self._note_form()
            yield job, 0.0
        elif reply.outcome in ANSWERED:
            yield from self._follow(job, reply.text, reply.outcome)
        elif (seconds := job.wait(reply)) is not None:
            yield job, seconds
        else:
            yield from self._follow(job, "", reply.outcome)

    # --- from a reply to an example -----------------------------------------------------------------------------------
    def _follow(self, job: Job, text: str, outcome: str) -> Iterator[tuple[Job, float]]:
        """From a reply, or none, to what is asked next, or to a line of examples.jsonl."""
        if job.purpose == "judge":
            yield from self._judged(job, text)
            return
        if outcome != "ok":
            kind = "cut" if outcome == "cut" else "nothing"
            yield from self._settle(job, [], [gate.Reason(kind, f"Its call ended so: {words(outcome)}.")])
            return
        self._look_for_sameness(text)
        try:
            made = structured.read(text, prompts.schema(self.spec.work))
        except structured.Unreadable as why:
            yield from self._unread(job, text, str(why))
            return
        self.writing.writer.formed()
        self.unreadable = 0
        if len(self.different) < 2:
            self.different.add(text.strip())
        messages = prompts.messages(self.spec, job.slot, made, self.seeds)
        reasons = self.gate.check(messages, job.slot.cell)
        if not reasons and self.judging is not None:
            yield Job(job.slot, job.attempt, "judge", prompts.judged(self.spec, messages), job.prompt, messages), 0.0
            return
        yield from self._settle(job, messages, reasons)

    def _unread(self, job: Job, text: str, why: str) -> Iterator[tuple[Job, float]]:
        """It is asked for once more; then the try is over, and after many such the run."""
        if "{" not in text:
            self.writing.writer.formless()
            self._note_form()
        if job.purpose != "repair":
            said: tuple[Turn, ...] = ({"role": "assistant", "content": text},
                                      {"role": "user", "content": REPAIR.format(why=why)})
            yield Job(job.slot, job.attempt, "repair", (*(job.turns or self._prompt(job.slot)), *said), job.prompt), 0.0
            return
        yield from self._settle(job, [], [gate.Reason("form", why)])
        self.unreadable += 1
        if self.unreadable >= UNREADABLE:
            raise PipelineError(f"{UNREADABLE} replies in a row could not be read, nor could they at the second asking.",
                                "The model may be too small for this work: try another one, or a simpler prompt. "
                                + KEPT.capitalize())

    def _judged(self, job: Job, text: str) -> Iterator[tuple[Job, float]]:
        _, score, _ = judging.read(text, "absolute")
        if score is None and text and not job.again:
            said: tuple[Turn, ...] = ({"role": "assistant", "content": text}, {"role": "user", "content": judging.AGAIN})
            turns = job.turns or prompts.judged(self.spec, job.messages)
            yield replace(job, turns=(*turns, *said), again=True, failed=0, refused=0), 0.0
            return
        reasons = gate.low_score(score, self.spec.checks)
        reasons += [] if reasons else self.gate.check(job.messages, job.slot.cell)  # others were accepted meanwhile
        yield from self._settle(job, job.messages, reasons, score)

    def _settle(self, job: Job, messages: list[Turn], reasons: list[gate.Reason],
                score: float | None = None) -> Iterator[tuple[Job, float]]:
        """Accept it, or set it aside and ask again while there are tries."""
        row = {"slot": job.slot.key, "place": self.places[job.slot.key], "try": job.attempt,
               "cell": self.cells[job.slot.cell], "state": "refused" if reasons else "accepted",
               "messages": messages, "reasons": [one.kind for one in reasons], "why": [one.words for one in reasons],
               "score": score, "seeds": [self.seeds[place].id for place in job.slot.seeds], "prompt_sha256": job.prompt,
               "at": time.time()}
        self.child.example(row)
        self._remember(row)
        if not reasons:
            self._look_for_repeats()
        elif job.attempt < self.spec.tries:
            yield Job(job.slot, job.attempt + 1), 0.0

    # --- what is there ------------------------------------------------------------------------------------------------
    def _todo(self) -> Iterator[Job]:
        """Jobs of slots that are not done. Answers that a killed run had paid for are followed up without a call."""
        for key, slot in self.slots.items():
            last = self.newest.get(key)
            if last is not None and self._is_done(last):
                continue
            waiting = [Job(slot, last["try"] + 1 if last else 1)]
            while waiting:
                job = waiting.pop()
                known = self.ledger.answer(key, job.attempt, job.purpose == "judge")
                if known is None:
                    yield job
                    continue
                if job.purpose == "make":
                    job.purpose, job.prompt = known["purpose"], known["prompt_sha256"]
                waiting += [again for again, _ in self._follow(job, known["reply"] or "", known["outcome"])]

    def _remember(self, row: Row) -> None:
        key = row["slot"]
        if key in self.slots:
            self.done += self._is_done(row) - (key in self.newest and self._is_done(self.newest[key]))
        self.newest[key] = row
        if row["state"] != "accepted":
            self.refused.update(row["reasons"])
            return
        self.gate.take(row["messages"])
        question = _question(row["messages"])
        cell = self._cell(self.slots[key]) if key in self.slots else ""
        self.openings[cell].append(question)
        self.recent.append((question, cell))

    def _is_done(self, row: Row) -> bool:
        return bool(row["state"] == "accepted" or row["try"] >= self.spec.tries)

    def _prompt(self, slot: Slot) -> tuple[Turn, ...]:
        return prompts.render(self.spec, slot, self.seeds, list(self.openings[self._cell(slot)]))

    def _cell(self, slot: Slot) -> str:
        return json.dumps(slot.cell.model_dump(exclude={"count"}), sort_keys=True)

    # --- ends and words -----------------------------------------------------------------------------------------------
    def _look_for_sameness(self, text: str) -> None:
        self.texts.append(text.strip())
        if len(self.slots) >= SAME and self._same() == SAME:
            raise PipelineError(f"The model wrote the same text {SAME} times in a row.",
                                "Raise the temperature, or choose another model or prompt. " + KEPT.capitalize())

    def _same(self) -> int:
        """How many of the newest replies are one and the same text."""
        return sum(1 for _ in takewhile(lambda text: text == self.texts[-1], reversed(self.texts)))

    def _look_for_repeats(self) -> None:
        now = time.monotonic()
        if len(self.recent) < diversity.WINDOW or now - self.looked < LOOK_AGAIN_SECONDS:
            return
        self.looked = now
        said = diversity.repeating([text for text, _ in self.recent], [cell for _, cell in self.recent])
        if said and said != self.said:
            self.child.event("note", sentence=said)
        self.said = said

    def _note_form(self) -> None:
        """Write down how the endpoint is asked from now on, where that changed."""
        if (way := self.writing.writer.way) != self.way:
            self.way = way
            self.child.event(FORM, way=way)

    def _orders(self) -> BaseException | None:
        """What a person wants, looked for now and then: a pause, or an end."""
        now = time.monotonic()
        if now - self.looked_for_orders < LOOK_SECONDS:
            return None
        self.looked_for_orders, self.paused = now, (self.child.folder / PAUSE).exists()
        return Stopped(f"Stopped, as asked: {self._there()}") if self.child.stop_requested() else None

    def _tell(self, ending: bool) -> None:
        rest = max(lane.pace.rest(time.time()) for lane in self.lanes)
        said = f"Waiting {rest:.0f} s for the server" if rest >= 2 else f"{self.spec.model.name} writes"
        if self.paused or ending:
            said = f"{'Ending' if ending else 'Paused'}: what is on its way still comes"
        self.child.say("paused" if self.paused else "writing", self.done, len(self.slots), "examples", said)

    def _there(self) -> str:
        accepted = sum(row["state"] == "accepted" for row in self.newest.values())
        return f"{accepted:,} of {len(self.slots):,} examples are there."

    def _with_what_is_there(self, ended: BaseException) -> BaseException:
        if isinstance(ended, PipelineError):
            return PipelineError(f"{ended.message} {self._there()}", ended.hint)
        return ended

    def _facts(self) -> Row:
        rows = [self.newest[key] for key in self.slots if key in self.newest]
        accepted = [row for row in rows if row["state"] == "accepted"]
        aside = Counter(row["reasons"][0] for row in rows if row["state"] != "accepted" and row["reasons"])
        endpoint, asked = self.spec.model.endpoint, [_question(row["messages"]) for row in accepted]
        measured = {} if self.spec.only else diversity.measure(asked, self.existing)
        return {"wanted": len(self.slots), "accepted": len(accepted), "refused": len(rows) - len(accepted),
                "reasons": dict(aside), "tries": dict(self.refused), "calls": self.ledger.calls,
                "in_vain": self.ledger.in_vain, "spent": self.purse.spent if self.purse.counts else None,
                "money": endpoint.money if endpoint else "", "diversity": measured}


def _hash(turns: tuple[Turn, ...]) -> str:
    return hashlib.sha256(json.dumps(turns, sort_keys=True).encode()).hexdigest()


def _question(messages: list[Turn]) -> str:
    return next((str(turn["content"]) for turn in messages if turn["role"] == "user"), "")
