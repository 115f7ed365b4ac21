"""Services that tune: where they are, which variable holds the key, what they charge."""

from __future__ import annotations

import pytest

from studio import services
from studio.errors import StudioError
from studio.services import Service
from studio.workspace import Workspace


def test_openai_and_together_come_with_tunewright(ws: Workspace) -> None:
    assert [(one.name, one.key, one.chat_url) for one in services.every(ws)] == [
        ("OpenAI", "OPENAI_API_KEY", ""), ("Together", "TOGETHER_API_KEY", "https://api.together.xyz/v1")]  # fmt: skip


def test_a_service_of_ones_own_is_kept_under_its_name(ws: Workspace) -> None:
    services.add(ws, "Azure", "openai", "https://us.openai.azure.com/openai/v1/", "AZURE_OPENAI_API_KEY", "ann")
    found = services.get(ws, "Azure")
    assert (found, found.deploys) == (
        Service("Azure", "openai", "https://us.openai.azure.com/openai/v1", "AZURE_OPENAI_API_KEY"), True)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "url", "key", "said"),
    [
        ("OpenAI", "https://a.example/v1", "", "comes with Tunewright"),
        ("Mine", "", "", "needs its address"),
        ("Mine", "https://me:secret@a.example/v1", "", "no password and no key"),
        ("Mine", "https://a.example/v1", "sk-abcdef", "environment variable"),
        ("Mine", "https://a.example/v1", "HOME", "environment variable"),
    ],
)
def test_what_cannot_be_a_service_is_refused_without_repeating_it(
    ws: Workspace, name: str, url: str, key: str, said: str
) -> None:
    with pytest.raises(StudioError, match=said) as refused:
        services.add(ws, name, "openai", url, key, "ann")
    assert "secret" not in str(refused.value) and "sk-" not in str(refused.value) and services.every(ws)[2:] == []


def test_openais_own_key_is_never_read_for_another_server() -> None:
    assert Service("Nebius", base_url="https://api.tokenfactory.nebius.com/v1").key == ""


def test_a_price_that_somebody_said_replaces_the_one_that_came(ws: Workspace) -> None:
    before = services.price(ws, "gpt-4o-mini-2024-07-18")
    services.say_price(ws, "gpt-4o-mini-2024-07-18", 4.5, "EUR", "ann")
    after = services.price(ws, "gpt-4o-mini-2024-07-18")
    assert before and after
    assert (before.per_million, before.who, after.per_million, after.money, after.who) == (3.0, "", 4.5, "EUR", "ann")


def test_of_a_model_that_nobody_priced_no_price_is_made_up(ws: Workspace) -> None:
    assert services.price(ws, "some-new-model") is None
