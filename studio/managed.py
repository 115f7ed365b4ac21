"""Tuning at a service: a look before the click that costs nothing, the start, acts while it runs, and the files that lie there.

The app never talks to a service: children do (`pipeline/managed`), and each of these is a run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pipeline.spec_managed import ManagedSpec, QuoteSpec, ServiceFilesSpec
from pipeline.spec_managed import Service as ServiceSpec
from studio import findings, runs, services, snapshots
from studio.errors import StudioError
from studio.permissions import needs
from studio.runs import Run
from studio.services import Price, Service
from studio.snapshots import Snapshot
from studio.workspace import Row, Workspace

KEPT = 5
"""So many quotes keep the lines that would be sent: they are copies of what customers wrote."""

ACTS = ("cancel", "pause", "resume")
REFUSED = ("no_key", "refused", "may_not_tune")


@dataclass(frozen=True)
class Dials:
    """What is asked of the service; None: its own choice."""

    model: str = "gpt-4.1-nano-2025-04-14"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    suffix: str = ""
    seed: int | None = 1234
    validation: bool = True


@dataclass(frozen=True)
class Part:
    """A file as it would be sent: its lines, bytes and their hash, its tokens and those of the longest line."""

    lines: int
    bytes: int
    sha256: str
    tokens: int
    longest: int


@dataclass(frozen=True)
class Quote:
    """What a look found. `epochs` are those asked for, or what the service is expected to take. `tokens_basis` names the
    encoding, or "estimated". `account` is one of ok, no_key, refused, unreachable, may_not_tune, model_unknown."""

    train: Part
    validation: Part | None
    problems: tuple[Row, ...]
    problem_count: int
    tokens_basis: str
    limit: int | None
    epochs: int
    account: str
    account_words: str
    shutdown_date: str | None
    closing: str

    @property
    def trained_tokens(self) -> int:
        return self.train.tokens * self.epochs

    def cost(self, price: Price | None) -> float | None:
        """Tokens × epochs × price of a million; validation is not billed by OpenAI."""
        return self.trained_tokens * price.per_million / 1e6 if price else None


@dataclass(frozen=True)
class Leaving:
    """Records of train and validation with personal data that nobody settled, and those that were never checked."""

    open: int
    unchecked: int
    ever_checked: bool

    @property
    def clear(self) -> bool:
        return self.ever_checked and not self.open and not self.unchecked


@needs("read")
def leaving(ws: Workspace, snapshot: Snapshot) -> Leaving:
    """What would leave the house with this snapshot's lines."""
    found = findings.of_snapshot(ws, snapshot.snapshot_id, ("train", "validation")).groups
    if found is None:
        return Leaving(0, snapshot.train + snapshot.validation, False)
    return Leaving(found["privacy"], found["unchecked"], True)


def question(snapshot: Snapshot, service: Service, dials: Dials) -> Row:
    """What a look is asked; the same question is answered from what is there."""
    spec = QuoteSpec(run_id="", service=_service(service), model=dials.model, train_file=snapshot.file("train"),
                     validation_file=_validation(snapshot, dials), epochs=dials.epochs)
    return {key: value for key, value in spec.model_dump().items() if key != "run_id"}


@needs("read")
def newest(ws: Workspace, asked: Row) -> Run | None:
    """The newest look that asked this, however it stands."""
    return next((run for run in runs.every(ws, "quote")
                 if all(run.spec.get(key) == value for key, value in asked.items())), None)


@needs("export")
def look(ws: Workspace, snapshot: Snapshot, service: Service, dials: Dials) -> str:
    """Look what would be sent, whether the service takes it, and what it would cost; returns the run's id. Nothing is sent."""
    _check(dials)
    snapshots.verify(ws, snapshot)
    asked = question(snapshot, service, dials)
    earlier = newest(ws, asked)
    if earlier is not None and earlier.moving:
        return earlier.run_id
    for run in [run for run in runs.every(ws, "quote") if not run.moving][KEPT - 1:]:
        runs.clear_copies(ws, run)
    return runs.begin(ws, QuoteSpec(**(asked | {"run_id": ws.new_id()})), f"Look at {dials.model} at {service.name}",
                      snapshot.snapshot_id)


def read(run: Run) -> Quote:
    """What a look that is done found."""
    assert run.result is not None
    data = run.result.data
    return Quote(
        Part(**data["train"]), Part(**data["validation"]) if data["validation"] else None, tuple(data["problems"]),
        data["problem_count"], data["tokens_basis"], data["limit"], data["epochs"], data["account"]["state"],
        data["account"]["words"], data["shutdown_date"], data["closing"])


@needs("export", looks=True)
def lines(ws: Workspace, run: Run, split: str) -> bytes:
    """The very bytes that would be sent; empty where a look no longer keeps them."""
    path = ws.path(run.folder) / f"{split}.jsonl"
    return path.read_bytes() if path.is_file() else b""


@needs("export")
def start(ws: Workspace, snapshot: Snapshot, service: Service, dials: Dials, title: str, who: str,
          accepted: bool = False) -> str:
    """Start the tuning; returns the run's id. `accepted`: somebody knows that open personal data leaves.

    Raises StudioError where no look found that these lines can be sent, or where personal data would leave unseen.
    """
    _check(dials)
    snapshots.verify(ws, snapshot)
    run = newest(ws, question(snapshot, service, dials))
    if run is None or run.state != "done":
        raise StudioError("Nobody looked at what would be sent yet.", "Look before you start: it costs nothing.")
    found = read(run)
    if found.problem_count:
        first = found.problems[0]
        raise StudioError(f"The service would refuse these lines: {first['words']}", "The look lists them all, by line.")
    if found.account in REFUSED:
        raise StudioError(found.account_words, "Look again once that is settled.")
    leaves = leaving(ws, snapshot)
    if not leaves.clear and not accepted:
        raise StudioError("Personal data that nobody settled would leave this machine.",
                          "Check and clean the records and freeze a new snapshot, or say that you know.")
    price = services.price(ws, dials.model)
    spec = ManagedSpec(
        run_id=ws.new_id(), service=_service(service), model=dials.model, train_file=snapshot.file("train"),
        validation_file=_validation(snapshot, dials), epochs=dials.epochs, batch_size=dials.batch_size,
        learning_rate_multiplier=dials.learning_rate_multiplier, suffix=dials.suffix, seed=dials.seed,
        price=price.per_million if price else None, money=price.money if price else "USD")
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, title.strip() or f"{dials.model} on {snapshot.name}", snapshot.snapshot_id)
        transaction.decided("sendings", [{
            "sending_id": ws.new_id(), "seq": 0, "run_id": spec.run_id, "snapshot_id": snapshot.snapshot_id,
            "service": service.place, "lines": found.train.lines + (found.validation.lines if found.validation else 0),
            "open_records": leaves.open, "unchecked_records": leaves.unchecked, "who": who, "said_at": ws.now()}])
    return runs.set_off(ws, spec)


@needs("export")
def ask(ws: Workspace, run: Run, act: str) -> None:
    """Ask the service, through the child that watches, to cancel, pause or resume the job."""
    if act not in ACTS:
        raise StudioError(f"A job cannot be asked to {act}.")
    if not run.moving:
        raise StudioError("Nobody watches this job now.", "Resume the run first: it finds its job again.")
    (ws.path(run.folder) / act).touch()


@needs("read")
def remote(ws: Workspace, run: Run) -> Row:
    """What exists at the service: `{"files": {split: {"id", "sha256", …}}, "job": {"id", "status", …}}`, parts missing that do
    not exist yet."""
    path = ws.path(run.folder) / "remote.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


@needs("export")
def files(ws: Workspace, service: Service, delete: tuple[str, ...] = ()) -> str:
    """List the files at the service, after deleting some; returns the run's id."""
    what = f"Delete {len(delete)} files at {service.name}" if delete else f"Files at {service.name}"
    return runs.begin(ws, ServiceFilesSpec(run_id=ws.new_id(), service=_service(service), delete=delete), what)


@needs("read")
def newest_files(ws: Workspace, service: Service) -> Run | None:
    """The newest list of a service's files, however it stands."""
    asked = _service(service).model_dump()
    return next((run for run in runs.every(ws, "service_files") if run.spec["service"] == asked), None)


@needs("read")
def sent(ws: Workspace, snapshot_ids: list[str]) -> list[str]:
    """Services that were sent lines of these snapshots."""
    return [row["service"] for row in ws.rows(
        """select distinct service from sendings where snapshot_id in (select unnest(?::varchar[]))
           order by service""", [snapshot_ids])]


@needs("read")
def speed(ws: Workspace, service: Service, model: str) -> float | None:
    """Trained tokens a second of the newest job of this model there, waiting included; None where none was done from here."""
    for run in runs.every(ws, "managed"):
        done = run.result.data if run.state == "done" and run.result else {}
        same = run.spec["service"] == _service(service).model_dump() and run.spec["model"] == model
        if same and done.get("trained_tokens") and done.get("seconds"):
            return float(done["trained_tokens"] / done["seconds"])
    return None


def _service(service: Service) -> ServiceSpec:
    return ServiceSpec(**{key: value for key, value in asdict(service).items() if key != "name"})


def _validation(snapshot: Snapshot, dials: Dials) -> str:
    return snapshot.file("validation") if dials.validation and snapshot.validation else ""


def _check(dials: Dials) -> None:
    """Raises StudioError for dials that no service takes."""
    if not dials.model.strip():
        raise StudioError("Which model is tuned?", "Write the service's name for it.")
    if len(dials.suffix) > 64 or not all(one.isalnum() or one in "-_. " for one in dials.suffix):
        raise StudioError("A suffix has at most 64 letters, digits and dashes.", "It becomes part of the tuned model's name.")
