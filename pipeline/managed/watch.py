"""Watch a job to its end, whoever stops listening meanwhile: its words and figures go into events.jsonl, each once."""

from __future__ import annotations

from typing import Any

from pipeline import rundir
from pipeline.errors import PipelineError
from pipeline.managed import results
from pipeline.managed.acts import Acts
from pipeline.managed.errand import Errand
from pipeline.managed.service import ENDS, Job, Told, Trouble

PHASE = "watching"
FIRST_LOOK = 2.0
"""Somebody who has just pressed the button watches: the first looks come after 2, 4, 8 … seconds."""

NEW_SECONDS, EVENTS_PATIENCE = 120.0, 300.0
"""A service may need a moment until it knows the job that it has just made."""

WORDS = {"validating_files": "The service checks the files", "queued": "Waiting in the service's own queue",
         "pending": "Waiting in the service's own queue", "running": "Training at the service",
         "cancel_requested": "Being cancelled",
         "paused": "Paused at the service: nothing goes on, and nothing is lost, until the job is resumed here"}


class Watch:
    def __init__(self, errand: Errand) -> None:
        self.errand, self.acts = errand, Acts(errand)
        rows = rundir.read_lines(errand.child.folder / "events.jsonl")
        self.known = {str(row["source"]) for row in rows if row.get("source")}
        self.heard = {(str(row["event"]), int(row["step"])) for row in rows if row["event"] in ("loss", "validation")}
        self.rows: list[results.Row] = [_row_of(row) for row in rows if row["event"] in ("loss", "validation")]
        self.steps: int | None = None

    def to_the_end(self) -> Job:
        """The job as it ended. Raises PipelineError where nothing is heard for a day, or it is gone; and Stopped."""
        wait = FIRST_LOOK
        while True:
            job = self.look()
            if job.state in ENDS:
                return job
            wait = min(wait, self.errand.spec.poll_seconds)
            self.errand.nap(wait, self.acts.new)
            wait *= 2

    def look(self) -> Job:
        job_id = self.errand.remote.job_id
        self.acts.answer(job_id)
        job = self.errand.patient(lambda: self._job(job_id), PHASE, "Watching the job")
        self.errand.remote.status(job)
        for told in self._events(job):
            self.hear(told)
        last = max((step for event, step in self.heard if event == "loss"), default=0)
        self.errand.child.say(PHASE, last if self.steps else 0, self.steps or 0, "steps", self._sentence(job))
        return job

    def hear(self, told: Told) -> None:
        """Figures become points of the charts; words are kept as the service says them."""
        self.known.add(told.id)
        self.steps = told.steps or self.steps
        if "step" in told.figures:
            self.add([told.figures], told.id)
        elif told.sentence:
            self.errand.note(told.sentence, told.id)

    def add(self, rows: list[results.Row], source: str = "") -> None:
        """Points that are not there yet."""
        for row in rows:
            self.rows.append(row)
            for event, of in (("loss", "train"), ("validation", "valid")):
                if row[f"{of}_loss"] is None or (event, row["step"]) in self.heard:
                    continue
                self.heard.add((event, row["step"]))
                fields: dict[str, Any] = {"step": row["step"], "loss": row[f"{of}_loss"]}
                fields |= {} if row[f"{of}_accuracy"] is None else {"accuracy": row[f"{of}_accuracy"]}
                self.errand.child.event(event, **fields, **({"source": source} if source else {}))

    def _events(self, job: Job) -> list[Told]:
        """What is new. Words and figures must not keep the run from seeing where its job is: what cannot be had is asked for at
        the next look, and for some minutes at the last one."""
        service = self.errand.service
        try:
            if job.state not in ENDS:
                return service.events(job.id, self.known)
            return self.errand.patient(lambda: service.events(job.id, self.known), PHASE, "Reading the job's events",
                                       EVENTS_PATIENCE * self.errand.scale)
        except (Trouble, PipelineError):
            return []

    def _job(self, job_id: str) -> Job:
        try:
            return self.errand.service.job(job_id)
        except Trouble as trouble:
            young = self.errand.now() - self.errand.remote.job_at < NEW_SECONDS * self.errand.scale
            if trouble.status != 404:
                raise
            if young:
                raise Trouble(None, "HTTP 404") from None
            raise PipelineError(f"{self.errand.service.place} does not know the job {job_id} any more (404).",
                                "Look for it on the service's own pages; a new run asks for a new job.") from None

    def _sentence(self, job: Job) -> str:
        said = WORDS.get(job.status, f"The service says: {job.status}")
        left = (job.ends_at or 0) - self.errand.now()
        return said if job.state != "going" or left <= 0 else f"{said}; about {max(1, round(left / 60))} minutes left, it says"


def _row_of(event: dict[str, Any]) -> results.Row:
    """An event of an earlier attempt as a row again."""
    of = "train" if event["event"] == "loss" else "valid"
    empty: results.Row = {"step": int(event["step"])} | dict.fromkeys(results.FIGURES)
    return empty | {f"{of}_loss": event["loss"], f"{of}_accuracy": event.get("accuracy")}
