"""Images with images as conditions: derived, side by side, in a folder or a column of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import pushforward as pf
from pushforward.core.space import Space
from pushforward.data import report
from pushforward.data.pairings import (
    Coarse,
    Edges,
    Grey,
    LowResolution,
    Masked,
    find_pairing,
)
from pushforward.data.resampling import enlarge, reduce, resize

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (5, 3, 8, 12), dtype=np.uint8)
SPACE = Space("images", (3, 8, 12), (), 0.0, 255.0, True)


def pairs(y: str, x: np.ndarray = BYTES) -> tuple[Tensor, Tensor]:
    source = pf.read(x, y=y)
    batch = source.take(torch.arange(len(source)))
    assert batch.y is not None
    assert source.condition_space is not None
    assert batch.x.shape[1:] == source.space.shape
    assert batch.y.shape[1:] == source.condition_space.shape
    return batch.x, batch.y


def test_halves_are_condition_and_observation() -> None:
    x, y = pairs("left")
    assert torch.equal(x, torch.from_numpy(BYTES[..., 6:]).float())
    assert torch.equal(y, torch.from_numpy(BYTES[..., :6]).float())
    swapped = pairs("right")
    assert torch.equal(swapped[0], y)
    assert torch.equal(swapped[1], x)


def test_the_size_of_side_by_side_images_is_that_of_a_half(tmp_path: Path) -> None:
    for i in range(2):
        Image.fromarray(RNG.integers(0, 256, (20, 40, 3), dtype=np.uint8)).save(
            tmp_path / f"{i}.png"
        )
    source = pf.read(str(tmp_path), y="left", size=10)
    assert source.space.shape == source.condition_space.shape == (3, 10, 10)  # type: ignore[union-attr]
    assert source.space.extra["prepared"]["size"] == [10, 10]


def test_an_odd_width_has_no_halves() -> None:
    with pytest.raises(pf.BadSource, match="expected an even width"):
        pf.read(BYTES[..., :11], y="left")


def test_grey_is_brightness() -> None:
    _, y = pairs("grey")
    r, g, b = BYTES[2, :, 3, 4].astype(float)
    assert float(y[2, 0, 3, 4]) == round(0.299 * r + 0.587 * g + 0.114 * b)
    with pytest.raises(pf.BadSource, match="takes images in colour"):
        pf.read(BYTES[:, :1], y="grey")


def test_edges_are_one_pixel_wide_where_brightness_changes() -> None:
    square = np.zeros((1, 1, 24, 24), np.uint8)
    square[..., 6:18, 8:16] = 200
    y = Edges().condition(
        torch.from_numpy(square).float(),
        Space("images", (1, 24, 24), (), 0.0, 255.0, True),
        torch.zeros(1),
    )[0, 0]
    assert set(y.unique().tolist()) == {0.0, 255.0}
    across = (y[12] > 0).nonzero().flatten().tolist()
    assert len(across) in (2, 3, 4)
    assert all(min(abs(at - 7.5), abs(at - 15.5)) <= 1 for at in across)
    assert not y[:4].any()
    flat = Edges().condition(torch.full((1, 3, 9, 9), 80.0), SPACE, torch.zeros(1))
    assert not flat.any()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 1e30)])
def test_edges_do_not_depend_on_units(low: float, high: float) -> None:
    unit = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    spaces = [Space("images", (3, 16, 16), (), *ends) for ends in ((0.0, 1.0), (low, high))]
    rows = torch.arange(2)
    first = Edges().condition(unit, spaces[0], rows) > 0.5
    other = Edges().condition(low + unit * (high - low), spaces[1], rows) > (low + high) / 2
    assert (first != other).float().mean() < 0.01


def test_coarse_is_the_mean_and_low_resolution_bicubic() -> None:
    _, y = pairs("coarse(2)")
    assert float(y[1, 2, 1, 3]) == BYTES[1, 2, 2:4, 6:8].mean()
    _, y = pairs("low_resolution(factor=4)")
    assert torch.equal(y, reduce(torch.from_numpy(BYTES), 4).float())
    for pairing in (Coarse(5), LowResolution(5)):
        message = (
            r"multiples of 5, got 8x12; bring them to such a size \(size='5x10'\), or cut them into"
            r" tiles \(tiles=5\)"
        )
        with pytest.raises(pf.BadSource, match=message):
            pf.read(BYTES, y=str(pairing))


def test_a_gaussian_wider_than_photographs_is_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="smooth by at most 100 pixels, got sigma=1e"):
        pf.read(BYTES, y="edges(sigma=1e9)")


def test_a_mask_hides_its_own_part_of_every_image() -> None:
    for pairing in (Masked(), Masked("random", share=0.25)):
        x, y = pairs(str(pairing))
        hidden = y[:, 3] == 255.0
        assert torch.equal(y[:, :3].movedim(1, -1)[~hidden], x.movedim(1, -1)[~hidden])
        assert (y[:, :3].movedim(1, -1)[hidden] == 127.0).all()
        assert len({mask.numpy().tobytes() for mask in hidden}) > 1
        source = pf.read(BYTES, y=str(pairing))
        again = source.take(torch.tensor([3, 1])).y
        assert again is not None
        assert torch.equal(again, y[[3, 1]])
    assert int((pairs("masked")[1][:, 3] > 0).flatten(1).sum(1).unique()) == 16


def test_conditions_in_a_folder_are_found_by_name(tmp_path: Path) -> None:
    for name, folder in (("x", "photos"), ("y", "maps")):
        (tmp_path / folder).mkdir()
        for i in (2, 10, 1):
            level = i if name == "x" else 100 + i
            image = Image.fromarray(np.full((6, 6), level, np.uint8))
            image.save(tmp_path / folder / f"{i}.{'png' if name == 'x' else 'bmp'}")
    source = pf.read(str(tmp_path / "photos"), y=str(tmp_path / "maps"))
    batch = source.take(torch.arange(3))
    assert batch.y is not None
    assert torch.equal(batch.y, batch.x + 100)
    again = pf.read(source.provenance.source, **source.provenance.reading)  # type: ignore[arg-type]
    assert torch.equal(again.take(torch.arange(3)).y, batch.y)  # type: ignore[arg-type]
    (tmp_path / "maps" / "10.bmp").rename(tmp_path / "maps" / "11.bmp")
    with pytest.raises(pf.BadSource, match=r"without a condition: 10; without an image: 11"):
        pf.read(str(tmp_path / "photos"), y=str(tmp_path / "maps"))


def test_conditions_in_a_column_of_paths(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    rows = []
    for i in range(3):
        Image.fromarray(np.full((6, 6), i, np.uint8)).save(tmp_path / f"{i}.png")
        Image.fromarray(np.full((6, 6), 50 + i, np.uint8)).save(tmp_path / "maps" / f"m{i}.png")
        rows.append(f"{i}.png,maps/m{i}.png")
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,map", *rows]) + "\n")
    source = pf.read(str(tmp_path), label="map")
    batch = source.take(torch.arange(len(source)))
    assert len(batch.x) == 3
    assert batch.y is not None
    assert torch.equal(batch.y, batch.x + 50)
    (tmp_path / "maps" / "m1.png").unlink()
    with pytest.raises(pf.BadSource, match=r"not there \(maps/m1.png\)"):
        pf.read(str(tmp_path), label="map")


def test_a_column_of_a_table_may_be_called_like_a_pairing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,left\n1,3\n2,4\n5,6\n")
    source = pf.read(str(tmp_path / "t.csv"), y="left")
    assert source.space.names == ("a",)
    with pytest.raises(
        pf.InvalidValue, match="makes conditions of images, but the data are points"
    ):
        pf.read(np.ones((4, 2)), y="edges")


def test_names_of_pairings() -> None:
    assert find_pairing("low_resolution(2)") == LowResolution(2)
    assert find_pairing(Grey()) == Grey()
    assert find_pairing("greyish") is None
    with pytest.raises(pf.InvalidValue, match="low ≤ high"):
        Edges(low=0.5, high=0.1)


def test_resizing_keeps_constants_linear_ramps_and_types() -> None:
    assert torch.equal(
        resize(torch.full((1, 1, 9, 7), 3, dtype=torch.uint8), (4, 15)).unique(),
        torch.tensor([3], dtype=torch.uint8),
    )
    ramp = torch.arange(40, dtype=torch.float64).expand(1, 1, 3, 40)
    smaller = reduce(ramp, 4)[0, 0, 0]
    assert smaller.shape == (10,)
    torch.testing.assert_close(smaller[2:-2], (torch.arange(10.0) * 4 + 1.5).double()[2:-2])
    larger = enlarge(ramp, 2)[0, 0, 0]
    torch.testing.assert_close(larger[6:-6], ((torch.arange(80) - 0.5) / 2).double()[6:-6])
    assert enlarge(ramp.float(), 2).dtype == torch.float32
    with pytest.raises(pf.InvalidValue, match="at least one pixel"):
        resize(ramp, (0, 3))


def test_conditions_in_a_column_of_paths_to_a_folder_beside(tmp_path: Path) -> None:
    for name in ("photos", "maps"):
        (tmp_path / name).mkdir()
    rows = []
    for i in range(3):
        Image.fromarray(np.full((6, 6), i, np.uint8)).save(tmp_path / f"photos/{i}.png")
        Image.fromarray(np.full((6, 6), 50 + i, np.uint8)).save(tmp_path / f"maps/m{i}.png")
        rows.append(f"{i}.png,../maps/m{i}.png")
    table = "\n".join(["file_name,map", *rows]) + "\n"
    (tmp_path / "photos/metadata.csv").write_text(table)
    source = pf.read(str(tmp_path / "photos"), label="map")
    batch = source.take(torch.arange(len(source)))
    assert len(batch.x) == 3
    assert batch.y is not None
    assert torch.equal(batch.y, batch.x + 50)
    assert not pf.data.report(str(tmp_path / "photos"), label="map").issues
    (tmp_path / "maps/m1.png").unlink()
    with pytest.raises(pf.BadSource, match=r"not there \(\.\./maps/m1.png\)"):
        pf.read(str(tmp_path / "photos"), label="map")


@pytest.mark.parametrize("twice", ["images", "conditions"])
def test_two_files_of_one_name_are_no_pair(tmp_path: Path, twice: str) -> None:
    for folder in ("images", "conditions"):
        (tmp_path / folder).mkdir()
        for i in range(3):
            Image.fromarray(BYTES[i].transpose(1, 2, 0)).save(tmp_path / folder / f"{i}.png")
    Image.fromarray(BYTES[4].transpose(1, 2, 0)).save(tmp_path / twice / "1.bmp")
    with pytest.raises(pf.BadSource, match=f"several {twice} are called '?1'?; rename or remove"):
        pf.read(tmp_path / "images", y=str(tmp_path / "conditions"))
    issues = report(tmp_path / "images", y=str(tmp_path / "conditions")).issues
    assert f"several {twice} have one name" in str(issues)
