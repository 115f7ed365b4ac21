"""What goes out: the adapter alone, the merged model as others load it, GGUF by llama.cpp's converter, a push."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import rundir
from pipeline.deploy import export, tools
from pipeline.errors import PipelineError
from pipeline.rundir import Child
from pipeline.spec_deploy import ExportSpec, PushSpec
from pipeline.specs import Candidate
from tests import children, tiny
from tests import hub as a_hub

pytestmark = pytest.mark.heavy

CONVERTER = """import sys, pathlib
folder, out, kind = sys.argv[1], sys.argv[sys.argv.index("--outfile") + 1], sys.argv[sys.argv.index("--outtype") + 1]
assert pathlib.Path(folder, "config.json").is_file() and kind == "f32"
import gguf, json
writer = gguf.GGUFWriter(out, "llama")
if "PLAIN" not in open(__file__).read().split("import")[0]:
    writer.add_chat_template(json.loads(pathlib.Path(folder, "tokenizer_config.json").read_text())["chat_template"])
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.close()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def model(home: Path) -> Candidate:
    return tiny.made(home)


@pytest.fixture(scope="module")
def out(home: Path, model: Candidate) -> Path:
    """Adapter and merged model, in bfloat16, with a card."""
    spec = ExportSpec(run_id="out", tuned=model, forms=("adapter", "merged"))
    folder = children.prepared(home, spec)
    (folder / "card.md").write_text("# Tiny\n\nWhat it learned.\n")
    with Child(folder) as child:
        export.run(child, spec, home)
    return home / "exports" / "out"


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder))


def test_the_adapter_alone_is_safetensors_and_its_config_without_a_path_of_this_machine(home: Path, out: Path) -> None:
    names = sorted(path.name for path in (out / "adapter").iterdir())
    config = (out / "adapter" / "adapter_config.json").read_text()
    assert names == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    assert json.loads(config)["base_model_name_or_path"] == "Tiny" and str(home) not in config


def test_a_merged_weight_is_the_base_held_in_4_bits_plus_the_adapters_product_rounded_once(home: Path, out: Path) -> None:
    import bitsandbytes as bnb
    import torch

    name = "model.layers.0.self_attn.q_proj"
    base = weights(home / "base" / "model.safetensors")[f"{name}.weight"].float()
    adapter = weights(home / tiny.ADAPTER / "adapter_model.safetensors")
    a, b = (adapter[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    held = bnb.functional.dequantize_4bit(*bnb.functional.quantize_4bit(base, quant_type="nf4", compress_statistics=True))
    wanted = (held + 2 * (b @ a)).to(torch.bfloat16)
    merged = weights(out / "merged" / "model.safetensors")[f"{name}.weight"]
    assert merged.dtype == torch.bfloat16 and (merged.float() - wanted.float()).abs().max() <= 2e-3


def test_a_merged_folder_opens_with_transformers_and_holds_all_that_a_server_reads(out: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found: Any = AutoModelForCausalLM.from_pretrained(out / "merged")
    tokenizer: Any = AutoTokenizer.from_pretrained(out / "merged")
    names = {path.name for path in (out / "merged").iterdir()}
    assert {"config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja", "README.md"} <= names
    assert not {path.suffix for path in (out / "merged").iterdir()} & {".bin", ".pt", ".pkl", ".py"}
    settings = json.loads((out / "merged" / "generation_config.json").read_text())
    assert tokenizer.convert_tokens_to_ids("<|eot_id|>") in settings["eos_token_id"] and settings["do_sample"] is False
    config = json.loads((out / "merged" / "config.json").read_text())
    assert config["dtype"] == config["tunewright_precision"] == "bfloat16" and found.dtype.itemsize == 2
    assert "quantization_config" not in config


def test_a_gpu_computes_an_export_in_the_precision_it_was_written_in(home: Path, model: Candidate) -> None:
    import torch

    from pipeline.generation import local

    found = [local.precision_of(tiny.exported(home, model, name, precision=name) / "merged") for name in ("float16", "float32")]
    assert (found, local.precision_of(home / "base")) == ([torch.float16, torch.float32], torch.bfloat16)


def test_the_card_says_which_values_the_adapter_was_merged_into(out: Path) -> None:
    card = (out / "merged" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n") and "What it learned." in card
    assert "was merged into just those values (which lie 8." in card and "rounded to bfloat16 once" in card


def test_a_manifest_names_every_file_by_its_hash_and_nothing_unfinished_stays(home: Path, out: Path) -> None:
    manifest = json.loads((out / "tunewright.json").read_text())
    assert set(manifest["forms"]["adapter"]["files"]) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert all(len(one) == 64 for one in manifest["forms"]["merged"]["files"].values())
    assert not [path for path in (home / "exports").rglob(".*")]


def test_one_trained_in_16_bits_is_merged_into_them(home: Path, model: Candidate) -> None:
    import torch

    sixteen = model.model_copy(update={"method": "lora"})
    merged = tiny.exported(home, sixteen, "sixteen")
    base = weights(home / "base" / "model.safetensors")
    found = weights(merged / "merged" / "model.safetensors")
    assert torch.equal(found["model.embed_tokens.weight"], base["model.embed_tokens.weight"].float())
    assert json.loads((merged / "tunewright.json").read_text())["distance"] is None


def test_gguf_is_written_by_llama_cpps_own_converter(
    home: Path, model: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / tools.CONVERTER).write_text(CONVERTER)
    monkeypatch.setenv(tools.LLAMA_CPP, str(tmp_path))
    made = tiny.exported(home, model, "gguf", forms=("gguf",))
    assert (made / "gguf" / "model-f32.gguf").read_bytes()[:4] == b"GGUF" and (made / "merged").is_dir()


def test_gguf_without_the_chat_template_is_not_handed_out(
    home: Path, model: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / tools.CONVERTER).write_text("# PLAIN\n" + CONVERTER)
    monkeypatch.setenv(tools.LLAMA_CPP, str(tmp_path))
    with pytest.raises(PipelineError, match="left the chat template out"):
        tiny.exported(home, model, "plain", forms=("gguf",))
    assert not (home / "exports" / "plain").exists()


def test_a_converter_that_fails_is_said_in_words_and_the_merged_model_stays(
    home: Path, model: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / tools.CONVERTER).write_text("raise SystemExit(3)")
    monkeypatch.setenv(tools.LLAMA_CPP, str(tmp_path))
    with pytest.raises(PipelineError, match="exit status 3"):
        tiny.exported(home, model, "broken", forms=("gguf",))
    assert (home / "exports" / ".broken.making" / "merged" / "config.json").is_file()
    assert not (home / "exports" / "broken").exists()


def test_without_llama_cpp_the_sentence_says_how_to_get_it(
    home: Path, model: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tools.LLAMA_CPP, "/nowhere")
    with pytest.raises(PipelineError) as failed:
        tiny.exported(home, model, "without", forms=("gguf",))
    assert "TUNEWRIGHT_LLAMA_CPP" in failed.value.hint


def test_a_full_disk_is_said_before_anything_is_written(home: Path, model: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SPARE", 1 << 60)
    with pytest.raises(PipelineError, match="GB free"):
        tiny.exported(home, model, "full")


def test_a_killed_export_leaves_nothing_half_and_goes_on(home: Path, model: Candidate) -> None:
    spec = ExportSpec(run_id="killed", tuned=model, forms=("adapter", "merged"))
    folder = children.prepared(home, spec)
    child = children.begin_to_kill(folder, home)
    children.wait_until(lambda: (home / "exports" / ".killed.making" / "adapter").is_dir(), folder)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (home / "exports" / "killed").exists()
    with Child(folder) as again:
        export.run(again, spec, home)
    assert (home / "exports" / "killed" / "merged" / "model.safetensors").is_file()
    assert not (home / "exports" / ".killed.making").exists()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What such a Hub is asked; children push to it with a token."""
    with a_hub.serving() as (address, asked):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield asked


def test_a_push_asks_for_a_private_repository_and_a_refusal_is_said_without_the_token(
    home: Path, out: Path, hub: list[tuple[str, bytes]]
) -> None:
    folder = children.prepared(home, PushSpec(run_id="push", folder="exports/out/adapter", repository="me/tiny"))
    ended = children.finished(folder, home)
    asked = [json.loads(body) for path, body in hub if path == "/api/repos/create"]
    assert (ended.outcome, ended.message) == ("failed", "The Hugging Face Hub refused me/tiny (HTTP 403).")
    assert [one["visibility"] for one in asked] == ["private"]
    said = "".join(path.read_text("utf-8", "replace") for path in folder.iterdir() if path.is_file())
    assert "hf_secret" not in said and os.environ["HF_TOKEN"] == "hf_secret"


def test_what_is_to_be_private_never_goes_into_a_repository_that_everybody_sees(
    home: Path, out: Path, hub: list[tuple[str, bytes]]
) -> None:
    spec = PushSpec(run_id="public", folder="exports/out/adapter", repository="me/public")
    ended = children.finished(children.prepared(home, spec), home)
    assert (ended.outcome, ended.message) == ("failed", "me/public is there already, for everybody to see."), ended
    assert not [path for path, _ in hub if "upload" in path or "commit" in path]


def test_without_a_token_nothing_is_pushed(home: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.deploy import push

    monkeypatch.delenv("HF_TOKEN", raising=False)
    spec = PushSpec(run_id="none", folder="exports/out/adapter", repository="me/tiny")
    with Child(children.prepared(home, spec)) as child, pytest.raises(PipelineError, match="HF_TOKEN is not set"):
        push.run(child, spec, home)
    assert rundir.result(home / "runs" / "none") is None
