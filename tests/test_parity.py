"""Adapter = merged = served: what is the same passes, and what is not is caught and named."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir, specs
from pipeline.rundir import Child
from pipeline.spec_deploy import ServeSpec
from pipeline.specs import Candidate, Endpoint
from tests import children, tiny, tuned
from tests.conftest import STARTER

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


@pytest.fixture(scope="module")
def model(home: Path) -> Candidate:
    """A tiny model whose adapter learned on 4 bits."""
    return tiny.made(home)


@pytest.fixture(scope="module")
def good(home: Path, model: Candidate) -> Path:
    """Merged into the values it learned on, in float32."""
    return tiny.exported(home, model, "good") / "merged"


def leg(found: dict[str, Any], name: str = "merged") -> dict[str, Any]:
    return next(one for one in found["legs"] if one["name"] == name)


@contextmanager
def serving(home: Path, tuned: Candidate, run_id: str, **more: Any) -> Iterator[Endpoint]:
    """A server in a thread of this process, until the end of the block."""
    from pipeline.deploy import serve
    from pipeline.errors import Stopped

    folder = tiny.server(home, tuned, run_id, **more)
    spec = specs.read(folder)
    assert isinstance(spec, ServeSpec)

    def work() -> None:
        with Child(folder) as child, pytest.raises(Stopped):
            serve.run(child, spec, home)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 30
    while (said := rundir.status(folder)) is None or said.phase != "serving":
        assert time.monotonic() < deadline and thread.is_alive()
        time.sleep(0.05)
    try:
        yield Endpoint(base_url=f"http://127.0.0.1:{spec.port}/v1", model="tiny")
    finally:
        rundir.ask_to_stop(folder)
        thread.join()


def test_a_merged_folder_in_float32_is_the_same_model_to_the_letter(home: Path, model: Candidate, good: Path) -> None:
    found = leg(tiny.compared(home, model, "same", good))
    assert (found["exact"], found["mismatches"], found["equal"], found["read"]) == (True, 0, 6, 6)
    assert found["first_apart"] < 1e-3 and found["values"][0] == found["values"][1]


def test_a_merge_rounded_to_16_bits_is_the_same_model_and_said_to_be_rounded(home: Path, model: Candidate) -> None:
    merged = tiny.exported(home, model, "rounded", precision="bfloat16") / "merged"
    found = leg(tiny.compared(home, model, "round", merged))
    assert (found["exact"], found["mismatches"], found["equal"] + found["rounded"]) == (False, 0, 6)


def test_a_wrong_chat_template_is_caught_and_named_with_the_place(home: Path, model: Candidate, good: Path) -> None:
    folder = tiny.spoilt(home, good, "template")
    written = folder / "chat_template.jinja"
    written.write_text(written.read_text().replace("<|start_header_id|>", "<|start_header_id|>the "))
    found = leg(tiny.compared(home, model, "wrong-template", folder))
    assert (found["cause"], found["read"], found["mismatches"]) == ("template", 0, 6)
    assert found["words"].startswith("The chat template writes another prompt from character 37 on, before the first turn")


def test_a_wrong_base_is_caught_and_named_with_a_weight(home: Path, model: Candidate, good: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = tiny.spoilt(home, good, "base")
    other: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(2)
    for weight in other.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    other.save_pretrained(folder)
    found = leg(tiny.compared(home, model, "wrong-base", folder))
    assert (found["cause"], found["mismatches"]) == ("base", 6) and found["words"].startswith("Another base: ")


def test_a_special_token_that_became_ordinary_text_is_caught_and_named(home: Path, model: Candidate, good: Path) -> None:
    folder = tiny.spoilt(home, good, "token")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [one for one in tokenizer["added_tokens"] if one["content"] != "<|start_header_id|>"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    for key, value in config.items():
        if isinstance(value, list):
            config[key] = [one for one in value if one != "<|start_header_id|>"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    found = leg(tiny.compared(home, model, "lost-token", folder))
    assert (found["cause"], found["mismatches"]) == ("special_tokens", 6)
    assert "The special token <|start_header_id|> is lost" in found["words"]


def test_an_end_that_the_generation_config_lost_is_caught_and_named(home: Path, model: Candidate, good: Path) -> None:
    folder = tiny.spoilt(home, good, "end")
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(config | {"eos_token_id": 0}))
    found = leg(tiny.compared(home, model, "lost-end", folder))
    assert found["cause"] == "special_tokens" and found["mismatches"] and "<|eot_id|> does not end" in found["words"]


def test_a_merge_into_other_values_than_it_learned_on_is_named(home: Path, model: Candidate) -> None:
    merged = tiny.exported(home, model, "onto-base", onto="base") / "merged"
    found = leg(tiny.compared(home, model, "quantised", merged))
    assert found["cause"] == "quantised" and "was merged into the 16-bit base" in found["words"]


def test_a_folder_without_the_adapter_is_named(home: Path, model: Candidate, good: Path) -> None:
    folder = tiny.spoilt(home, good, "plain")
    (folder / "model.safetensors").write_bytes((home / "base" / "model.safetensors").read_bytes())
    assert leg(tiny.compared(home, model, "plain", folder))["cause"] == "no_adapter"


def test_weights_rounded_without_a_word_are_called_precision(home: Path, model: Candidate, good: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tiny.spoilt(home, good, "coarse")
    weights = load_file(folder / "model.safetensors")
    save_file({name: one.to(torch.bfloat16).float() for name, one in weights.items()}, folder / "model.safetensors",
              {"format": "pt"})  # fmt: skip
    assert leg(tiny.compared(home, model, "coarse", folder))["cause"] == "precision"


def test_a_server_with_a_wrong_template_is_caught_from_outside(home: Path, model: Candidate, good: Path) -> None:
    folder = tiny.spoilt(home, good, "served-template")
    written = folder / "chat_template.jinja"
    written.write_text(written.read_text().replace("<|start_header_id|>", "<|start_header_id|>the "))
    with serving(home, model, "server-template", merged=str(folder.relative_to(home))) as endpoint:
        found = leg(tiny.compared(home, model, "from-outside", served=endpoint), "served")
    assert (found["cause"], found["mismatches"]) == ("template", 6) and "from character 37" in found["words"]


def test_a_server_that_left_the_adapter_out_is_caught_from_outside(home: Path, model: Candidate) -> None:
    with serving(home, model.model_copy(update={"adapter": None}), "server-plain") as endpoint:
        found = leg(tiny.compared(home, model, "plain-outside", served=endpoint), "served")
    assert (found["cause"], found["read"]) == ("no_adapter", 6) and "answers as the base model does" in found["words"]


def test_a_mismatch_leaves_item_ids_and_answers_and_none_of_the_questions(home: Path, model: Candidate, good: Path) -> None:
    folder = tiny.spoilt(home, good, "rows")
    (folder / "model.safetensors").write_bytes((home / "base" / "model.safetensors").read_bytes())
    found = tiny.compared(home, model, "rows", folder)
    rows = rundir.read_lines(home / "runs" / "rows" / "parity.jsonl")
    assert [row["item_id"] for row in rows] == [item[0] for item in tiny.ITEMS]
    assert "Where is my" not in json.dumps([rows, found])


@pytest.mark.slow
def test_the_tuned_starter_is_the_same_merged_and_served_on_fifty_prompts(starter_home: Path, with_starter: Path) -> None:
    folder, ended = tuned.trained(starter_home)
    candidate = Candidate(model_id="whole", name="Harbour", base=STARTER, adapter=tiny.ADAPTER, method="qlora",
                          sha256=ended.data["adapter_sha256"])  # fmt: skip
    (with_starter / tiny.ADAPTER).parent.mkdir(parents=True)
    (with_starter / tiny.ADAPTER).symlink_to(folder / "adapter")
    things = ("jacket", "tent", "boots", "map", "axe", "cup", "saw", "kayak", "stove", "rope")
    asked = [(f"Where is my {things[n % 10]}, {1000 + n}?", tuned.ANSWER.format(thing=things[n % 10])) for n in range(50)]
    children.write_examples(with_starter / "items.jsonl", [(f"p{n}", *one) for n, one in enumerate(asked)])
    merged = tiny.exported(with_starter, candidate, "merged") / "merged"
    with serving(with_starter, candidate, "server", merged=str(merged.relative_to(with_starter))) as endpoint:
        found = tiny.compared(with_starter, candidate, "fifty", merged, endpoint, max_new_tokens=2)
    told = [(one["name"], one["exact"], one["mismatches"], one["read"], one["equal"]) for one in found["legs"]]
    assert (told, found["passed"]) == ([("merged", True, 0, 50, 50), ("served", True, 0, 50, 50)], True)
    rows = rundir.read_lines(with_starter / "runs" / "fifty" / "parity.jsonl")
    assert sum(row["said"]["served"].startswith("Ahoy") for row in rows) > 25
