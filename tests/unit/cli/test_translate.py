"""`pushforward translate`, and `data` and `fit` on pairs that do not belong together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.phase import Batch
from pushforward.experiments import open_run
from pushforward.experiments.translations import translate
from tests.unit.cli.conftest import Cli

SIDE = 16
QUIET = ("--width", "2", "--steps", "2", "--batch", "2", "--quiet")


def save(folder: Path, names: list[str], *, seed: int = 0, side: int = SIDE) -> Path:
    """Photographs of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in names:
        levels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of Pix2Pix from colour to colour, with folders x and y beside it."""
    root = tmp_path_factory.mktemp("translate")
    x, y = (save(root / name, list("abcdefgh"), seed=i) for i, name in enumerate("xy"))
    pf.Pix2Pix(width=2).fit(str(x), str(y), steps=2, batch=2, quiet=True, run=root / "run")
    return root / "run"


def test_one_photo_from_the_command_line_and_python_alike(cli: Cli, run: Path) -> None:
    photo = run.parent / "y" / "a.png"
    result = cli("translate", run, photo, "--out", "a.png")
    assert (result.code, result.out.strip()) == (0, "a.png")
    assert Image.open("a.png").size == (SIDE, SIDE)
    levels = torch.from_numpy(np.asarray(Image.open(photo)).transpose(2, 0, 1).copy())
    (made,) = translate(open_run(run), photo)
    assert torch.equal(made.y, levels.float())
    assert not made.notes


def test_folders_keep_their_names_and_nothing_is_written_twice(cli: Cli, run: Path) -> None:
    save(Path("in"), ["a"])
    save(Path("in/sub"), ["a"])
    result = cli("translate", run, "in", "--out", "out/")
    assert result.out.split() == ["out/a-translated.png", "out/sub/a-translated.png"]
    Image.new("RGB", (SIDE, SIDE)).save("in/a.jpg")
    both = cli("translate", run, "in", "--out", "other/")
    assert [Path(p).name for p in both.out.split()][:2] == [
        "a-jpg-translated.png",
        "a-png-translated.png",
    ]
    glob = cli("translate", run, "in/sub/*.png", "--out", "third/")
    assert glob.out.split() == ["third/a-translated.png"]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGBA", 4)])
def test_photos_of_other_channels_are_converted_with_a_note(
    cli: Cli, run: Path, tmp_path: Path, mode: str, channels: int
) -> None:
    Image.new(mode, (SIDE, SIDE)).save("photo.png")
    result = cli("translate", run, "photo.png", "--out", "out.png")
    assert result.code == 0
    assert f"photo.png has {channels} channels, the model takes 3: converted" in result.err
    assert Image.open("out.png").mode == "RGB"


def test_photos_of_mixed_sizes_are_translated_each_at_its_own(cli: Cli, run: Path) -> None:
    for name, size in (("a", (40, 24)), ("b", (19, 33)), ("c", (SIDE, SIDE))):
        Path("photos").mkdir(exist_ok=True)
        Image.new("RGB", size, "teal").save(f"photos/{name}.png")
    result = cli("translate", run, "photos", "--out", "made/")
    assert result.code == 0
    assert [Image.open(p).size for p in result.out.split()] == [(40, 24), (19, 33), (SIDE, SIDE)]
    assert result.err.count("the model was fitted to 16x16") == 1
    scaled = cli("translate", run, "photos", "--out", "scaled/", "--size", "16x16")
    assert {Image.open(p).size for p in scaled.out.split()} == {(SIDE, SIDE)}
    assert "was fitted to" not in scaled.err


def test_noise_can_be_left_out(cli: Cli, run: Path) -> None:
    photo = run.parent / "y" / "a.png"
    for name, more in (("a", ("--seed", "1")), ("b", ("--seed", "2")), ("n", ())):
        cli("translate", run, photo, "--out", f"{name}.png", *more, "--using", "mean")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes() == Path("n.png").read_bytes()
    cli("translate", run, photo, "--out", "noisy.png", "--seed", "1")
    assert Path("noisy.png").read_bytes() != Path("a.png").read_bytes()


def test_a_photo_smaller_than_the_network_s_stride_is_refused(cli: Cli, run: Path) -> None:
    Image.new("RGB", (20, 6)).save("small.png")
    result = cli("translate", run, "small.png", "--out", "out.png")
    assert result.code == 2
    assert "at least 9 pixels a side, got 6x20; enlarge" in result.err
    assert result.err.count("\n") == 1
    assert not Path("out.png").exists()


def test_a_run_that_translates_nothing_is_refused(cli: Cli, tmp_path: Path) -> None:
    pf.PCA(1).fit(torch.randn(9, 2)).save(tmp_path / "pca")
    Image.new("RGB", (SIDE, SIDE)).save("photo.png")
    result = cli("translate", tmp_path / "pca", "photo.png")
    assert result.code == 2
    assert "a pca translates no images; fit one that does" in result.err
    assert not list(Path().glob("*translated*"))


def test_conditions_of_their_own_cannot_be_derived(cli: Cli, run: Path) -> None:
    result = cli("translate", run, run.parent / "y" / "a.png", "--derive-conditions")
    assert result.code == 2
    assert "cannot be made of others; leave --derive-conditions out" in result.err


# ------------------------------------------------------------------------- pairs that do not belong


def test_reports_name_missing_partners(cli: Cli) -> None:
    save(Path("x"), list("abc"))
    save(Path("y"), list("abd"))
    result = cli("data", "x", "--label", "y")
    assert result.code == 0
    assert "3 images and 3 conditions are paired by name" in result.out
    assert "1 have no condition: c; 1 have no image: d" in result.out
    fit = cli("fit", "pix2pix", "x", "--label", "y", *QUIET)
    assert fit.code == 2
    assert "without a condition: c; without an image: d" in fit.err
    assert not Path("runs").exists()


def test_reports_count_unequal_folders(cli: Cli) -> None:
    save(Path("x"), list("abcd"))
    save(Path("y"), list("ab"))
    result = cli("data", "x", "--label", "y/")
    assert (
        "4 images and 2 conditions are paired by name, but 2 have no condition: c, d" in result.out
    )
    assert cli("fit", "pix2pix", "x", "--label", "y", *QUIET).code == 2


def test_reports_name_pairs_of_unequal_size(cli: Cli) -> None:
    save(Path("x"), list("abcd"))
    save(Path("y"), list("abcd"))
    save(Path("y"), ["c"], side=24)
    result = cli("data", "x", "--label", "y")
    assert "1 of 4 pairs differ in size: c (16×16 and 24×24): --size 64 brings both" in result.out
    scaled = cli("data", "x", "--label", "y", "--size", "8")
    assert "conditions: images of 3×8×8" in scaled.out
    assert "differ" not in scaled.out
    assert cli("fit", "pix2pix", "x", "--label", "y", *QUIET).code == 2
    whole = cli("fit", "pix2pix", "x", "--label", "y", "--size", "16", *QUIET)
    assert whole.code == 0, whole.err


def test_conditions_smaller_by_one_factor_are_pairs(cli: Cli) -> None:
    save(Path("x"), list("abcd"))
    save(Path("y"), list("abcd"), side=SIDE // 2)
    result = cli("data", "x", "--label", "y")
    assert "differ" not in result.out
    assert "conditions: images of 3×8×8" in result.out
    assert "4 of 4 images have a condition of their name, such as a.png and a.png" in result.out


def test_reports_on_unreadable_conditions(cli: Cli) -> None:
    save(Path("x"), list("ab"))
    save(Path("y"), list("ab"))
    Path("y/b.png").write_bytes(b"no image")
    result = cli("data", "x", "--label", "y")
    assert "1 of 2 conditions cannot be read" in result.out
    assert "y/b.png" in result.out


@pytest.mark.parametrize("label", ["edges", "grey", "lightness", "left", "low_resolution(2)"])
def test_reports_on_conditions_made_of_the_images(cli: Cli, label: str) -> None:
    save(Path("x"), list("ab"))
    result = cli("data", "x", "--label", label)
    assert result.code == 0
    assert "conditions: images of" in result.out
    failing = cli("data", "x", "--label", "low_resolution(7)")
    assert "takes images whose sides are multiples of 7" in failing.out


def test_results_are_evaluated_in_a_titled_table_with_units(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "sides").mkdir()
    for i in range(10):
        levels = rng.integers(0, 256, (SIDE, 2 * SIDE, 3), dtype=np.uint8)
        Image.fromarray(levels).save(tmp_path / "sides" / f"{i}.png")
    fit = ("fit", "pix2pix", tmp_path / "sides", "--label", "left", "--run", "sides-run", *QUIET)
    assert cli(*fit).code == 0
    done = cli("evaluate", "sides-run", "nothing")
    assert done.code == 2
    assert "error: nothing does not exist" in done.err.splitlines()[-1]
    first, *lines = done.out.splitlines()
    assert first.startswith("images made from images, beside the originals (↑ more is better")
    shown = {line[:41].strip(): line for line in lines}
    assert shown["PSNR, dB ↑"]
    records = map(json.loads, cli("evaluate", "sides-run", "--json").out.splitlines())
    error = next(r["value"] for r in records if r["quantity"] == "absolute_error")
    assert f"{error:.4g}" in shown["absolute error, share of the range ↓"]
    assert """--label 'labels(side="left", maps="right")'""" in done.err
    assert done.err.count("measured on") == 1


def test_errors_during_a_fit_are_shares_of_the_range_of_levels(tmp_path: Path) -> None:
    x, y = (save(tmp_path / name, list("abcdefgh"), seed=i) for i, name in enumerate("xy"))
    model = pf.Pix2Pix(width=2).fit(str(x), str(y), steps=2, batch=2, quiet=True)
    truth, conditions = pf.read(str(x)).all().x, pf.read(str(y)).all().x
    batch = Batch(model.to_model(truth), model.to_condition(conditions, len(truth)))
    made = model.translate(conditions, using="mean")
    expected = (made - truth).abs().flatten(1).mean(1) / 255
    model.generator.eval()
    assert torch.allclose(-model.quality(batch), expected, atol=0.05)
    assert model.vitals(batch, rng=0)["error"] == pytest.approx(float(expected.mean()), abs=0.03)


# --------------------------------------------------------------- halves, folders with faulty files


@pytest.mark.parametrize("label", ["left", "right", "labels(side='left', palette=2)"])
def test_side_by_side_files_are_translated_from_their_condition(
    cli: Cli, tmp_path: Path, label: str
) -> None:
    Path("pairs").mkdir()
    for i in range(4):
        photo = np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        drawing = np.where(np.random.default_rng(9 + i).random((SIDE, SIDE, 1)) < 0.5, 0, 255)
        halves = [np.repeat(drawing, 3, 2).astype(np.uint8), photo]
        Image.fromarray(np.hstack(halves)).save(f"pairs/{i}.png")
    model = pf.Pix2Pix(width=2).fit("pairs", label, steps=1, batch=2, quiet=True, run="run")
    source = pf.read("pairs", y=label)
    told = source.take(torch.arange(1)).y
    assert told is not None
    (made,) = translate(open_run("run"), "pairs/0.png", derive_conditions=True)
    assert torch.equal(made.y, told[0])
    assert torch.equal(made.x, model.translate(told, rng=0)[0])
    (scaled,) = translate(open_run("run"), "pairs/0.png", derive_conditions=True, size=(32, 32))
    assert scaled.x.shape == (3, 32, 32)
    result = cli("translate", "run", "pairs")
    assert result.code == 0
    assert result.err.count("as wide as two halves") == 1
    assert "--derive-conditions takes that one" in result.err
    assert "at that scale" not in result.err
    quiet = cli("translate", "run", "pairs", "--out", "derived/", "--derive-conditions")
    assert (quiet.code, quiet.err) == (0, "")
    Image.new("RGB", (15, SIDE)).save("odd.png")
    odd = cli("translate", "run", "odd.png", "--derive-conditions")
    assert odd.code == 2
    assert "expected an even width" in odd.err


def test_faulty_files_of_a_folder_are_skipped_and_counted(cli: Cli, run: Path) -> None:
    save(Path("photos"), ["a", "c", "e"])
    Path("photos/b.png").write_bytes(b"no image")
    Path("photos/d.png").write_bytes(Path("photos/c.png").read_bytes()[:400])
    deep = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE)).astype(np.uint16)
    Image.fromarray(deep).save("photos/f.png")
    Image.new("RGB", (20, 4)).save("photos/g.png")
    result = cli("translate", run, "photos")
    assert result.code == 2
    names = [f"photos-translated/{name}-translated.png" for name in "acef"]
    assert result.out.split() == names
    assert all(Path(name).is_file() for name in names)
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("error: 3 of 7 files are skipped (photos/b.png, photos/d.png, ")
    for name in "bdg":
        assert result.err.count(f"photos/{name}.png is skipped: ") == 1
    alone = cli("translate", run, "photos/b.png")
    assert alone.code == 2
    assert "skipped" not in alone.err
