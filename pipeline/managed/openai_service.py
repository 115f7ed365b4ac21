"""Any service that serves OpenAI's fine-tuning calls: OpenAI itself, Azure Foundry, Nebius, and others."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from pipeline import keys
from pipeline.managed import results
from pipeline.managed.calls import NO_SENSE, Connection, fields, items, listed, number
from pipeline.managed.service import (
    BODY_SECONDS,
    RUN_KEY,
    Checkpoint,
    Job,
    Order,
    State,
    StoredFile,
    Told,
    Trouble,
)
from pipeline.spec_managed import Service

PAGE = 100
STATES: dict[str, State] = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled", "canceled": "cancelled",
                            "paused": "paused"}
OPTIONAL = ("metadata", "method", "seed")
"""What some services do not take. Where the metadata is left out, a job is known by its file, its model and its time."""

SKEW_SECONDS = 120.0
"""How far a service's clock may be off."""

_STEP = re.compile(r"step (\d+)(?:\s*/\s*(\d+))?:?.*?training loss\s*[=:]\s*([\d.]+)(?:.*?validation loss\s*[=:]\s*([\d.]+))?",
                   re.I)


class OpenAIService:
    def __init__(self, service: Service) -> None:
        self._line = Connection(service, keys.OPENAI, keys.OPENAI_KEY)
        self.place, self.key = self._line.place, self._line.key
        host = urlsplit(service.base_url).hostname or ""
        self.needs_deployment = host.endswith((".azure.com", ".azure.us", ".azure.cn"))

    def models(self) -> dict[str, str | None]:
        """Every model that the account sees, and the day it is shut down (ISO), where that is told."""
        with self._line.asking() as client:
            data = listed(getattr(client.models.list(), "data", None))
            return {str(one.get("id")): str(one["shutdown_date"])[:10] if one.get("shutdown_date") else None
                    for one in data}

    def probe(self) -> None:
        """Ask for one job, which costs nothing."""
        with self._line.asking() as client:
            client.fine_tuning.jobs.list(limit=1)

    def files(self, purpose: str = "") -> list[StoredFile]:
        chosen = {"purpose": purpose} if purpose else {}
        with self._line.asking() as client:
            return [_file(one) for one in items(lambda after: client.files.list(**chosen, **_after(after)))]

    def file(self, file_id: str) -> StoredFile:
        with self._line.asking() as client:
            return _file(fields(client.files.retrieve(file_id)))

    def upload(self, name: str, content: bytes) -> StoredFile:
        with self._line.asking() as client:
            return _file(fields(client.files.create(file=(name, content), purpose="fine-tune", timeout=BODY_SECONDS)))

    def delete(self, file_id: str) -> None:
        with self._line.asking() as client:
            client.files.delete(file_id)

    def create(self, order: Order) -> Job:
        """Ask for the job. What a service refuses by name (400, 422: there is no job) is left out or said in its older form."""
        body = _body(order)
        for _ in OPTIONAL:
            try:
                return self._created(body)
            except Trouble as trouble:
                unknown = next((one for one in OPTIONAL if one in body and _is_unknown(one, trouble)), "")
                if not unknown:
                    raise
                body = _without(body, unknown)
        return self._created(body)

    def find_job(self, order: Order) -> Job | None:
        """The job of this run: by its metadata, or, where a service keeps none, by file, model and time."""
        with self._line.asking() as client:
            jobs = list(items(lambda after: client.fine_tuning.jobs.list(limit=PAGE, **_after(after))))
        ours = [one for one in jobs if (one.get("metadata") or {}).get(RUN_KEY) == order.spec.run_id]
        alike = [one for one in jobs if not one.get("metadata") and _is_alike(one, order)]
        found = ours or alike
        return _job(max(found, key=lambda one: number(one.get("created_at")) or 0)) if found else None

    def job(self, job_id: str) -> Job:
        with self._line.asking() as client:
            return _job(fields(client.fine_tuning.jobs.retrieve(job_id)))

    def events(self, job_id: str, known: Collection[str]) -> list[Told]:
        """Those that are not known yet, oldest first. Services list the newest first: behind a page of known ones come no new
        ones."""
        found, in_a_row = [], 0
        with self._line.asking() as client:
            for one in items(lambda after: client.fine_tuning.jobs.list_events(job_id, limit=PAGE, **_after(after))):
                in_a_row = in_a_row + 1 if str(one.get("id")) in known else 0
                if in_a_row == PAGE:
                    break
                if not in_a_row:
                    found.append((number(one.get("created_at")) or 0, _told(one)))
        return [told for _, told in sorted(reversed(found), key=lambda pair: pair[0])]

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        try:
            with self._line.asking() as client:
                ask = client.fine_tuning.jobs.checkpoints.list
                found = list(items(lambda after: ask(job_id, limit=PAGE, **_after(after))))
        except Trouble as trouble:
            if trouble.unserved:
                return []
            raise
        made = [_checkpoint(one) for one in found if one.get("fine_tuned_model_checkpoint")]
        return sorted(made, key=lambda one: one.step)

    def figures(self, job: Job) -> list[dict[str, Any]]:
        """The rows of its result files."""
        rows = []
        for name in job.result_files:
            with self._line.asking() as client:
                rows += results.parse(client.files.content(name, timeout=BODY_SECONDS).read())
        return rows

    def cancel(self, job_id: str) -> Job:
        with self._line.asking() as client:
            return _job(fields(client.fine_tuning.jobs.cancel(job_id)))

    def pause(self, job_id: str) -> Job:
        with self._line.asking() as client:
            return _job(fields(client.fine_tuning.jobs.pause(job_id)))

    def resume(self, job_id: str) -> Job:
        with self._line.asking() as client:
            return _job(fields(client.fine_tuning.jobs.resume(job_id)))

    def _created(self, body: dict[str, Any]) -> Job:
        with self._line.asking() as client:
            return _job(fields(client.fine_tuning.jobs.create(**body)))


def _body(order: Order) -> dict[str, Any]:
    spec = order.spec
    dials = {"n_epochs": spec.epochs, "batch_size": spec.batch_size, "learning_rate_multiplier": spec.learning_rate_multiplier}
    supervised = {"hyperparameters": {name: "auto" if value is None else value for name, value in dials.items()}}
    body: dict[str, Any] = {"model": spec.model, "training_file": order.train, "metadata": {RUN_KEY: spec.run_id},
                            "method": {"type": "supervised", "supervised": supervised}}
    more = {"validation_file": order.validation, "suffix": spec.suffix, "seed": spec.seed}
    return body | {name: value for name, value in more.items() if value not in ("", None)}


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    """The body without it; a method in the older form, as what is left to the service is left out there."""
    rest = {key: value for key, value in body.items() if key != name}
    if name != "method":
        return rest
    dials = body["method"]["supervised"]["hyperparameters"]
    return rest | {"hyperparameters": {key: value for key, value in dials.items() if value != "auto"}}


def _is_unknown(name: str, trouble: Trouble) -> bool:
    """Whether a refusal speaks of this parameter itself, not of something within it."""
    if trouble.status not in (400, 422):
        return False
    return trouble.param == name or re.search(rf"(?<![\w.]){name}(?![\w.])", trouble.said) is not None


def _is_alike(one: dict[str, Any], order: Order) -> bool:
    at = number(one.get("created_at"))
    return (order.since is not None and at is not None and at >= order.since - SKEW_SECONDS and bool(order.train)
            and one.get("training_file") == order.train and str(one.get("model") or "").startswith(order.spec.model))


def _after(after: str | None) -> dict[str, str]:
    return {"after": after} if after else {}


def _file(one: dict[str, Any]) -> StoredFile:
    if not one.get("id"):
        raise Trouble(None, NO_SENSE)
    return StoredFile(str(one["id"]), str(one.get("filename") or ""), int(number(one.get("bytes")) or 0),
                      str(one.get("status") or ""), str(one.get("purpose") or ""), number(one.get("created_at")))


def _job(one: dict[str, Any]) -> Job:
    """An error whose parts are all null is none; unknown words for where a job is are kept."""
    if not one.get("id"):
        raise Trouble(None, NO_SENSE)
    status, error = str(one.get("status") or ""), one.get("error") or {}
    files: Sequence[Any] = one.get("result_files") or ()
    tokens = number(one.get("trained_tokens"))
    said = error if isinstance(error, dict) else {"message": str(error)}
    return Job(str(one["id"]), status, STATES.get(status, "going"), str(one.get("fine_tuned_model") or ""),
               None if tokens is None else int(tokens), tuple(str(name) for name in files), str(said.get("message") or ""),
               str(said.get("code") or ""), number(one.get("created_at")), number(one.get("finished_at")),
               number(one.get("estimated_finish")))


def _checkpoint(one: dict[str, Any]) -> Checkpoint:
    return Checkpoint(int(number(one.get("step_number")) or 0), str(one["fine_tuned_model_checkpoint"]),
                      results.figures(one.get("metrics") or {}))


def _told(one: dict[str, Any]) -> Told:
    """An event; figures come as data of a metrics event, or in its sentence."""
    sentence, data = str(one.get("message") or ""), one.get("data")
    known = results.figures(data) if isinstance(data, dict) else {}
    steps = number(data.get("total_steps")) if isinstance(data, dict) else None
    if not known and (match := _STEP.search(sentence)):
        step, steps_said, train, valid = match.groups()
        known = results.figures({"step": step, "train_loss": train, "valid_loss": valid})
        steps = steps or number(int(steps_said) if steps_said else None)
    return Told(str(one.get("id") or ""), sentence, known, int(steps) if steps else None)
