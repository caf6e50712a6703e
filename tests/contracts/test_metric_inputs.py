"""What metrics take: one answer for the same numbers in any container;
images laid out or scaled unlike are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.core.errors import (
    InvalidKind,
    InvalidValue,
    PushforwardError,
    ShapeMismatch,
    require_positive,
)
from pushforward.core.records import Record
from pushforward.metrics.classifiers import classifier
from pushforward.metrics.clusters import purity, silhouette
from pushforward.metrics.divergence import divergence
from pushforward.metrics.feature_spaces import scaled
from pushforward.metrics.frechet import fid
from pushforward.metrics.kernel_distances import mmd
from pushforward.metrics.manifold import prdc
from pushforward.metrics.memorisation import memorisation
from pushforward.metrics.modes import diversity, label_modes, modes
from pushforward.metrics.pairs import FewRows
from pushforward.metrics.parzen import parzen
from pushforward.metrics.samples import rows
from pushforward.metrics.scores import METRICS, WITH_TRAINING, scores
from pushforward.metrics.two_samples import c2st, ks

STREAM = torch.Generator()


def levels(n: int, seed: int, *shape: int) -> Tensor:
    """Whole numbers 0..15, which every dtype below holds."""
    return torch.randint(0, 16, (n, *(shape or (3,))), generator=STREAM.manual_seed(seed))


def frame(x: Tensor) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(x.numpy(), columns=["a", "b", "c"])


def strided(x: Tensor) -> np.ndarray:
    return np.ascontiguousarray(x.numpy()[::-1, ::-1])[::-1, ::-1]


def frozen(x: Tensor) -> np.ndarray:
    array = x.numpy().copy()
    array.flags.writeable = False
    return array


CONTAINERS: dict[str, Callable[[Tensor], Any]] = {
    "lists": lambda x: x.tolist(),
    "lists of floats": lambda x: x.double().tolist(),
    "a list of tensors": list,
    "a frame": frame,
    "a nullable frame": lambda x: frame(x).astype("Int64"),
    "a frame with its columns in another order": lambda x: frame(x)[["c", "a", "b"]],
    "negative strides": strided,
    "read only": frozen,
    "big-endian": lambda x: x.numpy().astype(">f8"),
    "longdouble": lambda x: x.numpy().astype(np.longdouble),
    "requires grad": lambda x: x.double().requires_grad_(),
    **{
        str(d): lambda x, d=d: x.to(d)
        for d in (torch.float16, torch.bfloat16, torch.float32, torch.uint8, torch.int16)
    },
    **{
        d: lambda x, d=d: x.numpy().astype(d)
        for d in ("uint16", "uint32", "uint64", "int8", "float16")
    },
}


def values(found: Record | list[Record]) -> list[float]:
    return [r.value for r in ([found] if isinstance(found, Record) else found)]


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_same_numbers_in_any_container(container: str) -> None:
    x, y, train = levels(40, 0), levels(30, 1), levels(50, 2)
    put = CONTAINERS[container]
    quick = [
        name
        for name in (*METRICS, *WITH_TRAINING)
        if name not in ("c2st", "parzen", "inception_score")
    ]
    plain = scores(x.double(), y.double(), metrics=quick, train=train.double())
    # columns come in the order of the real ones
    first = frame(x) if "frame" in container else put(x)
    assert [r.value for r in scores(first, put(y), metrics=quick, train=put(train))] == [
        r.value for r in plain
    ]


def test_the_dearer_metrics_take_frames_and_lists_too() -> None:
    x, y, train = levels(40, 0), levels(30, 1), levels(50, 2)
    assert c2st(frame(x), y.tolist(), steps=5).value == c2st(x.double(), y.double(), steps=5).value
    assert values(parzen(frame(train), strided(x), y.tolist(), sigma=1.0)) == values(
        parzen(train, x, y, sigma=1.0)
    )
    assert (
        divergence(frame(x), frame(x)[["b", "c", "a"]], steps=5).value
        == divergence(x, x, steps=5).value
    )
    assert values(modes(y.tolist(), levels(4, 5).tolist(), 1.0)) == values(
        modes(y.double(), levels(4, 5).double(), 1.0)
    )
    labels = ["even" if i % 2 else "odd" for i in range(40)]
    assert (
        classifier(frame(x), labels, steps=2).label
        == classifier(x.double(), torch.arange(1, 41) % 2, steps=2).label
    )
    assert torch.equal(scaled(x.tolist())(x), scaled(x.double())(x.double()))


@pytest.mark.parametrize(
    "put",
    [
        lambda y: y.tolist(),
        lambda y: y.numpy(),
        lambda y: y.numpy()[::-1][::-1],
        lambda y: y.to(torch.int32),
    ],
)
def test_labels_in_any_container(put: Callable[[Tensor], Any]) -> None:
    x, labels, clusters = levels(30, 0).double(), torch.arange(30) % 3, torch.arange(30) // 10
    assert silhouette(x.tolist(), put(labels)).value == silhouette(x, labels).value
    assert purity(put(clusters), put(labels)).value == purity(clusters, labels).value
    assert values(label_modes(put(labels), 4)) == values(label_modes(labels, 4))


def test_records_name_the_columns_of_frames() -> None:
    x = frame(levels(20, 0))
    assert [r.quantity for r in ks(x, x)] == ["ks a", "ks b", "ks c"]


def test_numbers_of_numpy_as_settings() -> None:
    require_positive(k=np.int64(3), h=np.float32(0.5), n=None)
    for bad in (np.int64(0), np.float32(-1), np.nan):
        with pytest.raises(InvalidValue, match="k must be above 0"):
            require_positive(k=bad)
    for bad in (True, "3", np.bool_(True)):
        with pytest.raises(InvalidKind, match="k must be a number"):
            require_positive(k=bad)


BAD = {
    "words": ("abc", InvalidKind, "numbers"),
    "a ragged list": ([[1.0, 2.0], [3.0]], InvalidKind, "tensor or array"),
    "complex": (torch.ones(5, 2, dtype=torch.complex64), InvalidKind, "real"),
    "sparse": (torch.ones(5, 2).to_sparse(), InvalidKind, "to_dense"),
    "objects": (np.array([[object()]]), InvalidKind, "numbers"),
    "nothing": ([], ShapeMismatch, "at least one row"),
    "a number": (3.0, ShapeMismatch, "at least one row"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_holds_no_rows_of_numbers_is_refused_in_one_line(case: str) -> None:
    bad, error, said = BAD[case]
    with pytest.raises(error, match=said) as caught:
        rows(bad)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_frames_with_other_columns_or_words_are_refused() -> None:
    x = frame(levels(20, 0))
    with pytest.raises(ShapeMismatch, match="no column 'c'"):
        fid(x, x.rename(columns={"c": "d"}))
    with pytest.raises(InvalidKind, match="column 'b'"):
        fid(x.assign(b="word"), x)


# ------------------------------------------------------------------------------------------- images

FRACTIONS = torch.rand(30, 3, 8, 8, generator=torch.Generator().manual_seed(0))
BYTES = (FRACTIONS * 255).round().to(torch.uint8)
LAST = FRACTIONS.permute(0, 2, 3, 1)
UNLIKE = {
    "levels and fractions": (BYTES, FRACTIONS, "one range"),
    "whole floats and fractions": (BYTES.float(), FRACTIONS, "one range"),
    "levels and signed fractions": (BYTES, 2 * FRACTIONS - 1, "one range"),
    "fractions and signed ones": (FRACTIONS, 2 * FRACTIONS - 1, "one range"),
    "binary and signed": (FRACTIONS.round().to(torch.uint8), 2 * FRACTIONS - 1, "one range"),
    "binary and signs": (FRACTIONS.round(), 2 * FRACTIONS.round() - 1, "one range"),
    "fractions and signs": (FRACTIONS, 2 * FRACTIONS.round() - 1, "one range"),
    "fractions, flattened, and signed ones": (FRACTIONS.flatten(1), 2 * FRACTIONS - 1, "one range"),
    "channels last": (FRACTIONS, LAST, "channels, height, width"),
    "wide and tall": (FRACTIONS[:, :, :4], FRACTIONS[:, :, :, :4], "channels, height, width"),
    "levels, flattened, and fractions": (BYTES.flatten(1), FRACTIONS, "one range"),
}
IMAGES: dict[str, Callable[[Any, Any], Any]] = {
    "fid": fid,
    "mmd": mmd,
    "prdc": prdc,
    "ks": ks,
    "diversity": diversity,
    "c2st": lambda x, y: c2st(x, y, steps=2),
    "divergence": lambda x, y: divergence(
        torch.as_tensor(x).repeat(2, 1, 1, 1), torch.as_tensor(y).repeat(2, 1, 1, 1), steps=2
    ),
    "memorisation, generated": lambda x, y: memorisation(x, x, y),
    "memorisation, held out": lambda x, y: memorisation(x, y, x),
    "parzen, test": lambda x, y: parzen(x, y, x, sigma=1.0),
    "scores": lambda x, y: scores(x, y, metrics=["prdc"]),
    "in features": lambda x, y: prdc(x, y, features=scaled(x)),
}


@pytest.mark.parametrize("metric", IMAGES)
@pytest.mark.parametrize("case", UNLIKE)
@pytest.mark.parametrize("swapped", [False, True])
def test_images_that_are_unlike_are_refused(metric: str, case: str, swapped: bool) -> None:
    one, other, said = UNLIKE[case]
    if metric == "divergence" and 2 in (one.ndim, other.ndim):
        return  # repeated along four axes above
    one, other = (other, one) if swapped else (one, other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewRows)
        with pytest.raises(ShapeMismatch, match=said) as caught:
            IMAGES[metric](one, other)
    assert isinstance(caught.value, PushforwardError)
    assert "\n" not in str(caught.value)


ALIKE = {
    "bytes": (BYTES, BYTES.flip(0)),
    "bytes and whole floats": (BYTES, BYTES.flip(0).float()),
    "fractions": (FRACTIONS, FRACTIONS.flip(0)),
    "a little below 0 and above 1": (FRACTIONS, 1.1 * FRACTIONS - 0.05),
    "a little below 0": (FRACTIONS, 1.1 * FRACTIONS - 0.1),
    "signed and grey": (2 * FRACTIONS - 1, 0.2 * FRACTIONS),
    "signed, both": (2 * FRACTIONS - 1, 2 * FRACTIONS.flip(0) - 1),
    "of three values": (FRACTIONS.round(), (2 * FRACTIONS - 1).round()),
    "binary and fractions": (FRACTIONS.round(), FRACTIONS),
    "binary and levels": (FRACTIONS.round(), BYTES),
    "channels last, both": (LAST, LAST.flip(0)),
    "flattened": (FRACTIONS.flatten(1), FRACTIONS),
    "points are in any units": (BYTES.flatten(1)[:, :4], FRACTIONS.flatten(1)[:, :4]),
}


@pytest.mark.parametrize("case", ALIKE)
def test_what_might_be_meant_is_measured(case: str) -> None:
    assert all(value >= 0 for value in values(prdc(*ALIKE[case])))
