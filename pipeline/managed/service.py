"""What a fine-tuning service is to a run, whoever it is: files, jobs, what a job tells. Each has a module of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pipeline.spec_managed import ManagedSpec, Service

State = Literal["going", "paused", "succeeded", "failed", "cancelled"]
ENDS = ("succeeded", "failed", "cancelled")
RUN_KEY = "tunewright_run"
"""In a job's metadata: the run that asked for it."""

BODY_SECONDS = 600.0
"""How long an upload may take."""


class Trouble(Exception):
    """A call that brought nothing usable. `status` is none where no answer came, or none that makes sense.

    `said` holds the service's words: people never see them as they are.
    """

    def __init__(self, status: int | None, kind: str, code: str = "", param: str = "", said: str = "",
                 retry_after: float | None = None) -> None:
        super().__init__(kind)
        self.status, self.kind, self.code, self.param = status, kind, code, param
        self.said, self.retry_after = said, retry_after

    @property
    def passing(self) -> bool:
        """It may go well later, without anybody doing anything."""
        if self.status is None or self.status >= 500:
            return self.status != 501
        return self.status in (408, 409, 425, 429) and self.code not in ("insufficient_quota", "billing_hard_limit_reached")

    @property
    def unserved(self) -> bool:
        """The service has no such call."""
        return self.status in (404, 405, 501)


@dataclass(frozen=True)
class StoredFile:
    """A file at the service; `at` unix seconds, none where not told."""

    id: str
    name: str
    bytes: int
    status: str = ""
    purpose: str = ""
    at: float | None = None

    @property
    def usable(self) -> bool:
        return self.status not in ("error", "deleted", "deleting")

    @property
    def in_the_making(self) -> bool:
        """Azure takes a while before a file can be trained on."""
        return self.status in ("pending", "running", "notRunning", "importing")


@dataclass(frozen=True)
class Order:
    """The job that a run asks for. `since`: when it was first asked for, unix seconds; none: never yet."""

    spec: ManagedSpec
    train: str
    validation: str = ""
    since: float | None = None

    @property
    def mark(self) -> str:
        """Stands for the run where a service keeps no metadata."""
        return "tw" + hashlib.sha256(self.spec.run_id.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Job:
    """A job as the service tells it: its own word for where it is, and ours. Times are unix seconds."""

    id: str
    status: str
    state: State
    model: str = ""
    trained_tokens: int | None = None
    result_files: tuple[str, ...] = ()
    error: str = ""
    error_code: str = ""
    created_at: float | None = None
    finished_at: float | None = None
    ends_at: float | None = None


@dataclass(frozen=True)
class Told:
    """One event of a job: words, or figures of a step (the keys of `results.FIGURES`)."""

    id: str
    sentence: str
    figures: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A model that answers by its name, as it was after a step."""

    step: int
    model: str
    figures: dict[str, Any] = field(default_factory=dict)


class FineTuning(Protocol):
    """Every call raises Trouble. Nothing is repeated in here, so that who calls can look before it asks twice."""

    place: str
    """The address, without anything secret."""

    key: str
    """For taking it out of what the service says."""

    needs_deployment: bool
    """A trained model must be deployed there by hand before it answers."""

    def models(self) -> dict[str, str | None]: ...
    def probe(self) -> None: ...
    def files(self, purpose: str = "") -> list[StoredFile]: ...
    def file(self, file_id: str) -> StoredFile: ...
    def upload(self, name: str, content: bytes) -> StoredFile: ...
    def delete(self, file_id: str) -> None: ...
    def create(self, order: Order) -> Job: ...
    def find_job(self, order: Order) -> Job | None: ...
    def job(self, job_id: str) -> Job: ...
    def events(self, job_id: str, known: Collection[str]) -> list[Told]: ...
    def checkpoints(self, job_id: str) -> list[Checkpoint]: ...
    def figures(self, job: Job) -> list[dict[str, Any]]: ...
    def cancel(self, job_id: str) -> Job: ...
    def pause(self, job_id: str) -> Job: ...
    def resume(self, job_id: str) -> Job: ...


def opened(service: Service) -> FineTuning:
    """Raises PipelineError where there is no key, or no client."""
    if service.api == "together":
        from pipeline.managed.together_service import Together

        return Together(service)
    from pipeline.managed.openai_service import OpenAIService

    return OpenAIService(service)


def find_file(service: FineTuning, name: str, size: int) -> StoredFile | None:
    """An upload of this very content: our names say what is in it."""
    equal = (one for one in service.files("fine-tune") if one.name == name and one.bytes == size and one.usable)
    return next(equal, None)


def newest_first(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.created_at or 0, reverse=True)
