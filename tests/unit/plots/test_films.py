"""Strips and films: which frames, on which scales, and files that play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.plots.comparisons import compare_points
from pushforward.plots.critics import critic_on_line
from pushforward.plots.films import (
    choose_frames,
    film,
    histogram,
    image_film,
    image_strip,
    panel_of,
    scatter,
    strip,
    write_film,
)
from pushforward.plots.paths import paths_in_plane

IMAGES = pf.Space("images", (1, 4, 4), low=0.0, high=255.0)


def test_a_strip_has_both_ends_and_more_of_the_beginning() -> None:
    chosen = choose_frames([10 * i for i in range(51)], 8)
    assert (len(chosen), chosen[0], chosen[-1]) == (8, 0, 50)
    assert chosen == sorted(set(chosen))
    assert chosen[3] < 10
    assert choose_frames([0, 1, 2], 8) == [0, 1, 2]
    assert choose_frames([0, 1, 1000], 2) == [0, 2]
    with pytest.raises(pf.InvalidValue, match="at least 2 frames, got 1"):
        choose_frames([0, 1], 1)


def test_a_code_keeps_its_colour_and_the_axes_those_of_the_data() -> None:
    x = [torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])]
    data = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    figure = strip({"": scatter(x, data=data)}, ["0", "9"], [0, 1], title="t")
    first, last = figure.axes[:2]
    colours = [ax.collections[1].get_facecolors() for ax in (first, last)]
    assert np.allclose(colours[0], colours[1])
    assert not np.allclose(colours[0][0], colours[0][1])
    assert first.get_xlim() == last.get_xlim()
    assert last.get_xlim()[1] > 1
    assert [ax.get_title(loc="left") for ax in (first, last)] == ["0", "9"]


def test_several_panels_are_rows_and_times_are_columns() -> None:
    one = scatter([torch.randn(5, 2)] * 3)
    figure = strip({"a": one, "b": one}, ["0", "1", "2"], [0, 1, 2])
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["0", "1", "2", "", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["a", "", "", "b", "", ""]
    with pytest.raises(pf.InvalidValue, match="at least one panel and one frame"):
        strip({}, [], [])


def test_a_histogram_is_a_density() -> None:
    x = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    figure = strip({"": histogram([x], data=x, name="height")}, ["0"], [0])
    (ax,) = figure.axes
    values, edges, _ = ax.patches[1].get_data()
    assert float((values * np.diff(edges)).sum()) == pytest.approx(1, abs=0.01)
    assert ax.get_xlabel() == "height"


def test_what_suits_points_and_images() -> None:
    line, plane = pf.Space.infer(torch.randn(9, 1)), pf.Space.infer(torch.randn(9, 3))
    for space, x in ((line, torch.randn(9, 1)), (plane, torch.randn(9, 3))):
        figure = strip({"": panel_of([x], space)}, ["0"], [0])
        assert figure.axes[0].get_xlabel() == "x0"
    with pytest.raises(pf.InvalidKind, match="expected points"):
        panel_of([], IMAGES)
    frames = [torch.full((5, 1, 4, 4), level, dtype=torch.uint8) for level in (0, 128, 255)]
    figure = image_strip(frames, IMAGES, ["a", "b", "c"], [0, 2], columns=3)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "c"]
    shown = list(image_film(frames, IMAGES, ["a", "b", "c"]))
    assert shown[0].size == shown[2].size
    assert shown[2].getpixel((40, 60)) == (255, 255, 255)
    assert shown[0].getpixel((40, 60)) == (0, 0, 0)


def test_a_film_plays_all_frames_for_as_long_as_asked(tmp_path: Path) -> None:
    x = [torch.randn(20, 2, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    frames = list(film({"a": scatter(x), "b": scatter(x)}, [str(i) for i in range(4)], side=2.0))
    assert len({frame.size for frame in frames}) == 1
    path = write_film(frames, tmp_path / "new" / "a.gif", seconds=0.2)
    with Image.open(path) as made:
        assert made.n_frames == 4  # type: ignore[attr-defined]
        assert made.info["duration"] == 200
        made.seek(3)
        assert made.info["duration"] == 2000
        assert min(made.convert("RGB").getpixel((3, 200))) >= 250  # type: ignore[arg-type, type-var]
    assert [p.name for p in path.parent.iterdir()] == ["a.gif"]
    with pytest.raises(pf.InvalidValue, match=r"a film is a \.gif"):
        write_film(frames, tmp_path / "a.png")
    with pytest.raises(pf.InvalidValue, match="at least one frame"):
        write_film([], tmp_path / "a.gif")


def test_paths_begin_and_end_where_they_do() -> None:
    turn = np.linspace(0, 6, 200)
    inward = np.stack([np.cos(turn), np.sin(turn)], 1) * np.exp(-turn)[:, None]
    figure = paths_in_plane(
        {"in": inward, "out": 100 * inward[::-1]}, words={"in": "arrived"}, names=("θ", "ψ")
    )
    first, second = figure.axes
    assert first.get_title(loc="left") == "in\narrived"
    assert first.get_xlim() == second.get_xlim()
    marks = {
        line.get_label(): line.get_xydata()[0]
        for line in first.lines
        if not line.get_label().startswith("_")
    }
    assert np.allclose(marks["start"], inward[0])
    assert np.allclose(marks["end"], inward[-1])
    with pytest.raises(pf.InvalidValue, match="at least one path"):
        paths_in_plane({})


def test_points_share_the_scale_of_the_first_panel_of_their_row() -> None:
    x = torch.rand(50, 2)
    figure = compare_points(
        {"a": {"data": x, "b": 9 * x}, "c": {"data": 5 * x, "b": x}}, words={("a", "b"): "so"}
    )
    limits: Any = [ax.get_xlim() for ax in figure.axes]
    assert limits[0] == limits[1]
    assert limits[2] == limits[3]
    assert limits[0] != limits[2]
    assert figure.axes[1].get_title(loc="left") == "a: b\nso"
    with pytest.raises(pf.InvalidValue, match="at least one row"):
        compare_points({})


def test_the_critic_is_drawn_over_the_densities() -> None:
    x = torch.linspace(-1, 1, 5)
    frame = {
        "data": torch.ones(5),
        "samples": x.abs(),
        "critic": 0.5 * torch.ones(5),
        "best critic": torch.full((5,), torch.nan),
    }
    figure = strip({"": critic_on_line(x, [frame])}, ["0"], [0])
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert list(lines["critic D(x)"]) == [0.5] * 5
    assert np.isnan(lines["best critic p/(p + q)"]).all()
