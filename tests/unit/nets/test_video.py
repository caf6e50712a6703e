"""Networks for clips: counts, composition, two streams, and what sees how much time."""

from __future__ import annotations

import pytest
import torch

from pushforward.core.errors import InvalidValue
from pushforward.nets.video import (
    ClipCritic,
    ClipGenerator,
    FrameEncoder,
    Streams,
    clip_steps,
    compose,
)


def codes(n: int = 2, inputs: int = 5) -> torch.Tensor:
    return torch.randn(n, inputs, generator=torch.Generator().manual_seed(0))


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_as_many_parameters_as_in_the_paper() -> None:
    event = (3, 32, 64, 64)
    assert count(ClipGenerator(100, event)) == 16_245_383
    assert count(ClipCritic(event)) == 11_057_858


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("frames", [2, 4, 16, 64])
@pytest.mark.parametrize("side", [8, 16, 32])
def test_any_power_of_two(channels: int, frames: int, side: int) -> None:
    event = (channels, frames, side, side)
    streams = Streams(*ClipGenerator(5, event, width=2)(codes()))
    assert streams.foreground.shape == (2, *event)
    assert streams.mask.shape == (2, 1, frames, side, side)
    assert streams.background.shape == (2, channels, 1, side, side)
    x = compose(streams)
    assert x.shape == (2, *event)
    assert ClipCritic(event, width=2)(x).shape == (2, 1)
    assert FrameEncoder((channels, side, side), 7, width=2)(x[:, :, 0]).shape == (2, 7)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ((3, 16, 24, 24), r"square clips of 8, 16, 32, 64, … pixels, got 24x24; .* \(size=64\)"),
        ((3, 16, 32, 16), r"square clips .*, got 32x16"),
        ((3, 16, 4, 4), r"square clips .*, got 4x4"),
        ((3, 12, 32, 32), r"clips of 2, 4, 8, 16, … frames, got 12; cut them \(frames=8\)"),
        ((3, 1, 32, 32), r"clips of 2, 4, 8, 16, … frames, got 1; cut them \(frames=2\)"),
    ],
)
def test_other_sizes_are_refused(event: tuple[int, ...], words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        clip_steps(event)


def test_composition() -> None:
    """m f + (1 - m) b, by hand."""
    foreground = torch.full((1, 1, 2, 1, 1), 4.0)
    mask = torch.tensor([0.25, 1.0]).reshape(1, 1, 2, 1, 1)
    background = torch.full((1, 1, 1, 1, 1), -4.0)
    x = compose(Streams(foreground, mask, background))
    assert x.flatten().tolist() == [-2.0, 4.0]


@pytest.mark.parametrize("start", [0.1, 0.5])
def test_masks_begin_where_they_are_told_to(start: float) -> None:
    mask = ClipGenerator(5, (3, 4, 16, 16), width=4, mask_start=start)(codes())[1].detach()
    assert float((mask - start).abs().max()) < 0.04


@pytest.mark.parametrize("stream", ["background", "foreground", "mask", "clip"])
def test_severing_a_stream_changes_the_clips(stream: str) -> None:
    generator = ClipGenerator(5, (3, 4, 16, 16), width=4)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(1))
    before = compose(Streams(*generator(codes()))).detach()
    for parameter in getattr(generator, stream).parameters():
        torch.nn.init.zeros_(parameter)
    assert float((compose(Streams(*generator(codes()))).detach() - before).abs().max()) > 0.05


def test_the_background_stands_still_and_the_foreground_moves() -> None:
    generator = ClipGenerator(5, (3, 8, 16, 16), width=4)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        streams = Streams(*generator(codes()))
    assert float(streams.foreground.diff(dim=2).abs().mean()) > 0.01
    still = Streams(streams.foreground, torch.zeros_like(streams.mask), streams.background)
    assert float(compose(still).diff(dim=2).abs().max()) == 0


def test_the_critic_sees_all_frames_and_all_pixels() -> None:
    event = (1, 16, 32, 32)
    critic = ClipCritic(event, width=2)
    for parameter in critic.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 1.0)
    x = torch.rand(2, *event, generator=torch.Generator().manual_seed(0)).requires_grad_()
    critic(x)[0].sum().backward()
    assert x.grad is not None
    assert bool((x.grad[0] != 0).flatten(2).any(2).all())  # every frame
    assert bool((x.grad[0, 0] != 0).any(0).all())  # every pixel


def test_first_layers_see_a_short_time() -> None:
    """One step of the critic: a kernel of 4 frames, stride 2."""
    first = ClipCritic((1, 16, 32, 32), width=2).layers[0]
    x = torch.zeros(1, 1, 16, 32, 32, requires_grad=True)
    first(x)[0, 0, 3, 8, 8].backward()
    seen = x.grad[0, 0].abs().sum((1, 2)).nonzero().flatten().tolist()
    assert seen == [5, 6, 7, 8]


def test_the_critic_is_the_difference_of_two_outputs() -> None:
    critic = ClipCritic((1, 4, 16, 16), width=2)
    x = torch.rand(3, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    two = critic.layers(x)
    odds = two.log_softmax(1)
    assert torch.allclose(critic(x)[:, 0], odds[:, 1] - odds[:, 0], atol=1e-6)


def test_foreground_and_mask_are_those_of_their_own_layers() -> None:
    """One convolution with both kernels gives what each gives alone."""
    generator = ClipGenerator(5, (3, 4, 16, 16), width=4)
    with torch.no_grad():
        moving = generator.foreground(codes()[:, :, None, None, None])
        foreground, mask, _ = generator(codes())
        assert torch.allclose(foreground, generator.clip(moving), atol=1e-6)
        assert torch.allclose(mask, generator.mask(moving), atol=1e-6)
