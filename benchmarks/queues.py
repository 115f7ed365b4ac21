"""How long a label queue takes to say what comes next, over generated records: 10,000, 100,000 and 1,000,000.

    python -m benchmarks.queues [ROWS ...]

A tenth of the records is labelled by four people. Prints the first, the median and the 95th percentile, in ms, of
`queues.window` for every filter and order, of one press (`labels.answer`), of an undo and of the progress; writes the table
`queues` into RESULTS.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from benchmarks import record
from studio import acts, label_sets, labels, marks, queues, records
from studio.boards import Order, Show
from studio.queues import QueueFilter
from studio.workspace import Workspace

ROUNDS = 40
RECORD = "'r' || md5(n::varchar)[:15]"
TURNS = '[{"role":"user","content":"Where is parcel %s?"},{"role":"assistant","content":"It is on its way."}]'
MOOD = {"name": "Mood", "needed": 1, "fields": [{"key": "mood", "title": "Mood", "kind": "choice", "options": [
    {"value": "good", "key": "1"}, {"value": "bad", "key": "2"}]}]}


def fill(ws: Workspace, rows: int) -> str:
    """Records, a set, answers of four people to the first tenth (two each to every hundredth), suggestions; the set's id."""
    set_id = label_sets.save(ws, MOOD, "ann").set_id
    numbers = f"from range(1, {rows} + 1) t(n)"
    with ws.transaction() as transaction:
        records.add(
            ws, transaction, "import1",
            f"""select {RECORD} as record_id, n as position, n as source_line, 'T' || n as external_id,
                (n % 5 + 1)::double as rating, 'topic ' || n % 40 as tags, null as status, null::timestamp as happened_at,
                null as name, null as email {numbers}""",
            f"select {RECORD} as record_id, n as position, replace('{TURNS}', '%s', n::varchar) as messages {numbers}")
        for turn in range(2):
            transaction.execute(
                f"""insert into labels select 'l{turn}-' || n, n, 'l{turn}-' || n, ?, 1, {RECORD}, 1,
                    '{{"mood": "' || if((n + {turn}) % 2 = 0, 'good', 'bad') || '"}}', 'answered', null, 2.5, null,
                    'person ' || (n + {turn}) % 4, ? {numbers} where n % 10 = 0 and ({turn} = 0 or n % 100 = 0)""",
                [set_id, ws.now()])
        transaction.execute("""insert into label_now select l.set_id, l.record_id, n.position, l.who, l.label_id, l.seq,
            l.set_version, l.record_version, l.answer, l.state, l.suggested, l.seconds, l.said_at
            from labels l join record_now n using (record_id)""")
        transaction.execute("""insert into suggestions select ?, 'mood', record_id, 1, 'good', 0.7,
            row_number() over (order by record_id), 'run1' from record_now""", [set_id])
        transaction.execute("""insert into label_doubts select ?, 'mood', record_id, 'good', 'bad', 0.9, 'run1'
            from label_now where position % 100 = 1""", [set_id])
    return set_id


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, ...]:
    """(the first, shortest, median, 95th percentile) in ms of doing it again and again."""
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    parts = quantiles(taken[1:], n=20)
    return taken[0], min(taken[1:]), parts[9], parts[18]


def measure(rows: int) -> dict[str, tuple[float, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        ws = Workspace(Path(folder) / "ws")
        set_id = fill(ws, rows)
        marks.put(ws, queues.window(ws, QueueFilter(set_id), "random", "eve", "m", 1)[0], "flag", "", "eve", "flag")
        found = {f"window: {name}": timed(window(ws, chosen, order)) for name, chosen, order in cases(set_id)}
        ids = queues.window(ws, QueueFilter(set_id), "random", "person 1", "t", 4 * ROUNDS)
        presses = iter(ids)
        count = iter(range(1_000_000))
        found["30 records read, random order"] = timed(lambda: records.every(ws, ids[:30]))

        def press() -> None:
            labels.answer(ws, set_id, next(presses), {"mood": "good"}, "person 1", f"p{next(count)}")

        found["answer"] = timed(press)
        found["answer, then window"] = timed(
            lambda: (press(), queues.window(ws, QueueFilter(set_id), "random", "person 1", "t", 30)))
        found["undo"] = timed(lambda: acts.undo(ws, "person 1", f"u{next(count)}"))
        found["history"] = timed(lambda: acts.history(ws, ids[0]))
        found["progress"] = timed(lambda: queues.progress(ws, set_id))
        ws.close()
    return found


def cases(set_id: str) -> list[tuple[str, QueueFilter, Order]]:
    shows: tuple[Show, ...] = ("open", "unlabelled", "mine", "disagreed", "flagged", "skipped")
    orders: tuple[Order, ...] = ("oldest", "random", "informative", "doubtful")
    return [*((f"{show}, oldest", QueueFilter(set_id, show), "oldest") for show in shows),
            *((f"open, {order}", QueueFilter(set_id), order) for order in orders[1:]),
            ("topic and rating, random", QueueFilter(set_id, tag="topic 7", rating_low=2), "random"),
            ("a word, oldest", QueueFilter(set_id, text="parcel 77"), "oldest")]


def window(ws: Workspace, chosen: QueueFilter, order: Order) -> Callable[[], object]:
    """The next thirty behind the thirty before, as a browser asks."""
    last = [""]

    def ask() -> None:
        found = queues.window(ws, chosen, order, "person 1", "t", 30, last[0])
        last[0] = found[-1] if found else ""
        queues.give_back(ws, chosen.set_id, "t", found[:-1])

    return ask


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    by_size = {size: measure(size) for size in sizes}
    lines = [f"| ms: first / shortest / median / p95 of {ROUNDS} | {' | '.join(f'{size:,} records' for size in sizes)} |",
             f"|---|{'---:|' * len(sizes)}"]
    for name in by_size[sizes[0]]:
        cells = [" / ".join(f"{part:.1f}" for part in by_size[size][name]) for size in sizes]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))
    record.table("queues", "What comes next in a label queue", lines)


if __name__ == "__main__":
    main()
