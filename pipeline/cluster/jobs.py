"""Jobs on a cluster, through Ray's job API: submit one, see how it is, stop it. Every wait ends, every fault has words."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipeline.errors import PipelineError
from pipeline.launch import ROOT
from pipeline.spec_place import Place

ANSWER_SECONDS = 15.0
CANNOT = "tunewright cannot: "
"""How a job says, in its log, that it could not even begin: a sentence, a tab, a hint."""
State = Literal["pending", "running", "over", "unknown"]
T = TypeVar("T")


class Unreachable(PipelineError):
    """The cluster does not answer now; it may later."""


@dataclass(frozen=True)
class Job:
    """`unknown`: the cluster has no such job (its head was begun anew). `timed_out`: it never got what it asked for."""

    state: State
    why: str = ""
    timed_out: bool = False


class Jobs:
    """The job API of one cluster. Raises Unreachable where it does not answer, PipelineError where it cannot be used."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._client: Any = None

    def check(self) -> None:
        """Raises PipelineError where the cluster's Ray is another one than ours."""
        import ray

        theirs = str(self._do(lambda client: client._do_request("GET", "/api/version").json().get("ray_version", "")))
        if _minor(theirs) != _minor(ray.__version__):
            raise PipelineError(f"{self.place.cluster} runs Ray {theirs or '(unknown)'}, this machine {ray.__version__}.",
                                f"Install ray=={theirs or '…'} here, or ray=={ray.__version__} on the cluster.")

    def submit(self, submission: str, entrypoint: str, environment: dict[str, str], spread: bool) -> None:
        """Begin a job under this id; nothing where one of this id is there already. `spread`: it takes nothing for itself."""
        place, alone = self.place, not spread
        memory = int(place.memory_gb * 1e9) if place.memory_gb and alone else None

        def send(client: Any) -> None:
            with tempfile.TemporaryDirectory() as folder:
                package = _sources(Path(folder) / "pipeline")
                client.submit_job(
                    entrypoint=entrypoint, submission_id=submission,
                    runtime_env={"py_modules": [str(package)], "env_vars": environment},
                    entrypoint_num_cpus=place.cpus if alone else None, entrypoint_memory=memory,
                    entrypoint_num_gpus=place.gpus or None if alone else None)

        if self.look(submission).state == "unknown":
            self._do(send, 4 * ANSWER_SECONDS)

    def look(self, submission: str) -> Job:
        try:
            info = self._do(lambda client: client.get_job_info(submission))
        except _Refused as refused:
            if refused.missing:
                return Job("unknown", "the cluster's head was begun anew and no longer knows it")
            raise
        if not info.status.is_terminal():
            return Job("pending" if str(info.status.value) == "PENDING" else "running")
        timed_out = "START_TIMEOUT" in str(info.error_type or "")
        return Job("over", _why(info), timed_out)

    def stop(self, submission: str) -> None:
        """SIGTERM now, SIGKILL three seconds later (RAY_JOB_STOP_WAIT_TIME_S of the cluster)."""
        self._do(lambda client: client.stop_job(submission))

    def log(self, submission: str) -> str:
        """The end of what Ray kept of its output; empty where that is gone with its node."""
        try:
            return str(self._do(lambda client: client.get_job_logs(submission)))[-20_000:]
        except PipelineError:
            return ""

    def nodes(self) -> list[dict[str, Any]]:
        """The living nodes: id, ip, head, and what each has in all (CPU, GPU, memory in bytes)."""
        def ask(client: Any) -> list[dict[str, Any]]:
            from ray.util.state import list_nodes

            return [{"id": one.node_id, "ip": one.node_ip, "head": one.is_head_node, "has": dict(one.resources_total or {})}
                    for one in list_nodes(address=self.place.address, detail=True, timeout=int(ANSWER_SECONDS))
                    if one.state == "ALIVE"]

        return self._do(ask)

    def ask(self, call: Callable[[Any], T], seconds: float = ANSWER_SECONDS) -> T:
        """Anything else that Ray's client can be asked."""
        return self._do(call, seconds)

    def _do(self, call: Callable[[Any], T], seconds: float = ANSWER_SECONDS) -> T:
        try:
            return within(seconds, lambda: call(self._connected()))
        except PipelineError:
            raise
        except RuntimeError as error:
            raise _Refused(self.place, str(error)) from None
        except Exception as error:
            raise _unreachable(self.place, type(error).__name__) from None

    def _connected(self) -> Any:
        if self._client is None:
            from ray.job_submission import JobSubmissionClient

            for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # these would win over the address that was chosen
                os.environ.pop(name, None)
            self._client = JobSubmissionClient(self.place.address)
        return self._client


class _Refused(PipelineError):
    def __init__(self, place: Place, said: str) -> None:
        code = next((word for word in ("404", "401", "403", "500", "503") if f"status code {word}" in said), "")
        self.missing = code == "404" or "does not exist" in said
        hint = ("Set RAY_AUTH_MODE and RAY_AUTH_TOKEN in the studio's environment." if code in ("401", "403")
                else "See that it is the address of the dashboard, which serves the job API (port 8265).")
        super().__init__(f"{place.cluster} ({place.address}) refused{f' with status {code}' if code else ''}.", hint)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What the call gives or raises; TimeoutError when it takes longer (Ray's client waits for ever)."""
    found: list[T] = []
    broken: list[BaseException] = []

    def work() -> None:
        try:
            found.append(call())
        except BaseException as error:
            broken.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if broken:
        raise broken[0]
    if not found:
        raise TimeoutError
    return found[0]


def _unreachable(place: Place, why: str) -> Unreachable:
    return Unreachable(f"The cluster {place.cluster} cannot be reached at {place.address} ({why}).",
                       "Start it, or correct its address on the Cluster page; the address is that of Ray's dashboard.")


def _sources(target: Path) -> Path:
    """The package `pipeline` without what Python leaves beside it, so that the same sources are uploaded once."""
    shutil.copytree(ROOT / "pipeline", target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return target


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _why(info: Any) -> str:
    """Why a job is over, in words of our own: Ray's message holds addresses and paths."""
    said = f"{info.error_type or ''} {info.message or ''}".lower()
    if "node has died" in said or "node was terminated" in said or "node is dead" in said:
        return "its node died"
    if "oom" in said or "out of memory" in said or "low memory" in said:
        return "it was killed for want of memory"
    if "runtime_env" in said:
        return "its environment could not be set up on the node"
    if "actor died" in said or "exit code" in said or info.driver_exit_code is not None:
        return "its process died"
    return "it ended without a result"
