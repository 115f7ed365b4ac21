"""The pages in the order of the work: the one place that knows where they are and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from studio.people import Right
from studio.ui import session

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """One page: its file, what it is called, its address, the heading it stands under, and the right that it needs."""

    path: str
    title: str
    icon: str
    url: str
    section: str
    right: Right


PLACES = (
    Place("pages/overview.py", "Overview", ":material/explore:", "", "", "open"),
    Place("pages/import_tickets.py", "Import", ":material/upload_file:", "import", "Data", "curate"),
    Place("pages/clean.py", "Clean", ":material/cleaning_services:", "clean", "Data", "curate"),
    Place("pages/twins.py", "Twins", ":material/content_copy:", "twins", "Data", "curate"),
    Place("pages/curate.py", "Curate", ":material/rule:", "curate", "Data", "curate"),
    Place("pages/label.py", "Label", ":material/label:", "label", "Data", "label"),
    Place("pages/synthesise.py", "Synthesise", ":material/auto_awesome:", "synthesise", "Data", "run"),
    Place("pages/forget.py", "Forget", ":material/person_remove:", "forget", "Data", "own"),
    Place("pages/freeze.py", "Freeze", ":material/ac_unit:", "freeze", "Snapshots", "curate"),
    Place("pages/snapshots.py", "Snapshots", ":material/inventory_2:", "snapshots", "Snapshots", "read"),
    Place("pages/validate.py", "Validate", ":material/fact_check:", "validate", "Snapshots", "run"),
    Place("pages/launch.py", "Launch", ":material/play_arrow:", "launch", "Train", "run"),
    Place("pages/runs.py", "Runs", ":material/show_chart:", "runs", "Train", "read"),
    Place("pages/models.py", "Models", ":material/deployed_code:", "models", "Train", "read"),
    Place("pages/cluster.py", "Cluster", ":material/lan:", "cluster", "Train", "run"),
    Place("pages/evaluate.py", "Evaluate", ":material/balance:", "evaluate", "Prove", "read"),
    Place("pages/review.py", "Review", ":material/compare_arrows:", "review", "Prove", "review"),
    Place("pages/playground.py", "Playground", ":material/forum:", "playground", "Prove", "run"),
    Place("pages/deploy.py", "Deploy", ":material/rocket_launch:", "deploy", "Live", "run"),
    Place("pages/monitor.py", "Monitor", ":material/monitoring:", "monitor", "Live", "read"),
    Place("pages/people.py", "People", ":material/group:", "people", "Team", "own"),
    Place("pages/server.py", "Server", ":material/dns:", "server", "Team", "own"),
)

_BY_PATH = {place.path: place for place in PLACES}


def page(path: str) -> Page:
    """The page of a file; the navigation leaves out one that is not for who is here. Raises KeyError for what is no page."""
    place = _BY_PATH[path]
    return st.Page(ROOT / place.path, title=place.title, icon=place.icon, url_path=place.url or None, default=not place.url,
                   visibility="visible" if reaches(path) else "hidden")


def unseen() -> list[Page]:
    """Every page for one who may see none of them: their addresses are there, so that the door stands at each."""
    return [st.Page(lambda: None, title=place.title, url_path=place.url or None, default=not place.url) for place in PLACES]


def reaches(path: str) -> bool:
    """Whether who is here may open the page of a file. People are for workspaces in which one signs in."""
    place = _BY_PATH[path]
    return session.may(place.right) and (place.url != "people" or session.workspace().person is not None)


def of(chosen: Page) -> Place:
    """What is known of a page."""
    return next(place for place in PLACES if place.url == chosen.url_path)


def forward(chosen: Page) -> None:
    """Lead an older address on: snapshots were read on Freeze before they had a page of their own."""
    if chosen.url_path == "freeze" and "snapshot" in st.query_params:
        st.switch_page(page("pages/snapshots.py"), query_params={"snapshot": st.query_params["snapshot"]})


def sections() -> Mapping[str, list[Page]]:
    """What the navigation shows, by heading."""
    found: dict[str, list[Page]] = {}
    for place in PLACES:
        found.setdefault(place.section, []).append(page(place.path))
    return found
