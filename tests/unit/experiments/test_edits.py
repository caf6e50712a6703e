"""Edits of photographs and samples: strokes of any size, photographs of any shape, outcomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

import pushforward as pf
from pushforward.experiments import OpenedRun, open_run
from pushforward.experiments.edits import edit, read_drag
from pushforward.experiments.photo_areas import find_areas, paste_faded
from pushforward.experiments.stroke_images import read_colours, read_lines, read_mask

SIDE = 16


def rows(n: int = 300) -> Tensor:
    """Soft discs of random place and colour on grey, bytes."""
    rng = torch.Generator().manual_seed(0)
    at = torch.rand(n, 2, 1, 1, generator=rng) * 8 + 4
    colour = torch.rand(n, 3, 1, 1, generator=rng) - 0.5
    down, across = torch.meshgrid(*[torch.arange(float(SIDE))] * 2, indexing="ij")
    square = (down - at[:, 0]).square() + (across - at[:, 1]).square()
    return 255 * (0.5 + 0.9 * colour * torch.exp(-square / 16)[:, None])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    model = pf.PCA(40).fit(rows().round().to(torch.uint8))
    return OpenedRun(tmp_path_factory.mktemp("run"), model)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """One of the images, enlarged, with fine stripes of its own."""
    levels = rows()[0].movedim(0, -1).numpy().round().astype(np.uint8)
    large = np.asarray(Image.fromarray(levels).resize((160, 160), Image.Resampling.BICUBIC))
    stripes = 6 * (np.arange(160) % 2)[None, :, None]
    Image.fromarray((large + stripes).clip(0, 255).astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def stroke(size: tuple[int, int] = (160, 160), colour: str = "red") -> Image.Image:
    """A spot in the middle."""
    image = Image.new("RGBA", size)
    x, y = size[0] / 2, size[1] / 2
    r = 0.15 * min(size)
    ImageDraw.Draw(image).ellipse([x - r, y - r, x + r, y + r], fill=colour)
    return image


def test_a_photograph_is_edited_at_its_own_size(run: OpenedRun, photo: Path) -> None:
    made = edit(run, photo, colour=stroke(), candidates=4)
    assert made.projection is not None
    assert made.photo is not None
    assert made.frames.shape == (16, 3, SIDE, SIDE)
    torch.testing.assert_close(made.frames[-1], made.edited.x[0])
    torch.testing.assert_close(made.frames[0], made.projection.restored[0], atol=1e-2, rtol=0)
    before = np.asarray(Image.open(photo)).transpose(2, 0, 1).astype(float)
    after = made.photo.levels.astype(float)
    assert after.shape == before.shape
    model_change = (made.frames[-1] - made.frames[0])[:, 7:9, 7:9].mean((1, 2))
    photo_change = (after - before)[:, 70:90, 70:90].mean((1, 2))
    assert float(model_change[0]) > 20
    assert photo_change == pytest.approx(model_change.tolist(), abs=15)
    stripes = np.abs(np.diff(after, axis=2)).mean() / np.abs(np.diff(before, axis=2)).mean()
    assert stripes > 0.8


def test_a_small_photograph_and_a_sample_have_no_larger_form(
    run: OpenedRun, photo: Path, tmp_path: Path
) -> None:
    Image.open(photo).resize((SIDE, SIDE)).save(tmp_path / "small.png")
    assert edit(run, tmp_path / "small.png", colour=stroke()).photo is None
    assert edit(run, photo, colour=stroke(), full_size=False).photo is None
    one, two = (edit(run, drags=[((8, 8), (10, 8))], seed=3) for _ in range(2))
    assert one.photo is None
    assert one.projection is None
    assert torch.equal(one.frames, two.frames)
    other = edit(run, drags=[((8, 8), (10, 8))], seed=4)
    assert not torch.equal(one.before, other.before)


def test_what_is_cut_off_and_transparency_stay(run: OpenedRun, photo: Path, tmp_path: Path) -> None:
    image = Image.open(photo).convert("RGBA")
    wide = Image.new("RGBA", (260, 160), (128, 128, 128, 90))
    wide.paste(image, (50, 0))
    wide.save(tmp_path / "wide.png")
    made = edit(run, tmp_path / "wide.png", colour=stroke((260, 160)))
    assert made.photo is not None
    before = np.asarray(wide).transpose(2, 0, 1)
    assert made.photo.levels.shape == before.shape
    assert np.array_equal(made.photo.levels[:, :, :50], before[:, :, :50])
    assert np.array_equal(made.photo.levels[3], before[3])
    assert np.abs(made.photo.levels[:3].astype(int) - before[:3])[:, 70:90, 120:140].mean() > 10


def test_fixed_parts_change_less(run: OpenedRun, photo: Path) -> None:
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).rectangle([0, 0, SIDE, 4], fill=255)
    free, held = (
        edit(run, photo, colour=stroke((40, 40)), fixed=fixed, full_size=False)
        for fixed in (None, mask)
    )
    changes = [(e.frames[-1] - e.frames[0])[:, :5].square().mean() for e in (free, held)]
    assert float(changes[1]) < 0.5 * float(changes[0])


def test_a_model_of_labels_is_told_one(tmp_path: Path) -> None:
    x = rows(60).round().to(torch.uint8)
    by = pf.Trainer(steps=5, batch=10, seed=0)
    model = pf.VAE(latent=2, hidden=(8,)).fit(x, (x[:, 0, 8, 8] > 128).long(), by=by)
    run = OpenedRun(tmp_path, model)
    made = edit(run, drags=[((8, 8), (10, 8))], y="1", steps=3)
    for label, alike in ((1, True), (0, False)):
        expected = model.decode(made.edited.start, label)[0].detach()
        assert torch.allclose(made.before, expected, atol=1e-3) is alike
    with pytest.raises(pf.InvalidValue, match="fitted with conditions; pass y"):
        edit(run, drags=[((8, 8), (10, 8))])


def test_models_without_a_prior_take_the_codes_of_their_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", rows(60).round().to(torch.uint8).numpy())
    by = pf.Trainer(steps=5, batch=10, seed=0, run=tmp_path / "run")
    pf.Autoencoder(latent=2, hidden=(8,)).fit(str(tmp_path / "x.npy"), by=by)
    run = open_run(tmp_path / "run")
    made = edit(run, drags=[((8, 8), (10, 8))], steps=3, seed=5)
    codes = run.model.encode(rows(60).round())
    assert float((codes - made.edited.start).norm(dim=1).min()) < 1e-4


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(90, 160), (160, 90), (120, 120), (7, 300)])
def test_areas_have_one_shape(fit: str, size: tuple[int, int]) -> None:
    areas = find_areas(size, (16, 16), fit)
    high, wide = (s.stop - s.start for s in areas.photo)
    rows, columns = (s.stop - s.start for s in areas.image)
    assert 0 < high <= size[0]
    assert 0 < wide <= size[1]
    if fit == "stretch":
        assert (high, wide, rows, columns) == (*size, 16, 16)
    elif min(size) > 16:
        assert high / wide == pytest.approx(rows / columns, rel=0.06)
    if fit == "crop":
        assert (rows, columns) == (16, 16)
    if fit == "pad":
        assert (high, wide) == size


def test_changes_fade_out_where_the_photograph_goes_on() -> None:
    photo = torch.zeros(3, 32, 64, dtype=torch.uint8)
    changed = torch.full((3, 32, 32), 200, dtype=torch.uint8)
    pasted = paste_faded(photo, changed, (slice(0, 32), slice(16, 48)))
    assert pasted[0, 0, [15, 16, 17, 20, 47, 48]].tolist() == [0, 50, 150, 200, 50, 0]
    assert pasted[0, :, 30].unique().tolist() == [200]


def test_colours_keep_their_own_when_reduced() -> None:
    """What is transparent has no part in the mean."""
    space = pf.PCA(2).fit(rows(20).round().to(torch.uint8)).fitted_space()
    image = Image.new("RGBA", (64, 64), (0, 255, 0, 0))
    image.paste((200, 20, 40, 255), (0, 0, 30, 64))
    levels, mask = read_colours(image, space, (16, 16), "crop")
    assert mask[0, [0, 12]].tolist() == [1, 0]
    assert 0 < float(mask[0, 7]) < 1
    for column in (0, 7):
        assert levels[:, 5, column].tolist() == pytest.approx([200, 20, 40], abs=3)


def test_lines_are_dark_on_light_or_transparent() -> None:
    light = Image.new("RGBA", (64, 64), (250, 250, 245, 255))
    clear = Image.new("RGBA", (64, 64))
    for image in (light, clear):
        ImageDraw.Draw(image).line([0, 32, 64, 32], fill=(0, 0, 0, 255), width=4)
        lines = read_lines(image, (16, 16), "crop")
        assert float(lines.max()) == 1
        assert float(lines[:6].max()) == 0
        assert float(lines[8].min()) > 0.3


def test_masks_are_opacity_or_brightness() -> None:
    clear = Image.new("RGBA", (16, 16))
    clear.paste((0, 0, 0, 255), (0, 0, 8, 16))
    bright = Image.new("RGBA", (16, 16), "black")
    bright.paste((255, 255, 255, 255), (0, 0, 8, 16))
    for image in (clear, bright):
        mask = read_mask(image, (16, 16), "crop")
        assert mask[0].tolist() == [1.0] * 8 + [0.0] * 8


def test_drags_are_read() -> None:
    assert read_drag("1,2.5:3,4") == ((1.0, 2.5), (3.0, 4.0))
    for text in ("", "1,2", "1,2:3", "1,2:3,4:5,6", "a,b:c,d", "1,2,3:4,5,6"):
        with pytest.raises(pf.InvalidValue, match="two places with a colon between"):
            read_drag(text)


def test_what_says_nothing_is_refused(run: OpenedRun, photo: Path, tmp_path: Path) -> None:
    full = Image.new("RGBA", (SIDE, SIDE), "white")
    empty = Image.new("RGBA", (SIDE, SIDE))
    dark = Image.new("RGBA", (SIDE, SIDE), "black")
    for asked, message in [
        ({}, "nothing is asked of the image"),
        ({"fixed": full}, "nothing is asked of the image"),
        ({"colour": empty}, "colour is empty; draw strokes that are opaque"),
        ({"colour": full}, "colour is opaque everywhere"),
        ({"sketch": full}, "sketch is empty; draw dark lines"),
        ({"sketch": dark}, "sketch is mostly dark"),
        ({"colour": stroke(), "fixed": dark}, "fixed is empty; paint white what stays"),
        ({"colour": tmp_path}, "is no single image; pass one file"),
    ]:
        with pytest.raises(pf.InvalidValue, match=message):
            edit(run, photo, **asked)


def test_runs_that_make_no_images_are_refused(tmp_path: Path) -> None:
    points = OpenedRun(tmp_path, pf.PCA(1).fit(torch.randn(9, 2)))
    with pytest.raises(pf.InvalidKind, match="edits are of images, but"):
        edit(points, drags=[((1, 1), (2, 2))])
