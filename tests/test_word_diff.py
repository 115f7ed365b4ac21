"""What two texts have in common and what differs, marked by word and escaped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from studio import word_diff


def test_differences_are_marked_by_word_and_escaped() -> None:
    marked = word_diff.differences("Dear <b>Ana</b>, it is late.", "Dear [NAME_1], it is late.")
    assert marked == ("Dear<del> &lt;b&gt;Ana&lt;/b&gt;</del>, it is late.", "Dear<ins> [NAME_1]</ins>, it is late.")


def test_merged_differences_leave_capitals_alone() -> None:
    marked = word_diff.merged("Where is my parcel 7?", "where is MY parcel 8, <b>now</b>?")
    assert marked == "where is MY parcel<del> 7</del><ins> 8, &lt;b&gt;now&lt;/b&gt;</ins>?"


def test_texts_that_have_little_in_common_are_not_marked() -> None:
    assert word_diff.merged("Where is my parcel?", "How do I return <it>") == "How do I return &lt;it&gt;"


def test_what_an_answer_shares_with_the_reference_is_marked_in_stretches() -> None:
    marked = word_diff.common("We are sorry, it is late.", "Hello! We ARE sorry <b>that</b> it is torn.")
    assert marked == "Hello! <u>We ARE sorry</u> &lt;b&gt;that&lt;/b&gt; <u>it is</u> torn."


def test_very_long_texts_are_escaped_and_not_compared() -> None:
    assert word_diff.common("<a> " * 4_000, "<a> " * 4_000) == "&lt;a&gt; " * 4_000


@given(st.text(), st.text())
def test_nothing_is_lost_or_made_up_by_the_marks(reference: str, text: str) -> None:
    import html

    marked = word_diff.common(reference, text)
    assert html.unescape(marked.replace("<u>", "").replace("</u>", "")) == html.unescape(html.escape(text))


def test_the_words_that_only_one_of_two_answers_has_are_told_in_characters() -> None:
    assert word_diff.apart("🧨 It is late.", "🧨 It IS on its way.") == ([(8, 12)], [(8, 18)])


def test_answers_that_repeat_themselves_over_and_over_are_not_compared() -> None:
    assert word_diff.apart("the cat " * 700, "the " * 1_400) is None
