"""Search: which records hold words that begin like these, from an index of words in the database.

A row of `record_words` is a word (lower case, its first 40 characters) and the position of a record that holds it. Rows lie in
runs sorted by word, so that the database skips nearly all of them. The index is derived and follows behind: an import writes
nothing into it, a thread of the app reads new and changed wordings a chunk at a time (`keep_up`), and what it has not read yet
is searched text by text. So an import stays as quick as it is, and a search is right at any time.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.permissions import needs
from studio.workspace import Transaction, Workspace

CHUNK = 20_000
"""Records read at once: about two seconds of both cores, and 0.1 s under the write lock. Smaller runs make searching slower."""

FEW = 200
"""So many changed wordings are searched text by text, in a few milliseconds, before the index takes them in."""

PAUSE_SECONDS = 0.2
_LETTERS_ALONE = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}"
_PART = r"[\p{L}\p{M}\p{N}]"
_LONGEST = 40
_WORD = rf"[{_LETTERS_ALONE}]|{_PART}+"
_TEXT = "array_to_string(json_extract_string(v.messages, '$[*].content'), chr(10))"
# Imported wordings know their position; the few that people write are found by their record.
_TEXTS = f"""select n.position, n.version, {_TEXT} as text from record_now n
        join record_versions v on v.position = n.position and v.version = n.version where {{among}}
    union all select n.position, n.version, {_TEXT} as text from record_now n
        join record_versions v on v.record_id = n.record_id and v.version = n.version
        where v.position is null and {{among}}"""
_BEHIND = "n.position > (select up_to from words_read)"
_CHANGED = "n.position in (select position from words_unread)"
_reading: weakref.WeakSet[Workspace] = weakref.WeakSet()
_starting = threading.Lock()


@needs("raw")
def words(ws: Workspace, text: str) -> list[str]:
    """The words that a text is looked for by, as the index has them."""
    found = ws.value(f"select list_distinct(list_transform({_words_of('?')}, lambda word: left(word, {_LONGEST})))", [text])
    return sorted(found or [], key=len, reverse=True)


@needs("raw")
def positions(ws: Workspace, text: str) -> NDArray[Any]:
    """The positions, each once and in order, of records whose wording now has a word that begins with each word of the text.

    Case, order and what stands between the words do not matter; a text without a letter or digit is in no record.
    """
    wanted = words(ws, text)
    if not wanted:
        return np.zeros(0, np.int64)
    found = _once(_indexed(ws, wanted[0]))
    for word in wanted[1:]:
        found = found[_marked(_indexed(ws, word), int(found.max(initial=0)) + 1)[found]]
    changed = ws.columns("select position from words_unread")["position"]
    if len(changed):
        found = found[~np.isin(found, changed)]
    read = _read_through(ws, wanted)
    return np.union1d(found, read) if len(read) else found


@needs("read")
def unread(ws: Workspace) -> int:
    """How many wordings the index has not read yet: these make a search slower."""
    return int(ws.value(f"""select (select count(*) from record_now n where {_BEHIND})
                            + (select count(distinct position) from words_unread)"""))


@needs("read")
def keep_up(ws: Workspace) -> None:
    """Let a thread read what is new, unless it does already."""
    with _starting:
        if ws in _reading or not _much(ws):
            return
        _reading.add(ws)
    threading.Thread(target=_keep_up, args=(ws,), name="word-index", daemon=True).start()


@needs("read")
def read_on(ws: Workspace) -> bool:
    """Take one chunk of wordings into the index; returns whether there may be more."""
    state = ws.row("select up_to, (select coalesce(max(position), 0) from record_now) as top from words_read") or {}
    if state["up_to"] < state["top"]:
        _read(ws, f"n.position between {state['up_to'] + 1} and {state['up_to'] + CHUNK}", state["up_to"] + CHUNK)
        return True
    if ws.value("select count(*) from words_unread") > FEW:
        _read(ws, f"n.position in (select distinct position from words_unread order by position limit {CHUNK})", None)
        return True
    return False


def reworded(transaction: Transaction, which: str, values: Sequence[Any] = ()) -> None:
    """The records of this query have a new wording: what the index says of them does not count until it reads them again."""
    transaction.execute(f"insert into words_unread select position, version from record_now where record_id in ({which})",
                        values)


def forget(transaction: Transaction, record_ids: Sequence[str]) -> None:
    """Delete every word of these records, before the records themselves go; their positions may be given anew."""
    gone = "(select position from record_now where record_id in (select unnest(?::varchar[])))"
    for table in ("record_words", "record_sizes", "words_unread"):
        transaction.execute(f"delete from {table} where position in {gone}", [list(record_ids)])
    transaction.execute("""update words_read set up_to = least(up_to, (select coalesce(max(position), 0) from record_now
                           where record_id not in (select unnest(?::varchar[]))))""", [list(record_ids)])


def _much(ws: Workspace) -> bool:
    row = ws.row("""select (select coalesce(max(position), 0) from record_now) > up_to
                    or (select count(*) from words_unread) > ? as much from words_read""", [FEW])
    return bool(row and row["much"])


def _keep_up(ws: Workspace) -> None:
    try:
        while not ws.closed and read_on(ws):
            time.sleep(PAUSE_SECONDS)
    except Exception:
        if not ws.closed:  # the studio goes down: what is left is read when it is back
            raise
    finally:
        _reading.discard(ws)


def _read(ws: Workspace, among: str, up_to: int | None) -> None:
    """Work the words of some records out while others write, then store them under the write lock."""
    texts = _TEXTS.format(among=among)
    found = ws.arrow(f"""select distinct left(word, {_LONGEST}) as word, position from (
        select unnest({_words_of('text')}) as word, position from ({texts})) order by word, position""")
    sizes = ws.arrow(f"select position, version, length(text)::integer as characters from ({texts}) order by position")
    with ws.transaction() as transaction:
        if up_to is None:
            for table in ("record_words", "record_sizes"):
                transaction.load(f"delete from {table} where position in (select position from sizes)", "sizes", sizes)
        transaction.load("insert into record_words from found", "found", found)
        transaction.load("insert into record_sizes select position, characters from sizes", "sizes", sizes)
        transaction.load("delete from words_unread using sizes where words_unread.position = sizes.position "
                         "and words_unread.version <= sizes.version", "sizes", sizes)
        if up_to is not None:
            transaction.execute("""update words_read set up_to =
                                   least(?, (select coalesce(max(position), 0) from record_now))""", [up_to])


def _words_of(text: str) -> str:
    """SQL for the list of words in an SQL expression."""
    return f"regexp_extract_all(lower({text}), '{_WORD}')"


def _indexed(ws: Workspace, word: str) -> NDArray[Any]:
    """Positions under every word that begins so; one may stand there more than once."""
    found = ws.columns("select position from record_words where word >= ? and word < ? || chr(1114111)", [word, word])
    return found["position"]


def _marked(positions: NDArray[Any], size: int) -> NDArray[np.bool_]:
    """For every position below `size`, whether it is among these: a hundred times as quick as sorting them."""
    marked = np.zeros(size, bool)
    marked[positions[positions < size]] = True
    return marked


def _once(positions: NDArray[Any]) -> NDArray[Any]:
    return np.flatnonzero(_marked(positions, int(positions.max(initial=0)) + 1))


def _read_through(ws: Workspace, wanted: Sequence[str]) -> NDArray[Any]:
    """Among the wordings that the index has not read, by reading them."""
    among = f"({_BEHIND} or {_CHANGED})"
    if not ws.value(f"select exists (from record_now n where {among})"):
        return np.zeros(0, np.int64)
    holds = " and ".join(f"list_bool_or(list_transform(words, lambda word: starts_with(word, ${place})))"
                         for place in range(1, len(wanted) + 1))
    return ws.columns(f"""select position from (select position, {_words_of('text')} as words
                          from ({_TEXTS.format(among=among)})) where {holds}""", list(wanted))["position"]
