"""From a row of tokens to the loss of what is learned in it.

Models laid out like Llama (Llama, SmolLM, Mistral, Qwen 2 and 3) go through a forward pass of our own, which groups what reads
the same input and fuses what lies between the products. Others (Gemma, Phi, …) run transformers' own forward pass, with its
attention and its adapted layers replaced. `guard.check` holds either against the model's own loss before training begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pipeline.training import adapted, attention
from pipeline.training.adapted import Adapters, Apply, GatedMlp, Group, widen
from pipeline.training.ops import AddNorm, HeadLoss, Rotate
from pipeline.training.rows import Row
from pipeline.training.sharded import Gather

OUR_OWN = ("LlamaModel", "MistralModel", "Qwen2Model", "Qwen3Model")


class Layer:
    """One decoder layer of Llama's layout: norm, attention, norm, gated MLP."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        attn, mlp = layer.self_attn, layer.mlp
        self.before, self.between = layer.input_layernorm, layer.post_attention_layernorm
        self.query_norm, self.key_norm = getattr(attn, "q_norm", None), getattr(attn, "k_norm", None)
        self.head_size = int(attn.head_dim)
        self.scale = float(attn.scaling)
        self.heads, self.key_heads = (int(part.out_features) // self.head_size for part in (attn.q_proj, attn.k_proj))
        window = attn.sliding_window if hasattr(attn, "sliding_window") else getattr(attn.config, "sliding_window", None)
        self.window = int(window) if window and not _full(attn) else None
        self.qkv = Group([attn.q_proj, attn.k_proj, attn.v_proj], dtype)
        self.out = Group([attn.o_proj], dtype)
        self.gate_up = Group([mlp.gate_proj, mlp.up_proj], dtype)
        self.down = Group([mlp.down_proj], dtype)

    @property
    def groups(self) -> list[Group]:
        return [self.qkv, self.out, self.gate_up, self.down]

    def attend(self, x: Tensor, row: Row, cosine: Tensor, sine: Tensor, scratch: adapted.Scratch) -> Tensor:
        """The attention's part of a wide normed x."""
        made = Apply.apply(x, self.qkv.anchor, self.qkv, scratch)
        if self.query_norm is None:
            made = Rotate.apply(made, cosine, sine, self.heads + self.key_heads)
        sizes = [self.heads * self.head_size, self.key_heads * self.head_size, self.key_heads * self.head_size]
        query, key, value = made.split(sizes, dim=1)
        if self.query_norm is not None:
            query, key = (Rotate.apply(_head_norm(part, norm, self.head_size), cosine, sine, part.shape[1] // self.head_size)
                          for part, norm in ((query, self.query_norm), (key, self.key_norm)))
        heads = [part.view(len(part), -1, self.head_size) for part in (query, key, value)]
        seen = attention.attend(heads[0], heads[1], heads[2], row, self.scale, self.window)
        return Apply.apply(widen(seen.reshape(len(seen), -1), self.out.spare), self.out.anchor, self.out, scratch)  # type: ignore[no-any-return]

    def think(self, x: Tensor, scratch: adapted.Scratch) -> Tensor:
        """The MLP's part of a wide normed x."""
        return GatedMlp.apply(x, self.gate_up.anchor, self.gate_up, self.down, scratch)  # type: ignore[no-any-return]


class OwnBody:
    """The layers of a model of Llama's layout. `checkpointed` of them keep only their input and compute the rest again."""

    def __init__(self, body: Any, dtype: torch.dtype) -> None:
        self.body = body
        self.layers = [Layer(layer, dtype) for layer in body.layers]
        self.checkpointed = 0

    @property
    def groups(self) -> list[Group]:
        return [group for layer in self.layers for group in layer.groups]

    def hidden(self, row: Row, scratch: adapted.Scratch) -> Tensor:
        """(tokens, hidden size), after the last norm."""
        with torch.no_grad():
            x = self.body.embed_tokens(row.ids)
            # In the type of x, as transformers has them: another rounding of the angles would be another model.
            cosine, sine = (part[0] for part in self.body.rotary_emb(x[None], row.positions[None]))
        other: Tensor | None = None
        for number, layer in enumerate(self.layers):
            if number < self.checkpointed and torch.is_grad_enabled():
                # One tensor is kept for each such layer, so the sum is made here and not in the next norm.
                x = checkpoint(self._whole, layer, x, row, cosine, sine, scratch, use_reentrant=False)  # type: ignore[assignment]
            else:
                x, other = self._layer(layer, x, other, row, cosine, sine, scratch)
        return _norm(x, other, self.body.norm, 0)[0]

    def _layer(self, layer: Layer, x: Tensor, other: Tensor | None, row: Row, cosine: Tensor, sine: Tensor,
               scratch: adapted.Scratch) -> tuple[Tensor, Tensor]:
        """(the MLP's part, the sum before it): the next norm adds them."""
        normed, total = _norm(x, other, layer.before, layer.qkv.spare)
        seen = layer.attend(normed, row, cosine, sine, scratch)
        normed, total = _norm(seen, total, layer.between, layer.gate_up.spare)
        return layer.think(normed, scratch), total

    def give_back(self) -> None:
        """The model itself was never changed."""

    def _whole(self, layer: Layer, x: Tensor, row: Row, cosine: Tensor, sine: Tensor, scratch: adapted.Scratch) -> Tensor:
        part, total = self._layer(layer, x, None, row, cosine, sine, scratch)
        return part + total


class TheirBody:
    """transformers' own forward pass, with `attention.attend` and adapted layers of ours inside."""

    def __init__(self, body: Any, dtype: torch.dtype) -> None:
        attention.register()
        self.body = body
        self.found = [(module, Group([module], dtype)) for module in body.modules() if hasattr(module, "lora_A")]
        self._checkpointed = 0
        self._own: str | None = None

    @property
    def groups(self) -> list[Group]:
        return [group for _, group in self.found]

    @property
    def checkpointed(self) -> int:
        return self._checkpointed

    @checkpointed.setter
    def checkpointed(self, layers: int) -> None:
        self._checkpointed = layers
        if layers:
            self.body.gradient_checkpointing_enable({"use_reentrant": False})
        else:
            self.body.gradient_checkpointing_disable()

    def hidden(self, row: Row, scratch: adapted.Scratch) -> Tensor:
        # Ours stays in place after this pass: checkpointed layers run again in the backward pass.
        self._take_over(scratch)
        made = self.body(input_ids=row.ids[None], position_ids=row.positions[None], use_cache=False, packed_row=row)
        return made.last_hidden_state[0]  # type: ignore[no-any-return]

    def give_back(self) -> None:
        """Let the model use its own attention and layers again, to generate answers."""
        if self._own is not None:
            self.body.config._attn_implementation, self._own = self._own, None
            for module, _ in self.found:
                del module.forward

    def _take_over(self, scratch: adapted.Scratch) -> None:
        if self._own is None:
            self._own, self.body.config._attn_implementation = self.body.config._attn_implementation, attention.NAME
            for module, group in self.found:
                module.forward = _apply_single(group, scratch)


class Decoder:
    """A base with its adapter, ready to learn: `loss` of a row, and the flat values and slopes of the adapter."""

    def __init__(self, model: Any, dtype: torch.dtype, hold: bool, gather: Gather | None = None) -> None:
        base = model.get_base_model()
        self.model, self.dtype, self.gather = model, dtype, gather
        body = base.base_model
        own = type(body).__name__ in OUR_OWN and all(hasattr(part, "lora_A") for part in _projections(body))
        self.body: OwnBody | TheirBody = OwnBody(body, dtype) if own else TheirBody(body, dtype)
        self.adapters = Adapters(self.body.groups, hold, gather)
        self.head = base.get_output_embeddings().weight
        self.softcap = getattr(base.config, "final_logit_softcapping", None)
        self.layers = int(base.config.num_hidden_layers)

    @property
    def where(self) -> torch.device:
        return self.head.device  # type: ignore[no-any-return]

    @property
    def checkpointed(self) -> int:
        """How many layers keep only their input."""
        return self.body.checkpointed

    @checkpointed.setter
    def checkpointed(self, layers: int) -> None:
        self.body.checkpointed = layers

    def plain(self) -> Any:
        """The model as transformers and peft know it, to generate answers or to be saved. (Where processes share the base it
        cannot answer: no one has it whole.)"""
        self.body.give_back()
        return self.model

    def loss(self, row: Row, scale: float = 1.0) -> Tensor:
        """The summed cross-entropy over the row's learned tokens, in nats, times `scale`."""
        hidden = self.body.hidden(row, self.adapters.scratch)
        return HeadLoss.apply(hidden.index_select(0, row.predicting), self.head, row.targets, scale, self.softcap)  # type: ignore[no-any-return]


def _norm(x: Tensor, other: Tensor | None, norm: Any, spare: int) -> tuple[Tensor, Tensor]:
    return AddNorm.apply(x, other, norm.weight, float(norm.variance_epsilon), spare)  # type: ignore[no-any-return]


def _head_norm(part: Tensor, norm: Any, size: int) -> Tensor:
    """RMSNorm of every head for itself (Qwen 3)."""
    return _norm(part.reshape(-1, size), None, norm, 0)[0].view(part.shape)


def _full(attn: Any) -> bool:
    """Whether this layer of a model with windows sees everything."""
    kinds = getattr(attn.config, "layer_types", None) or ()
    return bool(kinds) and kinds[attn.layer_idx] == "full_attention"


def _projections(body: Any) -> Iterable[nn.Module]:
    for layer in body.layers:
        attn, mlp = layer.self_attn, layer.mlp
        yield from (attn.q_proj, attn.k_proj, attn.v_proj, attn.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)


def _apply_single(group: Group, scratch: adapted.Scratch) -> Callable[..., Tensor]:
    """What stands in for an adapted layer's own forward pass."""
    def apply(x: Tensor, *_: Any, **__: Any) -> Tensor:
        flat = widen(x.reshape(-1, x.shape[-1]), group.spare)
        return Apply.apply(flat, group.anchor, group, scratch).view(*x.shape[:-1], -1)  # type: ignore[no-any-return]

    return apply
