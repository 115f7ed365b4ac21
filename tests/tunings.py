"""Looks and tunings at a service, as their children would have left them."""

from __future__ import annotations

from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.spec_managed import ManagedSpec, QuoteSpec
from pipeline.spec_managed import Service as ServiceSpec
from pipeline.specs import dumps
from studio import managed, runs
from studio.managed import Dials
from studio.services import Service
from studio.snapshots import Snapshot
from studio.workspace import Workspace

PART = {"lines": 20, "bytes": 4_096, "sha256": "a" * 64, "tokens": 1_240, "longest": 82}
FOUND: dict[str, Any] = {
    "train": PART, "validation": PART | {"lines": 6, "tokens": 372}, "problems": [], "problem_count": 0,
    "tokens_basis": "o200k_base", "limit": 65_536, "epochs": 3, "shutdown_date": None, "closing": "",
    "account": {"state": "ok", "words": "The account can be used, and the model is there."}}  # fmt: skip
MADE: dict[str, Any] = {
    "model": "ft:small:me::9", "checkpoints": [{"step": 10, "model": "ft:small:me::9:ckpt-10", "valid_loss": 1.4}],
    "trained_tokens": 3_720, "cost": 0.01116, "money": "USD", "seconds": 93.0, "steps": 20, "first_validation_loss": 1.9,
    "best_validation_loss": 1.2, "best_step": 20, "last_train_loss": 1.1, "files": {}, "job_id": "ftjob-1",
    "needs_deployment": False}  # fmt: skip


def looked(ws: Workspace, snapshot: Snapshot, service: Service, dials: Dials, **more: Any) -> str:
    """A look that is done and found this."""
    spec = QuoteSpec(**(managed.question(snapshot, service, dials) | {"run_id": ws.new_id()}))
    child = _begun(ws, spec, snapshot, "Look")
    (child.folder / "train.jsonl").write_text('{"messages": [{"role": "user", "content": "<b>Hi</b>"}]}\n' * 20)
    with child:
        child.finish("done", "Looked.", data=FOUND | more)
    runs.collect(ws)
    return spec.run_id


def tuned(ws: Workspace, snapshot: Snapshot, service: Service = Service("OpenAI"), run_id: str = "", **more: Any) -> str:
    """A tuning that is done and made this."""
    spec = ManagedSpec(
        run_id=run_id or ws.new_id(), service=ServiceSpec(api=service.api, base_url=service.base_url, key_env=service.key_env),
        model="small", train_file=snapshot.file("train"), price=3.0)  # fmt: skip
    with _begun(ws, spec, snapshot, "Small on forty") as child:
        child.finish("done", "Tuned.", data=MADE | more)
    runs.collect(ws)
    return spec.run_id


def _begun(ws: Workspace, spec: ManagedSpec | QuoteSpec, snapshot: Snapshot, title: str) -> Child:
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, title, snapshot.snapshot_id)
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, ws.now().timestamp())
    return Child(folder)
