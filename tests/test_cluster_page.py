"""The Cluster page, and the control that says where a run runs, as a person meets them."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from studio import clusters, runs
from studio import workspace as folders
from studio.workspace import Workspace
from tests.test_clusters import looked_at
from tests.test_models_page import press
from tests.test_pages import draw, home, words
from tests.tickets import filled

__all__ = ["home"]
ADDRESS = "http://head.example:8265"


def plain(page: AppTest) -> str:
    return words(page).replace("\\", "")


def farm(ws: Workspace) -> clusters.Cluster:
    return clusters.add(ws, "The farm", ADDRESS, "s3://bucket/tw", "anna")


def test_a_cluster_is_added_by_its_address_and_storage(home: Path) -> None:
    page = draw("cluster")
    assert "Everything runs on this machine so far." in plain(page)
    for label, value in (("Name", "The farm"), ("Address of the job API", ADDRESS), ("Storage that both sides see", "s3://b/tw")):
        next(field for field in page.text_input if field.label == label).set_value(value)
    press(page, "Add this cluster")
    assert [one.storage for one in clusters.every(folders.open_workspace(home))] == ["s3://b/tw"] and not page.exception
    assert {"Test the connection", "Look again"} <= {button.label for button in page.button}


def test_a_look_shows_nodes_and_says_what_is_missing(home: Path) -> None:
    ws = folders.open_workspace(home)
    node = {"id": "n1", "ip": "10.0.0.1", "head": True, "cpus": 8.0, "gpus": 0, "memory_gb": 32.0, "host": "alpha",
            "free": {"CPU": 6.0}, "python": "3.11.7", "packages": {"ray": "2.60.0"}, "keys": {}, "reads": "", "writes": ""}
    job = {"run_id": "", "waits": True, "node": "", "at": 0.0}
    looked_at(ws, farm(ws), nodes=[node], jobs=[job], problems=["Every node: the package torch is missing (here 2.9.0)."])
    page = draw("cluster")
    assert page.dataframe[0].value.iloc[0][["node", "CPUs", "storage"]].tolist() == ["alpha (head)", "6 free of 8",
                                                                                    "reads and writes"]
    assert "Every node: the package torch is missing (here 2.9.0)." in plain(page) and "0 jobs run, 1 wait" in plain(page)


def test_without_a_cluster_where_to_run_is_one_line(home: Path) -> None:
    filled(folders.open_workspace(home))
    page = draw("clean")
    assert "Runs on this machine." in plain(page) and "Where to run" not in {one.label for one in page.selectbox}


def test_a_check_that_is_sent_to_a_cluster_begins_there(home: Path) -> None:
    ws = folders.open_workspace(home)
    filled(ws)
    farm(ws)
    page = draw("clean")
    next(one for one in page.selectbox if one.label == "Where to run").set_value("The farm").run()
    assert "The texts it reads are copied to s3://bucket/tw" in plain(page)
    next(one for one in page.number_input if one.label == "CPUs each").set_value(2.0).run()
    press(page, next(one.label for one in page.button if one.label.startswith("Check")))
    run = runs.every(ws, "check")[0]
    runs.stop(ws, run.run_id)
    assert (run.where, page.exception) == ("The farm (2 CPUs)", [])
    runs.wait(ws, run.run_id, 60)
