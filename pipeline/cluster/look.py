"""A look at a cluster: its nodes and what runs on them, and what a run would lack there, before one is submitted."""

from __future__ import annotations

import json
import platform
import shlex
import time
import uuid
from pathlib import Path
from typing import Any

from pipeline.base_models import slug
from pipeline.cluster import probe
from pipeline.cluster.jobs import Jobs
from pipeline.cluster.storage import Storage
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.spec_look import LookSpec
from pipeline.spec_place import Place, workspace_id

LOOK_SECONDS = 0.5
PROBE_SECONDS = 180.0
JOBS_SHOWN = 100


def run(child: Child, spec: LookSpec, workspace: Path) -> dict[str, Any]:
    """Look, and return what is there. Raises PipelineError where the cluster cannot be reached or used at all."""
    jobs, place = Jobs(spec.place), spec.place
    child.say("looking", sentence=f"Asking {place.cluster}")
    jobs.check()
    nodes, measured = jobs.nodes(), _measured(jobs)
    found: dict[str, Any] = {
        "nodes": [{"id": one["id"], "ip": one["ip"], "head": one["head"], "cpus": one["has"].get("CPU", 0),
                   "gpus": one["has"].get("GPU", 0), "memory_gb": round(one["has"].get("memory", 0) / 1e9, 1),
                   **measured.get(one["id"], {})} for one in nodes],
        "jobs": _jobs(jobs, workspace_id(workspace)), "problems": []}
    if spec.test:
        asked = _asked(child, jobs, spec)
        found["nodes"] = [node | asked.get(node["id"], {"fault": "It did not answer."}) for node in found["nodes"]]
        found["problems"] = _problems(spec, found["nodes"]) + _bases(spec, workspace)
    return found


def done_words(data: dict[str, Any]) -> str:
    nodes, gpus = data["nodes"], sum(node["gpus"] for node in data["nodes"])
    said = f"{len(nodes)} node{'s' if len(nodes) != 1 else ''}, {sum(node['cpus'] for node in nodes):g} CPUs"
    lacking = len(data["problems"])
    words = "Nothing is missing" if not lacking else "One thing is missing" if lacking == 1 else f"{lacking} things are missing"
    return f"{said}{f', {gpus:g} GPUs' if gpus else ''}. {words}."


def _measured(jobs: Jobs) -> dict[str, dict[str, float]]:
    """How busy each node's machine is, where the dashboard measures it."""
    try:
        said = jobs.ask(lambda client: client._do_request("GET", "/nodes?view=summary").json())
    except PipelineError:
        return {}
    found = {}
    for one in (said.get("data") or {}).get("summary") or []:
        memory = one.get("mem") or [0, 0, 0, 0]
        found[str((one.get("raylet") or {}).get("nodeId", ""))] = {
            "busy": float(one.get("cpu") or 0) / 100, "memory_used_gb": round(memory[3] / 1e9, 1),
            "machine_gb": round(memory[0] / 1e9, 1)}
    return found


def _jobs(jobs: Jobs, home: str) -> list[dict[str, Any]]:
    """Jobs that run or wait, the oldest first; ours with the id of their run."""
    ours = f"tunewright-{home}-"
    found = []
    for one in jobs.ask(lambda client: client.list_jobs()):
        if not one.status.is_terminal():
            name = str(one.submission_id or one.job_id or "")
            found.append({"run_id": name.removeprefix(ours).rpartition("-")[0] if name.startswith(ours) else "",
                          "waits": str(one.status.value) == "PENDING", "node": one.driver_node_id or "",
                          "at": (one.start_time or 0) / 1000})
    return sorted(found, key=lambda one: one["at"])[:JOBS_SHOWN]


def _asked(child: Child, jobs: Jobs, spec: LookSpec) -> dict[str, dict[str, Any]]:
    """What every node says of itself, by its id, from a job that asks them all."""
    child.say("testing", sentence="Asking every node what it has")
    token, storage = f"test-{uuid.uuid4().hex[:12]}", Storage(spec.place.storage)
    storage.write(f"{token}/studio", token.encode())
    submission = f"tunewright-{token}"
    asked = json.dumps({"packages": spec.packages, "keys": spec.keys})
    try:
        command = ["python", "-m", "pipeline.cluster.probe", spec.place.storage, token, asked]
        jobs.submit(submission, shlex.join(command), {}, spread=True)
        _wait(child, jobs, submission)
        lines = [line.removeprefix(probe.FOUND) for line in jobs.log(submission).splitlines() if line.startswith(probe.FOUND)]
    finally:
        storage.remove(token)
    if not lines:
        raise PipelineError(f"The test job on {spec.place.cluster} broke before any node had answered.",
                            "`python` on the head's path must be the one that Ray was started with.")
    return {one.pop("id"): one for one in map(json.loads, lines)}


def _wait(child: Child, jobs: Jobs, submission: str) -> None:
    until = time.monotonic() + PROBE_SECONDS
    while jobs.look(submission).state in ("pending", "running") and time.monotonic() < until:
        if child.stop_requested():
            jobs.stop(submission)
            raise Stopped("The look was stopped.")
        time.sleep(LOOK_SECONDS)


def _problems(spec: LookSpec, nodes: list[dict[str, Any]]) -> list[str]:
    """What a run would stumble over, one sentence each; the same on several nodes once."""
    here, said = probe.versions(list(spec.packages)), dict[str, list[str]]()
    for node in nodes:
        name = node.get("host") or node["ip"]
        for fault in [node["fault"]] if node.get("fault") else _of_node(spec.place, node, here, platform.python_version()):
            said.setdefault(fault, []).append(name)
    return [f"{', '.join(sorted(set(names)))}: {fault}" if len(names) < len(nodes) else f"Every node: {fault}"
            for fault, names in said.items()] + _too_small(spec.place, nodes)


def _of_node(place: Place, node: dict[str, Any], here: dict[str, str], python: str) -> list[str]:
    found = []
    if node["python"].split(".")[:2] != python.split(".")[:2]:
        found.append(f"Python {node['python']} runs there, {python} here.")
    for name, ours in here.items():
        theirs = node["packages"].get(name, "")
        if ours and not theirs:
            found.append(f"the package {name} is missing (here {ours}).")
        elif ours and theirs.split(".")[:2] != ours.split(".")[:2]:
            found.append(f"{name} is {theirs} there, {ours} here.")
    if node["reads"]:
        found.append(f"the storage {place.storage} is another one there, or cannot be read.")
    if node["writes"]:
        found.append(f"the storage {place.storage} cannot be written to.")
    return found + [f"the variable {name} is not set." for name, there in node["keys"].items() if not there]


def _too_small(place: Place, nodes: list[dict[str, Any]]) -> list[str]:
    """Where no node has what one worker is to get."""
    most = {key: max((node[key] for node in nodes), default=0) for key in ("cpus", "gpus")}
    found = [f"No node has {wanted:g} {name}; the largest has {most[key]:g}."
             for key, name, wanted in (("cpus", "CPUs", place.cpus), ("gpus", "GPUs", place.gpus)) if wanted > most[key]]
    return found


def _bases(spec: LookSpec, workspace: Path) -> list[str]:
    """Base models that a run there could not have: neither here nor on the storage."""
    storage = Storage(f"{spec.place.storage}/{workspace_id(workspace)}")
    found = []
    for base in spec.bases:
        here = Path(base.ref).is_dir() if base.kind == "folder" else base.kind in ("starter", "gguf") or (
            workspace / "models" / slug(base)).is_dir()
        if not here and not storage.names(f"models/{slug(base)}"):
            found.append(f"{base.name} is neither here nor on the storage: the cluster would fetch it from the hub."
                         if base.kind == "hub" else f"{base.name} is neither here nor on the storage.")
    return found
