"""`tunewright clusters`: the Cluster page. Where a run runs is `--on NAME` of the command that starts it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from studio import clusters as nouns
from studio import elsewhere
from studio.commands import follow
from studio.commands.frame import As, Table, Told, Wait, command, group, listed, who
from studio.workspace import Workspace

clusters = group()
APPS = {"clusters": clusters}
Name = Annotated[str, typer.Argument(help="The cluster's name.")]
NODE = "ip head cpus gpus"


@command(clusters, "list")
def known(ws: Workspace) -> Told:
    """Ray clusters that runs can run on, and the storages that copies of texts may lie on."""
    told = listed("clusters", [asdict(one) for one in nouns.every(ws)], "name address storage workers cpus gpus",
                  "No cluster is known: runs run on this machine.")  # fmt: skip
    return Told(told.document | {"storages": elsewhere.storages(ws)}, told.words)


@command(clusters, "add")
def add(
    ws: Workspace,
    name: Name,
    address: Annotated[str, typer.Option(help="Ray's job API: http://head:8265")],
    storage: Annotated[str, typer.Option(help="A folder that both sides see, or a URL: s3://bucket/folder")],
    workers: Annotated[int, typer.Option(min=1, help="Workers of a run.")] = 1,
    cpus: Annotated[float, typer.Option(help="CPUs of each.")] = 1,
    gpus: Annotated[float, typer.Option(help="GPUs of each.")] = 0,
    memory_gb: Annotated[float | None, typer.Option(help="Memory of each, in GB.")] = None,
    as_: As = "",
) -> Told:
    """Keep a cluster under a name; what stood under it before is replaced."""
    made = nouns.add(ws, name, address, storage, who(as_), workers, cpus, gpus, memory_gb)
    return Told({"cluster": asdict(made)}, [f"{made.name} is at {made.address}; `tunewright clusters look` tests it."])


@command(clusters, "remove")
def remove(ws: Workspace, name: Name, as_: As = "") -> Told:
    """Take a cluster off the list; runs that are there go on."""
    nouns.remove(ws, name, who(as_))
    return Told({"name": name}, [f"{name} is off the list."])


@command(clusters, "look")
def look(
    ws: Workspace,
    name: Name,
    test: Annotated[bool, typer.Option(help="Also ask every node what it has and lacks.")] = True,
    wait: Wait = True,
) -> Told:
    """What is on a cluster, and what its nodes lack. Exit status 1 where something is missing."""
    told = follow.started(ws, nouns.look(ws, nouns.get(ws, name), test), wait)
    found = nouns.looked(ws, name) if wait else None
    if found is None:
        return told
    document = told.document | {"nodes": found.nodes, "jobs": found.jobs, "problems": found.problems}
    rows = Table(found.nodes, NODE, "No node is there.").lines()
    return Told(document, [*told.words, *rows, *found.problems], status=int(bool(found.problems)))


@command(clusters, "storage-is-gone")
def gone(ws: Workspace, storage: Annotated[str, typer.Argument(help="As `clusters list` has it.")]) -> Told:
    """Say that a storage is no more: no copy has to be deleted there before anybody is forgotten."""
    nouns.storage_is_gone(ws, storage)
    return Told({"storage": storage}, [f"{storage} counts no more."])
