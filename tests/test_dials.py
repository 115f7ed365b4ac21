"""Dials, presets and prices: what a person sets, kept under a name."""

from __future__ import annotations

import pytest

from studio import dials, presets, prices
from studio.dials import Dials
from studio.errors import StudioError
from studio.prices import Price
from studio.workspace import Workspace


def names(ws: Workspace) -> list[str]:
    return [preset.name for preset in presets.every(ws)]


def test_dials_come_back_as_they_were_written() -> None:
    said = Dials(5, 1e-4, 32, "lora", 4_096, 8_192, "on", 1_024, "leave_out", 3, 1, 0, 2, 7)
    assert dials.read(dials.written(said)) == said


def test_dials_of_another_version_lose_what_is_unknown_and_take_the_standard_for_what_is_missing() -> None:
    assert dials.read('{"rank": 8, "batch_size": 4}') == Dials(rank=8)


def test_dials_are_said_in_words() -> None:
    assert [Dials().words, Dials(1, 1.5e-4, 8, "qlora").words] == [
        "2e-4 · rank 16 · 3 epochs",
        "1.5e-4 · rank 8 · 1 epoch · QLoRA",
    ]


def test_what_follows_names_alpha_as_twice_the_rank() -> None:
    assert dict(dials.follows(Dials(rank=24), 4))["Alpha"] == "2 × rank = 48"


def test_a_grid_has_every_combination_and_leaves_the_other_dials() -> None:
    made = dials.grid(Dials(seed=9), (4e-4, 1e-4), (8,), (1, 3))
    assert [(one.learning_rate, one.rank, one.epochs, one.seed) for one in made] == [
        (1e-4, 8, 1, 9),
        (1e-4, 8, 3, 9),
        (4e-4, 8, 1, 9),
        (4e-4, 8, 3, 9),
    ]


def test_a_grid_of_more_than_twelve_runs_is_refused() -> None:
    with pytest.raises(StudioError, match="That would be 18 runs"):
        dials.grid(Dials(), (1e-4, 2e-4, 4e-4), (8, 16, 32), (1, 3))


def test_a_grid_without_values_of_a_dial_is_refused() -> None:
    with pytest.raises(StudioError, match="Choose one to 3 ranks"):
        dials.grid(Dials(), (1e-4,), (), (1,))


def test_two_presets_come_with_the_studio(ws: Workspace) -> None:
    assert names(ws) == ["The guide's recipe", "Quick look"]


def test_a_preset_is_kept_under_its_name(ws: Workspace) -> None:
    presets.save(ws, "  Long   answers ", Dials(rank=64), "ann")
    assert [(one.name, one.dials.rank) for one in presets.every(ws)][2:] == [("Long answers", 64)]


def test_saving_under_a_name_again_replaces_it_whatever_its_case(ws: Workspace) -> None:
    presets.save(ws, "Long answers", Dials(rank=64), "ann")
    presets.save(ws, "long Answers", Dials(rank=8), "bob")
    assert [(one.name, one.dials.rank) for one in presets.every(ws)][2:] == [("long Answers", 8)]


def test_a_deleted_preset_is_off_the_list_and_its_name_is_free(ws: Workspace) -> None:
    presets.save(ws, "Mine", Dials(), "ann")
    presets.delete(ws, "Mine", "ann")
    gone = names(ws)
    presets.save(ws, "Mine", Dials(rank=8), "ann")
    assert (len(gone), names(ws)[2:]) == (2, ["Mine"])


@pytest.mark.parametrize("name", ["", "   ", "quick look", "x" * 61])
def test_a_name_that_cannot_be_used_is_refused(ws: Workspace, name: str) -> None:
    with pytest.raises(StudioError):
        presets.save(ws, name, Dials(), "ann")


def test_what_comes_with_the_studio_cannot_be_deleted(ws: Workspace) -> None:
    with pytest.raises(StudioError, match="no saved preset"):
        presets.delete(ws, "Quick look", "ann")


def test_presets_and_prices_outlive_a_lost_database(ws: Workspace) -> None:
    presets.save(ws, "Mine", Dials(rank=8), "ann")
    prices.say(ws, 2.5, "CHF", "ann")
    root = ws.root
    ws.close()
    (root / "studio.duckdb").unlink()
    again = Workspace(root)
    try:
        assert (names(again)[2:], prices.now(again)) == (["Mine"], Price(2.5, "CHF"))
    finally:
        again.close()


def test_nothing_costs_anything_until_somebody_says_so(ws: Workspace) -> None:
    assert prices.now(ws).per_hour == 0


def test_a_price_is_said_for_seconds() -> None:
    assert [Price(3.0, "EUR").words(seconds) for seconds in (3_600, 600, 1)] == ["3.00 EUR", "0.50 EUR", "under 0.01 EUR"]


@pytest.mark.parametrize(("per_hour", "money"), [(-1.0, "EUR"), (float("nan"), "EUR"), (1.0, ""), (1.0, "x" * 13)])
def test_what_is_no_price_is_refused(ws: Workspace, per_hour: float, money: str) -> None:
    with pytest.raises(StudioError):
        prices.say(ws, per_hour, money, "ann")
