"""A run of kind "synthesize": a model writes examples, slot by slot; each passes the gate, or is asked for again, or is set
aside.

Every call is a line of calls.jsonl before anything is done with its reply, and the reply stands in it until its example is a
line of examples.jsonl: a run that is killed between the two pays for nothing again. Calls that fail wait by themselves, so
that the pool stays full; a model of which nothing can be had is given up after a few calls in a row. """

from __future__ import annotations

import hashlib
import heapq
import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipeline import examples, judging
from pipeline.errors import PipelineError, Stopped
from pipeline.examples import Example, Turn
from pipeline.purse import Purse
from pipeline.rundir import Child, read_lines, write_atomic
from pipeline.specs import Decoding, SynthesisSpec
from pipeline.synthesis import diversity, gate, names, plan, prompts, structured
from pipeline.synthesis.asking import Reply, Writer
from pipeline.synthesis.plan import Slot

SEEDS, EXISTING, EXAMPLES, CALLS, PAUSE = "seeds.jsonl", "existing.jsonl", "examples.jsonl", "calls.jsonl", "pause"
VAIN = 5
"""So many calls in a row that come to nothing, and the run ends."""
SAME = 5
"""So many replies in a row that are the same text, and the run ends."""
LOOK_SECONDS, LOOK_AGAIN_SECONDS, SHORTEST_WAIT, LONGEST_WAIT = 0.05, 3.0, 0.25, 20.0
REPAIR = "Your reply could not be read: {why} Answer once more, with the JSON object alone."
JUDGED = Decoding(max_new_tokens=400)
Row = dict[str, Any]


@dataclass
class Job:
    """One thing to be asked: an example of a slot ("make"), a reply that could not be read once more ("repair"), a score
    ("judge").

    `failed` counts its calls that came to nothing; `messages` is the example that is judged.
    """

    slot: Slot
    attempt: int
    purpose: str = "make"
    turns: tuple[Turn, ...] = ()
    messages: list[Turn] = field(default_factory=list)
    failed: int = 0


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
        self.existing = [str(row["text"]) for row in read_lines(child.folder / EXISTING)]
        child.say("preparing", sentence="Reading what is here already")
        diversity.repeating(["What it needs is loaded before the first call, not in the middle."] * diversity.ENOUGH)
        self.gate = gate.Gate(spec.checks, self.existing, spec.work, self.seeds, (spec.system, *spec.documents))
        self.calls = read_lines(child.folder / CALLS)
        self.newest: dict[str, Row] = {}
        self.openings: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=prompts.MOST_AVOIDED))
        self.recent: deque[tuple[str, str]] = deque(maxlen=diversity.BEFORE + diversity.WINDOW)
        self.looked = 0.0
        self.texts: deque[str] = deque(maxlen=SAME)
        self.refused: Counter[str] = Counter()
        self.said = ""
        for row in read_lines(child.folder / EXAMPLES):
            self._remember(row)
        self.writer = Writer(child, spec.model, workspace, Decoding(
            max_new_tokens=spec.max_new_tokens, temperature=spec.temperature, seed=spec.seed), prompts.schema(spec.work))
        judge = spec.checks.judge
        self.judge = Writer(child, judge, workspace, JUDGED, None) if judge else None
        endpoints = [spec.model.endpoint, judge.endpoint if judge else None]
        self.purse = Purse(spec.budget, sum(row["cost"] or 0.0 for row in self.calls), endpoints)
        self.vain = 0
        self.went_well = False

    # --- the loop -----------------------------------------------------------------------------------------------------
    def run(self) -> Row:
        ready = deque(self._todo())
        later: list[tuple[float, int, Job]] = []
        order = count()
        ended: BaseException | None = None
        with ThreadPoolExecutor(max(self.writer.concurrency, 1), thread_name_prefix="synthesis") as threads:
            going: dict[Future[Reply], tuple[Job, str]] = {}
            while ready or later or going:
                ended = ended or self._asked_to_end()
                if ended is not None:
                    self._call_back(going)
                while later and later[0][0] <= time.monotonic():
                    ready.appendleft(heapq.heappop(later)[2])  # what waited goes first, or it would wait for all the others
                put_off = False
                while ended is None and ready and not put_off and not self._paused() and len(going) < self._room():
                    put_off = not self._begin(threads, ready[0], going)
                    if not put_off:
                        ready.popleft()
                if not going and (ended is not None or put_off):  # nothing is on its way that could make room
                    break
                done, _ = wait(going, LOOK_SECONDS if going else 0, FIRST_COMPLETED)
                if not going:
                    time.sleep(LOOK_SECONDS)
                for future in done:
                    job, name = going.pop(future)
                    try:
                        for again, seconds in self._heard(job, name, future.result()):
                            heapq.heappush(later, (time.monotonic() + seconds, next(order), again))
                    except PipelineError as error:
                        ended = ended or error
                self._tell()
        if ended is not None:
            raise self._with_what_is_there(ended)
        if ready or later:
            raise PipelineError(f"It stopped before the budget of {self.spec.budget:g} was passed: {self._there()}",
                                "Give it a larger budget in a new run; what is there is kept.")
        write_atomic(self.child.folder / CALLS, "".join(f"{json.dumps(row | {'reply': None})}\n" for row in self.calls))
        return self._facts()

    def _room(self) -> int:
        """How many calls may be on their way: one until the first comes back well, then as many as the endpoint takes, and
        some that stand ready behind them, so that no thread waits for this one."""
        return self.writer.concurrency + self.writer.concurrency // 4 if self.went_well else 1

    def _call_back(self, going: dict[Future[Reply], tuple[Job, str]]) -> None:
        """Those that stand ready and were not sent yet."""
        for future in [one for one in going if one.cancel()]:
            self.purse.reserved.pop(going.pop(future)[1], None)

    def _begin(self, threads: ThreadPoolExecutor, job: Job, going: dict[Future[Reply], tuple[Job, str]]) -> bool:
        """Send a job off, unless its reply is known from before, or the budget does not allow it now."""
        writer = self.judge if job.purpose == "judge" and self.judge else self.writer
        if job.purpose == "make":
            job.turns = prompts.render(self.spec, job.slot, self.seeds, list(self.openings[self._cell(job.slot)]))
        name = uuid4().hex
        if not self.purse.reserve(name, writer.candidate.endpoint, job.turns, writer.decoding.max_new_tokens):
            return False
        going[threads.submit(writer.ask, name, job.turns)] = (job, name)
        return True

    def _heard(self, job: Job, name: str, reply: Reply) -> Iterator[tuple[Job, float]]:
        """Write the call down, then do what follows; yields what is to be asked again, and after how many seconds."""
        refused = reply.outcome in ("rate", "unstructured", "fatal") or reply.outcome.startswith("error")
        cost = self.purse.pay(name, 0.0 if refused else reply.cost)  # a server charges nothing for what it refuses
        kept = reply.text if reply.outcome == "ok" else None
        row = {"call": name, "slot": job.slot.key, "try": job.attempt, "purpose": job.purpose, "at": reply.at,
               "seconds": reply.seconds, "prompt_tokens": reply.prompt_tokens, "new_tokens": reply.new_tokens,
               "cost": cost, "outcome": reply.outcome, "reply": kept}
        self.child.call(row)
        self.calls.append(row)
        if reply.problem is not None:
            raise reply.problem
        if reply.outcome == "unstructured":
            yield job, 0.0
            return
        if reply.outcome in ("ok", "cut", "filter"):
            self.vain, self.went_well = 0, True
        else:
            self.vain += 1
            if self.vain >= (VAIN + 2 * self.writer.concurrency if self.went_well else VAIN):  # some in a row are chance
                raise PipelineError(f"{self.vain} calls in a row came to nothing ({_words(reply.outcome)}).",
                                    "Test the connection on the Models page, then resume: " + _KEPT)
            job.failed += 1
            back_off = min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** (job.failed - 1))
            yield job, reply.wait if reply.wait is not None else back_off
            return
        yield from self._follow(job, reply.text, reply.outcome)

    def _follow(self, job: Job, text: str, outcome: str = "ok") -> Iterator[tuple[Job, float]]:
        """From a reply to what is asked next, or to a line of examples.jsonl."""
        if job.purpose == "judge":
            yield from self._judged(job, text)
            return
        if outcome != "ok":
            yield from self._settle(job, [], [gate.Reason("form", "The reply was cut off." if outcome == "cut" else
                                                          "The server held the reply back.")])
            return
        self._look_for_sameness(text)
        try:
            made = structured.read(text, prompts.schema(self.spec.work))
        except structured.Unreadable as why:
            if job.purpose == "repair":
                yield from self._settle(job, [], [gate.Reason("form", str(why))])
            else:
                again: tuple[Turn, ...] = ({"role": "assistant", "content": text},
                                           {"role": "user", "content": REPAIR.format(why=why)})
                yield Job(job.slot, job.attempt, "repair", (*job.turns, *again)), 0.0
            return
        messages = prompts.messages(self.spec, job.slot, made, self.seeds)
        reasons = self.gate.check(messages, job.slot.cell)
        if not reasons and self.judge is not None:
            yield Job(job.slot, job.attempt, "judge", prompts.judged(self.spec, messages), messages), 0.0
            return
        yield from self._settle(job, messages, reasons)

    def _judged(self, job: Job, text: str) -> Iterator[tuple[Job, float]]:
        _, score, _ = judging.read(text, "absolute")
        reasons = gate.low_score(score, self.spec.checks)
        reasons += [] if reasons else self.gate.check(job.messages, job.slot.cell)  # others were accepted meanwhile
        yield from self._settle(job, job.messages, reasons, score)

    def _settle(self, job: Job, messages: list[Turn], reasons: list[gate.Reason],
                score: float | None = None) -> Iterator[tuple[Job, float]]:
        """Accept it, or set it aside and ask again while there are tries."""
        row = {"slot": job.slot.key, "place": self.places[job.slot.key], "try": job.attempt,
               "cell": self.spec.cells.index(job.slot.cell), "state": "refused" if reasons else "accepted",
               "messages": messages, "reasons": [one.kind for one in reasons], "why": [one.words for one in reasons],
               "score": score, "seeds": [self.seeds[place].id for place in job.slot.seeds],
               "prompt_sha256": hashlib.sha256(json.dumps(job.turns, sort_keys=True).encode()).hexdigest(), "at": time.time()}
        self.child.example(row)
        self._remember(row)
        if not reasons:
            self._look_for_repeats()
        elif job.attempt < self.spec.tries:
            yield Job(job.slot, job.attempt + 1), 0.0

    # --- what is there ------------------------------------------------------------------------------------------------
    def _todo(self) -> Iterator[Job]:
        """Jobs of slots that are not done. Replies that a killed run had paid for are followed up without a call."""
        paid = {(row["slot"], row["try"]): row for row in self.calls if row["outcome"] == "ok" and row["purpose"] != "judge"}
        scores = {(row["slot"], row["try"]): row for row in self.calls if row["outcome"] == "ok" and row["purpose"] == "judge"}
        for key, slot in self.slots.items():
            last = self.newest.get(key)
            if last is not None and (last["state"] == "accepted" or last["try"] >= self.spec.tries):
                continue
            job = Job(slot, last["try"] + 1 if last else 1)
            waiting = [job]
            while waiting:
                now = waiting.pop()
                known = (scores if now.purpose == "judge" else paid).pop((key, now.attempt), None)
                if known is None or (now.purpose == "repair" and known["purpose"] != "repair"):
                    yield now
                else:
                    if known["purpose"] == "repair":
                        now.purpose = "repair"
                    waiting += [again for again, _ in self._follow(now, known["reply"])]

    def _remember(self, row: Row) -> None:
        self.newest[row["slot"]] = row
        if row["state"] != "accepted":
            self.refused.update(row["reasons"])
            return
        self.gate.take(row["messages"])
        question = _question(row["messages"])
        cell = self._cell(self.slots[row["slot"]]) if row["slot"] in self.slots else ""
        self.openings[cell].append(question)
        self.recent.append((question, cell))

    def _cell(self, slot: Slot) -> str:
        return json.dumps(slot.cell.model_dump(exclude={"count"}), sort_keys=True)

    # --- ends and words -----------------------------------------------------------------------------------------------
    def _look_for_sameness(self, text: str) -> None:
        self.texts.append(text.strip())
        if len(self.slots) >= SAME and len(self.texts) == SAME and len(set(self.texts)) == 1:
            raise PipelineError(f"The model wrote the same text {SAME} times in a row.",
                                "Raise the temperature, or choose another model or prompt. " + _KEPT.capitalize())

    def _look_for_repeats(self) -> None:
        now = time.monotonic()
        if len(self.recent) < diversity.WINDOW or now - self.looked < LOOK_AGAIN_SECONDS:
            return
        self.looked = now
        said = diversity.repeating([text for text, _ in self.recent], [cell for _, cell in self.recent])
        if said and said != self.said:
            self.child.event("note", sentence=said)
        self.said = said

    def _asked_to_end(self) -> BaseException | None:
        return Stopped(f"Stopped, as asked: {self._there()}") if self.child.stop_requested() else None

    def _paused(self) -> bool:
        return (self.child.folder / PAUSE).exists()

    def _done(self) -> int:
        return sum(row["state"] == "accepted" or row["try"] >= self.spec.tries for row in self.newest.values())

    def _tell(self) -> None:
        paused = self._paused()
        self.child.say("paused" if paused else "writing", self._done(), len(self.slots), "examples",
                       "Paused: what is on its way still comes" if paused else f"{self.spec.model.name} writes")

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
                "reasons": dict(aside), "tries": dict(self.refused), "calls": len(self.calls),
                "in_vain": sum(row["outcome"] != "ok" for row in self.calls),
                "spent": self.purse.spent if self.purse.counts else None, "money": endpoint.money if endpoint else "",
                "diversity": measured}


_KEPT = "what is there is kept."


def _question(messages: list[Turn]) -> str:
    return next((str(turn["content"]) for turn in messages if turn["role"] == "user"), "")


def _words(outcome: str) -> str:
    known = {"rate": "too many requests, 429", "timeout": "no answer in time", "empty": "the answer was empty",
             "dropped": "the connection broke, or there is no server", "malformed": "what came is no chat answer"}
    return known.get(outcome, f"the server failed, {outcome[6:]}")
