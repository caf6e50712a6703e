"""Each dimension moved alone, ranked by what it changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.latent import CodeDistribution, traverse


def test_the_change_along_a_principal_component_is_its_variance() -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(400, 4, generator=stream, dtype=torch.float64) @ torch.randn(
        4, 4, generator=stream, dtype=torch.float64
    )
    model = pf.PCA(3).fit(x)
    for around in (None, torch.randn(5, 3, generator=stream, dtype=torch.float64)):
        found = traverse(model, around, steps=6, reach=1.0)
        assert torch.allclose(found.change, model.explained_variance_)
        assert found.order.tolist() == [0, 1, 2]
        assert float(found.share.sum()) == pytest.approx(1)


class Linear:
    """g(z) = z W, of which the middle dimension does nothing."""

    W = torch.tensor([[1.0, 0.0], [0.0, 0.0], [3.0, 4.0]])

    def decode(self, z: torch.Tensor, y: Any = None, *, rng: Any = None) -> torch.Tensor:
        return z @ self.W


def test_dimensions_are_ranked_and_dead_ones_come_last() -> None:
    distribution = CodeDistribution(torch.zeros(3), torch.tensor([10.0, 1.0, 1.0]))
    found = traverse(Linear(), steps=7, distribution=distribution)
    assert torch.allclose(found.change, torch.tensor([100.0, 0.0, 25.0]), rtol=1e-5)
    assert found.order.tolist() == [0, 2, 1]
    assert torch.allclose(found.share, torch.tensor([0.8, 0.0, 0.2]), rtol=1e-5)


def test_only_one_dimension_moves_and_the_others_stay_where_they_were() -> None:
    distribution = CodeDistribution(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([2.0, 1.0, 1.0]))
    base = torch.tensor([5.0, 6.0, 7.0])
    found = traverse(Linear(), base, steps=3, reach=1.0, distribution=distribution)
    assert found.codes.shape == (3, 3, 3)
    assert found.x.shape == (3, 3, 2)
    assert torch.equal(found.codes[0], torch.tensor([[-1.0, 6, 7], [1, 6, 7], [3, 6, 7]]))
    assert torch.equal(found.codes[2, :, :2], base[:2].expand(3, 2))
    assert torch.equal(found.x[2], found.codes[2] @ Linear.W)


def test_the_ranking_is_the_mean_over_the_codes_given(fitted: dict[str, Any]) -> None:
    model = fitted["vae"]
    around = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    found = traverse(model, around)
    alone = [traverse(model, z) for z in around]
    assert torch.allclose(found.change, torch.stack([f.change for f in alone]).mean(0))
    assert torch.equal(found.x, alone[0].x)


def test_traversals_that_cannot_be_are_refused(fitted: dict[str, Any]) -> None:
    with pytest.raises(pf.InvalidValue, match="at least 2 steps, got 1"):
        traverse(fitted["vae"], steps=1)
    with pytest.raises(pf.ShapeMismatch, match="expected one code of 3 numbers"):
        traverse(fitted["vae"], torch.zeros(2))
    with pytest.raises(pf.ShapeMismatch, match="expected base codes"):
        traverse(fitted["vae"], torch.zeros(0, 3))
    with pytest.raises(pf.InvalidKind, match="GMM does not decode codes"):
        traverse(
            pf.GMM(1).fit(torch.randn(20, 2)),
            distribution=CodeDistribution(torch.zeros(2), torch.ones(2)),
        )
