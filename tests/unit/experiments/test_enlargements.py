"""Photographs enlarged into files: channels, transparency, EXIF, names; and runs measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.experiments import open_run
from pushforward.experiments.enlargements import enlarge, enlarge_levels
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.experiments.opened import OpenedRun


def colours(n: int = 32, channels: int = 3) -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, channels, 16, 16), generator=stream).to(torch.uint8)


def fitted(folder: Path, channels: int = 3) -> OpenedRun:
    model = pf.SRResNet(width=4, blocks=1)
    model.fit(colours(channels=channels), y="low_resolution(2)", steps=5, quiet=True, run=folder)
    return open_run(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    return fitted(tmp_path_factory.mktemp("runs") / "colour")


@pytest.fixture(scope="module")
def grey_run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    return fitted(tmp_path_factory.mktemp("runs") / "grey", 1)


def photo(path: Path, mode: str = "RGB", size: tuple[int, int] = (13, 9), **saved: object) -> Path:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    levels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], *channels), np.uint8)
    Image.fromarray(levels).save(path, **saved)  # type: ignore[arg-type]
    return path


def opened(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def test_a_photograph_is_what_the_model_makes_of_it(run: OpenedRun, tmp_path: Path) -> None:
    file = photo(tmp_path / "a.png")
    (result,) = enlarge(run, file, str(tmp_path / "b.png"))
    levels = torch.from_numpy(opened(file)).permute(2, 0, 1)
    expected = run.model.translate(levels.float()).round().byte().permute(1, 2, 0)
    assert np.array_equal(opened(tmp_path / "b.png"), expected.numpy())
    assert (result.before, result.after) == ((9, 13), (18, 26))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("model", ["run", "grey_run"])
def test_channels_are_kept(
    mode: str, model: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = photo(tmp_path / "a.png", mode)
    list(enlarge(request.getfixturevalue(model), file, str(tmp_path / "b.png")))
    image = Image.open(tmp_path / "b.png")
    assert (image.mode, image.size) == (mode, (26, 18))


def test_transparency_is_enlarged_by_the_network(run: OpenedRun) -> None:
    x = colours(1, 4)[0]
    made = enlarge_levels(run.model, x)
    assert torch.equal(made[:3], enlarge_levels(run.model, x[:3]))
    assert torch.equal(made[3:], enlarge_levels(run.model, x[3:]))
    edge = torch.zeros(1, 16, 16, dtype=torch.uint8)
    edge[..., 8:] = 255
    alpha = enlarge_levels(run.model, torch.cat([x[:3], edge]))[3].float()
    assert float(alpha[:, 22:].mean() - alpha[:, :10].mean()) > 200


def test_exif_is_kept_upright_and_the_profile_too(run: OpenedRun, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[271], exif[0x8769] = (
        6,
        "A camera",
        {0x9003: "2020:01:02 03:04:05", 0xA002: 13},
    )
    file = photo(tmp_path / "a.jpg", exif=exif, icc_profile=b"a profile")
    for name in ("b.jpg", "b.png", "b.webp"):
        list(enlarge(run, file, str(tmp_path / name)))
        image = Image.open(tmp_path / name)
        kept = image.getexif()
        assert image.size == (18, 26), "turned by a quarter, as the camera was"
        assert kept.get(0x0112, 1) == 1
        assert kept[271] == "A camera"
        assert kept.get_ifd(0x8769) == {0x9003: "2020:01:02 03:04:05"}
        assert image.info["icc_profile"] == b"a profile"


def test_folders_keep_their_names_and_nothing_is_written_twice(
    run: OpenedRun, tmp_path: Path
) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    photo(tmp_path / "in" / "a.png")
    photo(tmp_path / "in" / "sub" / "a.png", size=(5, 21))
    out = tmp_path / "out"
    results = list(enlarge(run, tmp_path / "in", f"{out}/"))
    assert [r.path for r in results] == [out / "a-enlarged.png", out / "sub" / "a-enlarged.png"]
    assert opened(out / "sub" / "a-enlarged.png").shape == (42, 10, 3)
    before = (out / "a-enlarged.png").read_bytes()
    with pytest.raises(pf.InvalidValue, match=r"a-enlarged\.png exists; choose another name"):
        enlarge(run, tmp_path / "in", f"{out}/")
    assert (out / "a-enlarged.png").read_bytes() == before
    photo(tmp_path / "in" / "a.jpg")
    results = list(enlarge(run, tmp_path / "in", f"{tmp_path / 'other'}/"))
    names = ["a-jpg-enlarged.png", "a-png-enlarged.png", "sub/a-enlarged.png"]
    assert [r.path.relative_to(tmp_path / "other").as_posix() for r in results] == names
    photo(tmp_path / "in" / "a-png.png")
    with pytest.raises(pf.InvalidValue, match=r"a-png\.png and a\.png would both be called a-png-"):
        enlarge(run, tmp_path / "in", f"{tmp_path / 'third'}/")
    assert not (tmp_path / "third").exists()


def test_tiles_change_nothing(run: OpenedRun, tmp_path: Path) -> None:
    file = photo(tmp_path / "a.png", size=(70, 45))
    for name, tile in (("whole.png", None), ("tiled.png", 16)):
        list(enlarge(run, file, str(tmp_path / name), tile=tile))
    gap = opened(tmp_path / "whole.png").astype(int) - opened(tmp_path / "tiled.png")
    assert np.abs(gap).max() <= 1, "at most where rounding tips over"
    assert (gap != 0).mean() < 1e-3


def film(path: Path, n: int = 3) -> list[np.ndarray]:
    """An animation of noise at 5 frames per second; returns its frames."""
    rng = np.random.default_rng(2)
    frames = [rng.integers(0, 256, (8, 10, 3), np.uint8) for _ in range(n)]
    first, *rest = (Image.fromarray(frame) for frame in frames)
    lossless = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=200, loop=0, **lossless)
    return frames


@pytest.mark.parametrize(("name", "written"), [("a.png", "a.apng"), ("a.webp", "a.webp")])
def test_a_clip_is_enlarged_frame_by_frame(
    run: OpenedRun, tmp_path: Path, name: str, written: str
) -> None:
    frames = film(tmp_path / name)
    folder = tmp_path / "out"
    (result,) = enlarge(run, tmp_path / name, f"{folder}/")
    assert result.path == folder / written.replace("a", "a-enlarged", 1)
    assert (result.frames, result.before, result.after) == (3, (8, 10), (16, 20))
    with Image.open(result.path) as made:
        assert made.n_frames == 3
        for i, frame in enumerate(frames):
            made.seek(i)
            levels = torch.from_numpy(frame).permute(2, 0, 1)
            expected = enlarge_levels(run.model, levels).permute(1, 2, 0).numpy()
            assert np.array_equal(np.array(made.convert("RGB")), expected)
            assert made.info["duration"] == 200


def test_photographs_and_clips_of_a_folder(run: OpenedRun, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    film(folder / "a.gif")
    photo(folder / "b.png")
    results = list(enlarge(run, folder, f"{tmp_path}/out/"))
    assert [r.path.name for r in results] == ["a-enlarged.gif", "b-enlarged.png"]
    assert [r.frames for r in results] == [3, 1]


def test_a_clip_is_no_photograph_nor_a_photograph_a_clip(run: OpenedRun, tmp_path: Path) -> None:
    film(tmp_path / "a.gif")
    photo(tmp_path / "b.png")
    with pytest.raises(pf.InvalidValue, match=r"cannot write a clip to .*expected .*\.gif, \.apng"):
        enlarge(run, tmp_path / "a.gif", str(tmp_path / "x.png"))
    with pytest.raises(pf.InvalidValue, match=r"cannot write an image to .*expected .*\.png, "):
        enlarge(run, tmp_path / "b.png", str(tmp_path / "x.gif"))


def test_a_film_is_enlarged(run: OpenedRun, tmp_path: Path) -> None:
    pytest.importorskip("av")
    frames = film(tmp_path / "a.png")
    from pushforward.data.export.moving import write_film

    write_film((Image.fromarray(frame) for frame in frames), tmp_path / "a.avi", ".avi", 5.0)
    (result,) = enlarge(run, tmp_path / "a.avi", str(tmp_path / "b.avi"))
    assert (result.frames, result.after) == (3, (16, 20))
    x = pf.read(tmp_path / "b.avi").take(torch.arange(1)).x[0]
    levels = torch.from_numpy(frames[1]).permute(2, 0, 1)
    assert torch.equal(x[:, 1].byte(), enlarge_levels(run.model, levels))


def test_runs_and_files_that_do_not_fit(run: OpenedRun, tmp_path: Path) -> None:
    other = OpenedRun(tmp_path, pf.PCA(1).fit(torch.randn(20, 3)))
    with pytest.raises(pf.InvalidKind, match="a pca enlarges no images; fit one that does"):
        enlarge(other, tmp_path / "a.png")
    with pytest.raises(pf.BadSource, match="no file matches"):
        enlarge(run, tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(pf.BadSource, match="is not an image that can be read"):
        list(enlarge(run, tmp_path / "text.png", str(tmp_path / "b.png")))
    assert not (tmp_path / "b.png").exists()


# ---------------------------------------------------------------------------------------- measuring


def test_runs_are_measured_on_whole_photographs_of_mixed_sizes(
    run: OpenedRun, grey_run: OpenedRun, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, mode, size in (("a", "RGB", (45, 33)), ("b", "L", (32, 50)), ("c", "RGBA", (40, 40))):
        photo(folder / f"{name}.png", mode, size)
    evaluation = evaluate_runs([run, grey_run], data=folder)
    assert len(evaluation.by_rows()) == 1
    for records in evaluation.measured:
        quantities = [record.quantity for record in records]
        assert quantities[:3] == ["psnr", "ssim", "ssim_daala"]
        assert all(record.n == 3 for record in records)
        assert "photos (3 photographs, " in records[0].data
    one, two = ({r.quantity: r.value for r in records} for records in evaluation.measured)
    assert one["psnr of bicubic"] == two["psnr of bicubic"]
    assert one["psnr"] != two["psnr"]


def test_held_out_rows_are_measured_by_the_same_protocol(tmp_path: Path) -> None:
    experiment = pf.Experiment(
        pf.SRResNet(width=4, blocks=1),
        _folder(tmp_path / "photos"),
        y="low_resolution(2)",
        reading={"tiles": 16},
        held_out=0.5,
        fitter={"steps": 3, "batch": 4},
    )
    outcome = experiment.run(tmp_path / "run")
    (records,) = evaluate_runs([outcome.run]).measured
    found = {record.quantity: record for record in records}
    assert "crop 2" in str(found["psnr"].details["features"])
    assert "psnr of bicubic" in found
    assert found["psnr"].n == len(outcome.parts.held_out)  # type: ignore[arg-type]


def _folder(path: Path) -> str:
    path.mkdir()
    for i, size in enumerate([(40, 33), (35, 48), (32, 32)]):
        photo(path / f"{i}.png", size=size)
    return str(path)
