"""What a decoder-only transformer is made of, from its config.json: parameters, and the work of training on a token. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.errors import PipelineError

GEMMA3_TEXT = {"hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
               "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262_208}
"""What Gemma 3's config.json leaves out (transformers' Gemma3TextConfig)."""

_TIED_UNLESS_SAID = ("gemma", "smollm3", "cohere", "gpt2", "opt", "falcon")
_QK_NORMS = ("qwen3", "gemma3", "olmo2")
_SANDWICHED = ("gemma2", "gemma3")
_NOT_GATED = ("phi", "gpt_neox", "starcoder2", "nemotron", "opt", "gpt2", "falcon")
_NOT_KNOWN = ("num_local_experts", "num_experts", "n_routed_experts", "kv_lora_rank", "layers_block_type",
              "hidden_size_per_layer_input")
_LAYERS_KNOWN = {"full_attention", "sliding_attention", "chunked_attention"}


@dataclass(frozen=True)
class Shape:
    """What a decoder-only transformer is made of. `fused`: q, k, v are one layer, and gate and up too (Phi-3). `gated`: the MLP
    has a gate. `norms` a layer; `qk_norm`: queries and keys are normed too. Biases and norms are not counted as parameters
    (under 0.1 %)."""

    family: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    fused: bool = False
    gated: bool = True
    qk_norm: bool = False
    norms: int = 2

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Shape:
        """From a model's config.json. Raises PipelineError when it is no plain transformer with the usual names."""
        config = text_config(config)
        family = str(config.get("model_type", ""))
        try:
            hidden, heads, layers, intermediate, vocabulary = (int(config[name]) for name in (
                "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size"))
            plain = (min(hidden, heads, layers, intermediate, vocabulary) > 0 and not any(map(config.get, _NOT_KNOWN))
                     and set(config.get("layer_types") or ()) <= _LAYERS_KNOWN)
        except (KeyError, TypeError, ValueError):
            plain = False
        if not plain:
            raise PipelineError("The shape of this model is not known here (experts, or layers of several kinds), so what it "
                                "needs cannot be said before it is tried.",
                                "Choose a model of the Llama, Qwen, Gemma, Mistral or Phi-3 family.")
        tied = config.get("tie_word_embeddings")
        return cls(
            family=family, hidden=hidden, intermediate=intermediate, layers=layers, heads=heads, vocabulary=vocabulary,
            kv_heads=int(config.get("num_key_value_heads") or heads), head_dim=int(config.get("head_dim") or hidden // heads),
            tied=family.startswith(_TIED_UNLESS_SAID) if tied is None else bool(tied), fused=family == "phi3",
            gated=family not in _NOT_GATED, qk_norm=family.startswith(_QK_NORMS),
            norms=4 if family.startswith(_SANDWICHED) else 2)

    @property
    def queries(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads together; values have the same."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of the linear layers of one block, as the model holds them."""
        into = ((self.hidden, self.queries + 2 * self.keys),) if self.fused else (
            (self.hidden, self.queries), (self.hidden, self.keys), (self.hidden, self.keys))
        up = ((self.hidden, 2 * self.intermediate),) if self.fused else ((self.hidden, self.intermediate),) * (1 + self.gated)
        return (*into, (self.queries, self.hidden), *up, (self.intermediate, self.hidden))

    @property
    def groups(self) -> tuple[tuple[int, int, int], ...]:
        """(inputs, outputs, layers) of what reads the same input in one block: q, k, v; attention's output; gate, up; down."""
        into, up = (1, 1) if self.fused else (3, 1 + self.gated)
        return ((self.hidden, self.queries + 2 * self.keys, into), (self.queries, self.hidden, 1),
                (self.hidden, (1 + self.gated) * self.intermediate, up), (self.intermediate, self.hidden, 1))

    @property
    def largest_group(self) -> int:
        """Parameters of the largest group of one block."""
        return max(inputs * outputs for inputs, outputs, _ in self.groups)

    @property
    def largest_linear(self) -> int:
        """Parameters of the largest linear layer of one block."""
        return max(inputs * outputs for inputs, outputs in self.linears)

    def spread_parameters(self, rank: int) -> int:
        """Of LoRA's B as the fused products see it: each group's outputs by the rank of all its layers."""
        return self.layers * sum(outputs * rank * layers for _, outputs, layers in self.groups)

    @property
    def block_parameters(self) -> int:
        """Of all blocks' linear layers: what NF4 holds and what LoRA stands beside."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Of one matrix of vocabulary × hidden."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """Blocks, embeddings and, where it has its own weight, the head."""
        return self.block_parameters + self.embedding_parameters * (1 if self.tied else 2)

    def lora_parameters(self, rank: int) -> int:
        """LoRA on every linear layer but the head: rank × (inputs + outputs) each (arXiv:2106.09685)."""
        return self.layers * sum(rank * (inputs + outputs) for inputs, outputs in self.linears)


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config.json that is about the text model; that of Gemma 3 with the defaults it leaves out."""
    inner = config.get("text_config")
    found = {**inner, "model_type": inner.get("model_type", config.get("model_type"))} if isinstance(inner, dict) else config
    return GEMMA3_TEXT | found if found.get("model_type") == "gemma3_text" else found


def flops_per_token(shape: Shape, rank: int, mean_length: float) -> float:
    """Useful FLOPs a token of forward and backward pass: the base forward and for its inputs' gradients (4N), LoRA with its own
    gradients (6N), causal attention (6 · L² · layers · heads · head_dim a document).

    `mean_length` is the length of the document a token is in, on average: ΣL² / ΣL. What checkpointing computes again is not
    counted; see `recompute`.
    """
    base = shape.block_parameters + shape.embedding_parameters
    return 4 * base + 6 * shape.lora_parameters(rank) + 6 * mean_length * shape.layers * shape.queries


def recompute(shape: Shape, rank: int) -> float:
    """The blocks' second forward pass under checkpointing, as a share of the useful work (short documents)."""
    return 2 * (shape.block_parameters + shape.lora_parameters(rank)) / flops_per_token(shape, rank, 0)
