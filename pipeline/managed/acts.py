"""What people ask of a job while it is watched: cancel, pause, resume.

The app touches a file, the child answers in events.jsonl with the file's time: each press is answered once, over restarts too.
"""

from __future__ import annotations

from pipeline import rundir
from pipeline.managed.errand import Errand
from pipeline.managed.service import Trouble

ACTS = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}


class Acts:
    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        rows = rundir.read_lines(errand.child.folder / "events.jsonl")
        self._passed_on = set[tuple[str, float]]()
        self._answered = {str(row["act"]): float(row["asked"]) for row in rows if row["event"] == "act"}

    def waiting(self) -> list[str]:
        """Acts that were asked for and not answered yet, the oldest first."""
        found = [(at, name) for name in ACTS if (at := self._asked(name)) > self._answered.get(name, 0)]
        return [name for _, name in sorted(found)]

    def new(self) -> bool:
        """Whether one came that was not passed on yet. One that failed for now waits for the next look."""
        return any((name, self._asked(name)) not in self._passed_on for name in self.waiting())

    def answer(self, job_id: str) -> None:
        for name in self.waiting():
            at = self._asked(name)
            self._passed_on.add((name, at))
            try:
                getattr(self.errand.service, name)(job_id)
            except Trouble as trouble:
                if trouble.passing and trouble.status != 409:
                    return
                place, served = self.errand.service.place, trouble.status not in (405, 501)
                self._say(name, at, "refused", f"{place} did not take the wish to {name} the job ({trouble.kind}); it may have "
                          "ended already, or jobs there cannot do that." if served else f"{place} cannot {name} jobs.")
            else:
                self._say(name, at, "done", f"The job was asked to be {ACTS[name]}.")

    def none_was_made(self) -> bool:
        """Whether it was cancelled while there is no job: then this is the answer."""
        if "cancel" not in self.waiting():
            return False
        self._say("cancel", self._asked("cancel"), "done", "Cancelled before there was a job.")
        return True

    def _asked(self, name: str) -> float:
        try:
            return (self.errand.child.folder / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _say(self, name: str, at: float, outcome: str, sentence: str) -> None:
        self._answered[name] = at
        self.errand.child.event("act", act=name, asked=at, outcome=outcome, sentence=sentence)
        self.errand.note(sentence)
