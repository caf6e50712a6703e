"""Space: what is inferred, what is refused, what comes back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.space import Column, as_array
from pushforward.data import read


def test_points_are_inferred_with_names_kinds_and_ranges() -> None:
    frame = pd.DataFrame({"feet": [1.5, 2.5], "shots": [3, 9]})
    space = pf.Space.infer(frame)
    assert space.names == ("feet", "shots")
    assert [c.kind for c in space.columns] == ["continuous", "integer"]
    assert (space.columns[1].low, space.columns[1].high) == (3, 9)


def test_bytes_are_levels_and_fractions_are_values() -> None:
    assert pf.Space.infer(np.zeros((2, 3, 4, 4), np.uint8)).high == 255
    assert pf.Space.infer(np.full((2, 1, 4, 4), 0.5)).high == 1.0


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 4, 4), "add the channel axis"),
        ((5, 8, 8, 3), "channels-last"),
        ((2, 2, 2, 2, 2, 2), "1 to 5 axes"),
    ],
)
def test_shapes_that_mean_nothing_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(pf.ShapeMismatch, match=message):
        pf.Space.infer(np.zeros(shape))


def test_a_space_survives_json() -> None:
    import json

    for space in (
        pf.Space.infer(pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2]})),
        pf.Space.infer(np.zeros((2, 3, 4, 4), np.uint8), preparation="size 4, crop"),
        pf.Space.labels(["cat", "dog"]),
        pf.Space("images", (3, None, None), (), 0, 255, True),
    ):
        assert pf.Space.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_frames_are_matched_by_name_and_missing_columns_are_named() -> None:
    space = pf.Space.infer(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    x = space.conform(pd.DataFrame({"b": [30.0], "extra": [0.0], "a": [10.0]}))
    assert x.tolist() == [[10.0, 30.0]]
    with pytest.raises(pf.ShapeMismatch, match="column 'b' is missing"):
        space.conform(pd.DataFrame({"a": [1.0]}))


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 3.0, 1e30])
def test_images_of_unusual_scale_have_the_range_that_they_have(scale: float) -> None:
    x = scale * torch.rand(9, 1, 4, 4, dtype=torch.float64)
    space = pf.Space.infer(x)
    assert (space.low, space.high) == (float(x.min()), float(x.max()))
    dark = pf.Space.infer(x / float(x.max()) / 20)
    assert (dark.low, dark.high) == (0.0, 1.0)


def test_levels_and_fractions_are_not_mixed_up() -> None:
    levels = pf.Space.infer(np.full((2, 1, 4, 4), 200, np.uint8))
    with pytest.raises(pf.ShapeMismatch, match="already divided"):
        levels.conform(np.full((1, 1, 4, 4), 0.5))
    fractions = pf.Space.infer(np.full((2, 1, 4, 4), 0.5))
    with pytest.raises(pf.ShapeMismatch, match="divide by 255"):
        fractions.conform(np.full((1, 1, 4, 4), 200, np.uint8))


def test_labels_outside_the_categories_are_refused() -> None:
    space = pf.Space.labels(["cat", "dog"])
    assert space.conform([0, 1, 1]).tolist() == [0, 1, 1]
    with pytest.raises(pf.ShapeMismatch, match=r"label .2. is unknown; .*codes 0\.\.1"):
        space.conform([2])


def test_export_rounds_levels_and_clips_them() -> None:
    space = pf.Space.infer(np.zeros((2, 1, 1, 4), np.uint8))
    out = space.export(torch.tensor([[[[-3.0, 0.4, 0.6, 300.0]]]]))
    assert out.dtype == np.uint8
    assert out.ravel().tolist() == [0, 0, 1, 255]


def test_export_gives_frames_back_with_whole_numbers_whole() -> None:
    space = pf.Space.infer(pd.DataFrame({"a": [1.0, 2.0], "n": [3, 4]}))
    out = space.export(torch.tensor([[0.25, 3.4]], dtype=torch.float64))
    assert out["n"].dtype.kind == "i"
    assert out.iloc[0].tolist() == [0.25, 3.0]


@pytest.mark.parametrize(
    ("names", "asked", "place"),
    [
        (("1", "0"), "0", 1),
        (("1", "0"), 0, 1),
        (("2019", "2020"), 2019, 0),
        (("2019", "2020"), np.int64(2020), 1),
        (("2019", "2020"), "2020", 1),
        (("2019", "2020"), 1, 1),
        (("a", "b"), 1, 1),
        (("a", "b"), "1", 1),
        (("", ""), "x1", 1),
        (("", ""), 1, 1),
    ],
)
def test_an_axis_is_a_name_first_and_a_position_second(names, asked, place) -> None:
    assert pf.Space("points", (2,), tuple(Column(n) for n in names)).axis(asked) == place


@pytest.mark.parametrize("asked", ["2", 2, -1, "c", "²", ""])
def test_an_axis_that_is_not_there_is_named(asked) -> None:
    with pytest.raises(pf.ShapeMismatch, match="the columns are a, b"):
        pf.Space("points", (2,), (Column("a"), Column("b"))).axis(asked)


def test_masked_entries_are_missing() -> None:
    masked = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]])
    assert np.isnan(as_array(masked)).tolist() == [[False, True], [False, False]]
    assert as_array(masked.astype(np.float32)).dtype == np.float32
    assert np.isnan(as_array(masked.astype(int))).tolist() == [[False, True], [False, False]]
    assert as_array(np.ma.masked_array([1, 2], mask=False)).dtype == np.int64
    space = pf.Space.infer(np.zeros((3, 2)))
    assert space.conform(masked).isnan().tolist() == [[False, True], [False, False]]
    assert read(masked).all().x.isnan().tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    "make", [np.asarray, lambda x: pd.DataFrame(x, columns=["a", "b"]), lambda x: x.tolist()]
)
def test_complex_numbers_are_refused(make) -> None:
    x = make(np.array([[1 + 2j, 3.0], [0.0, 1j]]))
    for entry in (pf.Space.infer, read, pf.Space.infer(np.zeros((3, 2))).conform):
        with pytest.raises(pf.InvalidKind, match=r"real|complex"):
            entry(x)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.int64, torch.float32])
def test_images_of_zeros_and_ones_are_binary_whatever_their_type(dtype: torch.dtype) -> None:
    x = (torch.arange(4 * 9) % 2).reshape(4, 1, 3, 3).to(dtype)
    space = pf.Space.infer(x)
    assert (space.low, space.high) == (0, 1)
    assert torch.equal(space.export(x.to(torch.float64)).to(dtype), x)
    dark = torch.zeros(4, 1, 3, 3, dtype=torch.uint8)
    assert pf.Space.infer(dark).high == 255, "black says nothing about the range"
