"""`pushforward edit`: its files, what it says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import pushforward as pf
from tests.unit.cli.conftest import Cli

SIDE = 16


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of PCA on smooth noise, with a photograph and strokes beside it."""
    root = tmp_path_factory.mktemp("edit")
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(200, 3, 4, 4, generator=rng)
    x = torch.nn.functional.interpolate(noise, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    levels = (x * 255).round().to(torch.uint8)
    pf.PCA(40).fit(levels).save(root / "run")
    first = Image.fromarray(levels[0].movedim(0, -1).numpy())
    first.save(root / "small.png")
    exif = Image.Exif()
    exif[315] = "A. Painter"
    first.resize((96, 64), Image.Resampling.BICUBIC).save(root / "photo.jpg", exif=exif)
    stroke = Image.new("RGBA", (96, 64))
    ImageDraw.Draw(stroke).rectangle([40, 24, 56, 40], fill=(255, 0, 0, 255))
    stroke.save(root / "red.png")
    lines = Image.new("L", (SIDE, SIDE), 255)
    ImageDraw.Draw(lines).line([8, 0, 8, 15])
    lines.save(root / "lines.png")
    return root / "run"


def test_a_photograph_is_edited_with_its_sheet_and_itself(cli: Cli, run: Path) -> None:
    root = run.parent
    strokes = ("--colour", root / "red.png", "--sketch", root / "lines.png", "--drag", "4,4:6,5")
    done = cli("edit", run, root / "photo.jpg", *strokes, "--candidates", "4", "--steps", "5")
    assert done.code == 0
    names = ["photo-edited.png", "photo-edited-candidates.png", "photo-edited-photo.png"]
    assert done.out.split() == names
    assert Image.open(names[0]).size == (SIDE, SIDE)
    assert Image.open(names[2]).size == (96, 64)
    assert Image.open(names[2]).getexif()[315] == "A. Painter"
    assert "squared error of the reconstruction" in done.err
    assert "before the edit" in done.err
    red = np.asarray(Image.open(names[0]).convert("RGB"))[7:9, 7:9].mean((0, 1))
    assert red[0] > red[1] + 60


def test_an_animation_runs_from_the_start_to_the_result(cli: Cli, run: Path) -> None:
    root = run.parent
    still, moving = (
        cli("edit", run, root / "small.png", "--colour", root / "red.png", "-o", name, "-q")
        for name in ("a.png", "a.gif")
    )
    assert (still.code, moving.code) == (0, 0)
    assert moving.err == ""
    with Image.open("a.gif") as film:
        assert film.n_frames == 16  # type: ignore[attr-defined]
        film.seek(15)
        last = film.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    difference = np.asarray(last).astype(int) - np.asarray(Image.open("a.png"))
    assert np.abs(difference).mean() < 12  # of 256 colours


def test_samples_follow_the_seed_and_results_are_named_in_json(cli: Cli, run: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        line = ("edit", run, "--drag=4,4:8,8", "--seed", seed, "-o", f"{name}.png", "--json")
        done = cli(*line)
        assert json.loads(done.out) == {"path": f"{name}.png", "what": "result"}
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert Path("a.png").read_bytes() != Path("c.png").read_bytes()


def test_the_photograph_itself_can_be_left_alone(cli: Cli, run: Path) -> None:
    root = run.parent
    line = ("edit", run, root / "photo.jpg", "--colour", root / "red.png", "--no-full-size")
    assert cli(*line, "-o", "new/a.webp").out.split() == ["new/a.webp"]


@pytest.mark.parametrize("taken", ["a.png", "a-candidates.png", "a-photo.png"])
def test_nothing_is_overwritten(cli: Cli, run: Path, taken: str) -> None:
    root = run.parent
    Path(taken).write_text("mine")
    line = ("edit", run, root / "photo.jpg", "--colour", root / "red.png", "--candidates", "2")
    done = cli(*line, "-o", "a.png")
    assert done.code == 2
    assert done.err == f"error: {taken} exists; choose another name, or remove it first\n"
    assert [p.name for p in Path().iterdir()] == [taken]
    assert Path(taken).read_text() == "mine"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ((), "nothing is asked of the image; pass --colour strokes.png, --sketch lines.png or"),
        (("--drag", "1,2"), "--drag must be two places with a colon between, got '1,2'"),
        (("--drag", "1,2:3,40"), "targets must lie in the image, 0 to 15 across and 0 to 15 down"),
        (("--colour", "small.png"), "--colour is opaque everywhere"),
        (("--colour", "none.png"), "none.png: no file matches"),
        (("--sketch", "dark.png"), "--sketch is mostly dark; draw dark lines on a light ground"),
        (("--drag", "1,2:3,4", "--y", "3"), "fitted without conditions; leave --y out"),
        (("--drag", "1,2:3,4", "-o", "a.pdf"), "cannot write an image to a.pdf; expected a name"),
        (("--drag", "1,2:3,4", "--radius", "0"), "radius must be above 0, got 0"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    cli: Cli, run: Path, line: tuple[str, ...], message: str
) -> None:
    Image.new("L", (SIDE, SIDE)).save("dark.png")
    Image.new("RGB", (SIDE, SIDE)).save("small.png")
    before = sorted(Path().iterdir())
    done = cli("edit", run, *line)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def test_a_run_that_makes_no_images_is_refused(cli: Cli, tmp_path: Path) -> None:
    pf.PCA(1).fit(torch.randn(9, 2)).save(tmp_path / "points")
    done = cli("edit", tmp_path / "points", "--drag", "1,2:3,4")
    assert done.code == 2
    assert "edits are of images, but" in done.err
