"""GMM, k-means and PCA over their settings, beside scikit-learn and faiss; the worst is the figure.

Both sides take the same number of passes from the same start, and the answers are compared. Every
setting is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import pushforward as pf
from benchmarks.classical import apart, mixture_data, quiet, spectrum_data, timed
from benchmarks.timing import median, ratio

Row = dict[str, Any]
Setting = tuple[str, dict[str, Callable[[], Any]], Callable[[dict[str, Any]], float], float]
PASSES = 5
COVARIANCES = {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}
GMM_SIZES = [(10_000, 2, 2), (10_000, 64, 2), (10_000, 16, 16), (100_000, 16, 16), (100_000, 2, 64)]
GMM_SIZES += [(20_000, 64, 32), (1_000_000, 2, 2)]
THIRD = (100_000, 16, 16)
"""The size at which full covariances in float32 are also fitted by pomegranate."""
KMEANS_SIZES = [(10_000, 2, 8), (10_000, 16, 1024), (10_000, 128, 64), (100_000, 2, 1024)]
KMEANS_SIZES += [(100_000, 16, 8), (100_000, 16, 256), (100_000, 128, 64), (1_000_000, 16, 64)]
KMEANS_SIZES += [(10_000, 2, 1024), (10_000, 128, 1024), (100_000, 128, 1024), (1_000_000, 2, 8)]
KMEANS_SIZES += [(1_000_000, 2, 1024), (1_000_000, 128, 8)]
PCA_SIZES = [(20_000, 10, 5), (1_000_000, 10, 5), (200_000, 100, 10), (20_000, 300, 10)]
PCA_SIZES += [(1_500, 1_500, 10), (1_000, 10_000, 5), (2_000, 20_000, 50)]
QUICK = 0.5
"""Seconds of a round below which a setting is measured in seven more."""
PRECISE = 1e-6
"""Largest error of a subspace (a sine) and of variances (a share) at which a solver is right."""


def swept(name: str, what: str, target: float, settings: Iterator[Setting], rounds: int) -> Row:
    """One row: the least ratio over settings and opponents, with all of them beside it."""
    records: list[Row] = []
    for setting, sides, gap, tolerance in settings:
        with quiet():
            timings, last = timed(sides, rounds)
            if sum(sum(times) for times in timings.values()) < QUICK:
                timings, last = timed(sides, 7)
        apart_by = gap(last)
        for theirs in [side for side in sides if side != "pushforward"]:
            times = {side: median(timings[side]) for side in ("pushforward", theirs)}
            records.append(
                {
                    "setting": f"{setting}, {theirs}",
                    "seconds": times,
                    "ratio": ratio(timings[theirs], timings["pushforward"]),
                    "gap": apart_by,
                    "agree": apart_by < tolerance,
                }
            )
    return worst_of(name, what, target, records)


def worst_of(name: str, what: str, target: float, records: list[Row]) -> Row:
    """The row of the record with the least ratio, with all records beside it."""
    worst = min(records, key=lambda record: record["ratio"]["median"])
    measured = {unit: worst[unit] for unit in ("seconds", "samples per second") if unit in worst}
    return {
        "name": name,
        "what": f"{what}; worst of {len(records)}: {worst['setting']}",
        **measured,
        "settings": records,
        "check": {"agree": all(record["agree"] for record in records)},
        "ratio": worst["ratio"],
        "target": target,
    }


def gmm_settings() -> Iterator[Setting]:
    """Five passes of EM for each size, kind of covariance and precision."""
    for n, d, k in GMM_SIZES:
        wide = mixture_data(n, d, k)
        means = wide[np.random.default_rng(1).choice(n, k, replace=False)]
        inverse = 1 / wide.var(0)
        precisions = {
            "full": np.tile(np.diag(inverse), (k, 1, 1)),
            "tied": np.diag(inverse),
            "diagonal": np.tile(inverse, (k, 1)),
            "spherical": np.full(k, 1 / wide.var(0).mean()),
        }
        for kind in COVARIANCES:
            for precision in ("float64", "float32"):
                start = means, precisions[kind]
                yield gmm_setting(wide.astype(precision), kind, precision, *start)


def gmm_setting(x: Any, kind: Any, precision: Any, means: Any, inverse: Any) -> Setting:
    """Both sides of one setting."""
    from sklearn.mixture import GaussianMixture

    n, d, k = *x.shape, len(means)

    def ours() -> float:
        model = pf.GMM(k, kind, start=means, precision=precision, floor=1e-9)
        model.fit(x, by=pf.EM(steps=PASSES, tolerance=0, quiet=True))
        return float(model.fit_result.quality)  # type: ignore[union-attr, arg-type]

    def theirs() -> float:
        start = {
            "weights_init": np.full(k, 1 / k, x.dtype),
            "means_init": means.astype(x.dtype),
            "precisions_init": inverse.astype(x.dtype),
        }
        model = GaussianMixture(
            k, covariance_type=COVARIANCES[kind], max_iter=PASSES, tol=0, reg_covar=0, **start
        )
        return float(model.fit(x).lower_bound_)

    sides: dict[str, Callable[[], Any]] = {"pushforward": ours, "scikit-learn": theirs}
    if (n, d, k, kind, precision) == (*THIRD, "full", "float32"):
        sides["pomegranate"] = lambda: pomegranate_fit(x, means, inverse)
    return (
        f"{n} x {d}, {k} {kind}, {precision}",
        sides,
        lambda last: abs(last["pushforward"] - last["scikit-learn"]),
        1e-7 if precision == "float64" else 1e-2,
    )


def pomegranate_fit(x: Any, means: Any, inverse: Any) -> float:
    """The mean log-likelihood before the last of pomegranate's passes; as many as the others'."""
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    tensor, covariances = torch.from_numpy(x), np.linalg.inv(inverse).astype(x.dtype)
    parts = [
        Normal(torch.from_numpy(m.astype(x.dtype)), torch.from_numpy(c), covariance_type="full")
        for m, c in zip(means, covariances)
    ]
    model = GeneralMixtureModel(parts, priors=torch.full((len(means),), 1 / len(means)))
    value = 0.0
    for _ in range(PASSES):
        value = float(model.summarize(tensor).sum(dtype=torch.float64)) / len(x)
        model.from_summaries()
    return value


def kmeans_settings() -> Iterator[Setting]:
    """Ten passes of Lloyd's algorithm, float32."""
    import faiss
    from sklearn.cluster import KMeans

    for n, d, k in KMEANS_SIZES:
        x = mixture_data(n, d, min(k, 64)).astype(np.float32)
        start = x[np.random.default_rng(1).choice(n, k, replace=False)]

        def ours(x: Any = x, k: int = k, start: Any = start) -> Any:
            by = pf.EM(steps=2 * PASSES, tolerance=0, quiet=True)
            return pf.KMeans(k, start=start, tolerance=0).fit(x, by=by).centres_

        def learn(x: Any = x, k: int = k, start: Any = start) -> Any:
            model = KMeans(k, init=start, n_init=1, max_iter=2 * PASSES, tol=0)
            return model.fit(x).cluster_centers_

        def third(x: Any = x, k: int = k, d: int = d, start: Any = start) -> Any:
            model = faiss.Kmeans(
                d, k, niter=2 * PASSES, max_points_per_centroid=len(x), min_points_per_centroid=1
            )
            model.train(x, init_centroids=start)
            return model.centroids

        def gap(last: dict[str, Any], x: Any = x) -> float:
            one, two = (inertia(x, last[side]) for side in ("pushforward", "scikit-learn"))
            return abs(one / two - 1)

        sides = {"pushforward": ours, "scikit-learn": learn, "faiss": third}
        yield f"{n} x {d}, {k} clusters", sides, gap, 1e-4


def inertia(x: Any, centres: Any) -> float:
    """Mean squared distance of the first rows to their nearest centre, in float64."""
    import torch

    rows = torch.from_numpy(x[:20_000]).double()
    centres = torch.as_tensor(np.asarray(centres, np.float64))
    return float(torch.cdist(rows, centres).amin(1).square().mean())


def pca_settings() -> Iterator[Setting]:
    """The fastest solver of scikit-learn that is right to 1e-6 on these rows, and ours.

    Its solvers are tried once each, beside the exact axes of the smaller matrix of products.
    """
    from sklearn.decomposition import PCA

    for n, d, k in PCA_SIZES:
        x = spectrum_data(n, d) if d <= 2_000 else low_rank(n, d)
        exact = exact_components(x, k)
        solvers = ["randomized", "arpack"] if min(n, d) > 100 else []
        solvers += ["covariance_eigh"] if d <= 2_000 else []

        def ours(x: Any = x, k: int = k) -> Any:
            model = pf.PCA(k).fit(x, quiet=True)
            return model.components_, model.explained_variance_

        def theirs(solver: str, x: Any = x, n: int = n, k: int = k) -> Any:
            model = PCA(k, svd_solver=solver, random_state=0).fit(x)
            return model.components_, model.explained_variance_ * (n - 1) / n

        def gap(last: dict[str, Any], exact: Any = exact) -> float:
            return max(principal_gap(found, exact) for found in last.values())

        found: list[tuple[float, str]] = []
        for solver in solvers:
            began = time.perf_counter()
            right = principal_gap(theirs(solver), exact) < PRECISE
            found += [(time.perf_counter() - began, solver)] if right else []
        best = min(found)[1]
        sides = {"pushforward": ours, f"scikit-learn {best}": partial(theirs, best)}
        yield f"{n} x {d} to {k}", sides, gap, PRECISE


def exact_components(x: np.ndarray[Any, Any], k: int) -> tuple[Any, Any]:
    """The first k axes (k, d) and variances (k,), from a complete decomposition."""
    centred = x - x.mean(0)
    wide = x.shape[1] > x.shape[0]
    values, axes = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    values, axes = values[::-1][:k], axes.T[::-1][:k]
    return (axes @ centred / np.sqrt(values)[:, None] if wide else axes), values / len(x)


def principal_gap(found: tuple[Any, Any], exact: tuple[Any, Any]) -> float:
    """The larger of the subspace's sine and the variances' relative error."""
    variances = np.asarray(found[1]) / exact[1] - 1
    return max(apart(found[0], exact[0]), float(np.abs(variances).max()))


def low_rank(n: int, d: int, rank: int = 100) -> np.ndarray[Any, Any]:
    """Rows of falling variances along `rank` directions, with noise."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((n, rank)) * np.linspace(30, 3, rank)
    return codes @ rng.standard_normal((rank, d)) / np.sqrt(d) + rng.standard_normal((n, d)) * 0.01


def gmm_sweep(rounds: int = 1) -> list[Row]:
    """Normal mixtures."""
    what = f"GMM, {PASSES} passes, four covariances"
    return [swept("gmm-sweep", what, 3, gmm_settings(), rounds)]


def kmeans_sweep(rounds: int = 1) -> list[Row]:
    """k-means."""
    what = f"k-means, {2 * PASSES} passes, float32"
    return [swept("kmeans-sweep", what, 1, kmeans_settings(), rounds)]


def pca_sweep(rounds: int = 1) -> list[Row]:
    """Principal components."""
    return [swept("pca-sweep", "PCA, float64", 1, pca_settings(), rounds)]


BENCHMARKS: dict[str, Callable[..., list[Row]]] = {
    "gmm-sweep": gmm_sweep,
    "kmeans-sweep": kmeans_sweep,
    "pca-sweep": pca_sweep,
}
