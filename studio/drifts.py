"""Drift: are today's questions still what the model was trained on? Checks are runs (`pipeline/drift.py`); this begins them,
reads what the newest found, and sees to it that drift becomes an alert.

"Today" is the newest days of the logs by their own time, so that logs which are brought in late are judged as well.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pipeline.specs import DriftSpec, Meaning
from studio import alerts, deploys, live, models, production, runs, snapshots, webhooks
from studio.errors import StudioError
from studio.permissions import needs
from studio.runs import Run
from studio.snapshots import Snapshot
from studio.workspace import Transaction, Workspace

DAYS, WEEKS = 7.0, 4
LEAST, MOST, MOST_BEFORE = 20, 2_000, 4_000
AGAINST = {"training": "the training data", "before": "the weeks before"}
ENOUGH_AGAIN = 100
"""From so many new questions on, over another `DAYS`, a check is made again by itself, if somebody asked for one before."""
_one_starts = threading.Lock()


@dataclass(frozen=True)
class Topic:
    """Texts that are near each other and whose share changed, `before` that among those they were held against.

    `row_ids` are rows of production, those first that look least like the others; of a topic that became less, rows (or, from
    the training data, records) of that time.
    """

    kind: Literal["new", "more", "less"]
    what: str
    against: str
    words: tuple[str, ...]
    share: float
    before: float
    row_ids: tuple[str, ...]

    @property
    def records(self) -> bool:
        """Whether its ids are those of records: lines of the training data that nobody asks like any more."""
        return self.kind == "less" and self.against == "training"


@dataclass(frozen=True)
class Part:
    """One way to look: it alarms above its threshold; `p_value` is corrected for all parts of the comparison."""

    name: str
    value: float
    threshold: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Today's questions or answers (`what`) held `against` the training data or the weeks before.

    `adjusted` is the chance of such a difference where nothing changed, corrected for all parts and comparisons. `auc` with its
    95 % interval is how well a classifier tells them apart. About the share `in_families` came as families of near-identical
    texts, which count as one. `unlike` are today's rows that look least like the others.
    """

    what: str
    against: str
    now: int
    then: int
    drifted: bool
    adjusted: float
    auc: tuple[float, float, float]
    in_families: float
    parts: tuple[Part, ...]
    topics: tuple[Topic, ...]
    unlike: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What the newest check found, from `since` until `until` (the logs' own time).

    `data` has what else was measured: `weeks`, `lengths`, `languages`, `refusals`, `rows`, `looked_at` (`pipeline/drift.py`).
    """

    run_id: str
    since: datetime
    until: datetime
    model: str
    snapshot_id: str
    drifted: bool
    sentence: str
    advice: str
    parts: tuple[Comparison, ...]
    data: dict[str, Any]

    @property
    def topics(self) -> tuple[Topic, ...]:
        """Those that are new or grew, each once: one that another comparison found as well is left out."""
        kept: list[Topic] = []
        for topic in (topic for part in self.parts for topic in part.topics if topic.kind != "less"):
            known = {row_id for one in kept if one.what == topic.what for row_id in one.row_ids}
            if len(known.intersection(topic.row_ids)) * 2 < len(topic.row_ids):
                kept.append(topic)
        return tuple(kept)

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Rows of production that show it, the first of each topic in turn; without a topic those that look least like before.
        """
        if not self.drifted:
            return ()
        lists = [topic.row_ids for topic in self.topics] or [part.unlike for part in self.parts if part.drifted]
        most = max(map(len, lists), default=0)
        return tuple(dict.fromkeys(ids[place] for place in range(most) for ids in lists if place < len(ids)))


def topics_shown(found: Found) -> list[Topic]:
    """Topics that are new or grew, then those that shrank."""
    return [*found.topics, *(topic for part in found.parts for topic in part.topics if topic.kind == "less")]


def rows_of(found: Found, name: str) -> tuple[str, tuple[str, ...]]:
    """What a number of a check is called and the rows behind it, by its name in addresses: `topic-0`, `unlike-1`, `refusals`,
    `language-de`. Of a number there is none of, no rows."""
    kind, _, which = name.partition("-")
    topics = topics_shown(found)
    if kind == "topic" and which.isdigit() and int(which) < len(topics):
        return f"{topics[int(which)].what.capitalize()} about {', '.join(topics[int(which)].words)}", topics[int(which)].row_ids
    if kind == "unlike" and which.isdigit() and int(which) < len(found.parts):
        part = found.parts[int(which)]
        return f"{part.what.capitalize()} least like those of {AGAINST[part.against]}", part.unlike
    if kind == "refusals":
        return "Answers that decline", tuple(found.data["refusals"]["row_ids"])
    told = next((one for one in found.data["languages"] if kind == "language" and one["language"] == which), None)
    return f"Questions in {which}", tuple(told["row_ids"]) if told else ()


@needs("read")
def reference(ws: Workspace, model: str = "") -> Snapshot | None:
    """The snapshot that the model in production learned from, as far as it can be told: that of the model of this name, else
    of the newest tuned model, else the newest snapshot."""
    entry = production.entry(ws, model) if model else None
    if entry is not None and entry.kind == "endpoint":
        entry = deploys.adapter_of(ws, entry) or entry
    learned = [one.run_id for one in ([entry] if entry else []) + models.tuned(ws) if one.run_id]
    names = [ws.value("select snapshot_id from runs where run_id = ?", [run_id]) for run_id in learned]
    found = snapshots.every(ws)
    return next((one for name in names for one in found if one.snapshot_id == name), found[0] if found else None)


@needs("run")
def start(ws: Workspace, snapshot: Snapshot | None = None, model: str = "", days: float = DAYS, weeks: int = WEEKS,
          meaning: Meaning | None = None) -> str:
    """Check the newest `days` of the logs (of one model, or of all) against a snapshot's train part and the `weeks` such times
    before; returns the run's id. A check that moves already is not begun again.

    Raises StudioError where there is too little to compare.
    """
    with _one_starts:
        moving = next((run for run in runs.every(ws, "drift") if run.moving), None)
        if moving is not None:
            return moving.run_id
        until = live.newest(ws)
        if until is None:
            raise StudioError("There is no row of production that says when it was.", "Bring logs in on Monitor first.")
        spec = _spec(ws, until, snapshot, model, days, weeks, meaning)
        if snapshot is not None:
            snapshots.verify(ws, snapshot)
        title = f"Drift of {model or 'production'}, {days:g} days until {until:%d %b %Y}"
        return runs.begin(ws, spec, title, snapshot.snapshot_id if snapshot else "",
                          lambda folder: _write_out(ws, spec, folder / runs.TEXTS))


def _spec(ws: Workspace, until: datetime, snapshot: Snapshot | None, model: str, days: float, weeks: int,
          meaning: Meaning | None) -> DriftSpec:
    since = until - timedelta(days=days)
    counted = ws.row(f"""select count(*) filter (period = 0) as now, count(*) filter (period > 0) as before
                         from ({_PERIODS})""", _window(since, until, model, weeks)) or {}
    if counted["now"] < LEAST:
        raise StudioError(f"Only {counted['now']} questions came in this time: too few to say anything.",
                          f"Take a longer time, or wait for at least {LEAST}; with 500 a new topic of 20 % is found.")
    if snapshot is None and counted["before"] < LEAST:
        raise StudioError("There is nothing to compare with: no snapshot, and too few questions from before.",
                          "Freeze a snapshot, or bring older logs in.")
    return DriftSpec(run_id=ws.new_id(), since=since.isoformat(), until=until.isoformat(), weeks=weeks, rows=counted["now"],
                     before_rows=counted["before"], model=model, train_file=snapshot.file("train") if snapshot else "",
                     meaning=meaning)


_PERIODS = """select row_id, question, answer, (floor((epoch(?::timestamp) - epoch(happened_at)) / ?))::integer as period
              from log_rows where happened_at > ?::timestamp and happened_at <= ?::timestamp and trim(question) <> ''
              and (? = '' or model = ?)"""


def _window(since: datetime, until: datetime, model: str, weeks: int) -> list[Any]:
    length = until - since
    return [until, length.total_seconds(), until - length * (weeks + 1), until, model, model]


def _write_out(ws: Workspace, spec: DriftSpec, path: Path) -> None:
    """A sample of the texts of each period, drawn by a hash of their ids, written beside and renamed in. Personal data."""
    beside = path.with_name(f".{path.name}.tmp")
    name = str(beside).replace("'", "''")
    most = MOST_BEFORE // max(1, spec.weeks)
    ws.rows(f"""copy (select row_id, period, question, answer from ({_PERIODS})
                      qualify row_number() over (partition by period order by hash(row_id))
                              <= case when period = 0 then {MOST} else {most} end
                      order by period, row_id) to '{name}' (format parquet, compression lz4_raw)""",
            _window(datetime.fromisoformat(spec.since), datetime.fromisoformat(spec.until), spec.model, spec.weeks))
    beside.rename(path)


@needs("raw")
def newest(ws: Workspace) -> Found | None:
    """What the newest check that is done and collected found."""
    row = ws.row("""select r.run_id from runs r join run_results e using (run_id)
                    where r.kind = 'drift' and e.outcome = 'done' order by r.started_at desc limit 1""")
    return found(runs.get(ws, row["run_id"])) if row else None


def found(run: Run) -> Found:
    """What a check that is done found."""
    assert run.result is not None
    data, spec = run.result.data, run.spec
    return Found(run.run_id, datetime.fromisoformat(spec["since"]), datetime.fromisoformat(spec["until"]), spec["model"],
                 run.snapshot_id, data["drifted"], data["sentence"], data["advice"],
                 tuple(map(_comparison, data["comparisons"])), data)


def _comparison(said: dict[str, Any]) -> Comparison:
    what, against = said["what"], said["against"]
    return Comparison(
        what, against, said["now"], said["then"], said["drifted"], said["adjusted"], tuple(said["auc"]), said["in_families"],
        tuple(Part(one["name"], one["value"], one["threshold"], one["p_value"]) for one in said["parts"]),
        tuple(Topic(one["kind"], what, against, tuple(one["words"]), one["share"], one["before"], tuple(one["row_ids"]))
              for one in said["topics"]), tuple(said["unlike"]))


@needs("run", looks=True)
def keep_up(ws: Workspace) -> None:
    """What follows a check that ended: an alert where drift was found, its end where none is; and the next check like it, once
    as long a time of new questions is there. Nothing before somebody asked for a first one."""
    every: Sequence[Run] = runs.every(ws, "drift")
    if not every:
        return
    if every[0].result is not None:
        runs.collect(ws)
    now = newest(ws)
    if now is None or every[0].moving:
        return
    standing = any(one.open and one.kind == "drift" for one in alerts.every(ws))
    if now.drifted != standing:
        webhooks.tell(ws, alerts.about_drift(ws, now))
    if every[0].state == "done" and _due(ws, now):
        spec = every[0].spec
        kept = next((one for one in snapshots.every(ws) if one.snapshot_id == now.snapshot_id), None)
        try:
            start(ws, kept, now.model, (now.until - now.since) / timedelta(days=1), spec["weeks"],
                  Meaning(**spec["meaning"]) if spec["meaning"] else None)
        except StudioError:
            return  # the page says why when somebody asks for it


def pieces(words: Sequence[str]) -> list[str]:
    """Names, and each name of them: topics are described by single words, and so may be somebody who asked five times."""
    return [*words, *dict.fromkeys(piece for word in words for piece in re.findall(r"\w{3,}", word) if piece not in words)]


def forget(transaction: Transaction, words: Sequence[str]) -> None:
    """Take names out of what checks said, and out of the alerts that repeat it. Ids go with all other runs' (`runs.forget`)."""
    names = pieces(words)
    for row in transaction.rows("""select run_id, attempt, message, data from run_results join runs using (run_id)
                                   where kind = 'drift'"""):
        kept = runs.without([row["message"], json.loads(row["data"])], (), names)
        transaction.execute("update run_results set message = ?, data = ? where run_id = ? and attempt = ?",
                            [kept[0], json.dumps(kept[1]), row["run_id"], row["attempt"]])
    for row in transaction.rows("select alert_id, sentence from alerts where kind = 'drift'"):
        transaction.execute("update alerts set sentence = ? where alert_id = ?",
                            [runs.without(row["sentence"], (), names), row["alert_id"]])


def _due(ws: Workspace, now: Found) -> bool:
    until = live.newest(ws)
    if until is None or until - now.until < now.until - now.since:
        return False
    return bool(ws.value("select count(*) from log_rows where happened_at > ? and (? = '' or model = ?)",
                         [now.until, now.model, now.model]) >= ENOUGH_AGAIN)
