"""A run of kind "play": answers the playground's questions as they come, aloud, until nobody has asked for a while.

This thread reads what is asked and what is to stop; endpoints answer in threads of their own, local models in one
(`playing_local`). Whatever is heard goes to pieces.jsonl at once, so a page shows it streaming and a death loses none of it.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from pathlib import Path
from typing import Any

from pipeline import answers
from pipeline.errors import PipelineError, Stopped, is_out_of_memory
from pipeline.examples import Example
from pipeline.generation.answer import Ask, Heard
from pipeline.playing_local import Desk
from pipeline.rundir import Child, Mark, read_lines, read_new
from pipeline.specs import PlayAsk, PlaySpec

ASKS, PIECES, STOP = "asks.jsonl", "pieces.jsonl", "stop-"
LOOK_SECONDS, PIECE_SECONDS, PATIENCE_SECONDS = 0.1, 0.1, 10.0
MOST_AT_ENDPOINTS = 8
TRIES, TIMEOUT_SECONDS = 1, 60.0
LATER = "Ask again later."


class Reply:
    """One reply that is wanted, as it comes. Several threads may end it: the first one does; then nothing is heard any more."""

    def __init__(self, child: Child, lock: threading.RLock, ask: PlayAsk) -> None:
        self.child, self.ask, self.lock = child, ask, lock
        self.begun = self.ended = False
        self.seconds = 0.0
        self.first_seconds: float | None = None
        self.heard = Heard("")
        self._written, self._written_at, self._waits = "", 0.0, ""

    @property
    def question(self) -> Ask:
        """What its candidate is asked: with its own system prompt, or as the conversation is."""
        turns = (*self.ask.messages, {"role": "assistant", "content": ""})
        return Ask(answers.conversation(self.ask.candidate, Example(self.ask.reply, turns)))

    def wait(self, said: str) -> None:
        """Say what it waits for."""
        with self.lock:
            if said != self._waits and not self.ended:
                self._waits = said
                self._write({"waits": said})

    def begin(self) -> None:
        """From here on it is never begun again, whatever happens to the process."""
        with self.lock:
            if not self.begun and not self.ended:
                self.begun = True
                self._write({"begun": self.child.clock()})

    def hear(self, heard: Heard, seconds: float) -> None:
        """Its text so far, after so many seconds of its own."""
        with self.lock:
            if self.ended:
                return
            if self.first_seconds is None and heard.text:
                self.first_seconds = seconds
            self.heard, self.seconds = heard, seconds
            if time.monotonic() - self._written_at >= PIECE_SECONDS:
                self._write_text()

    def end(self, finish: str, problem: str = "") -> None:
        """How it ended: as in `Answer`, or "stopped", "failed" (with what was wrong), "cut"."""
        with self.lock:
            if self.ended:
                return
            self._write_text()
            self.ended = True
            self._write({"finish": finish, "problem": problem, "seconds": self.seconds, "first_seconds": self.first_seconds,
                         "tokens": self.heard.new_tokens, "prompt_tokens": self.heard.prompt_tokens, "cost": self.heard.cost})

    def fail(self, error: Exception) -> None:
        """In words; the trace goes to the log, because its text may hold data."""
        if isinstance(error, PipelineError):
            self.end("failed", f"{error.message} {error.hint}".strip())
        elif is_out_of_memory(error):
            self.end("failed", "It ran out of memory. Ask for a shorter answer, or choose a smaller model.")
        else:
            traceback.print_exception(error)
            self.end("failed", f"It broke unexpectedly ({type(error).__name__}). The end of the run's log says where.")

    def _write_text(self) -> None:
        """What is new; where a decoder changed its mind about the last characters, from there on."""
        text, before = self.heard.text, self._written
        if text != before:
            same = len(before) if text.startswith(before) else next(
                place for place, pair in enumerate(zip(text + "\0", before + "\1", strict=False)) if pair[0] != pair[1])
            self._write({"at": same, "text": text[same:]})
            self._written, self._written_at = text, time.monotonic()

    def _write(self, row: dict[str, Any]) -> None:
        self.child.piece({"reply": self.ask.reply} | row)


def run(child: Child, spec: PlaySpec, workspace: Path) -> dict[str, Any]:
    """Answer until it was quiet for long enough; returns how many replies there were. Raises Stopped when asked to stop."""
    return Playground(child, spec, workspace).run()


def done_words(data: dict[str, Any]) -> str:
    return f"{data['replies']:,} replies. It was quiet, so it ended itself; the next question starts it again."


class Playground:
    """The thread that listens."""

    def __init__(self, child: Child, spec: PlaySpec, workspace: Path) -> None:
        self.child, self.spec, self.mark = child, spec, Mark()
        self.lock = threading.RLock()
        self.desk = Desk(child, spec, workspace)
        self.open: list[Reply] = []
        self.queue: deque[Reply] = deque()
        self.at_endpoints = 0
        self.replies = 0
        self.said: tuple[str, str] | None = None
        before = read_lines(child.folder / PIECES)
        self.begun = {row["reply"] for row in before if "begun" in row}
        self.known = {row["reply"] for row in before if "finish" in row}

    def run(self) -> dict[str, Any]:
        self.desk.start()
        quiet_since = time.monotonic()
        try:
            while not self.child.stop_requested():
                self._read()
                self._look_for_stops()
                self._send_out()
                if self.open or self.desk.busy:
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since >= self.spec.ends_after:
                    return {"replies": self.replies}
                self._say()
                time.sleep(LOOK_SECONDS)
            raise Stopped("The playground was stopped; what was said is kept.")
        finally:
            for reply in self.open:
                reply.end("stopped")
            self.desk.over.set()
            self.desk.join(PATIENCE_SECONDS)

    def _read(self) -> None:
        """What was asked since; a reply that a process died over is ended, with what it has."""
        rows, self.mark, _ = read_new(self.child.folder / ASKS, self.mark)
        for row in rows:
            reply = Reply(self.child, self.lock, PlayAsk.model_validate(row))
            if reply.ask.reply in self.known:
                continue
            if reply.ask.reply in self.begun:
                reply.end("cut")
                continue
            self.known.add(reply.ask.reply)
            self.open.append(reply)
            (self.desk.queue if reply.ask.candidate.base else self.queue).append(reply)

    def _look_for_stops(self) -> None:
        for reply in self.open:
            if (self.child.folder / f"{STOP}{reply.ask.reply}").exists():
                reply.end("stopped")
        self.replies += sum(reply.ended for reply in self.open)
        self.open = [reply for reply in self.open if not reply.ended]

    def _send_out(self) -> None:
        """As many as may be on their way to endpoints at a time, in threads that die with the process: a silent server holds
        up no end."""
        while self.queue and self.at_endpoints < MOST_AT_ENDPOINTS:
            reply = self.queue.popleft()
            with self.lock:
                self.at_endpoints += 1
            threading.Thread(target=self._ask, args=(reply,), name=f"endpoint-{reply.ask.reply}", daemon=True).start()

    def _ask(self, reply: Reply) -> None:
        from pipeline.generation.endpoint import EndpointModel

        assert reply.ask.candidate.endpoint is not None
        began = time.perf_counter()
        try:
            reply.begin()
            model = EndpointModel(reply.ask.candidate.endpoint, TRIES, TIMEOUT_SECONDS, LATER)
            for heard in model.aloud(reply.question, reply.ask.decoding):
                reply.hear(heard, time.perf_counter() - began)
                if heard.finish or reply.ended:
                    reply.end(heard.finish)
                    return
        except Exception as error:
            reply.fail(error)
        finally:
            with self.lock:
                self.at_endpoints -= 1

    def _say(self) -> None:
        """Where it is, when that changed."""
        said = (("answering", self.desk.said or f"Answers {len(self.open)} questions") if self.open else
                ("listening", self.desk.said or "Waits for a question"))
        if said != self.said:
            self.said = said
            self.child.say(said[0], sentence=said[1])
