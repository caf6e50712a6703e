"""`pushforward sample --y FILE` where conditions are images: brought to the size of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.experiments import open_run
from pushforward.experiments.sampling import sample
from tests.unit.cli.conftest import Cli


def frames(n: int, height: int, width: int, seed: int = 0) -> list[Image.Image]:
    levels = np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)
    return [Image.fromarray(frame) for frame in levels]


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Animations that are larger than what a model of first frames was fitted to, and its run."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "clips"
    folder.mkdir()
    for i in range(4):
        first, *rest = frames(4, 12, 20, i)
        first.save(folder / f"{i}.apng", save_all=True, append_images=rest, duration=100)
    source = pf.read(folder, y="first_frame", size=8, fit="stretch")
    pf.VGAN(latent=2, width=2).fit(source, steps=1, batch=2, quiet=True, run=tmp_path / "run")
    return folder


def test_first_frames_of_any_size(cli: Cli, clips: Path) -> None:
    source = pf.read(clips, y="first_frame", size=8, fit="stretch")
    told = source.take(torch.arange(4)).y
    assert told is not None
    run = open_run("run")
    assert torch.equal(sample(run, y=clips).y, told)
    frame = Image.open(clips / "1.apng").convert("RGB")
    frame.save("frame.png")
    assert torch.equal(sample(run, 3, y=Path("frame.png")).y, told[1:2].expand(3, -1, -1, -1))
    expected = run.model.sample(2, y=told[1:2])
    for y in (frame, "frame.png", Path("frame.png"), [frame, frame]):
        assert torch.equal(run.model.sample(2, y=y), expected)
    for words in (("frame.png", "-n", 2), (clips,)):
        result = cli("sample", "run", "--y", *words, "--out", f"made{len(words)}.npz")
        assert result.code == 0, result.err
    assert len(np.load("made1.npz")["x"]) == 4


@pytest.mark.parametrize("layout", ["strips", "folders"])
def test_first_frames_of_clips_kept_otherwise(clips: Path, layout: str) -> None:
    expected = []
    for i in range(2):
        several = frames(3, 12, 12, seed=20 + i)
        expected.append(np.asarray(several[0].resize((8, 8), Image.Resampling.BICUBIC)))
        place = Path(f"other/{i}" if layout == "folders" else "other")
        place.mkdir(parents=True, exist_ok=True)
        if layout == "folders":
            for j, frame in enumerate(several):
                frame.save(place / f"{j}.png")
        else:
            Image.fromarray(np.hstack([np.asarray(f) for f in several])).save(place / f"{i}.png")
    told = sample(open_run("run"), y=Path("other")).y
    assert torch.equal(told, torch.from_numpy(np.stack(expected)).movedim(-1, 1).float())


def test_photographs_as_conditions_of_pix2pix(cli: Cli) -> None:
    x = torch.randint(0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    model = pf.Pix2Pix(width=2).fit(x, y="grey", steps=1, batch=2, quiet=True, run="pairs")
    (photo,) = frames(1, 20, 30)
    photo.save("photo.jpg")
    assert cli("sample", "pairs", "--y", "photo.jpg", "-n", 2, "--out", "made.npz").code == 0
    assert np.load("made.npz")["x"].shape[0] == 2
    assert model.sample(1, y=photo).shape == (1, 3, 16, 16)
    assert cli("sample", "pairs", "--y", "none.jpg").code == 2
