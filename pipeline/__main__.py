"""`python -m pipeline RUN_DIR --workspace WS`: one run, in its own process, from its spec to its result."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pipeline import device, rundir, specs
from pipeline.errors import PipelineError, Stopped, is_out_of_memory
from pipeline.launch import RANK
from pipeline.rundir import Child
from pipeline.specs import (
    AnySpec,
    CheckSpec,
    ConnectSpec,
    DedupeSpec,
    EvaluateSpec,
    InspectSpec,
    JudgeSpec,
    PlaySpec,
    PreviewSpec,
    ScoreSpec,
    SuggestSpec,
    SynthesisSpec,
    TrainSpec,
    ValidateSpec,
)

NICE = 10
NEEDS_NO_DEVICE = (CheckSpec, ConnectSpec, DedupeSpec, InspectSpec, PlaySpec, PreviewSpec, SuggestSpec, ValidateSpec)
"""The playground takes it now and then, by itself."""


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
        return _work(child, given.workspace)


def _child(folder: Path) -> Child:
    """This process's hand on the run folder; further processes of a run only read."""
    if RANK not in os.environ:
        return Child(folder)
    from pipeline.training.together import Silent

    return Silent(folder)


def _work(child: Child, workspace: Path) -> int:
    """Run the spec; every way it can end becomes a result in words, written last."""
    try:
        spec = specs.read(child.folder)
        _stay_offline(spec)
        with device.held(child, workspace, _needs_device) if _needs_device(spec) and RANK not in os.environ else nullcontext():
            data = _engine(child, spec, workspace)
        child.finish("done", _done_words(spec, data), data=data)
        return 0
    except Stopped as stopped:
        child.finish("stopped", str(stopped), "Resume goes on from there.")
        return 0
    except PipelineError as error:
        print(f"failed: {error.message}", file=sys.stderr)
        child.finish("failed", error.message, error.hint)
    except specs.SpecError as error:
        child.finish("failed", str(error), "Start a new run; specs are not meant to be edited.")
    except Exception as error:
        # The trace goes to the log; the result keeps only the kind of error, because its text may hold data.
        traceback.print_exc()
        out = is_out_of_memory(error)
        child.finish("failed", "It ran out of memory." if out else f"It broke unexpectedly ({type(error).__name__}).",
                     "Use fewer examples a step, or a smaller base model." if out else "The end of the log says where.")
    return 1


def _needs_device(spec: AnySpec) -> bool:
    """A search for duplicates, and scoring, only need it where a transformer makes the vectors, an evaluation and a judge
    where a local model answers."""
    if isinstance(spec, EvaluateSpec):
        return any(candidate.base for candidate in spec.candidates)
    if isinstance(spec, JudgeSpec):
        return spec.judge.base is not None
    if isinstance(spec, SynthesisSpec):
        return any(one.base for one in (spec.model, spec.checks.judge) if one)
    if isinstance(spec, DedupeSpec | ScoreSpec):
        return spec.meaning is not None and spec.meaning.kind == "transformer"
    return not isinstance(spec, NEEDS_NO_DEVICE)


def _engine(child: Child, spec: AnySpec, workspace: Path) -> dict[str, Any]:
    if isinstance(spec, CheckSpec):
        from pipeline.checking import engine

        return engine.run(child, spec, workspace)
    if isinstance(spec, DedupeSpec):
        from pipeline.dedupe import engine as search

        return search.run(child, spec, workspace)
    if isinstance(spec, ValidateSpec):
        from pipeline import validation

        return validation.run(child, spec, workspace)
    if isinstance(spec, InspectSpec):
        from pipeline import inspection

        return inspection.run(child, spec, workspace)
    if isinstance(spec, SuggestSpec):
        from pipeline import suggestions

        return suggestions.run(child, spec, workspace)
    if isinstance(spec, PreviewSpec):
        from pipeline import preview

        return preview.run(child, spec, workspace)
    if isinstance(spec, TrainSpec):
        from pipeline.training import trainer

        return trainer.run(child, spec, workspace)
    if isinstance(spec, ScoreSpec):
        from pipeline.scoring import again

        return again.run(child, spec, workspace)
    if isinstance(spec, JudgeSpec):
        from pipeline import judging

        return judging.run(child, spec, workspace)
    if isinstance(spec, SynthesisSpec):
        from pipeline.synthesis import engine as synthesis

        return synthesis.run(child, spec, workspace)
    if isinstance(spec, ConnectSpec):
        from pipeline.generation import endpoint

        return endpoint.connect(child, spec)
    if isinstance(spec, PlaySpec):
        from pipeline import playing

        return playing.run(child, spec, workspace)
    from pipeline import evaluation

    return evaluation.run(child, spec, workspace)


def _stay_offline(spec: AnySpec) -> None:
    """Nothing goes to a hub unless a person named a hub id; must come before transformers is imported."""
    bases = ([spec.base] if isinstance(spec, TrainSpec | PreviewSpec)
             else [candidate.base for candidate in spec.candidates if candidate.base] if isinstance(spec, EvaluateSpec)
             else [spec.judge.base] if isinstance(spec, JudgeSpec) and spec.judge.base
             else [one.base for one in (spec.model, spec.checks.judge) if one and one.base] if isinstance(spec, SynthesisSpec)
             else [])
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "1"
    os.environ["TQDM_DISABLE"] = "1"  # bars redrawn into a log file are noise
    if all(base.kind != "hub" for base in bases) and not (isinstance(spec, PlaySpec) and spec.hub):
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"


def _done_words(spec: AnySpec, data: dict[str, Any]) -> str:
    if isinstance(spec, CheckSpec):
        from pipeline.checking import engine

        return engine.done_words(data)
    if isinstance(spec, DedupeSpec):
        from pipeline.dedupe import engine as search

        return search.done_words(data)
    if isinstance(spec, ValidateSpec):
        from pipeline import validation

        return validation.done_words(data)
    if isinstance(spec, InspectSpec):
        from pipeline import inspection

        return inspection.done_words(data)
    if isinstance(spec, SuggestSpec):
        from pipeline import suggestions

        return suggestions.done_words(data)
    if isinstance(spec, PreviewSpec):
        from pipeline import preview

        return preview.done_words(data)
    if isinstance(spec, TrainSpec):
        return (f"Trained: validation loss {data['first_validation_loss']:.3f} → {data['best_validation_loss']:.3f} "
                f"in {data['steps']} steps, {data['tokens_s']:.0f} tokens/s.")
    if isinstance(spec, ScoreSpec):
        from pipeline.scoring import again

        return again.done_words(data)
    if isinstance(spec, JudgeSpec):
        from pipeline import judging

        return judging.done_words(data)
    if isinstance(spec, SynthesisSpec):
        from pipeline.synthesis import engine as synthesis

        return synthesis.done_words(data)
    if isinstance(spec, ConnectSpec):
        return f"{data['model']} answers, after {data['seconds']:.1f} s."
    if isinstance(spec, PlaySpec):
        from pipeline import playing

        return playing.done_words(data)
    from pipeline import evaluation

    return evaluation.done_words(spec, data)


if __name__ == "__main__":
    sys.exit(main())
