"""The training run, from its spec to its result."""

from __future__ import annotations

import gc
import json
import math
import resource
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline import base_models, machine
from pipeline.cluster import here
from pipeline.errors import PipelineError, Stopped, is_out_of_memory
from pipeline.rundir import Child
from pipeline.specs import TrainSpec
from pipeline.training import checkpoints, fit, guard, quantised, reading, recipe, rows, samples, sharded, together
from pipeline.training.checkpoints import Place, Way
from pipeline.training.decoder import Decoder
from pipeline.training.learner import Learner
from pipeline.training.together import World

WARM_UP = 0.05
CHECKPOINT_SECONDS = 60.0
CPU_MULTIPLE = 64
"""On a CPU rows are filled up to a multiple of so many tokens: oneDNN keeps some 30 MiB for every length it meets."""
RUN_AWAY = "Start again with a lower learning rate (a half, or a tenth)."


def run(child: Child, spec: TrainSpec, workspace: Path) -> dict[str, Any]:
    """Train to the end and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    if (place := here.spread("train")) is not None:
        from pipeline.cluster import training

        return training.run(child, spec, workspace, place)
    return learn(child, spec, workspace, together.world(spec.processes, child, workspace))


def learn(child: Child, spec: TrainSpec, workspace: Path, gathered: AbstractContextManager[World]) -> dict[str, Any]:
    """What each process of a run does; `gathered` are all of them, once they are needed. Raises as `run`."""
    child.say("preparing", sentence="Preparing the base model")
    folder = base_models.prepare(spec.base, workspace, lambda sentence: child.say("preparing", sentence=sentence))
    tokenizer = base_models.load_tokenizer(folder)
    if spec.template_sha256 and spec.template_sha256 != base_models.template_sha256(tokenizer.chat_template):
        child.event("note", sentence="This base model has another chat template than the one the snapshot was frozen for; "
                    "the conversations are written in its own.")
    data = reading.of_run(child, spec, workspace, folder, tokenizer)
    with gathered as world:
        trainer = Trainer(child, spec, folder, tokenizer, data, world)
        trainer.train()
        return trainer.finish(base_models.fingerprint(folder))


def done_words(data: dict[str, Any]) -> str:
    return (f"Trained: validation loss {data['first_validation_loss']:.3f} → {data['best_validation_loss']:.3f} "
            f"in {data['steps']} steps, {data['tokens_s']:.0f} tokens/s.")


def learning_rate(spec: TrainSpec, step: int, steps: int) -> float:
    """Linear warm-up over the first twentieth, then a cosine down to a tenth; `step` counts from 0."""
    warm = warm_steps(steps)
    if step < warm:
        return spec.learning_rate * (step + 1) / warm
    passed = (step - warm) / max(1, steps - warm)
    return spec.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * passed)))


def warm_steps(steps: int) -> int:
    return max(1, round(WARM_UP * steps))


class Trainer:
    """One training run in memory: everything that follows from the spec, and the place it has come to."""

    def __init__(self, child: Child, spec: TrainSpec, folder: Path, tokenizer: Any, data: reading.Data, world: World) -> None:
        self.child, self.spec, self.tokenizer, self.data, self.world = child, spec, tokenizer, data, world
        self.lengths = [len(example.ids) for example in data.train]
        self.step_tokens = max(spec.step_tokens or recipe.step_tokens_for(self.lengths), *self.lengths)
        self.per_epoch = [len(self._steps_of(epoch)) for epoch in range(spec.epochs)]
        self.steps = sum(self.per_epoch)
        self.found = checkpoints.newest(child.folder)
        way = self.found[1].way if self.found else self._way(folder)
        torch.set_num_threads(world.threads)
        child.say("loading", sentence="Loading the base model")
        where = quantised.device()
        dtype, at_first = getattr(torch, way.compute), torch.device("cpu") if way.sharded else where
        base = quantised.load_base(folder, dtype, at_first, way.method == "qlora")
        gather = sharded.share(base, world, where) if way.sharded else None
        model = quantised.add_adapter(base, spec.rank, spec.seed)
        self.decoder = Decoder(model, dtype, hold=way.method == "lora" or way.resident16, gather=gather)
        self.decoder.checkpointed = way.checkpointed
        self.learner = Learner(self.decoder)
        self.parameters = quantised.trained(model)
        self.place = Place(step=0, tokens=0, learned_tokens=0, seconds=0.0, first_validation_loss=math.nan,
                           best_validation_loss=math.inf, best_step=0, last_train_loss=math.nan, validated_step=-1, way=way)
        self.measured_at_once = way.row_tokens
        self._halved = False
        self._rows: list[rows.Row] | None = None
        self._waiting: list[tuple[dict[str, float], Tensor]] = []
        self._saved: Place | None = None
        self._saved_at = self._read_at = time.monotonic()

    def train(self) -> None:
        """From the newest checkpoint, or from the start, to the last step."""
        guard.check(self.decoder, self.data.train)
        if self.found:
            checkpoints.restore(self.found[0], self.parameters, self.learner.moments)
            self.decoder.adapters.refresh()
            self.place = self._saved = self.found[1]
            self.child.event("note", sentence=f"Resumed from step {self.place.step}.")
        self._say_recipe()
        epoch, steps = -1, []
        while True:
            step = self.place.step
            if self._validation_is_due(step):
                self._validate(step)
                self._checkpoint()
            elif self.world.any(time.monotonic() - self._saved_at > CHECKPOINT_SECONDS):
                self._checkpoint()
            if step == self.steps:
                return
            self._stop_if_asked()
            if epoch != (now := self._epoch_of(step)[0]):
                epoch, steps = now, self._steps_of(now)
            self._step(step, steps[self._epoch_of(step)[1]])

    def finish(self, base_fingerprint: str) -> dict[str, Any]:
        """Save the adapter of the best validation loss as `adapter/` and say what was measured."""
        digest = ""
        if self.world.first:
            checkpoints.load_adapter(checkpoints.at_step(self.child.folder, self.place.best_step), self.parameters)
            digest = checkpoints.save_adapter(self.child.folder, self.decoder.plain(), self.spec.base.name, self.parameters,
                                              self.tokenizer)
            self.child.hand_over(self.child.folder / "adapter")
        place = self.place
        return {"adapter": "adapter", "adapter_sha256": digest, "base_fingerprint": base_fingerprint,
                "best_step": place.best_step, "best_validation_loss": place.best_validation_loss,
                "first_validation_loss": place.first_validation_loss, "last_train_loss": place.last_train_loss,
                "steps": place.step, "epochs": self.spec.epochs, "tokens": place.tokens,
                "tokens_s": place.tokens / max(place.seconds, 1e-9), "seconds": place.seconds, "left_out": self.data.left_out,
                "learned_tokens": place.learned_tokens, "step_tokens": self.step_tokens, "peak_gib": self._peak_gib(),
                **asdict(place.way)}

    def _way(self, folder: Path) -> Way:
        """The quickest way that fits this machine, unless the spec says how; the first process's, in all of them."""
        found, spec = machine.look(), self.spec
        shape = fit.Shape.from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        mine = -(-self.step_tokens // self.world.size)
        learned = sum(sum(example.learned) for example in self.data.train) / sum(self.lengths)
        task = fit.Task(shape, spec.rank, max(self.lengths), mine, found.device, spec.method, found.compute_bytes,
                        min(1.0, fit.ROOM_IN_ROWS * learned), self.world.size, spec.sharding)
        plan = fit.choose(task, found.free_for(self.world.here))
        checkpointing = plan.checkpointing if spec.checkpointing == "auto" else spec.checkpointing == "on"
        tokens = max(spec.row_tokens or plan.row_tokens, *self.lengths)
        chosen = [plan.method == "qlora", found.compute == "bfloat16", plan.resident16, tokens, checkpointing, plan.sharded]
        packed, low, resident, most, again, parts = self.world.sum([float(part) * self.world.first for part in chosen])
        return Way("qlora" if packed else "lora", "bfloat16" if low else "float32", bool(resident), int(most),
                   shape.layers if again else 0, bool(parts))

    def _say_recipe(self) -> None:
        way = self.place.way
        body = "ours" if type(self.decoder.body).__name__ == "OwnBody" else "transformers"
        self.child.event("recipe", device=self._device_name(), method=way.method, compute=way.compute,
                         resident16=int(way.resident16), attention=self._attention_words(), kernels=self._kernel_words(),
                         forward=body, row_tokens=way.row_tokens, step_tokens=self.step_tokens,
                         checkpointing=way.checkpointed, steps=self.steps, steps_per_epoch=self.per_epoch[0],
                         trained_parameters=sum(p.numel() for p in self.parameters.values()), alpha=2 * self.spec.rank,
                         warm_steps=warm_steps(self.steps), processes=self.world.size, sharded=int(way.sharded))
        if way.sharded:
            self.child.event("note", sentence=f"Each of the {self.world.size} processes holds a part of the base. Sample "
                             "answers are not written, because no process can answer alone.")

    def _device_name(self) -> str:
        return torch.cuda.get_device_name() if self.decoder.where.type == "cuda" else "CPU"

    def _attention_words(self) -> str:
        from pipeline.training.attention import has_kernel

        if has_kernel(self.decoder.where, self.decoder.dtype):
            return "variable-length kernel"
        if self.decoder.where.type == "cuda":
            self.child.event("note", sentence="torch's variable-length attention is missing on this GPU or in this torch: each "
                             "conversation is computed for itself, which is several times slower.")
        return "each conversation for itself"

    def _kernel_words(self) -> str:
        from pipeline.training.ops import kernels_for

        if kernels_for(self.decoder.head):
            return "triton"
        if self.decoder.where.type == "cuda":
            self.child.event("note", sentence="Triton is not installed: plain torch kernels are used, which is slower.")
        return "torch"

    def _epoch_of(self, step: int) -> tuple[int, int]:
        """(epoch, place in it) of a step; both count from 0."""
        for epoch, steps in enumerate(self.per_epoch):
            if step < steps:
                return epoch, step
            step -= steps
        return len(self.per_epoch), 0

    def _epochs(self, step: int) -> float:
        """Epochs done after so many steps."""
        epoch, place = self._epoch_of(step)
        return round(epoch + (place / self.per_epoch[epoch] if place else 0), 4)

    def _steps_of(self, epoch: int) -> list[list[int]]:
        return recipe.steps(self.lengths, self.step_tokens, self.spec.seed, epoch)

    def _step(self, step: int, places: Sequence[int]) -> None:
        rate = learning_rate(self.spec, step, self.steps)
        learned = sum(sum(self.data.train[place].learned[1:]) for place in places)
        stats = self._learn(places, rate, learned)
        tokens = sum(self.lengths[place] for place in places)
        self.place = replace(self.place, step=step + 1, tokens=self.place.tokens + tokens,
                             learned_tokens=self.place.learned_tokens + learned)
        self._waiting.append(({"step": step + 1, "lr": rate, "tokens": tokens, "examples": len(places)}, stats))
        # A GPU works on the next step while this one's numbers are read; several have waited for each other already.
        self._hear(1 if self.decoder.where.type == "cuda" and self.world.size == 1 else 0)
        self.child.say("training", step + 1, self.steps, "steps", f"Training, loss {self.place.last_train_loss:.3f}")

    def _learn(self, places: Sequence[int], rate: float, learned: int) -> Tensor:
        """One step, in as many rows as memory asks for; again with smaller ones when memory runs out in any process."""
        while True:
            made, short = None, False
            try:
                made = self._slopes(places, learned)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                short = True
            # Outside of the handler, so that the broken step's tensors are gone.
            if not self.world.any(short) and made is not None:
                return self.learner.update(made, rate, self.world.exchange)
            self._need_less()

    def _slopes(self, places: Sequence[int], learned: int) -> Tensor:
        packed = recipe.pack(places, self.lengths, self.place.way.row_tokens)
        if self.decoder.gather:
            filler = rows.filler(self._multiple)
            return self.learner.learn_together((self._row(part) if part else filler for part in self.world.alike(packed)),
                                               learned, self.world)
        return self.learner.learn((self._row(part) for part in self.world.mine(packed)), learned)

    def _row(self, places: Sequence[int]) -> rows.Row:
        return rows.row([self.data.train[place] for place in places], self._multiple)

    @property
    def _multiple(self) -> int:
        return CPU_MULTIPLE if self.decoder.where.type == "cpu" else 1

    def _need_less(self) -> None:
        """Half the tokens at once; where they were halved before, or cannot be, nothing kept that can be computed again."""
        self.learner.forget_slopes()
        self._hear(0)
        gc.collect()
        if self.decoder.where.type == "cuda":
            torch.cuda.empty_cache()
        before, least = self.place.way, max(self.lengths)
        tokens, checkpointed = max(least, before.row_tokens // 2), before.checkpointed
        if self._halved or tokens == before.row_tokens:
            checkpointed = self.decoder.layers
        self._halved = True
        if (tokens, checkpointed) == (before.row_tokens, before.checkpointed):
            raise PipelineError("One example alone does not fit into memory.",
                                "Leave out the longest examples, use a smaller base model, or a machine with more memory.")
        self.decoder.checkpointed = checkpointed
        if self.decoder.gather:
            guard.check(self.decoder, self.data.train)  # layers that are computed again ask for their weights again
        self.place = replace(self.place, way=replace(before, row_tokens=tokens, checkpointed=checkpointed))
        extra = ", and computes layers again instead of keeping them" if checkpointed > before.checkpointed else ""
        self.child.event(
            "out_of_memory", step=self.place.step, row_tokens_before=before.row_tokens, row_tokens=tokens,
            checkpointing=checkpointed, sentence=f"Memory ran out at step {self.place.step + 1}. It goes on from there with "
            f"{tokens:,} tokens at once instead of {before.row_tokens:,}{extra}. Every step learns from the same examples as "
            "before.")

    def _hear(self, leave: int) -> None:
        """Read the numbers of finished steps, all but the newest `leave`, and write them down."""
        while len(self._waiting) > leave:
            fields, stats = self._waiting.pop(0)
            value, norm = (float(number) for number in stats)
            now = time.monotonic()
            seconds, self._read_at = max(now - self._read_at, 1e-9), now
            if not (math.isfinite(value) and math.isfinite(norm)):
                raise PipelineError(f"The loss became {value} at step {fields['step']:.0f}: training ran away.", RUN_AWAY)
            self.place = replace(self.place, last_train_loss=value, seconds=self.place.seconds + seconds)
            self.child.event("loss", **fields, epoch=self._epochs(int(fields["step"])), loss=value, grad_norm=norm,
                             tokens_s=fields["tokens"] / seconds, memory_gib=round(self._peak_gib(), 3))

    def _peak_gib(self) -> float:
        """The most memory used so far: the graphics card's, else the process's own."""
        if self.decoder.where.type == "cuda":
            return torch.cuda.max_memory_reserved() / fit.GIB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / fit.GIB

    def _validation_is_due(self, step: int) -> bool:
        """At the start, a few times an epoch, and at the end; not again where a resumed run has it already."""
        if self.place.validated_step == step:
            return False
        if step == self.steps:
            return True
        epoch, place = self._epoch_of(step)
        times = self.spec.evaluations_per_epoch
        return place in {self.per_epoch[epoch] * number // times for number in range(times)}

    def _validate(self, step: int) -> None:
        self._hear(0)
        self.child.say("training", step, self.steps, "steps", "Measuring the validation loss")
        loss = self._mean_loss()
        if not math.isfinite(loss):
            raise PipelineError(f"The validation loss became {loss} at step {step}: training ran away.", RUN_AWAY)
        self.child.event("validation", step=step, epoch=self._epochs(step), loss=loss)
        first = loss if step == 0 else self.place.first_validation_loss
        self.place = replace(self.place, first_validation_loss=first, validated_step=step)
        if loss < self.place.best_validation_loss:
            self.place = replace(self.place, best_validation_loss=loss, best_step=step)
        if self.world.first and self.data.asked and not self.decoder.gather:
            self._answer(step)
        self._read_at = time.monotonic()

    def _mean_loss(self) -> float:
        """Mean cross-entropy in nats a learned token over the validation part, on rows of its own size."""
        while True:
            try:
                total = tokens = 0.0
                for row in self._my_measured_rows():
                    self._stop_if_asked(alone=True)
                    with torch.no_grad():
                        total, tokens = total + float(self.decoder.loss(row.to(self.decoder.where))), tokens + row.learned
                    if self.decoder.gather:
                        self.decoder.gather.row_ends()
                total, tokens = self.world.sum([total, tokens])
                return total / tokens
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or self.world.size > 1 or self.measured_at_once <= self._longest_measured():
                    raise
            self.measured_at_once //= 2
            self._rows = None

    def _my_measured_rows(self) -> list[rows.Row]:
        if self.decoder.gather:
            return [row or rows.filler(self._multiple) for row in self.world.alike(self._measured_rows())]
        return self.world.mine(self._measured_rows())

    def _measured_rows(self) -> list[rows.Row]:
        if self._rows is None:
            self._rows = rows.rows(self.data.validation, self.measured_at_once, self._multiple)
        return self._rows

    def _longest_measured(self) -> int:
        return max(len(example.ids) for example in self.data.validation)

    def _answer(self, step: int) -> None:
        """Answers to the fixed questions, as the model is now; a picture for people, so nothing rests on it."""
        self.child.say("training", step, self.steps, "steps", "Answering the sample questions")
        said = samples.answers(self.decoder.plain(), self.tokenizer, self.data.asked)
        for number, (example, answer) in enumerate(zip(self.data.asked, said, strict=True)):
            self.child.sample({"id": example.id, "step": step, "number": number, "answer": answer, "expected": example.answer,
                               "question": next((turn.get("content") or "" for turn in reversed(example.question)
                                                 if turn["role"] == "user"), "")})

    def _checkpoint(self) -> None:
        """Save, unless just this was saved: replacing a whole checkpoint by its equal would only put it at risk."""
        self._hear(0)
        if self.place != self._saved:
            if self.world.first:
                checkpoints.save(self.child.folder, self.place, self.parameters, self.learner.moments, self.spec.keep)
                self.child.hand_over(checkpoints.at_step(self.child.folder, self.place.step))
            self.child.event("checkpoint", step=self.place.step)
        self._saved, self._saved_at = self.place, time.monotonic()
        self.world.any(False)  # nobody goes on, or reads it back, before it is there
        self._read_at = time.monotonic()

    def _stop_if_asked(self, alone: bool = False) -> None:
        """`alone`: in the middle of what all processes do together, where only a single one may leave."""
        if alone and self.world.size > 1:
            return
        if self.world.any(self.child.stop_requested()):
            self._checkpoint()
            raise Stopped(f"Stopped at step {self.place.step} of {self.steps}, as asked; everything up to there is saved.")
