"""Transfer of edits to photographs: nothing, colours, movement, grey images, and sequences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.data.resampling import resize
from pushforward.latent import transfer, transferring, warp


def photograph(height: int, width: int, channels: int = 3) -> Tensor:
    """Noise with the spectrum of photographs, in 0..1."""
    rng = torch.Generator().manual_seed(0)
    x = torch.zeros(1, channels, height, width)
    for octave in range(2, 8):
        size = [max(1, 2**octave * side // max(height, width)) for side in (height, width)]
        noise = torch.randn(1, channels, *size, generator=rng)
        x += 2 ** (-0.8 * octave) * interpolate(noise, (height, width), mode="bicubic")
    x = x + 0.6 * x.mean(1, keepdim=True)
    return (0.5 + 0.16 * (x - x.mean()) / x.std()).clamp(0.02, 0.98)[0]


def small(x: Tensor) -> Tensor:
    return resize(x[None], (48, 64))[0]


PHOTO = photograph(192, 256)
SMALL = small(PHOTO)


def columns(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None]


GAIN, OFFSET = columns(0.8, 1.1, 0.6), columns(0.1, -0.05, 0.2)


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_changed_changes_no_bit(channels: int) -> None:
    photo = (PHOTO[:channels] * 255).round().to(torch.uint8)
    same = 255 * SMALL[:channels]
    assert torch.equal(transfer(same, same, photo), photo)
    assert torch.equal(transfer(same, same[None].repeat(3, 1, 1, 1), photo), photo)
    assert torch.equal(transfer(same / 255, same / 255, PHOTO[:channels], span=1.0),
                       transfer(same / 255, same / 255, PHOTO[:channels]))  # fmt: skip


def test_a_change_of_colours_is_reproduced() -> None:
    made = transfer(SMALL, SMALL * GAIN + OFFSET, PHOTO)
    torch.testing.assert_close(made, PHOTO * GAIN + OFFSET, atol=1 / 255, rtol=0)
    levels = (PHOTO * 255).round().to(torch.uint8)
    made = transfer(255 * SMALL, 255 * (SMALL * GAIN + OFFSET), levels)
    wanted = (levels * GAIN + 255 * OFFSET).clamp(0, 255)
    assert float((made - wanted).abs().max()) <= 1


def test_colours_that_mix_are_reproduced() -> None:
    mix = torch.tensor([[0.5, 0.4, 0.1], [0.2, 0.6, 0.0], [0.0, 0.3, 0.7]])
    after, wanted = (torch.einsum("ij,jhw->ihw", mix, x) for x in (SMALL, PHOTO))
    torch.testing.assert_close(transfer(SMALL, after, PHOTO), wanted, atol=1 / 255, rtol=0)


def test_a_negative_is_a_change_of_colours_and_moves_nothing() -> None:
    torch.testing.assert_close(transfer(SMALL, 1 - SMALL, PHOTO), 1 - PHOTO, atol=1e-3, rtol=0)


@pytest.mark.parametrize("distance", [1, 3, 6])
def test_content_that_moves_moves_in_the_photograph(distance: int) -> None:
    """By 4 pixels for each of the small images; away from what comes in at the border."""
    wide, move = photograph(192, 320), 4 * distance
    before, wanted = wide[:, :, 32:288], wide[:, :, 32 - move : 288 - move]
    made = transfer(small(before), small(wanted), before)
    inner = slice(16, -16), slice(move + 16, -16)
    error, unmoved = ((x - wanted)[:, *inner].square().mean().sqrt() for x in (made, before))
    assert float(error) < 0.05 * float(unmoved)
    assert float(error) < 0.005


def test_a_warp_is_followed_and_detail_kept() -> None:
    q, p = [[120.0, 90.0]], [[132.0, 96.0]]
    wanted = warp(PHOTO, q, p)
    made = transfer(SMALL, small(wanted), PHOTO)
    inner = slice(16, -16), slice(16, -16)
    error, unmoved, blurred = (
        (x - wanted)[:, *inner].square().mean()
        for x in (made, PHOTO, interpolate(small(wanted)[None], (192, 256), mode="bicubic")[0])
    )
    assert float(error) < 0.1 * float(unmoved)
    assert float(error) < 0.6 * float(blurred)


def test_a_local_change_of_colour_stays_local() -> None:
    down, across = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    inside = torch.sigmoid(8 - ((down - 24).square() + (across - 20).square()).sqrt())
    after = SMALL + inside * columns(0.3, 0.0, -0.3)
    change = transfer(SMALL, after, PHOTO) - PHOTO
    middle = change[:, 84:108, 68:92].mean((1, 2))
    assert middle.tolist() == pytest.approx([0.3, 0.0, -0.3], abs=0.05)
    assert float(change[:, :, 160:].abs().mean()) < 0.02


def test_a_sequence_carries_farther_than_its_end() -> None:
    """A disc that moves by several times its radius."""

    def disc(x: float, scale: int = 1) -> Tensor:
        down, across = torch.meshgrid(
            *(torch.arange(side * scale) / scale for side in (48, 64)), indexing="ij"
        )
        distance = ((down - 24).square() + (across - x).square()).sqrt()
        return torch.sigmoid(2 * (5 - distance))[None]

    steps = torch.stack([disc(16 + 2 * t) for t in range(1, 15)])
    made = transfer(disc(16), steps, disc(16, 4))
    wanted = disc(44, 4)
    error, unmoved = ((x - wanted).square().mean() for x in (made, disc(16, 4)))
    assert float(error) < 0.1 * float(unmoved)


DISC, SCALE = 8.0, 4
"""Radius in the small images, and pixels of the photograph for each of theirs."""


def textured_disc(x: float) -> tuple[Tensor, Tensor]:
    """A disc with a texture of its own on grey, and where it is, at the photograph's size."""
    down, across = torch.meshgrid(torch.arange(192.0), torch.arange(256.0), indexing="ij")
    inside = torch.sigmoid(DISC * SCALE - ((down - 96).square() + (across - x).square()).sqrt())
    texture = 0.3 * torch.roll(PHOTO - PHOTO.mean((1, 2), keepdim=True), round(x) - 128, 2)
    return 0.35 * (1 - inside) + inside * (columns(0.8, 0.5, 0.3) + texture), inside


def place(x: Tensor) -> Tensor:
    """The mean place of what is redder than grey (2,), pixels down and across."""
    redness = (x[0] - x[2] - 0.1).clamp_min(0)
    places = torch.meshgrid(torch.arange(192.0), torch.arange(256.0), indexing="ij")
    return torch.stack([(redness * at).sum() for at in places]) / redness.sum()


@pytest.mark.parametrize("distance", [6, 24])
def test_a_shape_moves_by_as_many_pixels_for_each_of_the_small_images(distance: int) -> None:
    """Up to one and a half of its own width; it takes its texture along."""
    first = 128 - SCALE * distance // 2
    before, _ = textured_disc(first)
    wanted, _ = textured_disc(first + SCALE * distance)
    ways = [small(textured_disc(first + SCALE * distance * t / 8)[0]) for t in range(1, 9)]
    made = transfer(small(before), torch.stack(ways), before)
    assert float((place(made) - place(wanted)).abs().max()) < SCALE / 4
    moved = place(made) - place(before)
    assert float((moved - torch.tensor([0.0, SCALE * distance])).norm()) < SCALE / 2
    middle = first + SCALE * distance
    inner = slice(96 - 22, 96 + 22), slice(middle - 22, middle + 22)
    a, b = (x[:, *inner] - x[:, *inner].mean((1, 2), keepdim=True) for x in (made, wanted))
    assert float((a * b).sum() / (a.norm() * b.norm())) > 0.99
    error, unmoved = ((x - wanted).square().mean().sqrt() for x in (made, before))
    assert float(error) < 0.02 * float(unmoved)


def test_grey_images_change_grey_and_coloured_photographs() -> None:
    grey, photo = SMALL.mean(0, keepdim=True), PHOTO.mean(0, keepdim=True)
    after = 0.5 * grey + 0.2
    torch.testing.assert_close(transfer(grey, after, photo), 0.5 * photo + 0.2, atol=4e-3, rtol=0)
    torch.testing.assert_close(transfer(grey, after, PHOTO), 0.5 * PHOTO + 0.2, atol=4e-3, rtol=0)
    assert transfer(SMALL, SMALL * GAIN, photo).shape == PHOTO.shape


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(pf.ShapeMismatch, match="must have one shape"):
        transfer(SMALL, SMALL[:, 1:], PHOTO)
    with pytest.raises(pf.ShapeMismatch, match="photo must be an image of 1 or 3 channels"):
        transfer(SMALL, SMALL, PHOTO[:2])
    with pytest.raises(pf.InvalidValue, match="span must be above 0"):
        transfer(SMALL, SMALL, PHOTO, span=0.0)


@pytest.mark.parametrize("size", [(700, 40), (300, 9), (7, 600), (1, 1)])
def test_strips_make_up_the_whole(size: tuple[int, int]) -> None:
    stream = torch.Generator().manual_seed(0)
    flow, colour = (torch.randn(1, n, 16, 12, generator=stream) for n in (2, 12))
    change = transferring._Change(flow, colour)
    whole = change.at(size)
    strips = list(change.strips(size))
    assert [top for top, _ in strips] == list(range(0, size[0], transferring.STRIP))
    assert torch.allclose(torch.cat([s.flow for _, s in strips], 2), whole.flow, atol=1e-3)
    assert torch.allclose(torch.cat([s.colour for _, s in strips], 2), whole.colour, atol=1e-4)


def test_images_that_are_not_finite_are_refused() -> None:
    x, bad = torch.rand(3, 8, 8), torch.full((3, 8, 8), torch.inf)
    for before, after in ((x, bad), (bad, x), (x, torch.stack([x, bad]))):
        with pytest.raises(InvalidValue, match="must be finite"):
            transfer(before, after, torch.rand(3, 20, 20))
