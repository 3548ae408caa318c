"""Tables of a study: every estimate, every replicate, the measures, and the measures side by side for print."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError, OptionError
from mixstat.studies.design import Truth
from mixstat.studies.estimates import KEYS, VALUES, keys_of, name_of
from mixstat.studies.measures import MEASURES, RATES, Measure, measures_of, rate, sample_of
from mixstat.studies.replicate import Record

PRINTED = ("bias", "empirical_se", "model_se", "coverage")


def results_table(records: Iterable[Record], scenarios: Sequence[Mapping], truths: Sequence[Truth]) -> pd.DataFrame:
    """One row an estimate of every replicate that gave any: scenario columns, replicate, method, key, values, truth."""
    rows = [
        (record["scenario"], record["replicate"], result["method"], *row, true, result["converged"])
        for record in records
        for result in record["results"]
        for row, true in zip(result["rows"], _true_values(result, truths[record["scenario"]]), strict=True)
    ]
    columns = ["scenario", "replicate", "method", *KEYS, *VALUES, "truth", "converged"]
    types = {**dict.fromkeys([*VALUES, "truth"], float), "expert": "Int64", "converged": bool}
    table = pd.DataFrame(rows, columns=columns).astype(types)
    table["expert"] = table["expert"].replace(0, pd.NA)
    return _with_scenarios(table, scenarios)


def _true_values(result: Mapping[str, Any], truth: Truth) -> list[float]:
    return truth.align([tuple(row[: len(KEYS)]) for row in result["rows"]]).tolist()


def runs_table(records: Iterable[Record], scenarios: Sequence[Mapping]) -> pd.DataFrame:
    """One row a replicate and method: converged, status, order of the classes, seconds, error (None where it ran)."""
    rows = []
    for record in records:
        head = {name: record[name] for name in ("scenario", "replicate", "seconds", "error")}
        if record["error"] is not None:
            rows.append({**head, "method": None, "converged": False, "status": None, "order": None})
        for result in record["results"]:
            rows.append(
                {**head, **{n: result[n] for n in ("method", "converged", "status")}, "order": tuple(result["order"])}
            )
    columns = ["scenario", "replicate", "method", "converged", "status", "order", "seconds", "error"]
    return _with_scenarios(pd.DataFrame(rows, columns=columns), scenarios)


def _with_scenarios(table: pd.DataFrame, scenarios: Sequence[Mapping]) -> pd.DataFrame:
    """Columns of the scenarios' arguments after the scenario's number, which counts from 1."""
    names = list(dict.fromkeys(name for scenario in scenarios for name in scenario))
    numbers = table["scenario"].astype(int)
    for place, name in enumerate(names, start=1):
        values = [_shown(scenario.get(name)) for scenario in scenarios]
        table.insert(place, name, pd.Series([values[n] for n in numbers], index=table.index))
    table["scenario"] = numbers + 1
    return table


def _shown(value: Any) -> Any:
    return value if value is None or np.isscalar(value) else str(value)


def measures_table(
    results: pd.DataFrame, runs: pd.DataFrame, level: float, *, converged_only: bool = False
) -> pd.DataFrame:
    """One row a scenario, method, parameter and measure; rates of a whole fit have no parameter."""
    if not len(runs):
        raise DataError("the study has no replicates yet; call run()")
    if not len(results):
        first = runs["error"].iloc[0]
        raise DataError(f"all {len(runs)} replicates failed, the first with: {first}")
    return pd.concat([_of_parameters(results, level, converged_only=converged_only), _of_fits(runs)], ignore_index=True)


def _heads(table: pd.DataFrame) -> list[str]:
    """The scenario's number and its arguments."""
    return list(table.columns[: table.columns.get_loc("replicate")])


def _of_parameters(results: pd.DataFrame, level: float, *, converged_only: bool) -> pd.DataFrame:
    heads, rows = _heads(results), []
    for _, part in results.groupby(["scenario", "method", *KEYS], sort=False, dropna=False):
        used = part[part["converged"]] if converged_only else part
        first = part.iloc[0]
        known = {name: first[name] for name in [*heads, "method", *KEYS, "truth"]}
        excluded, truth = len(part) - len(used), float(first["truth"])
        rows += [
            {**known, **found._asdict(), "excluded": excluded} for found in measures_of(sample_of(used, level, truth))
        ]
    columns = [*heads, "method", *KEYS, "truth", *Measure._fields, "excluded"]
    return pd.DataFrame(rows, columns=columns).astype({"expert": "Int64"})


def _of_fits(runs: pd.DataFrame) -> pd.DataFrame:
    """Convergence and label switches of the fits that ran, by method; failures of all replicates."""
    heads, rows = _heads(runs), []
    for _, part in runs.groupby("scenario", sort=False):
        known = {name: part.iloc[0][name] for name in heads}
        replicates = part.drop_duplicates("replicate")
        failed = replicates["error"].notna().to_numpy()
        for method, ran in part[part["error"].isna()].groupby("method", sort=False):
            switched = np.array([order != tuple(range(1, len(order) + 1)) for order in ran["order"]])
            for name, events in zip(RATES, (ran["converged"].to_numpy(bool), failed, switched), strict=True):
                rows.append({**known, "method": method, **rate(name, events)._asdict(), "excluded": 0})
        if failed.all():
            rows.append({**known, **rate("failure", failed)._asdict(), "excluded": 0})
    return pd.DataFrame(rows)


def unknown_truths(results: pd.DataFrame, truths: Sequence[Truth]) -> Iterator[str]:
    """Names with a true value that no replicate of their scenario estimated."""
    for number, part in results.groupby("scenario"):
        seen = set(keys_of(part[list(KEYS)].drop_duplicates()))
        yield from (name_of(key) for key in truths[int(number) - 1].keys or () if key not in seen)


def wide(table: pd.DataFrame, names: Sequence[str], digits: int) -> pd.DataFrame:
    """Measures of parameters side by side as text, "value (mcse)", one row a scenario, method and parameter."""
    shown = table[table["parameter"].notna()]
    known = [name for name in MEASURES if name in set(shown["measure"])]
    for name in names:
        if name not in known:
            raise OptionError(
                f"{name!r} is no measure of a parameter in this study; expected some of {', '.join(known)}"
            )
    heads = list(shown.columns[: shown.columns.get_loc("truth")])
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in shown.to_dict("records"):
        mine = rows.setdefault(tuple(str(row[name]) for name in heads), {name: row[name] for name in [*heads, "truth"]})
        mine[row["measure"]] = f"{row['value']:.{digits}f} ({row['mcse']:.{digits}f})"
    found = pd.DataFrame(list(rows.values()), columns=[*heads, "truth", *names])
    found[list(names)] = found[list(names)].fillna("")
    return found
