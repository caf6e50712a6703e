"""The first parameter is the one that a list of all begins with."""

from __future__ import annotations

import pytest
from torch import nn

from pushforward.core.first_parameter import first_parameter


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(2, 3),
        nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)),
        nn.Sequential(nn.ReLU(), nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False))),
        nn.Sequential(nn.BatchNorm1d(2, affine=False), nn.PReLU()),
        nn.ModuleDict({"none": nn.Identity(), "some": nn.GRU(2, 2)}),
    ],
)
def test_it_is_the_first_of_all(module: nn.Module) -> None:
    assert first_parameter(module) is next(module.parameters())


def test_without_parameters_it_stops_as_next_does() -> None:
    with pytest.raises(StopIteration):
        first_parameter(nn.ReLU())
