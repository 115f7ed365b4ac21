"""How much personal data is found, on sentences whose spans others labelled, and how fast.

    python -m benchmarks.privacy [LABELLED.json ...]

Without arguments: every labelled file in ../shared/data/pii_presidio (its SOURCE.md says where the larger ones come from).
Prints a table and every miss and false hit with `--misses`; writes `intake.pii_*` into results.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks import record
from pipeline.checking.finding import Messages
from pipeline.checking.privacy import KINDS, privacy_findings
from pipeline.checking.privacy_engines import engines

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
LABELLED = SHARED / "pii_presidio"
TICKETS = SHARED / "bitext_llm" / "bitext_support_responses_v2_2023-08-18.csv"
KIND_OF_LABEL = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "card",
    "PHONE_NUMBER": "phone",
    "IBAN_CODE": "iban",
    "US_SSN": "ssn",
    "IP_ADDRESS": "ip",
    "US_DRIVER_LICENSE": "id_number",
    "PERSON": "name",
    "ADDRESS": "address",
    "STREET_ADDRESS": "address",
    "ZIP_CODE": "address",
}
STRUCTURED = ("email", "card", "phone", "iban", "ssn", "ip")
THRESHOLD = {kind.key: kind.threshold for kind in KINDS}


class Span(NamedTuple):
    kind: str
    start: int
    end: int


class Tally(NamedTuple):
    """Counts by kind: labels, labels met, hits, hits that met a label; and the texts of what went wrong."""

    labels: Counter[str]
    met: Counter[str]
    hits: Counter[str]
    right: Counter[str]
    wrong: list[str]


def tally(sentences: Sequence[dict]) -> Tally:
    """A label is met when a hit of its kind shares a character with it; a hit is right when it shares one with a label of its
    kind, and wrong everywhere else: on another kind's label as well as on plain text. No column names are given."""
    counts = Tally(Counter(), Counter(), Counter(), Counter(), [])
    for sentence in sentences:
        text = sentence["full_text"]
        labels = [
            Span(KIND_OF_LABEL[span["entity_type"]], span["start_position"], span["end_position"])
            for span in sentence["spans"]
            if span["entity_type"] in KIND_OF_LABEL
        ]
        found = privacy_findings([{"role": "user", "content": text}])
        hits = [Span(one.kind, one.start, one.end) for one in found if one.score >= THRESHOLD[one.kind]]
        _count(text, labels, hits, counts.labels, counts.met, "missed", counts.wrong)
        _count(text, hits, labels, counts.hits, counts.right, "false", counts.wrong)
    return counts


def _count(
    text: str, spans: list[Span], others: list[Span], every: Counter[str], good: Counter[str], word: str, wrong: list[str]
) -> None:
    for span in spans:
        every[span.kind] += 1
        if any(span.kind == other.kind and span.start < other.end and other.start < span.end for other in others):
            good[span.kind] += 1
        else:
            around = text[max(0, span.start - 40) : span.end + 25]
            wrong.append(f"{word} {span.kind}: {text[span.start : span.end]!r} in {around!r}")


def labelled(paths: Sequence[Path]) -> list[dict]:
    return [sentence for path in paths for sentence in json.loads(path.read_text(encoding="utf-8"))]


def measure(paths: Sequence[Path] = ()) -> dict[str, float]:
    """`intake.pii_recall_<kind>` and `intake.pii_precision_<kind>` from 0 to 1 over all files together; kinds that no label or
    no hit speaks about are left out."""
    return figures(tally(labelled(paths or sorted(LABELLED.glob("*.json")))))


def figures(counts: Tally) -> dict[str, float]:
    recalls = {f"intake.pii_recall_{kind}": round(counts.met[kind] / every, 4) for kind, every in counts.labels.items()}
    precisions = {
        f"intake.pii_precision_{kind}": round(counts.right[kind] / every, 4)
        for kind, every in counts.hits.items()
        if counts.labels[kind]
    }
    return recalls | precisions


def records_per_second(conversations: list[Messages], named: bool = False) -> float:
    """Records a second of one core's own time, after Presidio is loaded: the best of three rounds."""
    engines()
    best = 0.0
    for _ in range(3):
        began = time.process_time()
        for number, messages in enumerate(conversations):
            privacy_findings(messages, [f"Jane{number} Doe{number}", f"jane{number}@mail.com"] if named else ())
        best = max(best, len(conversations) / (time.process_time() - began))
    return best


def tickets(count: int) -> list[Messages]:
    with TICKETS.open(newline="", encoding="utf-8") as file:
        rows = [row for _, row in zip(range(count), csv.DictReader(file), strict=False)]
    return [
        [{"role": "user", "content": row["instruction"]}, {"role": "assistant", "content": row["response"]}] for row in rows
    ]


def rows(counts: Tally) -> list[str]:
    def share(part: int, whole: int) -> str:
        return f"{part / whole:.3f}" if whole else "none"

    return [
        "| kind | labels | recall | hits | precision |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {kind} | {counts.labels[kind]} | {share(counts.met[kind], counts.labels[kind])} "
            f"| {counts.hits[kind]} | {share(counts.right[kind], counts.hits[kind])} |"
            for kind in (*STRUCTURED, "id_number", "name", "address")
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labelled", type=Path, nargs="*")
    parser.add_argument("--misses", action="store_true")
    given = parser.parse_args()
    paths = given.labelled or sorted(LABELLED.glob("*.json"))
    counts = tally(labelled(paths))
    if given.misses:
        print("\n".join(counts.wrong))
    record.keep(figures(counts))
    files = ", ".join(f"{path.name} (sha256 {sha256(path.read_bytes()).hexdigest()[:16]})" for path in paths)
    lines = [
        f"presidio-analyzer {version('presidio-analyzer')} on presidio-research {files}: {len(labelled(paths)):,} sentences, "
        "no column names, no model. A hit and a label match when they share a character.",
        "",
        *rows(counts),
    ]
    record.table("privacy", "Personal data found", lines)
    print("\n".join(lines))
    if TICKETS.exists():
        clean = tickets(2000)
        print(f"\n{records_per_second(clean):,.0f} records/s on one core, support tickets without personal data")
        print(f"{records_per_second(clean, named=True):,.0f} records/s with a name and an address known")


if __name__ == "__main__":
    main()
