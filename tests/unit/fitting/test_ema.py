"""The moving average against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.core.events import Event
from pushforward.core.learner import Learner
from pushforward.fitting.ema import MovingAverage


def test_the_average_follows_its_definition() -> None:
    net = nn.Linear(1, 1, bias=False).double()
    average, expected = MovingAverage({"net": net}, 0.6), float(net.weight.detach())
    for t in range(1, 30):
        nn.init.constant_(net.weight, float(t))
        average.update()
        beta = min(0.6, (1 + t) / (10 + t))
        expected = beta * expected + (1 - beta) * t
    with average.applied():
        assert float(net.weight.detach()) == pytest.approx(expected, abs=1e-12)
    assert float(net.weight.detach()) == 29


def test_its_state_goes_back_in() -> None:
    net = nn.Linear(2, 2)
    first, second = MovingAverage({"net": net}, 0.9), MovingAverage({"net": net}, 0.9)
    nn.init.ones_(net.weight)
    first.update()
    second.load(first.state())
    nn.init.zeros_(net.weight)
    for average in (first, second):
        average.update()
    one, two = first.state(), second.state()
    assert one["count"] == two["count"] == 2
    assert all(torch.equal(one["mean"][k], two["mean"][k]) for k in one["mean"])  # type: ignore[index]


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, 2.0])
def test_decay_lies_strictly_between_zero_and_one(decay: float) -> None:
    with pytest.raises(InvalidValue, match=r"between 0 and 1 \(e.g. 0.999\)"):
        MovingAverage({}, decay)


def test_the_model_ends_with_the_average_of_its_path() -> None:
    """The weights after every step, averaged by hand,
    are what the model and the run folder hold.
    """
    path: list[torch.Tensor] = []
    x = torch.randn(64, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def remember(event: Event, model: Learner) -> None:
        if type(event).__name__ in ("Started", "Progress"):
            path.append(model.encoder.layers[0].weight.detach().clone())  # type: ignore[union-attr, index]

    trainer = pf.Trainer(steps=12, batch=16, ema=0.7, precision="64-true", callbacks=[remember])
    model = pf.Autoencoder(latent=2, hidden=(4,)).fit(x, by=trainer)
    assert len(path) >= 13
    mean = path[0]
    for t, weight in enumerate(path[1:13], 1):
        beta = min(0.7, (1 + t) / (10 + t))
        mean = beta * mean + (1 - beta) * weight
    assert torch.allclose(model.encoder.layers[0].weight, mean, atol=1e-14, rtol=0)
    assert not torch.allclose(path[12], mean, atol=1e-6)
