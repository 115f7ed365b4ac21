"""The whole loop on real tickets: how long it takes, what the verdict is, and how soon the first page is there.

    python -m benchmarks.loop CSV [--message COL --answer COL]

Prints base, tuned and interval, and writes `loop.*` into results.json.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks import record
from studio import runs, scores
from studio.ui.formats import interval, signed
from studio.workspace import Workspace
from tests.browser import Studio, chromium

ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--message", default="instruction")
    parser.add_argument("--answer", default="response")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served, painted = first_page(Path(folder))
        minutes = demo(Path(folder) / "ws", given.csv, given.message, given.answer)
        report(Path(folder) / "ws", minutes, served, painted)


def first_page(folder: Path) -> tuple[float, float]:
    """Median seconds over fresh starts on empty workspaces: from the process's start to the first answer of the server, and
    from opening the page in a browser to its title being painted."""
    answered, painted = [], []
    with chromium() as browser:
        for number in range(ROUNDS):
            studio = Studio(folder / f"empty-{number}")
            began = time.perf_counter()
            studio.start()
            urllib.request.urlopen(studio.url, timeout=10).read()
            answered.append(time.perf_counter() - began)
            page = browser.new_context().new_page()
            opened = time.perf_counter()
            page.goto(studio.url)
            page.wait_for_selector("h1:has-text('Overview')")
            painted.append(time.perf_counter() - opened)
            page.close()
            studio.kill()
    return statistics.median(answered), statistics.median(painted)


def demo(workspace: Path, csv: Path, message: str, answer: str) -> float:
    """Minutes that `tunewright demo` takes, from an empty folder, the starter's conversion included."""
    began = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from studio.cli import main; main()",
            "demo",
            "--workspace",
            str(workspace),
            "--csv",
            str(csv),
            "--message",
            message,
            "--answer",
            answer,
        ],
        check=True,
    )
    return (time.perf_counter() - began) / 60


def report(workspace: Path, minutes: float, served: float, painted: float) -> None:
    ws = Workspace(workspace)
    run = runs.proven(ws)[0]
    base, tuned = (candidate.candidate_id for candidate in runs.candidates(run))
    found = next(row for row in scores.compare(ws, run.run_id, base, tuned) if row.metric == "rougeL")
    train = runs.every(ws, "train")[0]
    seconds = train.result.data["seconds"] if train.result else float("nan")
    ws.close()
    record.keep(
        {
            "loop.minutes": round(minutes, 2),
            "loop.base_rouge_l": round(found.a.value, 4),
            "loop.tuned_rouge_l": round(found.b.value, 4),
            "loop.difference": round(found.difference.value, 4),
            "loop.ci_low": round(found.difference.low, 4),
            "loop.ci_high": round(found.difference.high, 4),
            "loop.first_page_s": round(painted, 2),
            "loop.server_answers_s": round(served, 2),
        }
    )
    lines = [
        "| what | figure |",
        "|---|---|",
        f"| demo, 200 train, 20 validation, 40 test, 2 epochs | {minutes:.1f} min (training steps {seconds / 60:.1f} min) |",
        f"| ROUGE-L of the base | {interval(*found.a.parts, 3)} |",
        f"| ROUGE-L of the tuned model | {interval(*found.b.parts, 3)} |",
        f"| paired difference | {signed(*found.difference.parts, 3)}: {found.word} |",
        f"| server answers after its process starts (median of {ROUNDS}) | {served:.2f} s |",
        f"| first page painted after it is opened (median of {ROUNDS}) | {painted:.2f} s |",
    ]
    record.table("loop", "The whole loop, from a CSV to the verdict", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
