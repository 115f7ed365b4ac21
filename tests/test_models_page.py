"""The Models page's endpoints: added in a form, tested with one press, said in words when they fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio import models, runs
from studio import workspace as folders
from tests.children import wait_until
from tests.test_pages import draw, home, words

pytestmark = pytest.mark.heavy

__all__ = ["home"]


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click()
    return page.run()


def fill(page: AppTest, label: str, text: str) -> None:
    next(field for field in page.text_input if field.label == label).set_value(text)


def test_an_endpoint_is_added_and_its_connection_tested(home: Path) -> None:
    page = draw("models")
    fill(page, "Name", "Our server")
    fill(page, "Address", "http://127.0.0.1:9/v1")
    fill(page, "Model", "small")
    page = press(page, "Add this endpoint")
    assert "small at http://127.0.0.1:9/v1, no key, prices not known" in words(page).replace("\\", "")
    press(page, "Test the connection")
    ws = folders.open_workspace(home)
    run = runs.latest_connection(ws, models.endpoints(ws)[0].model_id)
    assert run is not None
    wait_until(lambda: not runs.get(ws, run.run_id).moving, ws.path(run.folder))
    page = draw("models")
    assert "http://127.0.0.1:9/v1 cannot be reached" in words(page).replace("\\", "") and not page.exception


def test_a_key_written_where_its_name_belongs_is_refused_and_not_repeated(home: Path) -> None:
    page = draw("models")
    fill(page, "Model", "small")
    fill(page, "Environment variable with the key", "sk-secret-1234")
    page = press(page, "Add this endpoint")
    assert "never the key" in words(page) and "sk-secret" not in words(page)
    assert models.endpoints(folders.open_workspace(home)) == []
