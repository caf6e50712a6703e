"""Augmentations: what they do to numbers, and to their distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.core.errors import InvalidValue
from pushforward.core.space import Space
from pushforward.fitting.augment import binarise, crop, dequantise, flip


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


PICTURES = torch.arange(50 * 2 * 4 * 5, dtype=torch.float64).reshape(50, 1, 8, 5)
SPACE = Space.infer(torch.randint(0, 256, (9, 1, 8, 5), dtype=torch.uint8))


def test_dequantise_adds_uniform_noise_to_whole_numbers_only() -> None:
    x = torch.full((4000, 1, 8, 5), 7.0, dtype=torch.float64)
    noise = dequantise().apply(x, SPACE, _rng()) - x
    assert float(noise.min()) >= -0.5
    assert float(noise.max()) < 0.5
    assert float(noise.var()) == pytest.approx(1 / 12, rel=0.01)
    smooth = Space.infer(torch.rand(9, 1, 8, 5))
    assert torch.equal(dequantise().apply(x, smooth, _rng()), x)


def test_dequantise_leaves_continuous_columns_alone() -> None:
    pandas = pytest.importorskip("pandas")
    space = Space.infer(pandas.DataFrame({"count": np.arange(5), "length": np.linspace(0, 1, 5)}))
    x = torch.ones(100, 2)
    noisy = dequantise().apply(x, space, _rng())
    assert torch.equal(noisy[:, 1], x[:, 1])
    assert len(noisy[:, 0].unique()) > 90


def test_binarise_lights_each_pixel_with_its_own_probability() -> None:
    x = torch.tensor([0.0, 51.0, 255.0]).reshape(1, 1, 3, 1).expand(20000, 1, 3, 1)
    lit = binarise().apply(x, SPACE, _rng())
    assert set(lit.unique().tolist()) == {0.0, 255.0}
    assert (lit.mean(0).flatten() / 255).tolist() == pytest.approx([0, 0.2, 1], abs=0.01)


def test_flip_mirrors_its_share_of_the_pictures() -> None:
    many = PICTURES.repeat(40, 1, 1, 1)
    mirrored = [bool(torch.equal(a, b.flip(-1))) for a, b in zip(flip(share=0.25).apply(many, SPACE, _rng()), many)]
    kept = [bool(torch.equal(a, b)) for a, b in zip(flip(share=0.25).apply(many, SPACE, _rng()), many)]
    assert all(m != k for m, k in zip(mirrored, kept))
    assert sum(mirrored) / len(mirrored) == pytest.approx(0.25, abs=0.03)


def test_crop_shifts_and_repeats_the_edge() -> None:
    shifted = crop(padding=1).apply(PICTURES, SPACE, _rng())
    found = set()
    for before, after in zip(PICTURES, shifted):
        padded = torch.nn.functional.pad(before[None], (1, 1, 1, 1), mode="replicate")[0]
        windows = {(i, j): padded[:, i : i + 8, j : j + 5] for i in range(3) for j in range(3)}
        matching = [at for at, window in windows.items() if torch.equal(window, after)]
        assert len(matching) == 1
        found.add(matching[0])
    assert len(found) == 9


@pytest.mark.parametrize("augment", [dequantise(), binarise(), flip(), crop(padding=2)])
def test_the_same_stream_gives_the_same_numbers(augment: object) -> None:
    first = augment.apply(PICTURES, SPACE, _rng(1))  # type: ignore[attr-defined]
    assert torch.equal(first, augment.apply(PICTURES, SPACE, _rng(1)))  # type: ignore[attr-defined]
    assert not torch.equal(first, augment.apply(PICTURES, SPACE, _rng(2)))  # type: ignore[attr-defined]
    assert first.dtype == PICTURES.dtype


def test_pictures_are_needed_to_flip_and_crop() -> None:
    for augment in (flip(), crop()):
        with pytest.raises(InvalidValue, match="changes pictures or clips, but the data are points in 2 dimensions; leave it out"):
            augment.apply(torch.zeros(3, 2), Space.infer(torch.zeros(3, 2)), _rng())


@pytest.mark.parametrize("make", [lambda: flip(share=1.5), lambda: flip(share=-0.1), lambda: crop(padding=0), lambda: crop(padding=-4)])
def test_what_is_out_of_range_is_refused(make: object) -> None:
    with pytest.raises(InvalidValue):
        make()  # type: ignore[operator]
