"""Exports, servers and parity tests as their children would have left them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline import rundir
from pipeline.rundir import Child
from pipeline.spec_deploy import ExportSpec, ParitySpec, ServeSpec
from pipeline.specs import BaseSource, Candidate, Endpoint, dumps
from studio import deploys, models, runs
from studio.runs import Run
from studio.workspace import Workspace
from tests.tickets import BASE

LEG: dict[str, Any] = {
    "name": "served",
    "exact": True,
    "items": 12,
    "read": 12,
    "mismatches": 0,
    "equal": 12,
    "rounded": 0,
    "cause": "",
    "words": "",
    "kinds": {},
    "first_compared": 12,
    "first_apart": 2.7e-5,
    "metric": "rougeL",
    "values": [0.412, 0.412],
}
WRONG = LEG | {
    "read": 0,
    "mismatches": 12,
    "equal": 3,
    "cause": "template",
    "words": "The chat template writes another prompt from character 15 on, before the first turn.",
    "kinds": {"template": 12},
    "values": [0.412, 0.203],
}


def tuned(ws: Workspace, model_id: str) -> Candidate:
    model = models.get(ws, model_id)
    return Candidate(model_id=model_id, name=model.name, base=BaseSource(**BASE), adapter=model.adapter)  # type: ignore[arg-type]


def begun(ws: Workspace, spec: ExportSpec | ServeSpec | ParitySpec, title: str) -> Child:
    with ws.transaction() as transaction:
        runs.add_row(ws, transaction, spec, title, "")
    folder = ws.path(f"runs/{spec.run_id}")
    rundir.prepare(folder, dumps(spec))
    rundir.note_launch(folder, ws.now().timestamp())
    return Child(folder)


def exported(ws: Workspace, model_id: str, run_id: str = "exported0001", onto: Any = "trained") -> None:
    """Adapter and merged model, done and collected."""
    spec = ExportSpec(run_id=run_id, tuned=tuned(ws, model_id), forms=("adapter", "merged"), onto=onto)
    child = begun(ws, spec, "Export")
    for form in spec.forms:
        ws.path(f"exports/{run_id}/{form}").mkdir(parents=True)
        ws.path(f"exports/{run_id}/{form}/README.md").write_text("# A model\n")
    data = {"folder": f"exports/{run_id}", "precision": "bfloat16", "onto": onto, "distance": 0.094,
            "forms": {"adapter": {"bytes": 9_800_000, "files": {}}, "merged": {"bytes": 272_000_000, "files": {}}}}  # fmt: skip
    child.finish("done", "Written: the adapter, the merged model; 282 MB in all.", data=data)
    runs.collect(ws)


@contextmanager
def serving(ws: Workspace, model_id: str, run_id: str = "served000001", port: int = 8001, **more: Any) -> Iterator[Run]:
    """A server that is up until the end of the block, as its child tells it; nothing really answers."""
    model = models.get(ws, model_id)
    spec = ServeSpec(run_id=run_id, name=deploys.served_name(model), tuned=tuned(ws, model_id), port=port, **more)
    models.add_endpoint(ws, f"{model.name}, served", deploys.address(spec.model_dump()), spec.name, spec.key_env)
    with begun(ws, spec, f"{model.name} served") as child:
        child.say("serving", 3, 0, "answers", f"Serving at http://127.0.0.1:{port}/v1 · Waits for a question")
        yield runs.get(ws, run_id)


def proven(ws: Workspace, model_id: str, serve_id: str = "", leg: dict[str, Any] = LEG, run_id: str = "parity000001") -> Run:
    """A parity test that is done; what it found is `leg`."""
    spec = ParitySpec(run_id=run_id, tuned=tuned(ws, model_id), serve_id=serve_id, items_file="test.jsonl",
                      served=Endpoint(base_url="http://127.0.0.1:8001/v1", model="x"))  # fmt: skip
    child = begun(ws, spec, "Is it the same model?")
    passed = not leg["mismatches"]
    message = "The same model: adapter = served on 12 prompts." if passed else f"Not the same model (served): {leg['words']}"
    child.finish("done", message, data={"items": 12, "legs": [leg], "mismatches": leg["mismatches"], "compute": "float32",
                                        "passed": passed, "export_id": "", "serve_id": serve_id})  # fmt: skip
    runs.collect(ws)
    return runs.get(ws, run_id)
