"""Clips (channels, time, height, width) all the way:
read, augmented, fitted, filmed, sampled, measured and written.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read as value
from pushforward.data.export.grids import clip_grid
from pushforward.data.export.moving import clip_film
from pushforward.data.export.writing import write
from pushforward.fitting.augment import Augment
from pushforward.fitting.film import film_folder, read_frames
from pushforward.metrics import efficientnet
from pushforward.metrics import feature_spaces as features


def clips(n: int = 24, channels: int = 1, time: int = 5) -> torch.Tensor:
    """A bright pixel that moves one column a frame."""
    x = torch.zeros(n, channels, time, 8, 8, dtype=torch.uint8)
    for i in range(n):
        for t in range(time):
            x[i, :, t, i % 8, (i + t) % 8] = 255
    return x


def stream() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", ["flip", "crop(padding=2)", "affine"])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_frames_of_a_clip_change_alike(name: str, channels: int) -> None:
    """A clip that stands still stands still afterwards,
    and its frames are those of the image changed alike.
    """
    still = torch.rand(6, channels, 1, 8, 8, generator=stream()).expand(-1, -1, 4, -1, -1)
    space, augment = pf.Space.infer(still), value(Augment, name)
    changed = augment.apply(still, space, stream())
    assert changed.shape == still.shape
    assert torch.allclose(changed, changed[:, :, :1].expand_as(changed), atol=1e-6)
    image = still[:, :, 0]
    alone = augment.apply(image, pf.Space.infer(image), stream())
    assert torch.allclose(changed[:, :, 0], alone, atol=1e-6)
    assert not torch.equal(changed, still)


def test_axes_are_kept_apart() -> None:
    """Time is not taken for a channel or a side: frames that differ come back in their order."""
    x = torch.arange(4.0)[None, None, :, None, None].expand(3, 3, 4, 8, 8).clone()
    changed = value(Augment, "crop").apply(x, pf.Space.infer(x), stream())
    assert torch.equal(changed, x)


def test_the_frame_rate_goes_from_reading_to_the_animation(tmp_path: Path) -> None:
    source = pf.read(clips(), frame_rate=25)
    assert source.space.frame_rate == 25
    model = pf.VAE(latent=2, hidden=(8,)).fit(source, by=pf.Trainer(steps=2, batch=8))
    model.save(tmp_path / "model")
    again = pf.load(tmp_path / "model")
    assert again.fitted_space().frame_rate == 25
    path = write(again.sample(4, rng=0), again.fitted_space(), tmp_path / "samples.gif")
    with Image.open(path) as image:
        assert image.n_frames == 5
        assert image.info["duration"] == 40
        assert image.info["loop"] == 0


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), "x"])
def test_rates_that_are_none_are_refused(rate: Any) -> None:
    with pytest.raises((InvalidValue, pf.InvalidKind), match="frame_rate"):
        pf.read(clips(), frame_rate=rate)


def test_a_rate_of_images_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"frame_rate=25 is for clips, but the data are"):
        pf.read(clips()[:, :, 0], frame_rate=25)


def test_a_grid_has_a_row_for_each_clip(tmp_path: Path) -> None:
    x = clips(3, time=20)
    space = pf.Space.infer(x)
    grid = clip_grid(x.double(), space, frames=4)
    assert grid.size == (4 * 50 + 2, 3 * 50 + 2)
    pixels = np.asarray(grid)
    # the bright pixel of the first frame of the first clip, enlarged six times
    first = pixels[2 + 3, 2:50]
    assert int(first.argmax()) == 0
    assert Image.open(write(x.double(), space, tmp_path / "grid.png")).size == (
        8 * 50 + 2,
        3 * 50 + 2,
    )


def test_the_animation_shows_each_time_once() -> None:
    x = clips(1)
    frames = [np.asarray(image) for image in clip_film(x.double(), pf.Space.infer(x))]
    columns = [int(frame[4, 2:-2].argmax()) // 6 for frame in frames]
    assert columns == [0, 1, 2, 3, 4]


def test_folders_and_arrays_of_clips(tmp_path: Path) -> None:
    x = clips(3)
    space = pf.Space.infer(x)
    folder = write(x.double(), space, f"{tmp_path}/clips/")
    assert sorted(p.name for p in folder.iterdir()) == ["0.gif", "1.gif", "2.gif"]
    kept = np.load(write(x.double(), space, tmp_path / "x.npy"))
    assert np.array_equal(kept, x.numpy())
    with pytest.raises(InvalidValue, match=r"use .gif, .apng, .mp4, .png, a folder/ or .npz"):
        write(x.double(), space, tmp_path / "x.csv")


def test_a_fit_of_clips_is_filmed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    pf.GAN(latent=2, hidden=(8,)).fit(
        clips(),
        by=pf.Trainer(steps=4, batch=8, run=run, film=3, augment=["flip", "crop(padding=1)"]),
    )
    frames = read_frames(film_folder(run))
    assert frames[-1].tensors["x"].shape == (3, 1, 5, 8, 8)
    assert frames[-1].tensors["x"].dtype == torch.uint8


def test_features_of_clips() -> None:
    x = clips()
    for space in (features.raw(), features.scaled(x), features.pca(x, 3)):
        assert space(x).shape[0] == len(x)
    averaged = efficientnet._average_frames(lambda u: u.flatten(1).mean(1, keepdim=True))
    u = torch.rand(4, 3, 6, 8, 8, dtype=torch.float64, generator=stream())
    assert torch.allclose(averaged(u), u.flatten(1).mean(1, keepdim=True))
    by_frame = efficientnet._average_frames(lambda u: u[:, :1, 0, 0])
    assert torch.allclose(by_frame(u)[:, 0], u[:, 0, :, 0, 0].mean(1))


def test_the_commands_leave_animations(tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", clips().numpy())
    program = [sys.executable, "-m", "pushforward.cli.main"]
    fit = [
        *program,
        "fit",
        "vae",
        "clips.npy",
        "--steps",
        "3",
        "--batch",
        "8",
        "--latent",
        "2",
        "--run",
        "run",
        "-q",
        "--film",
        "2",
    ]
    for line in (fit, [*program, "sample", "run", "-n", "4"], [*program, "film", "run"]):
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with Image.open(next((tmp_path / "run" / "images").glob("samples*n4*.gif"))) as image:
        assert image.n_frames == 5
    assert (tmp_path / "run" / "images" / "film.png").exists()
