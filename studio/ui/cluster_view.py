"""Clusters on the screen: the form, what is there, what runs where, and what is missing."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from studio import clusters, elsewhere, runs
from studio.clusters import Cluster, Looked
from studio.errors import StudioError
from studio.runs import Run
from studio.ui import layout, session
from studio.ui.formats import ago, count
from studio.workspace import Row, Workspace

VERSIONS = ("ray", "torch", "transformers")


def form(ws: Workspace, known: Cluster | None = None) -> None:
    """Add a cluster, or say anew where one is and what a run there gets."""
    key = known.name if known else "new"
    with st.form(f"cluster-{key}", border=False, enter_to_submit=False):
        name = known.name if known else st.text_input("Name", placeholder="Our cluster", max_chars=60)
        address = st.text_input("Address of the job API", known.address if known else "", placeholder="http://head:8265",
                                help="That of Ray's dashboard on the head node.")
        storage = st.text_input("Storage that both sides see", known.storage if known else "",
                                placeholder="/mnt/shared/tunewright or s3://bucket/tunewright",
                                help="A folder at the same path here and on every node, or a URL that fsspec knows. Texts of "
                                     "a run lie there while it runs. Credentials come from the environment.")
        st.caption("What a run there gets, where nothing else is chosen:")
        with st.container(horizontal=True):
            workers = int(st.number_input("Workers", 1, 1_024, known.workers if known else 1, width=118))
            cpus = st.number_input("CPUs each", 0.1, 1_024.0, float(known.cpus if known else 1), 1.0, "%g", width=118)
            gpus = st.number_input("GPUs each", 0.0, 64.0, float(known.gpus if known else 0), 1.0, "%g", width=118)
            memory = st.number_input("Memory each, GB", 0.5, 10_000.0, known.memory_gb if known else None, 1.0, "%g", width=150,
                                     placeholder="any")
        if st.form_submit_button("Save" if known else "Add this cluster", type="primary"):
            clusters.add(ws, name, address, storage, session.person(), workers, cpus, gpus, memory)
            st.rerun()


def one(ws: Workspace, cluster: Cluster) -> None:
    """A cluster: where it is, buttons that look at it and test it, what the newest look found."""
    with st.container(border=True):
        st.markdown(f"**{layout.plain(cluster.name)}**")
        st.caption(layout.plain(f"{cluster.address}, storage {cluster.storage}"))
        run = clusters.latest(ws, cluster.name)
        with st.container(horizontal=True):
            busy = run is not None and run.moving
            if st.button("Test the connection", icon=":material/cable:", type="primary" if run is None else "secondary",
                         key=f"test-{cluster.name}", disabled=busy,
                         help="Asks every node for its Python, packages, keys and the storage, before anything is submitted."):
                clusters.look(ws, cluster)
                st.rerun()
            if st.button("Look again", icon=":material/refresh:", key=f"look-{cluster.name}", disabled=busy,
                         help="Nodes, what runs and what waits, in a few seconds."):
                clusters.look(ws, cluster, test=False)
                st.rerun()
        if run is not None:
            layout.live_run(ws, run.run_id, lambda now: _look(ws, now))
        if found := clusters.looked(ws, cluster.name):
            _found(ws, found)
        with st.expander("Change or take off", icon=":material/tune:"), layout.guarded():
            form(ws, cluster)
            if st.button("Take it off the list", key=f"off-{cluster.name}", help="Runs that are there go on."):
                clusters.remove(ws, cluster.name, session.person())
                st.rerun()


def copies(ws: Workspace) -> None:
    """Storages where texts of this workspace may lie now, and a way to say that one is gone."""
    for storage in elsewhere.storages(ws):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Copies of texts may lie on {layout.plain(storage)} while runs are there; forgetting a customer "
                       "deletes them.", width="content")
            if st.button("It is gone for good", key=f"gone-{storage}",
                         help="Then nothing has to be deleted there before somebody is forgotten."):
                clusters.storage_is_gone(ws, storage)
                st.rerun()


def _look(ws: Workspace, run: Run) -> None:
    if run.moving:
        layout.progress(run)
    elif run.state == "failed" and run.result:
        layout.error(StudioError(run.result.message, run.result.hint))
    elif run.state != "done":
        st.caption("The newest look did not come to its end.")


def _found(ws: Workspace, found: Looked) -> None:
    """Problems first, then nodes and jobs."""
    for problem in found.problems:
        st.warning(layout.plain(problem), icon=":material/warning:")
    if found.tested and not found.problems:
        st.success("Every node has what a run needs.", icon=":material/check_circle:")
    working = Counter(job["node"] for job in found.jobs if not job["waits"])
    st.dataframe([_node(node, working[node["id"]], found.tested) for node in found.nodes], hide_index=True,
                 column_config=layout.numbers(["CPUs", "GPUs", "memory", "busy", "jobs"]), alt="The nodes of the cluster")
    st.caption(f"{'Tested' if found.tested else 'Looked at'} {ago(found.at, ws.now())}.")
    _jobs(ws, found)


def _node(node: Row, jobs: int, tested: bool) -> Row:
    memory = f"{node['memory_used_gb']:g} of {node['machine_gb']:g} GB" if "machine_gb" in node else f"{node['memory_gb']:g} GB"
    said = {"node": f"{node.get('host') or node['ip']}{' (head)' if node['head'] else ''}", "CPUs": _free(node, "CPU", "cpus"),
            "GPUs": _free(node, "GPU", "gpus"), "memory": memory,
            "busy": f"{node['busy']:.0%}" if "busy" in node else "–", "jobs": f"{jobs}"}
    if tested:
        packages = node.get("packages") or {}
        said |= {"Python": node.get("python") or "–"} | {name: packages.get(name) or "–" for name in VERSIONS}
        said |= {"storage": "–" if "reads" not in node else "no" if node["reads"] or node["writes"] else "reads and writes"}
    return said


def _free(node: Row, resource: str, key: str) -> str:
    free = (node.get("free") or {}).get(resource)
    return f"{node[key]:g}" if free is None or not node[key] else f"{free:g} free of {node[key]:g}"


def _jobs(ws: Workspace, found: Looked) -> None:
    """What runs and what waits; ours as links to their runs."""
    names = {node["id"]: node.get("host") or node["ip"] for node in found.nodes}
    known = {run.run_id: run for run in runs.every(ws)}
    waiting = sum(job["waits"] for job in found.jobs)
    st.markdown(f"{count(len(found.jobs) - waiting, 'job runs', 'jobs run')}, {waiting} wait" if found.jobs
                else "Nothing runs there, and nothing waits.")
    for job in found.jobs:
        run, where = known.get(job["run_id"]), names.get(job["node"], "")
        words = "waits for its resources" if job["waits"] else f"runs on {layout.plain(where)}" if where else "runs"
        if run is not None:
            layout.link(f"{layout.plain(run.title)} {words}", "pages/runs.py", {"run": run.run_id})
        else:
            st.caption(f"A job of somebody else {words}.")
