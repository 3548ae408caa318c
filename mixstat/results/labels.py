"""Names of coefficients."""

from typing import NamedTuple


class Label(NamedTuple):
    """One coefficient: `expert` is 1-based, 0 where it is shared by all experts; `link` is its predictor's."""

    expert: int
    parameter: str
    term: str
    link: str

    @property
    def name(self) -> str:
        """What hypotheses call it, "expert:parameter:term": "1:mean:x", "2:gate:z", "shared:sigma:Intercept"."""
        return f"{self.expert or 'shared'}:{self.parameter}:{self.term}"
