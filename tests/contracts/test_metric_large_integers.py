"""Integers beyond 2^53: metrics of x + b are those of x, whatever holds them and however large b
is; where they cannot be, it is said.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.core.errors import DataWarning, PushforwardError, ShapeMismatch
from pushforward.core.numbers import to_numeric
from pushforward.core.records import Record
from pushforward.metrics.classifiers import classifier
from pushforward.metrics.clusters import silhouette
from pushforward.metrics.divergence import divergence
from pushforward.metrics.feature_names import find_features
from pushforward.metrics.feature_spaces import scaled
from pushforward.metrics.frechet import fid
from pushforward.metrics.kernel_distances import kid, mmd
from pushforward.metrics.manifold import prdc
from pushforward.metrics.memorisation import memorisation
from pushforward.metrics.modes import diversity, modes
from pushforward.metrics.parzen import parzen
from pushforward.metrics.samples import rows
from pushforward.metrics.scores import scores
from pushforward.metrics.two_samples import c2st, ks, ks_to_cdf

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 200, (60, 2)), RNG.integers(20, 220, (50, 2))
LABELS = np.arange(60) % 3
OFFSETS = [17 * 10**17, -17 * 10**17, 2**53 + 1, 2**63 - 1000]


def frame(x: np.ndarray, dtype: str = "int64") -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(x, columns=["a", "b"]).astype(dtype)


def polars(x: np.ndarray) -> Any:
    return pytest.importorskip("polars").DataFrame(x, schema=["a", "b"])


CONTAINERS: dict[str, Callable[[np.ndarray], Any]] = {
    "int64": lambda x: x,
    "lists": lambda x: x.tolist(),
    "objects": lambda x: x.astype(object),
    "torch.int64": torch.from_numpy,
    "a list of tensors": lambda x: list(torch.from_numpy(x)),
    "big-endian": lambda x: x.astype(">i8"),
    "a frame": frame,
    "a nullable frame": lambda x: frame(x, "Int64"),
    "Polars": polars,
}
UNSIGNED: dict[str, Callable[[np.ndarray], Any]] = {
    "uint64": lambda x: x.astype(np.uint64),
    "torch.uint64": lambda x: torch.from_numpy(x.astype(np.uint64)),
    "a nullable frame of uint64": lambda x: frame(x, "UInt64"),
    "Polars uint64": lambda x: polars(x.astype(np.uint64)),
}

METRICS: dict[str, Callable[[Any, Any], Any]] = {
    "fid": fid,
    "mmd": mmd,
    "prdc": prdc,
    "ks": ks,
    "diversity": diversity,
    "c2st": lambda x, y: c2st(x, y, steps=20),
    "divergence": lambda x, y: divergence(x, y, steps=5),
    "modes": lambda x, y: modes(x, y[:4] if not hasattr(y, "columns") else y.head(4), 5.0),
    "silhouette": lambda x, y: silhouette(x, LABELS),
    "memorisation": lambda x, y: memorisation(x, y, x),
    "parzen": lambda x, y: parzen(x, y, y, sigma=5.0),
    "scaled": lambda x, y: fid(x, y, features=find_features("scaled", x)),
    "pca": lambda x, y: fid(x, y, features=find_features("pca(2)", x)),
    "classifier": lambda x, y: fid(x, y, features=classifier(x, LABELS, steps=5, width=4)),
    "raw, computed before": lambda x, y: fid(
        find_features("raw", x)(x),
        find_features("raw", x)(y),
        features=find_features("raw", x).precomputed(),
    ),
    "scores": lambda x, y: scores(x, y, metrics=["fid", "prdc", "ks"]),
}


def values(found: Record | list[Record]) -> list[float]:
    return [r.value for r in ([found] if isinstance(found, Record) else found)]


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("container", [*CONTAINERS, *UNSIGNED])
def test_every_container(container: str, offset: int) -> None:
    if container in UNSIGNED and offset < 0:
        return
    put = {**CONTAINERS, **UNSIGNED}[container]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in (fid, prdc, ks):
            assert values(metric(put(X + offset), put(Y + offset))) == pytest.approx(
                values(metric(X, Y)), rel=1e-12
            )


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("metric", METRICS)
def test_every_metric(metric: str, offset: int) -> None:
    measure = METRICS[metric]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        assert values(measure(X + offset, Y + offset)) == pytest.approx(
            values(measure(X, Y)), rel=1e-9, abs=1e-12
        )


def exact_kid(x: np.ndarray, y: np.ndarray) -> float:
    """MMD² under (xᵀy/d + 1)³ in fractions."""

    def k(a: Any, b: Any) -> Fraction:
        return (Fraction(sum(int(p) * int(q) for p, q in zip(a, b)), len(a)) + 1) ** 3

    n, m = len(x), len(y)
    own = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    others = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return float(own + others - 2 * sum(k(a, b) for a in x for b in y) / (n * m))


@pytest.mark.filterwarnings("ignore::pushforward.metrics.pairs.FewRows")
@pytest.mark.parametrize("offset", [0, 17 * 10**17, 2**63 - 1000])
def test_kid_whose_kernel_has_an_origin_is_that_of_the_integers_as_they_came(offset: int) -> None:
    x, y = X[:12] + offset, Y[:15] + offset
    exact = exact_kid(x, y)
    assert kid(x, y).value == pytest.approx(exact, rel=1e-9)
    # which has the features computed before
    assert scores(x, y, metrics=["kid"])[0].value == pytest.approx(exact, rel=1e-9)


def test_large_columns_beside_small_ones_and_rows_of_other_shapes() -> None:
    x, y = X.copy(), Y.copy()
    x[:, 1] += 17 * 10**17
    y[:, 1] += 17 * 10**17
    assert values(prdc(x, y)) == values(prdc(X, Y))
    assert fid(x, y).value == pytest.approx(fid(X, Y).value, rel=1e-12)
    with pytest.raises(ShapeMismatch, match="one shape"):
        fid(x, y[:, :1])
    images = X.reshape(30, 2, 2, 1) + 17 * 10**17
    assert values(prdc(images, images.reshape(30, 4))) == values(
        prdc(X.reshape(30, 4), X.reshape(30, 4))
    )


ROUNDED: dict[str, Callable[[], Any]] = {
    "uint64 beyond int64": lambda: rows(
        (X + 17 * 10**17).astype(np.uint64) * np.uint64(10) + np.uint64(1)
    ),
    "torch.uint64 beyond int64": lambda: rows(
        torch.from_numpy((X + 17 * 10**17).astype(np.uint64) * np.uint64(10) + np.uint64(1))
    ),
    "beside columns of floats": lambda: rows(frame(X + 17 * 10**17).assign(c=0.5)),
    "a list with floats": lambda: rows([[2**60 + 1, 0.5], [2**60, 1.5]]),
    "a list beyond 64 bits": lambda: rows([[2**70 + 1], [3]]),
    "None in an array of objects": lambda: to_numeric(
        np.array([[2**60 + 1], [None]], dtype=object)
    ),
    "differences beyond 2^53": lambda: fid(*[np.array([[-(2**62) - 1], [2**61 + 1], [3]])] * 2),
    "differences beyond 2^63": lambda: fid(
        np.array([[-(2**63) + 1], [2**63 - 1], [3]]), np.array([[2**63 - 1], [2**62 + 1]])
    ),
    "the user's features": lambda: fid(X + 17 * 10**17, Y + 17 * 10**17, features=scaled(X)),
    "a distribution": lambda: ks_to_cdf(lambda x: 0 * x, X[:, 0] + 17 * 10**17, name="none"),
}


@pytest.mark.filterwarnings("ignore::pushforward.metrics.pairs.FewRows")
@pytest.mark.parametrize("case", ROUNDED)
def test_what_is_rounded_is_warned_of(case: str) -> None:
    with pytest.warns(DataWarning, match="integers beyond 2\\^53 are rounded"):
        ROUNDED[case]()


@pytest.mark.filterwarnings("ignore::pushforward.core.errors.DataWarning")
def test_differences_beyond_64_bits_do_not_wrap_around() -> None:
    x = np.array([[-(2**63) + 1], [2**63 - 1]] * 2)
    assert diversity(x, x)[1].value == 0
    y = np.array([[2**63 - 1], [-(2**62) - 1]])
    gap = float(np.mean([r.details["ideal"] for r in diversity(y, y)]))
    assert gap == pytest.approx(2**63 + 2**62)


@pytest.mark.parametrize(
    "x",
    [[[2**60], [2**70]], [[2**53 - 1], [0.5]], [[1e300], [2.5]], X.tolist(), [[True], [False]]],
    ids=["powers", "53", "floats", "small", "bool"],
)
def test_what_is_not_rounded_is_not_warned_of(x: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows(x)


def test_missing_values_are_refused_as_ever() -> None:
    x = frame(X + 17 * 10**17, "Int64")
    x.loc[3, "a"] = None
    # of the other column, now beside floats
    with pytest.warns(DataWarning), pytest.raises(PushforwardError, match="NaN"):
        fid(x, x)
