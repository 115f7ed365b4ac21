"""Lines, tokens, result files, closing dates and words of the runs at a fine-tuning service: what needs no server."""

from __future__ import annotations

import base64
import json
from datetime import date
from typing import Any

import pytest

from pipeline.examples import Example
from pipeline.managed import closing, lines, results, tokens, words
from pipeline.managed.service import Job, Trouble
from pipeline.spec_managed import Service
from tests.managed import ASKED, TRAIN

OPENAI, AZURE = Service(), Service(base_url="https://acme.openai.azure.com/openai/v1/", key_env="AZURE_KEY")
TODAY = date(2026, 11, 27)
CALL = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": '{"number": 4}'}}
TOOL = {"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}


def example(*turns: dict[str, Any], tools: tuple[dict[str, Any], ...] = ()) -> Example:
    return Example("rec-1", turns, tools)


def said(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content} | more


def test_a_line_has_what_the_service_takes_and_nothing_of_ours() -> None:
    one = example(
        said("system", "Be kind."),
        said("user", "Wo ist es? 🙂", name="ana", customer="c-9"),
        said("assistant", "Bald.", weight=1),
    )
    assert lines.content([one]).decode() == (
        '{"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Wo ist es? 🙂", "name": "ana"}, '
        '{"role": "assistant", "content": "Bald."}]}\n'
    )


def test_weights_are_written_on_all_answers_where_one_is_not_learned() -> None:
    one = example(said("user", "a"), said("assistant", "b", weight=0), said("user", "c"), said("assistant", "d"))
    assert [turn.get("weight") for turn in lines.line(one)["messages"]] == [None, 0, None, 1]


def test_calls_and_tools_go_with_the_line() -> None:
    one = example(
        said("user", "a"),
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        said("tool", "sent", tool_call_id="call_1"),
        said("assistant", "It was sent."),
        tools=(TOOL,),
    )
    line = lines.line(one)
    assert (line["tools"], line["messages"][1], lines.problems([line], limits=lines.Limits(1))) == (
        [TOOL],
        {"role": "assistant", "tool_calls": [CALL]},
        [],
    )


def test_the_same_lines_have_the_same_name_at_the_service() -> None:
    import hashlib

    content = lines.content([example(said("user", asked), said("assistant", answer)) for _, asked, answer in ASKED])
    assert lines.file_name(hashlib.sha256(content).hexdigest()) == TRAIN


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([said("user", "a"), said("user", "b")], "Its last turn is not the agent's."),
        ([said("user", "a"), said("assistant", " ")], "Its last turn is empty, so there is nothing to learn."),
        ([said("user", "a"), said("assistant", "b", weight=0)], "Its last turn is not to be learned (weight 0)."),
        ([said("customer", "a"), said("assistant", "b")], "Turn 1 has a role that the service does not know."),
        ([{"role": "user", "content": None}, said("assistant", "b")], "Turn 1 has no text."),
        ([said("user", "a"), said("tool", "x"), said("assistant", "b")], "Turn 2 answers no tool call by its id."),
        ([], "It has no messages."),
    ],
)
def test_what_a_service_would_refuse_in_a_line_is_said_with_its_number(messages: list[dict[str, Any]], words: str) -> None:
    good = {"messages": [said("user", "a"), said("assistant", "b")]}
    assert lines.problems([good, {"messages": messages}], limits=lines.Limits(1)) == [(2, words)]


def test_too_few_too_large_and_too_long_are_said() -> None:
    good = {"messages": [said("user", "a"), said("assistant", "b")]}
    found = lines.problems([good] * 9, [5] * 8 + [70_000], 600_000_000, lines.Limits(tokens=65_536))
    assert [(number, words.split(";")[0]) for number, words in found] == [
        (0, "There are 9 examples"),
        (0, "The file has 600 MB"),
        (9, "It has 70,000 tokens"),
    ]


def test_tokens_and_money_of_a_fixed_snapshot_are_those_counted_by_hand() -> None:
    # "Hello world" is 2 tokens, "Yes" 1, each role 1. Cookbook: 3 a turn and 3 an example: (3+1+2) + (3+1+1) + 3 = 14.
    twelve = [lines.line(example(said("user", "Hello world"), said("assistant", "Yes")))] * 12
    counted = sum(map(tokens.counter(tokens.basis("gpt-4o-mini-2024-07-18")), twelve))
    epochs = tokens.auto_epochs(12)
    assert (counted, epochs, counted * epochs, round(counted * epochs * 3.00 / 1e6, 9)) == (168, 8, 1_344, 0.004032)


def test_a_name_costs_one_token_more_and_an_unknown_model_is_estimated() -> None:
    named, plain = ({"messages": [said("user", "Hello", **more), said("assistant", "Yes")]} for more in ({"name": "Bob"}, {}))
    count = tokens.counter("o200k_base")
    assert count(named) - count(plain) == 2  # the name itself is one
    assert (tokens.basis("meta-llama/Llama-3.3-70B"), tokens.counter("estimated")(plain)) == (
        "estimated",
        3 + 3 + 1 + 2 + 3 + 3 + 1,
    )


def test_models_are_known_by_the_beginning_of_their_name() -> None:
    names = (
        "gpt-4o-mini-2024-07-18",
        "ft:gpt-4.1-mini:acme::x",
        "gpt-4-0613",
        "gpt-3.5-turbo-0125",
        "o4-mini",
        "mistral-small",
    )
    assert [(tokens.basis(name), tokens.limit(name)) for name in names] == [
        ("o200k_base", 65_536),
        ("o200k_base", 65_536),
        ("cl100k_base", 8_192),
        ("cl100k_base", 16_385),
        ("o200k_base", None),
        ("estimated", None),
    ]


@pytest.mark.parametrize(("examples", "epochs"), [(1, 25), (12, 8), (34, 3), (1_000, 3), (10_000, 2), (30_000, 1)])
def test_epochs_left_to_openai_are_as_its_cookbook_says(examples: int, epochs: int) -> None:
    assert tokens.auto_epochs(examples) == epochs


# The three samples of ../shared/openai/result_csv_samples, as they are.
QUOTED = b"""step,train_loss,train_mean_token_accuracy,valid_loss,valid_mean_token_accuracy
1,10.16711711883545,0.4,8.555203056335449,0.4
10,7.5040130615234375,0.6,8.665478515625,0.6
19,5.73227596282959,0.6,5.265460586547851,0.6
"""
DOCS = b"""step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy
1,1.52347,0.0,,
2,0.57719,0.0,,
3,3.63525,0.0,,
4,1.72257,0.0,,
5,1.52379,0.0,,
"""
DOCS_BASE64 = (
    b"c3RlcCx0cmFpbl9sb3NzLHRyYWluX2FjY3VyYWN5LHZhbGlkX2xvc3MsdmFsaWRfbWVhbl90b2tlbl9hY2N1cmFjeQoxLDEuNTIzNDcsMC4wLCwKMiwwLjU3"
    b"NzE5LDAuMCwsCjMsMy42MzUyNSwwLjAsLAo0LDEuNzIyNTcsMC4wLCwKNSwxLjUyMzc5LDAuMCwsCg=="
)


def test_a_result_file_with_validation_gives_both_curves() -> None:
    rows = results.parse(QUOTED)
    assert [(row["step"], row["train_loss"], row["valid_loss"], row["valid_accuracy"]) for row in rows] == [
        (1, 10.16711711883545, 8.555203056335449, 0.4),
        (10, 7.5040130615234375, 8.665478515625, 0.6),
        (19, 5.73227596282959, 5.265460586547851, 0.6),
    ]
    assert results.summary(rows) == {
        "steps": 19,
        "last_train_loss": 5.73227596282959,
        "first_validation_loss": 8.555203056335449,
        "best_validation_loss": 5.265460586547851,
        "best_step": 19,
    }


@pytest.mark.parametrize(
    "body",
    [
        DOCS,
        DOCS_BASE64,
        b"\xef\xbb\xbf" + DOCS,
        DOCS.replace(b"\n", b"\r\n"),
        DOCS.replace(b",,", b",N/A,N/A"),
        base64.encodebytes(DOCS),
        json.dumps(DOCS.decode()).encode(),
        DOCS.replace(b",,", b",nan,null"),
    ],
)
def test_empty_cells_base64_and_other_dresses_give_the_same_curve(body: bytes) -> None:
    rows = results.parse(body)
    assert [
        (row["step"], row["train_loss"], row["train_accuracy"], row["valid_loss"], row["valid_accuracy"]) for row in rows
    ] == [
        (step, loss, 0.0, None, None) for step, loss in ((1, 1.52347), (2, 0.57719), (3, 3.63525), (4, 1.72257), (5, 1.52379))
    ]


@pytest.mark.parametrize(
    "body", [b"", b"<html>, no</html>", b"\xff\xfe\x00", b'"string"', b"step\n1\n", b"a,b\n1,2\n", b'"unclosed']
)
def test_what_is_no_result_file_has_no_rows(body: bytes) -> None:
    assert results.parse(body) == []


def test_later_sources_fill_in_what_earlier_ones_lack() -> None:
    rows = results.merged(
        [results.figures({"step": 2, "train_loss": 0.5})], [results.figures({"step": 2, "full_valid_loss": 0.4})]
    )
    assert rows == [{"step": 2, "train_loss": 0.5, "train_accuracy": None, "valid_loss": 0.4, "valid_accuracy": None}]


def test_openais_closing_is_said_for_what_today_is() -> None:
    assert closing.words(OPENAI, "gpt-4o-mini-2024-07-18", "2027-01-14", TODAY) == (
        "OpenAI is closing fine-tuning: accounts that never tuned cannot since 2026-05-07, idle ones since 2026-07-02, and "
        "nobody can create jobs from 2027-01-06 on, in 40 days. gpt-4o, gpt-4o-mini, gpt-4.1, gpt-4.1-mini and all models "
        "tuned from them are shut down on 2027-01-14, in 48 days: what is tuned now answers until then."
    )
    assert closing.words(OPENAI, "davinci-002", None, date(2027, 1, 6)) == (
        "OpenAI's fine-tuning was closed for everybody on 2027-01-06."
    )


def test_elsewhere_only_the_models_own_end_is_said() -> None:
    assert closing.words(AZURE, "gpt-4o", None, TODAY) == ""
    assert closing.words(AZURE, "gpt-x", "2026-12-01", TODAY) == (
        "gpt-x is shut down on 2026-12-01, in 4 days; models tuned from it mostly go with it."
    )


def refused(status: int, said: str = "", code: str = "", param: str = "", service: Service = AZURE) -> tuple[str, str]:
    error = words.in_words(Trouble(status, f"HTTP {status}", code, param, said), service, "gpt-x", TODAY)
    return error.message, error.hint


PLACE = "https://acme.openai.azure.com/openai/v1/"


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (
            refused(401, "Incorrect API key provided: sk-abc123"),
            f"{PLACE} refused the key (401).",
            "Set AZURE_KEY in the studio's",
        ),
        (refused(403, "nope"), f"The account at {PLACE} may not fine-tune (403).", "Ask the service to allow"),
        (
            refused(403, service=OPENAI),
            "The account at https://api.openai.com/v1 may not fine-tune (403).",
            "OpenAI is closing",
        ),
        (refused(429, code="insufficient_quota"), f"The account at {PLACE} has no credit left (429).", "Add credit"),
        (
            refused(404, "The model gpt-x does not exist", "model_not_found"),
            f"{PLACE} does not know this address, or does not tune the model gpt-x (404).",
            "Check the model's name",
        ),
        (
            refused(400, "Model gpt-x is not available for fine-tuning or does not exist.", "model_not_available", "model"),
            f"{PLACE} does not tune the model gpt-x (400).",
            "Check the model's name",
        ),
        (
            refused(
                400,
                "Invalid file format. Line 3, 17 and 20: ana@mail.example is no role",
                "invalid_file_format",
                "training_file",
            ),
            f"{PLACE} refused the file (400, lines 3, 17, 20).",
            "Look at those lines",
        ),
        (
            refused(400, "This training file was blocked by our moderation system", "invalid_training_file", "training_file"),
            f"{PLACE} refused the file for what is in it (400).",
            "Its moderation looks",
        ),
        (
            refused(422, "n_epochs must be at most 10", "", "n_epochs"),
            f"{PLACE} refused the job (422: n_epochs).",
            "Change the settings",
        ),
        (refused(404, "", "", "training_file"), f"{PLACE} does not find the file that was uploaded (404).", "Resume"),
        (refused(413), f"The file is too large for {PLACE} (413).", "Freeze a smaller"),
    ],
)
def test_a_refusal_is_put_in_words_without_the_services_own(given: tuple[str, str], message: str, hint: str) -> None:
    assert given[0] == message and given[1].startswith(hint)


@pytest.mark.parametrize(
    ("error", "code", "message", "hint"),
    [
        (
            "The job failed due to an invalid training file. Line 4 has no messages.",
            "invalid_training_file",
            "The job j-1 failed at {place}: The job failed due to an invalid training file. Line 4 has no messages.",
            "Look at the named",
        ),
        (
            "Blocked: too many examples that violate usage policies",
            "",
            "The job j-1 failed at {place}: Blocked: too many examples that violate usage policies",
            "Its moderation",
        ),
        ("You exceeded your quota", "exceeded_quota", "The job j-1 failed at {place}: You exceeded your quota", "Add credit"),
        ("", "", "The job j-1 failed at {place}, which gave no reason.", "A new run"),
    ],
)
def test_a_failed_job_speaks_in_the_services_words(error: str, code: str, message: str, hint: str) -> None:
    found = words.failed(Job("j-1", "failed", "failed", error=error, error_code=code), AZURE, "s3cret")
    assert found.message == message.format(place=PLACE) and found.hint.startswith(hint)


@pytest.mark.parametrize(
    "said",
    ["Key s3cret-of-ours is bad", "use sk-proj-Ab3_xyz98765", "Authorization: Bearer abcdefghijkl", "token tgp_v1_abcdefgh"],
)
def test_nothing_like_a_key_stays_in_the_services_words(said: str) -> None:
    shown = words.clean(said, "s3cret-of-ours")
    assert "…" in shown and not any(secret in shown for secret in ("s3cret", "Ab3", "abcdefgh"))
