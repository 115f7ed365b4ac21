"""The pages in the order of the work: the one place that knows where they are and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """One page: its file, what it is called, its address, and the heading it stands under."""

    path: str
    title: str
    icon: str
    url: str
    section: str


PLACES = (
    Place("pages/overview.py", "Overview", ":material/explore:", "", ""),
    Place("pages/import_tickets.py", "Import", ":material/upload_file:", "import", "Data"),
    Place("pages/clean.py", "Clean", ":material/cleaning_services:", "clean", "Data"),
    Place("pages/twins.py", "Twins", ":material/content_copy:", "twins", "Data"),
    Place("pages/curate.py", "Curate", ":material/rule:", "curate", "Data"),
    Place("pages/label.py", "Label", ":material/label:", "label", "Data"),
    Place("pages/synthesise.py", "Synthesise", ":material/auto_awesome:", "synthesise", "Data"),
    Place("pages/forget.py", "Forget", ":material/person_remove:", "forget", "Data"),
    Place("pages/freeze.py", "Freeze", ":material/ac_unit:", "freeze", "Snapshots"),
    Place("pages/snapshots.py", "Snapshots", ":material/inventory_2:", "snapshots", "Snapshots"),
    Place("pages/validate.py", "Validate", ":material/fact_check:", "validate", "Snapshots"),
    Place("pages/launch.py", "Launch", ":material/play_arrow:", "launch", "Train"),
    Place("pages/runs.py", "Runs", ":material/show_chart:", "runs", "Train"),
    Place("pages/models.py", "Models", ":material/deployed_code:", "models", "Train"),
    Place("pages/cluster.py", "Cluster", ":material/lan:", "cluster", "Train"),
    Place("pages/evaluate.py", "Evaluate", ":material/balance:", "evaluate", "Prove"),
    Place("pages/review.py", "Review", ":material/compare_arrows:", "review", "Prove"),
    Place("pages/playground.py", "Playground", ":material/forum:", "playground", "Prove"),
    Place("pages/deploy.py", "Deploy", ":material/rocket_launch:", "deploy", "Live"),
    Place("pages/monitor.py", "Monitor", ":material/monitoring:", "monitor", "Live"),
)


def page(path: str) -> Page:
    """The page of a file. Raises KeyError for a file that is no page."""
    place = {place.path: place for place in PLACES}[path]
    return st.Page(ROOT / place.path, title=place.title, icon=place.icon, url_path=place.url or None,
                   default=not place.url)


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
