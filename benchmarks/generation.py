"""Local generation: one question at a time with `generate`, and ours, in one process, the same greedy answers.

    python -m benchmarks.generation [measure] [--items FILE] [--base FOLDER|starter] [--out OUT.json]
    python -m benchmarks.generation record OUT.json       (write RESULTS.md and results.json from another machine's)

`--items` is a JSONL file of conversations, `{"id", "messages"}` a line; without it, real questions of ../shared/data. On a
processor, and with --float32, both compute in float32 and every answer must be the same; on a GPU both compute in bfloat16,
where another batch may round another way, and the share of equal answers is printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import record
from pipeline import base_models, examples
from pipeline.examples import Example
from pipeline.generation.answer import Answer, Ask
from pipeline.generation.local import LocalModel
from pipeline.specs import BaseSource, Decoding

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "bitext_llm" / "bitext_support_responses_v2_2023-08-18.csv"
SYSTEM = ("You are an experienced customer support agent. Answer the customer's message in the customer's language. Be "
          "friendly, concrete and complete. Use only what the message says. Write nothing but the answer.")
STARTER = BaseSource(kind="starter", name="SmolLM2-135M-Instruct (starter)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=["measure", "record"], nargs="?", default="measure")
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--items", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--base", default="starter")
    parser.add_argument("--method", choices=["qlora", "lora"], default="lora", help="lora: the weights as they are")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--float32", action="store_true", help="on a GPU too")
    parser.add_argument("--peer", type=int, help="questions that are also asked one at a time; none: all")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.act == "record":
        keep(json.loads(given.file.read_text()))
        return
    os.environ["HF_HUB_OFFLINE"] = "1"
    items = (examples.read(given.items) if given.items else questions())[: given.count]
    with tempfile.TemporaryDirectory() as folder:
        base = (base_models.prepare(STARTER, Path(folder), print) if given.base == "starter" else Path(given.base))
        found = measure(base, given.base, given.method, items, given.tokens, given.peer or len(items), given.float32)
    print(json.dumps(found, indent=1))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    else:
        keep(found)


def questions() -> list[Example]:
    """Real questions of a help desk, spread over the file, with one system prompt."""
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Example(f"i{place}", ({"role": "system", "content": SYSTEM}, {"role": "user", "content": row["instruction"]},
                                  {"role": "assistant", "content": row["response"]}))
            for place, row in enumerate(rows[:: len(rows) // 64])]


def measure(folder: Path, name: str, method: str, items: Sequence[Example], tokens: int, peers: int,
            float32: bool) -> dict[str, Any]:
    """Both in turns on the same loaded model: one at a time for the first `peers`, ours for all."""
    model = LocalModel(folder, None, method)
    if float32:
        model.model.float()
    assert model.takes_memory, "this model is answered one at a time: there is nothing to compare"
    decoding = Decoding(max_new_tokens=tokens)
    alone(model, items[:1], 4)
    list(model.answers([Ask(item) for item in items[:4]], Decoding(max_new_tokens=4)))
    ours, our_seconds = timed(lambda: {one.item_id: one for one in model.answers([Ask(item) for item in items], decoding)})
    theirs, their_seconds = timed(lambda: alone(model, items[:peers], tokens))
    same = [theirs[key].text == ours[key].text for key in theirs]
    our_speed = sum(one.new_tokens for one in ours.values()) / our_seconds
    their_speed = sum(one.new_tokens for one in theirs.values()) / their_seconds
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d}", "device": model.where.type, "machine": machine(model.where.type),
        "compute": model.compute, "method": method, "base": Path(name).name, "items": len(items), "tokens": tokens,
        "peer_items": peers, "peer_tokens_s": their_speed, "tokens_s": our_speed, "ratio": our_speed / their_speed,
        "same": sum(same) / len(same), "seconds": our_seconds,
        "versions": {part: version(part) for part in ("torch", "transformers")}}


def alone(model: LocalModel, items: Sequence[Example], tokens: int) -> dict[str, Answer]:
    """transformers' `generate` with its own attention and cache, as a tutorial writes it."""
    import torch

    with model.own_attention(), torch.inference_mode():
        found = {}
        for item in items:
            ids = torch.tensor([model.prompt(item)], device=model.where)
            made = model.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens,
                                        do_sample=False, eos_token_id=model.ends, pad_token_id=model.quick.pad)
            new = made[0, ids.shape[1] :].tolist()
            said = new[:-1] if new[-1] in model.ends else new
            text = model.tokenizer.decode(said, skip_special_tokens=True).strip()
            found[item.id] = Answer(item.id, 0, text, len(new), ids.shape[1], 0.0, "stop")
    return found


def timed(act: Any) -> tuple[dict[str, Answer], float]:
    began = time.perf_counter()
    return act(), time.perf_counter() - began


def machine(device: str) -> str:
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else record.machine()


def keep(found: dict[str, Any]) -> None:
    """One figure and one section for each kind of machine."""
    kind = "h100" if "H100" in found["machine"] else found["device"]
    if found["compute"] == "float32":
        assert found["same"] == 1, "an answer differs from that of generate, one at a time, in float32"
    record.keep({f"generation.{kind}_speedup": round(found["ratio"], 2)})
    lines = [
        f"{found['base']}, {found['items']} questions with one system prompt, at most {found['tokens']} new tokens, greedy, "
        f"{found['compute']}, on {found['machine']}; " + ", ".join(f"{k} {v}" for k, v in found["versions"].items()) + ".",
        "",
        "| way | new tokens/s |",
        "|---|---|",
        f"| `generate`, one at a time ({found['peer_items']} of them) | {found['peer_tokens_s']:,.1f} |",
        f"| ours | {found['tokens_s']:,.1f} |",
        "",
        f"**{found['ratio']:.1f} ×**. The same answers: {found['same']:.0%}.",
    ]
    record.table(f"generation-{kind}", f"Local generation ({'processor' if kind == 'cpu' else kind.upper()})", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
