"""Errors at a fine-tuning service, in words for people. Of a refusal only line numbers are kept, never its text."""

from __future__ import annotations

import re
from datetime import date

from pipeline import keys
from pipeline.errors import PipelineError
from pipeline.managed import closing
from pipeline.managed.service import Job, Trouble
from pipeline.managed.together_service import HOME, KEY
from pipeline.spec_managed import Service

MOST_WORDS = 400
NO_KEY = "Name the environment variable that holds its key, where the service is chosen."
FILES = ("training_file", "validation_file", "file")
_LINES = re.compile(r"\b(?:lines?|rows?|examples?)\s+((?:#?\d+(?:\s*(?:,|and|to|-|–)\s*)?)+)", re.I)
_MODERATION = re.compile(r"moderat|usage polic|unsafe|content.polic|content.filter|safety", re.I)
_KEYS = re.compile(r"\b(?:sk|tgp|pk|rk)[-_][\w*.-]{4,}|\b(?:Bearer|api[-_ ]?key)\s*[:=]?\s*\S{8,}|\b[A-Za-z0-9_-]{48,}\b", re.I)
_NOT_THIS_MODEL = re.compile(r"model.{0,80}(not|cannot|n't)\b", re.I | re.S)
_FILE = re.compile(r"training_file|validation_file|file|jsonl|example|line \d", re.I)
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "exceeded_quota", "billing_limit")
MODERATION_HINT = "Its moderation looks for what its terms forbid. Check the records for it, leave them out, and freeze again."


def address(service: Service) -> str:
    return keys.place(service.base_url or (HOME if service.api == "together" else keys.OPENAI))


def clean(said: str, key: str) -> str:
    """The service's own words as they may be shown: one line, not long, nothing in it that looks like a key."""
    plain = " ".join(said.split())
    if key and key != "none":
        plain = plain.replace(key, "…")
    plain = _KEYS.sub("…", plain)
    return plain if len(plain) <= MOST_WORDS else plain[: MOST_WORDS - 1] + "…"


def lines(said: str) -> str:
    """ "lines 3, 17" where the service named some, else nothing."""
    found = [number for match in _LINES.finditer(said) for number in re.findall(r"\d+", match.group(1))]
    kept = list(dict.fromkeys(found))[:20]
    return ("line " if len(kept) == 1 else "lines ") + ", ".join(kept) if kept else ""


def in_words(trouble: Trouble, service: Service, model: str, today: date) -> PipelineError:
    """Why a call was refused. `today` is for the days on which OpenAI closes."""
    place, status = address(service), trouble.status
    if status is None:
        return PipelineError(f"{place} gives no answer ({trouble.kind}).", "Check the address and the network, then resume.")
    if status == 401:
        name = _key_name(service)
        return PipelineError(f"{place} refused the key (401).", keys.hint(name) if name else NO_KEY)
    if status == 403:
        return PipelineError(f"The account at {place} may not fine-tune (403).", closing.refusal(service, today))
    if status == 402 or trouble.code in _QUOTA:
        return PipelineError(f"The account at {place} has no credit left ({status}).", "Add credit there, then resume.")
    if status == 429:
        return PipelineError(f"{place} says there are too many requests (429).", "Resume in some minutes.")
    if status == 413:
        return PipelineError(f"The file is too large for {place} (413).", "Freeze a smaller snapshot.")
    if status == 404 and trouble.param in FILES:
        return PipelineError(f"{place} does not find the file that was uploaded (404).", "Resume: it is uploaded again.")
    if status == 404 or trouble.code == "model_not_found":
        return _not_tunable(place, model, status)
    if status in (400, 409, 422):
        return _refused(trouble, place, model)
    return PipelineError(f"{place} failed ({status}).", "Resume later; what exists there is found again and not paid twice.")


def failed(job: Job, service: Service, key: str) -> PipelineError:
    """A job that failed, with the service's words."""
    place, said = address(service), clean(job.error, key)
    if _MODERATION.search(f"{job.error} {job.error_code}"):
        hint = MODERATION_HINT
    elif job.error_code in _QUOTA:
        hint = "Add credit there, then start a new run."
    elif _FILE.search(f"{job.error_code} {job.error}"):
        hint = "Look at the named lines in the quote's file, change those records, freeze again and start a new run."
    else:
        hint = "A new run asks for a new job; this one stays as it ended."
    return PipelineError(f"The job {job.id} failed at {place}" + (f": {said}" if said else ", which gave no reason."), hint)


def cancelled(job: Job, service: Service) -> PipelineError:
    return PipelineError(f"The job {job.id} was cancelled at {address(service)}.",
                         "A new run asks for a new job; this one stays as it ended.")


def _refused(trouble: Trouble, place: str, model: str) -> PipelineError:
    said = f"{trouble.code} {trouble.param} {trouble.said}"
    if _MODERATION.search(said):
        return PipelineError(f"{place} refused the file for what is in it ({trouble.status}).", MODERATION_HINT)
    where, of_file = lines(trouble.said), trouble.param in FILES
    about_model = trouble.param == "model" or "model" in trouble.code or re.search(_NOT_THIS_MODEL, said)
    if about_model and not of_file and not where:
        return _not_tunable(place, model, trouble.status)
    if of_file or where or _FILE.search(said):
        return PipelineError(f"{place} refused the file ({trouble.status}" + (f", {where})." if where else ")."),
                             "Look at those lines in the quote's file, change the records, and freeze again.")
    named = f": {trouble.param}" if re.fullmatch(r"[a-z_.]{1,60}", trouble.param) else ""
    return PipelineError(f"{place} refused the job ({trouble.status}{named}).",
                         "Change the settings, or leave them to the service, and start a new run.")


def _not_tunable(place: str, model: str, status: int | None) -> PipelineError:
    said = "does not know this address, or does not tune" if status == 404 else "does not tune"
    return PipelineError(f"{place} {said} the model {model} ({status}).",
                         "Check the model's name and the address, which usually ends in /v1; the service lists what it tunes.")


def _key_name(service: Service) -> str:
    return keys.key_name(service.base_url, service.key_env, KEY if service.api == "together" else keys.OPENAI_KEY)
