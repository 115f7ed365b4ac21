"""A studio that is left running, used by eight people at once while a model trains: errors, lost presses, memory, a backup.

`python -m benchmarks.soak --minutes 30` starts the studio as a server (`tunewright server`), and eight browsers of their own
(contexts of one Chromium) that label, review and read tables by real keys and clicks. Half-way a backup is taken on the page
Server, and restored while everybody goes on. Afterwards every press that a browser made is looked up in the workspace, and the
restored one is held against what the workspace says it held at that moment. Memory is the resident set of the studio's process:
`soak.memory_growth` is the median of the last tenth of the time against that of the tenth after the warm-up (the first fifth).
Everything stays on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from benchmarks import record
from studio import backups, intake, label_sets, models, runs, snapshots, starts
from studio.columns import Choices
from studio.workspace import Workspace
from tests import reviewing
from tests.browser import chromium, settled
from tests.ledger import Ledger
from tests.serving import Serving, serving
from tests.test_label_chaos import MOODS, open_label, press
from tests.tickets import COLUMNS, write_csv

DERIVED = {"label_now", "record_now", "record_words", "record_sizes", "words_read", "words_unread", "findings", "checked_now",
           "wording_keys", "review_looks", "backups", "runs"}
"""Tables that are made anew or kept up, not only added to."""
VISITS = ("curate?words=Question", "curate?words=number&order=length", "", "runs", "evaluate", "snapshots", "models", "review",
          "monitor", "server", "clean", "label?person=reader")
READY, AT_ONCE = 120_000, 3
"""Milliseconds that a card may take, and presses in a row before the next person's turn."""
RESTS = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return !!app && app.getAttribute('data-test-script-state') !== 'running' && !!document.querySelector('h1')
    && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]');
}"""
PROBED = re.compile(r"/\w+/_stcore/(health|host-config)$")
"""Where Streamlit's own client asks whether the app has a base path, to be told with a 404 that it has none."""


@dataclass
class Report:
    """What a soak found. `memory` are (seconds, bytes) of the studio's process; `backup` says where it is not the workspace."""

    seconds: float = 0.0
    presses: dict[str, int] = field(default_factory=dict)
    visits: int = 0
    errors: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    backup: list[str] = field(default_factory=list)
    trained: str = ""

    def growth(self) -> float:
        whole = self.memory[-1][0]
        first = [size for at, size in self.memory if 0.2 * whole <= at < 0.3 * whole]
        last = [size for at, size in self.memory if at >= 0.9 * whole]
        return statistics.median(last) / statistics.median(first) - 1


def prepared(home: Path, minutes: float, train: bool) -> str:
    """A workspace with enough to label and to review for so long, trainings that have begun; the id of the review session."""
    session = reviewing.widened(home, round(200 * minutes) + 60, 40)
    ws = Workspace(home)
    rows = round(500 * minutes) + 300
    path = write_csv(home.parent / "many.csv", [(f"S{n}", f"Question number {n}?", f"Answer number {n}.", "5", "x")
                                                for n in range(rows)])
    intake.import_file(ws, path, path.name, Choices(COLUMNS))
    label_sets.save(ws, MOODS, "ann")
    backups.every_hours(ws, str(home.parent / "by-itself"), 1, 3, "ann")  # the first one is part of the warm-up
    if train:
        variants = [starts.Dials(epochs=50, learning_rate=rate) for rate in (1e-4, 2e-4, 3e-4)]
        starts.group(ws, snapshots.every(ws)[0], models.get(ws, models.STARTER_ID), variants, "soak")
    ws.close()
    return session


class Desk:
    """One person at a desk, who presses a key whenever a card is drawn."""

    def __init__(self, kind: str, page: Page, url: str, who: str, session: str) -> None:
        self.kind, self.page, self.ledger, self.over = kind, page, Ledger(kind), False
        self.ledger.watch(page)
        self.keys = cycle("1234s12f" if kind == "label" else "12tb")
        if kind == "label":
            open_label(page, url, who)
        else:
            reviewing.open_review(page, url, session, who)

    def act(self) -> None:
        for _ in range(AT_ONCE):
            if self.kind == "label" and not self.over:
                self.over = not press(self.page, next(self.keys))
            elif self.kind == "review":
                self.page.wait_for_function(reviewing.DRAWN, timeout=READY)
                self.page.keyboard.press(next(self.keys))

    def finish(self) -> None:
        expect(self.page.get_by_test_id(f"{self.kind}-saved")).to_have_text("Saved", timeout=READY)


class Reader:
    """One person who reads tables, from page to page."""

    def __init__(self, page: Page, url: str, places: Iterator[str]) -> None:
        self.page, self.url, self.places, self.visits = page, url, places, 0
        self._since = 0.0

    def act(self) -> None:
        """Look whether the page is drawn, and go on to the next one then; nobody else waits for it."""
        if self._since and not self.page.evaluate(RESTS):
            if time.monotonic() - self._since > READY / 1000:
                raise TimeoutError(f"{self.page.url} was not drawn")
            return
        self.visits += bool(self._since)
        self._since = time.monotonic()
        self.page.goto(f"{self.url}/{next(self.places)}", wait_until="commit")

    def finish(self) -> None:
        settled(self.page, READY / 1000)
        self.visits += 1


def run(home: Path, minutes: float, people: tuple[int, int, int], train: bool) -> Report:
    """So many labellers, reviewers and readers, for so long."""
    report = Report()
    session = prepared(home, minutes, train)
    with serving(home) as server, chromium() as browser:
        with measured(server, report):
            desks, saving = _use(server, browser, session, minutes, people, report)
        if (status := server.end()) not in (0, -15):
            report.errors.append(f"the server ended with {status}")
    _look_up(home, desks, saving, report)
    report.errors += [line for line in server.log.read_text().splitlines() if "Traceback" in line]
    _end_training(home, report)
    return report


@contextmanager
def measured(server: Serving, report: Report) -> Iterator[None]:
    """The memory of the server's process, every second."""
    over, began = threading.Event(), time.monotonic()

    def look() -> None:
        while not over.wait(1.0):
            if server.process is not None and (size := _resident(server.process.pid)):
                report.memory.append((time.monotonic() - began, size))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        report.seconds = time.monotonic() - began


def _use(server: Serving, browser: Browser, session: str, minutes: float, people: tuple[int, int, int],
         report: Report) -> tuple[list[Desk], Saving]:
    contexts: list[BrowserContext] = []

    def page() -> Page:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        return watched(contexts[-1].new_page(), report)

    desks = [Desk(kind, page(), server.url, f"{kind}er{n}", session)
             for kind, many in (("label", people[0]), ("review", people[1])) for n in range(many)]
    readers = [Reader(page(), server.url, cycle(VISITS[n * 3:] + VISITS[: n * 3])) for n in range(people[2])]
    middle, end = (time.monotonic() + part * minutes for part in (30, 60))
    saving = Saving(page(), server.url, server.home.parent / "away")
    while time.monotonic() < end or not saving.over:
        for one in (*desks, *readers):
            _acted(one, report)
            _shown(one.page, report)
        if time.monotonic() >= middle:
            saving.go_on({name for desk in desks for name in desk.ledger.acknowledged})
    for one in (*desks, *readers):
        one.finish()
    for context in contexts:
        context.close()
    report.visits = sum(reader.visits for reader in readers)
    for desk in desks:
        report.presses[desk.kind] = report.presses.get(desk.kind, 0) + len(desk.ledger.made)
    return desks, saving


def _acted(one: Desk | Reader, report: Report) -> None:
    """A person's turn; who waits too long for a card or a page is an error, and the others go on."""
    try:
        one.act()
    except (TimeoutError, PlaywrightTimeout):
        seen = " ".join(one.page.locator("body").inner_text().split())[-400:]
        report.errors.append(f"{one.page.url} was not drawn within {READY // 1000} s: {seen}")


class Saving:
    """A backup on the page Server, then its restore by the command: a step at a time, while the others go on."""

    def __init__(self, page: Page, url: str, away: Path) -> None:
        self.page, self.url, self.away = page, url, away
        self.acknowledged: set[str] = set()
        self.restoring: subprocess.Popen[bytes] | None = None
        self.pressed = self.over = False
        self.problem = ""

    @property
    def back(self) -> Path:
        return self.away.with_name("back")

    def go_on(self, acknowledged: set[str]) -> None:
        if not self.pressed:
            self.acknowledged, self.pressed = acknowledged, True
            self.page.goto(f"{self.url}/server?person=owner")
            settled(self.page, READY / 1000)
            folder = self.page.get_by_role("textbox", name="Folder for backups")
            folder.fill(str(self.away))
            folder.press("Enter")
            settled(self.page, READY / 1000)
            self.page.get_by_role("button", name="Back up now").click()
        elif self.restoring is None and (made := list(self.away.glob("*.tar"))):
            command = [sys.executable, "-c", "from studio.cli import main; main()", "restore", str(made[0]), str(self.back)]
            self.restoring = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        elif self.restoring is not None and self.restoring.poll() is not None and not self.over:
            _, said = self.restoring.communicate()
            self.over, self.problem = True, said.decode() if self.restoring.returncode else ""


def watched(page: Page, report: Report) -> Page:
    """A page whose errors are written down, wherever they come from."""
    page.on("pageerror", lambda error: report.errors.append(f"page: {error}"))
    page.on("console", lambda message: report.errors.append(f"console: {message.text} {message.location.get('url', '')}")
            if message.type == "error" and not PROBED.search(message.location.get("url", "")) else None)
    page.on("response", lambda answer: report.errors.append(f"{answer.status}: {answer.url}") if answer.status >= 500 else None)
    return page


def _shown(page: Page, report: Report) -> None:
    """Exceptions, and errors in words, that the page shows."""
    for kind in ("stException", "stAlertContentError"):
        found = page.get_by_test_id(kind)
        if found.count():
            report.errors.append(f"{page.url}: {found.first.inner_text()[:300]}")


def _look_up(home: Path, desks: list[Desk], saving: Saving, report: Report) -> None:
    """Every press in the workspace, once; and the restored workspace against what this one held then."""
    ws = Workspace(home)
    try:
        there, made = Counter(_presses(ws)), {name for desk in desks for name in desk.ledger.made}
        report.lost = [f"{name}: {there[name]} times" for name in sorted(made) if there[name] != 1]
        report.backup = [saving.problem] if saving.problem else differences(ws, saving.back, saving.acknowledged)
    finally:
        ws.close()


def differences(ws: Workspace, back: Path, acknowledged: set[str]) -> list[str]:
    """Where a restored workspace is not this one as it was: what people said up to its last act, every row that is only ever
    added, every byte of the journal; and what was acknowledged before the backup began."""
    found = [] if ws.journal.path.read_bytes().startswith((back / "journal.jsonl").read_bytes()) else ["the journal"]
    restored = Workspace(back)
    try:
        last = restored.journal.last[0]
        for row in ws.rows("""select table_name as name, bool_or(column_name = 'seq') as spoken from duckdb_columns()
                              where not internal and table_name in (select table_name from duckdb_tables()) group by 1"""):
            if row["name"] in DERIVED:
                continue
            upto = f"where seq <= {last}" if row["spoken"] else ""
            here, there = (Counter(map(str, one.rows(f"select * from {row['name']} {upto}"))) for one in (ws, restored))
            if there - here or (row["spoken"] and here - there):
                found.append(f"{row['name']}: {(there - here).total()} rows too many, {(here - there).total()} too few")
        if missing := acknowledged - set(_presses(restored)):
            found.append(f"{len(missing)} presses that were acknowledged before it")
    finally:
        restored.close()
    return found


def _presses(ws: Workspace) -> list[str]:
    return [str(row["id"]) for row in ws.rows("""select label_id as id from labels union all select mark_id from record_marks
                                                 union all select review_id from reviews""")]


def _end_training(home: Path, report: Report) -> None:
    ws = Workspace(home)
    for run in runs.every(ws, "train"):
        if run.moving:
            report.trained = report.trained or (run.status.sentence if run.status and not run.waiting else "")
            runs.stop(ws, run.run_id)
            runs.wait(ws, run.run_id, 120)
        elif run.state in ("lost", "failed"):
            report.errors.append(f"the training is {run.state}")
    ws.close()


def _resident(pid: int) -> int:
    """Bytes of main memory that a process holds."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def told(report: Report, minutes: float) -> list[str]:
    """The table of RESULTS.md."""
    first, most = report.memory[0][1], max(size for _, size in report.memory)
    rows = [("presses on the label desk, on the review desk", " and ".join(f"{n:,}" for n in report.presses.values())),
            ("pages of tables read", f"{report.visits:,}"),
            ("errors (pages, browsers' consoles, 5xx, log)", f"{len(report.errors)}"),
            ("presses that are not in the workspace once", f"{len(report.lost)}"),
            ("backup taken and restored meanwhile", "equals" if not report.backup else "; ".join(report.backup)[:200]),
            ("memory of the studio's process: start, most", f"{first / 1e6:.0f} MB, {most / 1e6:.0f} MB"),
            ("growth after the warm-up", f"{report.growth():+.1%}"), ("the training meanwhile", report.trained or "none")]
    return [f"{minutes:g} minutes; eight browsers: three label, three review, two read tables.", "",
            "| what | figure |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows)]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=30)
    asked.add_argument("--no-record", action="store_true", help="print only")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder) / "ws", given.minutes, (3, 3, 2), train=True)
    lines = told(report, given.minutes)
    print("\n".join([*lines, *report.errors[:20], *report.lost[:20]]))
    print(" ".join(f"{at:.0f}s:{size / 1e6:.0f}" for at, size in report.memory[:: max(1, len(report.memory) // 40)]))
    if not given.no_record:
        record.keep({"soak.errors": len(report.errors) + len(report.backup), "soak.lost": len(report.lost),
                     "soak.memory_growth": round(report.growth(), 3)})
        record.table("soak", "Eight people for half an hour", lines)


if __name__ == "__main__":
    main()
