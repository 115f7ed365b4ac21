"""Twins among a million generated tickets: how long the search takes beside others, how much memory, and what it finds.

    python -m benchmarks.duplicates [--rows 1000000] [--peers PYTHON] [--only speed,peers,truth,sick,growth]

Peers, over the same texts: a bare single-threaded loop over rensa (3-word shingles, a sketch of 128 slots, ask the index, put
in), datasketch and text-dedup with equal settings on a tenth of the rows. Ours is everything from the workspace to groups in
the workspace: texts written out, read, sketched, compared, true similarities, collected, grouped. Each works in a process of
its own. datasketch and text-dedup are looked for in the Python given with `--peers`:

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install datasketch datasets click click-option-group tqdm regex xxhash rich bitarray zstandard ftfy \\
        psutil scipy setuptools
    /tmp/peers/bin/pip install --no-deps text-dedup==0.4.0

Then recall and precision of the pairs against every pair compared on 20,000 of the tickets, precision and recall by kind and
threshold on labelled sentence pairs, and how cost grows. Writes `duplicates.*` into results.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import record, sentence_pairs, twins

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("speed", "peers", "truth", "sick", "growth")
THRESHOLD, SLOTS, NGRAM = 0.8, 128, 3
BARE = """
import csv, json, sys, time
from rensa import RMinHash, RMinHashLSH
with open(sys.argv[1], newline="", encoding="utf-8") as file:
    texts = [row[1] for row in csv.reader(file)][1:]
began = time.perf_counter()
index = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16)
met = 0
for number, text in enumerate(texts):
    words = text.lower().split()
    sketch = RMinHash(num_perm=128, seed=42)
    sketch.update([" ".join(words[at : at + 3]) for at in range(len(words) - 2)])
    met += bool(index.query(sketch))
    index.insert(number, sketch)
print(json.dumps({"seconds": time.perf_counter() - began, "met": met}))
"""
BATCHED = """
import csv, json, sys, time
from rensa import RMinHash, RMinHashLSH
with open(sys.argv[1], newline="", encoding="utf-8") as file:
    texts = [row[1] for row in csv.reader(file)][1:]
began = time.perf_counter()
index = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16)
met = 0
for begin in range(0, len(texts), 10_000):
    split = [text.lower().split() for text in texts[begin : begin + 10_000]]
    shingles = [[" ".join(words[at : at + 3]) for at in range(len(words) - 2)] for words in split]
    matrix = RMinHash.digest_matrix_from_token_sets(shingles, 128, 42)
    met += sum(index.insert_matrix_and_query_duplicate_flags(matrix, begin))
print(json.dumps({"seconds": time.perf_counter() - began, "met": met}))
"""
DATASKETCH = """
import csv, json, sys, time
from datasketch import MinHash, MinHashLSH
with open(sys.argv[1], newline="", encoding="utf-8") as file:
    texts = [row[1] for row in csv.reader(file)][1:]
began = time.perf_counter()
index = MinHashLSH(threshold=0.8, num_perm=128, params=(16, 8))
met = 0
for number, text in enumerate(texts):
    words = text.lower().split()
    sketch = MinHash(num_perm=128)
    sketch.update_batch([" ".join(words[at : at + 3]).encode() for at in range(len(words) - 2)])
    met += bool(index.query(sketch))
    index.insert(number, sketch, check_duplication=False)
print(json.dumps({"seconds": time.perf_counter() - began, "met": met}))
"""
IMPORT = """
import sys
from pathlib import Path
from studio import intake, starts
from studio.columns import Choices, Columns
from studio.workspace import Workspace
ws = Workspace(Path(sys.argv[2]))
path = Path(sys.argv[1])
columns = Columns(ticket="ticket_id", message="customer_message", answer="agent_response")
intake.import_file(ws, path, path.name, Choices(columns))
ws.close()
print("{}")
"""
OURS = """
import json, sys, time
from pathlib import Path
from studio import runs, starts
from studio.workspace import Workspace
ws = Workspace(Path(sys.argv[1]))
began = time.perf_counter()
run_id = starts.search(ws, "question")
out = time.perf_counter() - began
while (run := runs.get(ws, run_id)).moving:
    time.sleep(0.05)
searched = time.perf_counter() - began
runs.collect(ws)
seconds = time.perf_counter() - began
assert run.result.outcome == "done", run.result.message
grouped = ws.row("select count(*) as n, count(distinct group_id) as groups from duplicate_groups")
print(json.dumps({"seconds": seconds, "out": out, "back": seconds - searched, "search": run.result.data["seconds"],
                  "said": run.result.message, "data": run.result.data} | grouped))
ws.close()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peers", default="/tmp/peers/bin/python", help="a Python that has datasketch and text-dedup")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    given = parser.parse_args()
    wanted = given.only.split(",")
    lines: list[str] = []
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        asked = {given.rows // 100: "growth", given.rows // 10: "peers", given.rows: "speed"}
        sizes = [rows for rows, part in asked.items() if "growth" in wanted or part in wanted]
        found = {rows: ours(Path(folder), rows) for rows in sizes}
        for part, make in (("speed", speed), ("peers", peers), ("growth", growth)):
            if part in wanted:
                make(Path(folder), given, found, figures, lines)
        if "truth" in wanted:
            truth(Path(folder), figures, lines)
    if "sick" in wanted:
        lines += ["", *sentence_pairs.table()]
    print("\n".join(lines))
    print(json.dumps(figures, indent=1))
    if set(wanted) == set(PARTS):
        record.keep(figures)
        record.table("duplicates", "Finding duplicates", lines)


def ours(folder: Path, rows: int) -> dict[str, float]:
    """Generate and import `rows` tickets, then search them in a process that did not import them."""
    path = csv_of(folder, rows)
    child([sys.executable, "-c", IMPORT, str(path), str(folder / f"ws{rows}")])
    with Memory() as memory:
        told = child([sys.executable, "-c", OURS, str(folder / f"ws{rows}")], memory)
    print(f"{rows:,} tickets: {told['seconds']:.2f} s, {memory.peak:.0f} MiB: {json.dumps(told)}", file=sys.stderr)
    return told | {"mib": memory.peak}


def csv_of(folder: Path, rows: int) -> Path:
    path = folder / f"{rows}.csv"
    if not path.exists():
        twins.write(path, rows)
    return path


def speed(folder: Path, given: argparse.Namespace, found: dict, figures: dict[str, float], lines: list[str]) -> None:
    path, mine = csv_of(folder, given.rows), found[given.rows]
    bare, batched = (child([sys.executable, "-c", code, str(path)]) for code in (BARE, BATCHED))
    slowdown = mine["seconds"] / bare["seconds"]
    figures |= {"duplicates.slowdown_vs_rensa_1m": round(slowdown, 3), "duplicates.peak_mib": round(mine["mib"])}
    lines += [
        f"{given.rows:,} generated tickets of about 60 words, a tenth of them planted twins:", "",
        "| what | seconds | |", "|---|---:|---|",
        f"| ours, from the workspace to groups in the workspace | {mine['seconds']:.1f} | out {mine['out']:.1f}, search "
        f"{mine['search']:.1f}, back and grouped {mine['back']:.1f}; {mine['mib']:.0f} MiB, all processes together |",
        f"| bare loop over rensa, one thread | {bare['seconds']:.1f} | ours takes {slowdown:.2f} times as long |",
        f"| the same in rensa's batches, with flags for an answer | {batched['seconds']:.1f} | "
        f"{mine['seconds'] / batched['seconds']:.2f} times |", "",
        f"{mine['said']} {mine['n']:,} records in {mine['groups']:,} groups from a similarity of 0.8 on."]


def peers(folder: Path, given: argparse.Namespace, found: dict, figures: dict[str, float], lines: list[str]) -> None:
    rows = given.rows // 10
    path, mine = csv_of(folder, rows), found[rows]
    if not Path(given.peers).exists():
        raise SystemExit(f"There is no {given.peers}. The head of this file says how to install the peers.")
    sketched = child([given.peers, "-c", DATASKETCH, str(path)])["seconds"]
    deduped = text_dedup(folder, path, given.peers)
    figures |= {"duplicates.speedup_vs_datasketch": round(sketched / mine["seconds"], 2),
                "duplicates.speedup_vs_text_dedup": round(deduped / mine["seconds"], 2)}
    lines += ["", f"{rows:,} of them, 128 slots, 16 bands of 8, 3-word shingles (ours, end to end: {mine['seconds']:.1f} s): "
              f"datasketch {sketched:.1f} s, ours is {sketched / mine['seconds']:.1f} times as fast; text-dedup 0.4.0 with two "
              f"processes {deduped:.1f} s, {deduped / mine['seconds']:.1f} times."]


def text_dedup(folder: Path, path: Path, python: str) -> float:
    """Seconds of its command, less what loading the command takes."""
    home = os.environ | {"HF_HOME": str(folder / "hf"), "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    command = [python, "-m", "text_dedup.minhash"]
    began = time.perf_counter()
    subprocess.run([*command, "--help"], check=True, capture_output=True, env=home)
    loading = time.perf_counter() - began
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--path", "csv", "--data_files", str(path), "--split", "train", "--column", "customer_message", "--output",
         str(folder / "deduped"), "--ngram", str(NGRAM), "--num_perm", str(SLOTS), "--threshold", str(THRESHOLD), "--b", "16",
         "--r", "8", "--min_length", "1", "--num_proc", "2", "--cache_dir", str(folder / "hf")],
        check=False, capture_output=True, text=True, env=home)
    if done.returncode:
        raise SystemExit(f"text-dedup broke:\n{done.stderr[-2000:]}")
    return time.perf_counter() - began - loading


def growth(folder: Path, given: argparse.Namespace, found: dict, figures: dict[str, float], lines: list[str]) -> None:
    sizes = sorted(found)
    times = [found[rows]["seconds"] for rows in sizes]
    slope = math.log(times[-1] / times[0]) / math.log(sizes[-1] / sizes[0])
    last = math.log(times[-1] / times[-2]) / math.log(sizes[-1] / sizes[-2])
    figures["duplicates.exponent"] = round(last, 3)
    lines += ["", "How cost grows: " + ", ".join(f"{rows:,}: {found[rows]['seconds']:.2f} s ({found[rows]['mib']:.0f} MiB)"
                                                  for rows in sizes) +
              f". Exponent {slope:.2f} from {sizes[0]:,} to {sizes[-1]:,}; {last:.2f} for the last factor of ten, where "
              "starting processes no longer counts."]


def truth(folder: Path, figures: dict[str, float], lines: list[str]) -> None:
    """Every pair of 20,000 tickets compared, by an index of word triples that shares no code with the search."""
    rows = 20_000
    told = ours(folder, rows)
    true = brute_force([text for text in twins.tickets(rows)])
    mine = pairs_of(folder / f"ws{rows}")
    recall, precision = len(true & mine) / len(true), len(true & mine) / max(len(mine), 1)
    figures |= {"duplicates.recall": round(recall, 4), "duplicates.precision": round(precision, 4)}
    lines += ["", f"Every pair of {rows:,} tickets compared: {len(true):,} have a Jaccard similarity of 0.8 or more (copies "
              f"included); the search (of {told['seconds']:.1f} s) finds {len(mine):,}: recall {recall:.4f}, precision "
              f"{precision:.4f}."]


def brute_force(texts: list[str]) -> set[tuple[int, int]]:
    """Pairs of places whose sets of 3-word shingles have a Jaccard similarity of at least 0.8."""
    import re

    sets = []
    for text in texts:
        words = re.sub(r"[^a-z0-9]+", " ", text.lower()).split()
        sets.append(frozenset(zip(words, words[1:], words[2:], strict=False)))
    having = defaultdict(list)
    found = set()
    for place, own in enumerate(sets):
        shared: Counter[int] = Counter()
        for shingle in own:
            shared.update(having[shingle])
            having[shingle].append(place)
        found |= {(other, place) for other, n in shared.items() if n / (len(own) + len(sets[other]) - n) >= THRESHOLD}
    return found


def pairs_of(home: Path) -> set[tuple[int, int]]:
    """The pairs at or above 0.8 that a workspace's search found, copies of both sides included, by ticket number."""
    from studio.workspace import Workspace

    ws = Workspace(home)
    found = ws.rows("""
        with known as (
            select t.copy_of, r.external_id[2:]::bigint as n from duplicate_texts t join records r using (record_id)),
        alike as (
            select a, b from duplicate_pairs where similarity >= 0.8 union all select distinct copy_of, copy_of from known)
        select distinct least(x.n, y.n) as a, greatest(x.n, y.n) as b from alike p
        join known x on x.copy_of = p.a join known y on y.copy_of = p.b where x.n <> y.n""")
    ws.close()
    return {(row["a"], row["b"]) for row in found}


class Memory:
    """The most memory that a process and all it started held at once, in MiB: proportional set sizes, looked at four times a
    second (what two share counts once)."""

    def __enter__(self) -> Memory:
        self.peak, self.pid, self._over = 0.0, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            if self.pid:
                self.peak = max(self.peak, sum(map(_mib, _family(self.pid))))


def _family(pid: int) -> list[int]:
    try:
        tasks = [(task / "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    return [pid, *(one for children in tasks for child in children for one in _family(int(child)))]


def _mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def child(command: list[str], memory: Memory | None = None) -> dict:
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    if memory:
        memory.pid = process.pid
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"A process broke: {command[:2]}")
    return json.loads(told)


if __name__ == "__main__":
    main()
