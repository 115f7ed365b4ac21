"""When a service or a model comes to its end, in plain words. Pure: today comes as an argument."""

from __future__ import annotations

from datetime import date

from pipeline.spec_managed import Service

NEVER_TUNED, IDLE, EVERYBODY, MODELS = date(2026, 5, 7), date(2026, 7, 2), date(2027, 1, 6), date(2027, 1, 14)
"""OpenAI's days: accounts that never tuned, idle ones and all lose job creation; the models go. FIELD.md of 2026-11-23."""

GOING = ("gpt-4o", "gpt-4.1")


def is_openai(service: Service) -> bool:
    return service.api == "openai" and service.base_url.rstrip("/") in ("", "https://api.openai.com/v1")


def words(service: Service, model: str, shutdown: str | None, today: date) -> str:
    """What is coming to an end there; empty where nothing is known."""
    said = [_of_openai(model, today)] if is_openai(service) else []
    end = _day(shutdown)
    if end is not None and end != MODELS:
        said.append(f"{model} was shut down on {end}." if end < today else
                    f"{model} is shut down on {end}, in {_days(end, today)}; models tuned from it mostly go with it.")
    return " ".join(said)


def refusal(service: Service, today: date) -> str:
    """Why an account may not tune, where that is OpenAI's."""
    if not is_openai(service):
        return "Ask the service to allow fine-tuning for this account, or use a key of another project."
    return (_of_accounts(today) + " Another service that speaks OpenAI's fine-tuning API does the same work: give its address.")


def _of_openai(model: str, today: date) -> str:
    if not model.removeprefix("ft:").startswith(GOING):
        return _of_accounts(today)
    return _of_accounts(today) + (
        f" gpt-4o, gpt-4o-mini, gpt-4.1, gpt-4.1-mini and all models tuned from them were shut down on {MODELS}."
        if today > MODELS else
        f" gpt-4o, gpt-4o-mini, gpt-4.1, gpt-4.1-mini and all models tuned from them are shut down on {MODELS}, "
        f"in {_days(MODELS, today)}: what is tuned now answers until then.")


def _of_accounts(today: date) -> str:
    if today >= EVERYBODY:
        return f"OpenAI's fine-tuning was closed for everybody on {EVERYBODY}."
    earlier = (f"accounts that never tuned cannot since {NEVER_TUNED}, idle ones since {IDLE}" if today >= IDLE else
               f"accounts that never tuned cannot since {NEVER_TUNED}, idle ones lose it on {IDLE}" if today >= NEVER_TUNED else
               f"accounts that never tuned lose it on {NEVER_TUNED}, idle ones on {IDLE}")
    return (f"OpenAI is closing fine-tuning: {earlier}, and nobody can create jobs from {EVERYBODY} on, "
            f"in {_days(EVERYBODY, today)}.")


def _days(end: date, today: date) -> str:
    count = (end - today).days
    return "1 day" if count == 1 else f"{count} days"


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
