"""A million rows of production logs: how long they take to come in beside DuckDB's bare reading, and how long the page takes.

python -m benchmarks.monitor [--rows 1000000] [--rounds 2]

The peer, in the same run and on the same file: `create table … as select * from read_json / read_csv / read_parquet`, as DuckDB
guesses it. Ours is everything: the file's hash, the row's hash, question and answer out of the messages, ratings, moments, what
is here already, what is no row, and the stored rows. JSONL is in LiteLLM's shape (1.4 KB a row), CSV and Parquet are plain
columns of the same rows. The page is a real studio in a real browser, opened for the first time after its start. Writes
`monitor.*`.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from benchmarks import record
from benchmarks.curate_table import WATCH, after
from benchmarks.intake import PARTS, child
from studio import logs, targets
from studio.workspace import Workspace
from tests.browser import chromium, running, settled

STANDS = """
new MutationObserver(() => {
    if (window.stood || !document.body) return;
    if (document.body.innerText.includes('with 95 % intervals')) window.stood = performance.now();
}).observe(document, { subtree: true, childList: true });
"""
PEER = """
import json, resource, sys, time
import duckdb
reader = {"jsonl": "read_json", "csv": "read_csv", "parquet": "read_parquet"}[sys.argv[1].rsplit(".", 1)[1]]
began = time.perf_counter()
connection = duckdb.connect(sys.argv[2] + "/bare.duckdb", config={"threads": 2})
connection.execute(f"create table logs as select * from {reader}(?)", [sys.argv[1]])
connection.close()
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
OURS = """
import json, resource, sys, time
from pathlib import Path
from studio import live, logs
from studio.workspace import Workspace
ws = Workspace(Path(sys.argv[2]) / "ws")
began = time.perf_counter()
report = logs.add(ws, logs.look(ws, Path(sys.argv[1])), "path", "benchmark")
seconds = time.perf_counter() - began
assert report.rows_added == report.rows_in == int(sys.argv[3]), report
began = time.perf_counter()
live.picture(ws, None)
picture = time.perf_counter() - began
began = time.perf_counter()
assert logs.add(ws, logs.look(ws, Path(sys.argv[1])), "path", "benchmark").same
again = time.perf_counter() - began
ws.close()
print(json.dumps({"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "picture": picture,
                  "again": again}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    heads = ("rows", "file", "DuckDB, bare", "ours", "ratio", "peak memory", "the same file again")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in generate(Path(folder), given.rows):
            both = [(child(PEER, path, 0), child(OURS, path, given.rows)) for _ in range(given.rounds)]
            bare, ours = (min((pair[side] for pair in both), key=lambda found: found["seconds"]) for side in (0, 1))
            ratios[path.suffix[1:]] = ours["seconds"] / bare["seconds"]
            size = f"{path.suffix[1:]}, {path.stat().st_size / 1e6:,.0f} MB"
            lines.append(f"| {given.rows:,} | {size} | {bare['seconds']:.2f} s | {ours['seconds']:.2f} s | "
                         f"{ratios[path.suffix[1:]]:.2f} | {ours['mib']:,.0f} MiB | {ours['again']:.2f} s |")
            print(lines[-1], flush=True)
        figures, drawn, everything = page(Path(folder), path, given.rows)
    lines += ["", f"The page at {given.rows:,} rows, opened first in a studio that has just started: {figures:.2f} s until the "
              f"figures stand, {drawn:.2f} s until the last change; all the logs instead of 7 days: {everything:.2f} s."]
    took = {"monitor.page_s": figures, "monitor.page_settled_s": drawn, "monitor.page_all_s": everything}
    took |= {f"monitor.slowdown_{name}": ratio for name, ratio in ratios.items()}
    took |= {"monitor.slowdown_vs_duckdb": max(ratios.values())}
    record.keep({name: round(value, 2) for name, value in took.items()})
    record.table("monitor", "Production logs", lines)
    print("\n".join(lines))


def generate(folder: Path, rows: int, seed: int = 7) -> list[Path]:
    """The same rows as JSONL in LiteLLM's shape, as CSV and as Parquet: a month of two models and three topics."""
    import duckdb

    dice = random.Random(seed)
    sentences = [" ".join(dice.choice(part) for part in PARTS) + "." for _ in range(20_000)]
    path = folder / "litellm.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            file.write(json.dumps(payload(dice, sentences, n, rows)) + "\n")
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("set temp_directory = ''")
    plain = f"""select id as request_id, to_timestamp(startTime) as created_at, model, messages[2].content as question,
                       response.choices[1].message.content as answer, metadata.rating as feedback,
                       endTime - startTime as latency_s,
                       prompt_tokens, completion_tokens, response_cost as cost_usd, request_tags[1] as topic, end_user
                from read_json('{path}')"""
    for name, options in (("plain.csv", ""), ("plain.parquet", " (compression zstd)")):
        connection.execute(f"copy ({plain}) to '{folder / name}'{options}")
    connection.close()
    return [path, folder / "plain.csv", folder / "plain.parquet"]


def payload(dice: random.Random, sentences: list[str], n: int, rows: int) -> dict[str, object]:
    """One line as LiteLLM's loggers write it (StandardLoggingPayload)."""
    began, took = 1_790_000_000 + n * 30 * 86_400 / rows, dice.lognormvariate(-0.3, 0.5)
    model, read, written = f"support-v{1 + n % 2}", dice.randint(80, 160), dice.randint(30, 90)
    asked, said = (" ".join(dice.choice(sentences) for _ in range(2)) for _ in range(2))
    answer = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    return {
        "id": f"chatcmpl-{n:08x}", "trace_id": f"t{n:08x}", "call_type": "acompletion", "stream": False,
        "response_cost": (read * 0.1 + written * 0.4) / 1e6, "status": "success", "total_tokens": read + written,
        "prompt_tokens": read, "completion_tokens": written, "startTime": began, "endTime": began + took,
        "completionStartTime": began + took / 3, "response_time": took, "model": model, "model_group": model,
        "api_base": "http://10.0.0.5:8000/v1", "metadata": {"rating": dice.choice(["up", "up", "down", None, None])},
        "cache_hit": False, "request_tags": [("returns", "orders", "billing")[n % 3]], "end_user": f"user{n % 5000}",
        "messages": [{"role": "system", "content": "You are a helpful customer support agent. Answer in two sentences."},
                     {"role": "user", "content": asked}],
        "response": {"id": f"chatcmpl-{n:08x}", "object": "chat.completion", "created": int(began), "model": model,
                     "choices": [answer], "usage": {"prompt_tokens": read, "completion_tokens": written,
                                                    "total_tokens": read + written}}}  # fmt: skip


def page(folder: Path, path: Path, rows: int) -> tuple[float, float, float]:
    """Seconds from the click in the navigation of a studio that was just started until the figures stand, and until the last
    change (the chart and the tables are drawn); then from the click on all the logs until their figures stand."""
    ws = Workspace(folder / "ws")
    logs.add(ws, logs.look(ws, path), "path", "benchmark")
    targets.say(ws, "latency_p95", 2.0, "benchmark")
    targets.say(ws, "thumbs", 0.8, "benchmark")
    ws.close()
    with running(folder / "ws") as studio, chromium() as browser:
        tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        tab.add_init_script(WATCH + STANDS)
        tab.goto(f"{studio.url}/runs")
        settled(tab)
        drawn = after(tab, tab.get_by_role("link", name="Monitor").first.click)
        figures = float(tab.evaluate("window.stood - window.began"))
        began = time.perf_counter()
        tab.get_by_role("radio", name="everything", exact=True).click()
        tab.get_by_text(f"{rows:,} answers from").wait_for()
        everything = time.perf_counter() - began
        assert not tab.get_by_test_id("stException").count()
    return figures / 1000, drawn / 1000, everything


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"({time.perf_counter() - began:.0f} s)")
