"""Together: its own bodies (github.com/togethercomputer/openapi), asked for through the same client's plain get and post."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pipeline.managed import results
from pipeline.managed.calls import NO_SENSE, Connection, fields, listed, number
from pipeline.managed.service import BODY_SECONDS, Checkpoint, Job, Order, State, StoredFile, Told, Trouble, newest_first
from pipeline.spec_managed import Service

HOME, KEY = "https://api.together.ai/v1", "TOGETHER_API_KEY"
STATES: dict[str, State] = {"completed": "succeeded", "error": "failed", "user_error": "failed", "cancelled": "cancelled"}
LEARNING_RATE = 1e-5
"""Together's own choice; a multiplier multiplies this."""

EVALUATIONS = 10
"""How often the validation file is looked at; by itself Together never does."""

MOST_SUFFIX = 40


class Together:
    """It keeps no metadata: a job is known by its training file and by the end of its suffix, which stands for the run."""

    needs_deployment = False

    def __init__(self, service: Service) -> None:
        self._line = Connection(service, HOME, KEY)
        self.place, self.key = self._line.place, self._line.key

    def models(self) -> dict[str, str | None]:
        """Every model that can be trained; no day of an end is told."""
        names = fields(self._get("/fine-tunes/models/supported")).get("models")
        return {str(name): None for name in names} if isinstance(names, list) else {}

    def probe(self) -> None:
        self._get("/fine-tunes")

    def files(self, purpose: str = "") -> list[StoredFile]:
        found = [_file(one) for one in _data(self._get("/files"))]
        return [one for one in found if not purpose or one.purpose == purpose]

    def file(self, file_id: str) -> StoredFile:
        return _file(fields(self._get(f"/files/{file_id}")))

    def upload(self, name: str, content: bytes) -> StoredFile:
        body = {"purpose": "fine-tune", "file_name": name, "file_type": "jsonl"}
        options = {"headers": {"Content-Type": "multipart/form-data"}, "timeout": BODY_SECONDS}
        with self._line.asking() as client:
            return _file(fields(client.post("/files/upload", cast_to=object, body=body, options=options,
                                            files={"file": (name, content)})))

    def delete(self, file_id: str) -> None:
        with self._line.asking() as client:
            client.delete(f"/files/{file_id}", cast_to=object)

    def create(self, order: Order) -> Job:
        return self._post("/fine-tunes", _body(order))

    def find_job(self, order: Order) -> Job | None:
        ours = [_job(one) for one in _data(self._get("/fine-tunes")) if _is_ours(one, order)]
        return next(iter(newest_first(ours)), None)

    def job(self, job_id: str) -> Job:
        return _job(fields(self._get(f"/fine-tunes/{job_id}")))

    def events(self, job_id: str, known: Collection[str]) -> list[Told]:
        found = sorted(_data(self._get(f"/fine-tunes/{job_id}/events")), key=lambda one: str(one.get("created_at") or ""))
        return [told for told in map(_told, found) if told.id not in known]

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Together's checkpoints do not answer by a name of their own: training can go on from them."""
        return []

    def figures(self, job: Job) -> list[dict[str, Any]]:
        found = fields(self._get(f"/fine-tunes/{job.id}/metrics")).get("metrics")
        rows = [results.figures(one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return [row for row in rows if "step" in row]

    def cancel(self, job_id: str) -> Job:
        return self._post(f"/fine-tunes/{job_id}/cancel", None)

    def pause(self, job_id: str) -> Job:
        raise Trouble(501, "no such call")

    def resume(self, job_id: str) -> Job:
        raise Trouble(501, "no such call")

    def _get(self, path: str) -> Any:
        with self._line.asking() as client:
            return client.get(path, cast_to=object)

    def _post(self, path: str, body: dict[str, Any] | None) -> Job:
        with self._line.asking() as client:
            return _job(fields(client.post(path, cast_to=object, body=body)))


def suffix(order: Order) -> str:
    """What people chose, cut, and the mark of the run."""
    chosen = order.spec.suffix[: MOST_SUFFIX - len(order.mark) - 1].strip("-")
    return f"{chosen}-{order.mark}".lstrip("-")


def _body(order: Order) -> dict[str, Any]:
    spec = order.spec
    body: dict[str, Any] = {
        "model": spec.model, "training_file": order.train, "suffix": suffix(order),
        "training_method": {"method": "sft", "train_on_inputs": False}}
    if order.validation:
        body |= {"validation_file": order.validation, "n_evals": EVALUATIONS}
    more = {"n_epochs": spec.epochs, "batch_size": spec.batch_size, "random_seed": spec.seed,
            "learning_rate": spec.learning_rate_multiplier and LEARNING_RATE * spec.learning_rate_multiplier}
    return body | {name: value for name, value in more.items() if value is not None}


def _is_ours(one: dict[str, Any], order: Order) -> bool:
    """The file counts where it is known: a run that lost its folder does not know it yet."""
    named = str(one.get("suffix") or one.get("model_output_name") or "")
    return order.mark in named and (not order.train or one.get("training_file") in (order.train, None))


def _data(page: Any) -> list[dict[str, Any]]:
    return listed(page if isinstance(page, list) else fields(page).get("data"))


def _file(one: dict[str, Any]) -> StoredFile:
    if not one.get("id"):
        raise Trouble(None, NO_SENSE)
    return StoredFile(str(one["id"]), str(one.get("filename") or ""), int(number(one.get("bytes")) or 0), "",
                      str(one.get("purpose") or ""), number(one.get("created_at")))


def _job(one: dict[str, Any]) -> Job:
    """The last error among its events is why it failed. `token_count` is what it trained on."""
    if not one.get("id"):
        raise Trouble(None, NO_SENSE)
    status, tokens = str(one.get("status") or ""), number(one.get("token_count"))
    state = STATES.get(status, "going")
    events = [event for event in one.get("events") or () if isinstance(event, dict)]
    errors = [str(event.get("message") or "") for event in events if event.get("type") == "job_error"]
    progress = one.get("progress") if isinstance(one.get("progress"), dict) else {}
    left = number(progress.get("seconds_remaining")) if progress and progress.get("estimate_available") else None
    began, ended = _at(one.get("created_at")), _at(one.get("updated_at"))
    return Job(str(one["id"]), status, state, str(one.get("model_output_name") or "") if state == "succeeded" else "",
               int(tokens) if tokens else None, (), errors[-1] if errors else "", "", began,
               ended if state != "going" else None, ended + left if ended and left else None)


def _told(one: dict[str, Any]) -> Told:
    name = str(one.get("hash") or f"{one.get('created_at')} {one.get('type')} {one.get('step')}")
    steps = number(one.get("total_steps"))
    return Told(name, str(one.get("message") or ""), {}, int(steps) if steps else None)


def _at(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
