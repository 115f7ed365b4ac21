"""Which encoding a text file is saved in: marks first, then UTF-8 proved on every byte, then the likeliest older one.

Whatever is chosen has decoded the whole file. A file that is UTF-8 but for a few bytes stays UTF-8: reading it with
`errors="surrogateescape"` shows which rows hold those bytes.
"""

from __future__ import annotations

import codecs
import itertools
import re
from pathlib import Path

from studio.errors import StudioError
from studio.sources import DELIMITERS, encoding_name

HEAD_BYTES = 256 * 1024
_CHUNK_BYTES = 1 << 20
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
          codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PICTURES = (b"\x89PNG", b"%PDF", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"Rar!", b"\x7fELF", b"SQLite ")
_OLDER = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1253", "cp1254", "cp1255",
          "cp1256", "cp1257"]
_NOT_FOR_FILES = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7", "mbcs", "oem")
_ADVICE = 'Choose the encoding by hand, or save the file again as "CSV UTF-8".'


def encoding_of(path: Path, head: bytes, given: str = "") -> str:
    """Python's name of the codec that decodes the file; `given` is checked in place of a guess, `head` is how it begins.

    Raises StudioError when the bytes are no text, or with the line from which on they are not in that encoding.
    """
    if given:
        return _checked(path, _codec(given))
    for mark, codec in _MARKS.items():
        if head.startswith(mark):
            return _checked(path, codec)
    if (wide := _wide(head)) and _fails_at(path, wide) is None:
        return wide
    if head.startswith(_PICTURES) or _is_binary(head):
        raise StudioError(f"{path.name} is not a text file.",
                          "Choose a file of text (CSV, TSV, JSON or JSONL), or one that ends in .xlsx or .parquet.")
    fails_at = _fails_at(path, "utf-8")
    if fails_at is None or _is_nearly_utf8(path, fails_at):
        return "utf-8"
    return _older(path, fails_at)


def error_handling(encoding: str) -> str:
    """How files of this encoding are opened: broken UTF-8 shows in the row that holds it."""
    return "surrogateescape" if encoding in ("utf-8", "utf-8-sig") else "strict"


def head_text(head: bytes, encoding: str) -> tuple[str, bool]:
    """The text of a file's first 256 KiB up to the last whole line, and whether that is the whole file."""
    whole = len(head) < HEAD_BYTES
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=whole).removeprefix("\ufeff")
    end = max(text.rfind("\n"), text.rfind("\r")) + 1
    return (text if whole or not end else text[:end]), whole


def _codec(given: str) -> str:
    try:
        found = codecs.lookup(given.strip())
        usable = getattr(found, "_is_text_encoding", True) and found.name not in _NOT_FOR_FILES
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise StudioError(f"{given} is not an encoding of text files.", "Write it as utf-8, cp1252, utf-16 or shift_jis.")
    return "latin-1" if found.name == "iso8859-1" else found.name


def _checked(path: Path, codec: str) -> str:
    fails_at = _fails_at(path, codec)
    if fails_at is not None:
        raise StudioError(f"{path.name} is not valid {encoding_name(codec)}: line {_line_at(path, codec, fails_at)} "
                          "holds bytes that are none of its characters.", _ADVICE)
    return codec


def _fails_at(path: Path, codec: str) -> int | None:
    """The place of the first byte that does not decode; None where every byte does."""
    decoder, done = codecs.getincrementaldecoder(codec)(), 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK_BYTES)
            waiting = decoder.getstate()[0]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return max(0, done - len(waiting) + error.start)
            if not chunk:
                return None
            done += len(chunk)


def _line_at(path: Path, codec: str, place: int) -> int:
    decoder, lines, last = codecs.getincrementaldecoder(codec)("replace"), 1, ""
    with path.open("rb") as file:
        while place > 0 and (chunk := file.read(min(_CHUNK_BYTES, place))):
            place -= len(chunk)
            text = decoder.decode(chunk)
            lines += text.count("\n") + text.count("\r") - text.count("\r\n") - (last == "\r" and text.startswith("\n"))
            last = text[-1:] or last
    return lines


def _wide(head: bytes) -> str:
    """UTF-16 without its mark: every second byte is often zero, and what it decodes to has lines and delimiters."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < max(4, len(head) // 50) or min(even, odd) * 8 > max(even, odd):
        return ""
    codec = "utf-16-be" if even > odd else "utf-16-le"
    text = head[: len(head) // 2 * 2].decode(codec, "replace")
    strange = sum(not (letter.isprintable() or letter.isspace()) for letter in text[:4096])
    marked = "\0" not in text and any(mark in text for mark in (*DELIMITERS, "{", "["))
    return codec if marked and strange <= min(len(text), 4096) // 20 else ""


def _is_binary(head: bytes) -> bool:
    sample = head[:4096]
    controls = sum(byte < 32 and byte not in (0, 9, 10, 12, 13) for byte in sample)
    return controls > max(3, len(sample) // 50) or sample.count(0) > max(3, len(sample) // 5)


def _is_nearly_utf8(path: Path, fails_at: int) -> bool:
    """Whether the text around the first bad byte has many characters that only UTF-8 explains."""
    with path.open("rb") as file:
        text = file.read(HEAD_BYTES).decode("utf-8", "surrogateescape")
        file.seek(max(0, fails_at - HEAD_BYTES // 2))
        text += file.read(HEAD_BYTES).decode("utf-8", "surrogateescape")
    bad = len(re.findall("[\udc80-\udcff]", text))
    return sum(letter > "\x7f" for letter in text) - bad > 4 * bad


def _older(path: Path, fails_at: int) -> str:
    """The likeliest encoding from before Unicode that decodes the whole file."""
    sample = _sample(path, fails_at)
    ranked = _ranked(sample)
    for codec in ranked:
        if _fails_at(path, codec) is None:
            return codec
    return _checked(path, ranked[0])


def _sample(path: Path, fails_at: int) -> bytes:
    """Lines that are not ASCII, up to 64 KiB of them, from the first one on."""
    with path.open("rb") as file:
        file.seek(max(0, fails_at - 200))
        lines = file.read(8 * _CHUNK_BYTES).splitlines(keepends=True)
    return b"".join(line for line in lines if not line.isascii())[: 64 * 1024]


def _ranked(sample: bytes) -> list[str]:
    """Candidates, the likeliest first. A handful of bytes proves no language: those are taken for Windows-1252."""
    from charset_normalizer import from_bytes

    if sum(byte > 127 for byte in sample) < 8:
        return ["cp1252"]
    found = from_bytes(sample, cp_isolation=_OLDER)
    ranked = sorted(found, key=lambda match: match.chaos - 0.3 * match.coherence + _oddness(str(match), match.encoding))
    codecs_found = [codec for match in ranked for codec in sorted(match.could_be_from_charset, key=_OLDER.index)]
    return list(dict.fromkeys([*codecs_found, "cp1252"]))


def _oddness(text: str, codec: str) -> float:
    """What charset-normalizer does not weigh: capitals inside words (a mixed-up Cyrillic), and hiragana (surely Japanese)."""
    letters = max(1, sum(letter > "\x7f" for letter in text))
    capitals = sum(a.islower() and b.isupper() for a, b in itertools.pairwise(text))
    kana = sum("\u3040" <= letter <= "\u309f" for letter in text) if codec in ("cp932", "euc_jp") else 0
    return capitals / letters - 0.5 * kana / letters
