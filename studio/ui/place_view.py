"""Where to run: one small control beside every start of what can run on a cluster too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from studio import clusters, runs
from studio.clusters import Cluster, Place
from studio.ui import layout
from studio.workspace import Workspace

HERE = "This machine"
NUMBER = 118


@contextmanager
def there(ws: Workspace, key: str) -> Iterator[None]:
    """Draw the control; what is begun within runs where it says."""
    with runs.at(choose(ws, key)):
        yield


def choose(ws: Workspace, key: str) -> Place | None:
    """The place that is chosen, None for this machine. Where no cluster is known, one line."""
    known = {one.name: one for one in clusters.every(ws)}
    if not known:
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.caption("Runs on this machine.", width="content")
            layout.link("Use a Ray cluster", "pages/cluster.py")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = str(st.selectbox("Where to run", [HERE, *known], key=f"place-{key}", width=190))
        if name == HERE:
            return None
        with layout.guarded():
            place = _wanted(known[name], key)
    with layout.guarded():
        for problem in clusters.warnings(ws, place):
            st.warning(layout.plain(problem), icon=":material/warning:")
        if clusters.latest(ws, name) is None:
            st.caption(f"{layout.plain(name)} was not tested yet; the Cluster page does that.")
    st.caption(f"The texts it reads are copied to {layout.plain(place.storage)}, and deleted there at its end.")
    return place


def _wanted(cluster: Cluster, key: str) -> Place:
    """What a run there gets, beginning with what the cluster's form says."""
    name = f"{key}-{cluster.name}"
    workers = int(st.number_input("Workers", 1, 1_024, cluster.workers, key=f"workers-{name}", width=NUMBER))
    cpus = st.number_input("CPUs each", 0.1, 1_024.0, float(cluster.cpus), 1.0, "%g", key=f"cpus-{name}", width=NUMBER)
    gpus = st.number_input("GPUs each", 0.0, 64.0, float(cluster.gpus), 1.0, "%g", key=f"gpus-{name}", width=NUMBER)
    memory = st.number_input("Memory each, GB", 0.5, 10_000.0, cluster.memory_gb, 1.0, "%g", key=f"memory-{name}", width=150,
                             placeholder="any")
    return clusters.place(cluster, workers, cpus, gpus, memory)
