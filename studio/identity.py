"""Identity: who somebody is, from what an OpenID provider or a trusted proxy says of them. Both are off by default.

The environment decides: `TUNEWRIGHT_TRUSTED_HEADER` names the header in which a proxy says the e-mail address, and counts only
beside the header `X-Tunewright-Proxy` with the value of `TUNEWRIGHT_PROXY_SECRET`, so that nobody but the proxy can say it.
`TUNEWRIGHT_SESSION_HOURS` says how long a sign-in with a provider lasts. `TUNEWRIGHT_LOGIN=off` opens a workspace that has
people to whoever reaches the studio, as one may want on a laptop.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from studio import people
from studio.errors import StudioError
from studio.people import Person

HEADER, SECRET, HOURS, LOGIN = (
    "TUNEWRIGHT_TRUSTED_HEADER", "TUNEWRIGHT_PROXY_SECRET", "TUNEWRIGHT_SESSION_HOURS", "TUNEWRIGHT_LOGIN")
PROXY = "X-Tunewright-Proxy"
DEFAULT_HOURS, SHORTEST_SECRET = 12.0, 16


def behind_proxy() -> bool:
    """Whether a proxy says who somebody is. Raises StudioError where it could be anybody who says so."""
    if not os.environ.get(HEADER):
        return False
    secret = os.environ.get(SECRET, "")
    if len(secret) < SHORTEST_SECRET:
        raise StudioError(f"{HEADER} is set, but {SECRET} is missing or shorter than {SHORTEST_SECRET} characters.",
                          f"Set it for the studio, and let the proxy send it as the header {PROXY}.")
    if not secret.isascii() or secret != secret.strip():  # no header carries it as it is, so nobody could ever come in
        raise StudioError(f"{SECRET} holds letters beyond ASCII, or begins or ends with white space.",
                          "Make one of plain letters and digits, for the studio and for the proxy.")
    return True


def left_open() -> bool:
    """Whether somebody said that nobody needs to sign in although the workspace has people."""
    return os.environ.get(LOGIN, "").lower() == "off"


def hours() -> float:
    """How long a sign-in lasts. Raises StudioError for what is no number above 0."""
    said = os.environ.get(HOURS) or str(DEFAULT_HOURS)
    try:
        found = float(said)
    except ValueError:
        found = 0.0
    if not 0 < found < 24 * 366:
        raise StudioError(f"{HOURS} is no number of hours.", "Set it to 12, for example, or leave it out.")
    return found


def of_headers(every: Callable[[str], Sequence[str]]) -> Person | None:
    """Whom the proxy names; `every` gives all values of a header. A header that came twice, or without the secret, is somebody
    else's and names nobody."""
    secrets, named = every(PROXY), every(os.environ[HEADER])
    known = len(secrets) == 1 and hmac.compare_digest(secrets[0].encode(), os.environ[SECRET].encode())
    if not known or len(named) != 1:
        return None
    try:
        return Person(people.address(named[0]))
    except StudioError:
        return None


def of_claims(claims: Mapping[str, Any]) -> Person:
    """Whom a provider's signed token names. Raises StudioError where it has no e-mail address that the provider verified."""
    email, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or not (verified is True or verified == "true"):
        raise StudioError("Your provider does not say that your e-mail address is verified.",
                          "Verify it there, or let the provider send the claims email and email_verified; then sign in again.")
    since = claims.get("iat")
    if isinstance(since, bool) or not isinstance(since, int | float):
        raise StudioError("Your provider does not say when you signed in.",
                          "Let it send the claim iat, as OpenID Connect wants.")
    name = claims.get("name")
    until = datetime.fromtimestamp(since, UTC).replace(tzinfo=None) + timedelta(hours=hours())
    return Person(people.address(email), " ".join(name.split())[:80] if isinstance(name, str) else "", until)
