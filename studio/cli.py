"""The `tunewright` command: the same nouns without a browser."""

from __future__ import annotations

import getpass
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from studio import (
    cli_server,
    costs,
    customers,
    deploys,
    findings,
    forgetting,
    grids,
    inspections,
    intake,
    leaks,
    metrics,
    models,
    report_text,
    rivals,
    runs,
    snapshots,
    starts,
    validation,
    workspace,
)
from studio import report as reports
from studio.errors import StudioError
from studio.intake import Report
from studio.models import Model
from studio.snapshots import Recipe, Snapshot
from studio.starts import Chosen, Decoding
from studio.ui.formats import duration, interval
from studio.workspace import Workspace

app = typer.Typer(add_completion=False, no_args_is_help=True, help="From support tickets to a model you can prove is better.")
for command in (cli_server.server, cli_server.backup, cli_server.restore):
    app.command()(command)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--workspace", help="Folder of the workspace; made when it is not there.")],
    csv: Annotated[Path | None, typer.Option(help="A CSV file of tickets; without it the sample is used.")] = None,
    message: Annotated[str | None, typer.Option(help="Its column of customer messages.")] = None,
    answer: Annotated[str | None, typer.Option(help="Its column of answers.")] = None,
    train: Annotated[int, typer.Option(help="Examples to train on.")] = 200,
    validation_size: Annotated[int, typer.Option("--validation", help="Examples to validate on.")] = 20,
    test: Annotated[int, typer.Option(help="Examples to test on.")] = 40,
    epochs: Annotated[int, typer.Option()] = 2,
    learning_rate: Annotated[float, typer.Option()] = 3e-4,
    answer_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 150,
) -> None:
    """Go once round the loop: import, freeze, train, evaluate; then print the verdict."""
    began = time.monotonic()
    try:
        ws = workspace.open_workspace(folder)
        _say_import(_bring_in(ws, csv, message, answer))
        if not findings.privacy_gate(ws).clear:
            _say("Personal data was not looked for, or is not settled: see to that on the Clean page before a real training.")
        recipe = Recipe(sizes=(train, validation_size, test))
        _look_for_leaks(ws, recipe)
        snapshot = snapshots.freeze(ws, "Demo", recipe, who="tunewright demo")
        _say(f"Frozen: {snapshot.train} train, {snapshot.validation} validation, {snapshot.test} test "
             f"in {ws.path(snapshot.folder)}")
        base = models.get(ws, models.STARTER_ID)
        dials = starts.Dials(epochs=epochs, learning_rate=learning_rate)
        tuned = models.get(ws, _follow(ws, starts.training(ws, snapshot, base, dials, "demo")))
        chosen = [Chosen(base), Chosen(tuned)]
        run_id = _follow(ws, starts.evaluation(ws, snapshot, chosen, Decoding(max_new_tokens=answer_tokens), probes=False))
        _print_verdict(ws, run_id, snapshot, base.model_id, tuned.model_id)
        _say(f"\nDone in {duration(time.monotonic() - began)}. Open this workspace in the studio with: "
             f"STUDIO_WORKSPACE={ws.root} make run")
    except StudioError as error:
        typer.echo(f"{error.message}\n{error.hint}".strip(), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("\nStopped watching. A run that was started goes on by itself; the studio finds it again.", err=True)
        raise typer.Exit(130) from None
    finally:
        workspace.close_all()


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A JSONL file of conversations.")],
    tokens: Annotated[int, typer.Option(help="Longest example that is allowed, in tokens.")] = starts.CONTEXT_TOKENS,
) -> None:
    """Check the form of a training file; print every problem by line. Exit status 1 when it is not ready."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            ws = workspace.open_workspace(Path(folder))
            run = runs.get(ws, _follow(ws, validation.start(ws, str(file.resolve()), tokens)))
            for problem in validation.problems(ws, run):
                place = f"line {problem.line}" if problem.line else "whole file"
                turn = f", turn {problem.turn}" if problem.turn else ""
                _say(f"{problem.severity}: {place}{turn}: {problem.sentence}")
            workspace.close_all()
    except StudioError as error:
        typer.echo(f"{error.message}\n{error.hint}".strip(), err=True)
        raise typer.Exit(1) from None
    finally:
        workspace.close_all()
    if run.result is None or run.result.data["errors"]:
        raise typer.Exit(1)


@app.command()
def forget(
    words: Annotated[str, typer.Argument(help="An e-mail address, a name as the tickets have it, or a ticket number.")],
    folder: Annotated[Path, typer.Option("--workspace", help="Folder of the workspace.")],
    mentions: Annotated[bool, typer.Option(help="Also conversations of others in which they are named.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this only say what would go.")] = False,
) -> None:
    """Take one customer's data out of every table and file of a workspace. There is no undo."""
    try:
        ws = workspace.open_workspace(folder)
        forgetting.go_on(ws)
        customer = customers.find(ws, words)
        ids = (*customer.own, *(customer.mentions if mentions else ()))
        for sentence in customers.sentences(ws, customer, ids):
            _say(sentence)
        if ids and yes:
            done = forgetting.forget(ws, customer, ids, getpass.getuser())
            _say(f"Forgotten: {done.records:,} records, {done.snapshot_lines:,} lines of snapshots, {done.files:,} files.")
            for held in forgetting.in_backups(ws, done):
                _say(f"Still in this backup, which you must delete, with every copy of it: {held.path}")
        elif ids:
            _say("Nothing was changed. Add --yes to forget them for good.")
    except StudioError as error:
        typer.echo(f"{error.message}\n{error.hint}".strip(), err=True)
        raise typer.Exit(1) from None
    finally:
        workspace.close_all()


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="The id of an evaluation, or `latest`.")],
    folder: Annotated[Path, typer.Option("--workspace", help="Folder of the workspace.")],
    form: Annotated[str, typer.Option("--format", help="html or md.")] = "html",
    examples: Annotated[int, typer.Option(help="Losses, and as many wins, as texts: your customers' words.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The file to write; without it a name of its own, here.")] = None,
) -> None:
    """Write the report of an evaluation, to send to somebody who has no studio."""
    try:
        ws = workspace.open_workspace(folder)
        made = reports.of(ws, reports.newest(ws) if run == "latest" else run, examples)
        path = out or Path(reports.file_name(made, reports.known_form(form)))
        path.write_text(report_text.as_html(made) if form == "html" else report_text.as_markdown(made), encoding="utf-8")
        for _, said, _ in reports.summary(made):
            _say(f"{said}.")
        _say(f"Written: {path.resolve()}")
    except StudioError as error:
        typer.echo(f"{error.message}\n{error.hint}".strip(), err=True)
        raise typer.Exit(1) from None
    finally:
        workspace.close_all()


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="The id of a tuned model, or `latest`.")],
    folder: Annotated[Path, typer.Option("--workspace", help="Folder of the workspace.")],
    form: Annotated[list[str], typer.Option(help="adapter, merged or gguf; may be given several times.")] = [  # noqa: B006
        "adapter", "merged"],
    precision: Annotated[str, typer.Option(help="bfloat16, float16 or float32; without it what suits.")] = "",
) -> None:
    """Write a tuned model as folders that others can use, with its card."""
    with _opened(folder) as ws:
        tuned = _tuned(ws, model)
        _follow(ws, deploys.export(ws, tuned, _known(form, ("adapter", "merged", "gguf")),
                                   _known([precision], ("", "bfloat16", "float16", "float32"))[0]))
        made = deploys.exports(ws, tuned)[0]
        _say(f"Written: {ws.path(made.folder)}")
        if made.merged:
            _say(f"Served with vLLM by: {deploys.vllm_command(ws, tuned, made)}")


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="The id of a tuned model, or `latest`.")],
    folder: Annotated[Path, typer.Option("--workspace", help="Folder of the workspace.")],
    host: Annotated[str, typer.Option(help="127.0.0.1 is this machine alone; another address needs a token.")] = deploys.HERE,
    port: Annotated[int | None, typer.Option(help="Without it a free one.")] = None,
    key_env: Annotated[str, typer.Option(help="The environment variable with the token that callers must send.")] = "",
) -> None:
    """Serve a tuned model behind OpenAI's chat API, as it was evaluated, until Ctrl+C."""
    with _opened(folder) as ws:
        run_id = deploys.serve(ws, _tuned(ws, model), host=host, port=port, key_env=key_env)
        try:
            while (run := runs.get(ws, run_id)).moving and not deploys.answers_now(run):
                time.sleep(0.2)
            if run.moving:
                _say(f"{run.spec['name']} answers at {deploys.address(run.spec)}. Ctrl+C stops it.")
            while runs.get(ws, run_id).moving:
                time.sleep(0.5)
        except KeyboardInterrupt:
            runs.stop(ws, run_id)
            runs.wait(ws, run_id, 30)
        runs.collect(ws)
        ended = runs.get(ws, run_id).result
        if ended is not None and ended.outcome == "failed":
            raise StudioError(ended.message, ended.hint)
        _say(ended.message if ended else "The server's process is gone.")


def main() -> None:
    app()


@contextmanager
def _opened(folder: Path) -> Iterator[Workspace]:
    """A workspace for one command; what goes wrong is said in words."""
    try:
        yield workspace.open_workspace(folder)
    except StudioError as error:
        typer.echo(f"{error.message}\n{error.hint}".strip(), err=True)
        raise typer.Exit(1) from None
    finally:
        workspace.close_all()


def _tuned(ws: Workspace, model: str) -> Model:
    found = models.adapters(ws)
    if model == "latest" and found:
        return found[0]
    return models.get(ws, model)


def _known(given: list[str], known: tuple[str, ...]) -> list[str]:
    if wrong := [one for one in given if one not in known]:
        raise StudioError(f"There is no {wrong[0]!r} to choose.", f"Choose among {', '.join(known)}.")
    return given


def _bring_in(ws: Workspace, csv: Path | None, message: str | None, answer: str | None) -> Report:
    if csv is None:
        return intake.import_sample(ws)
    choices = intake.preview(ws, csv).choices
    columns = choices.columns.changed("message", message or choices.columns.message)
    columns = columns.changed("answer", answer or columns.answer)
    return intake.import_file(ws, csv, csv.name, replace(choices, columns=columns))


def _look_for_leaks(ws: Workspace, recipe: Recipe) -> None:
    """Nobody is there to ask, so what resembles train is left out; said in numbers."""
    plan = snapshots.plan(ws, recipe).sha256
    if leaks.of_plan(ws, plan) is None:
        _follow(ws, inspections.of_plan(ws, recipe))
    checked = leaks.of_plan(ws, plan)
    waiting = [leak.item_id for leak in checked.leaks if not leak.decision] if checked else []
    leaks.decide(ws, plan, waiting, "quarantine", "tunewright demo")
    if waiting:
        _say(f"{len(waiting)} lines of validation and test resemble train: they are quarantined.")


def _say(sentence: str) -> None:
    typer.echo(sentence)
    sys.stdout.flush()


def _say_import(report: Report) -> None:
    _say(f"Imported {report.source_name}: {report.rows_in:,} rows = {report.rows_imported:,} imported + "
         f"{report.rows_filtered:,} filtered + {report.rows_refused:,} refused + {report.rows_already_here:,} already here "
         f"({report.conversations:,} conversations)")


def _follow(ws: Workspace, run_id: str) -> str:
    """Watch a run to its end and collect it; returns its id. Raises StudioError when it did not get done."""
    said, pause = "", 0.25
    while (run := runs.get(ws, run_id)).moving:
        sentence = _progress(run)
        if sentence != said:
            _say(sentence)
            said = sentence
        time.sleep(pause)
        pause = min(5.0 if not sys.stdout.isatty() else 2.0, 2 * pause)
    runs.collect(ws)
    if run.state != "done":
        words = run.result.message if run.result else "its process ended without a word."
        raise StudioError(f"The run {run.title!r} is {run.state}: {words}",
                          (run.result.hint if run.result else "") or f"Its log is {ws.path(run.folder) / 'log.txt'}.")
    _say(f"  {run.result.message}" if run.result else "")
    return run_id


def _progress(run: runs.Run) -> str:
    status = run.status
    if status is None:
        return f"  {run.kind}: starting"
    words = f"  {run.kind}: {status.sentence or status.phase}"
    rate = f", {status.rate:.2f} {status.unit}/s" if status.rate else ""
    end = f", {duration(status.eta_s)} left" if status.eta_s else ""
    return words + rate + end


def _print_verdict(ws: Workspace, run_id: str, snapshot: Snapshot, base: str, tuned: str) -> None:
    run = runs.get(ws, run_id)
    _say(f"\n{snapshot.test} test items, 95 % paired intervals")
    _say(f"{'metric':<30}{'base':<22}{'tuned':<22}{'difference':<24}verdict")
    against = next(one for one in rivals.judge(run, grids.read(ws, run_id), tuned) if one.rival == base)
    for row in against.every:
        cells = [interval(part.value, part.low, part.high, 3) for part in (row.a, row.b, row.difference)]
        _say(f"{metrics.title(row.metric):<30}{cells[0]:<22}{cells[1]:<22}{cells[2]:<24}{row.word}")
    cut = {one.candidate_id: one.cut for one in costs.of(ws, run)}
    _say(f"Answers that stopped at the token limit: base {cut.get(base, 0)}, tuned {cut.get(tuned, 0)}")
