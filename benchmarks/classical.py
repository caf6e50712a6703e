"""PCA, mixtures and k-means side by side with established libraries, answers checked.

Each benchmark runs both sides in turn on the same data from the same start, and returns rows for
`results/bench.json`; `check` records what was compared, the difference of the answers, and whether
they agree.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.timing import child, median, ratio, seconds, side_by_side
from pushforward.core.events import Event, Progress

Row = dict[str, Any]


def timed(
    sides: dict[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of each side, round by round, and the last result of each."""
    last: dict[str, Any] = {}

    def measured(name: str) -> Callable[[], float]:
        def work() -> None:
            last[name] = sides[name]()

        return lambda: seconds(work)

    return side_by_side({name: measured(name) for name in sides}, rounds), last


def row(
    name: str,
    what: str,
    timings: dict[str, list[float]],
    theirs: str,
    target: float | None,
    check: Row,
) -> Row:
    """One row of the table: their time relative to ours."""
    times = {side: median(values) for side, values in timings.items()}
    return {
        "name": name,
        "what": what,
        "seconds": times,
        "check": check,
        "ratio": ratio(timings[theirs], timings["pushforward"]),
        "target": target,
    }


# ---------------------------------------------------------------------------------------------- PCA


def spectrum_data(n: int, d: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    """Normal rows with decreasing standard deviations 3 … 0.1 along random axes, off the origin."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.linspace(3, 0.1, d)[:, None]
    mean = rng.standard_normal(d)
    out = np.empty((n, d), dtype)
    for start in range(0, n, 20_000):
        stop = min(start + 20_000, n)
        out[start:stop] = rng.standard_normal((stop - start, d)) @ axes + mean
    return out


def apart(one: Any, two: Any) -> float:
    """The largest sine of the principal angles between two subspaces of orthonormal rows."""
    one, two = np.asarray(one, np.float64), np.asarray(two, np.float64)
    return float(np.linalg.norm(two - two @ one.T @ one, 2))


def pca_memory(n: int = 200_000, d: int = 784, k: int = 50, rounds: int = 3) -> list[Row]:
    """PCA of rows in memory, against scikit-learn's eigendecomposition of the covariance."""
    from sklearn.decomposition import PCA

    x = spectrum_data(n, d)
    sides = {
        "pushforward": lambda: pf.PCA(k).fit(x),
        "scikit-learn": lambda: PCA(k, svd_solver="covariance_eigh").fit(x),
    }
    timings, last = timed(sides, rounds)
    gap = apart(last["pushforward"].components_, last["scikit-learn"].components_)
    check = {"sine between the subspaces": gap, "agree": gap < 1e-6}
    return [
        row(
            "pca-memory",
            f"PCA of {n} x {d} to {k}, float64, covariance_eigh",
            timings,
            "scikit-learn",
            1,
            check,
        )
    ]


def pca_streaming(n: int = 200_000, d: int = 784, k: int = 50, rounds: int = 3) -> list[Row]:
    """PCA of a memory map, against IncrementalPCA, whose answer is approximate.

    Checked against the exact answer in memory. Products in single precision, summed in double, meet
    the required 1e-6; double precision has its own row.

    Products in single precision, summed in double,
    are right to the 1e-6 that is checked; in double they are a row of their own.
    """
    from sklearn.decomposition import PCA, IncrementalPCA

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, spectrum_data(n, d))
        mapped = np.load(path, mmap_mode="r")
        ours = {p: lambda p=p: pf.PCA(k, precision=p).fit(mapped) for p in ("float32", "float64")}
        timings, last = timed(
            {**ours, "scikit-learn": lambda: IncrementalPCA(k).fit(mapped)}, rounds
        )
        exact = PCA(k, svd_solver="covariance_eigh").fit(np.asarray(mapped)).components_
    gaps = {side: apart(model.components_, exact) for side, model in last.items()}
    rows = []
    for name, precision, target in (
        ("pca-streaming", "float32", 25),
        ("pca-streaming-float64", "float64", None),
    ):
        gap = gaps[precision]
        check = {
            "sine to the exact subspace": gap,
            "IncrementalPCA's": gaps["scikit-learn"],
            "agree": gap < 1e-6,
        }
        what = (
            f"PCA of {n} x {d} to {k} from disk, float64, products in {precision}, IncrementalPCA"
        )
        times = {"pushforward": timings[precision], "scikit-learn": timings["scikit-learn"]}
        rows.append(row(name, what, times, "scikit-learn", target, check))
    return rows


# ----------------------------------------------------------------------------------------- mixtures


def mixture_data(
    n: int, d: int, k: int, seed: int = 0, spread: float = 1.5
) -> np.ndarray[Any, Any]:
    """Rows of k overlapping normal clusters with one covariance."""
    rng = np.random.default_rng(seed)
    centres = spread * rng.standard_normal((k, d))
    return centres[rng.integers(0, k, n)] + rng.standard_normal((n, d)) @ (
        np.eye(d) + 0.2 * rng.standard_normal((d, d))
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings: ten passes are not meant to converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def traced_gmm(x: Any, means: Any, steps: int, precision: str) -> list[float]:
    """Log-likelihood per row before each M step."""
    trace: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            trace.append(event.terms["log_likelihood"])

    model = pf.GMM(len(means), start=means, precision=precision, floor=1e-9)
    model.fit(x, by=pf.EM(steps=steps, tolerance=0, listeners=[listen]))
    return trace


def traced_side_by_side(
    x: Any,
    means: Any,
    steps: int,
    precision: str,
    other: dict[str, Callable[[], list[float]]],
    target: float,
    tolerance: float,
    rounds: int,
) -> list[Row]:
    """Time our passes and theirs, which must have the same log-likelihood before every M step."""
    (theirs,) = other
    with quiet():
        timings, last = timed(
            {"pushforward": lambda: traced_gmm(x, means, steps, precision), **other}, rounds
        )
    gap = float(np.abs(np.subtract(last["pushforward"], last[theirs])).max())
    check = {"log-likelihood of every pass, apart, nats a row": gap, "agree": gap < tolerance}
    what = f"GMM full, {x.shape[0]} x {x.shape[1]}, {len(means)} components, {steps} passes, {precision}"
    return [row(f"gmm-{precision}", what, timings, theirs, target, check)]


def gmm_float64(
    n: int = 200_000, d: int = 16, k: int = 32, steps: int = 10, rounds: int = 3
) -> list[Row]:
    """Ten passes of EM with full covariances in float64, against scikit-learn."""
    from sklearn.mixture import GaussianMixture

    x = mixture_data(n, d, k)
    means = x[np.random.default_rng(1).choice(n, k, replace=False)]
    precisions = np.tile(np.diag(1 / x.var(0)), (k, 1, 1))

    def theirs() -> list[float]:
        how = {
            "weights_init": np.full(k, 1 / k),
            "means_init": means,
            "precisions_init": precisions,
        }
        return list(
            GaussianMixture(k, max_iter=steps, tol=0, reg_covar=0, **how).fit(x).lower_bounds_
        )

    return traced_side_by_side(
        x, means, steps, "float64", {"scikit-learn": theirs}, 6, 1e-8, rounds
    )


def gmm_float32(
    n: int = 200_000, d: int = 16, k: int = 32, steps: int = 10, rounds: int = 3
) -> list[Row]:
    """Ten passes of EM with full covariances in float32, against pomegranate."""
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    x = mixture_data(n, d, k).astype(np.float32)
    means = x[np.random.default_rng(1).choice(n, k, replace=False)]
    tensor, covariance = (
        torch.from_numpy(x),
        torch.diag(torch.from_numpy(x.var(0, dtype=np.float64).astype(np.float32))),
    )

    def theirs() -> list[float]:
        # what its `fit` does, keeping the log-likelihood of every pass
        distributions = [
            Normal(torch.from_numpy(m.copy()), covariance.clone(), covariance_type="full")
            for m in means
        ]
        model = GeneralMixtureModel(distributions, priors=torch.full((k,), 1 / k))
        trace = []
        for _ in range(steps):
            trace.append(float(model.summarize(tensor).sum(dtype=torch.float64)) / n)
            model.from_summaries()
        return trace

    return traced_side_by_side(x, means, steps, "float32", {"pomegranate": theirs}, 5, 1e-3, rounds)


# ------------------------------------------------------------------------------------------ k-means


def kmeans(n: int = 1_000_000, d: int = 16, k: int = 64, rounds: int = 5) -> list[Row]:
    """k-means to the same inertia from the same start, against scikit-learn and faiss.

    The target inertia is the one scikit-learn converges to with its default tolerance, plus a share
    of 1e-6 for rounding. The number of passes each side needs is found in untimed runs; then each
    is timed for that many passes, without stopping early. All inertias are computed in the same
    way, in float64.
    """
    import faiss
    from sklearn.cluster import KMeans

    x = mixture_data(n, d, k).astype(np.float32)
    start = x[np.random.default_rng(1).choice(n, k, replace=False)]

    def third(passes: int) -> Any:
        model = faiss.Kmeans(d, k, niter=passes, max_points_per_centroid=n)
        model.train(x, init_centroids=start)
        return model.centroids

    def inertia(centres: Any) -> float:
        table = torch.as_tensor(np.asarray(centres, np.float64))
        return sum(
            float(torch.cdist(torch.from_numpy(b).double(), table).amin(1).square().sum())
            for b in np.array_split(x, 100)
        )

    runs: dict[str, Callable[[int], Any]] = {
        "pushforward": lambda p: (
            pf.KMeans(k, start=start, tolerance=0).fit(x, by=pf.EM(steps=p, tolerance=0)).centres_
        ),
        "scikit-learn": lambda p: (
            KMeans(k, init=start, n_init=1, max_iter=p, tol=0).fit(x).cluster_centers_
        ),
        "faiss": third,
    }
    with quiet():
        model = KMeans(k, init=start, n_init=1, max_iter=1000).fit(x)
        goal = inertia(model.cluster_centers_) * (1 + 1e-6)
        passes = {
            side: fewest(lambda p, run=run: inertia(run(p)) <= goal, model.n_iter_)
            for side, run in runs.items()
        }
        timings, last = timed(
            {side: lambda run=run, p=passes[side]: run(p) for side, run in runs.items()}, rounds
        )
    values = {side: inertia(centres) for side, centres in last.items()}
    what = f"k-means, {n} x {d}, {k} clusters, float32, to the same inertia"
    rows = []
    for side in ("scikit-learn", "faiss"):
        gap = values["pushforward"] / values[side] - 1
        check = {"passes": passes, "inertia, relative to theirs": gap}
        agree = abs(gap) < 1e-5 and max(values.values()) <= goal
        rows.append(row(f"kmeans-vs-{side}", what, timings, side, 1, {**check, "agree": agree}))
    return rows


def fewest(enough: Callable[[int], bool], guess: int) -> int:
    """The least sufficient whole number, where more is never worse; at most 16 times the guess."""
    low, high = 0, guess
    while not enough(high):
        low, high = high, 2 * high
        if high > 16 * guess:
            raise RuntimeError(f"not enough after {low} passes")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


# ------------------------------------------------------------------------------------------- growth

STREAM = """
import json, resource, sys, time
import numpy as np, torch
import pushforward as pf
path, what, passes = sys.argv[1], sys.argv[2], int(sys.argv[3])

def anonymous():
    # Without the file's own pages, which the kernel keeps as long as there is room for them.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

x = np.load(path, mmap_mode="r")
model = {"PCA": lambda: pf.PCA(10), "GMM": lambda: pf.GMM(8, start="kmeans++"), "k-means": lambda: pf.KMeans(16)}[what]()
model.fit(np.array(x[:20000]), by=pf.EM(steps=2))
base, seen = anonymous(), []
begun = time.perf_counter()
model.fit(x, by=pf.EM(steps=passes, tolerance=0, callbacks=[lambda event, model: seen.append(anonymous())]))
print(json.dumps([time.perf_counter() - begun, max(seen) - base]))
"""


def growth(n: int = 200_000, d: int = 32, passes: int = 5, rounds: int = 5) -> list[Row]:
    """Ten times the rows from disk: at most 11 times the time, and no more memory.

    Each long run has a short one right before and right after it and is compared with their mean,
    so that other load on the machine affects both.

    The long run has a short one right before and one right after it, and is held against their
    mean: what else the machine does in a round then meets both.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{factor}.npy" for factor in (1, 10)]
        for factor, path in zip((1, 10), paths):
            np.save(path, mixture_data(n * factor, d, 8).astype(np.float32))
        for what in ("PCA", "GMM", "k-means"):
            order = (paths[0], paths[1], paths[0])
            runs = [
                [json.loads(child(STREAM, str(path), what, str(passes))) for path in order]
                for _ in range(rounds)
            ]
            small, large = (
                [(run[0][0] + run[2][0]) / 2 for run in runs],
                [run[1][0] for run in runs],
            )
            added = [min(run[i][1] for run in runs) / 1024 for i in (0, 1)]
            check = {
                "MiB added": [round(a, 1) for a in added],
                "MiB of the file": paths[1].stat().st_size >> 20,
            }
            check["agree"] = added[1] < added[0] + 64
            rows.append(
                {
                    "name": f"growth-{what.lower()}",
                    "what": f"{what}, {n} x {d} to ten times the rows, from disk: time and memory",
                    "seconds": {"n": median(small), "10 n": median(large)},
                    "check": check,
                    "ratio": ratio(large, small),
                    "target": 11,
                    "better": "lower",
                }
            )
    return rows


BENCHMARKS: dict[str, Callable[..., list[Row]]] = {
    "pca-memory": pca_memory,
    "pca-streaming": pca_streaming,
    "gmm-float64": gmm_float64,
    "gmm-float32": gmm_float32,
    "kmeans": kmeans,
    "growth-classical": growth,
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or BENCHMARKS:
        for line in BENCHMARKS[chosen]():
            print(json.dumps(line), flush=True)
