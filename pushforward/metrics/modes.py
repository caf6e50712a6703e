r"""Mode coverage: counts of known modes, and the diversity of samples if modes are unknown.

Known modes: a mixture with K centres c_k, one standard deviation s and weights q_k. Each sample is
assigned to its nearest centre, and is of high quality within 3 s of it; a mode is covered if it has
such a sample. With p̂ the shares of all N samples by centre,

    reverse KL = Σ p̂_k ln(p̂_k / q_k),

which is not 0 even for an ideal sampler: its mean is (K - 1)/2N (half a χ² of K - 1 degrees of
freedom, over N), the floor. An ideal sampler in d dimensions has a high-quality share of
P(χ²_d ≤ 9), 98.89 % in the plane; more indicates collapsed variance.

Labelled modes: a classifier assigns each sample to one of K kinds (StackedMNIST: one digit in each
of three channels, K = 1000). A mode is covered if a sample is assigned to it, and the reverse KL is
that of the labels; misclassified samples may cover modes too.

Unknown modes: the mean distance between two samples and to the
nearest other sample, compared with those of as many real rows.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, ShapeMismatch, require_positive
from pushforward.core.numbers import require_whole, to_numeric, view_as_tensor
from pushforward.core.random import Rng, generator, permutation
from pushforward.core.records import Record
from pushforward.metrics.features import ROUNDING, Features, digest
from pushforward.metrics.gauge import Gauge, exponent_of, restore_units
from pushforward.metrics.neighbours import nearest
from pushforward.metrics.pairs import Pair, known_seed
from pushforward.metrics.samples import rows
from pushforward.metrics.whole_numbers import subtract_common_origin

__all__ = ["modes", "label_modes", "diversity"]

FAR = 2.0**200
"""Distance beyond which samples are measured separately.

It is relative to the distances between centres.
"""


def modes(
    generated: Observations,
    centres: Observations,
    sd: float,
    *,
    weights: Observations | None = None,
    within: float = 3.0,
    data: str = "",
) -> list[Record]:
    """Covered modes, high-quality share and reverse KL of samples (n, d) for known centres (K, d).

    Args:
        sd: standard deviation s of every mode, in the units of the samples.
        weights: q (K,), positive; equal by default.
        within: largest distance of a high-quality sample from its centre, in s.

    Details hold the 'ideal' of each number: the mean for a perfect sampler of as many rows.
    """
    require_positive(sd=sd, within=within)
    x, c = (rows(each).cpu() for each in (generated, centres))
    if x.ndim != 2 or c.ndim != 2 or x.shape[1] != c.shape[1]:
        raise ShapeMismatch(
            f"expected samples (n, d) and centres (K, d) of one d, got {tuple(x.shape)} and"
            f" {tuple(c.shape)}"
        )
    if not bool(x.isfinite().all()):
        raise InvalidValue("the samples hold NaN or infinity; drop these rows")
    q = _check_weights(weights, len(c))
    n, share = len(x), _mass_within(x.shape[1], within)
    samples, means = subtract_common_origin(x, c)
    index, good = _assign(samples, means, within * sd)
    options: dict[str, Any] = {
        "bound": "exact",
        "data": data or f"{len(c)} centres #{digest([c.to(torch.float64), q])}",
    }
    facts = {"features": f"raw; s = {sd:g}, within {within:g} s", "modes": len(c)}
    divergence, error, counts = _reverse_kl(index, q)
    count = len(index[good].unique())
    ideal_found = float((1 - (1 - q * share) ** n).sum())
    return [
        Record("modes", float(count), n=n, details={**facts, "ideal": ideal_found}, **options),
        Record.of(
            "high_quality", good.to(torch.float64), details={**facts, "ideal": share}, **options
        ),
        Record(
            "reverse_kl",
            divergence,
            error,
            "nats",
            n=n,
            details={**facts, "ideal": (len(c) - 1) / (2 * n), "counts": counts},
            **options,
        ),
    ]


def label_modes(
    labels: Observations,
    kinds: int,
    *,
    weights: Observations | None = None,
    data: str = "",
    classifier: str = "",
) -> list[Record]:
    """Covered modes and reverse KL of samples by classifier labels (n,), integers in 0..kinds - 1.

    Reference: Srivastava et al. (2017, VEEGAN, §4, https://arxiv.org/abs/1705.07761) and Lin et
    al. (2018, PacGAN, §4.2, https://arxiv.org/abs/1712.04086): 26 000 samples of StackedMNIST, 1000
    kinds.

    Args:
        weights: q (kinds,), positive; equal if not given.
        classifier: how the records call what gave the labels.

    Details hold each number's 'ideal', what a perfect sampler of
    as many rows has on average under a perfect classifier.
    """
    kinds = require_whole(kinds, "kinds", least=1)
    index = view_as_tensor(to_numeric(labels, "labels")).cpu()
    if index.ndim != 1 or not len(index):
        raise ShapeMismatch(
            f"expected labels (n,), one per sample, got shape {tuple(index.shape)}; make one number"
            " of several digits"
        )
    if index.is_floating_point() or not 0 <= int(index.min()) <= int(index.max()) < kinds:
        extent = f"{index.min().item():g} to {index.max().item():g}" + (
            " (floats)" if index.is_floating_point() else ""
        )
        raise InvalidValue(
            f"labels must be whole numbers from 0 to {kinds - 1}, got {extent}; give kinds={kinds}"
            " other labels, or more kinds"
        )
    q, n = _check_weights(weights, kinds), len(index)
    divergence, error, _ = _reverse_kl(index.to(torch.int64), q)
    options: dict[str, Any] = {
        "bound": "estimate" if classifier else "exact",
        "data": data or f"{kinds} kinds",
    }
    facts = {"features": classifier or "labels", "modes": kinds}
    ideal = float((1 - (1 - q) ** n).sum())
    return [
        Record(
            "modes", float(len(index.unique())), n=n, details={**facts, "ideal": ideal}, **options
        ),
        Record(
            "reverse_kl",
            divergence,
            error,
            "nats",
            n=n,
            details={**facts, "ideal": (kinds - 1) / (2 * n)},
            **options,
        ),
    ]


def diversity(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    most: int = 5000,
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """Diversity of generated rows (m, *shape): mean distances.

    They are those of pairs and to the nearest other row.

    Values are in units of the features; details hold those of as many 'real' rows, and the 'ratio',
    which is near 0 for one repeated sample. Equal numbers of both sets are used, at most `most`,
    sampled with `rng`.
    """
    most = require_whole(most, "most", least=2)
    pair = Pair.of(real, generated, features, data)
    stream = generator(rng)
    n = min(len(pair.real), len(pair.generated), most)
    one, two = (x[permutation(len(x), rng=stream)[:n]] for x in pair.centred())
    records = []
    for name, measure in (
        ("pairwise_distance", _pair_distances),
        ("neighbour_distance", _nearest_distances),
    ):
        real_values, values = (
            restore_units(name, measure(x), exponent_of(pair.gauge.scale)) for x in (one, two)
        )
        mean = float(real_values.mean())
        ratio = float(values.mean()) / mean if mean > 0 else math.nan
        records.append(
            pair.mean(name, values, ideal=mean, ratio=ratio, rows=n, seed=known_seed(rng))
        )
    return records


def _assign(x: Tensor, c: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """The nearest centre (K, d) of each row (n, d), and whether the row is within the radius.

    The radius allows for rounding.
    """
    index, good = torch.zeros(len(x), dtype=torch.int64), torch.zeros(len(x), dtype=torch.bool)
    near = Gauge.of(c)
    # whose unit would underflow the squares of the others
    far = (x - near.centre).abs().amax(1) > FAR * max(near.scale, radius)
    for some in (~far, far):
        if bool(some.any()):
            gauge = Gauge.of(c, x[some])
            distance, index[some] = nearest(gauge(x[some]), gauge(c))
            good[some] = distance <= radius / gauge.scale + gauge.noise(x[some], ROUNDING)
    return index, good


def _pair_distances(x: Tensor) -> Tensor:
    """Distances (n // 2,) of disjoint pairs of rows, which are independent, for an error bar."""
    half = len(x) // 2
    distances: Tensor = (x[:half] - x[half : 2 * half]).norm(dim=1)
    return distances


def _nearest_distances(x: Tensor) -> Tensor:
    return nearest(x, x, itself=True)[0]


def _check_weights(weights: Observations | None, k: int) -> Tensor:
    if weights is None:
        return torch.full((k,), 1 / k, dtype=torch.float64)
    q = torch.as_tensor(weights, dtype=torch.float64)
    if q.shape != (k,) or not bool((q > 0).all()):
        raise InvalidValue(f"weights must be {k} positive numbers, one per centre, got {weights!r}")
    return q / q.sum()


def _reverse_kl(index: Tensor, q: Tensor) -> tuple[float, float, list[int]]:
    """KL(p̂ ‖ q), its standard error, and the counts.

    The error is of first order, plus the spread of the floor.
    """
    n, counts = len(index), torch.bincount(index, minlength=len(q))
    p = counts.to(torch.float64) / n
    logs = torch.where(p > 0, (p / q).clamp_min(torch.finfo(p.dtype).tiny).log(), 0.0)
    value = float((p * logs).sum())
    # the mean of the first-order term if p = q; half of it is the variance of the floor
    noise = (len(q) - 1) / (n * n)
    variance = max(0.0, (float((p * logs.square()).sum()) - value * value) / n - noise)
    return value, math.sqrt(variance + noise / 2), counts.tolist()


def _mass_within(d: int, within: float) -> float:
    """P(χ²_d ≤ within²): the mass of N(0, I_d) within that distance of its centre."""
    return float(
        torch.special.gammainc(
            torch.tensor(d / 2, dtype=torch.float64),
            torch.tensor(within**2 / 2, dtype=torch.float64),
        )
    )
