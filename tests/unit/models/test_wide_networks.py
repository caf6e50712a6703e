"""Networks that read many numbers: fits of large images do not explode."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.core.events import Progress
from pushforward.nets.mlp import WideLinear


def first_layer(model: pf.VAE | pf.Autoencoder) -> nn.Linear:
    """The layer that reads the data."""
    return next(layer for layer in model.encoder.modules() if isinstance(layer, nn.Linear))


def reach_of(layer: nn.Linear) -> float:
    """How much smaller it reads its inputs."""
    return float(layer.reach) if isinstance(layer, WideLinear) else 1.0


@pytest.mark.parametrize("model", [pf.VAE, pf.Autoencoder])
@pytest.mark.parametrize("hidden", [(), (8,), (8, 4)])
@pytest.mark.parametrize(("side", "reach"), [(8, 1.0), (26, 1.0), (32, 2 / 3), (64, 1 / 6)])
def test_the_first_layer_reads_many_numbers_smaller(
    model: type[pf.VAE], hidden: tuple[int, ...], side: int, reach: float
) -> None:
    x = torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8)
    fitted = model(2, hidden=hidden).fit(x, steps=1, batch=4, quiet=True)
    assert reach_of(first_layer(fitted)) == pytest.approx(reach, abs=0.02)
    assert not any(isinstance(layer, WideLinear) for layer in fitted.decoder.modules())


def test_it_reads_so_much_of_each_number() -> None:
    layer, x = WideLinear(4096, 3), torch.randn(5, 4096)
    torch.testing.assert_close(layer(x), x @ layer.weight.T / 2 + layer.bias)


def test_weights_from_before_it_read_all_at_full_size() -> None:
    layer, x = WideLinear(4096, 3), torch.randn(5, 4096)
    old = nn.Linear(4096, 3)
    layer.load_state_dict(old.state_dict())
    torch.testing.assert_close(layer(x), old(x))
    again = WideLinear(4096, 3)
    again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again(x), old(x))


@pytest.mark.parametrize("model", [pf.VAE, pf.Autoencoder])
def test_a_model_stored_before_it_says_the_same_today(
    model: type[pf.VAE], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    with monkeypatch.context() as then:
        then.setattr("pushforward.nets.mlp.NARROW", 10**9)
        old = model(2, hidden=(8,)).fit(x, steps=1, batch=4, quiet=True)
        assert not isinstance(first_layer(old), WideLinear)
        old.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert isinstance(first_layer(again), WideLinear)
    torch.testing.assert_close(again.encode(x), old.encode(x))


def stickers(count: int) -> torch.Tensor:
    """Discs of one colour on a transparent ground: corners hardly ever vary."""
    rng = torch.Generator().manual_seed(0)
    at = torch.arange(64) - 31.5
    size = 12 + 20 * torch.rand(count, 1, 1, 1, generator=rng)
    inside = (at.square()[:, None] + at.square() < size.square()).expand(-1, 1, -1, -1)
    colour = 255 * torch.rand(count, 4, 1, 1, generator=rng)
    colour[:, 3] = 255
    return torch.where(inside, colour, 0.0).to(torch.uint8)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_vae_of_large_images_does_not_explode(seed: int) -> None:
    losses: list[float] = []

    def keep(event: object) -> None:
        if isinstance(event, Progress):
            losses.append(event.terms["distortion"])

    pf.VAE().fit(stickers(256), steps=20, batch=64, seed=seed, quiet=True, listeners=[keep])
    assert max(losses) < 1.5 * losses[0]
    assert losses[-1] < losses[0]
