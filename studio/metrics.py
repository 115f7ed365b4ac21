"""What scores are called and what they run over, and the general suite's kinds: the pipeline's words, for nouns and pages."""

from __future__ import annotations

from pipeline.scoring.names import METRICS, NAMES, OWN, Metric, default_primary, in_order, of, suited, title
from pipeline.scoring.probes import KINDS, PREFIX, kind_of

__all__ = ["KINDS", "METRICS", "NAMES", "OWN", "PREFIX", "Metric", "default_primary", "in_order", "kind_of", "of", "suited",
           "title"]
