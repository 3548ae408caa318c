"""Study: a simulation study, from scenarios to performance measures with Monte-Carlo standard errors."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from mixstat.estimators.model.checks import choice, integer, verbosity
from mixstat.estimators.model.checks import level as checked_level
from mixstat.exceptions import DataError, OptionError
from mixstat.studies import plots, tables
from mixstat.studies.design import Design, expand_scenarios, read_truth
from mixstat.studies.replicate import Batch, Record, Work
from mixstat.studies.running import batch_size, run_batches
from mixstat.studies.store import Store


class Study:
    """Simulate and fit over and over, and measure how good the estimates are.

    Parameters
    ----------
    simulate : function (rng, **scenario) -> data
        Draws one data set with the numpy Generator it is given, and with no other random numbers.
    fit : function (data, **scenario) -> estimates
        Any program's fit: a fitted mixstat estimator; a data frame with the columns parameter, estimate and std_error
        (and expert, term, conf_low, conf_high where they apply); a mapping of names to (estimate, std_error);
        `studies.Estimates`; or a list of `Estimates` with a `method` each, such as `studies.wald(model, "robust")`.
        Where it draws random numbers itself, give it a fixed random_state.
    truth : function (**scenario), mapping, table or array
        True values by (expert, parameter, term) or "1:mean:x", a table with the columns expert, parameter, term and
        value, or an array in the order of the fit's table.
    replicates : int
        Data sets a scenario. May grow: `run` then does only what is new.
    seed : int
        Replicate r of scenario s draws from child (s, r) of `SeedSequence(seed)`: the figures do not depend on the
        order, the number of jobs or the backend.
    scenarios : mapping of lists, or list of mappings
        All combinations of the lists, or the mappings themselves; their entries are arguments of the functions.
    level : float
        Confidence level of Wald intervals.
    directory : path, optional
        Where replicates are kept as they are done. A later study of the same design continues there; one with other
        scenarios, seed or true values is refused. Changes inside the functions are not noticed.
    relabel : bool
        Match the experts of every fit to the truth by the permutation that is nearest in units of standard errors.
        Where labels are known, False.

    Notes
    -----
    A replicate that raises is kept with its reason (`failures()`), a fit that did not converge with its status.
    Reference: Morris, White and Crowther (2019), Statistics in Medicine 38, 2074-2102.
    """

    def __init__(
        self,
        *,
        simulate: Callable[..., Any],
        fit: Callable[..., Any],
        truth: Any,
        replicates: int,
        seed: int,
        scenarios: Mapping[str, Sequence] | Sequence[Mapping[str, Any]] | None = None,
        level: float = 0.95,
        directory: str | os.PathLike | None = None,
        relabel: bool = True,
    ):
        for name, function in (("simulate", simulate), ("fit", fit)):
            if not callable(function):
                raise OptionError(f"{name} must be a function, got {type(function).__name__}")
        self.replicates, self.level = integer("replicates", replicates, 1), checked_level(level)
        expanded = expand_scenarios(scenarios)
        truths = [read_truth(truth, scenario) for scenario in expanded]
        self.design = Design(integer("seed", seed, 0), expanded, truths)
        self._work = Work(simulate, fit, self.design.seed, bool(relabel))
        self._store = Store(self.design, directory)

    def run(self, n_jobs: int | None = 1, *, batch: int | None = None, verbose: int = 1) -> "Study":
        """Run the replicates that are not done yet.

        `n_jobs` above 1 (or -1) uses joblib's processes; None takes number and backend from `joblib.parallel_config`,
        and so a Dask or Ray cluster. Each worker compiles for itself: it pays for long studies. `batch` is the number
        of replicates a task. An interrupt is passed on and loses only what has not come back.
        """
        todo = self._todo()
        size = batch_size(len(todo), n_jobs) if batch is None else integer("batch", batch, 1)
        from tqdm.auto import tqdm

        total = self.replicates * len(self.design.scenarios)
        hidden = verbosity(verbose) < 1
        with tqdm(total=total, initial=total - len(todo), desc="replicates", delay=1.0, disable=hidden) as bar:

            def keep(records: list[Record]) -> None:
                self._store.keep(records)
                bar.update(len(records))

            run_batches(self._work, self._batches(todo, size), n_jobs, keep)
        return self

    def _todo(self) -> list[tuple[int, int]]:
        """(scenario, replicate) that are not done."""
        every = ((s, r) for s in range(len(self.design.scenarios)) for r in range(self.replicates))
        return [place for place in every if place not in self._store.records]

    def _batches(self, todo: Sequence[tuple[int, int]], size: int) -> list[Batch]:
        batches = []
        for number, (scenario, truth) in enumerate(zip(self.design.scenarios, self.design.truths, strict=True)):
            mine = [replicate for s, replicate in todo if s == number]
            batches += [Batch(number, scenario, truth, mine[i : i + size]) for i in range(0, len(mine), size)]
        return batches

    def _records(self) -> list[Record]:
        """In the order of scenarios and replicates, however they came."""
        records = self._store.records
        return [records[place] for place in sorted(records) if place[1] < self.replicates]

    def results(self) -> pd.DataFrame:
        """Every estimate, in the labels of the truth: one row a replicate, method and parameter."""
        return tables.results_table(self._records(), self.design.scenarios, self.design.truths)

    def runs(self) -> pd.DataFrame:
        """Every replicate: whether it converged, its status, the classes' order against the truth, seconds, error."""
        return tables.runs_table(self._records(), self.design.scenarios)

    def failures(self) -> pd.DataFrame:
        """The replicates that raised, with the exception's type and message."""
        runs = self.runs()
        return (
            runs[runs["error"].notna()].drop(columns=["method", "converged", "status", "order"]).reset_index(drop=True)
        )

    def measures(self, *, converged_only: bool = False) -> pd.DataFrame:
        """Performance by scenario, method and parameter in long form (`mixstat.studies.measures` has the formulas).

        Fits that did not converge count unless `converged_only`, and `excluded` then says how many are left out.
        Replicates that raised have no estimates: their share is the measure `failure`.
        """
        results = self.results()
        found = tables.measures_table(results, self.runs(), self.level, converged_only=converged_only)
        unknown = list(dict.fromkeys(tables.unknown_truths(results, self.design.truths)))
        if unknown:
            seen = sorted(set(map(tables.name_of, tables.keys_of(results))))
            raise DataError(
                f"truth names {', '.join(unknown)}, which no fit estimated; fits estimated {', '.join(seen)}"
            )
        return found

    def table(
        self, measures: Sequence[str] = tables.PRINTED, *, digits: int = 3, converged_only: bool = False
    ) -> pd.DataFrame:
        """Measures side by side as text, with Monte-Carlo standard errors in brackets."""
        return tables.wide(self.measures(converged_only=converged_only), measures, digits)

    def plot(self, kind: str = "coverage", *, ax: Any = None, **choose: Any) -> Any:
        """Draw "bias", "coverage", "zip" or "estimates" on `ax` (a new figure's if None), which is returned.

        `choose` picks rows by the columns of `measures()` or `results()`, such as parameter="mean", term="x", n=300.
        """
        source = self.measures() if choice("kind", kind, plots.KINDS) in plots.OF_MEASURES else self.results()
        return plots.draw(kind, plots.pick(source, choose), level=self.level, ax=ax)
