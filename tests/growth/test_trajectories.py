"""Trajectories, random coefficients and laws of occasions against dense normal algebra and written-out means."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from mixstat.exceptions import DataError, OptionError
from mixstat.inference import trajectories as kernels
from tests.growth import brute_force as bf
from tests.growth import fitted
from tests.growth.cases import COUNTS, Case

CASES = [
    Case("linear", ("intercept", "slope"), fixed=(2,)),
    Case("bilinear", ("intercept", "knot"), residual="ar1", effects=True),
    Case("", (0, 2), fixed=(0, 1), residual="brownian"),
    Case("linear", (), residual="occasion"),
]


def made(case):
    rng = np.random.default_rng(3)
    at, eta = case.occasions(rng), case.predictors(rng)
    return at, eta, case.family.write(at)


def dense(case, at, eta, i):
    """(seen, residual, V, psi, loadings, places of the random coefficients) of a subject, by the reference."""
    unit, columns = case.subject(at, i)
    reference = case.reference(eta[:, i], columns)
    values, mean, covariance = bf.unit_moments(unit, reference)
    loadings = bf.loading_matrix(reference.trajectory, unit.times)
    return values, mean, covariance, reference.psi, loadings


@pytest.mark.parametrize("case", CASES, ids=str)
def test_occasions_are_normal_with_the_reference_moments(case):
    at, eta, data = made(case)
    found = kernels.marginal_moments(case.family, eta, data)
    mean, spread = kernels.given_earlier(found, at.y, at.seen)
    for i in range(len(COUNTS)):
        seen = np.flatnonzero(at.seen[:, i] > 0)
        y, expected, covariance, *_ = dense(case, at, eta, i)
        assert_allclose(found.mean[seen, i], expected, rtol=1e-9)
        assert_allclose(found.covariance[np.ix_(seen, seen, [i])][..., 0], covariance, rtol=1e-8, atol=1e-10)
        for place, j in enumerate(seen):
            before = slice(0, place)
            weights = np.linalg.solve(covariance[before, before], covariance[before, place])
            assert mean[j, i] == pytest.approx(expected[place] + weights @ (y - expected)[before], abs=1e-8)
            rest = covariance[place, place] - weights @ covariance[before, place]
            assert spread[j, i] ** 2 == pytest.approx(rest, rel=1e-7)


@pytest.mark.parametrize("case", [case for case in CASES if case.random], ids=str)
def test_random_coefficients_are_conditional_moments(case):
    at, eta, data = made(case)
    found = kernels.random_coefficients(case.family, eta, data)
    moved = kernels.moved_means(case.family, eta, _first(case, data), found.deviation)
    for i in range(len(COUNTS)):
        y, mean, covariance, psi, loadings = dense(case, at, eta, i)
        cross = psi @ loadings.T
        zeta = cross @ np.linalg.solve(covariance, y - mean)
        spread = psi - cross @ np.linalg.solve(covariance, cross.T)
        places = np.flatnonzero(np.diag(psi) > 0)
        by_size = {round(float(np.diag(case.psi)[q]), 12): q for q in range(len(case.psi))}
        order = [by_size[round(float(psi[p, p]), 12)] for p in places]
        assert_allclose(found.deviation.mean[order, i], zeta[places], rtol=1e-7, atol=1e-10)
        block = found.deviation.covariance[np.ix_(order, order, [i])][..., 0]
        assert_allclose(block, spread[np.ix_(places, places)], rtol=1e-7, atol=1e-10)
        if at.seen[0, i] > 0:
            assert moved.mean[0, i] == pytest.approx(mean[0] + loadings[0] @ zeta, rel=1e-8)
            assert moved.covariance[0, 0, i] == pytest.approx(loadings[0] @ spread @ loadings[0], rel=1e-7)


def _first(case, data):
    """The first occasion alone."""
    at = case.family.read(data)
    return case.family.write(type(at)(at.y[:1], at.seen[:1], at.time[:1], at.columns[:, :1]))


def subjects():
    return fitted.table().groupby("child", sort=False)


def posterior():
    """(units, responsibilities) by dense densities."""
    classes, gate = fitted.values(fitted.mixture())
    units = [fitted.unit_of(rows) for _, rows in subjects()]
    share = bf.responsibilities(units, [c.reference() for c in classes], np.array([[0.0, 0.0], gate]))
    return units, share


def conditional(unit, parameters):
    """E[zeta | y] and V[zeta | y] in a class."""
    seen = ~np.isnan(unit.y)
    _, mean, covariance = bf.unit_moments(unit, parameters)
    cross = parameters.psi @ bf.loading_matrix(parameters.trajectory, unit.times)[seen].T
    inner = covariance[np.ix_(seen, seen)]
    centre = cross @ np.linalg.solve(inner, (unit.y - mean)[seen])
    return centre, parameters.psi - cross @ np.linalg.solve(inner, cross.T)


def test_random_effects():
    model = fitted.mixture()
    classes, _ = fitted.values(model)
    units, share = posterior()
    totals, deviations = model.random_effects(), model.random_effects(fitted.table(), deviations=True)
    assert list(totals) == [
        "child",
        *(f"{start}{name}" for name in ("intercept", "slope1", "slope2") for start in ("", "std_error_")),
    ]
    assert list(totals["child"]) == list(subjects().groups)
    for i in (0, 7, 42):
        found = [conditional(units[i], each.reference()) for each in classes]
        parts = [c.factors @ np.append(1.0, units[i].x) + z for c, (z, _) in zip(classes, found, strict=True)]
        mean = share[i] @ parts
        spread = sum(
            r * (w + np.outer(p - mean, p - mean)) for r, (_, w), p in zip(share[i], found, parts, strict=True)
        )
        assert_allclose(totals.iloc[i, [1, 3, 5]].to_numpy(float), mean, rtol=1e-6)
        assert_allclose(totals.iloc[i, [2, 4, 6]].to_numpy(float), np.sqrt(np.diag(spread)), rtol=1e-6)
        assert_allclose(
            deviations.iloc[i, [1, 3, 5]].to_numpy(float), share[i] @ [z for z, _ in found], rtol=1e-5, atol=1e-7
        )


def averages():
    """Responsibility-weighted means of approach and absences, (class,) each."""
    _, share = posterior()
    approach = subjects()["approach"].first().to_numpy()
    kept = fitted.table()[fitted.table()["math"].notna()]
    absences = kept.groupby("child", sort=False)["absences"].mean().to_numpy()
    return (share.T @ approach) / share.sum(axis=0), (share.T @ absences) / share.sum(axis=0)


TIMES = np.array([0.0, 1.5, 4.0, 8.5])


def errors(model, quantity):
    """Delta-method errors by central differences of `quantity(theta)`."""
    theta, covariance = model.tidy()["estimate"].to_numpy(), model.covariance()
    step = 1e-5 * np.sqrt(np.diag(covariance))
    lines = []
    for place, size in enumerate(step):
        move = np.zeros(len(theta))
        move[place] = size
        lines.append((quantity(theta + move) - quantity(theta - move)) / (2 * size))
    jacobian = np.stack(lines, axis=-1)
    return np.sqrt(np.einsum("...p,pq,...q->...", jacobian, covariance, jacobian))


def test_class_trajectories_at_average_covariates():
    model = fitted.mixture()
    approach, absences = averages()

    def means(theta):
        classes, _ = fitted.values_at(model, theta)
        return np.stack([c.mean(TIMES, a, v) for c, a, v in zip(classes, approach, absences, strict=True)])

    found = model.trajectories(times=TIMES)
    assert list(found["expert"]) == [1] * 4 + [2] * 4
    assert_allclose(found["mean"], means(model.tidy()["estimate"].to_numpy()).ravel(), rtol=1e-6)
    assert_allclose(found["std_error"], errors(model, means).ravel(), rtol=1e-4)
    half = norm.ppf(0.975) * found["std_error"]
    assert_allclose(found["conf_high"] - found["mean"], half, rtol=1e-12)
    draws = model.laplace_draws(3000, random_state=1)
    assert_allclose(found["std_error"], np.std([means(draw) for draw in draws], axis=0).ravel(), rtol=0.06)


def test_trajectories_of_profiles_need_neither_time_nor_gate():
    model = fitted.mixture()
    classes, _ = fitted.values(model)
    found = model.trajectories(pd.DataFrame({"approach": [-1.0, 1.0], "absences": [0.0, 6.0]}), TIMES)
    assert list(found) == ["rowid", "expert", "time", "mean", "std_error", "conf_low", "conf_high"]
    for row, (approach, absences) in enumerate([(-1.0, 0.0), (1.0, 6.0)]):
        for k, each in enumerate(classes, start=1):
            part = found[(found["rowid"] == row) & (found["expert"] == k)]
            assert_allclose(part["mean"], each.mean(TIMES, approach, absences), rtol=1e-9)
    with pytest.raises(DataError, match="approach"):
        model.trajectories(pd.DataFrame({"absences": [0.0]}), TIMES)


def test_overall_trajectory_averages_subjects():
    model = fitted.mixture()
    first = subjects().first()
    kept = fitted.table()[fitted.table()["math"].notna()]
    absences = kept.groupby("child", sort=False)["absences"].mean().to_numpy()

    def mean(theta):
        classes, gate = fitted.values_at(model, theta)
        second = 1 / (1 + np.exp(-(gate[0] + gate[1] * first["ses"].to_numpy())))
        pairs = list(zip(first["approach"], absences, strict=True))
        lines = [np.stack([each.mean(TIMES, a, v) for a, v in pairs]) for each in classes]
        return ((1 - second)[:, None] * lines[0] + second[:, None] * lines[1]).mean(axis=0)

    found = model.trajectories(times=TIMES, by="overall")
    assert_allclose(found["mean"], mean(model.tidy()["estimate"].to_numpy()), rtol=1e-8)
    assert_allclose(found["std_error"], errors(model, mean), rtol=1e-4)


def test_default_times_span_the_data():
    found = fitted.mixture().trajectories()
    grade = fitted.table().loc[fitted.table()["math"].notna(), "grade"]
    assert (found["time"].min(), found["time"].max()) == (grade.min(), grade.max())


def test_predict_over_time():
    model = fitted.mixture()
    classes, gate = fitted.values(model)
    rows = pd.DataFrame({"approach": [0.5], "absences": [2], "ses": [-1.0]})
    found = model.predict(rows, times=TIMES)
    means = [each.mean(TIMES, 0.5, 2.0) for each in classes]
    second = 1 / (1 + np.exp(-(gate[0] - gate[1])))
    assert_allclose(found[["expert_1", "expert_2"]].to_numpy().T, means, rtol=1e-9)
    assert_allclose(found["mean"], (1 - second) * means[0] + second * means[1], rtol=1e-9)
    with pytest.raises(OptionError, match="kind='mean'"):
        model.predict(rows, times=TIMES, kind="density")


def test_new_subjects_are_predicted_from_what_was_seen_of_them():
    """Future times given four occasions: the conditional mean of the joint normal in each class."""
    model = fitted.mixture()
    classes, gate = fitted.values(model)
    rows = fitted.table(140)
    rows = rows[rows["child"] == rows["child"].unique()[-1]].iloc[:4]
    unit = fitted.unit_of(rows)
    references = [each.reference() for each in classes]
    share = bf.responsibilities([unit], references, np.array([[0.0, 0.0], gate]))[0]
    later = np.array([6.0, 8.0])
    expected, second = np.zeros(2), np.zeros(2)
    for r, each, reference in zip(share, classes, references, strict=True):
        zeta, spread = conditional(unit, reference)
        loadings = bf.loading_matrix(reference.trajectory, later)
        mean = each.mean(later, unit.x[0], unit.v.mean()) + loadings @ zeta
        expected += r * mean
        second += r * (np.einsum("ja,ab,jb->j", loadings, spread, loadings) + mean**2)
    found = model.predict(rows, times=later, kind="subject")
    assert_allclose(found["mean"], expected, rtol=1e-7)
    assert_allclose(found["std_error"], np.sqrt(second - expected**2), rtol=1e-5)
    blank = pd.concat([rows, rows.iloc[-1:].assign(grade=6.0, math=np.nan)])
    assert model.predict(blank, kind="subject").shape == (5,)
    assert_allclose(model.predict(blank, kind="subject")[:4], model.predict(rows, kind="subject"), rtol=1e-9)


def test_augment_keeps_rows_without_a_response():
    model, rows = fitted.mixture(), fitted.table()
    found = model.augment(rows)
    assert len(found) == len(rows)
    seen = rows["math"].notna()
    assert found.loc[seen, ["residual", "residual_subject"]].notna().all(axis=None)
    assert found.loc[~seen, "residual"].isna().all()
    assert_allclose(found["fitted"], model.predict(rows), rtol=1e-12)
    assert_allclose(found["fitted_subject"], model.predict(rows, kind="subject"), rtol=1e-12)
    assert_allclose(found.loc[seen, "residual"], (rows["math"] - found["fitted"])[seen], rtol=1e-9)
    assert found.loc[seen, "residual_subject"].std() < 0.5 * found.loc[seen, "residual"].std()
    unit = pd.factorize(rows["child"])[0]
    assert_allclose(found["responsibility_2"], posterior()[1][unit, 1], atol=1e-6)


def seen_rows():
    return fitted.table()[fitted.table()["math"].notna()]


def test_scores_of_a_subject_add_up_to_its_density():
    model = fitted.mixture()
    rows = seen_rows().sample(frac=1.0, random_state=2)
    scores = model.scores(rows)
    total = scores.groupby(pd.factorize(rows["child"])[0])["log_score"].sum()
    assert_allclose(-total, model.predict(rows, kind="log_density"), rtol=1e-8)


def test_distribution_of_an_occasion():
    """A mixture of two normals whose variances hold the random coefficients."""
    model = fitted.mixture()
    classes, gate = fitted.values(model)
    rows = seen_rows().iloc[[3, 50]]
    u = []
    for _, row in rows.iterrows():
        second = 1 / (1 + np.exp(-(gate[0] + gate[1] * row["ses"])))
        tails = []
        for each in classes:
            loading = bf.loading_matrix(each.reference().trajectory, np.array([row["grade"]]))[0]
            deviation = np.sqrt(loading @ each.psi @ loading + each.variance)
            mean = each.mean(row["grade"], row["approach"], row["absences"])
            tails.append(norm.cdf(row["math"], mean, deviation))
        u.append((1 - second) * tails[0] + second * tails[1])
    assert_allclose(model.cdf(rows), u, rtol=1e-8)
    assert_allclose([model.quantile(rows, q)[i] for i, q in enumerate(u)], rows["math"], rtol=1e-6)
    assert (model.prediction_interval(rows)["lower"] < model.prediction_interval(rows)["upper"]).all()
    residuals = model.quantile_residuals(seen_rows(), random_state=1)
    assert abs(residuals.mean()) < 0.12
    assert residuals.std() == pytest.approx(1.0, abs=0.12)
    with pytest.raises(OptionError, match="sequential"):
        model.cdf(rows, weights="responsibilities")
    with pytest.raises(DataError, match="missing in"):
        model.scores(fitted.table())


def test_rates_of_change_and_effects_of_occasions():
    model = fitted.mixture()
    classes, _ = fitted.values(model)
    rows = seen_rows().iloc[[0, 4, 9]]
    found = model.marginal_effects(rows, ["grade", "absences"], target="expert_mean", by=None)
    for k, each in enumerate(classes, start=1):
        slopes = each.factors @ np.stack([np.ones(3), rows["approach"]])
        expected = np.where(rows["grade"] < each.knot, slopes[1], slopes[2])
        part = found[(found["expert"] == k) & (found["term"] == "grade")]
        assert_allclose(part["estimate"], expected, rtol=1e-8)
        part = found[(found["expert"] == k) & (found["term"] == "absences")]
        assert_allclose(part["estimate"], each.absences, rtol=1e-8)
    later = model.contrasts(rows, {"grade": (0, 2)}, target="expert_mean", by=None)
    expected = [each.mean(2.0, a) - each.mean(0.0, a) for each in classes for a in rows["approach"]]
    assert_allclose(later["estimate"], expected, rtol=1e-8)


def test_responsibilities_with_errors_have_a_row_a_subject():
    model = fitted.mixture()
    found = model.predictions(fitted.table(), target="responsibility")
    assert list(found["child"][:100]) == list(subjects().groups)
    assert_allclose(found["estimate"].to_numpy().reshape(2, -1).T, posterior()[1], atol=1e-6)
    with pytest.raises(OptionError, match="by="):
        model.predictions(fitted.table(), target="responsibility", by=True)


def test_other_labels():
    model = fitted.mixture()
    other = model.relevel(2)
    assert_allclose(other.responsibilities(fitted.table())[:, ::-1], posterior()[1], atol=1e-6)
    errors = model.tidy().set_index(["expert", "parameter", "term"])["std_error"]
    turned = other.tidy().set_index(["expert", "parameter", "term"])["std_error"]
    names = [name for name in errors.index if name[1] != "gate"]
    swapped = [(3 - name[0], *name[1:]) for name in names]
    assert_allclose(turned[swapped].to_numpy(), errors[names].to_numpy(), rtol=1e-6)


def test_columns_as_growth_factors():
    """A spline whose columns follow the time, one class."""
    model = fitted.alone()
    rows = fitted.table(60)
    profile = rows.iloc[[0]].drop(columns=["child", "grade"]).assign(absences=2)
    found = model.trajectories(profile, TIMES)
    expected = model.predict(pd.concat([profile.assign(grade=t) for t in TIMES]))
    assert_allclose(found["mean"], expected, rtol=1e-10)
    assert_allclose(model.predict(profile, times=TIMES)["mean"], expected, rtol=1e-10)
    effects = model.random_effects()
    assert list(effects) == ["child", "Intercept", "std_error_Intercept"]
    assert (effects["std_error_Intercept"] > 0).all()
    seen = rows[rows["math"].notna()]
    total = model.scores(seen).groupby(pd.factorize(seen["child"])[0])["log_score"].sum()
    assert_allclose(-total, model.predict(seen, kind="log_density"), rtol=1e-8)
