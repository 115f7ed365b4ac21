"""1,000 examples from a server that fails often: do all arrive, is any paid twice, is the pool kept full?

`python -m benchmarks.synthesis` starts a mock server that nobody here wrote (aimock): every call takes 200 ms (it cannot vary
that), 10 % are 429 with Retry-After, 5 % are cut connections, 2 % malformed bodies. Once in one go, for the throughput; once
with the child killed by -9 at five moments. """

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import record
from tests import chat_server, children
from tests.synthesising import accepted, calls, finished, fixtures, killed_on_the_way, paid_twice, spec

N, CONCURRENCY, LATENCY = 1_000, 32, 0.2
FAULTS = ("--chaos-ratelimit", "0.1", "--chaos-disconnect", "0.05", "--chaos-malformed", "0.02", "--chaos-latency", "200",
          "--journal-max", "0")


def throughput(folder: Path) -> tuple[float, float]:
    """Calls a second while there was work for every thread (until the last new example was begun), as a share of concurrency by
    latency; and the seconds from the first call to the last reply."""
    rows = calls(folder)
    first: dict[str, float] = {}
    for row in rows:
        first[row["slot"]] = min(row["at"], first.get(row["slot"], row["at"]))
    begun, last_new = min(first.values()), max(first.values())
    came = sum(row["at"] + row["seconds"] <= last_new for row in rows)
    return came / (last_new - begun) / (CONCURRENCY / LATENCY), max(row["at"] + row["seconds"] for row in rows) - begun


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with chat_server.serving(home / "mock", fixtures(N), *FAULTS) as address:
            folder, ended = finished(home / "once", spec(address, N, concurrency=CONCURRENCY))
            share, seconds = throughput(folder)
            outcomes = Counter(row["outcome"] for row in calls(folder))
            once = len(accepted(folder))
        with chat_server.serving(home / "mock2", fixtures(N), *FAULTS) as address:
            asked = spec(address, N, concurrency=CONCURRENCY)
            folder = killed_on_the_way(home / "killed", asked, (0.08, 0.27, 0.5, 0.66, 0.9))
            children.finished(folder, home / "killed")
            found, twice, asked_again = accepted(folder), paid_twice(folder, address, N), len(calls(folder))
    doubled = sum(times - 1 for times in found.values())
    said = ", ".join(f"{number} {what}" for what, number in outcomes.items())
    lines = [f"{N:,} examples, {CONCURRENCY} at a time, 200 ms a call, 10 % 429 with Retry-After, 5 % cut connections, 2 % "
             "malformed.", "",
             "| run | accepted | twice | paid twice | calls | seconds | throughput of concurrency / latency |",
             "|---|---|---|---|---|---|---|",
             f"| in one go | {once:,} | 0 | 0 | {sum(outcomes.values()):,} ({said}) | {seconds:.1f} | {share:.2f} |",
             f"| killed five times with -9 | {len(found):,} | {doubled} | {twice} | {asked_again:,} | | |", "",
             "Throughput is counted while there is work for every thread; the last few wait for their Retry-After. Paid twice: "
             "answered well by the server's journal after its reply was written down here."]
    print(ended.message, *lines, sep="\n")
    record.keep({"synthesis.delivered": len(found), "synthesis.paid_twice": twice + doubled,
                 "synthesis.throughput_share": round(share, 3)})
    record.table("synthesis", "Synthetic examples from a server that fails often", lines)


if __name__ == "__main__":
    main()
