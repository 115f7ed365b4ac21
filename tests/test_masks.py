"""The loss mask of each family's chat template, token for token against one written by hand: learned is what stands in « »."""

from __future__ import annotations

import pytest

from pipeline import template
from pipeline.errors import PipelineError
from pipeline.examples import Example, Turn
from tests import chat

SYSTEM = {"role": "system", "content": "Be brief."}
WHERE = {"role": "user", "content": "Where is it?"}
COMING = {"role": "assistant", "content": "On its way."}
WHEN = {"role": "user", "content": "When?"}
MONDAY = {"role": "assistant", "content": "Monday."}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call00001", "type": "function", "function": {"name": "track", "arguments": '{"id": 7}'}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call00001", "name": "track", "content": "In Lyon"}
TOOL = {"type": "function", "function": {"name": "track", "description": "Find it", "parameters": {"type": "object"}}}

ONE = (WHERE, COMING)
TWO = (SYSTEM, WHERE, COMING, WHEN, MONDAY)
FIRST_READ = (WHERE, COMING | {"weight": 0}, WHEN, MONDAY)
LAST_READ = (WHERE, COMING, WHEN, MONDAY | {"weight": 0})
TOOLS = (WHERE, CALL, RESULT, COMING)

QWEN_25 = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
QWEN_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures "
    'within <tools></tools> XML tags:\n<tools>\n{"type": "function", "function": {"name": "track", "description": "Find it", '
    '"parameters": {"type": "object"}}}\n</tools>\n\nFor each function call, return a json object with function name and '
    'arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": '
    "<args-json-object>}\n</tool_call><|im_end|>\n"
)
LLAMA_31 = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
    "Today Date: 26 Jul 2024\n\n"
)
MISTRAL_TOOLS = (
    '[AVAILABLE_TOOLS][{"type": "function", "function": {"name": "track", "description": "Find it", '
    '"parameters": {"type": "object"}}}][/AVAILABLE_TOOLS]'
)

MASKS: list[tuple[str, str, tuple[Turn, ...], list[str]]] = [
    (
        "llama",
        "llama3",
        ONE,
        [
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhere is it?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«On its way.<|eot_id|>»"
        ],
    ),
    (
        "llama",
        "llama3",
        TWO,
        [
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nWhere is it?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«On its way.<|eot_id|>»"
            "<|start_header_id|>user<|end_header_id|>\n\nWhen?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«Monday.<|eot_id|>»"
        ],
    ),
    (
        "llama",
        "llama3",
        FIRST_READ,
        [
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhere is it?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nOn its way.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nWhen?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«Monday.<|eot_id|>»"
        ],
    ),
    (
        "llama",
        "llama3_1",
        LAST_READ,
        [
            LLAMA_31 + "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhere is it?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n«On its way.<|eot_id|>»"
            "<|start_header_id|>user<|end_header_id|>\n\nWhen?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nMonday.<|eot_id|>"
        ],
    ),
    (
        "llama",
        "llama3_1",
        TOOLS,
        [
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nEnvironment: ipython\n"
            "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nGiven the following functions, please respond with a JSON for a "
            "function call with its proper arguments that best answers the given prompt.\n\nRespond in the format "
            '{"name": function name, "parameters": dictionary of argument name and its value}.Do not use variables.\n\n'
            '{\n    "type": "function",\n    "function": {\n        "name": "track",\n        "description": "Find it",\n'
            '        "parameters": {\n            "type": "object"\n        }\n    }\n}\n\nWhere is it?<|eot_id|>'
            "<|start_header_id|>assistant<|end_header_id|>\n\n"
            '«{"name": "track", "parameters": {"id": 7}}<|eot_id|>»'
            '<|start_header_id|>ipython<|end_header_id|>\n\n"In Lyon"<|eot_id|>'
            "<|start_header_id|>assistant<|end_header_id|>\n\n«On its way.<|eot_id|>»"
        ],
    ),
    (
        "qwen",
        "qwen2_5",
        ONE,
        [
            QWEN_25 + "<|im_end|>\n<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\n«On its way.<|im_end|>»"
        ],
    ),
    (
        "qwen",
        "qwen2_5",
        TWO,
        [
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\n«On its way.<|im_end|>»\n<|im_start|>user\nWhen?<|im_end|>\n"
            "<|im_start|>assistant\n«Monday.<|im_end|>»"
        ],
    ),
    (
        "qwen",
        "qwen2_5",
        FIRST_READ,
        [
            QWEN_25 + "<|im_end|>\n<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\nOn its way.<|im_end|>\n<|im_start|>user\nWhen?<|im_end|>\n"
            "<|im_start|>assistant\n«Monday.<|im_end|>»"
        ],
    ),
    (
        "qwen",
        "qwen2_5",
        TOOLS,
        [
            QWEN_25 + "\n\n" + QWEN_TOOLS + "<|im_start|>user\nWhere is it?<|im_end|>\n"
            '<|im_start|>assistant\n«<tool_call>\n{"name": "track", "arguments": {"id": 7}}\n</tool_call><|im_end|>»\n'
            "<|im_start|>user\n<tool_response>\nIn Lyon\n</tool_response><|im_end|>\n"
            "<|im_start|>assistant\n«On its way.<|im_end|>»"
        ],
    ),
    (
        "qwen",
        "qwen3",
        ONE,
        [
            "<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n«On its way.<|im_end|>»"
        ],
    ),
    (
        "qwen",
        "qwen3",
        TWO,
        [
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n«On its way.<|im_end|>»",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\nOn its way.<|im_end|>\n<|im_start|>user\nWhen?<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n«Monday.<|im_end|>»",
        ],
    ),
    (
        "qwen",
        "qwen3",
        FIRST_READ,
        [
            "<|im_start|>user\nWhere is it?<|im_end|>\n<|im_start|>assistant\nOn its way.<|im_end|>\n"
            "<|im_start|>user\nWhen?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n«Monday.<|im_end|>»"
        ],
    ),
    (
        "qwen",
        "qwen3",
        TOOLS,
        [
            "<|im_start|>system\n" + QWEN_TOOLS + "<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n"
            '«<tool_call>\n{"name": "track", "arguments": {"id": 7}}\n</tool_call><|im_end|>»',
            "<|im_start|>system\n" + QWEN_TOOLS + "<|im_start|>user\nWhere is it?<|im_end|>\n<|im_start|>assistant\n"
            '<tool_call>\n{"name": "track", "arguments": {"id": 7}}\n</tool_call><|im_end|>\n'
            "<|im_start|>user\n<tool_response>\nIn Lyon\n</tool_response><|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n«On its way.<|im_end|>»",
        ],
    ),
    (
        "qwen",
        "qwen3_instruct_2507",
        TWO,
        [
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere is it?<|im_end|>\n"
            "<|im_start|>assistant\n«On its way.<|im_end|>»\n<|im_start|>user\nWhen?<|im_end|>\n"
            "<|im_start|>assistant\n«Monday.<|im_end|>»"
        ],
    ),
    (
        "gemma",
        "gemma",
        ONE,
        [
            "<bos><start_of_turn>user\nWhere is it?<end_of_turn>\n<start_of_turn>model\n«On its way.<end_of_turn>»",
        ],
    ),
    (
        "gemma",
        "gemma",
        TWO[1:],
        [
            "<bos><start_of_turn>user\nWhere is it?<end_of_turn>\n<start_of_turn>model\n«On its way.<end_of_turn>»\n"
            "<start_of_turn>user\nWhen?<end_of_turn>\n<start_of_turn>model\n«Monday.<end_of_turn>»",
        ],
    ),
    (
        "gemma",
        "gemma",
        FIRST_READ,
        [
            "<bos><start_of_turn>user\nWhere is it?<end_of_turn>\n<start_of_turn>model\nOn its way.<end_of_turn>\n"
            "<start_of_turn>user\nWhen?<end_of_turn>\n<start_of_turn>model\n«Monday.<end_of_turn>»",
        ],
    ),
    (
        "gemma",
        "gemma3",
        TWO,
        [
            "<bos><start_of_turn>user\nBe brief.\n\nWhere is it?<end_of_turn>\n"
            "<start_of_turn>model\n«On its way.<end_of_turn>»\n"
            "<start_of_turn>user\nWhen?<end_of_turn>\n<start_of_turn>model\n«Monday.<end_of_turn>»",
        ],
    ),
    (
        "phi",
        "phi3",
        ONE,
        ["<|user|>\nWhere is it?<|end|>\n<|assistant|>\n«On its way.<|end|>»"],
    ),
    (
        "phi",
        "phi3_5",
        TWO,
        [
            "<|system|>\nBe brief.<|end|>\n<|user|>\nWhere is it?<|end|>\n<|assistant|>\n«On its way.<|end|>»\n"
            "<|user|>\nWhen?<|end|>\n<|assistant|>\n«Monday.<|end|>»"
        ],
    ),
    (
        "phi",
        "phi3",
        FIRST_READ,
        [
            "<|user|>\nWhere is it?<|end|>\n<|assistant|>\nOn its way.<|end|>\n"
            "<|user|>\nWhen?<|end|>\n<|assistant|>\n«Monday.<|end|>»"
        ],
    ),
    ("mistral", "mistral", ONE, ["<s>[INST]Where is it?[/INST]«On its way.</s>»"]),
    (
        "mistral",
        "mistral",
        TWO[1:],
        ["<s>[INST]Where is it?[/INST]«On its way.</s>»[INST]When?[/INST]«Monday.</s>»"],
    ),
    (
        "mistral",
        "mistral",
        TWO,
        [
            "<s>[INST]Be brief.\n\nWhere is it?[/INST]«On its way.</s>»",
            "<s>[INST]Where is it?[/INST]On its way.</s>[INST]Be brief.\n\nWhen?[/INST]«Monday.</s>»",
        ],
    ),
    (
        "mistral",
        "mistral",
        FIRST_READ,
        ["<s>[INST]Where is it?[/INST]On its way.</s>[INST]When?[/INST]«Monday.</s>»"],
    ),
    (
        "mistral",
        "mistral",
        TOOLS,
        [
            "<s>" + MISTRAL_TOOLS + "[INST]Where is it?[/INST]"
            '«[TOOL_CALLS][{"name": "track", "arguments": {"id": 7}, "id": "call00001"}]</s>»'
            '[TOOL_RESULTS]{"content": In Lyon, "call_id": "call00001"}[/TOOL_RESULTS]«On its way.</s>»'
        ],
    ),
]


def example(turns: tuple[Turn, ...]) -> Example:
    return Example("x", turns, (TOOL,) if any("tool_calls" in turn for turn in turns) else ())


def refused(family: str, name: str, one: Example) -> str:
    found = template.encode_all(chat.tokenizer(family, chat.template(name)), [one])[0]
    assert isinstance(found, PipelineError) and found.hint
    return found.message


@pytest.mark.parametrize(("family", "name", "turns", "marked"), MASKS)
def test_the_mask_is_the_one_written_by_hand(
    family: str, name: str, turns: tuple[Turn, ...], marked: list[str]
) -> None:
    made = chat.tokenizer(family, chat.template(name))
    found = template.encode_all(made, [example(turns)])[0]
    assert not isinstance(found, PipelineError), found
    assert [(one.ids, one.learned) for one in found] == [chat.by_hand(made, text) for text in marked]


@pytest.mark.parametrize(("family", "name", "turns", "marked"), MASKS)
def test_what_stands_before_the_last_answer_is_the_prompt_it_is_asked_with(
    family: str, name: str, turns: tuple[Turn, ...], marked: list[str]
) -> None:
    made = chat.tokenizer(family, chat.template(name))
    one = example(turns)
    found = template.encode_all(made, [one])[0]
    assert not isinstance(found, PipelineError)
    last = max(place for place, turn in enumerate(turns) if turn["role"] == "assistant" and turn.get("weight", 1))
    prompt = template.prompt_ids(made, turns[:last], one.tools)
    assert (list(found[-1].ids[: len(prompt)]), found[-1].learned[len(prompt)]) == (prompt, True)


def test_a_system_turn_for_gemma_is_refused_in_words() -> None:
    assert refused("gemma", "gemma", example(TWO)) == "This model's chat template takes no system turn."


@pytest.mark.parametrize(("family", "name"), [("gemma", "gemma3"), ("phi", "phi3"), ("llama", "llama3")])
def test_tools_that_a_template_cannot_write_are_refused_in_words(family: str, name: str) -> None:
    assert "tool" in refused(family, name, example(TOOLS))


@pytest.mark.parametrize(("family", "name"), [("phi", "phi3"), ("gemma", "gemma3"), ("llama", "llama3")])
def test_a_tool_call_that_a_template_would_drop_is_refused_where_no_tools_are_defined(family: str, name: str) -> None:
    assert "tool" in refused(family, name, Example("x", TOOLS))


def test_a_call_id_that_mistral_refuses_is_said() -> None:
    odd = CALL | {"tool_calls": [{"id": "call_1", "type": "function", "function": CALL["tool_calls"][0]["function"]}]}  # type: ignore[index]
    assert "some want ids of 9 letters" in refused("mistral", "mistral", example((WHERE, odd, RESULT, COMING)))


def test_an_answer_that_thinks_aloud_is_refused_where_the_template_takes_thoughts_out() -> None:
    aloud = {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nMonday."}
    assert "take out what a model thinks" in refused("qwen", "qwen3", Example("x", (WHEN, aloud)))


def test_several_sequences_are_refused_where_one_is_asked_for() -> None:
    made = chat.tokenizer("qwen", chat.template("qwen3"))
    with pytest.raises(PipelineError, match="rewrites earlier turns"):
        template.encode(made, "x", TWO)


def test_a_conversation_that_begins_with_an_answer_is_refused_in_words() -> None:
    assert "nothing was asked before it" in refused("qwen", "qwen2_5", Example("x", (COMING, WHEN, MONDAY)))


def test_turns_that_do_not_alternate_are_refused_in_words() -> None:
    assert "only turns that alternate" in refused("gemma", "gemma", Example("x", (WHERE, WHEN, MONDAY)))


def test_a_template_that_writes_todays_date_gives_the_same_tokens_every_day() -> None:
    dated = "{{ strftime_now('%d %B %Y') }}\n{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>\n{% endfor %}"
    made = chat.tokenizer("qwen", dated + "{% if add_generation_prompt %}assistant: {% endif %}")
    found = template.encode(made, "x", ONE)
    assert made.decode(found.ids).startswith("26 July 2024\nuser: Where is it?<|im_end|>")


def test_an_example_encoded_among_others_has_the_tokens_it_has_alone() -> None:
    made = chat.tokenizer("qwen", chat.template("qwen3"))
    several = [Example("a", TWO), Example("b", (MONDAY,)), Example("c", ONE)]
    together = template.encode_all(made, several)
    alone = [template.encode_all(made, [one])[0] for one in several]
    assert isinstance(together[1], PipelineError) and (together[0], together[2]) == (alone[0], alone[2])


def test_the_tokens_of_a_ticket_that_holds_special_tokens_are_not_learned() -> None:
    made = chat.tokenizer("llama", chat.template("llama3"))
    odd = {"role": "user", "content": "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYes"}
    found = template.encode(made, "x", (odd, COMING))
    assert made.decode([i for i, on in zip(found.ids, found.learned, strict=True) if on]) == "On its way.<|eot_id|>"
