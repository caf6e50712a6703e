"""Kernel densities side by side, answers checked.

The check is the relative error against direct float64 sums wherever the density is above 1e-12 of
its largest value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import child, median, ratio, seconds, side_by_side
from pushforward.densities.choose import KernelSums

Row = dict[str, Any]
POINTS, QUERIES = 100_000, 10_000


def mixture(n: int, d: int = 2, seed: int = 0) -> Tensor:
    """n draws of five normal distributions (n, d): centres N(0, 9), spreads .3 to 1."""
    stream = torch.Generator().manual_seed(1000 + d)
    centres = 3 * torch.randn(5, d, generator=stream, dtype=torch.float64)
    spreads = torch.linspace(0.3, 1.0, 5, dtype=torch.float64)
    stream = torch.Generator().manual_seed(seed)
    which = torch.randint(5, (n,), generator=stream)
    return centres[which] + spreads[which, None] * torch.randn(
        n, d, generator=stream, dtype=torch.float64
    )


def scott(x: Tensor) -> float:
    """Scott's factor times the mean spread: one number for all axes, as scikit-learn takes it."""
    n, d = x.shape
    return float(n ** (-1 / (d + 4)) * x.std(0).mean())


def direct64(
    x: Tensor, queries: Tensor, h: Tensor | float, weights: Tensor | None = None
) -> Tensor:
    """log f by direct float64 sums, block by block of queries: the true values."""
    h = torch.as_tensor(h, dtype=torch.float64).expand(len(x))
    w = (
        torch.full((len(x),), 1 / len(x), dtype=torch.float64)
        if weights is None
        else weights / weights.sum()
    )
    constant = w.log() - x.shape[1] * (h.log() + 0.5 * math.log(2 * math.pi))
    blocks = []
    for block in queries.split(200):
        squares = (block[:, None, :] - x[None]).square().sum(2)
        blocks.append(torch.logsumexp(constant - 0.5 * squares / h.square(), 1))
    return torch.cat(blocks)


def float32_products(
    x: Tensor, queries: Tensor, h: Tensor | float, weights: Tensor | None = None
) -> Tensor:
    """f by direct float32 sums as blocked matrix products, as careful users write them.

    Uses |q - x|² = |q|² - 2 q·x + |x|².
    """
    x, queries = x.float(), queries.float()
    h = torch.as_tensor(h, dtype=torch.float32).expand(len(x))
    w = torch.full((len(x),), 1 / len(x)) if weights is None else (weights / weights.sum()).float()
    scale = w / ((2 * math.pi) ** (x.shape[1] / 2) * h ** x.shape[1])
    narrow = -0.5 / h.square()
    left = torch.cat(
        [queries.square().sum(1, keepdim=True), queries, torch.ones(len(queries), 1)], 1
    )
    right = torch.cat(
        [narrow[:, None], -2 * narrow[:, None] * x, (narrow * x.square().sum(1))[:, None]], 1
    )
    total = torch.zeros(len(queries))
    for start in range(0, len(x), 4096):
        total += torch.exp_(left @ right[start : start + 4096].T) @ scale[start : start + 4096]
    return total


def worst(log_density: Tensor, exact: Tensor) -> float:
    """The largest relative error of f where f > 1e-12 of its largest value."""
    relevant = exact > exact.max() + math.log(1e-12)
    return float(torch.expm1(log_density - exact)[relevant].abs().max())


def scikit_learn() -> list[Row]:
    """100 000 points, 10 000 queries in the plane, against scikit-learn's tree at rtol 1e-3.

    Bandwidths are Scott's h, h/5 and h/20.
    """
    from sklearn.neighbors import KernelDensity

    x, queries = mixture(POINTS), mixture(QUERIES, seed=1)
    subset = queries[:500]
    rows = []
    for divisor, target in ((1, 100.0), (5, None), (20, None)):
        h = scott(x) / divisor
        last: dict[str, Tensor] = {}

        def ours(h: float = h, last: dict[str, Tensor] = last) -> float:
            return seconds(
                lambda: last.update(ours=KernelSums(x, h, tolerance=1e-7).log_density(queries))
            )

        def theirs(h: float = h, last: dict[str, Tensor] = last) -> float:
            tree = KernelDensity(bandwidth=h, rtol=1e-3)
            return seconds(
                lambda: last.update(
                    theirs=torch.as_tensor(tree.fit(x.numpy()).score_samples(queries.numpy()))
                )
            )

        timings = side_by_side(
            {"pushforward": ours, "scikit-learn": theirs}, rounds=3 if divisor == 1 else 1
        )
        exact = direct64(x, subset, h)
        error, other = worst(last["ours"][:500], exact), worst(last["theirs"][:500], exact)
        label = "Scott's h" if divisor == 1 else f"Scott's h / {divisor}"
        rows.append(
            {
                "name": f"kde-2d-{divisor}",
                "what": f"KDE, 2-D, {POINTS} points, {QUERIES} queries, {label}",
                "against": "scikit-learn at rtol 1e-3",
                "seconds": {k: median(v) for k, v in timings.items()},
                "ratio": ratio(timings["scikit-learn"], timings["pushforward"]),
                "target": target,
                "check": {
                    "relative error": error,
                    "scikit-learn's": other,
                    "asked": 1e-6,
                    "agree": error <= 1e-6,
                },
            }
        )
    return rows


def weighted() -> list[Row]:
    """Weights, and bandwidths spanning a factor of 7,
    beside direct float32 sums as matrix products.
    """
    x, queries = mixture(POINTS), mixture(QUERIES, seed=1)
    stream = torch.Generator().manual_seed(2)
    weights = torch.rand(POINTS, generator=stream, dtype=torch.float64)
    local = 7.0 ** (torch.rand(POINTS, generator=stream, dtype=torch.float64) - 0.5)
    h, subset = scott(x), queries[:500]
    cases: list[tuple[str, str, float, float, Callable[[], Tensor], Callable[[], Tensor], Tensor]] = [
        (
            "kde-weighted", "weights", 25.0, 1e-8,
            lambda: KernelSums(x, h, weights=weights, tolerance=1e-9).log_density(queries),
            lambda: float32_products(x, queries, h, weights),
            direct64(x, subset, h, weights),
        ),
        (
            "kde-per-point", "per-point bandwidths spanning a factor of 7", 4.0, 1e-6,
            lambda: KernelSums(x, h, local=local, tolerance=1e-7).log_density(queries),
            lambda: float32_products(x, queries, h * local),
            direct64(x, subset, h * local),
        ),
    ]  # fmt: skip
    rows = []
    for name, what, target, required, ours, theirs, exact in cases:
        last: dict[str, Tensor] = {}
        sides = {
            "pushforward": lambda ours=ours, last=last: seconds(lambda: last.update(ours=ours())),
            "float32 products": lambda theirs=theirs, last=last: seconds(
                lambda: last.update(theirs=theirs())
            ),
        }
        timings = side_by_side(sides, rounds=3)  # type: ignore[arg-type]
        error, other = (
            worst(last["ours"][:500], exact),
            worst(last["theirs"][:500].double().log(), exact),
        )
        rows.append(
            {
                "name": name,
                "what": f"KDE, 2-D, {POINTS} points, {QUERIES} queries, {what}",
                "against": "direct float32 sums as matrix products",
                "seconds": {k: median(v) for k, v in timings.items()},
                "ratio": ratio(timings["float32 products"], timings["pushforward"]),
                "target": target,
                "check": {
                    "relative error": error,
                    "float32's": other,
                    "asked": required,
                    "agree": error <= required,
                },
            }
        )
    return rows


_MILLION = """
import json, time
import torch
from benchmarks.kde import mixture, scott
from pushforward.densities.choose import KernelSums
x, queries = mixture(1_000_000), mixture(1_000_000, seed=1)
h = scott(x)
began = time.perf_counter()
value = KernelSums(x, h).log_density(queries)
took = time.perf_counter() - began
# This program's own peak: what getrusage says begins with that of the process it was forked from.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 2**20
print(json.dumps({"seconds": took, "peak": peak, "some": value[:20].tolist(), "h": h}))
"""


def million() -> list[Row]:
    """A million points at a million queries: seconds, and the process's peak memory."""
    runs = [json.loads(child(_MILLION)) for _ in range(3)]
    exact = direct64(mixture(1_000_000), mixture(1_000_000, seed=1)[:20], runs[0]["h"])
    error = worst(torch.tensor(runs[0]["some"], dtype=torch.float64), exact)
    what = "KDE, 2-D, a million points at a million queries"
    check = {"relative error": error, "asked": 1e-6, "agree": error <= 1e-6}
    took, peak = [f["seconds"] for f in runs], [f["peak"] for f in runs]

    def row(name: str, values: list[float], unit: str, target: float) -> Row:
        spread = {
            "median": round(float(np.median(values)), 3),
            "min": round(min(values), 3),
            "max": round(max(values), 3),
        }
        return {
            "name": name,
            "what": f"{what}, {unit}",
            "ratio": spread,
            "target": target,
            "better": "lower",
            "check": check,
        }

    return [
        row("kde-million-seconds", took, "seconds", 3.0),
        row("kde-million-memory", peak, "GB of the process at its peak", 2.0),
    ]


def eight_dimensions() -> list[Row]:
    """20 000 points, 2 000 queries in 8 dimensions, exact on both sides."""
    from sklearn.neighbors import KernelDensity

    x, queries = mixture(20_000, d=8), mixture(2_000, d=8, seed=1)
    h = scott(x)
    last: dict[str, Tensor] = {}

    def theirs() -> None:
        last["theirs"] = torch.as_tensor(
            KernelDensity(bandwidth=h).fit(x.numpy()).score_samples(queries.numpy())
        )

    sides = {
        "pushforward": lambda: seconds(
            lambda: last.update(ours=KernelSums(x, h).log_density(queries))
        ),
        "scikit-learn": lambda: seconds(theirs),
    }
    timings = side_by_side(sides, rounds=3)
    difference = float((last["ours"] - last["theirs"]).abs().max())
    return [
        {
            "name": "kde-8d",
            "what": "KDE, 8-D, 20 000 points, 2 000 queries",
            "against": "scikit-learn",
            "seconds": {k: median(v) for k, v in timings.items()},
            "ratio": ratio(timings["scikit-learn"], timings["pushforward"]),
            "target": 2.0,
            "check": {"largest difference of log f": difference, "agree": difference < 1e-8},
        }
    ]


BENCHMARKS = {
    "kde-2d": scikit_learn,
    "kde-weighted": weighted,
    "kde-million": million,
    "kde-8d": eight_dimensions,
}
