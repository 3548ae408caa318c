"""An interrupt keeps what is found, says so, and ends work that has several fits at once."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.core.kernel import kernel
from mixstat.estimators.mixture import MixtureOfExperts
from mixstat.fit.options import Options
from mixstat.fit.search import Search
from tests.inference.conftest import make_mixture


class Spec:
    """Comparing it is where the interrupt lands."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise KeyboardInterrupt


def test_a_kernel_does_not_compare_a_spec_with_itself():
    spec, shifted = Spec(), kernel(lambda spec, x: x + 1)
    assert [float(shifted(spec, jnp.zeros(()))) for _ in range(3)] == [1.0] * 3


@pytest.fixture
def interrupt(monkeypatch):
    """interrupt(n): Ctrl-C in the n-th search, when one of its starts is done."""

    def arm(number: int) -> None:
        begun: list[Search] = []
        begin = Search.begin

        def counted(search: Search, kind: str, theta: np.ndarray) -> None:
            if search not in begun:
                begun.append(search)
            if len(begun) == number and search.candidates:
                raise KeyboardInterrupt
            begin(search, kind, theta)

        monkeypatch.setattr(Search, "begin", counted)

    return arm


@pytest.mark.parametrize("above", [1000, 10_000])
def test_a_fit_keeps_its_best_start_also_one_on_a_subset(frame, interrupt, monkeypatch, above):
    data = pd.concat([frame] * 4, ignore_index=True)
    monkeypatch.setattr(MixtureOfExperts, "_options", lambda model: Options(n_init=4, verbose=0, screen_above=above))
    whole = make_mixture().fit(data)
    interrupt(1)
    with pytest.warns(ms.ConvergenceWarning, match="fit was interrupted"):
        cut = make_mixture().fit(data)
    assert cut.status_.endswith("interrupted: the best so far")
    assert len(cut.starts_) == 1
    assert whole.log_likelihood_ - 100 < cut.log_likelihood_ < whole.log_likelihood_ + 1e-6
    assert np.isfinite(cut.predict(data)).all()


def test_the_bootstrap_test_ends_and_keeps_whole_replicates(frame, interrupt):
    """The observed data take two searches, a replicate three."""
    model = make_mixture(n_init=2).fit(frame)
    settings = {"replicates": 5, "n_init": 2, "random_state": 0}
    whole = ms.bootstrap_lrt(model, **settings)
    for number in (1, 2, 4):
        interrupt(number)
        with pytest.raises(KeyboardInterrupt):
            ms.bootstrap_lrt(model, **settings)
    interrupt(2 + 3 + 2)
    with pytest.warns(ms.ConvergenceWarning, match=r"bootstrap_lrt\(\) was interrupted: 1 of 5"):
        cut = ms.bootstrap_lrt(model, **settings)
    assert cut.statistic == whole.statistic
    np.testing.assert_array_equal(cut.replicates, whole.replicates[:1])


def test_selection_keeps_the_numbers_that_are_done(frame, interrupt):
    interrupt(2)
    with pytest.warns(ms.ConvergenceWarning, match=r"select\(\) was interrupted: 1 of 3"):
        cut = ms.select(make_mixture(), frame, n_experts=[1, 2, 3])
    assert cut.table["n_experts"].tolist() == list(cut.models) == [1]
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        ms.select(make_mixture(), frame, n_experts=[2, 3])


def test_a_path_of_penalties_keeps_what_is_done(frame, interrupt, monkeypatch):
    carry, calls = Search.carry, []

    def counted(search: Search, budget: int) -> None:
        calls.append(search)
        if len(calls) == 4:
            raise KeyboardInterrupt
        carry(search, budget)

    monkeypatch.setattr(Search, "carry", counted)
    with pytest.warns(ms.ConvergenceWarning, match=r"penalty_path\(\) was interrupted: 2 of 5"):
        cut = ms.penalty_path(make_mixture(), frame, n_penalties=5)
    assert len(cut.table) == len(cut.models) == 2
    calls.clear()
    calls += [None] * 3
    with pytest.raises(KeyboardInterrupt):
        ms.penalty_path(make_mixture(), frame, n_penalties=5)


def test_vuongs_test_ends(frame, interrupt):
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        ms.vuong_test(make_mixture(), frame)
