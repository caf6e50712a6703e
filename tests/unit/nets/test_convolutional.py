"""Convolutional networks: shapes for any image, every parameter
and pixel in play, no word about one image from another.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.nets.architectures import conv
from pushforward.nets.convolutional import map_sizes

SMALL = conv(width=4, hidden=16)
SIZES = [(8, 8), (9, 8), (16, 16), (28, 28), (45, 33), (8, 64), (112, 92)]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), [(8, 8), (4, 4)]),
        ((28, 28), [(28, 28), (14, 14), (7, 7), (4, 4)]),
        ((45, 33), [(45, 33), (23, 17), (12, 9), (6, 5), (3, 3)]),
        ((8, 64), [(8, 64), (4, 32), (4, 16), (4, 8), (4, 4)]),
        ((9, 8), [(9, 8), (5, 4), (3, 4)]),
    ],
)
def test_sides_longer_than_four_are_halved_rounding_up(
    size: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    assert map_sizes(*size) == expected


def test_every_side_from_8_to_256_ends_between_3_and_4() -> None:
    assert {map_sizes(side, side)[-1][0] for side in range(8, 257)} == {3, 4}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("norm", ["none", "group"])
def test_there_and_back_has_the_right_shapes(
    size: tuple[int, int], channels: int, norm: str
) -> None:
    event = (channels, *size)
    architecture = SMALL.replace(norm=norm)
    first, second = architecture.encoder(event, (3, 5))(draw(2, *event))
    assert (first.shape, second.shape) == ((2, 3), (2, 5))
    location, log_scale = architecture.decoder(3, (event, (1, *size)))(first)
    assert (location.shape, log_scale.shape) == ((2, *event), (2, 1, *size))


def test_the_largest_images_go_through_and_learn() -> None:
    event = (3, 256, 256)
    encoder, decoder = conv(width=8).encoder(event, (2,)), conv(width=8).decoder(2, (event,))
    (z,) = encoder(draw(1, *event))
    (x,) = decoder(z)
    x.square().sum().backward()
    assert x.shape == (1, *event)
    assert all(
        float(p.grad.abs().sum()) > 0 for p in [*encoder.parameters(), *decoder.parameters()]
    )


@pytest.mark.parametrize("norm", ["none", "group"])
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (45, 33)])
def test_a_gradient_reaches_every_parameter(size: tuple[int, int], norm: str) -> None:
    event, architecture = (3, *size), SMALL.replace(norm=norm)
    encoder, decoder = (
        architecture.encoder(event, (2, 2), 3),
        architecture.decoder(2, (event, event), 3),
    )
    y = draw(4, 3, seed=1)
    mean, log_scale = encoder(draw(4, *event), y)
    sum(out.square().sum() for out in decoder(mean + log_scale, y)).backward()
    silent = [
        name
        for net in (encoder, decoder)
        for name, p in net.named_parameters()
        if p.grad is None or not float(p.grad.abs().sum())
    ]
    assert silent == []


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (45, 33), (9, 8), (8, 64)])
def test_codes_depend_on_every_pixel_and_every_pixel_on_the_code(size: tuple[int, int]) -> None:
    event = (3, *size)
    x = draw(1, *event).requires_grad_()
    (z,) = SMALL.encoder(event, (2,))(x)
    (slope,) = torch.autograd.grad(z.sum(), x)
    assert bool((slope != 0).all())
    decoder = SMALL.decoder(2, (event,))
    (one,), (other,) = decoder(draw(1, 2)), decoder(draw(1, 2, seed=1))
    assert bool((one != other).all())


@pytest.mark.parametrize("norm", ["none", "group"])
def test_what_is_said_of_an_image_does_not_depend_on_its_batch(norm: str) -> None:
    event, architecture = (1, 12, 12), SMALL.replace(norm=norm)
    encoder, decoder = (
        architecture.encoder(event, (2,)).double(),
        architecture.decoder(2, (event,)).double(),
    )
    x = draw(5, *event).double()
    for network, given in ((encoder, x), (decoder, encoder(x)[0].detach())):
        torch.testing.assert_close(
            network(given)[0][:1], network(given[:1])[0], rtol=1e-12, atol=1e-12
        )


def test_conditions_are_heard_as_vectors_and_as_images() -> None:
    event = (1, 8, 8)
    for condition in ((3,), (2, 4, 4)):
        one, other = draw(2, *condition, seed=1), draw(2, *condition, seed=2)
        extra = one[0].numel()
        x, z = draw(2, *event), draw(2, 2)
        for network, given in (
            (SMALL.encoder(event, (2,), extra), x),
            (SMALL.decoder(2, (event,), extra), z),
        ):
            assert not torch.equal(network(given, one)[0], network(given, other)[0])
            torch.testing.assert_close(network(given, one.flatten(1))[0], network(given, one)[0])


def test_the_order_in_memory_changes_nothing() -> None:
    event = (3, 12, 10)
    encoder, decoder = SMALL.encoder(event, (2,)), SMALL.decoder(2, (event,))
    x = draw(3, *event)
    plain = decoder(encoder(x)[0])[0]
    last = decoder.to(memory_format=torch.channels_last)(
        encoder.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))[0]
    )[0]
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)


def test_parameters_of_28_by_28_by_hand() -> None:
    down = (1 * 9 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 128
    dense = (128 * 4 * 4 + 1) * 256
    assert count(conv().encoder((1, 28, 28), (20, 20))) == down + dense + (256 + 1) * 40 == 627_496
    up = (20 + 1) * 256 + (256 + 1) * 128 * 4 * 4 + (128 * 9 + 1) * 64 + (64 * 9 + 1) * 32
    assert count(conv().decoder(20, ((1, 28, 28),))) == up + (32 * 9 + 1) * 4


def test_channels_double_up_to_eight_times_the_first() -> None:
    widths = [
        p.shape[0]
        for name, p in conv(width=2).encoder((1, 256, 256), (1,)).maps.named_parameters()
        if name.endswith("weight")
    ]
    assert widths == [2, 4, 8, 16, 16, 16]


@pytest.mark.parametrize(
    ("event", "got"),
    [
        ((3,), "3 numbers"),
        ((1, 7, 8), "7x8"),
        ((1, 28, 4), "28x4"),
        ((3, 5, 16, 16), "3x5x16x16 numbers"),
    ],
)
def test_what_is_no_image_is_refused(event: tuple[int, ...], got: str) -> None:
    message = f"conv networks take images of at least 8x8, got {got}; use network='mlp'"
    with pytest.raises(InvalidValue, match=message):
        SMALL.encoder(event, (2,))
    with pytest.raises(InvalidValue, match=message):
        SMALL.decoder(2, (event,))


def test_heads_of_two_sizes_are_refused() -> None:
    with pytest.raises(
        InvalidValue,
        match=(
            r"one height and width, got heads of shapes \(1, 8, 8\), \(1, 9, 9\); use network='mlp'"
        ),
    ):
        SMALL.decoder(2, ((1, 8, 8), (1, 9, 9)))


def test_images_and_codes_are_told_apart_before_anything_is_learnt() -> None:
    """Eight layers deep, with no norm; torch's own start lets the differences fade to 1e-4."""
    torch.manual_seed(0)
    event = (3, 256, 256)
    encoder, decoder = conv(width=8).encoder(event, (64,)), conv(width=8).decoder(8, (event,))
    with torch.no_grad():
        (codes,), (restored,) = encoder(draw(4, *event)), decoder(draw(4, 8))
    assert float(codes.std(0).mean()) > 0.02
    assert float(restored.std(0).mean()) > 0.02
