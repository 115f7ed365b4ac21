"""The real openai client at a service's address, told to repeat nothing; what it raises becomes Trouble."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from pipeline import keys
from pipeline.errors import PipelineError
from pipeline.managed.service import Trouble
from pipeline.spec_managed import Service

TIMEOUT_SECONDS, MOST_PAGES, NO_SENSE = 60.0, 40, "an answer that makes no sense"


class Connection:
    def __init__(self, service: Service, home: str, own_key: str) -> None:
        try:
            import openai
        except ImportError:
            raise PipelineError("The package openai is not installed.",
                                "Install it: pip install 'tunewright[hosted]'.") from None
        self.place = keys.place(service.base_url or home)
        self.key_name = keys.key_name(service.base_url, service.key_env, own_key)
        self.key = keys.key(self.key_name, self.place)
        self.client = openai.OpenAI(base_url=service.base_url or home, api_key=self.key, timeout=TIMEOUT_SECONDS, max_retries=0)

    @contextmanager
    def asking(self) -> Iterator[Any]:
        """Inside it the client may be used; hands out the client."""
        import httpx2
        import openai

        try:
            yield self.client
        except openai.APIStatusError as error:
            raise _refused(error) from None
        except openai.APITimeoutError:
            raise Trouble(None, "no answer in time") from None
        except (openai.APIConnectionError, httpx2.HTTPError):
            raise Trouble(None, "no connection") from None
        except (openai.OpenAIError, ValueError):  # not JSON, or not of the kind that was awaited
            raise Trouble(None, NO_SENSE) from None


def fields(found: Any) -> dict[str, Any]:
    """An answer as a dict, unknown keys and odd values included. Raises Trouble where it is none."""
    if hasattr(found, "to_dict"):
        found = found.to_dict(warnings=False, exclude_unset=False)
    if not isinstance(found, Mapping):
        raise Trouble(None, NO_SENSE)
    return dict(found)


def items(ask: Callable[[str | None], Any]) -> Iterator[dict[str, Any]]:
    """What is in a list, page by page. It ends with a page that brings nothing new: `has_more` may say yes for ever.

    Raises Trouble where an answer is no list: "nothing is there" must never be read out of nonsense.
    """
    seen, after = set[str](), None
    for _ in range(MOST_PAGES):
        page = ask(after)
        new = [one for one in listed(getattr(page, "data", None)) if str(one.get("id")) not in seen]
        yield from new
        if not new or getattr(page, "has_more", None) is False:
            return
        after = str(new[-1].get("id"))
        seen |= {str(one.get("id")) for one in new}


def listed(data: Any) -> list[dict[str, Any]]:
    """Raises Trouble where it is no list of objects."""
    if not isinstance(data, list):
        raise Trouble(None, NO_SENSE)
    return [fields(one) for one in data]


def number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _refused(error: Any) -> Trouble:
    body: Mapping[str, Any] = error.body if isinstance(error.body, Mapping) else {}
    nested = body.get("error")
    inner: Mapping[str, Any] = nested if isinstance(nested, Mapping) else body
    said = inner.get("message") or (json.dumps(body) if body else str(error.body or ""))
    return Trouble(error.status_code, f"HTTP {error.status_code}", str(inner.get("code") or inner.get("type") or ""),
                   str(inner.get("param") or ""), str(said)[:4_000], _retry_after(error.response.headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from a number or a date."""
    given = headers.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
