"""Fixed networks: their weights are stored with the model, and read back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pushforward.core.fixed import Fixed


def holder(*, stored: bool = True) -> nn.Module:
    """A module with a fixed network, which begins at random."""
    return nn.ModuleDict({"features": Fixed(nn.Linear(3, 2), stored=stored)})


def test_stored_weights_are_read_back() -> None:
    one, two = holder(), holder()
    x = torch.ones(4, 3)
    assert not torch.equal(one["features"](x), two["features"](x))
    two.load_state_dict(one.state_dict())
    assert torch.equal(one["features"](x), two["features"](x))


def test_weights_that_are_not_stored_stay_as_they_are() -> None:
    one, two = holder(stored=False), holder(stored=False)
    before = two["features"].network.weight.clone()
    two.load_state_dict(one.state_dict())
    assert torch.equal(two["features"].network.weight, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("features.network.bias"), "Missing key.*features.network.bias"),
        (
            lambda s: s.update({"features.network.more": torch.ones(1)}),
            "Unexpected key.*features.network.more",
        ),
        (
            lambda s: s.update({"features.network.bias": torch.ones(5)}),
            "size mismatch for bias",
        ),
    ],
)
def test_weights_of_another_network_are_refused(change: Any, message: str) -> None:
    state = dict(holder().state_dict())
    change(state)
    with pytest.raises(RuntimeError, match=f"(?s){message}"):
        holder().load_state_dict(state)
