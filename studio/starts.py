"""Starts: what each kind of run is asked to do, and its beginning. Order: the row, then the spec, then the process."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import answers as wanted_answers
from pipeline import examples, launch, rundir
from pipeline.specs import (
    BaseSource,
    Candidate,
    CheckSpec,
    ConnectSpec,
    Decoding,
    DedupeSpec,
    Endpoint,
    EvaluateSpec,
    JudgeSpec,
    Meaning,
    PlayAsk,
    PlaySpec,
    PreviewSpec,
    ScoreSpec,
    SuggestField,
    SuggestSpec,
    TrainSpec,
    ValidateSpec,
)
from pipeline.training import recipe
from studio import (
    candidates,
    duplicates,
    findings,
    groups,
    judges,
    label_sets,
    metrics,
    outputs,
    own_metrics,
    previews,
    rescored,
    runs,
    snapshots,
)
from studio import suggestions as light_model
from studio.candidates import Chosen
from studio.dials import Dials
from studio.errors import StudioError
from studio.models import Model
from studio.runs import Run
from studio.snapshots import Snapshot
from studio.workspace import Row, Workspace

__all__ = ["Chosen", "Decoding", "Dials"]

_one_check_starts, _one_search_starts, _one_suggestion_starts = threading.Lock(), threading.Lock(), threading.Lock()
_one_preview_starts, _one_playground_starts = threading.Lock(), threading.Lock()
CONTEXT_TOKENS = 8_192
"""What the starter model, and most small models, read at once (`max_position_embeddings` of SmolLM2-135M-Instruct)."""


def training(ws: Workspace, snapshot: Snapshot, base: Model, dials: Dials, name: str = "") -> str:
    """Start a training run on the snapshot's train and validation files; returns the run's id.

    Raises StudioError where the newest preview of this snapshot and base model found what must be settled first.
    """
    return _trainings(ws, snapshot, base, [(name.strip() or f"{base.name} on {snapshot.name}", dials)])[0]


def group(ws: Workspace, snapshot: Snapshot, base: Model, variants: Sequence[Dials], name: str) -> str:
    """Start several training runs that are compared; they wait for each other. Returns the group's id."""
    name = name.strip() or f"{base.name} on {snapshot.name}"
    group_id = ws.new_id()
    _trainings(ws, snapshot, base, [(f"{name}: {dials.words}", dials) for dials in variants], group_id, name)
    return group_id


def _trainings(ws: Workspace, snapshot: Snapshot, base: Model, named: Sequence[tuple[str, Dials]], group_id: str = "",
               group_name: str = "") -> list[str]:
    """All rows in one transaction, then one run after the other begins."""
    snapshots.verify(ws, snapshot)
    for _, dials in named:
        if refused := previews.refusal(ws, question(snapshot, base, dials), dials.too_long):
            raise refused
    specs = [_train_spec(ws, snapshot, base, dials) for _, dials in named]
    with ws.transaction() as transaction:
        if group_id:
            groups.add_row(ws, transaction, group_id, group_name, snapshot.snapshot_id)
        for spec, (title, _) in zip(specs, named, strict=True):
            runs.add_row(ws, transaction, spec, title, snapshot.snapshot_id, group_id)
    return [runs.set_off(ws, spec) for spec in specs]


def _train_spec(ws: Workspace, snapshot: Snapshot, base: Model, dials: Dials) -> TrainSpec:
    return TrainSpec(
        run_id=ws.new_id(), base=BaseSource(**base.base), train_file=snapshot.file("train"),  # type: ignore[arg-type]
        validation_file=snapshot.file("validation"), epochs=dials.epochs, learning_rate=dials.learning_rate,
        rank=dials.rank, method=dials.method, step_tokens=dials.step_tokens, row_tokens=dials.row_tokens,
        checkpointing=dials.checkpointing, max_tokens=dials.max_tokens, too_long=dials.too_long,
        evaluations_per_epoch=dials.evaluations_per_epoch, keep=dials.keep, sample_prompts=dials.sample_prompts,
        processes=dials.processes, seed=dials.seed,
        template_sha256=(snapshot.manifest.get("base") or {}).get("chat_template_sha256") or "")


def preview(ws: Workspace, snapshot: Snapshot, base: Model, dials: Dials) -> str:
    """Look what a training run would do; returns the run's id. One that looks at the same already is not started again."""
    with _one_preview_starts:
        snapshots.verify(ws, snapshot)
        asked = question(snapshot, base, dials)
        earlier = previews.newest(ws, asked)
        if earlier and earlier.moving:
            return earlier.run_id
        previews.clear_older(ws)
        known = previews.known_speed(ws, base.base, dials.processes)
        spec = PreviewSpec(**(asked | known | {"run_id": ws.new_id()}))
        return runs.begin(ws, spec, f"Look at {base.name} on {snapshot.name}", snapshot.snapshot_id)


def examples_a_step(examples: int) -> int:
    """How many of so many examples make a step, about, where nobody says it in tokens."""
    return min(examples, recipe.step_tokens_for([1] * examples)) if examples else 0


def question(snapshot: Snapshot, base: Model, dials: Dials) -> Row:
    """What a preview is asked: two choices with the same question need one look. (A PreviewSpec without its run and without
    what is known of the machine.)"""
    spec = PreviewSpec(
        run_id="", base=BaseSource(**base.base), train_file=snapshot.file("train"),  # type: ignore[arg-type]
        validation_file=snapshot.file("validation"), epochs=dials.epochs, rank=dials.rank, method=dials.method,
        step_tokens=dials.step_tokens, max_tokens=dials.max_tokens, processes=dials.processes,
        evaluations_per_epoch=dials.evaluations_per_epoch)
    return {key: value for key, value in spec.model_dump().items() if key not in ("run_id", "known_tokens_s", "known_method")}


def evaluation(ws: Workspace, snapshot: Snapshot, chosen: Sequence[Chosen], decoding: Decoding = Decoding(),
               primary: str = "", probes: bool = True, metrics: Sequence[str] = (), answers: Any = "auto",
               labels_read: Any = "lenient") -> str:
    """Let every candidate answer the snapshot's test items with the same decoding; returns the run's id.

    Answers that an earlier evaluation has are handed to it: nothing is generated or paid for twice. Raises StudioError where
    there is nothing to compare.
    """
    ids = [one.candidate_id for one in chosen]
    if len(ids) < 2:
        raise StudioError("An evaluation compares at least two candidates.", "Choose a base model and a tuned one.")
    if len(set(ids)) < len(ids):
        raise StudioError("Two of the candidates are the same.", "Give one of them another prompt, or take it out.")
    snapshots.verify(ws, snapshot)
    runs.collect(ws)
    spec = _evaluate_spec(ws, ws.new_id(), snapshot, chosen, decoding, probes).model_copy(update={
        "primary": primary, "metrics": tuple(metrics), "answers": answers, "labels_read": labels_read})
    title = f"{chosen[-1].model.name} against {'its base' if len(ids) < 4 else f'{len(ids) - 1} others'}"
    return runs.begin(ws, spec, title, snapshot.snapshot_id, lambda folder: _leave_known(ws, spec, snapshot, folder))


def already(ws: Workspace, snapshot: Snapshot, chosen: Sequence[Chosen], decoding: Decoding, probes: bool) -> tuple[int, int]:
    """How many answers such an evaluation would find from earlier ones, and how many it needs in all."""
    spec = _evaluate_spec(ws, "", snapshot, chosen, decoding, probes)
    keys = _keys(ws, spec)
    return len(outputs.there(ws, set(keys))), len(keys)


def _keys(ws: Workspace, spec: EvaluateSpec) -> list[str]:
    """Those of all answers that the evaluation wants."""
    items = examples.read(ws.path(spec.items_file))
    return [one.key for candidate in spec.candidates for one in wanted_answers.wanted(spec, candidate, items)]


def _evaluate_spec(ws: Workspace, run_id: str, snapshot: Snapshot, chosen: Sequence[Chosen], decoding: Decoding,
                   probes: bool) -> EvaluateSpec:
    return EvaluateSpec(
        run_id=run_id, items_file=snapshot.file("test"), train_file=snapshot.file("train"), decoding=decoding, probes=probes,
        candidates=tuple(candidates.spec(ws, one, candidates.held(chosen, one.model.base)) for one in chosen))


def _leave_known(ws: Workspace, spec: EvaluateSpec, snapshot: Snapshot, folder: Path) -> None:
    """Write the answers that earlier evaluations have beside the spec."""
    found = outputs.known(ws, snapshot.snapshot_id, set(_keys(ws, spec)))
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    rundir.write_atomic(folder / wanted_answers.KNOWN, "".join(lines))


def connection(ws: Workspace, endpoint: Model) -> str:
    """Ask an endpoint one short question, to see whether it answers; returns the run's id."""
    spec = ConnectSpec(run_id=ws.new_id(), model_id=endpoint.model_id, endpoint=Endpoint(**endpoint.base))
    return runs.begin(ws, spec, f"Connection to {endpoint.name}")


def scoring(ws: Workspace, evaluation: Run, asked: Sequence[str], contains: Sequence[str] = (), pattern: str = "",
            answer_schema: str = "", labels_read: Any = "lenient", answers: Any = "auto",
            meaning: Meaning | None = None) -> str:
    """Score an evaluation's stored answers by these metrics, own ones among them; returns the run's id. None is generated."""
    if not asked:
        raise StudioError("No score is chosen.", "Choose at least one.")
    _is_answered(ws, evaluation)
    names = [key.removeprefix(metrics.OWN) for key in asked if key.startswith(metrics.OWN)]
    spec = ScoreSpec(
        run_id=ws.new_id(), evaluation_id=evaluation.run_id, items_file=evaluation.spec["items_file"], metrics=tuple(asked),
        own={name: own_metrics.get(ws, name).code for name in names}, contains=tuple(contains), pattern=pattern,
        answer_schema=answer_schema, labels_read=labels_read, answers=answers, meaning=meaning)
    for earlier in runs.over(ws, evaluation.run_id, "score"):
        if not earlier.moving:
            runs.clear_copies(ws, earlier)
    title = f"{', '.join(map(metrics.title, asked[:3]))}{' and more' if len(asked) > 3 else ''} for {evaluation.title}"
    snapshots.verify(ws, snapshots.get(ws, evaluation.snapshot_id))
    return runs.begin(ws, spec, title, evaluation.snapshot_id, lambda folder: rescored.write_out(
        ws, evaluation.run_id, folder / runs.ANSWERS))


def judging(ws: Workspace, evaluation: Run, judge: Model, rubric: str, pairs: Sequence[tuple[str, str]],
            mode: Any = "pairwise", item_ids: Sequence[str] = (), budget: float | None = None) -> str:
    """Let a chat model judge an evaluation's stored answers; returns the run's id. `pairs` are of candidate ids, `item_ids`
    none: all items. Raises StudioError where nothing can be judged."""
    _is_answered(ws, evaluation)
    judges.check_text(rubric)
    known = {one.candidate_id for one in runs.candidates(evaluation)}
    if not pairs or any(a == b or not {a, b} <= known for a, b in pairs):
        raise StudioError("A judge needs two different candidates of this evaluation.", "Choose two.")
    if budget is not None and (judge.base.get("price_in") is None or judge.base.get("price_out") is None):
        raise StudioError("A budget needs the judge's prices.", "Give them on the Models page, or set no budget.")
    spec = JudgeSpec(
        run_id=ws.new_id(), evaluation_id=evaluation.run_id, items_file=evaluation.spec["items_file"],
        judge=candidates.spec(ws, Chosen(judge), candidates.held([Chosen(judge)], judge.base)), rubric=rubric, mode=mode,
        pairs=tuple(pairs), item_ids=tuple(item_ids), budget=budget)
    snapshots.verify(ws, snapshots.get(ws, evaluation.snapshot_id))

    def write(folder: Path) -> None:
        rescored.write_out(ws, evaluation.run_id, folder / runs.ANSWERS, {one for pair in pairs for one in pair})
        rundir.write_atomic(folder / runs.KNOWN, "".join(f"{json.dumps(line)}\n" for line in _verdicts_known(ws)))

    return runs.begin(ws, spec, f"{judge.name} judges {evaluation.title}", evaluation.snapshot_id, write)


def _verdicts_known(ws: Workspace) -> list[Row]:
    """Every verdict that judges gave before, the newest of the same question last; the child takes those that are its own."""
    return [line for run in reversed(runs.every(ws, "judge")) for line in runs.lines(ws, run, runs.JUDGEMENTS)
            if line["verdict"] is not None and line.get("reply_key")]


def _is_answered(ws: Workspace, evaluation: Run) -> None:
    runs.collect(ws)
    if evaluation.state != "done" or not rescored.answered(ws, evaluation.run_id):
        raise StudioError("This evaluation has no answers yet.", "Wait until its run is done, then open it again.")


def play(ws: Workspace, hub: bool = False) -> Run:
    """The playground's run: the newest one, whether it moves or not; a first one is begun. `hub`: where a model may have to be
    fetched from the hub, one that may do so; the one before it is asked to stop."""
    with _one_playground_starts:
        newest = next(iter(runs.every(ws, "play")), None)
        if newest is not None and (newest.spec["hub"] or not hub):
            return newest
        if newest is not None:
            runs.stop(ws, newest.run_id)
        return runs.get(ws, runs.begin(ws, PlaySpec(run_id=ws.new_id(), hub=hub), "Playground"))


def hand_over(ws: Workspace, run: Run, wanted: Sequence[tuple[str, Candidate, Sequence[Row], Decoding]], wake: bool) -> None:
    """Give the playground's child the replies that are wanted (id, who answers, the conversation, how) and that it has not got.

    `wake`: a child that is dead or has ended is started again, with files begun anew; all that they hold is collected.
    """
    folder = ws.path(run.folder)
    with _one_playground_starts:
        asleep = not runs.get(ws, run.run_id).moving
        if asleep and wake:
            runs.clear_copies(ws, run)
            for name in (runs.ASKS, runs.PIECES):
                runs.lines(ws, run, name)  # sees that the file is gone: a new one may get its number on the disk
            for stop in folder.glob("stop-*"):
                stop.unlink()
        there = {row["reply"] for row in rundir.read_lines(folder / runs.ASKS)}
        lines = [PlayAsk(reply=reply, candidate=candidate, messages=tuple(messages), decoding=decoding)
                 for reply, candidate, messages, decoding in wanted if reply not in there]
        rundir.append(folder / runs.ASKS, [line.model_dump() for line in lines])
        if asleep and wake:
            launch.start(folder, ws.root)


def stop_reply(ws: Workspace, run: Run, reply_id: str) -> None:
    """Ask the playground's child to end one reply; its text so far stays."""
    (ws.path(run.folder) / f"stop-{reply_id}").touch()


def check(ws: Workspace, only_new: bool = True, context_tokens: int = CONTEXT_TOKENS, names_model: str = "") -> str:
    """Look for findings in the records that nobody dropped: in the new and changed ones, or in all; returns the run's id.

    `names_model` is an installed spaCy model, or its folder, that finds more names and places.
    """
    with _one_check_starts:
        return _check(ws, only_new, context_tokens, names_model.strip())


def _check(ws: Workspace, only_new: bool, context_tokens: int, names_model: str) -> str:
    runs.collect(ws)
    earlier = runs.every(ws, "check")
    if any(run.moving for run in earlier):
        raise StudioError("A check is running already.", "Wait for its end, or stop it first.")
    newest = runs.latest_check(ws)
    language = newest.result.data["language"] if only_new and newest and newest.result else None
    run_id = ws.new_id()
    with ws.transaction() as transaction:
        transaction.execute("delete from check_items")
        total, look = findings.choose(transaction, run_id, only_new)
        if not look:
            raise StudioError("There is nothing to check: every record was checked as it is.",
                              "Import tickets, or check all again.")
        spec = CheckSpec(run_id=run_id, records=total, to_check=look, context_tokens=context_tokens, language=language,
                         names_model=names_model, tokenizer=runs.tokenizer(ws))
        runs.add_row(ws, transaction, spec, f"Check of {look:,} records", "")
    for run in earlier:
        runs.clear_copies(ws, run)
    return runs.set_off(ws, spec, lambda folder: findings.write_out(ws, run_id, folder / runs.RECORDS))


def search(ws: Workspace, side: str, meaning: Meaning | None = None) -> str:
    """Look for twins among all records, by one side of them ('question', 'answer', 'both'); returns the run's id.

    Raises StudioError while another search runs, and where there is nothing to compare.
    """
    with _one_search_starts:
        duplicates.known_side(side)
        runs.collect(ws)
        earlier = runs.every(ws, "dedupe")
        if any(run.moving for run in earlier):
            raise StudioError("A search for duplicates is running already.", "Wait for its end, or stop it first.")
        run_id = ws.new_id()
        with ws.transaction() as transaction:
            total = duplicates.choose(transaction, run_id)
            spec = DedupeSpec(run_id=run_id, records=total, side=side, meaning=meaning)  # type: ignore[arg-type]
            runs.add_row(ws, transaction, spec, f"Duplicates by {side}, {total:,} records", "")
        for run in earlier:
            runs.clear_copies(ws, run)
        return runs.set_off(ws, spec, lambda folder: duplicates.write_out(ws, run_id, side, folder / runs.TEXTS,
                                                                         spec.chunk_texts))


def validation(ws: Workspace, file: str, name: str, max_tokens: int = CONTEXT_TOKENS) -> str:
    """Check the form of a JSONL file, in the workspace or by absolute path; returns the run's id."""
    spec = ValidateSpec(run_id=ws.new_id(), file=file, max_tokens=max_tokens)
    return runs.begin(ws, spec, f"Validation of {name}", "")


def suggestions(ws: Workspace, set_id: str) -> str:
    """Let the light model learn from a set's labels and suggest labels for the other records; returns the run's id."""
    label_set = label_sets.get(ws, set_id)
    with _one_suggestion_starts:
        runs.collect(ws)
        earlier = runs.every(ws, "suggest")
        if any(run.moving and run.spec["set_id"] == set_id for run in earlier):
            raise StudioError("The light model is learning already.", "Wait for its end, or stop it first.")
        reason = light_model.too_few(ws, label_set)
        if reason:
            raise StudioError(reason, "Label some more records first.")
        total, labelled = light_model.counts(ws, set_id)
        fields = tuple(SuggestField(key=field.key, title=field.title, kind=field.kind,  # type: ignore[arg-type]
                                    values=tuple(option.value for option in field.options))
                       for field in light_model.learnable(label_set))
        spec = SuggestSpec(run_id=ws.new_id(), set_id=set_id, fields=fields, records=total, labelled=labelled)
        for run in earlier:
            if not run.moving:
                runs.clear_copies(ws, run)
        return runs.begin(ws, spec, f"Suggestions for {label_set.name}",
                          write=lambda folder: light_model.write_out(ws, set_id, folder / runs.RECORDS))
