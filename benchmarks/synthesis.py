"""1,000 examples from a server that fails often: do all arrive, is anything asked again, is the pool kept full?

`python -m benchmarks.synthesis` starts a mock server that nobody here wrote (aimock): a call takes 100 to 300 ms, 10 % are 429
with Retry-After, 5 % are cut connections, 2 % malformed bodies. Once without faults and once with them, for the throughput;
once with them and the child killed by -9 at five random moments.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks import record
from tests import chat_server, children
from tests.synthesising import (
    FAULTS,
    accepted,
    answered_twice,
    asked_again,
    calls,
    finished,
    fixtures,
    killed_on_the_way,
    spec,
    waited,
)

N, CONCURRENCY, LATENCY = 1_000, 32, 0.2
COUNTED = f"{N:,} examples, {CONCURRENCY} at a time, {LATENCY * 1_000:.0f} ms ± 100 a call"


def throughput(folder: Path) -> float:
    """Calls a second while there was work for every thread (until the last new example was begun), as a share of concurrency by
    latency."""
    rows = calls(folder)
    first: dict[str, float] = {}
    for row in rows:
        first[row["slot"]] = min(row["at"], first.get(row["slot"], row["at"]))
    begun, last_new = min(first.values()), max(first.values())
    came = sum(row["at"] + row["seconds"] <= last_new for row in rows)
    return came / (last_new - begun) / (CONCURRENCY / LATENCY)


def seconds(folder: Path) -> float:
    """From the first call to the last reply."""
    rows = calls(folder)
    return float(max(row["at"] + row["seconds"] for row in rows) - min(row["at"] for row in rows))


def said(folder: Path) -> str:
    outcomes = Counter(row["outcome"] for row in calls(folder))
    return f"{outcomes.total():,} ({', '.join(f'{number:,} {what}' for what, number in outcomes.most_common())})"


def main() -> None:
    moments = sorted(random.uniform(0.02, 0.98) for _ in range(5))
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with chat_server.serving(home / "mock", fixtures(N), faults={"latency": FAULTS["latency"]}) as address:
            calm, _ = finished(home / "calm", spec(address, N, concurrency=CONCURRENCY))
        with chat_server.serving(home / "mock2", fixtures(N), faults=FAULTS) as address:
            once, _ = finished(home / "once", spec(address, N, concurrency=CONCURRENCY))
        with chat_server.serving(home / "mock3", fixtures(N), faults=FAULTS) as address:
            killed = killed_on_the_way(home / "killed", spec(address, N, concurrency=CONCURRENCY), address, moments)
            ended = children.finished(killed.folder, home / "killed")
            again, on_the_way = asked_again(killed, address), answered_twice(address)
        found = [accepted(folder) for folder in (calm, once, killed.folder)]
        doubled = [sum(times - 1 for times in one.values()) for one in found]
        shares = [throughput(calm), throughput(once)]
        least = min(waited(once) + waited(killed.folder, killed.times))
        at = ", ".join(f"{one:.0%}" for one in moments)
        lines = [
            f"{COUNTED}; with faults 10 % are 429 with Retry-After, 5 % cut connections, 2 % malformed bodies.", "",
            "| run | accepted | twice | asked again | calls | seconds | throughput of concurrency / latency |",
            "|---|---|---|---|---|---|---|",
            f"| no faults | {len(found[0]):,} | {doubled[0]} | 0 | {said(calm)} | {seconds(calm):.1f} | {shares[0]:.2f} |",
            f"| faults | {len(found[1]):,} | {doubled[1]} | 0 | {said(once)} | {seconds(once):.1f} | {shares[1]:.2f} |",
            f"| faults, five kill -9 | {len(found[2]):,} | {doubled[2]} | {again} | {said(killed.folder)} | | |", "",
            "Throughput counts calls while there is work for every thread; the last few wait for their Retry-After (1 s was "
            f"asked for, at least {least:.2f} s went by). The kills came when {at} of the examples were there. Asked again: "
            "requests in the server's journal after a kill for a reply that was written before it. Answered well, but still on "
            f"their way when the child was killed, which nobody can know: {on_the_way}.",
        ]
    print(ended.message, *lines, sep="\n")
    record.keep({"synthesis.delivered": len(found[2]), "synthesis.paid_twice": again + sum(doubled),
                 "synthesis.throughput_share": round(shares[1], 3)})
    record.table("synthesis", "Synthetic examples from a server that fails often", lines)


if __name__ == "__main__":
    main()
