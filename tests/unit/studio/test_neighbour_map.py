"""The map of codes by neighbours, and the way back."""

from __future__ import annotations

import pytest
import torch

from pushforward.core.errors import BadSource
from pushforward.studio import neighbour_map
from pushforward.studio.neighbour_map import NeighbourMap


def clusters() -> torch.Tensor:
    """Three far groups of 20 codes in 6 dimensions, alternating."""
    noise = torch.randn(60, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return noise + 40 * torch.eye(6, dtype=torch.float64)[torch.arange(60) % 3]


def test_neighbours_stay_together_and_the_map_is_the_same_each_time() -> None:
    z = clusters()
    first, second = NeighbourMap.of(z), NeighbourMap.of(z)
    assert torch.equal(first.places, second.places)
    assert torch.equal(first.codes, z)
    distances = torch.cdist(first.places, first.places).fill_diagonal_(torch.inf)
    assert bool((distances.argmin(1) % 3 == torch.arange(60) % 3).all())


def test_a_place_leads_to_the_weighted_mean_of_the_nearest_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbour_map, "NEAREST", 2)
    places = torch.tensor([[0.0, 0], [3, 0], [50, 0]], dtype=torch.float64)
    codes = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    made = NeighbourMap(codes, places)
    for place, code in zip(places, codes):
        assert torch.equal(made.code(place), code)
        assert torch.equal(made.place(code), place)
    # at distances 1 and 2, weights are as 4 to 1
    between = made.code(torch.tensor([1.0, 0.0]))
    assert torch.allclose(between, torch.tensor([0.8, 0.2, 0.0], dtype=torch.float64))
    assert torch.allclose(made.place(torch.tensor([0.5, 0.5, 0])), places[:2].mean(0))


def test_few_codes_have_no_neighbourhoods() -> None:
    with pytest.raises(BadSource, match="at least 10 codes, got 9"):
        NeighbourMap.of(torch.randn(9, 2))
    assert NeighbourMap.of(torch.arange(12.0)[:, None]).places.shape == (12, 2)
