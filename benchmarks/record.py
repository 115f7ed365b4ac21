"""Where figures go: one flat object in results.json, one table a benchmark in RESULTS.md, between its own marks."""

from __future__ import annotations

import json
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASURED_WITH = ("streamlit", "duckdb", "torch", "transformers", "peft", "bitsandbytes")


def keep(figures: dict[str, float]) -> None:
    """Put figures into results.json beside those of other benchmarks."""
    path = HERE / "results.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(dict(sorted((known | figures).items())), indent=1) + "\n")


def table(name: str, title: str, lines: list[str]) -> None:
    """Write or replace the section of one benchmark, with date, machine and versions."""
    path = HERE / "RESULTS.md"
    text = (
        path.read_text()
        if path.exists()
        else "# Results\n\nWritten by the scripts beside; each says when, where and with what.\n"
    )
    body = "\n".join(
        [
            f"<!-- {name} -->",
            f"## {title}",
            "",
            f"{datetime.now(UTC):%Y-%m-%d} · {machine()} · {versions()}",
            "",
            *lines,
            f"<!-- /{name} -->",
        ]
    )
    marks = re.compile(rf"<!-- {name} -->.*<!-- /{name} -->", re.S)
    path.write_text(marks.sub(lambda _: body, text) if marks.search(text) else f"{text}\n{body}\n")


def machine() -> str:
    import os

    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return f"{os.cpu_count()} cores, {model[1] if model else platform.processor()}, Python {platform.python_version()}"


def versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in MEASURED_WITH)
