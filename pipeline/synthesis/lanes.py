"""What is to be asked of one model: what waits, what is on its way, and its threads."""

from __future__ import annotations

import heapq
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue

from pipeline.errors import PipelineError
from pipeline.examples import Turn
from pipeline.synthesis.asking import Reply, Writer
from pipeline.synthesis.pace import VAIN, Pace, back_off
from pipeline.synthesis.plan import Slot

HOPELESS = 4
"""So many calls of one try that failed, and the try is over: it may be this prompt that the server fails at."""

KEPT = "what is there is kept."
_REFUSED = ("error 400", "error 422")
_WORDS = {"timeout": "no answer in time", "empty": "the answer was empty", "cut": "the answer reached the most tokens",
          "filter": "the server held the answer back", "dropped": "the connection broke, or there is no server",
          "malformed": "what came is no chat answer"} | {one: f"the server refused the question, {one[6:]}" for one in _REFUSED}


@dataclass
class Job:
    """One thing to be asked: an example of a slot ("make"), a reply that could not be read once more ("repair"), a score
    ("judge").

    `prompt` is the hash of what the example was asked with; `messages` the example that is judged, `again` whether for the
    second time. `failed` counts calls that came to nothing, `refused` those that were too many for the server.
    """

    slot: Slot
    attempt: int
    purpose: str = "make"
    turns: tuple[Turn, ...] = ()
    prompt: str = ""
    messages: list[Turn] = field(default_factory=list)
    again: bool = False
    failed: int = 0
    refused: int = 0

    @property
    def name(self) -> str:
        """What its reply is drawn by: the same in every attempt of the run."""
        return f"{self.slot.key}/{self.attempt}/{self.purpose}{'/again' if self.again else ''}"

    def wait(self, reply: Reply) -> float | None:
        """After how many seconds it is asked again, now that it got no answer; none where that has no sense any more."""
        if reply.outcome == "rate":
            self.refused += 1
        else:
            self.failed += 1
            if self.failed >= HOPELESS or reply.outcome in _REFUSED:
                return None
        return back_off(self.failed + self.refused) if reply.wait is None else reply.wait


@dataclass(frozen=True)
class Heard:
    """A call that is over."""

    lane: Lane
    job: Job
    call: str
    reply: Future[Reply]


class Lane:
    """One model. Nothing here waits: replies arrive in `heard`."""

    def __init__(self, writer: Writer, heard: SimpleQueue[Heard]) -> None:
        self.writer, self.heard = writer, heard
        self.pace = Pace(writer.concurrency)
        self.threads = ThreadPoolExecutor(writer.concurrency, thread_name_prefix="synthesis")
        self.ready: deque[Job] = deque()
        self.later: list[tuple[float, int, Job]] = []
        self.going: dict[str, Future[Reply]] = {}
        self._order = count()

    @property
    def busy(self) -> bool:
        return bool(self.ready or self.later or self.going)

    def next(self, now: float, most: int | None) -> Job | None:
        """The job that may go out now, if any. Some calls beyond what the endpoint takes stand ready behind the others, so that
        no thread waits for the engine."""
        while self.later and self.later[0][0] <= now:
            self.ready.appendleft(heapq.heappop(self.later)[2])  # what waited goes first, or it would wait for all the others
        room = self.pace.room(now)
        if room == self.pace.most:
            room += room // 4
        if most is not None:
            room = min(room, most)
        return self.ready[0] if self.ready and len(self.going) < room else None

    def send(self, call: str) -> None:
        """The next job goes out."""
        job = self.ready.popleft()
        future = self.threads.submit(self.writer.ask, job.name, job.turns)
        self.going[call] = future
        future.add_done_callback(lambda done: None if done.cancelled() else self.heard.put(Heard(self, job, call, done)))

    def heed(self, reply: Reply) -> None:
        """Go on as what became of a call says. Raises PipelineError where nothing can be had of this model."""
        if reply.outcome == "fatal" and reply.problem is not None:
            raise reply.problem
        if reply.outcome in ("ok", "cut", "filter"):
            self.pace.well()
        elif reply.outcome == "rate":
            if self.pace.refused(reply.at, time.time(), reply.wait) and reply.problem is not None:
                raise reply.problem
        elif reply.outcome != "unstructured" and self.pace.failed(reply.at, time.time()):
            if reply.outcome in _REFUSED and reply.problem is not None:
                raise reply.problem
            raise PipelineError(f"{VAIN} calls in a row came to nothing ({words(reply.outcome)}).",
                                "Test the connection on the Models page, then resume: " + KEPT)

    def call_back(self) -> list[str]:
        """Nothing more is wanted: the calls that stand ready and were not sent. What costs money and is on its way still
        comes."""
        self.writer.end()
        found = [call for call, future in self.going.items() if future.cancel()]
        for call in found:
            del self.going[call]
        return found

    def wait_for(self, job: Job, until: float) -> None:
        heapq.heappush(self.later, (until, next(self._order), job))

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)


def words(outcome: str) -> str:
    """How a call without an example ended."""
    return _WORDS.get(outcome, f"the server failed, {outcome[6:]}")
