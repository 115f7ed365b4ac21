"""How long a labelling key takes to the next record on the screen, in a real Chromium, over workspaces of three sizes.

    python -m benchmarks.labelling [--sizes 10000,100000,1000000] [--presses 300]

From keydown to the frame after the next record stands in the page (performance.now in the page: no driver in between); durable
is from keydown to the acknowledgement, which Python sends once the journal is flushed. In the same run, on the largest
workspace, an ordinary Streamlit page and a fragment page with the same nouns. Every press is noted outside the page and looked
up in the workspace afterwards: lost, doubled, unseen. Writes `labelling.*` into results.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks import record
from studio import label_sets, records, search
from studio.workspace import ROOT, Workspace
from tests.browser import Studio, chromium
from tests.ledger import Ledger

PEER_PRESSES, WARM_UP, PAUSE_MS = 60, 5, 150
SIZE_NAMES = {10_000: "10k", 100_000: "100k", 1_000_000: "1m"}
HEAD = ("| way | records | presses | key to next record, median | p95 | durable p95 | first record | lost / doubled / unseen |")
OPTIONS = ("refund", "late", "broken", "wrong item", "invoice", "account", "question", "praise", "other")
CLOCK = """
(() => {
  const times = window.__times = { painted: [], durable: [], first: null };
  const waiting = new Map();
  const desk = () => [...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean)
    .map((root) => root.querySelector("[data-testid=label-card]")).find(Boolean);
  let root = null;
  const current = () => {
    root ||= desk() || null;
    return root ? root.dataset.record || "" : document.querySelector(".st-key-rec h3")?.textContent || "";
  };
  window.__current = current;
  const painted = (then) => requestAnimationFrame(() => setTimeout(then, 0));
  let press = null;
  const look = () => {
    const now = current();
    if (now && times.first === null) { times.first = 0; painted(() => { times.first = performance.now(); }); }
    if (!press || !now || now === press.from) return;
    const done = press;
    press = null;
    painted(() => times.painted.push(performance.now() - done.at));
  };
  const watch = new MutationObserver(look);
  const begin = setInterval(() => {
    if (!desk() && !document.querySelector(".st-key-rec h3")) return;
    clearInterval(begin);
    look();
    watch.observe(document, { subtree: true, childList: true, characterData: true });
    if (root) watch.observe(root.getRootNode(), { subtree: true, childList: true, attributes: true });
  }, 5);
  document.addEventListener("keydown", (event) => {
    if (/^[1-9]$/.test(event.key)) press = { at: performance.now(), from: current() };
  }, true);
  const was = { set: Storage.prototype.setItem, gone: Storage.prototype.removeItem };
  Storage.prototype.setItem = function (name, value) {
    if (name.includes(":label:")) waiting.set(name, press ? press.at : performance.now());
    return was.set.call(this, name, value);
  };
  Storage.prototype.removeItem = function (name) {
    if (waiting.has(name)) { times.durable.push(performance.now() - waiting.get(name)); waiting.delete(name); }
    return was.gone.call(this, name);
  };
})();
"""



@dataclass
class Measured:
    """One way of labelling on one workspace; times in milliseconds."""

    rows: int
    way: str
    painted: list[float] = field(default_factory=list)
    durable: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    unseen: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.painted)

    @property
    def p95(self) -> float:
        return quantile(self.painted, 0.95)

    def line(self) -> str:
        durable = f"{quantile(self.durable, 0.95):.0f} ms" if self.durable else ""
        first = f"{statistics.median(self.first) / 1000:.2f} s" if self.first else ""
        exact = f"{self.lost} / {self.doubled} / {self.unseen}" if self.way == "label desk" else ""
        return (f"| {self.way} | {self.rows:,} | {len(self.painted)} | {self.median:.1f} ms | {self.p95:.1f} ms | {durable} | "
                f"{first} | {exact} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--presses", type=int, default=300)
    given = parser.parse_args()
    sizes = sorted(int(one) for one in given.sizes.split(","))
    lines = [HEAD, "|---" * HEAD.count(" |") + "|"]
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for rows in sizes:
            home = Path(folder) / f"ws{rows}"
            make(home, rows)
            desk = desk_on(browser, home, rows, given.presses)
            lines.append(desk.line())
            print(lines[-1], flush=True)
            name = SIZE_NAMES.get(rows, str(rows))
            figures |= {f"labelling.paint_median_ms_{name}": round(desk.median, 1),
                        f"labelling.paint_p95_ms_{name}": round(desk.p95, 1),
                        f"labelling.durable_p95_ms_{name}": round(quantile(desk.durable, 0.95), 1),
                        f"labelling.first_record_s_{name}": round(statistics.median(desk.first) / 1000, 2)}
            for figure, value in (("lost", desk.lost), ("doubled", desk.doubled), ("unseen", desk.unseen)):
                figures[f"labelling.{figure}"] = figures.get(f"labelling.{figure}", 0) + value
        peers = [peer_on(browser, home, rows, way) for way in ("rerun", "fragment")]
    figures["labelling.speedup_vs_rerun"], figures["labelling.speedup_vs_fragment"] = (
        round(peer.median / desk.median, 1) for peer in peers)
    lines += [peer.line() for peer in peers]
    lines += ["", f"On {rows:,} records the desk is {figures['labelling.speedup_vs_fragment']} times as quick as a fragment "
              f"page, {figures['labelling.speedup_vs_rerun']} times as quick as a page that is drawn again, in the same run."]
    record.keep(figures)
    record.table("labelling", "Labelling, from the key to the next record", lines)
    print("\n".join(lines))


def make(home: Path, rows: int) -> None:
    """A workspace of so many records, each a question and an answer of a few sentences, and a label set of nine options."""
    ws = Workspace(home)
    sentence = "'The ' || (['parcel', 'lamp', 'tent', 'order'])[1 + n % 4] || ' with number ' || n || ' gave me trouble. '"
    turns = (f"json_array(json_object('role', 'user', 'content', repeat({sentence}, 3)), "
             f"json_object('role', 'assistant', 'content', repeat('We looked into it. ' || {sentence}, 3)))::varchar")
    source = f"select 'r' || n as record_id, n as position from range({rows}) t(n)"
    with ws.transaction() as transaction:
        records.add(ws, transaction, "made", f"""select record_id, position, position + 2 as source_line,
            'T' || position as external_id, 5.0 as rating, 'tag' || hash(position) % 20 as tags, null as status,
            null::timestamp as happened_at, null as name, null as email from ({source})""",
                    f"select 'r' || n as record_id, n as position, {turns} as messages from range({rows}) t(n)")
    label_sets.save(ws, {"name": "Intent", "fields": [{"key": "intent", "title": "Intent", "kind": "choice", "options": [
        {"value": value} for value in OPTIONS]}]}, "bench")
    while search.read_on(ws):  # the words of Curate's table, which the studio would read in the background
        pass
    ws.close()


def desk_on(browser: Browser, home: Path, rows: int, presses: int) -> Measured:
    """The label desk: opened three times, then pressed; afterwards every press is looked up in the workspace."""
    found, ledger, studio = Measured(rows, "label desk"), Ledger(), Studio(home)
    studio.start()
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.add_init_script(CLOCK)
        ledger.watch(page)
        for opening in range(4):
            times = open_page(page, f"{studio.url}/label?person=bench")
            found.first += [times["first"]] if opening else []  # the first opening also imports everything
        found.painted, found.durable = press(page, presses)
        page.wait_for_function("""() => [...document.querySelectorAll("*")].some((one) =>
            one.shadowRoot?.querySelector("[data-testid=label-saved]")?.textContent === "Saved")""")
        found.durable = page.evaluate("window.__times.durable")[WARM_UP:]
    finally:
        page.close()
        studio.kill()
    stored = stored_presses(home)
    found.lost = len(set(ledger.made) - set(stored))
    found.doubled = sum(stored[name] - 1 for name in stored) + len(set(stored) - set(ledger.made))
    found.unseen = len(ledger.unseen)
    return found


def peer_on(browser: Browser, home: Path, rows: int, way: str) -> Measured:
    """The same records on a page that Streamlit draws again for every press."""
    found, studio = Measured(rows, f"Streamlit {way}"), Studio(home, ROOT / "benchmarks" / "labelling_page.py")
    studio.start()
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.add_init_script(CLOCK)
        open_page(page, f"{studio.url}/?way={way}")
        found.first.append(open_page(page, f"{studio.url}/?way={way}")["first"])
        found.painted, _ = press(page, PEER_PRESSES)
    finally:
        page.close()
        studio.kill()
    return found


def open_page(page: Page, url: str) -> dict[str, Any]:
    page.goto(url)
    page.wait_for_function("() => window.__times.first", timeout=120_000)
    page.wait_for_timeout(1_000)
    return dict(page.evaluate("window.__times"))


def press(page: Page, presses: int) -> tuple[list[float], list[float]]:
    """So many presses after a few to warm up, each on a record that is drawn, with a pause between; times in the page."""
    for n in range(presses + WARM_UP):
        before = page.evaluate("window.__current()")
        page.keyboard.press(str(1 + n % 9))
        while not moved(page, before):  # ordinary buttons miss a key while they are drawn
            page.keyboard.press(str(1 + n % 9))
        page.wait_for_timeout(PAUSE_MS)
    times = page.evaluate("window.__times")
    return times["painted"][WARM_UP:], times["durable"][WARM_UP:]


def moved(page: Page, before: str) -> bool:
    """Whether another record is shown, after at most five seconds."""
    for _ in range(500):
        if page.evaluate("before => !!window.__current() && window.__current() !== before", before):
            return True
        page.wait_for_timeout(10)
    return False


def stored_presses(home: Path) -> Counter[str]:
    """How often each press is in the workspace."""
    ws = Workspace(home)
    rows = ws.rows("select label_id from labels where who = 'bench'")
    ws.close()
    return Counter(row["label_id"] for row in rows)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"({time.perf_counter() - began:.0f} s)")
