"""Starts that the user gives, and the origin of k-means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.models.classical.starts import as_centres, check_start, lower_medians


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 4), (5, 2)])
def test_given_centres_come_back_unchanged(shape: tuple[int, int], scale: float) -> None:
    given = np.random.default_rng(0).standard_normal(shape) * scale
    kept = check_start(given, "centres", shape[0], ())
    assert not isinstance(kept, str)
    assert torch.equal(as_centres(kept), torch.from_numpy(given))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1025])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_medians_are_those_of_pytorch(n: int, scale: float) -> None:
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64) * scale
    x[n // 2 :, 1] = x[0, 1]  # ties
    assert torch.equal(lower_medians(x), x.median(0).values)
    assert torch.equal(lower_medians(x[:, :0]), x.new_empty(0))
