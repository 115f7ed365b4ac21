"""`tunewright production`, `targets`, `alerts` and `drift`: the Monitor page."""

from __future__ import annotations

from typing import Annotated

import typer

from studio import alerts as alert_nouns
from studio import drifts, live, traffic, watching, webhooks
from studio import production as in_production
from studio import targets as target_nouns
from studio.alerts import Alert
from studio.commands import chosen, follow
from studio.commands.frame import As, Limit, Table, Told, Wait, command, group, listed, picked, who
from studio.errors import StudioError
from studio.live import Group, Measure
from studio.workspace import Row, Workspace

production, targets, alerts, drift = group(), group(), group(), group()
APPS = {"production": production, "targets": targets, "alerts": alerts, "drift": drift}
Model = Annotated[str, typer.Option(help="Only of this model.")]
AlertId = Annotated[str, typer.Argument(metavar="ALERT")]


@command(production, "show")
def show(
    ws: Workspace, days: Annotated[float | None, typer.Option(help="The newest so many; without it everything.")] = None
) -> Told:
    """Latency, thumbs, success and cost with 95 % intervals, over time, by model and by slice."""
    seen = live.picture(ws, days)
    if seen is None:
        raise StudioError("No row of production says when it was.", "`tunewright logs read` brings logs in.")
    figures = seen.everything.figures
    return Told(
        {
            "since": seen.since,
            "until": seen.until,
            "untimed": seen.untimed,
            "rows": seen.everything.rows,
            "figures": figures,
            "by_time": [_group(one) for one in seen.by_time],
            "by_model": [_group(one) for one in seen.by_model],
            "by_slice": [_group(one) for one in seen.by_slice],
            "retrain": alert_nouns.retrain(ws),
            "in_production": in_production.chosen(ws),
            "compare": in_production.comparison(ws),
        },
        [
            f"{live.MEASURES[name].title}: {one.value:.3g} [{one.low:.3g}, {one.high:.3g}] on {one.n:,} rows"
            for name, one in figures.items()
            if one.known
        ],
    )


@command(production, "worst")
def worst(
    ws: Workspace, days: Annotated[float, typer.Option()] = watching.DEFAULT_DAYS, model: Model = "", limit: Limit = 100
) -> Told:
    """Rows that were rated down or failed and are no records yet; `logs queue` makes them records."""
    seen = live.picture(ws, days)
    ids = traffic.thumbs_down(ws, seen.since, model or None, limit) if seen else []
    rows = [
        {key: one[key] for key in ("row_id", "happened_at", "model", "question", "answer")} for one in traffic.every(ws, ids)
    ]
    return listed("rows", rows, "row_id happened_at model question", "None was rated down, or all of them are records.")


@command(production, "choose")
def choose(ws: Workspace, model: Annotated[str, typer.Argument(help="A model's name in the logs.")], as_: As = "") -> Told:
    """Say which model is in production."""
    if model not in live.models(ws):
        raise StudioError(f"No log names a model {model!r}.", f"They name {', '.join(live.models(ws)) or 'none'}.")
    in_production.choose(ws, model, who(as_))
    return Told({"in_production": model, "compare": in_production.comparison(ws)}, [f"In production: {model}."])


@command(targets, "list")
def every(ws: Workspace) -> Told:
    """Targets, and whether they are met. Exit status 1 where one is missed."""
    judged = {one.target.target_id: one for one in target_nouns.judged(ws)}
    rows = [
        picked(one, "target_id measure bound model slice least hours who words")
        | {"state": judged[one.target_id].state, "figure": judged[one.target_id].figure}
        if one.target_id in judged
        else picked(one, "target_id measure bound model slice least hours who words") | {"state": "no_rows", "figure": None}
        for one in target_nouns.every(ws)
    ]
    told = listed("targets", rows, "measure bound model slice state", "No target is set.")
    return Told(told.document, told.words, 1 if any(one["state"] == "missed" for one in rows) else 0)


@command(targets, "set")
def say(
    ws: Workspace,
    measure: Annotated[Measure, typer.Argument()],
    bound: Annotated[float | None, typer.Argument(help="Seconds, a share, or money; nothing takes the target back.")] = None,
    model: Model = "",
    slice_: Annotated[str, typer.Option("--slice")] = "",
    least: Annotated[int, typer.Option(help="Rows at least.")] = target_nouns.LEAST,
    hours: Annotated[float, typer.Option(help="Over the newest.")] = 24.0,
    as_: As = "",
) -> Told:
    """Say what production should be, or take a target back."""
    target_nouns.say(ws, measure, bound, who(as_), model, slice_, least, hours)
    watching.after(ws)
    told = every(ws)
    return Told(told.document, told.words)


@command(alerts, "list")
def opened(ws: Workspace, limit: Limit = 100) -> Told:
    """Alerts, open ones first. Exit status 1 while one is open."""
    found = alert_nouns.every(ws, limit)
    told = listed("alerts", [_alert(one) for one in found], "alert_id opened_at open sentence seen_by", "There was none.")
    return Told(told.document, told.words, 1 if any(one.open for one in found) else 0)


@command(alerts, "show")
def one(ws: Workspace, alert: AlertId) -> Told:
    """What shows an alert: its rows."""
    found = alert_nouns.get(ws, alert)
    rows = [
        {key: row[key] for key in ("row_id", "happened_at", "model", "question", "answer", "record_id")}
        for row in traffic.every(ws, found.row_ids)
    ]
    return Told(
        {"alert": _alert(found), "rows": rows}, [found.sentence, found.reason, *Table(rows, "row_id question answer").lines()]
    )


@command(alerts, "acknowledge")
def acknowledge(ws: Workspace, alert: AlertId, note: Annotated[str, typer.Option()] = "", as_: As = "") -> Told:
    """Say that you have seen an alert."""
    alert_nouns.acknowledge(ws, alert, note, who(as_))
    return Told({"alert": _alert(alert_nouns.get(ws, alert))}, ["Seen."])


@command(alerts, "judge")
def judge(ws: Workspace) -> Told:
    """Judge all targets now; what is new is told to the webhooks."""
    watching.after(ws)
    return opened(ws)


@command(alerts, "hooks")
def hooks(ws: Workspace) -> Told:
    """Where alerts are told, and how the newest calls went."""
    rows = [picked(hook, "hook_id name address_env who") for hook in webhooks.every(ws)]
    calls = [picked(call, "hook_id alert_id tries outcome words called_at") for call in webhooks.calls(ws)]
    return Told({"hooks": rows, "calls": calls}, Table(rows, "hook_id name who", "Alerts are told nowhere.").lines())


@command(alerts, "add-hook")
def add_hook(
    ws: Workspace, address: Annotated[str, typer.Argument(help="https://…, or a variable that holds it.")], as_: As = ""
) -> Told:
    """Tell alerts to an address too: figures and row ids, never a text."""
    webhooks.add(ws, address, who(as_))
    return hooks(ws)


@command(alerts, "remove-hook")
def remove_hook(ws: Workspace, hook_id: Annotated[str, typer.Argument(metavar="HOOK")], as_: As = "") -> Told:
    """Take a webhook off."""
    found = next((hook for hook in webhooks.every(ws) if hook.hook_id == hook_id), None)
    if found is None:
        raise StudioError(f"There is no webhook {hook_id}.", "`tunewright alerts hooks` has them.")
    webhooks.remove(ws, found, who(as_))
    return hooks(ws)


@command(drift, "check", elsewhere=True)
def check(
    ws: Workspace,
    model: Model = "",
    snapshot: Annotated[str, typer.Option(help="Held against its train; `none`: only the weeks before; else what suits.")] = "",
    days: Annotated[float, typer.Option(min=1, help="The newest so many.")] = drifts.DAYS,
    weeks: Annotated[int, typer.Option(min=0, max=12, help="Such times before.")] = drifts.WEEKS,
    kind: chosen.MeaningKind = "",
    where: chosen.MeaningFrom = "",
    name: chosen.MeaningModel = "",
    wait: Wait = True,
) -> Told:
    """Hold the newest questions against the training data and the weeks before."""
    frozen = None if snapshot == "none" else chosen.snapshot(ws, snapshot) if snapshot else drifts.reference(ws, model)
    run_id = drifts.start(ws, frozen, model, days, weeks, chosen.meaning(kind, where, name))
    told = follow.started(ws, run_id, wait)
    return Told(told.document | {"drift": _drift(ws)}, [*told.words, *newest(ws).words]) if wait else told


@command(drift, "show")
def newest(ws: Workspace) -> Told:
    """What the newest check found."""
    row = _drift(ws)
    return Told({"drift": row}, [row["sentence"], row["advice"]] if row else ["Nobody checked for drift yet."])


@command(drift, "rows")
def behind(ws: Workspace, name: Annotated[str, typer.Argument(help="topic-0, unlike-1, refusals, language-de …")]) -> Told:
    """The rows behind one number of the newest check."""
    found = drifts.newest(ws)
    if found is None:
        raise StudioError("Nobody checked for drift yet.", "`tunewright drift check` does.")
    title, ids = drifts.rows_of(found, name)
    rows = [
        {key: row[key] for key in ("row_id", "happened_at", "model", "question", "answer", "record_id")}
        for row in traffic.every(ws, ids)
    ]
    return Told({"title": title, "rows": rows}, [title, *Table(rows, "row_id question answer").lines()])


def _group(one: Group) -> Row:
    return picked(one, "name at rows figures")


def _alert(one: Alert) -> Row:
    return picked(one, "alert_id subject kind sentence reason row_ids opened_at over_at seen_by note open")


def _drift(ws: Workspace) -> Row | None:
    found = drifts.newest(ws)
    if found is None:
        return None
    return picked(found, "run_id since until model snapshot_id drifted sentence advice parts") | {
        "topics": [
            {"name": f"topic-{place}", **picked(one, "kind what against words share before")}
            for place, one in enumerate(drifts.topics_shown(found))
        ]
    }
