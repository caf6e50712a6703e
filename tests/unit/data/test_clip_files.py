"""Clips in files: animations, films, strips and folders of frames, read and written."""

from __future__ import annotations

import importlib
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import BadRun, BadSource, DataWarning, InvalidValue, MissingExtra
from pushforward.data.export.writing import write
from pushforward.data.formats.moving_shapes import moving_shapes

av = pytest.importorskip("av")

LOSSLESS = (".apng", ".webp", ".avi")


def clips(n: int = 3, time: int = 6, side: int = 16) -> torch.Tensor:
    """(n, 3, time, side, side), bytes."""
    return moving_shapes(n, side=side, frames=time, seed=3).clips


def space(x: torch.Tensor, rate: float | None = 10.0) -> pf.Space:
    return pf.Space.infer(x, frame_rate=rate)


def saved(x: torch.Tensor, path: Path | str, rate: float | None = 10.0) -> Path:
    return write(x.double(), space(x, rate), path)


def levels(source: pf.Source) -> torch.Tensor:
    return source.take(torch.arange(len(source))).x.to(torch.uint8)


# ----------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_one_clip_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    x = clips(1)
    source = pf.read(saved(x, tmp_path / f"a{suffix}"))
    assert str(source.space) == "clips of 3×6×16×16, levels 0..255"
    assert source.space.frame_rate == pytest.approx(10)
    assert torch.equal(levels(source), x)


def test_a_grey_gif_is_exact_and_colours_are_nearly(tmp_path: Path) -> None:
    grey = clips(1)[:, :1]
    again = pf.read(saved(grey, tmp_path / "grey.gif"), channels=1)
    assert again.space.frame_rate == 10
    assert torch.equal(levels(again), grey)
    colour = clips(1)
    near = levels(pf.read(saved(colour, tmp_path / "colour.gif"), channels=3))
    assert near.shape == colour.shape
    assert float((near.double() - colour.double()).abs().mean()) < 4


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_films_keep_length_rate_and_nearly_the_levels(tmp_path: Path, suffix: str) -> None:
    x = clips(1, time=8, side=32)
    source = pf.read(saved(x, tmp_path / f"a{suffix}", rate=12.5))
    assert source.space.shape == (3, 8, 32, 32)
    assert source.space.frame_rate == pytest.approx(12.5)
    assert float((levels(source).double() - x.double()).abs().mean()) < 6


def test_odd_sides_of_films_are_made_even(tmp_path: Path) -> None:
    x = clips(1, side=17)
    assert pf.read(saved(x, tmp_path / "a.mp4")).space.shape == (3, 6, 18, 18)
    assert pf.read(saved(x, tmp_path / "a.avi")).space.shape == (3, 6, 17, 17)


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".png"])
def test_a_folder_of_clips_comes_back_in_order(tmp_path: Path, suffix: str) -> None:
    x = clips(11)
    folder = saved(x, tmp_path / "clips" / f"*{suffix}")
    assert sorted(p.name for p in folder.iterdir())[:2] == [f"00{suffix}", f"01{suffix}"]
    source = pf.read(folder, clips="strips" if suffix == ".png" else None)
    assert torch.equal(levels(source), x)
    assert source.files is not None
    assert [f.name for f in source.files][-1] == f"10{suffix}"


def test_frames_that_are_alike_are_not_lost(tmp_path: Path) -> None:
    """Encoders join them to one that lasts longer."""
    x = clips(1)[:, :, [0, 0, 0, 1, 2, 2]]
    for suffix in (".gif", *LOSSLESS):
        assert pf.read(saved(x, tmp_path / f"a{suffix}")).space.shape[1] == 6, suffix


@pytest.mark.parametrize(("alpha", "channels"), [(False, 3), (True, 4)])
def test_transparent_clips(tmp_path: Path, alpha: bool, channels: int) -> None:
    x = clips(1)
    if alpha:
        x = torch.cat([x, x.amax(1, keepdim=True)], 1)
    for suffix in (".apng", ".webp"):
        assert torch.equal(levels(pf.read(saved(x, tmp_path / f"a{suffix}"))), x)
    assert pf.read(tmp_path / "a.apng").space.shape[0] == channels


# ------------------------------------------------------------------------------- strips and folders


def test_strips_may_lie_or_stand(tmp_path: Path) -> None:
    x = clips(2)
    for i, name in enumerate(("a", "b")):
        strip = np.concatenate(list(x[i].permute(1, 2, 3, 0).numpy()), 1 - i)
        Image.fromarray(strip).save(tmp_path / f"{name}.png")
    assert torch.equal(levels(pf.read(tmp_path, clips="strips")), x)
    assert torch.equal(levels(pf.read(tmp_path, frames=6)), x)  # found out: both are strips
    assert pf.read(tmp_path / "a.png").space.kind == "images"


def test_folders_of_frames_in_natural_order_with_labels(tmp_path: Path) -> None:
    x = clips(4, time=12)
    for i in range(4):
        folder = tmp_path / ("up" if i % 2 else "down") / f"clip{i}"
        folder.mkdir(parents=True)
        for t in range(12):
            Image.fromarray(x[i, :, t].permute(1, 2, 0).numpy()).save(folder / f"frame_{t}.png")
    source = pf.read(tmp_path, clips="folders")
    order = [0, 2, 1, 3]
    assert torch.equal(levels(source), x[order])
    assert source.condition_space is not None
    assert source.condition_space.columns[0].categories == ("down", "up")
    assert torch.equal(source.take(torch.arange(4)).y, torch.tensor([0, 0, 1, 1]))
    assert pf.read(tmp_path, frames=4).space.shape == (3, 4, 16, 16)
    with zipfile.ZipFile(tmp_path.parent / "clips.zip", "w") as archive:
        for path in tmp_path.rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path))
    assert torch.equal(levels(pf.read(tmp_path.parent / "clips.zip", clips="folders")), x[order])


def test_a_zip_of_films(tmp_path: Path) -> None:
    x = clips(2)
    saved(x, tmp_path / "clips" / "*.avi")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in (tmp_path / "clips").iterdir():
            archive.write(path, path.name)
    assert torch.equal(levels(pf.read(tmp_path / "all.zip")), x)
    assert torch.equal(levels(pf.read(f"{tmp_path}/clips/*.avi")), x)


# ------------------------------------------------------------------------------------------ windows


def test_long_clips_are_cut_into_windows(tmp_path: Path) -> None:
    x = clips(1, time=11)
    path = saved(x, tmp_path / "a.apng")
    plain = pf.read(path, frames=3)
    assert torch.equal(levels(plain), torch.cat([x[:, :, i : i + 3] for i in (0, 3, 6)]))
    strided = pf.read(path, frames=3, stride=2)
    assert torch.equal(levels(strided), torch.cat([x[:, :, 0:5:2], x[:, :, 6:11:2]]))
    assert strided.space.frame_rate == pytest.approx(5)
    assert strided.space.preparation == "3 frames, stride 2"
    hopping = pf.read(path, frames=3, stride=2, hop=3)
    assert torch.equal(levels(hopping), torch.cat([x[:, :, i : i + 5 : 2] for i in (0, 3, 6)]))
    assert torch.equal(levels(pf.read(path, stride=5)), x[:, :, [0, 5, 10]])
    in_memory = pf.read(x, frames=3, stride=2, hop=3)
    assert torch.equal(levels(in_memory), levels(hopping))


@pytest.mark.parametrize("kept", ["in memory", "in files"])
def test_windows_of_one_film_are_not_divided(tmp_path: Path, kept: str) -> None:
    x = clips(5, time=12)
    for i in range(5):
        saved(x[i : i + 1], tmp_path / f"{i}.apng")
    given: Any = x if kept == "in memory" else tmp_path
    source = pf.read(given, frames=4, hop=2)
    assert len(source) == 25
    train, test = pf.data.split(source, held_out=0.3, seed=1)
    films = [{row // 5 for row in part.rows.tolist()} for part in (train, test)]
    assert not films[0] & films[1]
    assert len(train) + len(test) == 25
    assert len(test) == 10
    assert pf.read(x, frames=12).groups is None
    assert pf.read(x[:1], frames=4).groups is None  # or nothing could be held out


def test_clips_too_short_are_left_out_and_named(tmp_path: Path) -> None:
    saved(clips(1, time=8), tmp_path / "long.apng")
    saved(clips(1, time=3), tmp_path / "short.apng")
    with pytest.warns(
        DataWarning, match=r"1 clip shorter than 4 frames is left out \(.*short.apng\)"
    ):
        source = pf.read(tmp_path, frames=4)
    assert len(source) == 2
    with pytest.raises(BadSource, match=r"no clip has the 16 frames of a window .*long.apng"):
        pf.read(tmp_path, frames=16)


def test_size_and_channels(tmp_path: Path) -> None:
    saved(clips(2, side=32), tmp_path / "clips" / "*.apng")
    source = pf.read(tmp_path / "clips", size=8, channels=1, frames=2)
    assert source.space.shape == (1, 2, 8, 8)
    assert source.space.preparation == "2 frames, size 8, crop, 1 channel"
    assert pf.read(tmp_path / "clips", like=source).space == source.space
    cut = pf.read(clips(2, side=32), size=8, channels=1, frames=2)
    assert torch.equal(levels(cut), levels(source))


def test_more_than_memory_stays_on_disk(tmp_path: Path) -> None:
    x = clips(4)
    saved(x, tmp_path / "clips" / "*.apng")
    source = pf.read(tmp_path / "clips", memory=x[0].numel())
    assert not source.resident
    assert torch.equal(levels(source), x)


# ---------------------------------------------------------------------------------- what is refused


def test_clips_of_unequal_length(tmp_path: Path) -> None:
    saved(clips(1, time=4), tmp_path / "a.apng")
    saved(clips(1, time=6), tmp_path / "b.apng")
    words = (
        r"clips of unequal length: .*a.apng has 4 frames, .*b.apng has 6; cut them with frames=4"
    )
    with pytest.raises(BadSource, match=words):
        pf.read(tmp_path)


def test_films_beside_images(tmp_path: Path) -> None:
    saved(clips(1), tmp_path / "a.avi")
    Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    with pytest.raises(BadSource, match=r"holds both films and images \(a.avi and b.png\)"):
        pf.read(tmp_path)


def test_files_that_are_no_films(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"not a film" * 100)
    with pytest.raises(BadSource, match=r"a.mp4: is not a film that can be read"):
        pf.read(path)
    whole = saved(clips(1), tmp_path / "b.avi").read_bytes()
    path.unlink()
    (tmp_path / "b.avi").write_bytes(b"#EXTM3U\n" + whole)
    with pytest.raises(BadSource, match=r"b.avi: "):
        pf.read(tmp_path / "b.avi")


def test_a_film_without_frames_or_images(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BadSource, match=r"sound.mp4: holds no images, only sound"):
        pf.read(path)
    empty = tmp_path / "empty.avi"
    with av.open(str(empty), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width = stream.height = 16
        stream.pix_fmt = "bgr0"
        container.start_encoding()
    with pytest.raises(BadSource, match=r"empty.avi: .*(no frames|cannot|damaged|not a film)"):
        pf.read(empty)


def test_images_that_are_no_strips(tmp_path: Path) -> None:
    Image.new("RGB", (30, 16)).save(tmp_path / "a.png")
    with pytest.raises(BadSource, match=r"a.png: is 16×30, expected a strip of square frames"):
        pf.read(tmp_path, clips="strips")


def test_frames_beside_folders_of_frames(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for name in ("one/0.png", "one/1.png", "2.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    with pytest.raises(BadSource, match=r"2.png: lie beside folders of frames"):
        pf.read(tmp_path, clips="folders")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clips": "film"}, r"clips must be 'files', 'strips', 'folders' or 'none', got 'film'"),
        ({"frames": 0}, r"frames must be .*, got 0"),
        ({"hop": 3}, r"hop=3 is the distance between windows; say how long they are"),
        ({"stride": 1.5}, r"stride must be a whole number, got 1.5"),
    ],
)
def test_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises((InvalidValue, pf.InvalidKind), match=words):
        pf.read(clips(), **settings)


def test_settings_of_clips_for_other_data() -> None:
    with pytest.raises(InvalidValue, match=r"frames=4 is for clips, but the data are points"):
        pf.read("ring", frames=4)


def test_without_pyav_a_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(clips(1), tmp_path / "a.avi")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"reading a.avi needs av, .*pip install .*\[video\]"):
        pf.read(path)
    with pytest.raises(MissingExtra, match=r"writing b.mp4 needs av"):
        saved(clips(1), tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()
    importlib.invalidate_caches()


def test_patterns_that_cannot_be_written(tmp_path: Path) -> None:
    x = clips(1)
    with pytest.raises(InvalidValue, match=r"cannot be written as such files; expected a"):
        saved(x, tmp_path / "*.csv")
    saved(x, tmp_path / "out" / "*.apng")
    with pytest.raises(BadRun, match=r"out exists"):
        saved(x, tmp_path / "out" / "*.apng")


# ------------------------------------------------------------------------------------------ reports


def test_a_report_lists_what_cannot_be_read(tmp_path: Path) -> None:
    saved(clips(3), tmp_path / "clips" / "*.avi")
    (tmp_path / "clips" / "1.avi").write_bytes(b"RIFF")
    report = pf.data.report(tmp_path / "clips")
    assert [Path(name).name for name, _ in report.unreadable] == ["1.avi"]
    assert report.count == 2
    with pytest.raises(BadSource, match=r"1.avi"):
        pf.read(tmp_path / "clips")


def test_first_frames_as_images(tmp_path: Path) -> None:
    x = clips(2)
    saved(x, tmp_path / "clips" / "*.apng")
    with pytest.warns(DataWarning, match="only the first of each"):
        source = pf.read(tmp_path / "clips", clips="none")
    assert torch.equal(levels(source), x[:, :, 0])


# ------------------------------------------------------------------------------------ moving shapes


def test_moving_shapes_are_the_composition_of_their_masks() -> None:
    made = moving_shapes(50, seed=1)
    assert made.clips.shape == (50, 3, 16, 32, 32)
    x, still = made.clips.double(), made.masks == 0
    background = torch.where(still, x, torch.nan).nanmean(2, keepdim=True)
    assert float((torch.where(still, x, background) - background).nan_to_num().abs().max()) < 0.51
    inside = (made.masks == 1).expand_as(x)
    colour = torch.where(inside, x, torch.nan).flatten(2)
    spread = torch.nan_to_num(colour, -torch.inf).amax(2)  # one colour a shape
    assert bool((spread >= 0).all())
    steps = made.masks.double().diff(dim=2).abs().sum((1, 3, 4))
    assert float(steps.min()) > 1  # it moves in every frame


def test_moving_shapes_by_name() -> None:
    source = pf.read("moving-shapes:150", size=16, frames=8)
    assert source.space.shape == (3, 8, 16, 16)
    assert source.space.frame_rate == 8
    assert len(source) == 150
    again = pf.read("moving-shapes:100", size=16, frames=8)
    assert torch.equal(levels(again), levels(source)[:100])
    assert not torch.equal(levels(pf.read("moving-shapes:100", size=16, frames=8, seed=1)),
                           levels(again))  # fmt: skip
    for settings in ({"size": (8, 16)}, {"stride": 2}, {"channels": 1}, {"n": 0}):
        with pytest.raises(InvalidValue):
            pf.read("moving-shapes", **settings)
