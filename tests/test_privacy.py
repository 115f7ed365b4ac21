"""Personal data in conversations: what is found, what is left alone, and what stands there afterwards."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.checking.cleaning import apply as applied
from pipeline.checking.finding import Finding, Messages
from pipeline.checking.privacy import KINDS, privacy_findings
from pipeline.checking.pseudonyms import replace
from pipeline.errors import PipelineError

spacy = pytest.importorskip("spacy", reason="the extra `checks` is not installed")
pytest.importorskip("presidio_analyzer", reason="the extra `checks` is not installed")

THRESHOLD = {kind.key: kind.threshold for kind in KINDS}


def chat(*turns: str) -> Messages:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]


def shown(*turns: str, people: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Kind and text of everything found at or over the threshold, in reading order."""
    messages = chat(*turns)
    found = privacy_findings(messages, people, own)
    return [(one.kind, _text(messages, one)) for one in found if one.score >= THRESHOLD[one.kind]]


def cleaned(*turns: str, people: tuple[str, ...] = ()) -> list[str]:
    messages = chat(*turns)
    return [message["content"] for message in applied(messages, privacy_findings(messages, people))]


def _text(messages: Messages, finding: Finding) -> str:
    return messages[finding.turn]["content"][finding.start : finding.end]


FOUND = [
    ("email", "write to jane.doe+shop@mail.example.co.uk please", "jane.doe+shop@mail.example.co.uk"),
    ("email", "<a href='mailto:joe@shop.com'>", "joe@shop.com"),
    ("email", "see http://shop.com/u?email=joe@shop.com", "joe@shop.com"),
    ("email", "Mojibake: josÃ©@mail.com wrote", "josÃ©@mail.com"),
    ("email", "اكتب إلى joe@shop.com من فضلك", "joe@shop.com"),
    ("card", "my card 4111 1111 1111 1111 was charged", "4111 1111 1111 1111"),
    ("card", "amex 3782 822463 10005", "3782 822463 10005"),
    ("card", "card 2223-0031-2200-3222 exp 12/27", "2223-0031-2200-3222"),
    ("card", "Visa of nineteen digits: 4131034282458809939", "4131034282458809939"),
    ("card", "the card 4111\u00a01111\u00a01111\u00a01111 again", "4111\u00a01111\u00a01111\u00a01111"),
    ("iban", "refund to DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00"),
    ("iban", "iban gb82west12345698765432", "gb82west12345698765432"),
    ("iban", "GB82WEST12345698765432 SEND THIS today", "GB82WEST12345698765432"),
    ("ip", "blocked since 98.85.59.159, why?", "98.85.59.159"),
    ("ip", "my router has 2001:db8:85a3::8a2e:370:7334 now", "2001:db8:85a3::8a2e:370:7334"),
    ("ssn", "it is 531-21-7351", "531-21-7351"),
    ("ssn", "SSN: 531217351", "531217351"),
    ("phone", "404-555-0199", "404-555-0199"),
    ("phone", "Ring me: (404) 555-0199 ext. 12", "(404) 555-0199 ext. 12"),
    ("phone", "+44 20 7946 0958", "+44 20 7946 0958"),
    ("phone", "open at +44 (0)20 7946 0958 24/7", "+44 (0)20 7946 0958"),
    ("phone", "call 785 8949 after five", "785 8949"),
    ("phone", "☎️📱 020 7946 0958 🙏", "020 7946 0958"),
    ("phone", "\u200fاتصل على +972 50-234-5678\u200f", "+972 50-234-5678"),
    ("phone", "call +44\u00a020\u00a07946\u20110958", "+44\u00a020\u00a07946\u20110958"),
    ("id_number", "National insurance AB 12 34 56 C", "AB 12 34 56 C"),
    ("id_number", "my passport number is 531217351", "531217351"),
    ("id_number", "NHS number 943 476 5919", "943 476 5919"),
    ("id_number", "codice fiscale RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("link_token", "open https://shop.com/reset/aZ09bQ8xkk2lmn33.", "https://shop.com/reset/aZ09bQ8xkk2lmn33"),
    ("link_token", "https://x.io/?page=2&token=abc123def456", "https://x.io/?page=2&token=abc123def456"),
    ("link_token", "ftp://joe:hunter2@files.shop.com/", "ftp://joe:hunter2@files.shop.com/"),
    ("name", "Hi Sarah, where is it", "Sarah"),
    ("name", "my name is Dana Whitfield", "Dana Whitfield"),
    ("name", "talk to Ms. Okafor about it", "Okafor"),
    ("name", "It broke.\nKind regards,\nTom Becker", "Tom Becker"),
    ("name", "Thanks\r\n\r\nZoë\r\n", "Zoë"),
    ("address", "ship to 12 Oak Street, Apt 4, Springfield, IL 62704", "12 Oak Street, Apt 4, Springfield, IL 62704"),
    ("address", "I live at Kapelaniestraat 88", "Kapelaniestraat 88"),
    ("address", "221B Baker Street, London NW1 6XE", "221B Baker Street, London NW1 6XE"),
]


@pytest.mark.parametrize(("kind", "text", "value"), FOUND, ids=[f"{kind} {value}" for kind, _, value in FOUND])
def test_personal_data_is_found_whole_and_called_by_its_kind(kind: str, text: str, value: str) -> None:
    assert shown(text) == [(kind, value)]


LEFT_ALONE = [
    "order 404 is late, order number 2813882583",
    "tracking 1Z999AA10123456784 and 9400 1000 0000 0000 0000 00",
    "invoice 123-456-7890",
    "on 2024-05-17 14:48:14 and 12/27/1986 and 1.12.2023",
    "from 10:30 to 12:45, at 23:59:59",
    "it costs $1,234.56 or €1.234.567,89 or 1 000 000 USD",
    "since version 1.2.3.4 and v10.20.30.40",
    "section 4.1.2.3 of the terms",
    "order 4111111111111112 has a wrong check digit",
    "127.0.0.1 and 255.255.255.0 are nobody",
    "install lodash@4.17.21 and ask @joe",
    "1999-2004, 30 days, 24/7, 100%, 3.14159265",
    "see https://shop.com/orders?page=2#top",
    "Hi there, Dear Customer, Hello Support Team,",
    "Thanks,\nThe Acme Support Team",
    "Product name: Xbox. Username: Admin",
    "3 days down the road, 2 more ways",
    "call {{Customer Support Phone Number}} or {{support@company.com}}, Hi {{John Smith}},",
    "[PHONE_1] and [NAME_12] stood here",
    "😀😀 1️⃣2️⃣3️⃣ ١٢٣",
    "Ã¢â‚¬â„¢ Â£12 Â  â€“ 100",
]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_like_personal_data_is_left_alone(text: str) -> None:
    assert shown(text) == []


def test_the_rows_own_name_is_found_whole_in_any_case_and_by_its_words_where_capitalised() -> None:
    found = shown("DANA okafor wrote", "Dana paid, okafor is a word, Okafor is not", people=("Dana Okafor",))
    assert [text for _, text in found] == ["DANA okafor", "Dana", "Okafor"]


def test_a_name_that_is_an_ordinary_word_counts_only_whole() -> None:
    assert shown("Will Price asks: Will the Price change, will it?", people=("Will Price",)) == [("name", "Will Price")]


def test_the_rows_own_address_is_found_even_where_no_domain_follows() -> None:
    assert shown("reach me at JDoe@corp today", people=("jdoe@corp",)) == [("email", "JDoe@corp")]


def test_a_name_given_once_is_found_in_every_turn() -> None:
    assert [text for _, text in shown("my name is Ines Duarte", "Sure, Ines, we called Duarte & Sons")] == [
        "Ines Duarte",
        "Ines",
        "Duarte",
    ]


def test_one_person_or_number_has_one_placeholder_all_through_a_conversation() -> None:
    assert cleaned(
        "Hi Sarah, I am at +1 404-555-0199, card 4111 1111 1111 1111.\nRegards,\nTom Becker",
        "Dear Tom, is it (404) 555-0199 and 4111-1111-1111-1111?\nRegards,\nSarah",
    ) == [
        "Hi [NAME_1], I am at [PHONE_1], card [CARD_1].\nRegards,\n[NAME_2]",
        "Dear [NAME_2], is it [PHONE_1] and [CARD_1]?\nRegards,\n[NAME_1]",
    ]


def test_placeholders_go_on_after_those_a_text_already_holds() -> None:
    assert cleaned("[EMAIL_1] wrote to ann@shop.org") == ["[EMAIL_1] wrote to [EMAIL_2]"]


def test_system_turns_are_not_searched() -> None:
    messages = [{"role": "system", "content": "mail ann@shop.org"}, {"role": "user", "content": "and bob@shop.org"}]
    assert [(one.turn, one.replacement) for one in privacy_findings(messages)] == [(1, "[EMAIL_1]")]


def test_what_belongs_to_the_desk_is_never_reported() -> None:
    own = ("+1 (800) 555-0100", "@desk.com")
    assert shown("call 1-800-555-0100, mail help@desk.com or ann@shop.org", own=("18005550100", *own)) == [
        ("email", "ann@shop.org")
    ]


def test_evidence_never_repeats_what_was_found() -> None:
    values = [(value, privacy_findings(chat(text))) for _, text, value in FOUND]
    assert not [value for value, found in values for one in found if value.lower() in one.evidence.lower()]


@pytest.mark.parametrize("key", [kind.key for kind in KINDS])
def test_every_kind_has_an_example_that_is_found(key: str) -> None:
    assert key in {kind for kind, _, _ in FOUND}


def surrogates(text: str, seed: str, people: tuple[str, ...] = ()) -> str:
    messages = chat(text)
    return applied(messages, replace(messages, privacy_findings(messages, people), "surrogate", seed))[0]["content"]


def test_a_surrogate_is_the_same_for_the_same_conversation_and_value() -> None:
    text = "Dana Okafor, 404-555-0199, again Dana"
    assert surrogates(text, "c1", ("Dana Okafor",)) == surrogates(text, "c1", ("Dana Okafor",))


def test_another_conversation_has_another_surrogate() -> None:
    assert surrogates("404-867-5309, ann@shop.org", "c1") != surrogates("404-867-5309, ann@shop.org", "c2")


def test_a_persons_first_name_stays_the_first_name_in_surrogates() -> None:
    made = re.fullmatch(r"(\w+) (\w+) came, (\w+) left, Ms\. (\w+) stayed", surrogates(
        "Dana Okafor came, Dana left, Ms. Okafor stayed", "c1", ("Dana Okafor",)))  # fmt: skip
    assert made and (made[1], made[2]) == (made[3], made[4])


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("ann@shop.org", r"\w+\.\w+@example\.com"),
        ("(404) 867-5309", r"\(\d{3}\) 555-01\d\d"),
        ("+44 20 7946 0958", r"\+44 \d\d \d555 01\d\d"),
        ("98.85.59.159", r"(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+"),
        ("531-21-7351", r"9\d\d-[0-4]\d-\d{4}"),
        ("card 4539-2147-1274-6634", r"card 4000-00\d\d-\d{4}-\d{4}"),
        ("GB82WEST12345698765432", r"GB00[A-Z]{4}\d{14}"),
        ("https://x.io/?token=abc123def456", r"https://example\.com/[0-9a-f]{8}"),
    ],
)
def test_a_surrogate_has_the_form_of_the_value_and_lies_in_a_reserved_range(text: str, form: str) -> None:
    assert re.fullmatch(form, surrogates(text, "c1"))


def test_a_surrogate_card_passes_the_check_digit() -> None:
    assert shown(surrogates("card 4539 2147 1274 6634", "c1"))[0][0] == "card"


def test_a_model_that_is_not_installed_is_said_in_words() -> None:
    from pipeline.checking.privacy_names import name_finder

    with pytest.raises(PipelineError, match="'en_core_web_none' for names is not installed"):
        name_finder("en_core_web_none")


def test_a_model_without_an_entity_recogniser_is_refused(tmp_path: Path) -> None:
    from pipeline.checking.privacy_names import name_finder

    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(PipelineError, match="recognises no names"):
        name_finder(str(tmp_path / "blank"))


def test_names_and_places_come_from_a_model_in_a_folder(tmp_path: Path) -> None:
    from pipeline.checking.privacy_names import name_finder

    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns(
        [{"label": "PERSON", "pattern": "Ikram"}, {"label": "GPE", "pattern": "Tartu"}]
    )
    pipeline.to_disk(tmp_path / "model")
    found = privacy_findings(chat("then Ikram moved to Tartu"), finder=name_finder(str(tmp_path / "model")))
    assert [(one.kind, one.replacement, one.score) for one in found] == [
        ("name", "[NAME_1]", 0.85),
        ("address", "[ADDRESS_1]", 0.4),
    ]


VALUES = [
    "ann.lee@shop.org",
    "4539 2147 1274 6634",
    "DE89370400440532013000",
    "98.85.59.159",
    "531-21-7351",
    "404-867-5309",
    "+44 20 7946 0958",
]
AROUND = st.text(alphabet=st.sampled_from(" abcXYZ.,;:!?()\n\téÃ©שلا😀{}[]'\"0123-"), max_size=25)
TEXTS = st.lists(st.tuples(AROUND, st.sampled_from(VALUES)), max_size=5)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_spans_lie_inside_their_turn_and_never_overlap(turns: list[list[tuple[str, str]]]) -> None:
    messages = chat(*("".join(around + value for around, value in turn) for turn in turns))
    found = privacy_findings(messages, ["Ann Lee", "ann.lee@shop.org"])
    inside = all(0 <= one.start < one.end <= len(messages[one.turn]["content"]) for one in found)
    apart = all(a.turn != b.turn or a.end <= b.start for a, b in pairwise(found))
    assert inside and apart


@pytest.mark.parametrize("between", [" ", "\n", "/", "; ", " - "])
@pytest.mark.parametrize("value", VALUES)
def test_two_numbers_side_by_side_are_both_found(value: str, between: str) -> None:
    texts = {other: cleaned(f"{value}{between}{other} end")[0] for other in VALUES}
    assert not [other for other, text in texts.items() if value in text or other in text]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.text(alphabet="abc XYZé😀ש\n", max_size=20), st.sampled_from(VALUES)), max_size=6))
def test_no_structured_value_is_left_once_every_replacement_stands(parts: list[tuple[str, str]]) -> None:
    text = "".join(f"{around} {value}, " for around, value in parts)
    left = cleaned(text)[0]
    assert not [value for value in VALUES if value in left]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300))
def test_any_text_is_searched_without_an_error(text: str) -> None:
    assert all(one.replacement for one in privacy_findings(chat(text), ["Ann Lee"]))
