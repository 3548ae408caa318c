"""(c) Gaussian clusters with full covariances from one k-means partition: scikit-learn, mclust, ours by the same EM."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from simulate import clusters
from timing import Row, arguments, clock, r_row, report, scratch, single_thread

TOLERANCE = 1e-3
STEPS = 500


def ours(case: str, points: np.ndarray, labels: np.ndarray) -> Row:
    """EM to the same tolerance on the mean log-likelihood."""
    import mixstat as ms

    names = [f"y{j + 1}" for j in range(points.shape[1])]
    frame = pd.DataFrame(points, columns=names)
    expert = ms.Regression(f"cbind({', '.join(names)}) ~ 1", family="multivariate_gaussian")
    settings = {"algorithm": "em", "tol": TOLERANCE, "max_iter": STEPS, "scale_penalty": 0.0, "verbose": 0}
    model = ms.MixtureOfExperts(expert, n_experts=int(labels.max()), start=labels, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cold, _ = clock(lambda: model.fit(frame))
        warm, _ = clock(lambda: model.fit(frame), repeats=3)
    return Row(case, "mixstat", warm, model.log_likelihood_, f"{steps(model, warm)}; first fit {cold:.2f} s")


def steps(model, seconds: float) -> str:
    """Steps, and milliseconds of each."""
    return f"{model.n_iter_} EM steps of {1e3 * seconds / model.n_iter_:.1f} ms"


def sklearn(case: str, points: np.ndarray, labels: np.ndarray) -> Row:
    """GaussianMixture with the weights, means and precisions of the partition."""
    from sklearn.mixture import GaussianMixture

    parts = [points[labels == k] for k in range(1, labels.max() + 1)]
    model = GaussianMixture(
        len(parts),
        tol=TOLERANCE,
        max_iter=STEPS,
        weights_init=[len(part) / len(points) for part in parts],
        means_init=[part.mean(axis=0) for part in parts],
        precisions_init=[np.linalg.inv(np.cov(part.T, ddof=0)) for part in parts],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds, _ = clock(lambda: model.fit(points), repeats=3)
    value = float(model.score_samples(points).sum())
    return Row(case, "scikit-learn", seconds, value, steps(model, seconds))


def partition(points: np.ndarray, components: int) -> np.ndarray:
    """Labels 1..K of a short k-means."""
    from sklearn.cluster import KMeans

    return KMeans(components, n_init=1, max_iter=10, random_state=0).fit_predict(points) + 1


def main() -> None:
    args = arguments(__doc__, n=100_000, dimension=8, components=10)
    single_thread()
    points = clusters(args.n, args.dimension, args.components)
    labels = partition(points, args.components)
    case = f"c: full covariances, n={args.n}, d={args.dimension}, K={args.components}"
    rows = [ours(case, points, labels), sklearn(case, points, labels)]
    with scratch() as folder:
        path = Path(folder) / "data.csv"
        pd.DataFrame(points).assign(start=labels).to_csv(path, index=False)
        rows += r_row(case, "mclust", "mclust.R", path, TOLERANCE * args.n / (1 + abs(rows[0].log_likelihood)))
    report(rows, args.json)


if __name__ == "__main__":
    main()
