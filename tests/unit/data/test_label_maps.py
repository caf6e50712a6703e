"""Maps of classes in colours: cleaned, coded in planes, and palettes that are found or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.data.palettes import PALETTES, find_palette, named_palette
from pushforward.experiments import open_run
from pushforward.experiments.translations import translate

COLOURS = ((250, 10, 20), (10, 240, 30), (20, 30, 250))


def side_by_side(n: int = 6, side: int = 16, noise: int = 4) -> np.ndarray:
    """Photographs of noise on the left; on the right three stripes of noisy colours."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, side, 2 * side, 3))
    for i in range(n):
        for j in range(3):
            rows = slice(j * side // 3, (j + 1) * side // 3 if j < 2 else side)
            x[i, rows, side:] = COLOURS[(i + j) % 3]
    right = x[:, :, side:]
    right += rng.integers(-noise, noise + 1, right.shape)
    return x.clip(0, 255).astype(np.uint8).transpose(0, 3, 1, 2)


def distinct(y: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(c) for c in y.movedim(1, -1).reshape(-1, y.shape[1]).unique(dim=0).tolist()}


def test_noisy_colours_become_those_of_the_palette() -> None:
    source = pf.read(side_by_side(), y=f"labels(palette={COLOURS})")
    batch = source.take(torch.arange(6))
    assert batch.y is not None
    assert distinct(batch.y) == set(COLOURS)
    assert torch.equal(batch.x, torch.from_numpy(side_by_side()[..., :16]).float())
    assert tuple(batch.y[1, :, 0, 0].tolist()) == COLOURS[1]
    assert any("3 label colours" in note for note in source.notes)


def test_the_map_may_be_what_is_modelled() -> None:
    source = pf.read(side_by_side(), y=f"labels('left', maps='right', palette={COLOURS})")
    batch = source.take(torch.arange(6))
    assert batch.y is not None
    assert distinct(batch.x) == set(COLOURS)
    assert torch.equal(batch.y, torch.from_numpy(side_by_side()[..., :16]).float())
    assert source.space.extra["palette"] == [list(c) for c in COLOURS]


def test_planes_have_one_class_each() -> None:
    source = pf.read(side_by_side(), y=f"labels(palette={COLOURS}, planes=True)")
    assert source.condition_space is not None
    assert source.condition_space.shape == (3, 16, 16)
    y = source.take(torch.arange(6)).y
    assert y is not None
    assert set(y.unique().tolist()) == {0.0, 255.0}
    assert ((y == 255).sum(1) == 1).all()
    assert float(y[1, 1, 0, 0]) == 255


def test_colours_are_found_in_the_images() -> None:
    for wanted in ("labels", "labels(palette=3)"):
        source = pf.read(side_by_side(), y=wanted)
        assert source.condition_space is not None
        found = source.condition_space.extra["palette"]
        apart = torch.cdist(torch.tensor(COLOURS).double(), torch.tensor(found).double())
        assert len(found) == 3
        assert float(apart.min(1).values.max()) <= 3
    with pytest.raises(pf.BadSource, match="have 3 colours in flat areas, expected 5"):
        pf.read(side_by_side(), y="labels(palette=5)")
    with pytest.raises(pf.BadSource, match="check which half"):
        pf.read(side_by_side(), y="labels('left')")


def test_units_do_not_matter() -> None:
    x = torch.from_numpy(side_by_side()).double()
    levels = pf.read(side_by_side(), y=f"labels(palette={COLOURS})").take(torch.arange(6)).y
    shares = pf.read(x / 255, y=f"labels(palette={COLOURS})").take(torch.arange(6)).y
    assert levels is not None
    assert shares is not None
    torch.testing.assert_close(shares.double() * 255, levels.double(), atol=1e-4, rtol=0)


def test_a_flat_colour_outside_the_palette_is_refused_by_name(tmp_path: Path) -> None:
    x = side_by_side(3)
    x[1, :, 8:, 16:] = np.array([120, 120, 120])[:, None, None]
    for i, image in enumerate(x):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    with pytest.raises(pf.BadSource, match=r"1\.png: .*% of its flat areas .* \(120, 120, 120\)"):
        pf.read(str(tmp_path), y=f"labels(palette={COLOURS})")
    report = pf.data.report(str(tmp_path), label=f"labels(palette={COLOURS})")
    assert any("not in the palette" in issue.text for issue in report.issues)


def test_borders_that_jpeg_blurs_are_no_reason_to_refuse() -> None:
    x = side_by_side(noise=0).transpose(0, 2, 3, 1)
    blurred = x.astype(float)
    blurred[:, 1:-1] = (blurred[:, :-2] + blurred[:, 1:-1] + blurred[:, 2:]) / 3
    blurred = blurred.round().astype(np.uint8).transpose(0, 3, 1, 2)
    source = pf.read(blurred, y=f"labels(palette={COLOURS})")
    y = source.take(torch.arange(6)).y
    assert y is not None
    assert distinct(y) == set(COLOURS)
    assert any("% of pixels lie between" in note for note in source.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels('up')", "side must be 'left' or 'right', got 'up'"),
        ("labels(palette='cities')", "unknown palette 'cities'"),
        ("labels(palette=((1, 2, 3),))", "two or more different colours"),
        ("labels(palette=((1, 2, 3), (1, 2, 300)))", r"whole levels of 0\.\.255"),
        ("labels(palette=1)", "two or more colours"),
        ("labels('left', maps='right', planes=True)", "the other half holds the map"),
        ("labels(palette=((1, 2), (3, 4)))", "have 2 levels, but the images have 3 channels"),
    ],
)
def test_bad_arguments(text: str, message: str) -> None:
    with pytest.raises((pf.InvalidValue, pf.BadSource), match=message):
        pf.read(side_by_side(), y=text)


def test_labels_that_come_with_the_data_are_meant_first(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=side_by_side(), labels=np.arange(6) % 2)
    source = pf.read(str(tmp_path / "a.npz"), label="labels")
    assert source.condition_space is not None
    assert source.condition_space.is_label
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(side_by_side()[i].transpose(1, 2, 0)).save(folder / f"{i}.png")
    (folder / "metadata.csv").write_text("file_name,edges\n0.png,many\n1.png,few\n")
    named = pf.read(str(folder), label="edges")
    assert named.condition_space is not None
    assert named.condition_space.is_label


def test_facades_palette_is_in_its_order() -> None:
    assert len(named_palette("facades")) == 12
    assert named_palette(PALETTES["facades"]) == PALETTES["facades"]
    maps = torch.tensor(PALETTES["facades"]).double()[:, :, None, None].expand(-1, -1, 6, 6)
    assert set(find_palette(maps, 0, 255)) == set(PALETTES["facades"])


def test_a_model_cleans_the_maps_it_is_given(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for i, image in enumerate(side_by_side(8)):
        Image.fromarray(image.transpose(1, 2, 0)).save(data / f"{i}.png")
    for planes in (False, True):
        run = tmp_path / f"run-{planes}"
        pf.Pix2Pix(width=2).fit(
            str(data), f"labels(palette={COLOURS}, planes={planes})", run=run, steps=2, batch=2,
            quiet=True,
        )  # fmt: skip
        map_of = Image.open(data / "2.png").crop((16, 0, 32, 16))
        map_of.save(tmp_path / "map.png")
        clean = pf.read(str(data), y=f"labels(palette={COLOURS}, planes={planes})")
        (result,) = translate(open_run(run), tmp_path / "map.png")
        expected = clean.take(torch.tensor([2])).y
        assert expected is not None
        assert torch.equal(result.y, expected[0])
