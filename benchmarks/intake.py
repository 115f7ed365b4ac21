"""A generated ticket export of a million rows: how long the import takes beside what others would do, and how much memory.

    python -m benchmarks.intake [--rows 1000000] [--check 40000]

Peers, in the same run and on the same file: DuckDB's bare `read_csv` into a table, and the loop people write first:
`pandas.read_csv`, `iterrows`, and for each row an insert of its record and one of its wording into the same database engine
(the loop without the inserts keeps nothing; its time is printed too). Ours is everything up to records that Curate shows. Each
works in a process of its own, whose peak memory the operating system counts. Writes `intake.*` into results.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import record

ROUNDS = 3
LOOPED_ROWS = 5_000
PEER = """
import json, resource, sys, time
import duckdb
began = time.perf_counter()
connection = duckdb.connect(sys.argv[2] + "/bare.duckdb", config={"threads": 2})
connection.execute("create table tickets as select * from read_csv(?)", [sys.argv[1]])
connection.close()
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
LOOP = """
import json, sys, time
import duckdb, pandas
frame = pandas.read_csv(sys.argv[1], nrows=int(sys.argv[3]))

def loop(keep):
    began = time.perf_counter()
    for _, row in frame.iterrows():
        if row["satisfaction_score"] >= 1:
            keep(row["ticket_id"], row["satisfaction_score"], row["tags"], json.dumps([
                {"role": "user", "content": row["customer_message"]},
                {"role": "assistant", "content": row["agent_response"]}]))
    return time.perf_counter() - began

connection = duckdb.connect(sys.argv[2] + "/loop.duckdb", config={"threads": 2})
connection.execute("create table records (ticket varchar, rating double, tags varchar)")
connection.execute("create table wordings (ticket varchar, messages varchar)")

def store(ticket, rating, tags, messages):
    connection.execute("insert into records values (?, ?, ?)", [ticket, rating, tags])
    connection.execute("insert into wordings values (?, ?)", [ticket, messages])

kept = []
dry = loop(lambda *record: kept.append(record))
print(json.dumps({"dry": dry, "seconds": loop(store)}))
"""
OURS = """
import json, resource, sys, time
from pathlib import Path
from studio import intake, records, starts
from studio.workspace import Workspace
began = time.perf_counter()
ws = Workspace(Path(sys.argv[2]) / "ws")
staging = intake.read(ws, [Path(sys.argv[1])])
read = time.perf_counter() - began
report = intake.import_staged(ws, staging, intake.look(ws, staging).choices)
staging.discard()
first = records.page(ws, records.Filter(), 30)
seconds = time.perf_counter() - began
began = time.perf_counter()
page = records.page(ws, records.Filter(), 30, after=first[-1].record_id)
page_ms = (time.perf_counter() - began) * 1000
assert len(first) == len(page) == 30 and report.rows_in == report.rows_imported
ws.close()
print(json.dumps({"seconds": seconds, "read": read, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                  "rows": report.rows_imported, "page_ms": page_ms}))
"""
CHECK = """
import json, sys, time
from pathlib import Path
from studio import intake, runs, starts
from studio.workspace import Workspace
ws = Workspace(Path(sys.argv[2]) / "checked")
staging = intake.read(ws, [Path(sys.argv[1])])
report = intake.import_staged(ws, staging, intake.look(ws, staging).choices)
staging.discard()
began = time.perf_counter()
run_id = starts.check(ws)
while (run := runs.get(ws, run_id)).moving:
    time.sleep(0.05)
runs.collect(ws)
seconds = time.perf_counter() - began
assert run.result.outcome == "done", run.result.message
print(json.dumps({"seconds": seconds, "rows": report.conversations, "said": run.result.message}))
ws.close()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--check", type=int, default=40_000)
    given = parser.parse_args()
    lines = ["| rows | file | DuckDB read_csv | import | ratio | peak memory | next page of 30 |",
             "|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        for rows in (given.rows // 100, given.rows // 10, given.rows):
            path = Path(folder) / f"{rows}.csv"
            size = generate(path, rows)
            bare, ours = sides(path, ROUNDS)
            ratio = ours["seconds"] / bare["seconds"]
            lines.append(f"| {rows:,} | {size / 1e6:.0f} MB | {bare['seconds']:.2f} s | {ours['seconds']:.2f} s | "
                         f"{ratio:.2f} | {ours['mib']:.0f} MiB | {ours['page_ms']:.0f} ms |")
            print(lines[-1], flush=True)
        looped = min(given.rows, LOOPED_ROWS)
        loop = child(LOOP, path, looped)
        some = Path(folder) / "some.csv"
        generate(some, given.check)
        checked = child(CHECK, some, 0)
    a_row = ours["seconds"] / given.rows * 1e6
    speedup, dry = loop["seconds"] / looped * 1e6 / a_row, loop["dry"] / looped * 1e6 / a_row
    per_second = checked["rows"] / checked["seconds"]
    lines += ["", f"`pandas.read_csv` + `iterrows` + an insert of record and wording a row, over {looped:,} of these rows: "
              f"the import is {speedup:.0f} times as fast a row (against the same loop that keeps nothing: {dry:.1f} times). "
              f"A check of {given.check:,} records (personal data, cleaning, quality, all together): {per_second:,.0f} "
              f"records/s on two cores, from the press to the findings. {checked['said']}"]
    record.keep({"intake.slowdown_vs_duckdb": round(ratio, 2), "intake.speedup_vs_iterrows": round(speedup, 1),
                 "intake.peak_mib": round(ours["mib"]), "intake.findings_per_s": round(per_second),
                 "intake.next_page_ms": round(ours["page_ms"], 1)})
    record.table("intake", "Importing a help desk's export", lines)
    print("\n".join(lines))


def sides(path: Path, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """The better of a few rounds for either side, taken in turns so that both meet the same machine."""
    both = [(child(PEER, path, 0), child(OURS, path, 0)) for _ in range(rounds)]
    bare = min((pair[0] for pair in both), key=lambda found: found["seconds"])
    return bare, min((pair[1] for pair in both), key=lambda found: found["seconds"])


def child(code: str, path: Path, number: int) -> dict[str, float]:
    """What a piece of code printed about itself, run in a process and a folder of its own."""
    os.sync()  # what the one before wrote must not slow this one down
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        done = subprocess.run([sys.executable, "-c", code, str(path), folder, str(number)], check=True, capture_output=True,
                              text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


PARTS = (
    ("My", "The", "Your", "Our new", "That old", "This", "The second", "The green", "The large", "His"),
    ("parcel", "lamp", "tent", "order", "invoice", "account", "jacket", "stove", "refund", "subscription", "backpack",
     "voucher"),
    ("arrived late and damaged", "does not work any more", "was charged twice", "has the wrong colour", "cannot be opened",
     "is still missing", "fits better than the last one", "was sent to an old address", "broke on the first day"),
    ("since last Monday", "after the update", "although I paid for it", "and nobody answered", "when I tried it at home",
     "for the third time", "so please look into it", "because a part was left out", "while we were on holiday"),
    ("and I would like a replacement", "so I want my money back", "but the colour is nice", "which is a pity",
     "and we will send a new one tomorrow", "so please restart it once", "and a credit note is on its way",
     "as the guide on our site explains", "and the courier confirmed it"))


def generate(path: Path, rows: int, seed: int = 7) -> int:
    """Write a ticket export with quotes, line breaks and names in it, about 500 bytes a row; returns its size in bytes."""
    dice = random.Random(seed)
    sentences = [" ".join(dice.choice(part) for part in PARTS) + dice.choice("...!?") for _ in range(20_000)]
    words = [f"{thing.replace(' ', '-')}-{trouble.split()[0]}" for thing in PARTS[1] for trouble in PARTS[2]]

    def text(count: int) -> str:
        return dice.choice((" ", " ", "\n")).join(dice.choice(sentences) for _ in range(count))

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ticket_id", "created_at", "customer_name", "customer_email", "subject", "customer_message",
                         "agent_response", "satisfaction_score", "status", "tags"])
        for n in range(rows):
            writer.writerow([f"T{n:07d}", f"2026-{1 + n % 12:02d}-{1 + n % 28:02d} {n % 24:02d}:{n % 60:02d}:00",
                             f"Name{n % 5000} Sur{n % 777}", f"user{n}@example.com", dice.choice(sentences)[:40], text(2),
                             f'Dear customer, "{dice.choice(words)}" {text(2)}', str(1 + n % 5), "closed", words[n % 40]])
    return path.stat().st_size


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"({time.perf_counter() - began:.0f} s)")
