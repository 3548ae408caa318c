"""Ordinal: ordered categories by cumulative, stopping-ratio and adjacent-category logits and their links."""

from mixstat.families.ordinal.family import Ordinal
from mixstat.families.ordinal.links import LINKS

__all__ = ["LINKS", "Ordinal"]
