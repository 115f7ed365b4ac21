"""Before the click: the very lines, what a service would refuse in them, how many tokens they are, and whether the account can
still tune. Nothing is uploaded and nothing is paid; a refusal is an answer, not a failed run."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import examples
from pipeline.errors import PipelineError, Stopped
from pipeline.managed import closing, lines, tokens, words
from pipeline.managed.service import FineTuning, Trouble, opened
from pipeline.rundir import Child
from pipeline.spec_managed import QuoteSpec

MOST_TOLD = 50
TOGETHER_EPOCHS = 1
"""What Together does where nobody says anything."""


def run(child: Child, spec: QuoteSpec, workspace: Path) -> dict[str, Any]:
    child.say("counting", sentence="Writing and counting the lines")
    told: list[dict[str, Any]] = []
    files = {role: _file(child, spec, role, workspace / path, told) if path else None
             for role, path in (("train", spec.train_file), ("validation", spec.validation_file))}
    if child.stop_requested():
        raise Stopped("The account was not asked.")
    child.say("asking", sentence=f"Asking {words.address(spec.service)} about the account")
    today = datetime.fromtimestamp(child.clock(), UTC).date()
    account, shutdown = _account(spec)
    own = tokens.auto_epochs(files["train"]["lines"]) if spec.service.api == "openai" and files["train"] else TOGETHER_EPOCHS
    return {"train": files["train"], "validation": files["validation"],
            "problems": told[:MOST_TOLD], "problem_count": len(told),
            "tokens_basis": tokens.basis(spec.model), "limit": tokens.limit(spec.model), "epochs": spec.epochs or own,
            "account": account, "shutdown_date": shutdown,
            "closing": closing.words(spec.service, spec.model, shutdown, today)}


def done_words(data: dict[str, Any]) -> str:
    count = data["problem_count"]
    found = "nothing that the service would refuse" if not count else "1 problem" if count == 1 else f"{count:,} problems"
    return f"{data['train']['lines']:,} examples of {data['train']['tokens']:,} tokens, {found}. {data['account']['words']}"


def _file(child: Child, spec: QuoteSpec, role: str, path: Path, told: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the upload's bytes into the run folder, and say what they are."""
    given = examples.read(path)
    body, rows = lines.content(given), [lines.line(one) for one in given]
    counted = [*map(tokens.counter(tokens.basis(spec.model)), rows)]
    known = lines.Limits(tokens=tokens.limit(spec.model)) if spec.service.api == "openai" else lines.Limits(1, None)
    limits = known if role == "train" else replace(known, least=1)
    told += [{"file": role, "line": number, "words": said} for number, said in lines.problems(rows, counted, len(body), limits)]
    beside = child.folder / f".{role}.jsonl.tmp"
    beside.write_bytes(body)
    os.replace(beside, child.folder / f"{role}.jsonl")
    return {"lines": len(rows), "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "tokens": sum(counted),
            "longest": max(counted)}


def _account(spec: QuoteSpec) -> tuple[dict[str, str], str | None]:
    """What reading alone tells of the account, and the day the base model is shut down."""
    place = words.address(spec.service)
    try:
        service = opened(spec.service)
    except PipelineError as error:
        return {"state": "no_key", "words": f"{error.message} {error.hint}"}, None
    try:
        listed = _models(service)
        service.probe()
    except Trouble as trouble:
        return _refused(spec, trouble, place), None
    if listed and spec.model not in listed:
        return {"state": "model_unknown", "words": f"{place} does not list the model {spec.model}; check its name."}, None
    return {"state": "ok", "words": f"{place} takes the key and shows the account's jobs. Whether it may create one is "
                                    "seen only when it is asked."}, listed.get(spec.model)


def _models(service: FineTuning) -> dict[str, str | None]:
    """Nothing where the key may not list models, or the service has no such list: jobs may work all the same."""
    try:
        return service.models()
    except Trouble as trouble:
        if trouble.unserved or trouble.status == 403:
            return {}
        raise


def _refused(spec: QuoteSpec, trouble: Trouble, place: str) -> dict[str, str]:
    if trouble.passing:
        return {"state": "unreachable", "words": f"{place} gives no usable answer ({trouble.kind}). Check the address and the "
                                                 "network; a quote can be asked for again at any time."}
    if trouble.unserved:
        return {"state": "may_not_tune", "words": f"{place} serves no fine-tuning ({trouble.kind}). Check the address, which "
                                                  "usually ends in /v1."}
    error = words.in_words(trouble, spec.service, spec.model, datetime.now(UTC).date())
    return {"state": "may_not_tune" if trouble.status == 403 else "refused", "words": f"{error.message} {error.hint}"}
