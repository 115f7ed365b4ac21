"""QLoRA fine-tuning (arXiv:2305.14314) of one base on one snapshot: the training run from its spec to its result."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pipeline import base_models, examples, template
from pipeline.errors import PipelineError, Stopped
from pipeline.rundir import Child
from pipeline.specs import TrainSpec
from pipeline.template import Encoded
from pipeline.training import checkpoints, data, quantised
from pipeline.training.checkpoints import Place

WARM_UP = 0.05
CLIP = 1.0
CHECKPOINT_SECONDS = 60.0
VALIDATION_BATCH = 8


def run(child: Child, spec: TrainSpec, workspace: Path) -> dict[str, Any]:
    """Train to the end and return the result's data. Raises PipelineError in words, Stopped when asked to stop."""
    child.say("preparing", sentence="Preparing the base model")
    folder = base_models.prepare(spec.base, workspace, lambda sentence: child.say("preparing", sentence=sentence))
    tokenizer = base_models.load_tokenizer(folder)
    if spec.template_sha256 and spec.template_sha256 != base_models.template_sha256(tokenizer.chat_template):
        child.event("note", sentence="This base model has another chat template than the one the snapshot was frozen for; "
                    "the conversations are written in its own.")
    limit = min(spec.max_tokens or 10**9, _longest(folder))
    child.say("reading", sentence="Reading the snapshot")
    train, left_out = _encode(tokenizer, workspace / spec.train_file, limit)
    validation, left_too = _encode(tokenizer, workspace / spec.validation_file, limit)
    if left_out + left_too:
        child.event("note", sentence=f"Longer than {limit} tokens, so left out and not cut: {left_out + left_too} examples.")
    trainer = Trainer(child, spec, folder, tokenizer.pad_token_id, train, validation)
    trainer.train()
    return trainer.finish(tokenizer, left_out, base_models.fingerprint(folder))


def learning_rate(spec: TrainSpec, step: int, steps: int) -> float:
    """Linear warm-up over the first twentieth, then a cosine down to a tenth; `step` counts from 0."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return spec.learning_rate * (step + 1) / warm
    passed = (step - warm) / max(1, steps - warm)
    return spec.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * passed)))


class Trainer:
    """One training run in memory: everything that follows from the spec, and the place it has come to."""

    def __init__(self, child: Child, spec: TrainSpec, folder: Path, pad_id: int, train: list[Encoded],
                 validation: list[Encoded]) -> None:
        self.child, self.spec, self.pad_id, self.examples = child, spec, pad_id, train
        where = quantised.device()
        torch.set_num_threads(os.cpu_count() or 1)
        child.say("loading", sentence="Loading the base model in 4 bits")
        self.found = checkpoints.newest(child.folder)
        # A resumed run goes on in the precision it began with: timing again could choose the other one.
        dtype = getattr(torch, self.found[1].compute) if self.found else quantised.compute_dtype(where)
        self.model = quantised.add_adapter(quantised.load_base(folder, dtype, where), spec.rank, spec.seed)
        self.forward = quantised.Forward(self.model, dtype, where)
        self.parameters = quantised.trained(self.model)
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=spec.learning_rate, weight_decay=0.0)
        self.validation = data.by_length(validation, VALIDATION_BATCH, pad_id)
        self.lengths = [len(example.ids) for example in train]
        self.per_epoch = -(-len(train) // spec.batch_size)
        self.steps = self.per_epoch * spec.epochs
        self.evaluate_every = max(1, self.per_epoch // spec.evaluations_per_epoch)
        self.place = Place(step=0, tokens=0, learned_tokens=0, seconds=0.0, first_validation_loss=math.nan,
                           best_validation_loss=math.inf, best_step=0, last_train_loss=math.nan, validated_step=-1,
                           compute=str(dtype).removeprefix("torch."))
        self._saved: Place | None = None
        self._saved_at = time.monotonic()
        child.event("note", sentence=f"Computing in {self.place.compute} on {where.type}, "
                    f"{sum(p.numel() for p in self.parameters.values()):,} trained parameters.")

    def train(self) -> None:
        """From the newest checkpoint, or from the start, to the last step."""
        quantised.check(self.forward, data.collate(self.examples[:2], self.pad_id))
        if self.found:
            checkpoints.restore(self.found[0], self.parameters, self.optimizer)
            self.place = self._saved = self.found[1]
            self.child.event("note", sentence=f"Resumed from step {self.place.step}.")
        batches: list[list[int]] = []
        while True:
            step = self.place.step
            if self._validation_is_due(step):
                self._validate(step)
                self._checkpoint()
            elif time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self._checkpoint()
            if step == self.steps:
                return
            self._stop_if_asked()
            epoch, at = divmod(step, self.per_epoch)
            if at == 0 or not batches:
                batches = data.order(self.lengths, self.spec.batch_size, self.spec.seed, epoch)
            self._step(step, batches[at])

    def finish(self, tokenizer: Any, left_out: int, base_fingerprint: str) -> dict[str, Any]:
        """Save the adapter of the best validation loss as `adapter/` and say what was measured."""
        checkpoints.load_adapter(checkpoints.at_step(self.child.folder, self.place.best_step), self.parameters)
        digest = self._save_adapter(tokenizer)
        place = self.place
        return {"adapter": "adapter", "adapter_sha256": digest, "base_fingerprint": base_fingerprint,
                "best_step": place.best_step, "best_validation_loss": place.best_validation_loss,
                "first_validation_loss": place.first_validation_loss, "last_train_loss": place.last_train_loss,
                "steps": place.step, "epochs": self.spec.epochs, "tokens": place.tokens,
                "tokens_s": place.tokens / max(place.seconds, 1e-9), "seconds": place.seconds, "left_out": left_out,
                "learned_tokens": place.learned_tokens}

    def _step(self, step: int, places: list[int]) -> None:
        began = time.perf_counter()
        batch = data.collate([self.examples[place] for place in places], self.pad_id)
        rate = learning_rate(self.spec, step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total, learned = self.forward(batch)
        loss = total / learned
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters.values(), CLIP))
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise PipelineError(f"The loss became {value} at step {step + 1}: training ran away.",
                                "Start again with a lower learning rate (a half, or a tenth).")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - began
        self.place = replace(self.place, step=step + 1, tokens=self.place.tokens + batch.tokens, last_train_loss=value,
                             learned_tokens=self.place.learned_tokens + learned, seconds=self.place.seconds + seconds)
        self.child.event("loss", step=step + 1, epoch=round((step + 1) / self.per_epoch, 4), loss=value, lr=rate,
                         grad_norm=norm, tokens_s=batch.tokens / seconds, tokens=batch.tokens)
        self.child.say("training", step + 1, self.steps, "steps", f"Training, loss {value:.3f}")

    def _validation_is_due(self, step: int) -> bool:
        """At the start, a few times an epoch, and at the end; not again where a resumed run has it already."""
        return self.place.validated_step != step and (step % self.evaluate_every == 0 or step == self.steps)

    def _validate(self, step: int) -> None:
        self.child.say("training", step, self.steps, "steps", "Measuring the validation loss")
        loss = quantised.mean_loss(self.forward, self.validation, self._stop_if_asked)
        if not math.isfinite(loss):
            raise PipelineError(f"The validation loss became {loss} at step {step}: training ran away.",
                                "Start again with a lower learning rate (a half, or a tenth).")
        self.child.event("validation", step=step, epoch=round(step / self.per_epoch, 4), loss=loss)
        first = loss if step == 0 else self.place.first_validation_loss
        self.place = replace(self.place, first_validation_loss=first, validated_step=step)
        if loss < self.place.best_validation_loss:
            self.place = replace(self.place, best_validation_loss=loss, best_step=step)

    def _checkpoint(self) -> None:
        """Save, unless just this was saved: replacing a whole checkpoint by its equal would only put it at risk."""
        if self.place != self._saved:
            checkpoints.save(self.child.folder, self.place, self.parameters, self.optimizer)
            self.child.event("checkpoint", step=self.place.step)
        self._saved, self._saved_at = self.place, time.monotonic()

    def _stop_if_asked(self) -> None:
        if self.child.stop_requested():
            self._checkpoint()
            raise Stopped(f"Stopped at step {self.place.step} of {self.steps}, as asked; everything up to there is saved.")

    def _save_adapter(self, tokenizer: Any) -> str:
        """Write the adapter in peft's own form, without the path of this machine in it; returns its SHA-256."""
        beside, target = self.child.folder / ".adapter", self.child.folder / "adapter"
        shutil.rmtree(beside, ignore_errors=True)
        self.model.peft_config["default"].base_model_name_or_path = self.spec.base.name
        self.model.save_pretrained(beside, safe_serialization=True, save_embedding_layers=False)
        tokenizer.save_pretrained(beside)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(beside, target)
        return hashlib.sha256((target / "adapter_model.safetensors").read_bytes()).hexdigest()


def _encode(tokenizer: Any, path: Path, limit: int) -> tuple[list[Encoded], int]:
    """Encoded examples that fit, and how many did not."""
    found = [template.encode(tokenizer, example.id, example.messages) for example in examples.read(path)]
    fitting = [example for example in found if len(example.ids) <= limit]
    if not fitting:
        raise PipelineError(f"Every example of {path.name} is longer than {limit} tokens.",
                            "Raise the longest example, or choose a base model that takes longer texts.")
    return fitting, len(found) - len(fitting)


def _longest(folder: Path) -> int:
    """How many tokens the model takes at once."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    return int(getattr(config, "max_position_embeddings", None) or 10**9)
