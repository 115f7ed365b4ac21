"""Vectors from an OpenAI-compatible embeddings endpoint. The key comes from the environment and goes nowhere else.

What a server answers is never repeated in a message: it may hold the key or the texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import numpy as np

from pipeline.dedupe.shingles import F32
from pipeline.errors import PipelineError
from pipeline.specs import Meaning

KEYS = ("TUNEWRIGHT_EMBEDDINGS_KEY", "OPENAI_API_KEY")
"""The first that is set is used; a server on this machine may need none."""

AT_ONCE, REQUESTS, TRIES, TIMEOUT_SECONDS = 64, 4, 5, 60.0
MOST_CHARACTERS = 24_000
"""Longer texts are cut for the endpoint: OpenAI's models refuse more than 8,191 tokens."""

LOOK_SECONDS = 0.3
Watch = Callable[[int, int], None]


def maker(meaning: Meaning, watch: Watch) -> Callable[[Sequence[str]], F32]:
    """Makes vectors of texts, 64 a request and four requests at a time; each tried six times before it fails in words."""
    try:
        import openai
    except ImportError:
        raise PipelineError("The package openai is not installed.", "Install it: pip install 'tunewright[hosted]'.") from None
    key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "none")
    client = openai.OpenAI(base_url=meaning.ref or None, api_key=key, timeout=TIMEOUT_SECONDS, max_retries=TRIES)
    threads = ThreadPoolExecutor(REQUESTS, thread_name_prefix="embeddings")

    def made(texts: Sequence[str]) -> F32:
        batches = [[text[:MOST_CHARACTERS] for text in texts[at : at + AT_ONCE]] for at in range(0, len(texts), AT_ONCE)]
        waiting = [threads.submit(_request, client, meaning, batch) for batch in batches]
        try:
            return np.concatenate([_result(future, watch, AT_ONCE * at, len(texts)) for at, future in enumerate(waiting)])
        finally:
            for future in waiting:
                future.cancel()

    return made


def _request(client: Any, meaning: Meaning, batch: list[str]) -> F32:
    import openai

    try:
        answer = client.embeddings.create(model=meaning.model, input=batch, encoding_format="float")
    except openai.OpenAIError as error:
        raise _in_words(error, meaning) from None
    rows = sorted(answer.data or [], key=lambda row: row.index)
    if [row.index for row in rows] != list(range(len(batch))) or len({len(row.embedding) for row in rows}) != 1:
        raise PipelineError(f"The endpoint {_place(meaning)} did not answer with one vector for each text.",
                            "Check that the address is one of an embeddings endpoint and the model makes embeddings.")
    return _unit(np.array([row.embedding for row in rows], np.float32))


def _in_words(error: Exception, meaning: Meaning) -> PipelineError:
    """What went wrong, without a word of what the server said."""
    import openai

    place, status = _place(meaning), getattr(error, "status_code", None)
    if isinstance(error, openai.APITimeoutError):
        return PipelineError(f"The endpoint {place} did not answer within {TIMEOUT_SECONDS:.0f} seconds, {TRIES + 1} times.",
                             "Resume later: the vectors that came are kept.")
    if isinstance(error, openai.APIConnectionError):
        return PipelineError(f"The endpoint {place} cannot be reached.", 
                             "Check the address and that the server runs, then resume.")
    if status in (401, 403):
        return PipelineError(f"The endpoint {place} refused the key ({status}).",
                             f"Set {' or '.join(KEYS)} in the studio's environment, start it again and resume.")
    if status == 404:
        return PipelineError(f"The endpoint {place} does not know this address or the model {meaning.model} (404).",
                             "Check both; the address usually ends in /v1.")
    if status == 429:
        return PipelineError(f"The endpoint {place} says there are too many requests, or the account is used up (429).",
                             "Resume later: the vectors that came are kept.")
    return PipelineError(f"The endpoint {place} failed ({status or type(error).__name__}).",
                         "If it stays so, the server's log says why. The vectors that came are kept.")


def _place(meaning: Meaning) -> str:
    """The address without what may be secret in it: user, password, query."""
    from urllib.parse import urlsplit

    parts = urlsplit(meaning.ref or "https://api.openai.com/v1")
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _result(future: Future[F32], watch: Watch, done: int, total: int) -> F32:
    while True:
        watch(done, total)
        try:
            return future.result(timeout=LOOK_SECONDS)
        except NotYet:
            continue


def _unit(rows: F32) -> F32:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
