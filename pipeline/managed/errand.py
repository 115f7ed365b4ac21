"""What a run at a service has in hand, and how it waits: it repeats what may go well later, and hears when it is called off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import TypeVar

from pipeline.errors import PipelineError, Stopped
from pipeline.managed import words
from pipeline.managed.remote import Remote
from pipeline.managed.service import FineTuning, Trouble
from pipeline.rundir import Child
from pipeline.spec_managed import ManagedSpec

USUAL_POLL = 15.0
"""Who wants to look more often than this also waits less in between, in the same measure."""

FIRST_WAIT, MOST_WAIT, MOST_ASKED_FOR = 2.0, 60.0, 600.0
"""Seconds between tries, doubled each time; the longest that a service's own wish is followed."""

PATIENCE, PATIENCE_WITH_A_JOB = 3_600.0, 24 * 3_600.0
"""Seconds without any answer after which it ends: it costs nothing to look for a job that trains meanwhile."""

STEP_SECONDS = 0.1
T = TypeVar("T")


@dataclass(frozen=True)
class Errand:
    child: Child
    spec: ManagedSpec
    service: FineTuning
    remote: Remote

    @property
    def scale(self) -> float:
        return min(1.0, self.spec.poll_seconds / USUAL_POLL)

    def now(self) -> float:
        return self.child.clock()

    def nap(self, seconds: float, wake: Callable[[], bool] = lambda: False) -> None:
        """Wait, but not when somebody stops the run, which raises Stopped, nor when `wake` says so."""
        end = self.now() + seconds
        self.heed()
        while not wake() and (left := end - self.now()) > 0:
            sleep(min(STEP_SECONDS, left))
            self.heed()

    def heed(self) -> None:
        """Raises Stopped, with what that means, where a person asked for it."""
        if self.child.stop_requested():
            raise Stopped("The job goes on at the service; resume to watch it again." if self.remote.job_id else
                          "No answer came when the job was asked for, so there may be one; resume looks before it asks again."
                          if self.remote.asked("job") else "There is no job yet, so nothing is to be paid.")

    def patient(self, call: Callable[[], T], phase: str, doing: str, most: float | None = None) -> T:
        """The call's answer; repeated while it fails in ways that pass, `most` seconds. Raises PipelineError in words."""
        began, wait = self.now(), FIRST_WAIT
        most = most or (PATIENCE_WITH_A_JOB if self.remote.job_id else PATIENCE)
        while True:
            try:
                return call()
            except Trouble as trouble:
                if not trouble.passing or self.now() - began > most:
                    raise self.in_words(trouble) from None
                self.child.say(phase, sentence=f"{doing}: {self.service.place} gives no usable answer ({trouble.kind}) "
                                               f"{_for(self.now() - began)}; asked again and again")
                self.rest(trouble, wait)
                wait = min(2 * wait, MOST_WAIT)

    def rest(self, trouble: Trouble, wait: float) -> None:
        """As long as the service wishes, else as long as given."""
        wish = trouble.retry_after
        self.nap(wait * self.scale if wish is None else min(wish, MOST_ASKED_FOR))

    def in_words(self, trouble: Trouble) -> PipelineError:
        today = datetime.fromtimestamp(self.now(), UTC).date()
        error = words.in_words(trouble, self.spec.service, self.spec.model, today)
        if not self.remote.job_id:
            return error
        return PipelineError(error.message, f"The job goes on at the service. {error.hint}")

    def note(self, sentence: str, source: str = "") -> None:
        """A sentence for people; `source`: the service's id of an event, so that it is told once."""
        self.child.event("note", sentence=words.clean(sentence, self.service.key), **({"source": source} if source else {}))


def _for(seconds: float) -> str:
    minutes = int(seconds // 60)
    return "since a moment" if minutes < 1 else "since a minute" if minutes == 1 else f"since {minutes} minutes"
