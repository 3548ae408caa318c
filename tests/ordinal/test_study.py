"""The study of rare categories: what its file says, and that its script makes it."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixstat.studies import Study

STUDIES = Path(__file__).parents[2] / "studies"
RESULTS = pd.read_csv(STUDIES / "ordinal.csv")
ABOUT = json.loads((STUDIES / "ordinal.json").read_text())


def test_shrunken_fits_are_better_than_both_others():
    """The paper's claim, in the median data set of every design."""
    assert ABOUT["replicates"] >= 40
    assert ABOUT["failures"] == 0
    assert len(RESULTS) == 9 * ABOUT["replicates"]
    for other in ("logistic", "proportional odds"):
        ratio = RESULTS["shrunken: mse"] / RESULTS[f"{other}: mse"]
        assert (ratio.groupby([RESULTS["design"], RESULTS["last"]]).median() < 1).all()
    assert (RESULTS["shrunken: converged"] == 1).all()
    shares = RESULTS[RESULTS["design"] == "sparse, 1/2"].groupby("last")["share"].mean()
    np.testing.assert_allclose(shares, [0.0117, 0.007, 0.0044], rtol=0.1)


@pytest.mark.slow
def test_the_script_makes_the_file():
    """Its first data set of one design; errors of the chosen penalty move with the last digits of its path."""
    script = runpy.run_path(str(STUDIES / "ordinal.py"))
    designs, cuts = list(script["DESIGNS"]), list(script["CUTS"])
    place = [(design, last) for design in designs for last in cuts].index(("sparse, 1/2", 5.0))
    study = Study(
        simulate=script["simulate"],
        fit=script["fit"],
        truth={f"{name}: mse": 0.0 for name in script["METHODS"]},
        replicates=1,
        seed=ABOUT["seed"],
        scenarios={"design": designs[: place // 3 + 1], "last": cuts[: place % 3 + 1]},
        relabel=False,
    )
    found = study.run(verbose=0).results().set_index("parameter")["estimate"]
    known = RESULTS.query("design == 'sparse, 1/2' and last == 5 and replicate == 0").iloc[0]
    for name in ("share", *(f"{method}: mse" for method in script["METHODS"])):
        assert found[name] == pytest.approx(known[name], rel=1e-3)


def test_probabilities_of_the_last_category_are_those_of_the_fit():
    script = runpy.run_path(str(STUDIES / "ordinal.py"))
    data = script["simulate"](np.random.default_rng(3), "sparse, 1/2", 5.0)
    for name, model in script["models"](20).items():
        if name == "shrunken":
            continue
        model.fit(data)
        np.testing.assert_allclose(script["rare_probability"](model, data), model.predict_proba(data)[:, -1], atol=1e-9)
