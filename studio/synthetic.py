"""What is asked for synthetic examples, and how they are spoken of: the pipeline's words and prompts, for nouns and pages."""

from __future__ import annotations

from pipeline.specs import Cell, Checks, SynthesisSpec, Work
from pipeline.synthesis.names import (
    DIFFICULTIES,
    FILLING,
    HARD_CASES,
    LANGUAGES,
    ON_SEEDS,
    PERSONAS,
    PLACEHOLDERS,
    REASONS,
    RUBRIC,
    SCENARIOS,
    TONES,
    WORKS,
    counted,
    language,
)
from pipeline.synthesis.prompts import DEFAULT as PROMPTS
from pipeline.synthesis.prompts import check as unusable

__all__ = ["DIFFICULTIES", "FILLING", "HARD_CASES", "LANGUAGES", "ON_SEEDS", "PERSONAS", "PLACEHOLDERS", "PROMPTS", "REASONS",
           "RUBRIC", "SCENARIOS", "TONES", "WORKS", "Cell", "Checks", "SynthesisSpec", "Work", "counted", "language",
           "unusable"]
