"""The classification table of a fitted mixture: how surely units are sorted into classes."""

from typing import NamedTuple

import pandas as pd

from mixstat.results.summary import Section, Summary


class ClassificationTable(NamedTuple):
    """How surely units are sorted into their most probable (modal) classes; prints as text, renders as HTML.

    classes             one row a class: units (modal members), modal_share, share (mean responsibility),
                        average_posterior (of the modal members) and odds_correct, the odds of correct classification
    average_posterior   (modal class, class), averages of responsibilities; NaN for a class without modal members
    errors              (class, modal class), P(modal class = s | class = t); rows sum to 1

    Nagin (2005) advises average posteriors above 0.7 and odds above 5 in every class.
    """

    classes: pd.DataFrame
    average_posterior: pd.DataFrame
    errors: pd.DataFrame

    def summary(self) -> Summary:
        """All three tables."""
        empty = self.classes.loc[self.classes["units"] == 0, "class"]
        notes = [f"class {name} is the most probable one of no unit" for name in empty]
        sections = [
            Section("Classes", self.classes),
            Section("Average posterior probabilities (rows: modal class)", _with_index(self.average_posterior)),
            Section("Classification errors, P(modal class | class) (rows: class)", _with_index(self.errors)),
        ]
        return Summary("Classification", [("Units", str(int(self.classes["units"].sum())))], sections, notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().to_html()


def _with_index(table: pd.DataFrame) -> pd.DataFrame:
    return table.reset_index().rename(columns=str)
