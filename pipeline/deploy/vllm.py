"""vLLM, where it is installed, started and ended as a run. It gets the folder that was exported, and nothing else.

It holds the device while it loads; then it keeps its share of the graphics card's memory, and other runs plan with the rest.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from pipeline import device
from pipeline.deploy import serve, tools
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.spec_deploy import ServeSpec

LOOK_SECONDS, UP_SECONDS, PATIENCE_SECONDS = 0.5, 900.0, 30.0
"""Between looks; what loading a large model may take; how long it may take to end."""

DIES_WITH_ITS_PARENT = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""


def run(child: Child, spec: ServeSpec, workspace: Path, key: str) -> dict[str, Any]:
    """Serve until asked to stop. Raises PipelineError where it does not come up or ends by itself."""
    program, folder = tools.vllm(), workspace / spec.merged
    if program is None:
        raise PipelineError("vLLM is not installed.", "Install it (pip install vllm), or serve with Tunewright's own server.")
    if not spec.merged or not (folder / "config.json").is_file():
        raise PipelineError("vLLM serves a merged folder, and there is none.", "Export the merged model first.")
    hold = device.Hold(child.folder, workspace)
    _wait_for(child, hold)
    serving = subprocess.Popen(
        [program, *tools.vllm_arguments(str(folder.resolve()), spec.name, spec.host, spec.port, _precision(folder),
                                        spec.memory_share)],
        stdin=subprocess.DEVNULL, env=tools.vllm_environment(os.environ, key), start_new_session=True, preexec_fn=_die_together)
    try:
        _come_up(child, spec, serving)
        hold.give_back()
        _watch(child, spec, serving)
    finally:
        hold.give_back()
        _end(serving)
    raise Stopped("vLLM was stopped; nothing answers at its address now.")


def _wait_for(child: Child, hold: device.Hold) -> None:
    """The device, for the time of loading: what is measured then should be the truth."""
    while not hold.take():
        child.say(device.QUEUED, sentence="Waiting for another run to finish")
        _look(child)


def _come_up(child: Child, spec: ServeSpec, serving: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while not _is_up(spec):
        child.say("loading", sentence="vLLM loads the model")
        if serving.poll() is not None or time.monotonic() > deadline:
            said = f"ended with status {serving.returncode}" if serving.poll() is not None else "did not come up"
            raise PipelineError(f"vLLM {said}.", "The end of the log says why; a smaller share of the memory may help.")
        _look(child)


def _watch(child: Child, spec: ServeSpec, serving: subprocess.Popen[bytes]) -> None:
    while serving.poll() is None:
        child.say(serve.SERVING, sentence=f"vLLM serves at {serve.address(spec)}")
        _look(child)
    raise PipelineError(f"vLLM ended by itself (status {serving.returncode}).", "The end of the log says why.")


def _look(child: Child) -> None:
    if child.stop_requested():
        raise Stopped("vLLM was stopped; nothing answers at its address now.")
    time.sleep(LOOK_SECONDS)


def _is_up(spec: ServeSpec) -> bool:
    try:
        with urllib.request.urlopen(serve.address(spec).removesuffix("/v1") + "/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _end(serving: subprocess.Popen[bytes]) -> None:
    """It and what it started, with time to end well."""
    if serving.poll() is None:
        os.killpg(serving.pid, signal.SIGTERM)
        try:
            serving.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(serving.pid, signal.SIGKILL)
            serving.wait()


def _die_together() -> None:
    """A run that is killed takes vLLM with it: else it would keep the port and the graphics card."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIES_WITH_ITS_PARENT, signal.SIGTERM)


def _precision(folder: Path) -> str:
    import json

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = str(config.get("dtype") or config.get("torch_dtype") or "auto")
    return found if found in ("bfloat16", "float16", "float32") else "auto"
