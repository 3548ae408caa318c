"""Growth: a subject's occasions as one row, a mixed model around a growth curve."""

from mixstat.families.growth.family import Growth
from mixstat.families.growth.mixed import Occasions

__all__ = ["Growth", "Occasions"]
