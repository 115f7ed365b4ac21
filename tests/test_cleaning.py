"""Cleaning: what is found in a turn, what stands there afterwards, and that odd text neither breaks nor stalls it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.checking.cleaning import KINDS, apply, cleaning_findings, resolve
from pipeline.checking.finding import Finding, Messages

SHOWN = {kind.key: kind.threshold for kind in KINDS}


def said(content: str, role: str = "user") -> Messages:
    return [{"role": role, "content": content}]


def shown(content: str, role: str = "user") -> list[Finding]:
    return [finding for finding in cleaning_findings(said(content, role)) if finding.score >= SHOWN[finding.kind]]


def marked(content: str, role: str = "user") -> list[tuple[str, str]]:
    return [(finding.kind, content[finding.start : finding.end]) for finding in shown(content, role)]


def cleaned(content: str, role: str = "user") -> str:
    return apply(said(content, role), shown(content, role))[0]["content"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "It still fails.\n\nOn Mon, 3 Jan 2022 at 17:00, Desk <desk@shop.example> wrote:\n> Try again.\n> Yours",
            "It still fails.",
        ),
        (
            "It still fails.\n\nOn Monday Desk\nwrote:\n\n> Try again.\n> Yours\n\nAnd it beeps.",
            "It still fails.\n\n\nAnd it beeps.",
        ),
        ("It works.\n-----Original Message-----\nFrom: Desk\nTry again.", "It works."),
        ("It works.\n\nFrom: Desk\nSent: Monday\nTo: Me\nSubject: Box\n\nTry again.", "It works."),
        ("Es geht.\nAm 3.1.2022 um 17:00 schrieb Desk:\n> Nochmals.\n> Danke", "Es geht."),
    ],
)
def test_an_earlier_mail_is_cut_from_the_reply(before: str, after: str) -> None:
    assert cleaned(before) == after


def test_a_forwarded_mail_that_is_the_whole_message_is_not_shown() -> None:
    assert marked("-----Original Message-----\nFrom: Bo\nMy box is broken.") == []


def test_an_arrow_inside_a_line_is_no_quotation() -> None:
    assert marked("Open Settings > Account\nthen press Save.") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("My box is broken.\n-- \nBo Berg\nHead of Boxes", "My box is broken."),
        ("My box is broken.\n\nBest regards,\nBo Berg\nHead of Boxes", "My box is broken."),
        ("My box is broken.\nThanks,\nBo", "My box is broken."),
        ("My box is broken.\n\nSent from my iPhone", "My box is broken."),
        ("Meine Kiste ist kaputt.\nMit freundlichen Grüßen\nBo Berg", "Meine Kiste ist kaputt."),
    ],
)
def test_a_signature_goes(before: str, after: str) -> None:
    assert cleaned(before) == after


def test_an_agents_plain_closing_is_house_style_and_not_shown() -> None:
    assert marked("Press the red button.\n\nKind regards,\nThe Box Team", "assistant") == []


def test_an_agents_closing_with_contact_lines_is_shown() -> None:
    text = "Press the red button.\n\nKind regards,\nBo Berg\nBox Desk\n+1 555 010 9999"
    assert cleaned(text, "assistant") == "Press the red button."


def test_thanks_in_a_sentence_is_no_signature() -> None:
    assert marked("My box is broken.\nThanks for looking into the red light that blinks all night long.") == []


def test_a_customers_greeting_line_is_shown() -> None:
    assert marked("Hi there,\nmy box is broken.") == [("greeting", "Hi there,\n")]


def test_an_agents_greeting_line_is_kept_but_not_shown() -> None:
    found = cleaning_findings(said("Dear customer,\npress the red button.", "assistant"))
    assert [(finding.kind, finding.score < SHOWN["greeting"]) for finding in found] == [("greeting", True)]


def test_a_first_line_that_says_something_is_no_greeting() -> None:
    assert marked("Hi, my box is broken since Monday\nplease send another.") == []


def test_a_confidentiality_notice_goes() -> None:
    notice = "This e-mail and any attachments are confidential.\nIf you are not the intended recipient, delete it."
    text = f"My box is broken.\n\n{notice}"
    assert cleaned(text) == "My box is broken."


def test_html_becomes_text_with_its_lines() -> None:
    text = "<p>Dear&nbsp;Bo,</p><ul><li>one</li><li>two &amp; three</li></ul><script>if (a<b) {}</script><!-- x --><b>Done</b>"
    assert [line for line in cleaned(text, "assistant").split("\n") if line] == ["Dear Bo,", "- one", "- two & three", "Done"]


@pytest.mark.parametrize(
    "text", ["x < 3 and y > 2", "write to <bo@box.example>", "AT&T; fine", "press <Save> & wait;", "a<b and c>d"]
)
def test_ordinary_angle_brackets_and_ampersands_stay(text: str) -> None:
    assert marked(text) == []


def test_an_entity_escaped_twice_becomes_one_character() -> None:
    assert cleaned("salt &amp;amp;amp; pepper") == "salt & pepper"


def test_the_smallest_broken_region_is_marked() -> None:
    assert marked("Das ist schÃ¶n und gut.") == [("mojibake", "Ã¶")]


def test_broken_characters_are_mended() -> None:
    assert cleaned("I donâ€™t know the cafÃ©") == "I don’t know the café"


def test_good_accents_and_curly_quotes_are_left_alone() -> None:
    assert marked("“Naïve” café – ¿qué? 你好 😀") == []


def test_written_out_line_ends_become_line_ends() -> None:
    assert cleaned("Hello\\nmy box\\r\\n\\r\\nis broken") == "Hello\nmy box\n\nis broken"


def test_a_windows_path_is_not_broken_at_its_backslashes() -> None:
    assert marked("Open C:\\new\\notes.txt and \\\\nas\\north first") == []


@pytest.mark.parametrize(
    "token",
    [
        "{{Order Number}}",
        "{product_purchased}",
        "[Your Name]",
        "<<field>>",
        "%FIRSTNAME%",
        "${order.id}",
        "{% if a %}",
        "[email protected]",
    ],
)
def test_a_placeholder_is_marked_and_cannot_be_mended(token: str) -> None:
    text = f"My {token} is broken."
    assert [(text[one.start : one.end], one.kind, one.replacement) for one in shown(text)] == [(token, "placeholder", None)]


@pytest.mark.parametrize("text", ["I am [NAME_1] and [EMAIL_2]", '{"a": 1}', "100% OF IT", "[see below]", "50%-60%"])
def test_pseudonyms_and_plain_brackets_are_no_placeholders(text: str) -> None:
    assert marked(text) == []


def test_blank_lines_and_invisible_characters_are_tidied() -> None:
    assert cleaned("one\n\n \n\ntwo\x00\u200b three") == "one\n\ntwo three"


def test_windows_line_ends_alone_are_no_finding() -> None:
    assert cleaning_findings(said("one\r\n\r\ntwo\r\nthree")) == []


def test_of_overlapping_replacements_the_longer_wins_and_marks_without_one_stay() -> None:
    small, large, mark = (Finding("a", 0, 2, 4, 1, "", ""), Finding("b", 0, 0, 6, 1, "", "x"), Finding("c", 0, 1, 3, 1, ""))
    assert resolve([small, mark, large]) == [large, mark]


def test_any_check_s_replacements_are_applied_from_the_right() -> None:
    spans = [Finding("email", 0, 11, 15, 1, "", "[EMAIL_1]"), Finding("name", 0, 0, 2, 1, "", "[NAME_1]")]
    assert apply(said("Bo writes: b@x."), spans)[0]["content"] == "[NAME_1] writes: [EMAIL_1]"


def test_an_html_mail_is_clean_after_two_passes() -> None:
    mail = (
        "<p>Hi there,</p><p>My box&nbsp;is broken.</p><p>Best regards,<br>Bo Berg<br>Head of Boxes</p><br><br>"
        "<div>On Monday, Desk wrote:</div><div>Is it?</div>"
    )
    once = cleaned(mail)
    assert (cleaned(once), cleaned(cleaned(once))) == ("My box is broken.", "My box is broken.")


def test_an_escaped_tag_stays_an_example() -> None:
    assert cleaned("Write &lt;br&gt; &amp; save") == "Write &lt;br&gt; & save"


def test_a_turn_is_never_emptied() -> None:
    assert apply(said("Hi"), [Finding("greeting", 0, 0, 2, 1, "", "")]) == said("Hi")


def test_spans_outside_the_turn_and_of_other_turns_are_passed_over() -> None:
    stale = [Finding("a", 0, 1, 99, 1, "", ""), Finding("b", 7, 0, 1, 1, "", ""), Finding("c", -1, 0, 1, 1, "", "")]
    assert apply(said("Hello"), stale) == said("Hello")


def test_apply_leaves_the_given_conversation_as_it_was() -> None:
    before = said("one\n\n\n\ntwo")
    apply(before, cleaning_findings(before))
    assert before == said("one\n\n\n\ntwo")


FRAGMENTS = [
    "my box is broken", "Hi there,", "\n", "\n\n\n\n", "> quoted", "On Monday Bo wrote:", "-- ", "Best regards,", "Bo",
    "<p>", "</p>", "<br/>",
    "<script>", "</script>", "<!--", "-->", "&amp;", "&lt;b&gt;", "lt;", "<", ">", "&", ";", "schÃ¶n", "\\n", "\\r",
    "{{Name}}", "\x00", "\u200b",
    "   ", "From: a", "Sent: b", "To: c", "this e-mail and any files are confidential", "Sent from my iPhone", "\r", "#39;",
]  # fmt: skip
WILD = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("\n".join),
)
ROLES = st.sampled_from(["user", "assistant"])


@settings(max_examples=400, deadline=None)
@given(WILD, ROLES)
def test_spans_lie_inside_the_turn_and_scores_between_0_and_1(content: str, role: str) -> None:
    assert all(
        0 <= one.start < one.end <= len(content) and 0 < one.score <= 1 for one in cleaning_findings(said(content, role))
    )


@settings(max_examples=600, deadline=None)
@given(WILD, ROLES)
def test_checking_and_applying_reaches_a_fixed_point(content: str, role: str) -> None:
    now = said(content, role)
    for _ in range(4):
        now = apply(now, cleaning_findings(now))
    assert apply(now, cleaning_findings(now)) == now


@settings(max_examples=200, deadline=None)
@given(
    st.lists(WILD, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(-1, 3), st.integers(-2, 40), st.integers(-2, 40), st.text())),
)
def test_apply_takes_any_findings_and_empties_nothing(contents: list[str], spans: list[tuple[int, int, int, str]]) -> None:
    before = [{"role": "user", "content": content} for content in contents]
    after = apply(before, [Finding("x", turn, start, end, 1, "", new) for turn, start, end, new in spans])
    assert [bool(turn["content"]) for turn in after] == [bool(content) for content in contents]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    ["<", ">", "\n", "> \n", "&", "&amp;", "<!--", "<b>", "<script>", "<a ", " ", "\t", "\\n", "{{", "{{a}}", "[your ", "%A",
    "\r\n", "-- \n",
     "From: a\n", "On a\n", "wrote:\n", "Best regards,\n", "is confidential\n", "Ã", "Ã¶ ", "\x00", "a\n\n\n\n", "x   ",
     "<script>a", "hi "],
)  # fmt: skip
def test_200_000_repetitions_neither_stall_nor_flood(piece: str) -> None:
    text = "x" + piece * 200_000 + "x"
    found = cleaning_findings(said(text))
    after = apply(said(text), found)[0]["content"]
    assert len(found) <= 9 * 20 and after


def test_bitext_answers_hold_placeholders_and_little_else(shared_data: Path) -> None:
    path = shared_data / "bitext_llm" / "bitext_support_responses_v2_2023-08-18.csv"
    with path.open(encoding="utf-8", newline="") as file:
        answers = [row["response"] for row in csv.DictReader(file)]
    kinds = [{finding.kind for finding in shown(answer, "assistant")} for answer in answers]
    others = sum(bool(one - {"placeholder"}) for one in kinds)
    assert (sum("placeholder" in one for one in kinds) >= 2948, others <= 0.02 * len(kinds)) == (True, True)


def test_every_kaggle_description_holds_its_raw_token(shared_data: Path) -> None:
    path = shared_data / "kaggle_tickets" / "customer_support_tickets.csv"
    with path.open(encoding="utf-8", newline="") as file:
        texts = [row["Ticket Description"] for row in csv.DictReader(file)][:2000]
    marked_in = [[text[one.start : one.end] for one in shown(text) if one.kind == "placeholder"] for text in texts]
    assert all("{product_purchased}" in one for one in marked_in)
