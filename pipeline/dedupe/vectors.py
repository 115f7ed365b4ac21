"""Texts as vectors of length 1: by TF-IDF, by a model in a local folder, by an endpoint. Nothing is fetched from a hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.dedupe.shingles import F32
from pipeline.dedupe.texts import normalised
from pipeline.errors import PipelineError
from pipeline.specs import Meaning

Watch = Callable[[int, int], None]
Maker = Callable[[Sequence[str]], F32]
DIMENSIONS, MOST_WORDS, SAMPLE = 256, 50_000, 50_000
AT_ONCE, MOST_TOKENS = 32, 512


@dataclass(frozen=True)
class Suited:
    """Cosines that suit a way of making vectors: pairs are kept from `floor` on, and are twins from `threshold` on unless a
    person says otherwise (benchmarks/RESULTS.md has precision and recall)."""

    floor: float
    threshold: float


SUITED = {"tfidf": Suited(0.6, 0.85), "model2vec": Suited(0.7, 0.85), "transformer": Suited(0.75, 0.9),
          "endpoint": Suited(0.75, 0.9)}


def suited(meaning: Meaning) -> Suited:
    return SUITED[meaning.kind]


def of(texts: Sequence[str], meaning: Meaning, watch: Watch = lambda done, total: None) -> F32:
    """One row a text, of length 1 (0 where a text says nothing). Raises PipelineError in words."""
    make = maker(meaning, texts, watch)
    made = []
    for begin in range(0, len(texts), 1_024):
        watch(begin, len(texts))
        made.append(make(texts[begin : begin + 1_024]))
    return np.concatenate(made) if made else np.empty((0, 1), np.float32)


def maker(meaning: Meaning, sample: Sequence[str], watch: Watch = lambda done, total: None) -> Maker:
    """What makes vectors of texts, ready to use; `watch` is called before every batch. Raises PipelineError in words.

    TF-IDF weighs words by how rare they are in the sample, so the same text has another vector beside other samples.
    """
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    check(meaning)
    if meaning.kind == "tfidf":
        return _tfidf(sample)
    if meaning.kind == "endpoint":
        from pipeline.dedupe import endpoint

        return endpoint.maker(meaning, watch)
    folder = Path(meaning.ref)
    return _static(folder) if meaning.kind == "model2vec" else _transformer(folder, watch)


def check(meaning: Meaning) -> None:
    """Raises PipelineError in words where a model's folder is missing, or holds weights in a form that could run code."""
    if meaning.kind not in ("model2vec", "transformer"):
        return
    folder = Path(meaning.ref)
    if not meaning.ref or not folder.is_dir():
        raise PipelineError(f"There is no folder {folder}.", "Choose the folder of a model on this machine.")
    if not any(folder.glob("*.safetensors")):
        raise PipelineError(f"The folder {folder} holds no safetensors file.",
                            "Weights in other forms can run code when they are opened, and are not read.")


def unit(rows: F32) -> F32:
    """The rows at length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def _tfidf(sample: Sequence[str]) -> Maker:
    """Words and pairs of words by TF-IDF, folded into 256 dimensions where they are many (latent semantic analysis).

    Learned from at most 50,000 texts of the sample, taken at even steps.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    step = -(-len(sample) // SAMPLE) or 1
    said = [normalised(text) for text in sample[::step]]
    if not any(said):
        return lambda texts: np.zeros((len(texts), 1), np.float32)
    words = TfidfVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(1, 2), sublinear_tf=True,
                            max_features=MOST_WORDS, dtype=np.float32)
    weighed = words.fit_transform(said)
    if min(weighed.shape) <= DIMENSIONS:
        return lambda texts: unit(words.transform([normalised(text) for text in texts]).toarray())
    folded = TruncatedSVD(DIMENSIONS, random_state=0).fit(weighed)
    return lambda texts: unit(folded.transform(words.transform([normalised(text) for text in texts])))


def _static(folder: Path) -> Maker:
    """A model2vec model: the mean of its word vectors (no network of layers, so some 10,000 texts a second)."""
    from model2vec import StaticModel

    try:
        model = StaticModel.from_pretrained(folder)
    except Exception as error:
        raise PipelineError(f"The folder {folder} holds no model2vec model that can be read ({type(error).__name__}).",
                            "Choose a folder saved by model2vec: model.safetensors, tokenizer.json, config.json.") from None
    return lambda texts: unit(model.encode(list(texts), use_multiprocessing=False).astype(np.float32))


def _transformer(folder: Path, watch: Watch) -> Maker:
    """A transformer whose last layer is averaged over the tokens, as sentence-transformers does by default (Reimers and
    Gurevych 2019, section 3). Only safetensors are read; texts are read up to 512 tokens, or what the model takes."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except Exception as error:
        raise PipelineError(f"The folder {folder} holds no model that can be read ({type(error).__name__}).",
                            "Choose a folder with config.json, a tokenizer and model.safetensors.") from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    most = min(MOST_TOKENS, getattr(model.config, "max_position_embeddings", None) or MOST_TOKENS)

    @torch.inference_mode()
    def made(texts: Sequence[str]) -> F32:
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # like lengths together: little padding
        rows = np.zeros((len(texts), model.config.hidden_size), np.float32)
        for begin in range(0, len(texts), AT_ONCE):
            watch(begin, len(texts))
            places = order[begin : begin + AT_ONCE]
            batch = tokenizer([texts[place] for place in places], padding=True, truncation=True, max_length=most,
                              return_tensors="pt").to(device)
            states = model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1)
            rows[places] = ((states * mask).sum(1) / mask.sum(1).clamp(min=1)).cpu().numpy()
        return unit(rows)

    return made
