"""How many calls to one model may be on their way, when the next may go, and when the model is given up. Pure.

What fails now and then costs nothing but its own call. Where several in a row fail, one call goes out at a time, with longer
and longer rests, until one comes back well or `VAIN` came to nothing. Where several in a row are refused as too many (429), all
rest as long as the server asks, and half as many go out then; each call that comes back well makes room for one more.
"""

from __future__ import annotations

import math

VAIN = 5
"""So many calls one after the other that come to nothing, and the model is given up."""

CHANCE = 3
"""Fewer failures in a row say nothing of the server."""

REFUSED, MOST_REFUSED = 5, 8
"""So many refusals (429) in a row, and everybody rests; so many rests that helped nothing, and the model is given up."""

SHORTEST_REST, LONGEST_REST = 0.25, 20.0
LONGEST_ASKED = 600.0
"""A server that wants everybody to wait longer than this is not waited for."""

AFTER_GOOD = 8
"""How much longer the rests are once a call came back well: a server that is started again is back in half a minute."""


class Pace:
    """`most` is how many calls the endpoint takes at a time. All times are unix seconds; `sent` is when a call went out."""

    def __init__(self, most: int) -> None:
        self.most = self.width = most
        self.sound = self.ever = False
        self.failures = self.vain = self.refusals = self.rests = 0
        self.troubled = -math.inf
        self.rest_until = self.refused_until = 0.0

    def room(self, now: float) -> int:
        """How many calls may be on their way now: one until the first came back well, and none during a rest."""
        if self.rest(now):
            return 0
        return self.width if self.sound else 1

    def rest(self, now: float) -> float:
        """Seconds until the next call may go out."""
        return max(0.0, self.rest_until - now, self.refused_until - now)

    def well(self) -> None:
        self.sound = self.ever = True
        self.failures = self.vain = self.refusals = self.rests = 0
        self.rest_until = 0.0
        self.width = min(self.most, self.width + 1)

    def failed(self, sent: float, now: float) -> bool:
        """A call came to nothing; whether the model is given up. Calls that were on their way when the trouble began only
        count as that one trouble."""
        if self.sound:
            self.failures += 1
            if self.failures >= CHANCE:
                self.sound, self.troubled, self.rest_until = False, now, now + self._rest(0)
        elif sent >= self.troubled:
            self.vain += 1
            self.rest_until = now + self._rest(self.vain - 1)
        return self.vain >= VAIN

    def refused(self, sent: float, now: float, wait: float | None) -> bool:
        """The server said that there are too many requests; whether the model is given up."""
        self.refusals += 1
        if self.refusals >= REFUSED:
            if self.refusals % REFUSED == 0:
                self.width = max(1, self.width // 2)
            if sent >= self.refused_until:
                self.rests += 1
                self.refused_until = now + (self._rest(self.rests) if wait is None else wait)
        return self.rests >= MOST_REFUSED or (self.refusals >= REFUSED and (wait or 0.0) > LONGEST_ASKED)

    def _rest(self, times: int) -> float:
        return back_off(times) * (AFTER_GOOD if self.ever else 1)


def back_off(times: int) -> float:
    """Seconds before a call that failed so many times goes out again, where the server asks for none."""
    return float(min(LONGEST_REST, SHORTEST_REST * 2**times))
