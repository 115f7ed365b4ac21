"""The house's rules: who may import whom, how large things get, what a page may hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

TRAINS = {"torch", "transformers", "peft", "bitsandbytes", "sklearn", "rouge_score", "sacrebleu", "accelerate", "safetensors",
          "ray", "fsspec"}
HEAVY = TRAINS | {"rensa", "scipy", "model2vec", "openai", "cleanlab"}
LIGHT_PIPELINE = (
    "specs",
    "spec_deploy",
    "spec_look",
    "spec_place",
    "rundir",
    "launch",
    "device",
    "drift",
    "drift_families",
    "drift_tests",
    "drift_texts",
    "drift_topics",
    "drift_words",
    "examples",
    "errors",
    "template",
    "base_models",
    "evaluation",
    "foreign",
    "measures",
    "__main__",
    "checking/finding",
    "checking/kinds",
    "checking/cleaning",
    "checking/engine",
    "cluster/cargo",
    "cluster/ferry",
    "cluster/here",
    "cluster/job",
    "cluster/jobs",
    "cluster/look",
    "cluster/needs",
    "cluster/storage",
    "cluster/words",
    "deploy/comparing",
    "deploy/export",
    "deploy/parity",
    "deploy/push",
    "deploy/requests",
    "deploy/serve",
    "deploy/tools",
    "deploy/vllm",
    "dedupe/words",
    "keys",
    "machine",
    "managed/engine",
    "managed/files",
    "managed/quote",
    "managed/service",
    "playing",
    "playing_local",
    "preview",
    "receiving",
    "spec_live",
    "scoring/names",
    "spec_managed",
    "scoring/probes",
    "scoring/refusals",
    "scoring/labels",
    "scoring/engine",
    "synthesis/names",
    "synthesis/plan",
    "synthesis/prompts",
    "synthesis/templates",
    "training/fit",
    "training/plans",
    "training/recipe",
    "training/shape",
    "training/speed",
    "workers",
)
ENGINES = {"presidio_analyzer", "spacy", "ftfy", "py3langid", "phonenumbers"}
CHECKING_FOR_THE_APP = {
    "pipeline.checking.finding",
    "pipeline.checking.kinds",
    "pipeline.checking.cleaning",
    "pipeline.checking.pseudonyms",
}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path, top_only: bool = False) -> frozenset[str]:
    nodes: Iterator[ast.AST] = iter(tree(path).body) if top_only else ast.walk(tree(path))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def breaking(keeps: Callable[[Path], bool], *folders: str) -> list[str]:
    """The files below these folders that do not keep a rule."""
    return [str(path.relative_to(ROOT)) for path in sources(*folders) if not keeps(path)]


def test_pages_import_streamlit_and_studio_only() -> None:
    assert breaking(lambda path: tops(path) <= {"streamlit", "studio", "pathlib"}, "pages") == []


@pytest.mark.parametrize("path", sources("pages"), ids=lambda path: path.name)
def test_a_page_has_no_sql_session_state_try_or_file_access_and_stays_short(path: Path) -> None:
    text = path.read_text()
    calls = {
        node.func.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    trys = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Try)]
    assert (
        "session_state" in text,
        trys,
        calls & {"rows", "row", "value", "execute", "open", "read_text", "read_bytes"},
        len(text.splitlines()) <= 120,
    ) == (False, [], set(), True)


def test_studio_never_imports_what_trains_or_scores() -> None:
    assert breaking(lambda path: not tops(path) & HEAVY, "studio") == []


def test_only_ui_components_and_app_import_streamlit() -> None:
    def allowed(path: Path) -> bool:
        return path.parent.name in ("ui", "components") or path in (ROOT / "studio" / "app.py", ROOT / "studio" / "server.py")

    assert breaking(lambda path: allowed(path) or "streamlit" not in tops(path), "studio") == []


def test_only_workspace_imports_duckdb() -> None:
    assert [path.name for path in sources("studio", "pages", "pipeline") if "duckdb" in tops(path)] == ["workspace.py"]


def test_runs_and_starts_are_the_only_door_to_the_pipeline_and_findings_know_its_words() -> None:
    assert [path.name for path in sources("studio", "pages") if "pipeline" in tops(path)] == [
        "clusters.py",
        "collecting.py",
        "deploys.py",
        "drifts.py",
        "elsewhere.py",
        "findings.py",
        "hearing.py",
        "managed.py",
        "metrics.py",
        "receiving.py",
        "runs.py",
        "snapshot_exports.py",
        "starts.py",
        "synthetic.py",
    ]


def test_managed_imports_only_what_runs_at_a_service_are_asked_to_do() -> None:
    modules = {name for name in imported(ROOT / "studio" / "managed.py") if name.startswith("pipeline")}
    assert {".".join(name.split(".")[:2]) for name in modules} == {"pipeline.spec_managed"}


def test_metrics_import_only_the_light_words_of_the_scores() -> None:
    modules = {name for name in imported(ROOT / "studio" / "metrics.py") if name.startswith("pipeline")}
    assert {".".join(name.split(".")[:3]) for name in modules} == {"pipeline.scoring.names", "pipeline.scoring.probes"}


def test_deploys_import_only_the_specs_of_their_runs_and_where_other_programs_are() -> None:
    modules = {name for name in imported(ROOT / "studio" / "deploys.py") if name.startswith("pipeline")}
    assert {".".join(name.split(".")[:3]) for name in modules} <= {
        "pipeline.deploy", "pipeline.deploy.tools", "pipeline.spec_deploy", "pipeline.spec_deploy.ExportSpec",
        "pipeline.spec_deploy.ParitySpec", "pipeline.spec_deploy.PushSpec", "pipeline.spec_deploy.ServeSpec"}


def test_snapshot_exports_import_only_the_spec_of_a_push() -> None:
    modules = {name for name in imported(ROOT / "studio" / "snapshot_exports.py") if name.startswith("pipeline")}
    assert modules <= {"pipeline.spec_deploy", "pipeline.spec_deploy.PushSpec"}


def test_synthetic_imports_only_the_light_words_and_prompts_of_the_synthesis() -> None:
    modules = {name for name in imported(ROOT / "studio" / "synthetic.py") if name.startswith("pipeline")}
    assert {".".join(name.split(".")[:3]) for name in modules} <= {
        "pipeline.specs", "pipeline.specs.Cell", "pipeline.specs.Checks", "pipeline.specs.SynthesisSpec", "pipeline.specs.Work",
        "pipeline.synthesis", "pipeline.synthesis.names", "pipeline.synthesis.prompts"}


def test_findings_import_only_the_light_words_of_the_checks() -> None:
    modules = {name for name in imported(ROOT / "studio" / "findings.py") if name.startswith("pipeline")}
    assert {".".join(name.split(".")[:3]) for name in modules} <= CHECKING_FOR_THE_APP | {"pipeline.checking"}


def test_pipeline_imports_neither_studio_nor_streamlit_nor_duckdb() -> None:
    assert breaking(lambda path: not tops(path) & {"studio", "streamlit", "duckdb"}, "pipeline") == []


@pytest.mark.parametrize("name", LIGHT_PIPELINE)
def test_light_pipeline_modules_import_nothing_heavy_at_their_top(name: str) -> None:
    top = {module.split(".")[0] for module in imported(ROOT / "pipeline" / f"{name}.py", top_only=True)}
    assert not top & HEAVY


def test_functions_stay_under_sixty_lines() -> None:
    def short(path: Path) -> bool:
        functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]
        return all((node.end_lineno or 0) - node.lineno < 60 for node in functions)

    assert breaking(short, "studio", "pipeline", "pages") == []


def test_files_stay_under_four_hundred_lines() -> None:
    assert breaking(lambda path: len(path.read_text().splitlines()) <= 400, "studio", "pipeline", "pages") == []


def test_nobody_unpickles_or_trusts_remote_code() -> None:
    def safe(path: Path) -> bool:
        wrong = [word for word in ("trust_remote_code=True", "torch.load") if word in path.read_text()]
        return not tops(path) & {"pickle", "dill", "joblib"} and not wrong

    assert breaking(safe, "studio", "pipeline", "pages") == []


def test_the_app_and_its_nouns_load_without_torch_and_in_silence() -> None:
    code = (
        "import sys, studio.cli, studio.loop, studio.reviews, studio.ui.layout, studio.components.desk, studio.ui.charts;"
        f"print(sorted(set(sys.modules) & {HEAVY | ENGINES!r}))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_nothing_is_fetched_from_elsewhere_by_what_the_browser_gets() -> None:
    texts = [path.read_text() for pattern in ("*.js", "*.css", "*.svg") for path in (ROOT / "studio").rglob(pattern)]
    assert not [text for text in texts if "http://" in text.replace("http://www.w3.org/2000/svg", "") or "https://" in text]


def test_the_desk_never_writes_markup_from_data() -> None:
    text = (ROOT / "studio" / "components" / "desk.js").read_text()
    assert not [word for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(") if word in text]
