"""Webhooks: an alert is told to an address outside, without a text of anybody, and without harm when that goes wrong.

Only https, or http to this very machine; no redirect is followed; a call has a few seconds in all, and three tries. Calls
happen in a thread of their own, and how they ended is a row. The address may be a secret itself (a chat's incoming hook): then
it stays in the environment, and only the variable's name is kept.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from studio import alerts, folders
from studio.alerts import Alert
from studio.errors import StudioError
from studio.permissions import needs
from studio.workspace import Row, Workspace

TRIES, SECONDS = 3, 8.0
PAUSES = (1.0, 4.0)
LATE_SECONDS = 120.0
"""By then every try of a call that was begun is over."""
_HERE = ("localhost", "127.0.0.1", "::1")
_ENV = re.compile(r"TUNEWRIGHT_[A-Z0-9_]{1,60}")
_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Hook:
    """Where alerts are told: an address, or the variable of the environment that holds one."""

    hook_id: str
    address: str
    address_env: str
    who: str
    said_at: datetime

    @property
    def name(self) -> str:
        return self.address or f"the address in {self.address_env}"


@dataclass(frozen=True)
class Call:
    """One alert told to one hook: `outcome` is "told" or "failed", `words` say how it went."""

    hook_id: str
    alert_id: str
    tries: int
    outcome: str
    words: str
    called_at: datetime


@needs("own")
def add(ws: Workspace, address: str, who: str) -> None:
    """Keep an address, or the name of a variable that holds one. Raises StudioError for what alerts cannot be sent to."""
    address = address.strip()
    env = address if _ENV.fullmatch(address) else ""
    if not env:
        check(address)
    _say(ws, {"hook_id": ws.new_id(), "address": "" if env else address, "address_env": env, "active": True}, who)


@needs("own")
def remove(ws: Workspace, hook: Hook, who: str) -> None:
    _say(ws, {"hook_id": hook.hook_id, "address": hook.address, "address_env": hook.address_env, "active": False}, who)


@needs("own", looks=True)
def every(ws: Workspace) -> list[Hook]:
    """Those that stand, the oldest first."""
    return [
        Hook(**row)
        for row in ws.rows("""
        select hook_id, address, address_env, who, said_at from (
            from webhooks qualify row_number() over (partition by hook_id order by seq desc) = 1)
        where active order by said_at, hook_id""")
    ]


@needs("own", looks=True)
def calls(ws: Workspace, limit: int = 20) -> list[Call]:
    """How the newest calls went."""
    return [
        Call(**row)
        for row in ws.rows(
            """select hook_id, alert_id, tries, outcome, words, called_at from webhook_calls
                                              order by called_at desc, call_id limit ?""",
            [limit],
        )
    ]


def check(address: str) -> None:
    """Raises StudioError, without repeating what may be a secret."""
    try:
        parts = urlsplit(address)
        here = parts.hostname in _HERE
        usable = (parts.scheme == "https" and bool(parts.hostname)) or (parts.scheme == "http" and here)
        usable = usable and parts.port != 0 and not any(ord(letter) <= 32 for letter in address)
    except ValueError:
        usable = False
    if not usable:
        raise StudioError(
            "This is not an address that alerts are sent to.", "It begins with https://, or with http://localhost."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise StudioError(
            "An address is kept and shown, so it must hold no password and no key.",
            "Put the whole address into an environment variable TUNEWRIGHT_…, and write the variable's name here.",
        )


def body(alert: Alert) -> Row:
    """What is told: figures and ids, no text of a log."""
    return {
        "event": "alert",
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "subject": alert.subject,
        "sentence": alert.sentence if alert.kind == "target" else "Drift was found in production.",
        "rule": alert.reason,
        "figures": alert.evidence,
        "row_ids": list(alert.row_ids),
        "opened_at": alert.opened_at.isoformat(timespec="seconds") + "Z",
        "page": f"/monitor?alert={alert.alert_id}",
    }


@needs("run")
def tell(ws: Workspace, opened: Sequence[Alert]) -> list[threading.Thread]:
    """Tell alerts to all hooks, each call in a thread; returns them, for whoever wants to wait."""
    return [_begin(ws, hook, alert) for hook in every(ws) for alert in opened]


@needs("run")
def tell_late(ws: Workspace) -> list[threading.Thread]:
    """Tell what nobody was told, because the studio went down meanwhile: open alerts of the last day."""
    hooks = {hook.hook_id: hook for hook in every(ws)}
    late = ws.rows("""select h.hook_id, a.alert_id from alerts a, (select unnest(?::varchar[]) as hook_id,
                      unnest(?::timestamp[]) as said_at) h where a.over_at is null and a.opened_at between ? and ?
                      and a.opened_at > h.said_at and not exists (
                          from webhook_calls c where c.hook_id = h.hook_id and c.alert_id = a.alert_id)""",
                   [list(hooks), [hook.said_at for hook in hooks.values()], ws.now() - timedelta(days=1),
                    ws.now() - timedelta(seconds=LATE_SECONDS)])
    return [_begin(ws, hooks[row["hook_id"]], alerts.get(ws, row["alert_id"])) for row in late]


def send(address: str, text: bytes, seconds: float = SECONDS) -> tuple[bool, bool, str]:
    """One call: whether it was taken, whether another try makes sense, and words that hold neither address nor answer."""
    parts = urlsplit(address)
    make: Callable[..., http.client.HTTPConnection] = (
        http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    )
    connection = make(parts.hostname or "", parts.port, timeout=seconds)
    late = threading.Timer(seconds, _cut, [connection])  # a server that sends a byte now and then is never silent
    late.daemon = True
    late.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, text, {"Content-Type": "application/json", "User-Agent": "tunewright"})
        status = connection.getresponse().status
    except ssl.SSLError:
        return False, False, "Its certificate is not valid."
    except TimeoutError:
        return False, True, f"It did not answer within {seconds:g} s."
    except (OSError, http.client.HTTPException, ValueError):
        return False, True, "It could not be reached, or broke off."
    finally:
        late.cancel()
        connection.close()
    if 300 <= status < 400:
        return False, False, f"It leads elsewhere ({status}), which is not followed."
    return 200 <= status < 300, status in _AGAIN, f"It answered {status}."


def _begin(ws: Workspace, hook: Hook, alert: Alert) -> threading.Thread:
    thread = threading.Thread(target=_tell, args=(ws, hook, alert), name=f"webhook-{alert.alert_id}", daemon=True)
    thread.start()
    return thread


def _cut(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # closed already
            return


def _tell(ws: Workspace, hook: Hook, alert: Alert) -> None:
    told_of = body(alert) | {"page": folders.address(folders.name_of(ws), f"/monitor?alert={alert.alert_id}")}
    text = json.dumps(told_of, ensure_ascii=False, default=str).encode()
    told, tries, words = False, 0, ""
    try:
        address = hook.address or os.environ.get(hook.address_env, "")
        check(address.partition("?")[0] if hook.address_env else address)
        for place in range(TRIES):
            tries += 1
            told, again, words = send(address, text)
            if told or not again or place == TRIES - 1:
                break
            time.sleep(PAUSES[place])
    except StudioError as error:
        words = error.message if hook.address else f"{hook.address_env} holds no address that alerts are sent to."
    if ws.closed:  # the studio went down meanwhile
        return
    with ws.transaction() as transaction:
        transaction.insert(
            "webhook_calls",
            [
                {
                    "call_id": ws.new_id(),
                    "hook_id": hook.hook_id,
                    "alert_id": alert.alert_id,
                    "tries": tries,
                    "outcome": "told" if told else "failed",
                    "words": words,
                    "called_at": ws.now(),
                }
            ],
        )


def _say(ws: Workspace, row: Row, who: str) -> None:
    with ws.transaction() as transaction:
        transaction.decided("webhooks", [{"press_id": ws.new_id(), "seq": 0, **row, "who": who, "said_at": ws.now()}])
