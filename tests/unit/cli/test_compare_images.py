"""`pushforward compare` with metrics of images beside their originals,
and with a classifier's score.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.experiments import sample
from pushforward.metrics.image_quality import psnr, ssim

STREAM = torch.Generator()


def records(out: str) -> dict[str, Any]:
    return {r["quantity"]: r for r in map(json.loads, out.splitlines())}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    x = torch.randint(
        0, 256, (40, 3, 16, 16), generator=STREAM.manual_seed(0), dtype=torch.uint8
    ).numpy()
    noise = torch.randint(
        0, 20, (40, 3, 16, 16), generator=STREAM.manual_seed(1), dtype=torch.uint8
    ).numpy()
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", np.minimum(x, 235) + noise)
    np.save(tmp_path / "few.npy", x[:30])
    np.savez(tmp_path / "labelled.npz", x=x, y=np.arange(40) % 2)
    return tmp_path


def test_pairs_of_images(made: Path, cli: Any) -> None:
    done = cli(
        "compare", made / "a.npy", made / "b.npy", "--metrics", "psnr,ssim,ssim_daala", "--json"
    )
    assert done.code == 0
    found = records(done.out)
    x, y = np.load(made / "a.npy"), np.load(made / "b.npy")
    assert list(found) == ["psnr", "ssim", "ssim_daala"]
    assert found["psnr"]["value"] == pytest.approx(psnr(x, y).value)
    assert found["psnr"]["error"] == pytest.approx(psnr(x, y).error)
    assert found["ssim"]["value"] == pytest.approx(ssim(x, y).value)
    assert found["ssim"]["data"].startswith("a.npy (40 ")


def test_luma_crop_and_a_draw_of_the_rows(made: Path, cli: Any) -> None:
    options = ("--channel", "y", "--crop", "2", "--json")
    found = records(
        cli("compare", made / "a.npy", made / "b.npy", "--metrics", "psnr", *options).out
    )
    x, y = np.load(made / "a.npy"), np.load(made / "b.npy")
    assert found["psnr"]["value"] == pytest.approx(psnr(x, y, channel="y", crop=2).value)
    few = records(
        cli(
            "compare", made / "a.npy", made / "b.npy", "--metrics", "psnr", "--rows", "10", *options
        ).out
    )
    assert few["psnr"]["n"] == 10
    assert few["psnr"]["value"] == pytest.approx(found["psnr"]["value"], abs=1)  # pairs stay pairs


def test_a_table_beside_metrics_of_features(made: Path, cli: Any) -> None:
    done = cli(
        "compare", made / "a.npy", made / "b.npy", "--metrics", "prdc,psnr", "--features", "pca(2)"
    )
    assert done.code == 0
    assert "features: pca(2)" in done.out
    assert "features: images 16×16, 3 channels, crop 0, values 0..255" in " ".join(done.out.split())


def test_the_score_of_the_labels_classifier(made: Path, cli: Any) -> None:
    done = cli(
        "compare",
        made / "labelled.npz",
        made / "a.npy",
        "--features",
        "classifier",
        "--metrics",
        "inception_score",
        "--json",
    )
    assert done.code == 0
    found = records(done.out)["inception_score"]
    assert 1 <= found["value"] <= 2
    assert found["details"]["feature_space"].startswith("classifier of 2 labels")


@pytest.mark.parametrize(
    ("generated", "more", "said"),
    [
        ("few.npy", ["--metrics", "psnr"], "one by one"),
        ("few.npy", ["--metrics", "psnr", "--rows", "20"], "one by one"),
        ("b.npy", ["--metrics", "ms_ssim"], "161×161"),
        ("b.npy", ["--metrics", "psnr", "--channel", "red"], "channel"),
        ("b.npy", ["--metrics", "psnr", "--crop", "8"], "crop"),
        ("b.npy", ["--metrics", "fid", "--crop", "2"], "--crop is for"),
        ("b.npy", ["--channel", "y"], "--channel is for"),
        ("b.npy", ["--metrics", "psnrr"], "did you mean 'psnr'"),
        ("b.npy", ["--metrics", "inception_score"], "--features classifier"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    made: Path, cli: Any, generated: str, more: list[str], said: str
) -> None:
    done = cli("compare", made / "a.npy", made / generated, *more)
    assert done.code == 2
    assert said in done.err.replace("\n", " ")


@pytest.mark.parametrize("installed", [False, True])
def test_images_are_compared_in_a_named_network_if_there_is_one(
    installed: bool, made: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = pf.read(made / "a.npy").space
    monkeypatch.setattr(sample, "has_efficientnet", lambda: installed)
    assert sample.usual_features(space, network=True) == [["raw"], ["efficientnet"]][installed]
    assert sample.usual_features(space) == ["raw"]  # where an answer must be quick
    small = pf.read(np.zeros((4, 1, 15, 16), dtype=np.uint8)).space
    assert sample.usual_features(small, network=True) == ["raw"]
    if not installed:
        done = cli("compare", made / "a.npy", made / "b.npy", "--metrics", "ks")
        assert "raw pixels" in done.err
        assert "--features efficientnet" in done.err


def test_small_images_are_compared_by_their_pixels_and_told_so(
    tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "has_efficientnet", lambda: True)
    for i, name in enumerate("ab"):
        x = torch.randint(0, 256, (30, 1, 8, 8), generator=STREAM.manual_seed(i))
        np.save(tmp_path / f"{name}.npy", x.to(torch.uint8).numpy())
    done = cli("compare", tmp_path / "a.npy", tmp_path / "b.npy", "--metrics", "fid")
    assert "raw pixels, as the images are smaller than 16 pixels" in done.err.replace("\n", " ")
    assert "features: raw" in done.out
