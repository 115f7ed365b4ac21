"""Ray clusters under a name: where they are, the storage that both sides see, what a run gets there; and looks at them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import ValidationError

from pipeline.cluster.words import KEYS, PACKAGES
from pipeline.spec_look import LookSpec
from pipeline.specs import BaseSource
from studio import elsewhere, models, named, runs
from studio.elsewhere import Place
from studio.errors import StudioError
from studio.named import CLUSTERS
from studio.permissions import needs
from studio.runs import Run
from studio.workspace import Row, Workspace

__all__ = ["Place"]


@dataclass(frozen=True)
class Cluster:
    """`address` is that of Ray's job API, `storage` a folder or URL that both sides see. The rest is what a run gets there
    where nothing else is chosen: CPUs, GPUs and memory are those of one worker."""

    name: str
    address: str
    storage: str
    workers: int = 1
    cpus: float = 1
    gpus: float = 0
    memory_gb: float | None = None

    @property
    def place(self) -> Place:
        return place(self, self.workers, self.cpus, self.gpus, self.memory_gb)


@dataclass(frozen=True)
class Looked:
    """What the newest finished look found: `nodes` and `jobs` as the run wrote them, what is missing in sentences."""

    nodes: list[Row]
    jobs: list[Row]
    problems: list[str]
    tested: bool
    at: datetime


@needs("run", looks=True)
def every(ws: Workspace) -> list[Cluster]:
    """By name."""
    return [Cluster(row["name"], **json.loads(row["cluster"])) for row in named.every(ws, CLUSTERS)]


@needs("run", looks=True)
def get(ws: Workspace, name: str) -> Cluster:
    """Raises StudioError where there is none of that name."""
    found = next((one for one in every(ws) if one.name == name), None)
    if found is None:
        raise StudioError(f"There is no cluster called {name}.", "Choose one on the Cluster page, or add it there.")
    return found


@needs("own")
def add(ws: Workspace, name: str, address: str, storage: str, who: str, workers: int = 1, cpus: float = 1, gpus: float = 0,
        memory_gb: float | None = None) -> Cluster:
    """Keep a cluster under a name; what stood under it before is replaced. Raises StudioError in words."""
    name = named.name_of(CLUSTERS, name, ["this machine"])
    if not address.strip().startswith(("http://", "https://")):
        raise StudioError("A cluster needs the address of its job API.", "It looks like http://head:8265.")
    if "@" in storage or "?" in storage:
        raise StudioError("A storage is kept and shown, so it must hold no password and no key.",
                          "Give credentials in the environment, here and on the nodes.")
    reached = models.address(address, "http://head:8265")
    said = Cluster(name, reached, storage.strip().rstrip("/"), workers, cpus, gpus, memory_gb)
    _ = said.place  # which is refused in words
    named.say(ws, CLUSTERS, name, json.dumps({key: value for key, value in asdict(said).items() if key != "name"}), who)
    return said


@needs("own")
def remove(ws: Workspace, name: str, who: str) -> None:
    """Take a cluster off the list; runs that are there go on. Raises StudioError where there is none."""
    named.delete(ws, CLUSTERS, name, who)


def place(cluster: Cluster, workers: int, cpus: float, gpus: float, memory_gb: float | None = None) -> Place:
    """What a run there gets. Raises StudioError for what no cluster can give."""
    try:
        return Place(cluster=cluster.name, address=cluster.address, storage=cluster.storage, workers=workers, cpus=cpus,
                     gpus=gpus, memory_gb=memory_gb)
    except ValidationError as error:
        first = error.errors()[0]
        said = str(first["msg"]).removeprefix("Value error, ")
        if said == first["msg"]:  # pydantic's own words, which name no field
            said = f"{first['loc'][0]}: {said[:1].lower()}{said[1:]}"
        raise StudioError(f"This cluster cannot be used: {said}.", "Correct it on the Cluster page.") from None


@needs("run", looks=True)
def on(ws: Workspace, name: str, workers: int | None = None) -> Place:
    """The place on a cluster of this name, as its entry says, with so many workers. Raises StudioError in words."""
    found = get(ws, name)
    return place(found, workers or found.workers, found.cpus, found.gpus, found.memory_gb)


@needs("run")
def look(ws: Workspace, cluster: Cluster, test: bool = True) -> str:
    """See what is on the cluster; `test`: and what every node has and lacks. Returns the run's id. One that looks already is
    not begun again."""
    if (newest := latest(ws, cluster.name)) and newest.moving:
        return newest.run_id
    for earlier in runs.every(ws, "look"):
        runs.clear_copies(ws, earlier)
    wanted = [BaseSource(**base.base) for base in models.bases(ws)] if test else []  # type: ignore[arg-type]
    spec = LookSpec(run_id=ws.new_id(), place=cluster.place, test=test, packages=PACKAGES, keys=_keys(ws), bases=tuple(wanted))
    return runs.begin(ws, spec, f"{'Test of' if test else 'Look at'} {cluster.name}")


@needs("run", looks=True)
def latest(ws: Workspace, name: str) -> Run | None:
    """The newest look at this cluster, however it stands."""
    return next((run for run in runs.every(ws, "look") if run.spec["place"]["cluster"] == name), None)


@needs("run", looks=True)
def looked(ws: Workspace, name: str) -> Looked | None:
    """What the newest look at it that is done found."""
    for run in runs.every(ws, "look"):
        if run.spec["place"]["cluster"] == name and run.state == "done" and run.result:
            data = run.result.data
            return Looked(data["nodes"], data["jobs"], data["problems"], run.spec["test"], run.started_at)
    return None


@needs("run", looks=True)
def warnings(ws: Workspace, wanted: Place) -> list[str]:
    """What stands against starting there, as far as the newest look knows: said before anything is submitted."""
    newest = latest(ws, wanted.cluster)
    if newest and newest.state == "failed" and newest.result:
        return [newest.result.message]
    found = looked(ws, wanted.cluster)
    if found is None or not found.nodes:
        return []
    most = {key: max(node[key] for node in found.nodes) for key in ("cpus", "gpus")}
    total = {key: sum(node[key] for node in found.nodes) for key in ("cpus", "gpus")}
    said = [one for one in found.problems if not one.startswith("No node has")]
    for key, word in (("cpus", "CPUs"), ("gpus", "GPUs")):
        each = getattr(wanted, key)
        if each > most[key]:
            said.append(f"No node has {each:g} {word}; the largest has {most[key]:g}.")
        elif each * wanted.workers > total[key]:
            said.append(f"{wanted.workers} workers need {each * wanted.workers:g} {word}; the cluster has {total[key]:g}.")
    return said


@needs("own")
def storage_is_gone(ws: Workspace, storage: str) -> None:
    """Somebody's word that a storage is no more: no copy has to be deleted there before anybody is forgotten."""
    elsewhere.drop_storage(ws, storage)


def _keys(ws: Workspace) -> tuple[str, ...]:
    """The variables that this studio's endpoints and services read their keys from, as far as they are set here."""
    said = {str(one.base.get("key_env") or "") for one in models.endpoints(ws)} | set(KEYS)
    return tuple(sorted(name for name in said if name and os.environ.get(name)))
