"""`python -m pipeline RUN_DIR --workspace WS`: one run, in its own process, from its spec to its result."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import device, rundir, specs
from pipeline.cluster import here
from pipeline.errors import PipelineError, Stopped, is_out_of_memory
from pipeline.launch import RANK
from pipeline.rundir import Child
from pipeline.spec_live import ReceiveSpec
from pipeline.spec_look import LookSpec
from pipeline.spec_place import PLACE
from pipeline.specs import (
    AnySpec,
    CheckSpec,
    ConnectSpec,
    DedupeSpec,
    DriftSpec,
    EvaluateSpec,
    ExportSpec,
    InspectSpec,
    JudgeSpec,
    ManagedSpec,
    ParitySpec,
    PlaySpec,
    PreviewSpec,
    PushSpec,
    QuoteSpec,
    ScoreSpec,
    ServeSpec,
    ServiceFilesSpec,
    SuggestSpec,
    SynthesisSpec,
    TrainSpec,
    ValidateSpec,
)

NICE = 10
ENGINES = {
    "check": "checking.engine", "connect": "connecting", "dedupe": "dedupe.engine", "drift": "drift",
    "evaluate": "evaluation", "export": "deploy.export", "inspect": "inspection", "judge": "judging", "look": "cluster.look",
    "managed": "managed.engine", "parity": "deploy.parity", "play": "playing", "preview": "preview", "push": "deploy.push",
    "quote": "managed.quote", "receive": "receiving", "score": "scoring.again", "serve": "deploy.serve",
    "service_files": "managed.files", "suggest": "suggestions", "synthesize": "synthesis.engine", "train": "training.trainer",
    "validate": "validation",
}
"""Kind of run → module below `pipeline`."""
NEEDS_NO_DEVICE = (CheckSpec, ConnectSpec, DedupeSpec, InspectSpec, LookSpec, ManagedSpec, ParitySpec, PlaySpec, PreviewSpec,
                   PushSpec, QuoteSpec, ReceiveSpec, ServeSpec, ServiceFilesSpec, SuggestSpec, ValidateSpec)
"""The playground, a server and a parity test take it now and then, by themselves."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--workspace", type=Path, required=True)
    given = parser.parse_args()
    os.nice(NICE)
    # Threads that wait for each other spin a little, then sleep: endless spinning made training up to eight times slower
    # where something else has a core (benchmarks/NOTES.md). Must come before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    with _child(given.run_dir) as child:
        signal.signal(signal.SIGTERM, lambda *_: rundir.ask_to_stop(child.folder))
        if (child.folder / PLACE).exists():
            from pipeline.cluster import ferry

            return ended(child, lambda: ferry.carry(child, given.workspace))
        return ended(child, lambda: compute(child, given.workspace))


def _child(folder: Path) -> Child:
    """This process's hand on the run folder; further processes of a run only read."""
    if RANK not in os.environ:
        return Child(folder)
    from pipeline.training.together import Silent

    return Silent(folder)


def compute(child: Child, workspace: Path, takes_turns: bool = True) -> None:
    """Run the spec on this machine. `takes_turns`: one run at a time computes on its device."""
    spec = specs.read(child.folder)
    _stay_offline(spec)
    waits = takes_turns and _needs_device(spec) and RANK not in os.environ
    with device.held(child, workspace, _needs_device) if waits else nullcontext():
        engine = _engine(spec)
        data = engine.run(child, spec, workspace)
    child.finish("done", engine.done_words(data), data=data)


def ended(child: Child, do: Callable[[], None]) -> int:
    """Do it; every way it can end becomes a result in words, written last."""
    try:
        do()
        return 0
    except Stopped as stopped:
        child.finish("stopped", str(stopped), "Resume goes on from there.")
        return 0
    except PipelineError as error:
        print(f"failed: {error.message}", file=sys.stderr)
        child.finish("failed", error.message, error.hint)
    except specs.SpecError as error:
        child.finish("failed", str(error), "Start a new run; specs are not meant to be edited.")
    except ModuleNotFoundError as error:
        traceback.print_exc()
        child.finish("failed", f"The package {(error.name or 'it needs').split('.')[0]} is not installed {_where()}.",
                     "Install there what the README says, the same versions as on the machine of the studio.")
    except Exception as error:
        # The trace goes to the log; the result keeps only the kind of error, because its text may hold data.
        traceback.print_exc()
        out = is_out_of_memory(error)
        child.finish("failed", "It ran out of memory." if out else f"It broke unexpectedly ({type(error).__name__}).",
                     "Use fewer examples a step, or a smaller base model." if out else "The end of the log says where.")
    return 1


def _where() -> str:
    place = here.current()
    return f"on the node {os.uname().nodename} of {place.cluster}" if place else "on this machine"


def _needs_device(spec: AnySpec) -> bool:
    """A search for duplicates, a drift check, and scoring only need it where a transformer makes the vectors, an evaluation and
    a judge where a local model answers."""
    if isinstance(spec, EvaluateSpec):
        return any(candidate.base for candidate in spec.candidates)
    if isinstance(spec, JudgeSpec):
        return spec.judge.base is not None
    if isinstance(spec, SynthesisSpec):
        return any(one.base for one in (spec.model, spec.checks.judge) if one)
    if isinstance(spec, ExportSpec):
        return spec.forms != ("adapter",)
    if isinstance(spec, DedupeSpec | DriftSpec | ScoreSpec):
        return spec.meaning is not None and spec.meaning.kind == "transformer"
    return not isinstance(spec, NEEDS_NO_DEVICE)


def _engine(spec: AnySpec) -> Any:
    """The module that does such a run: it has `run(child, spec, workspace)` and `done_words(data)`. Nothing heavy is imported
    before it is known what is wanted."""
    return import_module(f"pipeline.{ENGINES[spec.kind]}")


def _stay_offline(spec: AnySpec) -> None:
    """Nothing goes to a hub unless a person named a hub id; must come before transformers is imported."""
    bases = ([spec.base] if isinstance(spec, TrainSpec | PreviewSpec)
             else [candidate.base for candidate in spec.candidates if candidate.base] if isinstance(spec, EvaluateSpec)
             else [spec.judge.base] if isinstance(spec, JudgeSpec) and spec.judge.base
             else [one.base for one in (spec.model, spec.checks.judge) if one and one.base] if isinstance(spec, SynthesisSpec)
             else [spec.tuned.base] if isinstance(spec, ExportSpec | ParitySpec | ServeSpec) and spec.tuned.base
             else [])
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "1"
    os.environ["TQDM_DISABLE"] = "1"  # bars redrawn into a log file are noise
    goes_out = isinstance(spec, PushSpec) or (isinstance(spec, PlaySpec) and spec.hub)
    if all(base.kind != "hub" for base in bases) and not goes_out:
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"


if __name__ == "__main__":
    sys.exit(main())
