"""Fine-tuning at a service: upload, create the job, watch it to its end, never pay twice.

Whatever was killed, cut off or lost: what exists at the service is found again, a file by the hash in its name, the job by the
run's id, before anything is asked for (`once`). A job that ended stays as it ended.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipeline import examples
from pipeline.errors import PipelineError
from pipeline.managed import lines, results, words
from pipeline.managed.acts import Acts
from pipeline.managed.errand import Errand
from pipeline.managed.once import once
from pipeline.managed.remote import Remote
from pipeline.managed.service import Checkpoint, Job, Order, StoredFile, find_file, opened
from pipeline.managed.watch import PHASE, Watch
from pipeline.rundir import Child
from pipeline.spec_managed import ManagedSpec

Role = Literal["train", "validation"]
UPLOADING, CREATING, READY_SECONDS, FIGURES_PATIENCE = "uploading", "creating", 5.0, 300.0


def run(child: Child, spec: ManagedSpec, workspace: Path) -> dict[str, Any]:
    errand = Errand(child, spec, opened(spec.service), Remote(child.folder))
    if not errand.remote.job_id:
        _create(errand, _Files(errand, workspace))
    watch = Watch(errand)
    job = watch.to_the_end()
    if job.state == "failed":
        raise words.failed(job, spec.service, errand.service.key)
    if job.state == "cancelled":
        raise words.cancelled(job, spec.service)
    return _result(errand, watch, job)


def done_words(data: dict[str, Any]) -> str:
    tokens = "" if data["trained_tokens"] is None else f" on {data['trained_tokens']:,} tokens"
    money = "" if data["cost"] is None else f"{data['cost']:,.2f}" if data["cost"] >= 0.005 else "less than 0.01"
    cost = money and f", about {money} {data['money']} by the price given"
    later = " It must be deployed at the service before it answers." if data["needs_deployment"] else ""
    return f"{data['model']} was trained{tokens}{cost}.{later}"


@dataclass
class _Files:
    """The two uploads. `ids` are those that were seen at the service in this attempt."""

    errand: Errand
    workspace: Path
    ids: dict[str, str] = field(default_factory=dict)

    def ready(self) -> None:
        """Both lie at the service and can be trained on, before a job is asked for."""
        spec = self.errand.spec
        given: list[tuple[Role, str]] = [("train", spec.train_file), ("validation", spec.validation_file)]
        for role, path in given:
            if path and role not in self.ids:
                self._upload(role, self.workspace / path)

    def order(self) -> Order:
        """With what this attempt, or else an earlier one, uploaded."""
        known = {role: str(one["id"]) for role, one in self.errand.remote.files.items()} | self.ids
        remote = self.errand.remote
        return Order(self.errand.spec, known.get("train", ""), known.get("validation", ""), remote.first_asked("job"))

    def _upload(self, role: Role, path: Path) -> None:
        errand = self.errand
        errand.child.say(UPLOADING, sentence=f"Uploading the {role} file to {errand.service.place}")
        content = lines.content(examples.read(path))
        sha256 = hashlib.sha256(content).hexdigest()
        name, earlier = lines.file_name(sha256), errand.remote.files.get(role)
        if earlier and earlier["sha256"] != sha256:
            errand.note(f"The {role} file changed since it was uploaded; the earlier one still lies there as {earlier['id']}.")

        def keep(stored: StoredFile, reused: bool) -> None:
            own = earlier is not None and earlier["id"] == stored.id and not earlier["reused"]
            errand.remote.keep_file(role, stored, sha256, reused and not own)
            self.ids[role] = self._processed(stored).id

        once(errand, role, UPLOADING, lambda: find_file(errand.service, name, len(content)),
             lambda: errand.service.upload(name, content), keep)

    def _processed(self, stored: StoredFile) -> StoredFile:
        """Azure looks at a file for a while before it can be used."""
        while stored.in_the_making:
            self.errand.child.say(UPLOADING, sentence=f"{self.errand.service.place} reads the file")
            self.errand.nap(READY_SECONDS * self.errand.scale)
            again = partial(self.errand.service.file, stored.id)
            stored = self.errand.patient(again, UPLOADING, "Waiting for the file")
        if not stored.usable:
            raise PipelineError(f"{self.errand.service.place} could not read the file {stored.id}.",
                                "Look at the quote for what may be wrong with its lines, then start a new run.")
        return stored


def _create(errand: Errand, files: _Files) -> None:
    """The job of this run, found or made. Raises PipelineError where it was cancelled before there was one."""
    acts = Acts(errand)

    def ready() -> None:
        _not_cancelled(acts)
        files.ready()
        _not_cancelled(acts)
        errand.child.say(CREATING, sentence=f"Asking {errand.service.place} for the job")

    def keep(job: Job, reused: bool) -> None:
        errand.remote.keep_job(job, reused, errand.now())
        if reused:
            errand.note(f"The job {job.id} of this run was there already; no other one was asked for.")

    once(errand, "job", CREATING, lambda: errand.service.find_job(files.order()),
         lambda: errand.service.create(files.order()), keep, ready)


def _not_cancelled(acts: Acts) -> None:
    if acts.none_was_made():
        raise PipelineError("It was cancelled before there was a job: nothing is to be paid.", "Resume asks for it after all.")


def _result(errand: Errand, watch: Watch, job: Job) -> dict[str, Any]:
    """What the trained model is. Figures that cannot be had are left out: the model is there all the same."""
    watch.add(_or_none(errand, lambda: errand.service.figures(job), "The result file"))
    checkpoints: list[Checkpoint] = _or_none(errand, lambda: errand.service.checkpoints(job.id), "The list of checkpoints")
    whole = [{"step": one.step} | {name: one.figures.get(name) for name in results.FIGURES} for one in checkpoints]
    rows = results.merged(watch.rows, whole)
    watch.add(whole)
    spec = errand.spec
    cost = None if spec.price is None or job.trained_tokens is None else job.trained_tokens * spec.price / 1e6
    began, ended = job.created_at or errand.remote.job_at, job.finished_at or errand.now()
    of_step = {row["step"]: row for row in rows}
    return results.summary(rows) | {
        "model": job.model, "trained_tokens": job.trained_tokens, "cost": cost, "money": spec.money, "job_id": job.id,
        "seconds": max(0.0, ended - began), "files": errand.remote.files, "needs_deployment": errand.service.needs_deployment,
        "checkpoints": [{"model": one.model} | of_step[one.step] for one in checkpoints]}


def _or_none(errand: Errand, call: Any, what: str) -> Any:
    try:
        return errand.patient(call, PHASE, f"Fetching: {what.lower()}", FIGURES_PATIENCE * errand.scale)
    except PipelineError:
        errand.note(f"{what} could not be had; the model is there all the same.")
        return []
