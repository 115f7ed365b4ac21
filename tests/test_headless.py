"""docs/headless.md against the commands, and the pages against both: what a page can do, a command can do."""

from __future__ import annotations

import ast
import inspect
import io
import json
import re
import subprocess
import sys

import pytest

from studio import runs
from studio.commands import tree
from studio.ui.sitemap import PLACES
from studio.workspace import Workspace
from tests.commands import DOCUMENTED, documented, refused, run
from tests.conftest import ROOT

TEXT = DOCUMENTED.read_text(encoding="utf-8")
COMMANDS = dict(tree.every())
ACTS = re.findall(r"^\| ([A-Z][a-z]+) \| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)
NOT_TYPED = {
    # a browser's uploads: a command names files, which are read where they lie
    "arrivals.begin_import", "arrivals.cancel", "arrivals.discard", "arrivals.find", "arrivals.open_paths",
    "arrivals.read_again", "arrivals.receive", "log_arrivals.begin", "log_arrivals.discard", "log_arrivals.find",
    "log_arrivals.open_path", "log_arrivals.receive", "validation.receive",
    # what a desk holds while somebody sits at it, and what tells a page to draw anew
    "queues.renew", "duplicate_groups.stamp", "grids.stamp",
    # parts of what commands tell in another way: from lists of runs, from exports, from whole documents
    "adjudicate.get", "deploys.endpoint", "deploys.newest_export", "deploys.parities", "deploys.pushes",
    "duplicate_groups.kinds", "duplicate_groups.likeness", "duplicate_groups.members", "findings.accepted", "foreign.every",
    "labels.of_records", "live.newest", "live.slices", "made.origins", "managed.newest", "managed.newest_files",
    "models.hosted", "playground.is_comparison", "presets.is_saved", "previews.newest", "receiving.newest",
    "receiving.unread", "record_table.window", "records.tags", "records.undo", "review_samples.ways", "reviews.looked",
    "reviews.stored", "reviews.texts", "runs.latest_check", "runs.latest_connection", "runs.over", "search.unread",
    "snapshots.lines_of", "validation.every",
    # who looks at a page, and what they may: whoever types has the folder
    "people.nobody", "people.role_of", "permissions.every", "permissions.may", "permissions.why_not",
    "team.lets_in", "team.sign_in",
    # the same as a command's own, in a thread of the app, for a download, or beside a form
    "backups.begin", "backups.doing", "clusters.latest", "clusters.warnings", "folders.name_of", "report.take_out",
    "review_exports.take_out", "snapshot_exports.newest_push",
    # threads of the app
    "forgetting.go_on", "search.keep_up", "watching.keep_up"}  # fmt: skip


def of_workspaces() -> set[str]:
    """Public functions of the nouns whose first parameter is a workspace: `records.decide`."""
    found = set()
    for path in (ROOT / "studio").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.args.args:
                first = node.args.args[0]
                if first.annotation is not None and ast.unparse(first.annotation) == "Workspace":
                    found.add(f"{path.stem}.{node.name}")
    return found


def used(*folders: str) -> set[str]:
    """What the files of these folders name of the nouns, whatever they call the module."""
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).glob("*.py")):
        tree_of = ast.parse(path.read_text())
        names = {alias.asname or alias.name: alias.name for node in ast.walk(tree_of) if isinstance(node, ast.ImportFrom)
                 and node.module == "studio" for alias in node.names}  # fmt: skip
        found |= {f"{names[node.value.id]}.{node.attr}" for node in ast.walk(tree_of) if isinstance(node, ast.Attribute)
                  and isinstance(node.value, ast.Name) and node.value.id in names}  # fmt: skip
    return found


def test_every_command_is_documented_with_what_it_says_of_itself() -> None:
    said = dict(re.findall(r"^\| `tunewright ([^`]+)` \| ([^|]+) \|", TEXT, re.MULTILINE))
    assert said == {name: " ".join(inspect.cleandoc(command.help).split()) for name, command in COMMANDS.items()}


def test_every_command_takes_a_workspace_and_json_and_has_fields() -> None:
    short = [name for name, command in COMMANDS.items()
             if not {"--workspace", "--json"} <= {flag for one in command.params for flag in one.opts}]  # fmt: skip
    bare = [name for name, fields in documented().items() if "`" not in fields]
    assert (short, bare, len(documented())) == ([], [], len(COMMANDS))


def test_every_page_has_commands_and_every_command_a_page() -> None:
    named = {name for _, _, words in ACTS for name in re.findall(r"`([^`]+)`", words)}
    assert {page for page, _, _ in ACTS} == {place.title for place in PLACES}
    assert (sorted(named - set(COMMANDS)), sorted(set(COMMANDS) - named)) == ([], ["demo"])


def test_whatever_pages_ask_of_the_nouns_commands_ask_too() -> None:
    pages = used("pages", "studio/ui", "studio/components") & of_workspaces()
    assert sorted(pages - used("studio/commands") - NOT_TYPED) == []


def test_help_and_a_command_for_a_holder_import_nothing_large() -> None:
    code = "import sys, studio.cli; print(sorted(set(sys.modules) & {'duckdb', 'numpy', 'pandas', 'pydantic', 'streamlit'}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize("typed", [["nonsense", "--json"], ["--json", "status"], ["runs", "--json"], ["score", "--json"]])
def test_what_is_typed_wrongly_is_one_document(typed: list[str], monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tunewright", *typed])
    monkeypatch.delenv("STUDIO_WORKSPACE", raising=False)
    with pytest.raises(SystemExit) as ended:
        tree.main()
    assert (ended.value.code, sorted(json.loads(capsys.readouterr().out))) == (2, ["error", "hint"])


@pytest.mark.parametrize(("error", "said"), [
    (KeyError("a bug"), "Something broke unexpectedly (KeyError)."),
    (OSError(28, "No space left on device"), "The disk is full, so this was not done, or not to its end."),
    (KeyboardInterrupt(), "Stopped watching.")])
def test_a_bug_a_full_disk_and_ctrl_c_are_one_document(ws: Workspace, monkeypatch: pytest.MonkeyPatch, error: BaseException,
                                                       said: str) -> None:
    def breaks(*given: object) -> None:
        raise error

    monkeypatch.setattr(runs, "every", breaks)
    ran = run(ws, "runs", "list", "--json")
    assert (ran.status, ran.document["error"]) == (130 if isinstance(error, KeyboardInterrupt) else 1, said)


def test_words_that_meet_a_full_disk_end_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "argv", ["tunewright", "nonsense", "--json"])
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(SystemExit, match="could not be written: No space left"):
        tree.main()


def test_workers_without_a_cluster_are_refused(ws: Workspace) -> None:
    assert refused(ws, "check", "--on-workers", "2") == "--on-workers is given, but no cluster."


def test_the_examples_use_commands_that_there_are() -> None:
    text = (ROOT / "docs" / "examples" / "loop.sh").read_text()
    typed = re.findall(r"^\s*(?:\w+=\$\()?tunewright (\S+) (\S+)", text, re.MULTILINE)
    assert len(typed) > 9 and [one for one in typed if one[0] not in COMMANDS and " ".join(one) not in COMMANDS] == []


def test_no_command_prints_or_asks_where_it_runs() -> None:
    asks = re.compile(r"\bprint\(|typer\.echo|sys\.(stdout|stderr|stdin)|os\.environ")
    files = [path for path in (ROOT / "studio" / "commands").glob("*.py") if path.name not in ("calls.py", "tree.py")]
    wrong = [path.name for path in files if asks.search(path.read_text())]
    assert wrong == []
