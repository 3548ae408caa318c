"""(g) Models of flexmix's data sets: ours, flexmix's, and the known maximum (by others, gradient below 1e-5).

The data are read through the installed R package at run time; nothing of them is stored here.
"""

import warnings
from pathlib import Path

import pandas as pd
from timing import Row, arguments, clock, has_r, report, run_r, scratch, single_thread

MAXIMA = {
    "npreg": -642.532014,
    "npreg_joint": -1044.755549,
    "npreg_joint_gate": -1044.711956,
    "npreg_grouped": -561.553688,
    "patent_gate2": -218.490769,
    "patent_gate3": -197.675021,
    "fabricfault": -84.888200,
    "fabricfault_common": -86.331087,
    "seizure": -376.176205,
    "betablocker2": -181.330823,
    "betablocker3": -159.360520,
    "betablocker4": -155.753904,
    "betablocker_varying": -158.309480,
    "salmonella": -60.907071,
    "trypanosome": -177.368568,
    "biochemists": -1561.070871,
}
"""Known maxima, from independent maximisers (none of them flexmix, whose Gaussian fits are not maxima)."""


def models() -> dict:
    """name -> (data set, unfitted model)."""
    import mixstat as ms

    def poisson(formula: str, **options) -> ms.Regression:
        return ms.Regression(formula, family="poisson", **options)

    def deaths(**options) -> ms.Regression:
        return ms.Regression("cbind(Deaths, Survived) ~ Treatment", family="binomial", unit="Center", **options)

    quadratic = ms.Regression("yn ~ x + I(x**2)")
    joint = ms.Joint([quadratic, poisson("yp ~ x")])
    trypanosome = ms.Regression("Dead ~ log(Dose)", family="binomial", shared=["log(Dose)"])
    specified = {
        "npreg": ("NPreg", quadratic, {}),
        "npreg_joint": ("NPreg", joint, {}),
        "npreg_joint_gate": ("NPreg", joint, {"gate": "~ yb"}),
        "npreg_grouped": ("NPreg", quadratic, {"unit": "id2"}),
        "patent_gate2": ("patent", poisson("Patents ~ lgRD"), {"gate": "~ RDS"}),
        "patent_gate3": ("patent", poisson("Patents ~ lgRD"), {"gate": "~ RDS", "n_experts": 3}),
        "fabricfault": ("fabricfault", poisson("Faults ~ log(Length)"), {}),
        "fabricfault_common": ("fabricfault", poisson("Faults ~ log(Length)", shared=["log(Length)"]), {}),
        "seizure": ("seizure", poisson("Seizures ~ Treatment * log(Day) + offset(log(Hours))"), {}),
        **{f"betablocker{k}": ("betablocker", deaths(shared=["Treatment"]), {"n_experts": k}) for k in (2, 3, 4)},
        "betablocker_varying": ("betablocker", deaths(), {"n_experts": 3}),
        "salmonella": (
            "salmonellaTA98",
            poisson("y ~ x + log(x + 10)", shared=["x", "log(x + 10)"]),
            {},
        ),
        "trypanosome": ("trypanosome", trypanosome, {}),
        "biochemists": ("bioChemists", poisson("art ~ fem + mar + kid5 + phd + ment"), {}),
    }
    return {
        name: (table, ms.MixtureOfExperts(expert, random_state=0, verbose=0, **options))
        for name, (table, expert, options) in specified.items()
    }


def note(model, maximum: float) -> str:
    """Distance to the known maximum and the model's own verdict."""
    reached = model.starts_.loc[model.starts_["hits"] > 0, "log_likelihood"] > model.log_likelihood_ - 1e-4
    verdict = "" if model.converged_ else f"; {model.status_}"
    return f"known {maximum:.6f}, difference {model.log_likelihood_ - maximum:+.6f}; {reached.sum()} starts{verdict}"


def main() -> None:
    args = arguments(__doc__, starts=5)
    single_thread()
    if not has_r("flexmix"):
        return report([Row("g: known maxima", "flexmix", None, None, "not installed")], args.json)
    rows = []
    with scratch() as folder:
        theirs = {name: (float(seconds), value) for name, seconds, value in run_r("known.R", folder, args.starts)}
        for name, (table, model) in models().items():
            frame = pd.read_csv(Path(folder) / f"{table}.csv")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(frame)
                seconds, _ = clock(lambda model=model, frame=frame: model.fit(frame))
            case = f"g: {name}"
            rows.append(Row(case, "mixstat, 20 starts", seconds, model.log_likelihood_, note(model, MAXIMA[name])))
            spent, value = theirs[name]
            reached = None if value == "NA" else float(value)
            rows.append(
                Row(case, f"flexmix, {args.starts} starts", spent, reached, "failed" if reached is None else "")
            )
    return report(rows, args.json)


if __name__ == "__main__":
    main()
