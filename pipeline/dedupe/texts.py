"""Texts as words: the visible normalisation, and the words of many texts as one array of 64-bit hashes."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

U64 = np.ndarray[Any, np.dtype[np.uint64]]
I64 = np.ndarray[Any, np.dtype[np.int64]]
_KEPT = bytes(code + 32 if 65 <= code <= 90 else code if chr(code).isalnum() or code > 127 else 32 for code in range(256))
_WITHOUT_GAPS = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
                 (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Thai and Lao, Burmese, Khmer, the Japanese syllables and the Han characters (Unicode blocks)."""


class _Gaps(dict[int, str | int | None]):
    """What becomes of a character (for str.translate); looked up once each."""

    def __missing__(self, code: int) -> str | int | None:
        category = unicodedata.category(chr(code))
        if category == "Cf":
            self[code] = None if code != 0x200B else " "
        elif category[0] not in "LNM":
            self[code] = " "
        else:
            spaced = any(first <= code <= last for first, last in _WITHOUT_GAPS)
            self[code] = f" {chr(code)} " if spaced and category[0] != "M" else code
        return self[code]


_GAPS = _Gaps()


@dataclass(frozen=True)
class Words:
    """The words of n texts: `hashes` of all words one after the other, `offsets` (n + 1) where each text's begin.

    A text without letters or digits has one word, itself; a text of nothing but blanks has none.
    """

    hashes: U64
    offsets: I64

    @property
    def counts(self) -> I64:
        return np.diff(self.offsets)

    def of(self, rows: I64) -> Words:
        """The words of some of the texts, in this order."""
        return Words(*picked(self.hashes, self.offsets, rows))


def picked(values: np.ndarray, offsets: I64, rows: I64) -> tuple[np.ndarray, I64]:
    """Some of the rows of values that stand one after the other (row n from offsets[n] on), and where each begins."""
    counts = offsets[rows + 1] - offsets[rows]
    begins = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return values[np.repeat(offsets[rows] - begins[:-1], counts) + np.arange(begins[-1])], begins


def normalised(text: str) -> str:
    """The words of a text with one blank between them: texts with the same are exact copies."""
    return _worded(text) or " ".join(_alike(text).split())


def words(texts: Sequence[str] | pa.Array) -> Words:
    """The words of these texts (at most 2 GB of them). Plain ASCII goes through Arrow, everything else through Python."""
    given = pa.array(texts, pa.string()) if not isinstance(texts, pa.Array) else texts
    odd, made = pc.invert(pc.string_is_ascii(given)), given
    if pc.any(odd).as_py():
        worded = pa.array([_worded(text) for text in given.filter(odd).to_pylist()], pa.string())
        made = pc.replace_with_mask(given, odd, worded)
    split = pc.ascii_split_whitespace(_plain(made))
    found, counts = split.flatten(), np.diff(np.asarray(split.offsets)).astype(np.int64)
    # A text of nothing but blanks is split into empty words by Arrow; so are blanks at either end.
    full = np.asarray(pc.not_equal(found, ""))
    if not full.all():
        starts = np.concatenate(([0], np.cumsum(counts)))
        counts = np.diff(np.concatenate(([0], np.cumsum(full)))[starts])
        found = found.filter(pa.array(full))
    distinct = found.dictionary_encode()
    hashes = _hashes(distinct.dictionary.to_pylist())[np.asarray(distinct.indices)]
    return _with_signs(Words(hashes, np.concatenate(([0], np.cumsum(counts))).astype(np.int64)), given)


def mixed(values: U64) -> U64:
    """Every bit of the result depends on every bit of the value (finaliser of splitmix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def whole(found: Words) -> U64:
    """One hash a text, of its words and their order; 0 where a text has none. Two texts with the same are exact copies.

    64 bits: among a million different texts, the chance that any two share one is 3 in 100 million.
    """
    result = np.zeros(len(found.offsets) - 1, np.uint64)
    full = found.counts > 0
    if full.any():
        places = np.arange(len(found.hashes)) - np.repeat(found.offsets[:-1], found.counts)
        marks = mixed(np.arange(1, found.counts.max() + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        told = mixed(found.hashes + marks[places])
        result[full] = mixed(np.add.reduceat(told, found.offsets[:-1][full])) | np.uint64(1)
    return result


def _alike(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _worded(text: str) -> str:
    """Letters and digits with one blank between words; empty for a text of signs alone."""
    return " ".join(_alike(text).translate(_GAPS).split())


def _plain(given: pa.Array) -> pa.Array:
    """The same texts with ASCII capitals made small and ASCII signs made blanks, byte by byte."""
    _, offsets, data = given.slice(0).buffers()
    if data is None:
        return given
    return pa.StringArray.from_buffers(len(given), offsets, pa.py_buffer(data.to_pybytes().translate(_KEPT)), None, 0,
                                       given.offset)


def _hashes(distinct: Sequence[str]) -> U64:
    told = b"".join(hashlib.blake2b(word.encode(), digest_size=8).digest() for word in distinct)
    return np.frombuffer(told, "<u8").astype(np.uint64)


def _with_signs(found: Words, given: pa.Array) -> Words:
    """Texts of signs alone have lost them; each becomes one word."""
    bare = np.flatnonzero(found.counts == 0)
    signs = [normalised(text) for text in given.take(pa.array(bare)).to_pylist()] if len(bare) else []
    at = [place for place, text in zip(bare, signs, strict=True) if text]
    if not at:
        return found
    counts = found.counts.copy()
    hashes = np.insert(found.hashes, found.offsets[at], _hashes([text for text in signs if text]))
    counts[at] = 1
    return Words(hashes, np.concatenate(([0], np.cumsum(counts))).astype(np.int64))
