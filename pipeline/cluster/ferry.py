"""The ferry: the child of a run that runs on a cluster. It brings files there, submits the job, and brings everything home.

To the app it is a child like any other: its lock, status, events and result are the run's. A ferry that was killed finds its
job again; a job that died is submitted again and goes on from its last checkpoint or item.
"""

from __future__ import annotations

import os
import platform
import shlex
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pipeline import specs
from pipeline.cluster import here
from pipeline.cluster.cargo import Cargo
from pipeline.cluster.jobs import CANNOT, Job, Jobs
from pipeline.cluster.remote import Remote
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child, Result
from pipeline.spec_place import Place, of

LOOK_SECONDS = 0.3
ASK_SECONDS = 1.0
"""How often the cluster is asked; the storage is looked at with every look."""
END_AFTER, GIVE_UP_AFTER = 2.0, 4.0
"""Seconds after a stop: when the job is ended from outside, and when it is no longer waited for."""
END_SECONDS = 4.6
WIND_DOWN_LOOKS = 15
HOME_SECONDS = 86_400.0
STOPPED = "Stopped; what was not written down yet is done again."
WAITING = "waiting"
T = TypeVar("T")


def carry(child: Child, workspace: Path) -> None:
    """Do the run on its cluster. Writes the result last; raises what `pipeline.__main__.ended` puts into words."""
    place = of(child.folder)
    assert place is not None
    _Ferry(child, workspace, place).run()


class _Ferry:
    def __init__(self, child: Child, workspace: Path, place: Place) -> None:
        self.child, self.place = child, place
        self.kind = specs.read(child.folder).kind
        self.remote = Remote(child.folder)
        self.cargo = Cargo(child.folder, workspace, place, self.remote)
        self.jobs = Jobs(place)
        self.asked_to_stop_at: float | None = None
        self.finishing = threading.Lock()
        self.lost_sight = False

    def run(self) -> None:
        """Texts stay on the storage only while a job may need them, or where they cannot be deleted now."""
        try:
            self._carry()
        except PipelineError:
            with suppress(PipelineError):
                if not self.remote.submission or self.jobs.look(self.remote.submission).state in ("over", "unknown"):
                    self._come_home(time.monotonic() + HOME_SECONDS)
            raise

    def _carry(self) -> None:
        if at_home := self.remote.home_but_unsaid(self.child.folder):
            return self._finish(Result(**at_home))
        self._say(f"Asking {self.place.cluster}")
        threading.Thread(target=self._end_in_time, daemon=True).start()
        if not self._under_way():
            self.jobs.check()
            self._submit()
        fruitless, before = 0, self._patiently(self.cargo.progress)
        while True:
            job = self._watch()
            if ended := self._patiently(lambda: self.cargo.result(self.remote.attempt)):
                return self._bring_home(ended)
            if self._stopping():
                if job.state == "pending":
                    self.cargo.clean()
                raise Stopped(STOPPED)
            self._raise_what_it_cannot()
            now = self._patiently(self.cargo.progress)
            fruitless, before = (fruitless + 1 if now == before and not job.timed_out else 0), now
            if fruitless >= self.place.attempts:
                times = "once" if fruitless == 1 else f"{fruitless} times in a row"
                raise PipelineError(f"The job on {self.place.cluster} died {times} without getting further: {job.why}.",
                                    "The end of the log may say why. Resume goes on from there.")
            if not job.timed_out:
                self._note(f"The job on {self.place.cluster} died: {job.why}. It is done again from where it was.")
            self._submit()

    def _under_way(self) -> bool:
        """Whether a job that an earlier ferry submitted is at work, or done and not brought home. One that was asked to stop
        is waited for: it may still write."""
        if not self.remote.submission or not self.remote.left:
            return False
        asked_to_stop = self._patiently(self.cargo.is_asked_to_stop)
        for _ in range(WIND_DOWN_LOOKS):
            if ended := self._patiently(lambda: self.cargo.result(self.remote.attempt)):
                return ended.outcome == "done"
            job = self._patiently(lambda: self.jobs.look(self.remote.submission))
            if job.state != "running" or not asked_to_stop:
                return job.state in ("pending", "running") and not asked_to_stop
            time.sleep(ASK_SECONDS)
        return False

    def _submit(self) -> None:
        """Everything there, then a job under an id that is written down first."""
        do = self._patiently if self.remote.submitted else _at_once
        number = self.remote.submitted + 1
        do(lambda: self.cargo.put(self.child.attempt, number, self._say))
        self.remote.wish(f"tunewright-{self.cargo.home}-{self.child.folder.name}-{number}", self.child.attempt)
        environment = {here.PLACE: self.place.model_dump_json(), here.HOME: self.cargo.url, "TOKENIZERS_PARALLELISM": "false"}
        do(lambda: self.jobs.submit(self.remote.submission, self._entrypoint(), environment,
                                    here.spread(self.kind, self.place) is not None))
        self._say_what_it_waits_for()

    def _entrypoint(self) -> str:
        import ray

        python = ".".join(platform.python_version_tuple()[:2])
        return shlex.join(["python", "-m", "pipeline.cluster.job", self.cargo.url, self.child.folder.name,
                           "--job", str(self.remote.submitted), "--python", python, "--ray", ray.__version__])

    def _watch(self) -> Job:
        """Until the job is over, or a stop has waited long enough. Ends with everything it wrote here."""
        asked = 0.0
        while True:
            job: Job | None = None
            try:
                if time.monotonic() - asked >= ASK_SECONDS:
                    asked = time.monotonic()
                    job = self._look()
                self.cargo.mirror()
                if self.cargo.result(self.remote.attempt):
                    return Job("over")
                if job and (job.state in ("over", "unknown") or (job.state == "pending" and self._stopping())):
                    return job
                self.lost_sight = self.lost_sight and job is None
            except PipelineError as error:
                self._lose_sight(error)
            if self._stopping() and self._stopped_for() > GIVE_UP_AFTER:
                return Job("over")
            time.sleep(LOOK_SECONDS)

    def _look(self) -> Job:
        job = self.jobs.look(self.remote.submission)
        if self._stopping() and (job.state == "pending" or self._stopped_for() > END_AFTER):
            self.jobs.stop(self.remote.submission)
        if job.state == "pending":
            self._say_what_it_waits_for()
        return job

    def _say_what_it_waits_for(self) -> None:
        self._say(f"Waiting for {self._wanted()} on {self.place.cluster}")

    def _wanted(self) -> str:
        parts = [(self.place.cpus, "CPU"), (self.place.gpus, "GPU")]
        each = " and ".join(f"{count:g} {unit}{'s' if count != 1 else ''}" for count, unit in parts if count)
        workers = self.place.workers
        return f"{workers} workers with {each} each" if workers > 1 else each

    def _patiently(self, call: Callable[[], T]) -> T:
        """What it gives, however long the cluster or the storage is away."""
        while True:
            try:
                return call()
            except PipelineError as error:
                self._lose_sight(error)
            if self._stopping():
                raise Stopped(f"Stopped while {self.place.cluster} could not be reached; its job may still run there.")
            time.sleep(ASK_SECONDS)

    def _lose_sight(self, error: PipelineError) -> None:
        if not self.lost_sight:
            print(error.message, flush=True)
        self.lost_sight = True
        self._say(f"{error.message} The run waits for it.")

    def _stopping(self) -> bool:
        if self.asked_to_stop_at is None and self.child.stop_requested():
            self.asked_to_stop_at = time.monotonic()
            with suppress(PipelineError):
                self.cargo.ask_to_stop()
        return self.asked_to_stop_at is not None

    def _stopped_for(self) -> float:
        return time.monotonic() - (self.asked_to_stop_at or time.monotonic())

    def _end_in_time(self) -> None:
        """A stop is done within five seconds of the press, whatever call to a cluster or a storage hangs."""
        while not self.child.stop_requested():
            time.sleep(LOOK_SECONDS)
        time.sleep(END_SECONDS)
        with self.finishing:
            self.child.finish("stopped", STOPPED, "Resume goes on from there.")
            os._exit(0)

    def _raise_what_it_cannot(self) -> None:
        """A job that could not begin says so in its log."""
        for line in self.jobs.log(self.remote.submission).splitlines():
            if line.startswith(CANNOT):
                sentence, _, hint = line.removeprefix(CANNOT).partition("\t")
                raise PipelineError(sentence, hint)

    def _bring_home(self, ended: Result) -> None:
        self._say("Bringing the results home")
        stopping = self.asked_to_stop_at
        self._come_home(stopping + GIVE_UP_AFTER if stopping is not None else time.monotonic() + HOME_SECONDS, ended)
        self._finish(ended)

    def _come_home(self, until: float, ended: Result | None = None) -> None:
        """Everything that the run has there, as far as there is time; then its copies there are deleted."""
        if self.remote.left and self.cargo.fetch_folders(until):
            self.cargo.mirror(all_files=True)
            if ended:
                self.remote.end(ended.__dict__, self.child.attempt)
            self.cargo.clean()

    def _finish(self, ended: Result) -> None:
        self.finishing.acquire()  # for good: nobody ends it now but this
        self.child.finish(ended.outcome, ended.message, ended.hint, ended.data)

    def _say(self, sentence: str) -> None:
        self.child.say(WAITING, sentence=sentence)

    def _note(self, sentence: str) -> None:
        print(sentence, flush=True)
        self.cargo.note({"event": "note", "at": self.child.clock(), "attempt": self.child.attempt, "sentence": sentence})


def _at_once(call: Callable[[], T]) -> T:
    return call()
