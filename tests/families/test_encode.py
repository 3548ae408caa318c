"""Responses are refused with the column's name, the number of rows, the first value, and what to do."""

import numpy as np
import pytest

from mixstat.exceptions import DataError
from mixstat.families import MultivariateGaussian, get_family

REFUSED = [
    ("gaussian", [0, np.inf, 1], "finite", "inf, row 1"),
    ("student_t", [0, -np.inf], "finite", "-inf, row 1"),
    ("lognormal", [1, 0.0, 2], "above 0", "0.0, row 1"),
    ("gamma", [1, 2, -3, 0], "above 0", "-3.0, row 2"),
    ("inverse_gaussian", [0.0], "above 0", "0.0, row 0"),
    ("beta", [0.5, 1.0], "between 0 and 1", "1.0, row 1"),
    ("poisson", [1, 2.5], "counts 0, 1, 2, ...", "2.5, row 1"),
    ("negative_binomial", [np.nan, -1, 4], "counts 0, 1, 2, ...", "-1.0, row 1"),
    ("binomial", [0, 1, 2], "0 or 1", "2.0, row 2"),
    ("categorical", [0, 3], "codes 0 to 2", "3.0, row 1"),
]


@pytest.mark.parametrize(("name", "y", "expected", "first"), REFUSED, ids=[r[0] for r in REFUSED])
def test_out_of_range(name: str, y: list, expected: str, first: str) -> None:
    family = get_family(name).specialize(["wage"], ["a", "b", "c"] if name == "categorical" else None)
    with pytest.raises(DataError) as caught:
        family.encode(np.array(y, dtype=float), "wage")
    message = str(caught.value)
    assert message.startswith(name)
    assert "column 'wage'" in message
    assert expected in message
    assert f"first: {first}" in message
    with pytest.raises(DataError, match="'wage'"):
        family.encode(np.ones((4, 3)), "wage")


def test_the_number_of_rows_is_told() -> None:
    with pytest.raises(DataError, match=r"holds 3 values that are not \(first: -1.0, row 1\)"):
        get_family("poisson").encode(np.array([0, -1, 0.5, np.inf]), "y")
    with pytest.raises(DataError, match="holds 1 value that is not"):
        get_family("poisson").encode(np.array([0, -1.0]), "y")


def test_text_is_refused() -> None:
    with pytest.raises(DataError, match="'y' does not hold numbers"):
        get_family("gaussian").encode(np.array(["a", "b"]), "y")


def test_binomial_takes_successes_and_trials() -> None:
    family = get_family("binomial")
    data = family.encode(np.array([[3, 10], [0, 4], [5, 5], [np.nan, 3], [0, 0]], dtype=float), "y")
    np.testing.assert_allclose(data[:2, :3], [[3, 0, 5], [10, 4, 5]])
    assert np.isnan(data[:, 3]).all()
    assert np.asarray(family.log_density((np.array([0.3]),), data))[4] == 0.0
    with pytest.raises(DataError, match=r"y\[successes\].*first: 5.0, row 1"):
        family.encode(np.array([[3, 10], [5, 4]], dtype=float), "y")
    with pytest.raises(DataError, match=r"y\[trials\].*first: 4.5, row 0"):
        family.encode(np.array([[3, 4.5]]), "y")


def test_several_responses_name_the_column_at_fault() -> None:
    family = MultivariateGaussian(("height", "weight"))
    with pytest.raises(DataError, match=r"column 'weight' holds 1 value.*row 1"):
        family.encode(np.array([[1.0, 2.0], [1.0, np.inf]]), "y")
    with pytest.raises(DataError, match="2 response columns"):
        family.encode(np.ones((3, 3)), "y")
    assert [p.name for p in family.parameters] == [
        "mean[height]",
        "mean[weight]",
        "sigma[height]",
        "sigma[weight]",
        "dependence[weight,height]",
    ]
    with pytest.raises(ValueError, match="full"):
        MultivariateGaussian(("a",), covariance="spherical")


def test_categorical_needs_two_levels() -> None:
    with pytest.raises(DataError, match="column 'party' has"):
        get_family("categorical").specialize(["party"], ["only"])
    with pytest.raises(DataError, match="column 'party' has"):
        get_family("categorical").specialize(["party"], None)
    family = get_family("categorical").specialize(["party"], np.array([3, 1, 2]))
    assert family.categories == (3, 1, 2)
    assert [p.name for p in family.parameters] == ["logit[1]", "logit[2]"]
    assert {p.key for p in family.parameters} == {"logit"}
