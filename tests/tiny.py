"""A tiny random model with an adapter, exported and compared in this process: for what need not be a real model."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path
from typing import Any

from pipeline import launch, rundir
from pipeline.rundir import Child
from pipeline.spec_deploy import ExportSpec, ParitySpec, ServeSpec
from pipeline.specs import BaseSource, Candidate, Endpoint
from tests import children
from tests.test_families import saved

ADAPTER = "runs/tiny/adapter"
THINGS = ("tent", "red jacket", "lamp", "stove", "pair of boots", "map")
ITEMS = [(f"i{n}", f"Where is my {thing}?", f"Your {thing} is on its way.") for n, thing in enumerate(THINGS)]


def made(home: Path, method: Any = "qlora") -> Candidate:
    """A base in `home`, an adapter that changes it, and test items; as a candidate that learned in 4 or in 16 bits."""
    import torch

    from pipeline.training import quantised

    base = saved(home / "base", "llama")
    children.write_examples(home / "items.jsonl", ITEMS)
    model: Any = quantised.add_adapter(quantised.load_base(base, torch.float32, torch.device("cpu"), False), 4, seed=1)
    torch.manual_seed(3)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(home / ADAPTER, save_embedding_layers=False)
    gc.freeze()  # what the imports made: looked through with every model, it would take most of the time
    source = BaseSource(kind="folder", ref=str(base), name="Tiny")
    return Candidate(model_id="tiny", name="Tiny (tuned)", base=source, adapter=ADAPTER, method=method)


def exported(home: Path, tuned: Candidate, run_id: str, **more: Any) -> Path:
    """The folder of an export, made in this process."""
    from pipeline.deploy import export

    spec = ExportSpec(run_id=run_id, tuned=tuned, **({"forms": ("merged",), "precision": "float32"} | more))
    with Child(children.prepared(home, spec)) as child:
        export.run(child, spec, home)
    return home / "exports" / run_id


def spoilt(home: Path, good: Path, name: str) -> Path:
    """A copy of a merged folder, to be spoilt."""
    return Path(shutil.copytree(good, home / "exports" / name / "merged"))


def compared(home: Path, tuned: Candidate, run_id: str, merged: Path | None = None, served: Endpoint | None = None,
             **more: Any) -> dict[str, Any]:  # fmt: skip
    """What a parity test in this process finds."""
    from pipeline.deploy import parity

    spec = ParitySpec(run_id=run_id, tuned=tuned, items_file="items.jsonl", served=served,
                      merged=str(merged.relative_to(home)) if merged else "", **({"max_new_tokens": 8} | more))  # fmt: skip
    with Child(children.prepared(home, spec)) as child:
        return parity.run(child, spec, home)


def up(folder: Path, home: Path) -> None:
    """Start a server's child, as the app does, and wait until it answers."""
    launch.start(folder, home)
    children.wait_until(lambda: (said := rundir.status(folder)) is not None and said.phase == "serving", folder)


def server(home: Path, tuned: Candidate, run_id: str, **more: Any) -> Path:
    """The folder of a server's run on a free port."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return children.prepared(home, ServeSpec(**({"run_id": run_id, "name": "tiny", "tuned": tuned, "port": port} | more)))
