"""The house's rules: who may import whom, how large things get, what a page may hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
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


def imported(path: Path, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes: Iterator[ast.AST] = iter(tree.body) if top_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", sources("pages"), ids=lambda path: path.name)
def test_pages_import_streamlit_and_studio_only(path: Path) -> None:
    assert tops(path) <= {"streamlit", "studio", "pathlib"}


@pytest.mark.parametrize("path", sources("pages"), ids=lambda path: path.name)
def test_a_page_has_no_sql_session_state_try_or_file_access_and_stays_short(path: Path) -> None:
    text = path.read_text()
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    trys = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Try)]
    assert (
        "session_state" in text,
        trys,
        calls & {"rows", "row", "value", "execute", "open", "read_text", "read_bytes"},
        len(text.splitlines()) <= 120,
    ) == (False, [], set(), True)


@pytest.mark.parametrize("path", sources("studio"), ids=lambda path: str(path.relative_to(ROOT)))
def test_studio_never_imports_what_trains_or_scores(path: Path) -> None:
    assert not tops(path) & HEAVY


@pytest.mark.parametrize("path", sources("studio"), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_ui_components_and_app_import_streamlit(path: Path) -> None:
    allowed = path.parent.name in ("ui", "components") or path.name == "app.py"
    assert allowed or "streamlit" not in tops(path)


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
        "managed.py",
        "metrics.py",
        "receiving.py",
        "runs.py",
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


def test_synthetic_imports_only_the_light_words_and_prompts_of_the_synthesis() -> None:
    modules = {name for name in imported(ROOT / "studio" / "synthetic.py") if name.startswith("pipeline")}
    assert {".".join(name.split(".")[:3]) for name in modules} <= {
        "pipeline.specs", "pipeline.specs.Cell", "pipeline.specs.Checks", "pipeline.specs.SynthesisSpec", "pipeline.specs.Work",
        "pipeline.synthesis", "pipeline.synthesis.names", "pipeline.synthesis.prompts"}


def test_findings_import_only_the_light_words_of_the_checks() -> None:
    modules = {name for name in imported(ROOT / "studio" / "findings.py") if name.startswith("pipeline")}
    assert {".".join(name.split(".")[:3]) for name in modules} <= CHECKING_FOR_THE_APP | {"pipeline.checking"}


@pytest.mark.parametrize("path", sources("pipeline"), ids=lambda path: str(path.relative_to(ROOT)))
def test_pipeline_imports_neither_studio_nor_streamlit_nor_duckdb(path: Path) -> None:
    assert not tops(path) & {"studio", "streamlit", "duckdb"}


@pytest.mark.parametrize("name", LIGHT_PIPELINE)
def test_light_pipeline_modules_import_nothing_heavy_at_their_top(name: str) -> None:
    top = {module.split(".")[0] for module in imported(ROOT / "pipeline" / f"{name}.py", top_only=True)}
    assert not top & HEAVY


@pytest.mark.parametrize("path", sources("studio", "pipeline", "pages"), ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_stay_under_sixty_lines_and_files_under_four_hundred(path: Path) -> None:
    long = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert (long, len(path.read_text().splitlines()) <= 400) == ([], True)


@pytest.mark.parametrize("path", sources("studio", "pipeline", "pages"), ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_unpickles_or_trusts_remote_code(path: Path) -> None:
    text = path.read_text()
    assert not tops(path) & {"pickle", "dill", "joblib"} and "trust_remote_code=True" not in text and "torch.load" not in text


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
