"""`pushforward enlarge`: from tiles of photographs to larger ones, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.cli.conftest import Cli


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, size in enumerate([(40, 33), (35, 48), (32, 32), (50, 32)]):
        levels = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{i}.png")
    return folder


FIT = ("fit", "srresnet", "photos", "--label", "low_resolution(2)", "--tiles", "16", "--steps", "2")
SMALL = ("--width", "4", "--blocks", "1", "--batch", "4", "--run", "run", "-q")


def test_from_photographs_to_larger_ones(cli: Cli, photos: Path) -> None:
    assert cli(*FIT, *SMALL).code == 0
    assert "PSNR, dB" in cli("evaluate", "run").out
    assert "4 photographs" in cli("evaluate", "run", "--data", "photos").err
    one = cli("enlarge", "run", "photos/0.png")
    assert one.code == 0
    assert one.out.strip() == "0-enlarged.png"
    assert "photos/0.png: 40x33 to 80x66" in one.err
    assert Image.open("0-enlarged.png").size == (66, 80)
    several = cli("enlarge", "run", "photos", "--out", "large/", "--tile", "8", "--json")
    paths = [json.loads(line)["path"] for line in several.out.splitlines()]
    assert paths == [f"large/{i}-enlarged.png" for i in range(4)]
    gap = np.array(Image.open("0-enlarged.png")).astype(int) - np.array(Image.open(paths[0]))
    assert np.abs(gap).max() <= 1
    again = cli("enlarge", "run", "photos/0.png")
    assert (again.code, again.out) == (2, "")
    assert again.err.strip() == (
        "error: 0-enlarged.png exists; choose another name, or remove it first"
    )


def test_an_srgan_starts_from_a_run_and_resumes(cli: Cli, photos: Path) -> None:
    assert cli(*FIT, *SMALL).code == 0
    line = ["srgan" if word == "srresnet" else word for word in FIT]
    small = ["gan" if word == "run" else word for word in SMALL]
    small += ["--features", "none", "--critic-width", "4", "--critic-hidden", "8"]
    result = cli(*line, *small, "--start", "run")
    assert result.code == 0, result.err
    assert cli("enlarge", "gan", "photos/0.png").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("enlarge", "other", "photos/0.png"), "a pca enlarges no images; fit one that does"),
        (("enlarge", "photos/0.png", "run"), "a file; name the run first"),
        (("enlarge", "run", "none.png"), "none.png: no file matches"),
        (("enlarge", "run", "photos", "--out", "one.png"), "is one file, but there are several"),
        (("enlarge", "run", "photos/0.png", "--tile", "0"), "tile"),
        (("enlarge", "run", "photos/0.png", "--out", "a.gif"), "cannot write an image to a.gif"),
        (("evaluate", "run", "--data", "x.csv"), ""),
        ((*FIT[:5], "--tiles", "15", *SMALL[:-3]), "multiples of 2, got 15; use --tiles 14"),
        ((*FIT[:5], "--tiles", "16", "--size", "8", *SMALL[:-3]), "leaves images as large as they"),
        ((*FIT[:3], "--tiles", "16", *SMALL[:-3]), "--label low_resolution(4)"),
        ((*FIT[:3], "--tiles", "16", *SMALL[:-3]), "the same images, 2, 3, 4 or 8 times as small"),
        ((*FIT[:3], "--label", "grey", "--tiles", "16", *SMALL[:-3]), "channels of the images, 3"),
        ((*FIT[:5], *SMALL[:-3]), "images of mixed sizes"),
    ],
)
def test_what_does_not_fit_is_one_line(
    cli: Cli, photos: Path, words: tuple[str, ...], message: str
) -> None:
    Path("x.csv").write_text("a,b\n" + "\n".join(f"{i},{i * i % 7}" for i in range(20)))
    assert cli(*FIT, *SMALL).code == 0
    assert cli("fit", "pca", "x.csv", "--run", "other", "-q").code == 0
    result = cli(*words)
    assert result.code == 2
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert not list(Path().glob("*enlarged*"))


def test_faulty_photographs_of_a_folder_are_skipped_and_counted(cli: Cli, photos: Path) -> None:
    assert cli(*FIT, *SMALL).code == 0
    deep = np.random.default_rng(0).integers(0, 65536, (9, 12)).astype(np.uint16)
    Image.fromarray(deep).save(photos / "deep.png")
    (photos / "1.png").write_bytes(b"no image")
    (photos / "2.png").write_bytes((photos / "2.png").read_bytes()[:400])
    result = cli("enlarge", "run", "photos")
    assert result.code == 2
    assert result.out.split() == [f"photos-enlarged/{n}-enlarged.png" for n in ("0", "3", "deep")]
    assert Image.open("photos-enlarged/deep-enlarged.png").size == (24, 18)
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("error: 2 of 5 files are skipped (photos/1.png, photos/2.png)")
    assert cli("enlarge", "run", "photos/1.png").code == 2
