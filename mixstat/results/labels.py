"""Names of coefficients."""

from typing import NamedTuple


class Label(NamedTuple):
    """One coefficient: `expert` is 1-based, 0 where it is shared by all experts; `link` is its predictor's."""

    expert: int
    parameter: str
    term: str
    link: str
