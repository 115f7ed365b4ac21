"""Charts of the report as SVG, drawn by hand so that one file holds everything. Pure; every word from data is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = {"better": "#2f9563", "worse": "#cf5860", "inconclusive": "#b97a14", "no difference worth having": "#7d8a8d"}
WIDTH, LEFT, RIGHT, ROW = 760, 250, 150, 30


@dataclass(frozen=True)
class Bar:
    """One interval: what it is of, its value and ends, the word that colours it, and the numbers beside it."""

    name: str
    value: float
    low: float
    high: float
    word: str
    said: str


def intervals(bars: Sequence[Bar], title: str, axis: str) -> str:
    """Differences with their intervals against zero, one row each; the word stands beside the bar, not only its colour."""
    ends = [end for bar in bars for end in (bar.low, bar.high, bar.value) if math.isfinite(end)] + [0.0]
    low, high = min(ends), max(ends)
    spread = (high - low) or 1.0
    low, high = low - 0.06 * spread, high + 0.06 * spread

    def x(value: float) -> float:
        value = min(max(value, low), high)
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    height = 34 + ROW * len(bars) + 34
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
             f'aria-label="{_escaped(title)}"><title>{_escaped(title)}</title>',
             f'<text x="0" y="18" class="head">{_escaped(title)}</text>',
             f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="28" y2="{height - 30}" class="zero"/>']
    for place, bar in enumerate(bars):
        y = 34 + ROW * place + ROW / 2
        colour = COLOURS.get(bar.word, "#7d8a8d")
        parts += [f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{_escaped(_short(bar.name))}</text>',
                  f'<line x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
                  'stroke-width="3"/>',
                  f'<circle cx="{x(bar.value):.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
                  f'<text x="{WIDTH - RIGHT + 10}" y="{y + 4:.1f}" class="said">{_escaped(bar.said)}</text>']
    for value in ticks(low, high):
        parts.append(f'<text x="{x(value):.1f}" y="{height - 16}" text-anchor="middle" class="tick">{value:+g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{height - 2}" text-anchor="middle" class="tick">'
                 f'{_escaped(axis)}</text></svg>')
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends, about five, zero among them where it lies between."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= 6)
    first = math.ceil(low / step)
    return [round(place * step, 10) + 0.0 for place in range(first, math.floor(high / step) + 1)]


def _short(text: str, most: int = 36) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _escaped(text: str) -> str:
    return html.escape(text)
