"""Kernel densities at every bandwidth, answers checked; the figure of a sweep is its worst setting.

scikit-learn's and SciPy's times are linear in the queries: they are measured on some of them (as
many as take a third of a second) and scaled, fitting apart. Answers are compared with direct
float64 sums at queries and at far points, where log f may be -600 and below.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.kde import direct64, mixture, scott
from benchmarks.timing import seconds
from pushforward.densities.choose import KernelSums, Method
from pushforward.densities.direct_sums import log_sums

Row = dict[str, Any]
Setting = dict[str, Any]
POINTS, QUERIES = 100_000, 10_000
FACTORS = (5.0, 1.0, 1 / 2, 1 / 5, 1 / 10, 1 / 20, 1 / 50, 1 / 200)
"""Bandwidths as multiples of Scott's."""
ENOUGH = 0.3  # seconds that make a measurement of the other library
ROUNDS = 3
CHECKED = 40  # queries compared with direct sums
LONGEST = 1.5  # predicted seconds of methods that are timed beside the chosen one


def lattice(n: int, d: int = 2, seed: int = 0) -> Tensor:
    """The mixture rounded to quarters: few distinct rows."""
    return (mixture(n, d, seed) * 4).round() / 4


def heavy_tails(n: int, d: int = 2, seed: int = 0) -> Tensor:
    """Student's t with two degrees of freedom (n, d), of infinite variance."""
    stream = torch.Generator().manual_seed(77 + seed)
    z = torch.randn(n, d + 2, generator=stream, dtype=torch.float64)
    return z[:, :d] / (z[:, d:].square().sum(1, keepdim=True) / 2).sqrt()


def shots(n: int, d: int = 2, seed: int = 0) -> Tensor:
    """Shots of a season in feet, from the folder PUSHFORWARD_DATA, else drawn after the court."""
    file = Path(os.environ.get("PUSHFORWARD_DATA", "")) / "nba_shots" / "NBA_2015_Shots.csv.xz"
    stream = torch.Generator().manual_seed(5)
    if not file.is_file():
        return _drawn_shots(n, seed)
    import pandas

    table = pandas.read_csv(file, usecols=["LOC_X", "LOC_Y"])[["LOC_X", "LOC_Y"]]
    x = torch.from_numpy(table.to_numpy(dtype=np.float64))
    order = torch.randperm(len(x), generator=stream)
    return x[order[seed * POINTS : seed * POINTS + n]]


def _drawn_shots(n: int, seed: int) -> Tensor:
    """45 % around the rim, 35 % along the three-point arc, 20 % between; tenths of a foot."""
    stream = torch.Generator().manual_seed(500 + seed)
    which = torch.rand(n, generator=stream, dtype=torch.float64)
    angle = math.pi * torch.rand(n, generator=stream, dtype=torch.float64)
    noise = torch.randn(n, 2, generator=stream, dtype=torch.float64)
    arc = 24.5 + 0.8 * noise[:, :1]
    middle = 4 + 18 * torch.rand(n, 1, generator=stream, dtype=torch.float64)
    radius = torch.where(which[:, None] < 0.8, arc, middle)
    away = radius * torch.stack([angle.cos(), angle.sin()], 1)
    near = which[:, None] < 0.45
    offset = torch.tensor([0.0, 5.25], dtype=torch.float64)
    return ((torch.where(near, 1.8 * noise, away) + offset) * 10).round() / 10


DATA: dict[str, Callable[[int, int, int], Tensor]] = {
    "mixture": mixture,
    "shots": shots,
    "lattice": lattice,
    "heavy tails": heavy_tails,
}


def planes() -> list[Row]:
    """Two dimensions: four sets of points, eight bandwidths."""
    settings = [_gaussian(name, 2, factor) for name in DATA for factor in FACTORS]
    at_scott = [s for s in settings if s["factor"] == 1]
    return [
        _row("kde-sweep-2d", "KDE, 2-D, eight bandwidths, four sets of points", settings, 10.0),
        _row("kde-sweep-2d-scott", "KDE, 2-D, Scott's bandwidth, the same", at_scott, 100.0),
        _choice_row("kde-sweep-2d-choice", "2-D", settings),
    ]


def other_dimensions(d: int) -> list[Row]:
    """One or three dimensions: three sets of points, eight bandwidths."""
    names = [name for name in DATA if name != "shots"]
    settings = [_gaussian(name, d, factor) for name in names for factor in FACTORS]
    what = f"KDE, {d}-D, eight bandwidths, three sets of points"
    return [
        _row(f"kde-sweep-{d}d", what, settings, 10.0),
        _choice_row(f"kde-sweep-{d}d-choice", f"{d}-D", settings),
    ]


def kernels() -> list[Row]:
    """Other kernels in two dimensions: the mixture, eight bandwidths."""
    names = ("epanechnikov", "tophat", "exponential")
    settings = [_setting("mixture", 2, f, kernel) for kernel in names for f in FACTORS]
    what = "KDE, 2-D, Epanechnikov, top-hat and exponential kernel, eight bandwidths"
    return [_row("kde-sweep-kernels", what, settings, 5.0)]


def choice_of_bandwidth() -> list[Row]:
    """Leave-one-out likelihood of 100 000 points against cross-validation on 20 bandwidths."""
    from sklearn.neighbors import KernelDensity

    from pushforward.densities.bandwidths import likelihood_bandwidth

    x = mixture(POINTS)
    h, found = scott(x), list[Any]()
    ours = seconds(lambda: found.append(likelihood_bandwidth(x, h)))
    part, theirs = x[: POINTS * 4 // 5].numpy(), 0.0
    for factor in np.geomspace(0.05, 4, 20):
        tree = KernelDensity(bandwidth=h * factor, rtol=1e-3)
        fitting, each = _tree_seconds(tree, part, x[POINTS * 4 // 5 :].numpy())
        theirs += 5 * fitting + POINTS * each
    sums, width = KernelSums(x, h * found[0].factor), h * found[0].factor
    index = torch.arange(0, POINTS, POINTS // CHECKED)
    exact = log_sums(sums.single, sums.single.points[index], exclude=index)
    exact = exact - math.log1p(-1 / POINTS)
    error = float(torch.expm1(sums.leave_one_out()[index] - exact).abs().max())
    ratio = theirs / ours
    return [
        {
            "name": "kde-choice",
            "what": f"choice of the bandwidth by leave-one-out likelihood, {POINTS} points, 2-D",
            "against": "scikit-learn's cross-validation, 5 folds, 20 bandwidths, rtol 1e-3",
            "seconds": {"pushforward": _digits(ours), "scikit-learn": _digits(theirs)},
            "ratio": {name: round(ratio, 1) for name in ("median", "min", "max")},
            "target": 50.0,
            "check": {
                "relative error": error,
                "bandwidth": width,
                "tried": len(found[0].tried),
                "agree": error <= 1e-6,
            },
        }
    ]


def one_row() -> list[Row]:
    """log_prob of one row, a KDE of 1 000 points in two dimensions."""
    from scipy.stats import gaussian_kde

    from pushforward.models.classical.kde import KDE

    x = mixture(1000)
    model, peer, row = KDE().fit(x), gaussian_kde(x.T.numpy()), x[:1] + 0.1
    columns, ratios, times = row.T.numpy(), list[float](), list[tuple[float, float]]()
    for _ in range(200):
        pair = (seconds(lambda: model.log_prob(row)), seconds(lambda: peer.logpdf(columns)))
        times.append(pair)
        ratios.append(pair[1] / pair[0])
    middle = statistics.median(ratios)
    exact = log_sums(model.sums().bumps, model.sums()._reduced(row)) - model.sums()._log_volume
    error = float((model.log_prob(row) - exact).abs().max())
    return [
        {
            "name": "kde-one-row",
            "what": "KDE, log_prob of one row, 1 000 points",
            "against": "SciPy's gaussian_kde",
            "seconds": {
                "pushforward": _digits(statistics.median(t[0] for t in times)),
                "SciPy": _digits(statistics.median(t[1] for t in times)),
            },
            "ratio": {
                "median": round(middle, 3),
                "min": round(min(ratios), 3),
                "max": round(max(ratios), 3),
            },
            "target": 1.0,
            "check": {"difference of log f": error, "agree": error <= 1e-6},
        }
    ]


def _gaussian(name: str, d: int, factor: float) -> Setting:
    """One setting of a Gaussian sweep, with SciPy outside the plane, and every fast method."""
    setting = _setting(name, d, factor, "gaussian", others=True)
    if d != 2:
        x, queries = DATA[name](POINTS, d, 0), DATA[name](20, d, 1)
        took = _scipy_seconds(x, queries, setting["bandwidth"]) * QUERIES / 20
        setting["seconds"]["SciPy"] = _digits(took)
        fastest = min(setting["seconds"]["scikit-learn"], took)
        setting["ratio"] = _digits(fastest / setting["seconds"]["pushforward"])
    return setting


def _setting(name: str, d: int, factor: float, kernel: str, *, others: bool = False) -> Setting:
    """Times, errors and, with `others`, the times of all methods predicted to be fast."""
    from sklearn.neighbors import KernelDensity

    x, queries = DATA[name](POINTS, d, 0), DATA[name](QUERIES, d, 1)
    h, last = scott(x) * factor, dict[str, Tensor]()

    def evaluate(method: Method) -> float:
        sums = KernelSums(x, h, kernel=kernel, method=method)
        return seconds(lambda: last.update({method: sums.log_density(queries)}))

    def timed(method: Method) -> float:
        return seconds(lambda: evaluate(method))

    timed("auto")
    ours = statistics.median(timed("auto") for _ in range(ROUNDS))
    tree = KernelDensity(bandwidth=h, kernel=kernel, rtol=1e-3)
    fitting, each = _tree_seconds(tree, x.numpy(), queries.numpy())
    theirs = fitting + QUERIES * each
    errors = _errors(x, queries, h, kernel, last["auto"])
    setting: Setting = {
        "data": name,
        "kernel": kernel,
        "factor": factor,
        "bandwidth": h,
        "seconds": {"pushforward": _digits(ours), "scikit-learn": _digits(theirs)},
        "ratio": _digits(theirs / ours),
        "method": KernelSums(x, h, kernel=kernel).plan(QUERIES).method,
        "relative error": errors[0],
        "in far tails": errors[1],
    }
    if others:
        setting["methods"] = _all_methods(x, h, kernel, timed)
    return setting


def _all_methods(
    x: Tensor, h: float, kernel: str, timed: Callable[[Method], float]
) -> dict[str, dict[str, float]]:
    """Measured and predicted seconds of the methods that are not hopeless."""
    methods: dict[str, dict[str, float]] = {}
    names: tuple[Method, ...] = ("tree", "fourier", "direct")
    for name in names:
        predicted = KernelSums(x, h, kernel=kernel, method=name).plan(QUERIES).seconds
        if predicted <= LONGEST:
            took = min(timed(name), timed(name))
            methods[name] = {"seconds": _digits(took), "predicted": _digits(predicted)}
    return methods


def _tree_seconds(tree: Any, x: np.ndarray, queries: np.ndarray) -> tuple[float, float]:
    """Seconds of fitting scikit-learn's tree, and of one query."""
    fitting, count = seconds(lambda: tree.fit(x)), 8
    while True:
        some = queries[np.linspace(0, len(queries) - 1, count).astype(int)]
        took = seconds(lambda some=some: tree.score_samples(some))  # type: ignore[misc]
        if took > ENOUGH or count == len(queries):
            return fitting, took / count
        count = min(len(queries), 4 * count)


def _scipy_seconds(x: Tensor, queries: Tensor, h: float) -> float:
    from scipy.stats import gaussian_kde

    peer = gaussian_kde(x.T.numpy(), bw_method=h / float(x.std(0).mean()))
    return seconds(lambda: peer.logpdf(queries.T.numpy()))


def _errors(x: Tensor, queries: Tensor, h: float, kernel: str, ours: Tensor) -> tuple[float, float]:
    """Largest relative errors of f at some queries, and at points some bandwidths outside.

    Less what float64 cannot hold: one unit in the last place of log f, which is -1e10 in far tails.
    """
    index = torch.arange(0, QUERIES, QUERIES // CHECKED)
    far = x.mean(0) + (x.amax(0) - x.mean(0)) * torch.linspace(1.0, 1.3, 10).double()[:, None]
    tails = x[x.norm(dim=1).argmax()] + torch.linspace(0, 30, 10).double()[:, None] * h
    far = torch.cat([far, tails])
    sums = KernelSums(x, h, kernel=kernel)
    padded = torch.cat([far, queries])
    found = torch.cat([ours[index], sums.log_density(padded)[: len(far)]])
    at = torch.cat([queries[index], far])
    if kernel == "gaussian":
        exact = direct64(x, at, h)
    else:
        exact = log_sums(sums.single, sums._reduced(at))
    unit = torch.from_numpy(np.spacing(exact.abs().numpy()))
    apart = ((found - exact).abs() - unit).clamp_min(0)
    difference = torch.where(found == exact, 0.0, torch.expm1(apart))
    inside = len(index)
    return float(difference[:inside].max()), float(difference[inside:].max())


def _row(name: str, what: str, settings: list[Setting], target: float) -> Row:
    """A sweep as one row: its worst setting."""
    worst = min(settings, key=lambda s: s["ratio"])
    ratios = [s["ratio"] for s in settings]
    error = max(s["relative error"] for s in settings)
    tails = max(s["in far tails"] for s in settings)
    return {
        "name": name,
        "what": f"{what}: the worst setting; {POINTS} points, {QUERIES} queries",
        "against": "scikit-learn at rtol 1e-3" + ("" if "2" in name else " or SciPy, the faster"),
        "seconds": worst["seconds"],
        "worst": {k: worst[k] for k in ("data", "kernel", "factor", "method")},
        "ratio": {"median": min(ratios), "min": min(ratios), "max": max(ratios)},
        "target": target,
        "check": {
            "relative error": error,
            "in far tails": tails,
            "asked": 1e-6,
            "agree": max(error, tails) <= 1e-6,
        },
        "settings": settings,
    }


def _choice_row(name: str, what: str, settings: list[Setting]) -> Row:
    """How much slower the chosen methods are than the best ones, at the worst setting."""
    excess = []
    for s in settings:
        times = {method: t["seconds"] for method, t in s["methods"].items()}
        if s["method"] in times:
            excess.append(_digits(times[s["method"]] / min(times.values())))
    return {
        "name": name,
        "what": f"KDE, {what}: time of the method chosen over the best one's, at the worst setting",
        "ratio": {"median": max(excess), "min": min(excess), "max": max(excess)},
        "target": 1.5,
        "better": "lower",
        "check": {"settings": len(excess), "agree": len(excess) == len(settings)},
    }


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


BENCHMARKS = {
    "kde-sweep-2d": planes,
    "kde-sweep-1d": lambda: other_dimensions(1),
    "kde-sweep-3d": lambda: other_dimensions(3),
    "kde-sweep-kernels": kernels,
    "kde-choice": choice_of_bandwidth,
    "kde-one-row": one_row,
}
