"""Where the workspace stands in the loop, and the one next thing to do."""

from __future__ import annotations

from dataclasses import dataclass

from studio import deploys, labels, models, records, reviews, runs, snapshots
from studio.permissions import needs
from studio.workspace import Workspace

OPTIONAL = "labelled"
"""The one stage that nothing after it waits for."""


@dataclass(frozen=True)
class Stage:
    """One stage of the loop: how many, where to look, and what blocks it (empty when nothing does)."""

    key: str
    label: str
    count: int
    page_path: str
    blocked: str
    done: bool


@dataclass(frozen=True)
class NextStep:
    """What to do now: a sentence why, the button's words, the page it opens."""

    sentence: str
    button: str
    page_path: str


@needs("open")
def stages(ws: Workspace) -> list[Stage]:
    """imported → kept → labelled → frozen → trained → proven → live, with counts; nothing waits for labels."""
    counted = records.counts(ws)
    numbers = {
        "imported": counted.total, "kept": counted.usable, "labelled": labels.total(ws),
        "frozen": snapshots.frozen(ws), "trained": len(models.tuned(ws)), "proven": len(runs.proven(ws)),
        "live": len(deploys.live(ws))}
    pages = {"imported": "pages/import_tickets.py", "kept": "pages/curate.py", "labelled": "pages/label.py",
             "frozen": "pages/snapshots.py" if numbers["frozen"] else "pages/freeze.py", "trained": "pages/runs.py",
             "proven": "pages/evaluate.py", "live": "pages/deploy.py"}
    blocks = {"imported": "", "kept": "import tickets first", "labelled": "import tickets first",
              "frozen": "import tickets first", "trained": "freeze a snapshot first", "proven": "train a model first",
              "live": "evaluate a model first"}
    found, earlier = [], True
    for key, count in numbers.items():
        found.append(Stage(key, key, count, pages[key], "" if earlier else blocks[key], count > 0))
        earlier = count > 0 if key != OPTIONAL else earlier
    return found


@needs("open")
def next_step(ws: Workspace) -> NextStep:
    """The first stage that is still empty names the next thing to do; a moving run goes before it."""
    moving = [run for run in runs.every(ws) if run.moving and run.kind not in ("play", "receive", "serve")]  # idle mostly
    empty = next((stage.key for stage in stages(ws) if not stage.done and stage.key != OPTIONAL), None)
    if moving:
        return NextStep(f"{moving[0].title} is running. Watch it, or go on reading meanwhile.", "Watch the run",
                        "pages/runs.py")
    if empty in ("imported", "kept"):
        return NextStep("Bring in a file of tickets, or open the sample to look around.", "Import tickets",
                        "pages/import_tickets.py")
    if empty == "frozen" and runs.latest_check(ws) is None:
        return NextStep(f"{records.counts(ws).total:,} records are in. Check them for personal data, mail remains and weak "
                        "answers before a model learns from them.", "Check the records", "pages/clean.py")
    if empty == "frozen" and not runs.every(ws, "dedupe"):
        return NextStep("The records are checked. Look for twins among them: they waste training, and between train and test "
                        "they fake the result.", "Look for twins", "pages/twins.py")
    if empty == "frozen":
        counted = records.counts(ws)
        return NextStep(f"{counted.usable:,} records are in and nobody dropped them. Read some on Curate, then freeze them "
                        "into train, validation and test.", "Freeze a snapshot", "pages/freeze.py")
    if empty == "trained":
        return NextStep("The snapshot is frozen. Train a model on it.", "Train a model", "pages/launch.py")
    if empty == "proven":
        return NextStep("A tuned model is there. Let it answer the test items beside its base model.", "Evaluate it",
                        "pages/evaluate.py")
    if not reviews.total(ws):
        return NextStep("The numbers are in. Read the answers side by side, blind, and judge for yourself.",
                        "Review answers", "pages/review.py")
    if empty == "live":
        return NextStep("The answers were judged. Serve the model, and prove that what is served is what was evaluated.",
                        "Deploy it", "pages/deploy.py")
    return NextStep("The loop is closed once. Import newer tickets, drop weak records, or train again with what you learned.",
                    "Curate records", "pages/curate.py")
