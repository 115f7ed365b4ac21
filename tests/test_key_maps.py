"""Keys of one's own on the label desk, and the lines that options are written in."""

from __future__ import annotations

import pytest

from studio import key_maps
from studio.errors import StudioError
from studio.ui import label_form
from studio.workspace import Workspace


def test_everybody_begins_with_the_same_keys_none_twice(ws: Workspace) -> None:
    found = key_maps.get(ws, "ann")
    assert (found["keep"], found["help"], len(set(found.values()))) == ("k", "?", len(key_maps.VERBS))


def test_a_changed_key_is_this_persons_alone_and_a_press_sent_again_adds_nothing(ws: Workspace) -> None:
    for _ in range(2):
        key_maps.save(ws, "ann", {"keep": "Z"}, "press")
    rows = ws.value("select count(*) from key_maps")
    assert (key_maps.get(ws, "ann")["keep"], key_maps.get(ws, "ben")["keep"], rows) == ("z", "k", 1)


@pytest.mark.parametrize(("key", "words"), [
    ("d", "D is the key of"), ("c", "clears the cache"), ("1", "Digits choose options"), ("F5", "cannot be a key"),
    (" ", "space bar")])
def test_a_key_that_cannot_be_had_is_refused_in_a_sentence(ws: Workspace, key: str, words: str) -> None:
    with pytest.raises(StudioError, match=words):
        key_maps.save(ws, "ann", {"keep": key}, "press")


def test_options_are_written_and_read_as_lines() -> None:
    options = [{"title": "Refund", "key": "q", "colour": "#3366cc", "value": "refund"},
               {"title": "late", "key": "", "colour": "", "value": "late"}]
    text = label_form.option_lines(options)
    assert (text, label_form.options_from(text)) == ("Refund | q | #3366cc | refund\nlate", options)
