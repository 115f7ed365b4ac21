"""What people run today, on the measured model and tickets, in a process of its own: prints one JSON line a recipe.

    python -m benchmarks.training_peers tutorial|trl                       (transformers' Trainer; TRL's defaults)
    python -m benchmarks.training_peers checkpoint FOLDER                  (save the model for Unsloth)
    python -m benchmarks.training_peers unsloth FOLDER RECIPE[,RECIPE] [--shim]

Unsloth needs trl 1.15 and datasets 4.8 and a saved checkpoint. Its packed attention asks for a keyword that torch 2.11's
variable-length kernel lacks though it does the work; `--shim` adds the keyword, without it Unsloth falls back to slower code.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", UNSLOTH_DISABLE_STATISTICS="1", TOKENIZERS_PARALLELISM="false")

UNSLOTH = {
    "checkpointed": ("unsloth", {"packing": True, "per_device_train_batch_size": 8}),
    "plain": (False, {"packing": True, "per_device_train_batch_size": 8, "gradient_checkpointing": False}),
}
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["tutorial", "trl", "checkpoint", "unsloth"])
    parser.add_argument("folder", nargs="?", default="")
    parser.add_argument("recipes", nargs="?", default="plain")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--shim", action="store_true")
    given = parser.parse_args()
    if given.peer == "checkpoint":
        save(Path(given.folder))
    elif given.peer == "unsloth":
        unsloth(given.folder, given.recipes.split(","), given.seconds, given.shim)
    else:
        (tutorial if given.peer == "tutorial" else trl)(given.seconds)


def clock(seconds: float, warm: int) -> Any:
    """A callback that counts from step `warm` on and stops the training after `seconds`."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        began = passed = 0.0
        steps = first = last = 0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.steps += 1
            if self.steps == warm:
                torch.cuda.synchronize()
                self.began, self.first = time.perf_counter(), self.counted()
            elif self.steps > warm and time.perf_counter() - self.began > seconds:
                torch.cuda.synchronize()
                self.passed, self.last = time.perf_counter() - self.began, self.counted()
                control.should_training_stop = True

        def counted(self) -> int:
            return int(self.trainer.real)

    return Clock()


def counting(base: type) -> type:
    """A trainer that counts real tokens: those that are not padding (id 0)."""

    class Counting(base):  # type: ignore[misc]
        real: Any = 0

        def training_step(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
            self.real = self.real + (inputs["input_ids"] != 0).sum()
            return super().training_step(model, inputs, *rest, **more)

    return Counting


def report(name: str, trainer: Any, watch: Any, warm: int) -> None:
    import torch

    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print(
        "RESULT "
        + json.dumps(
            {
                "peer": name,
                "tokens_s": (watch.last - watch.first) / watch.passed,
                "steps": watch.steps - warm,
                "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
                "loss": losses[-1:],
            }
        ),
        flush=True,
    )


def tutorial(seconds: float) -> None:
    """The usual QLoRA tutorial: Trainer, 4 x 4 tickets padded, checkpointing, dropout 0.05, paged 8-bit AdamW."""
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import Trainer, TrainingArguments

    from benchmarks import training_model

    model = prepare_model_for_kbit_training(training_model.build(), use_gradient_checkpointing=True)
    model = get_peft_model(
        model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, bias="none", task_type="CAUSAL_LM", target_modules=LINEAR)
    )
    data = [{"input_ids": list(example.ids)} for example in training_model.tickets(128256)]

    def collate(batch: list[dict[str, list[int]]]) -> dict[str, Any]:
        longest = max(len(item["input_ids"]) for item in batch)
        ids = torch.tensor([item["input_ids"] + [0] * (longest - len(item["input_ids"])) for item in batch])
        return {"input_ids": ids, "attention_mask": (ids != 0).long(), "labels": ids.masked_fill(ids == 0, -100)}

    settings = TrainingArguments(
        "peer_out",
        per_device_train_batch_size=4,
        gradient_accumulation_steps=4,
        max_steps=400,
        learning_rate=2e-4,
        bf16=True,
        optim="paged_adamw_8bit",
        gradient_checkpointing=True,
        logging_steps=2,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,
        disable_tqdm=True,
        seed=0,
    )
    watch = clock(seconds, 2)
    watch.trainer = trainer = counting(Trainer)(
        model=model, args=settings, train_dataset=data, data_collator=collate, callbacks=[watch]
    )
    trainer.train()
    report("tutorial", trainer, watch, 2)


def trl(seconds: float) -> None:
    """TRL's SFTTrainer as it comes."""
    import datasets
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from benchmarks import training_model

    data = datasets.Dataset.from_dict({"input_ids": [list(example.ids) for example in training_model.tickets(128256)]})
    settings = SFTConfig(
        "peer_out", max_steps=400, save_strategy="no", report_to="none", disable_tqdm=True, seed=0, logging_steps=2
    )
    watch = clock(seconds, 4)
    adapter = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM", target_modules=LINEAR)
    watch.trainer = trainer = counting(SFTTrainer)(
        model=training_model.build(),
        args=settings,
        train_dataset=data,
        processing_class=tokenizer(128256),
        peft_config=adapter,
        callbacks=[watch],
    )
    trainer.train()
    report("trl", trainer, watch, 4)


def tokenizer(vocabulary: int) -> Any:
    """A word for every id, so that texts of ids become the ids again."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{number}": number for number in range(4, vocabulary)} | {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    found = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    found.chat_template = "{% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' </s> ' }}{% endfor %}"
    found.padding_side = "right"
    return found


def save(folder: Path) -> None:
    from benchmarks import training_model

    model = training_model.build()
    model.eval()
    model.save_pretrained(folder, max_shard_size="4GB")
    tokenizer(model.config.vocab_size).save_pretrained(folder)


def unsloth(folder: str, recipes: list[str], seconds: float, shim: bool) -> None:
    if shim:
        _add_keyword()
    from unsloth import FastLanguageModel  # isort: skip (before trl and transformers, which it changes)

    import datasets
    import torch
    from trl import SFTConfig, SFTTrainer

    from benchmarks import training_model

    texts = [" ".join(f"w{token}" for token in example.ids[:-1]) + " </s>" for example in training_model.tickets(128256)]
    for name in recipes:
        checkpointing, settings = UNSLOTH[name]
        torch.cuda.reset_peak_memory_stats()
        model, words = FastLanguageModel.from_pretrained(
            folder, max_seq_length=1024, load_in_4bit=True, dtype=torch.bfloat16, local_files_only=True, fix_tokenizer=False
        )
        model = FastLanguageModel.get_peft_model(
            model,
            r=16,
            target_modules=LINEAR,
            lora_alpha=32,
            lora_dropout=0,
            bias="none",
            use_gradient_checkpointing=checkpointing,
            random_state=0,
        )
        given = SFTConfig(
            output_dir="peer_out",
            max_steps=400,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=0,
            learning_rate=2e-4,
            logging_steps=4,
            bf16=True,
            dataset_num_proc=1,
            dataset_text_field="text",
            gradient_accumulation_steps=1,
            optim="adamw_8bit",
            max_length=1024,
            **settings,
        )
        watch = clock(seconds, 5)
        watch.trainer = trainer = counting(SFTTrainer)(
            model=model,
            processing_class=words,
            args=given,
            callbacks=[watch],
            train_dataset=datasets.Dataset.from_dict({"text": texts}),
        )
        trainer.train()
        report(f"unsloth {name}{' (shim)' if shim else ''}", trainer, watch, 5)
        del model, trainer, watch.trainer, watch
        import gc

        gc.collect()
        torch.cuda.empty_cache()


def _add_keyword() -> None:
    import torch.nn.attention.varlen as module

    kernel = module.varlen_attn

    def varlen_attn(
        query: Any,
        key: Any,
        value: Any,
        cu_seq_q: Any,
        cu_seq_k: Any,
        max_q: int,
        max_k: int,
        *,
        return_aux: Any = None,
        scale: float | None = None,
        window_size: tuple[int, int] = (-1, -1),
        enable_gqa: bool = False,
    ) -> Any:
        return kernel(
            query,
            key,
            value,
            cu_seq_q,
            cu_seq_k,
            max_q,
            max_k,
            return_aux=return_aux,
            scale=scale,
            window_size=tuple(window_size),
        )

    module.varlen_attn = varlen_attn
    os.environ["UNSLOTH_LEAN_VARLEN"] = "0"


if __name__ == "__main__":
    # By its name, so that datasets can pickle what refers to this module.
    from benchmarks import training_peers

    training_peers.main()
