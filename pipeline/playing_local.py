"""The playground's local models: loaded when asked, stepped in turns, given back with the device when nobody asks.

The thread never lets another run wait for longer than the replies on their way: then it unloads its models, gives the device
back, and takes it again when no run waits for it.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import base_models, device
from pipeline.generation.answer import Heard
from pipeline.rundir import Child
from pipeline.specs import Candidate, PlaySpec, ServeSpec

if TYPE_CHECKING:
    from pipeline.generation.local import LocalModel
    from pipeline.playing import Reply

MOST_LOADED = 2
LOOK_SECONDS, DEVICE_SECONDS = 0.05, 0.5
WORK = {"train": "the training", "evaluate": "the evaluation", "judge": "the judge", "score": "the scoring",
        "dedupe": "the search for twins", "export": "the export", "parity": "the parity test", "serve": "a served model"}
"""What holds the device, in words, by the kind of run."""

Key = tuple[str, str, str, str]


@dataclass
class Turn:
    """A reply that is on its way, and who makes it."""

    reply: Reply
    key: Key
    words: Generator[Heard, None, None]
    seconds: float = 0.0


class Desk(threading.Thread):
    """Takes replies off `queue` in order. `said` is what it does now, empty when that is nothing worth saying."""

    most_turns = MOST_LOADED

    def __init__(self, child: Child, spec: PlaySpec | ServeSpec, workspace: Path) -> None:
        super().__init__(name="local models", daemon=True)
        self.child, self.spec, self.workspace = child, spec, workspace
        self.queue: deque[Reply] = deque()
        self.over = threading.Event()
        self.hold = device.Hold(child.folder, workspace)
        self.models: dict[Key, LocalModel] = {}
        self.turns: list[Turn] = []
        self.said = ""
        self._used_at = self._looked_at = time.monotonic()
        self._tried_at = -DEVICE_SECONDS
        self._waited_for = False

    @property
    def busy(self) -> bool:
        return bool(self.queue or self.turns)

    def run(self) -> None:
        while not self.over.is_set():
            self._admit()
            for turn in list(self.turns):
                self._step(turn)
            if not self.turns:
                self._rest_when_due()
                self.over.wait(LOOK_SECONDS)
            if not self.busy:
                self.said = ""
        self._rest()

    def _admit(self) -> None:
        """Begin waiting replies while their models are there or can be loaded, two at a time."""
        while self.queue and len(self.turns) < self.most_turns:
            reply = self.queue[0]
            if reply.ended:
                self.queue.popleft()
                continue
            if not self._has_device():
                return
            try:
                model = self._model(reply)
                if model is None:
                    return
                self.turns.append(Turn(reply, _key(reply.ask.candidate), self.words(model, reply)))
            except Exception as error:
                reply.fail(error)
                _clean_up()
            self.queue.popleft()

    def words(self, model: LocalModel, reply: Reply) -> Generator[Heard, None, None]:
        """A reply as it comes."""
        from pipeline.generation import aloud

        return aloud.answer(model, reply.question, reply.ask.decoding)

    def _step(self, turn: Turn) -> None:
        """One more token of a reply."""
        self.said, self._used_at = f"{turn.reply.ask.candidate.name} answers", time.monotonic()
        began = time.perf_counter()
        try:
            heard = None if turn.reply.ended else next(turn.words)
            turn.seconds += time.perf_counter() - began
            if heard is not None:
                turn.reply.hear(heard, turn.seconds)
                if heard.finish:
                    turn.reply.end(heard.finish)
        except Exception as error:
            turn.reply.fail(error)
        if turn.reply.ended:
            self.turns.remove(turn)
            turn.words.close()

    def _has_device(self) -> bool:
        """Whether a reply may begin. Where another run waits, those on their way are the last ones; then it has its turn."""
        if self.hold.held and not self._is_waited_for():
            return True
        if not self.turns:
            self._rest()
        if time.monotonic() - self._tried_at >= DEVICE_SECONDS:
            self._tried_at = time.monotonic()
            if not self.turns and self.hold.take():
                self._waited_for = False
                return True
            self._tell_what_it_waits_for()
        return False

    def _tell_what_it_waits_for(self) -> None:
        at_work = device.kinds_at_work(self.child.folder)
        what = next((words for kind, words in WORK.items() if kind in at_work), "another run")
        self.said = f"Waits for {what} to end"
        for reply in list(self.queue):
            reply.wait(f"Waits for {what} to end; ask an endpoint meanwhile.")

    def _is_waited_for(self) -> bool:
        if time.monotonic() - self._looked_at >= DEVICE_SECONDS:
            self._looked_at, self._waited_for = time.monotonic(), device.is_waited_for(self.child.folder)
        return self._waited_for

    def _model(self, reply: Reply) -> LocalModel | None:
        """The reply's model, loaded where it is not; None while it has to wait for one that is answering."""
        from pipeline.generation import local

        candidate, key = reply.ask.candidate, _key(reply.ask.candidate)
        answering = {turn.key for turn in self.turns}
        if key not in self.models:
            assert candidate.base is not None
            reply.begin()
            folder = base_models.prepare(candidate.base, self.workspace, reply.wait)
            if not self._has_room(local.memory_for(folder), answering):
                return None
            self.said = f"Loading {candidate.name}"
            self.models[key] = local.load(candidate, self.workspace, reply.wait)
        elif key in answering and not self.models[key].takes_memory:
            return None
        reply.begin()
        self.models[key] = self.models.pop(key)  # the one that was used last stands last
        return self.models[key]

    def _has_room(self, bytes_wanted: int, answering: set[Key]) -> bool:
        """Let go of models until there is room for one more; False while those that are answering leave none."""
        from pipeline.generation import local

        while self.models and (len(self.models) >= MOST_LOADED or local.free_memory() < bytes_wanted):
            idle = next((key for key in self.models if key not in answering), None)
            if idle is None:
                return False
            del self.models[idle]
            _clean_up()
        return True

    def _rest_when_due(self) -> None:
        quiet = time.monotonic() - self._used_at >= self.spec.sleeps_after
        if self.hold.held and not self.queue and (quiet or self._is_waited_for()):
            self._rest()

    def _rest(self) -> None:
        """Give back memory and device."""
        if self.models:
            self.models.clear()
            _clean_up()
        self.hold.give_back()


def _key(candidate: Candidate) -> Key:
    """Candidates with one of these share a model; their prompts may differ."""
    base: Any = candidate.base
    return base.kind, base.ref, candidate.adapter or "", candidate.method


def _clean_up() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
