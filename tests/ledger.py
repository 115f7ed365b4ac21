"""What a browser did on a desk (of labels, of reviews), written down outside of it: presses made and
acknowledged, records that were drawn."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

WATCH = """
(() => {
  const mine = (name) => name.startsWith("tunewright:") && name.includes(":DESK:");
  const was = { set: Storage.prototype.setItem, gone: Storage.prototype.removeItem };
  Storage.prototype.setItem = function (name, value) {
    if (mine(name)) window.noteDown("made", value, window.__pressedOn || "");
    return was.set.call(this, name, value);
  };
  Storage.prototype.removeItem = function (name) {
    if (mine(name) && this.getItem(name) !== null) window.noteDown("acknowledged", name.split(":").pop(), "");
    return was.gone.call(this, name);
  };
  const card = () => [...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean)
    .map((root) => root.querySelector("[data-testid=DESK-card]")).find(Boolean);
  document.addEventListener("keydown", () => { window.__pressedOn = card()?.dataset.PLACE || ""; }, true);
})();
"""


@dataclass
class Ledger:
    """Presses by id: what they say, and the record or pair that was on the screen when the key went down."""

    desk: str = "label"
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)

    def watch(self, page: Page) -> None:
        """Begin to note; before the page is opened."""
        page.expose_function("noteDown", self._note)
        place = {"label": "record", "review": "card"}[self.desk]
        page.add_init_script(WATCH.replace("DESK", self.desk).replace("PLACE", place))

    def _note(self, what: str, value: str, on: str) -> None:
        if what == "acknowledged":
            self.acknowledged.add(value)
            return
        press = json.loads(value)
        self.made[press["id"]] = press
        self.shown[press["id"]] = on

    @property
    def unseen(self) -> list[str]:
        """Presses about a record that was not the one on the screen."""
        return [name for name, press in self.made.items() if "card" in press and press["card"] != self.shown[name]]
