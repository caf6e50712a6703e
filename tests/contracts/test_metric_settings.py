"""Settings of metrics of a wrong kind or out of range:
one line that names the setting, whatever the metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.core.errors import PushforwardError
from pushforward.metrics.clusters import silhouette
from pushforward.metrics.divergence import divergence
from pushforward.metrics.kernel_distances import kid, mmd
from pushforward.metrics.manifold import prdc
from pushforward.metrics.memorisation import memorisation
from pushforward.metrics.modes import diversity, label_modes
from pushforward.metrics.pairs import Pair
from pushforward.metrics.two_samples import c2st

X, Y, LABELS = torch.randn(40, 2), torch.randn(40, 2), torch.arange(40) % 2
LONG = torch.randn(100, 2)


def unchecked(metric: Callable[..., Any]) -> Callable[..., Any]:
    """A metric without the annotations that only tests check."""
    return getattr(metric, "__wrapped__", metric)


METRICS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "block": (kid, (X, Y), {}),
    "permutations": (mmd, (X, Y), {}),
    "most": (mmd, (X, Y), {"permutations": 5}),
    "k": (prdc, (X, Y), {}),
    "steps": (c2st, (X, Y), {"width": 4}),
    "width": (c2st, (X, Y), {"steps": 2}),
    "most of diversity": (diversity, (X, Y), {}),
    "most of silhouette": (silhouette, (X, LABELS), {}),
    "pairs": (memorisation, (X, X, Y), {}),
    "kinds": (label_modes, (LABELS,), {}),
    "folds": (divergence, (LONG, LONG), {"steps": 2}),
    "steps of divergence": (divergence, (X, Y), {}),
}


@pytest.mark.parametrize(
    "bad", [None, "3", 2.5, True, [3], {}, 0, -1, math.nan, 1j, b"3"], ids=repr
)
@pytest.mark.parametrize("setting", METRICS)
def test_whole_numbers(setting: str, bad: Any) -> None:
    metric, given, more = METRICS[setting]
    name = setting.split()[0]
    with pytest.raises(PushforwardError, match=f"{name} must be") as caught:
        unchecked(metric)(*given, **{**more, name: bad})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting", METRICS)
def test_whole_numbers_of_numpy(setting: str) -> None:
    metric, given, more = METRICS[setting]
    name = setting.split()[0]
    found, same = (unchecked(metric)(*given, **{**more, name: value}) for value in (np.int64(3), 3))
    first, second = (r[0] if isinstance(r, list) else r for r in (found, same))
    assert first.value == second.value


@pytest.mark.parametrize(
    "bad",
    ["raw", 1.5, True, [1], {}, torch.nn.Linear(2, 2), lambda x: x],
    ids=lambda v: type(v).__name__,
)
def test_features_are_a_space(bad: Any) -> None:
    checked = getattr(Pair.of, "__wrapped__", None)
    with pytest.raises(PushforwardError, match="features must be a feature space") as caught:
        _ = Pair.of(X, Y, bad) if checked is None else checked(Pair, X, Y, bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", ["32", 32, None, (8, "8"), (8, 2.5), (0,)])
def test_sizes_of_layers(bad: Any) -> None:
    with pytest.raises(PushforwardError, match="hidden") as caught:
        unchecked(divergence)(X, Y, hidden=bad)
    assert "\n" not in str(caught.value)
