"""The ferry: the child of a run that runs on a cluster. It brings files there, submits the job, and brings everything home.

To the app it is a child like any other: its lock, status, events and result are the run's. A ferry that was killed finds its
job again; a job that died is submitted again and goes on from its last checkpoint or item.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from pipeline import specs
from pipeline.cluster import here
from pipeline.cluster.cargo import Cargo
from pipeline.cluster.jobs import CANNOT, Job, Jobs, Unreachable
from pipeline.cluster.remote import Remote
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child, Result
from pipeline.spec_place import Place, of

LOOK_SECONDS = 0.3
ASK_SECONDS = 1.0
"""How often the cluster is asked; the storage is looked at with every look."""
END_AFTER, GIVE_UP_AFTER = 2.0, 4.0
"""Seconds after a stop: when the job is ended from outside, and when it is no longer waited for."""
HOME_SECONDS = 86_400.0
WAITING = "waiting"


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
        self.lost_sight = False

    def run(self) -> None:
        if self.remote.ended:
            return self._finish(Result(**self.remote.ended))
        self._say(f"Asking {self.place.cluster}")
        if not self._under_way():
            self.jobs.check()
            self._submit()
        fruitless, before = 0, self.cargo.progress()
        while True:
            job = self._watch()
            self._mirror()
            if ended := self.cargo.result(self.remote.attempt):
                return self._bring_home(ended)
            if self._stopping():
                raise Stopped("Stopped; what was not written down yet is done again.")
            self._raise_what_it_cannot()
            now = self.cargo.progress()
            fruitless, before = (fruitless + 1 if now == before else 0), now
            if job.timed_out:
                fruitless = 0
            elif fruitless >= self.place.attempts:
                raise PipelineError(f"The job on {self.place.cluster} died {fruitless} times in a row without getting further: "
                                    f"the last time {job.why}.", "The end of the log may say why. Resume goes on from there.")
            else:
                self._note(f"The job on {self.place.cluster} died: {job.why}. It goes on from what it had.")
            self._submit()

    def _under_way(self) -> bool:
        """Whether a job of this run, submitted by a ferry before this one, is or was there and nobody has brought it home."""
        if not self.remote.submission or not self.remote.left:
            return False
        while True:
            try:
                job = self.jobs.look(self.remote.submission)
                return job.state in ("pending", "running") or self.cargo.result(self.remote.attempt) is not None
            except Unreachable as unreachable:
                self._wait_for_sight(unreachable)

    def _submit(self) -> None:
        """Everything there, then a job under an id that is written down first."""
        self.cargo.put(self.child.attempt, self._say)
        self.remote.wish(f"tunewright-{self.child.folder.name}-{self.child.attempt}-{self.remote.submitted + 1}",
                         self.child.attempt)
        environment = {here.PLACE: self.place.model_dump_json(), here.HOME: self.cargo.url, "TOKENIZERS_PARALLELISM": "false"}
        while True:
            try:
                self.jobs.submit(self.remote.submission, self._entrypoint(), environment, self.kind)
                break
            except Unreachable as unreachable:
                if self.remote.submitted == 1:
                    raise
                self._wait_for_sight(unreachable)
        self._say(f"Waiting for {self._wanted()} on {self.place.cluster}")

    def _entrypoint(self) -> str:
        import platform

        import ray

        python = ".".join(platform.python_version_tuple()[:2])
        return shlex.join(["python", "-m", "pipeline.cluster.job", self.cargo.url, self.child.folder.name,
                           "--python", python, "--ray", ray.__version__])

    def _watch(self) -> Job:
        """Until the job is over, or a stop has waited long enough."""
        asked = 0.0
        while True:
            self._mirror()
            if time.monotonic() - asked >= ASK_SECONDS:
                asked = time.monotonic()
                if (job := self._look()) and job.state in ("over", "unknown"):
                    return job
            if self.cargo.result(self.remote.attempt):
                return Job("over")
            if self._stopping() and self._stopped_for() > GIVE_UP_AFTER:
                return Job("over")
            time.sleep(LOOK_SECONDS)

    def _look(self) -> Job | None:
        try:
            job = self.jobs.look(self.remote.submission)
            if self._stopping() and (job.state == "pending" or self._stopped_for() > END_AFTER):
                self.jobs.stop(self.remote.submission)
        except Unreachable as unreachable:
            self._lose_sight(unreachable)
            return None
        self.lost_sight = False
        if job.state == "pending":
            self._say(f"Waiting for {self._wanted()} on {self.place.cluster}")
        return job

    def _wanted(self) -> str:
        parts = [(self.place.cpus, "CPU"), (self.place.gpus, "GPU")]
        each = " and ".join(f"{count:g} {unit}{'s' if count != 1 else ''}" for count, unit in parts if count)
        workers = self.place.workers
        return f"{workers} workers with {each} each" if workers > 1 else each

    def _mirror(self) -> None:
        try:
            self.cargo.mirror()
        except PipelineError as error:
            self._lose_sight(error)

    def _lose_sight(self, error: PipelineError) -> None:
        if not self.lost_sight:
            print(error.message, flush=True)
        self.lost_sight = True
        self._say(f"{error.message} Waiting for it.")

    def _wait_for_sight(self, unreachable: Unreachable) -> None:
        self._lose_sight(unreachable)
        if self._stopping():
            raise Stopped(f"Stopped while {self.place.cluster} could not be reached; its job may still run there.")
        time.sleep(ASK_SECONDS)

    def _stopping(self) -> bool:
        if self.asked_to_stop_at is None and self.child.stop_requested():
            self.asked_to_stop_at = time.monotonic()
            self.cargo.ask_to_stop()
        return self.asked_to_stop_at is not None

    def _stopped_for(self) -> float:
        return time.monotonic() - (self.asked_to_stop_at or time.monotonic())

    def _raise_what_it_cannot(self) -> None:
        """A job that could not begin says so in its log."""
        for line in self.jobs.log(self.remote.submission).splitlines():
            if line.startswith(CANNOT):
                sentence, _, hint = line.removeprefix(CANNOT).partition("\t")
                raise PipelineError(sentence, hint)

    def _bring_home(self, ended: Result) -> None:
        self._say("Bringing the results home")
        stopping = self.asked_to_stop_at
        until = stopping + GIVE_UP_AFTER if stopping is not None else time.monotonic() + HOME_SECONDS
        if self.cargo.fetch_folders(until):
            self.cargo.mirror(all_files=True)
            self.remote.end(ended.__dict__)
            self.cargo.clean()
        self._finish(ended)

    def _finish(self, ended: Result) -> None:
        self.child.finish(ended.outcome, ended.message, ended.hint, ended.data)

    def _say(self, sentence: str) -> None:
        self.child.say(WAITING, sentence=sentence)

    def _note(self, sentence: str) -> None:
        print(sentence, flush=True)
        self.cargo.note({"event": "note", "at": self.child.clock(), "attempt": self.child.attempt, "sentence": sentence})
