"""Things that must exist exactly once at the service: it is looked whether they are there before each time they are asked for.

A wish is written down before it is sent (remote.json), so a run that was killed meanwhile knows that it may have come true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pipeline.errors import PipelineError
from pipeline.managed.errand import FIRST_WAIT, MOST_WAIT, Errand
from pipeline.managed.remote import Name
from pipeline.managed.service import Trouble

ASKS, LOOKS = 8, 3
LOOKING = "Looking what is there already"
GAP_SECONDS, SETTLED_SECONDS = 5.0, 60.0
"""After a wish without an answer it is looked this often at least, this far apart, and until it was this long ago: as long as
the client would have waited for the answer. Only then is it certain that it came to nothing."""

T = TypeVar("T")


def once(errand: Errand, name: Name, phase: str, find: Callable[[], T | None], make: Callable[[], T],
         keep: Callable[[T, bool], None], ready: Callable[[], None] | None = None) -> None:
    """Find it, or make it; `keep` writes down that it exists and whether it was there before.

    `ready` comes before each wish, and may take long, so it is looked once more behind it. Raises PipelineError where it is
    refused, and Stopped.
    """
    wait = FIRST_WAIT
    for _ in range(ASKS):
        found = _settled(errand, name, phase, find)
        if found is None and ready is not None:
            ready()
            found = errand.patient(find, phase, LOOKING)
        if found is not None:
            return keep(found, True)
        errand.heed()
        errand.remote.ask(name, errand.now())
        try:
            return keep(make(), False)
        except Trouble as trouble:
            if not trouble.passing:
                errand.remote.refused(name)
                raise errand.in_words(trouble) from None
            if trouble.status == 429:  # nothing was made, and it is known
                errand.remote.refused(name)
            else:
                errand.remote.ask(name, errand.now())
            errand.child.say(phase, sentence=f"{errand.service.place} gives no usable answer ({trouble.kind})")
            errand.rest(trouble, wait)
            wait = min(2 * wait, MOST_WAIT)
    found = _settled(errand, name, phase, find)
    if found is not None:
        return keep(found, True)
    raise PipelineError(f"{errand.service.place} did not take the {'job' if name == 'job' else 'file'}, asked {ASKS} times.",
                        "Nothing was made, as far as it can be seen. Resume later; it looks again before it asks.")


def _settled(errand: Errand, name: Name, phase: str, find: Callable[[], T | None]) -> T | None:
    """The thing, or none where it is certain enough that there is none."""
    looks = 0
    while True:
        found = errand.patient(find, phase, LOOKING)
        looks += 1
        asked = errand.remote.asked(name)
        if found is not None or asked is None:
            return found
        if looks >= LOOKS and errand.now() - asked >= SETTLED_SECONDS * errand.scale:
            return None
        errand.child.say(phase, sentence="No answer came when it was asked for: looking whether it was made all the same")
        errand.nap(GAP_SECONDS * errand.scale)
