"""What two texts have in common and what differs, word by word, as escaped HTML. Pure: strings in, strings out.

Very long texts are not compared: that would take time that grows with their product.
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Callable

_PIECES = re.compile(r"\s*(?:</?\w[^<>]*>|&#?\w+;|\w+|[^\w\s])|\s+")
_MANY_PIECES = 3_000
_SHORT = 4
_WORDS = re.compile(r"\w+|[^\w\s]+|\s+")


def differences(before: str, after: str) -> tuple[str, str]:
    """Two texts: words only in the first in `<del>`, words only in the second in `<ins>`."""
    parts = _parts(before, after)
    if parts is None:
        return html.escape(before), html.escape(after)
    return "".join(gone for _, gone, _ in parts), "".join(new for _, _, new in parts)


def merged(before: str, after: str) -> str:
    """The second text, what it has more than the first in `<ins>`, what it lacks in `<del>` where it would be.

    Capitals and blanks are not marked. Nor are texts that share less than half of their words: everything would be.
    """
    parts = _parts(before, after, _plain_piece, 0.5)
    return html.escape(after) if parts is None else "".join(new if same else gone + new for same, gone, new in parts)


def common(reference: str, text: str) -> str:
    """The text, with the words that the reference has too, in the same order, in `<u>`: what ROUGE-L counts, about.

    Capitals do not count. Signs, and short words with no other beside them, are not marked: they would be by chance.
    """
    theirs, mine = (_WORDS.findall(one) for one in (reference, text))
    if len(theirs) + len(mine) > 2 * _MANY_PIECES:
        return html.escape(text)
    there = [place for place, piece in enumerate(mine) if piece[0].isalnum()]
    matcher = difflib.SequenceMatcher(None, [piece.casefold() for piece in theirs if piece[0].isalnum()],
                                      [mine[place].casefold() for place in there], autojunk=False)
    held = {there[place] for _, start, size in matcher.get_matching_blocks() for place in range(start, start + size)
            if size > 1 or len(mine[there[place]]) > _SHORT}
    joined = {place for place in range(1, len(mine) - 1)  # what stands between two marked words belongs to the stretch
              if not mine[place][0].isalnum() and {place - 1, place + 1} <= held}
    return _stretches(mine, held | joined)


def apart(left: str, right: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]] | None:
    """Stretches (start, end, in characters) of each text that the other has not, words only; None where the texts are very
    long."""
    pieces = [list(_WORDS.finditer(one)) for one in (left, right)]
    if sum(map(len, pieces)) > 2 * _MANY_PIECES:
        return None
    words = [[found for found in part if not found[0].isspace()] for part in pieces]
    first, second = ([found[0].casefold() for found in part] for part in words)
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    alone: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for sign, a, b, c, d in matcher.get_opcodes():
        if sign != "equal":
            for side, part, low, high in ((0, words[0], a, b), (1, words[1], c, d)):
                if high > low:
                    alone[side].append((part[low].start(), part[high - 1].end()))
    return alone


def _stretches(pieces: list[str], marked: set[int]) -> str:
    """All pieces, escaped; each run of marked ones inside one `<u>`."""
    parts, inside = [], False
    for place, piece in enumerate(pieces):
        if (place in marked) != inside:
            inside = not inside
            parts.append("<u>" if inside else "</u>")
        parts.append(html.escape(piece))
    return "".join(parts) + ("</u>" if inside else "")


def _plain_piece(piece: str) -> str:
    return piece.strip().casefold()


def _parts(before: str, after: str, as_compared: Callable[[str], str] = str,
           alike: float = 0.0) -> list[tuple[bool, str, str]] | None:
    """(the same, HTML of the first text, HTML of the second) of each stretch; None where the texts are very long, or less
    `alike` (twice the common pieces by all pieces) than asked."""
    left, right = _PIECES.findall(before), _PIECES.findall(after)
    if len(left) + len(right) > _MANY_PIECES:
        return None
    matcher = difflib.SequenceMatcher(None, list(map(as_compared, left)), list(map(as_compared, right)), autojunk=False)
    if alike and (matcher.quick_ratio() < alike or matcher.ratio() < alike):
        return None
    parts = []
    for sign, a, b, c, d in matcher.get_opcodes():
        old, made = html.escape("".join(left[a:b])), html.escape("".join(right[c:d]))
        if sign == "equal":
            parts.append((True, old, made))
        else:
            parts.append((False, f"<del>{old}</del>" if old else "", f"<ins>{made}</ins>" if made else ""))
    return parts
