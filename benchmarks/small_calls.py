"""Calls whose work is nothing: one row, fits of 50 rows, and one sample from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import pushforward as pf
from benchmarks.timing import median, ratio, side_by_side

Row = dict[str, Any]
Sides = tuple[Callable[[], Any], Callable[[], Any]]
BARE = "import torch; w = torch.randn(2, 5); print(torch.randn(1, 2) @ w)"


def per_call(call: Callable[[], Any], calls: int) -> Callable[[], float]:
    """Seconds of a call, the mean of several."""

    def measured() -> float:
        began = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - began) / calls

    return measured


def compared(name: str, what: str, cases: dict[str, tuple[Sides, bool]], calls: int) -> list[Row]:
    """One row: the ratio of the worst case, with all cases beside it."""
    settings, worst = [], None
    for case, ((ours, theirs), agree) in cases.items():
        sides = {"pushforward": per_call(ours, calls), "theirs": per_call(theirs, calls)}
        timings = side_by_side(sides, 5)
        each = ratio(timings["theirs"], timings["pushforward"])
        seconds = {side: median(values) for side, values in timings.items()}
        settings.append({"setting": case, "seconds": seconds, "ratio": each, "agree": agree})
        if worst is None or each["median"] < worst["ratio"]["median"]:
            worst = settings[-1]
    assert worst is not None
    check = {"agree": all(setting["agree"] for setting in settings)}
    return [
        {
            "name": name,
            "what": f"{what}; worst: {worst['setting']}",
            "seconds": worst["seconds"],
            "settings": settings,
            "check": check,
            "ratio": worst["ratio"],
            "target": 1,
        }
    ]


def one_row() -> list[Row]:
    """Log-densities of one row of models fitted to 1 000, beside SciPy and scikit-learn."""
    from scipy.stats import multivariate_normal
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    cases: dict[str, tuple[Sides, bool]] = {}
    for d in (2, 10):
        x = np.random.default_rng(0).standard_normal((1000, d))
        models: dict[str, Any] = {
            "Gaussian": pf.Gaussian().fit(x, quiet=True),
            "GMM": (mixture := pf.GMM(3).fit(x, quiet=True)),
            "PCA": pf.PCA(1).fit(x, quiet=True),
        }
        same = GaussianMixture(3).fit(x)  # then with our parameters
        same.weights_, same.means_ = mixture.weights_.numpy(), mixture.means_.numpy()
        roots = np.linalg.cholesky(mixture.covariances_.numpy())
        same.precisions_cholesky_ = np.linalg.inv(roots).transpose(0, 2, 1)
        theirs: dict[str, Callable[[Any], Any]] = {
            "Gaussian": multivariate_normal(x.mean(0), np.cov(x.T, bias=True)).logpdf,
            "GMM": same.score_samples,
            "PCA": PCA(1).fit(x).score_samples,
        }
        for name, model in models.items():
            # scikit-learn's covariance of principal components is the 1 / (n - 1) one
            tolerance = 1e-2 if name == "PCA" else 1e-8
            agree = np.allclose(model.log_prob(x).numpy(), theirs[name](x), rtol=tolerance)
            sides = tuple(partial(call, x[:1]) for call in (model.log_prob, theirs[name]))
            cases[f"{name}, {d} columns"] = (sides[0], sides[1]), bool(agree)
    return compared("small-log-prob", "log-density of one row", cases, 200)


def adapters() -> list[Row]:
    """Fits of 50 x 10 and queries of one row by scikit-learn's names, beside scikit-learn."""
    from sklearn import cluster, decomposition, mixture

    from pushforward.compat import sklearn as ours

    x = np.random.default_rng(0).standard_normal((50, 10))
    row = x[:1]
    kinds: dict[str, tuple[Callable[[], Any], Callable[[], Any], str]] = {
        "PCA": (lambda: ours.PCA(3), lambda: decomposition.PCA(3), "score_samples"),
        "GaussianMixture": (
            lambda: ours.GaussianMixture(1, max_iter=2),
            lambda: mixture.GaussianMixture(1, max_iter=2),
            "score_samples",
        ),
        "KMeans": (
            lambda: ours.KMeans(3, init=x[:3], n_init=1),
            lambda: cluster.KMeans(3, init=x[:3], n_init=1),
            "predict",
        ),
    }
    fits: dict[str, tuple[Sides, bool]] = {}
    queries: dict[str, tuple[Sides, bool]] = {}
    for name, (mine, theirs, query) in kinds.items():
        one, two = mine().fit(x), theirs().fit(x)
        agree = bool(np.allclose(getattr(one, query)(x), getattr(two, query)(x), atol=1e-3))
        fits[name] = (lambda mine=mine: mine().fit(x), lambda theirs=theirs: theirs().fit(x)), agree
        calls = [lambda m=m, query=query: getattr(m, query)(row) for m in (one, two)]
        queries[f"{name}.{query}"] = (calls[0], calls[1]), agree
    return [
        *compared("small-fit", "adapters' fit of 50 x 10", fits, 20),
        *compared("small-query", "adapters' query of one row", queries, 100),
    ]


def start(rounds: int = 7) -> list[Row]:
    """`pushforward sample RUN -n 1` of a PCA and a VAE, beside `import torch` and one product."""
    x = np.random.default_rng(0).standard_normal((500, 5)).astype(np.float32)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pf.PCA(2).fit(x, run=Path(folder) / "pca", quiet=True)
        pf.VAE(2, hidden=(64,)).fit(x, steps=50, run=Path(folder) / "vae", quiet=True)
        for name in ("pca", "vae"):
            command = ["-m", "pushforward", "sample", str(Path(folder) / name), "-n", "1"]
            sides = {"pushforward": started(command), "torch": started(["-c", BARE])}
            timings = side_by_side(sides, rounds)
            rows.append(
                {
                    "name": f"start-{name}",
                    "what": f"`pushforward sample RUN -n 1`, {name}, beside a bare `import torch`",
                    "seconds": {side: median(values) for side, values in timings.items()},
                    "ratio": ratio(timings["pushforward"], timings["torch"]),
                    "target": 1.4,
                    "better": "lower",
                }
            )
    return rows


def started(words: list[str]) -> Callable[[], float]:
    """Seconds of a fresh Python with these arguments."""

    def measured() -> float:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=os.environ
        )
        return time.perf_counter() - began

    return measured


BENCHMARKS: dict[str, Callable[..., list[Row]]] = {
    "small-log-prob": one_row,
    "small-adapters": adapters,
    "start": start,
}
