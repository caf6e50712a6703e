"""The court is the NBA's, and what is drawn on it is where it should be."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import plots
from pushforward.core.errors import InvalidValue
from pushforward.plots import new_page
from pushforward.recipes.basketball import court
from pushforward.recipes.basketball.court import (
    Panel,
    beyond_arc,
    draw_court,
    full_lines,
    lines,
    trajectories,
)
from pushforward.recipes.basketball.court_maps import heat_and_accuracy, shot_maps


def extent(path):
    return (*path.min(0), *path.max(0))


def test_half_a_court_has_the_measures_of_the_rule_book():
    found = lines()
    assert extent(found["edge"]) == (-25, 0, 25, 47)
    assert extent(found["key"]) == (-8, 0, 8, 19)
    assert extent(found["board"]) == (-3, 4, 3, 4)
    assert np.allclose(np.hypot(*(found["rim"] - [0, 5.25]).T), 0.75)
    assert found["centre"][:, 1].max() == pytest.approx(47)
    # the free-throw line is 15 ft from the board;
    # the restricted arc is 4 ft about the rim and ends under the board
    assert found["key"][1][1] - found["board"][0][1] == 15
    arc = found["restricted"][1:-1]
    assert np.allclose(np.hypot(*(arc - [0, 5.25]).T), 4)
    assert found["restricted"][0].tolist() == [4, 4]


def test_the_three_point_line_is_an_arc_cut_by_straight_corners():
    three = lines()["three"]
    assert three[0].tolist() == [22, 0]
    assert three[-1].tolist() == [-22, 0]
    assert np.allclose(np.hypot(*(three[1:-1] - [0, 5.25]).T), 23.75)
    assert three[1] == pytest.approx([22, 5.25 + math.sqrt(23.75**2 - 22**2)])
    assert three[:, 1].max() == pytest.approx(29.0)


def test_beyond_the_arc():
    places = torch.tensor(
        [[0.0, 28.9], [0.0, 29.1], [22.1, 1.0], [21.9, 1.0], [-22.1, 3.0], [0.0, 5.25]]
    )
    assert beyond_arc(places).tolist() == [False, True, True, False, True, False]


def test_a_full_court_is_two_halves_turned_about_its_middle():
    found = full_lines()
    assert extent(found["edge"]) == (0, 0, 47, 50)
    assert extent(found["edge, far"]) == (47, 0, 94, 50)
    assert np.allclose(found["rim"].mean(0), [5.25, 25], atol=0.02)
    assert np.allclose(found["rim, far"].mean(0), [88.75, 25], atol=0.02)


def test_axes_are_in_equal_feet():
    _, ax = new_page()
    draw_court(ax)
    assert ax.get_aspect() == 1
    assert "feet" in ax.get_xlabel()
    assert "feet" in ax.get_ylabel()
    assert ax.get_xlim() == (-25.5, 25.5)
    assert ax.get_ylim() == (-0.5, 47.5)
    assert {line.get_gid() for line in ax.lines} == set(lines())
    with pytest.raises(InvalidValue, match=r"depth must lie in \(0, 47\] feet, got 50"):
        draw_court(ax, depth=50)


def test_trajectories_draw_five_paths_a_court():
    mean = torch.zeros(10, 2) + torch.tensor([47.0, 25.0])
    step = torch.linspace(-1, 1, 10)[:, None] * torch.tensor([10.0, 0.0])
    figure = trajectories(
        [Panel("running", mean, step), Panel("apart", mean, step, (0.0, 6.0))],
        columns=2,
        title="paths",
    )
    first, second = (ax for ax in figure.axes if ax.get_visible())
    paths = [
        line
        for line in first.lines
        if line.get_label() in ("mean", "+1.5 sd", "-1.5 sd", "+0.75 sd", "-0.75 sd")
    ]
    assert len(paths) == 5
    furthest = next(line for line in first.lines if line.get_label() == "+1.5 sd")
    assert np.allclose(furthest.get_xdata()[[0, -1]], [32, 62])
    shifted = next(line for line in second.lines if line.get_label() == "-1.5 sd")
    assert np.allclose(shifted.get_ydata(), 19)
    with pytest.raises(InvalidValue, match="at least one component"):
        trajectories([])


def test_maps_share_one_scale_and_name_what_they_are():
    maps = torch.rand(2, 3, 18, 25)
    figure = shot_maps(maps, [["a", "b", "c"]] * 2, extent=(-25, 25, 0, 36), unit="shots")
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert len(images) == 6
    assert len({(i.norm.vmin, i.norm.vmax) for i in images}) == 1
    assert figure.axes[-1].get_ylabel() == "shots"
    with pytest.raises(InvalidValue, match="with a title each"):
        shot_maps(maps, [["a"]], extent=(-25, 25, 0, 36))


def test_accuracy_is_white_where_nobody_shoots():
    u, v = np.linspace(-24, 24, 40), np.linspace(0.5, 34.5, 40)
    f = np.exp(-0.5 * ((u[None] / 4) ** 2 + ((v[:, None] - 6) / 4) ** 2))
    f *= 100 / f.sum()
    share = np.full((40, 40), 60.0)
    figure = heat_and_accuracy(u, v, f, share, middle=50, area=1, depth=35, title="t")
    right = figure.axes[1].images[0].get_array()
    assert 0.5 < right.mask.mean() < 1
    assert not right.mask[np.unravel_index(f.argmax(), f.shape)]


def test_court_facts_are_exported():
    assert court.RIM == (0.0, 5.25)


def test_the_plots_of_the_library_know_no_sport():
    files = sorted(Path(plots.__file__).parent.glob("*.py*"))
    assert len(files) > 10
    words = re.compile(r"court|basketball|\bshots?\b|shooter", re.IGNORECASE)
    assert [path.name for path in files if words.search(path.read_text(encoding="utf-8"))] == []
