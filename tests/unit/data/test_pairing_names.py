"""Conditions named wrongly: what messages say was meant; and halves of photographs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pushforward as pf
from pushforward.core.argument_names import arguments_named, flag
from pushforward.core.errors import DataWarning
from pushforward.data.halves import Labels
from pushforward.data.pairings import Masked, find_pairing


def save(folder: Path, *, height: int = 8, width: int = 8, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        levels = np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("label", "advice"), [("gray", "did you mean 'grey'"), ("depth", "choose one of these")]
)
def test_a_wrong_name_lists_what_is_made_of_images(label: str, advice: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "photos")
    names = "edges, grey, lightness, low_resolution(4), coarse(2), masked, left, right, labels"
    with pytest.raises(pf.InvalidValue) as raised:
        pf.read(folder, label=label)
    assert all(name in str(raised.value) for name in (*names.split(", "), advice, label))
    assert "first_frame" not in str(raised.value)


def test_folders_of_pairs_are_named_whole(tmp_path: Path) -> None:
    photo, map_ = save(tmp_path / "pairs/photo"), save(tmp_path / "pairs/map")
    with arguments_named(flag):
        with pytest.raises(pf.InvalidValue) as raised:
            pf.read(tmp_path / "pairs", label="map")
        assert f"from one folder, {photo}," in str(raised.value)
        assert f"--y {map_}" in str(raised.value)
        with pytest.raises(pf.InvalidValue, match=f"did you mean the folder .* --y {map_}"):
            pf.read(photo, label="map")
    assert pf.read(photo, y=str(map_)).condition_space is not None


def test_texts_may_go_without_quotes() -> None:
    assert find_pairing("labels(palette=facades)") == Labels(palette="facades")
    assert find_pairing("labels(left)") == find_pairing("labels(side='left')") == Labels("left")
    assert find_pairing("masked(random, share=0.3)") == Masked("random", 0.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("masked(0.5)", r"what must be 'box' or 'random', got 0.5; masked takes what='box', share"),
        ("masked(share=much)", r"unknown pairing 'much'"),
        ("masked(share='much')", r"share cannot be 'much'; masked takes .*share=0.5, seed=0"),
        ("labels(up)", r"side must be 'left' or 'right', got 'up'"),
        ("labels(maps=up)", r"maps must be 'left' or 'right', got 'up'; labels takes"),
        ("labels(palette=cities)", "unknown palette 'cities'"),
    ],
)
def test_wrong_settings_are_told_what_is_taken(text: str, message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        find_pairing(text)


@pytest.mark.parametrize("label", ["left", "right", "labels(palette=2)"])
@pytest.mark.parametrize("size", [None, 4])
def test_halves_of_photographs_are_warned_of(label: str, size: int | None, tmp_path: Path) -> None:
    save(tmp_path / "photos", height=8, width=12)
    save(tmp_path / "pairs", height=8, width=16)
    with pytest.warns(DataWarning, match="12 pixels wide and 8 high, hardly two"):
        read(tmp_path / "photos", label, size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path / "pairs", label, size)


def read(folder: Path, label: str, size: int | None) -> None:
    """Read halves of noise, which has no label colours."""
    try:
        pf.read(folder, y=label, size=size)
    except pf.BadSource:
        assert label.startswith("labels")
