"""Each dimension moved alone, ranked by what it changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.space import Column, Space
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


class Steps:
    """g(z) = (z0, 1000 z0 + z1, the category that z1 falls into), as a table."""

    def fitted_space(self) -> Space:
        columns = (
            Column("age", low=0.0, high=10.0),
            Column("income", low=0.0, high=4000.0),
            Column("region", "categorical", 0, 2, categories=("north", "south", "east")),
        )
        return Space("points", (3,), columns)

    def decode(self, z: torch.Tensor, y: Any = None, *, rng: Any = None) -> torch.Tensor:
        region = (z[:, 1] > -0.5).to(z) + (z[:, 1] > 0.5).to(z)
        return torch.stack([z[:, 0], 1000 * z[:, 0] + z[:, 1], region], 1)


def test_columns_of_other_units_count_in_their_ranges_and_categories_by_their_changes() -> None:
    distribution = CodeDistribution(torch.zeros(2), torch.ones(2))
    moved = traverse(Steps(), steps=5, reach=2.0, distribution=distribution)
    assert moved.by_column is not None
    assert torch.allclose(moved.by_column, torch.tensor([[1.0, 1000.0, 0.0], [0.0, 1.0, 0.5]]))
    expected = torch.tensor([1 / 10**2 + 1000**2 / 4000**2, 1 / 4000**2 + 0.5])
    assert torch.allclose(moved.change, expected)
    assert moved.order.tolist() == [1, 0]


def test_names_and_units_say_whether_columns_may_be_added() -> None:
    def space(*columns: Column) -> Space:
        return Space("points", (len(columns),), columns)

    metres, tonnes = Column("x", low=0.0, high=1.0), Column("w", low=0.0, high=500.0)
    assert space(metres, tonnes).mixes_units
    assert not space(metres, Column("y", low=0.0, high=5.0)).mixes_units
    assert not space(Column(low=0.0, high=1.0), Column(low=0.0, high=500.0)).mixes_units
    assert not space(metres, Column("constant", low=3.0, high=3.0)).mixes_units
    assert space(metres, Column("share", low=0.0, high=1.0, unit="%")).mixes_units
    assert space(Column("k", "categorical", 0, 1, categories=("a", "b"))).mixes_units
    assert not Space.labels(["a", "b"]).mixes_units
    assert not Space("images", (1, 2, 2)).mixes_units
