"""The achievement table is the study that its provenance describes: its shape, and its moments against the truth."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import mixstat as ms

TRUTH = json.loads((Path(__file__).parents[1] / "data" / "achievement.json").read_text(encoding="utf-8"))
OUTCOMES = ("math", "reading")
FACTORS = ("intercept", "slope1", "slope2")


@cache
def study():
    return ms.datasets.load_achievement()


@cache
def children():
    return study().drop_duplicates("child").set_index("child")


def gate():
    """(child, class) probabilities, written out."""
    table = children()
    level = table["parent_edu"]
    design = np.column_stack([np.ones(len(table)), table["ses"], level == "secondary", level == "tertiary"])
    odds = np.exp(design @ np.column_stack([np.zeros(4), TRUTH["gate"]["class 2"], TRUTH["gate"]["class 3"]]))
    return odds / odds.sum(axis=1, keepdims=True)


def loadings(grade, knot):
    """(occasion, factor) of the bilinear curve."""
    return np.column_stack([np.ones_like(grade), np.minimum(grade, knot), np.maximum(grade - knot, 0.0)])


def random_covariance():
    random = TRUTH["random_effects"]
    return np.array(random["correlations"]) * np.outer(random["standard_deviations"], random["standard_deviations"])


def moments(rows, number, knots=None):
    """Mean (row,) and covariance (row, row) of all scores of a child in class `number`, maths above reading."""
    means, designs = [], []
    for outcome in OUTCOMES:
        truth = TRUTH[outcome]
        design = loadings(rows["grade"].to_numpy(), (knots or truth["knot"])[number])
        factors = [truth[f][number] + truth["approach"][f][number] * rows["approach"].iloc[0] for f in FACTORS]
        means.append(design @ factors + truth["absences"] * rows["absences"].to_numpy())
        designs.append(design)
    zero = np.zeros_like(designs[0])
    design = np.block([[designs[0], zero], [zero, designs[1]]])
    variance = [TRUTH[outcome]["residual_variance"] for outcome in OUTCOMES]
    across = TRUTH["residual_correlation"] * np.sqrt(np.prod(variance))
    residual = np.kron([[variance[0], across], [across, variance[1]]], np.eye(len(rows)))
    return np.concatenate(means), design @ random_covariance() @ design.T + residual


def log_density(scores, mean, covariance):
    seen = np.isfinite(scores)
    gap, part = (scores - mean)[seen], covariance[np.ix_(seen, seen)]
    log_det = np.linalg.slogdet(part)[1]
    return -0.5 * (seen.sum() * np.log(2 * np.pi) + log_det + gap @ np.linalg.solve(part, gap))


def joint_log_density(outcomes=OUTCOMES, knots=None):
    """(child, class) log gate + log density of the scores at the truth; other knots on request."""
    log_joint = np.log(gate())
    for i, (_, rows) in enumerate(study().groupby("child")):
        scores = np.concatenate([rows[o].to_numpy() if o in outcomes else np.full(len(rows), np.nan) for o in OUTCOMES])
        log_joint[i] += [log_density(scores, *moments(rows, k, knots)) for k in range(3)]
    return log_joint


@cache
def standardised():
    """Rows with residuals from the mean over classes, over their standard deviations, and the truth's mean product."""
    table, shares, parts = study(), gate(), []
    for i, (_, rows) in enumerate(table.groupby("child")):
        n = len(rows)
        found = [moments(rows, number) for number in range(3)]
        means = np.array([mean.reshape(2, n) for mean, _ in found])
        variances = np.array([np.diag(covariance).reshape(2, n) for _, covariance in found])
        across = np.array([np.diag(covariance[:n, n:]) for _, covariance in found])
        mean = np.tensordot(shares[i], means, 1)
        between = means - mean
        spread = np.sqrt(np.tensordot(shares[i], variances + between**2, 1))
        product = shares[i] @ (across + between.prod(axis=1)) / spread.prod(axis=0)
        parts.append(np.vstack([(rows[list(OUTCOMES)].to_numpy().T - mean) / spread, product]))
    return table.assign(**dict(zip(["z_math", "z_reading", "product"], np.hstack(parts), strict=True)))


def test_the_study_is_as_described():
    table = study()
    assert table.shape == (4694, 14)
    assert list(children().index) == [f"c{i:03d}" for i in range(1, 501)]
    assert table.groupby("child")["grade"].apply(lambda t: (t.diff().dropna() > 0).all()).all()
    wave = table["grade"].round()
    assert (table.loc[wave == 0, "grade"] == 0).all()
    assert (table["grade"] - wave).abs().max() <= 0.25
    assert wave.max() == 9
    assert 1 - table["math"].count() / 5000 == pytest.approx(0.08, abs=0.01)
    assert table.drop(columns=list(OUTCOMES)).notna().all(axis=None)
    assert table.groupby("child")[list(OUTCOMES)].count().min(axis=None) >= 5
    assert (table.groupby("child")[list(children().columns[4:])].nunique() == 1).all(axis=None)
    assert table["math"].min() > 0
    assert table["math"].max() < 160


def test_covariates_follow_ses_as_described():
    table = children()
    assert table["ses"].corr(table["approach"]) == pytest.approx(0.3, abs=0.1)
    assert table.groupby("parent_edu")["ses"].mean().is_monotonic_increasing
    followers = table[["urban", "siblings", "preschool", "books"]].corrwith(table["ses"]).abs()
    assert (followers > 0.15).all()
    assert table["approach"].corr(table["motivation"]) == pytest.approx(0.4, abs=0.12)
    absences = study().groupby("child")["absences"]
    described = TRUTH["absences"]
    assert study()["absences"].mean() == pytest.approx(described["mean"], abs=0.3)
    assert absences.var().mean() == pytest.approx(described["variance_within_children"], abs=0.5)
    assert absences.mean().var() == pytest.approx(described["variance_between_children"] + 0.4, abs=1.0)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_mean_and_variance_of_every_wave_are_those_of_the_truth(outcome):
    table = standardised()
    by_wave = table.groupby(table["grade"].round())[f"z_{outcome}"]
    assert (by_wave.mean().abs() * np.sqrt(by_wave.count()) < 3.5).all()
    assert ((by_wave.var() - 1).abs() * np.sqrt(by_wave.count() / 2) < 3.5).all()


def test_only_the_covariates_with_effects_have_any():
    """A child's residuals from the truth hang together with no covariate; its raw scores do with ses and approach."""
    table, numbers = standardised(), children().assign(sex=children()["sex"] == "girl")
    raw = table.groupby("child")["math"].mean()
    for name in [*TRUTH["no_effect"], "ses", "approach"]:
        for outcome in OUTCOMES:
            residual = table.groupby("child")[f"z_{outcome}"].mean()
            assert abs(residual.corr(numbers[name].astype(float))) * np.sqrt(500) < 3.5, (name, outcome)
    assert raw.corr(numbers["ses"]) > 0.3
    assert raw.corr(numbers["approach"]) > 0.3


def test_classes_are_told_apart_but_not_all():
    """Entropy of the posterior at the truth."""
    log_joint = joint_log_density(("math",))
    log_posterior = log_joint - np.logaddexp.reduce(log_joint, axis=1)[:, None]
    posterior = np.exp(log_posterior)
    assert 0.6 < 1 + (posterior * log_posterior).sum() / (500 * np.log(3)) < 0.75
    assert posterior.mean(axis=0) == pytest.approx(gate().mean(axis=0), abs=0.05)


@pytest.mark.parametrize("shift", [(0.4, 0, 0), (-0.4, 0, 0), (0, 0.4, 0), (0, -0.4, 0), (0, 0, 0.4), (0, 0, -0.4)])
def test_the_likelihood_prefers_the_true_knots(shift):
    true = np.logaddexp.reduce(joint_log_density(("math",)), axis=1).sum()
    knots = list(np.add(TRUTH["math"]["knot"], shift))
    assert true > np.logaddexp.reduce(joint_log_density(("math",), knots), axis=1).sum() + 5


def test_outcomes_are_correlated_as_described():
    """The two outcomes of an occasion: classes, random effects and errors all take part."""
    table = standardised()
    excess = (table["z_math"] * table["z_reading"] - table["product"]).groupby(table["child"]).mean()
    assert table["product"].mean() > 0.4
    assert abs(excess.mean()) < 3.5 * excess.std() / np.sqrt(500)
