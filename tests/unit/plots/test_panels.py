"""Panels show what they are given, with labels, on axes of the right scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.space import Space
from pushforward.plots.diagrams import diagram
from pushforward.plots.image_rows import image_rows
from pushforward.plots.panels import bars, curves, field, heat, images, panels, paths, points


def test_panels_are_laid_out_in_rows() -> None:
    draw = bars({"a": 1.0})
    picture = panels(draw, draw, draw, columns=2, side=2.0, height=1.0, title="three")
    assert [ax.get_visible() for ax in picture.axes] == [True, True, True, False]
    assert picture.get_size_inches()[1] == pytest.approx(2.35)
    with pytest.raises(InvalidValue, match="at least one panel"):
        panels()


def test_points_have_equal_axes_colours_and_a_legend() -> None:
    x = torch.randn(50, 2)
    (ax,) = panels(points(x, "name", over=x, colour=x[:, 0], limit=3, legend={"means": x[:2]})).axes
    assert ax.get_title(loc="left") == "name"
    assert ax.get_xlim() == (-3, 3)
    assert ax.get_aspect() == 1
    assert {t.get_text() for t in ax.get_legend().get_texts()} >= {"means", "data"}
    assert len(ax.collections) == 2


def test_whole_numbers_are_groups_of_distinct_colours() -> None:
    groups = torch.arange(6) % 3
    (ax,) = panels(points(torch.randn(6, 2), colour=groups)).axes
    assert len(np.unique(ax.collections[0].get_facecolors(), axis=0)) == 3


def test_curves_keep_their_numbers_and_dashes() -> None:
    at = torch.linspace(0, 1, 5)
    lines = {"one": at, "two": 2 * at}
    (ax,) = panels(curves(at, lines, y="nats", dashed=["two"], log="y", low=0.1, high=3.0)).axes
    assert ax.get_yscale() == "log"
    assert ax.get_ylim() == (0.1, 3.0)
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert ax.lines[1].get_ydata().tolist() == pytest.approx((2 * at).tolist())
    assert ax.get_ylabel() == "nats"


def test_heat_puts_the_first_row_below_and_names_its_unit() -> None:
    ax, bar = panels(heat(torch.arange(6.0).reshape(2, 3), (0, 3, 0, 2), unit="per foot")).axes
    image = ax.images[0]
    assert image.origin == "lower"
    assert image.get_array().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert bar.get_ylabel() == "per foot"


def test_images_paths_bars_and_diagrams_are_drawn() -> None:
    space = Space("images", (1, 2, 2), (), 0.0, 16.0, True, "images")
    line = torch.arange(6.0).reshape(3, 2)
    picture = panels(
        images(torch.full((4, 1, 2, 2), 16.0), space, columns=2),
        paths({"way": line}, limits=(0, 9, 0, 9), over=lambda ax: ax.axhline(1)),
        bars({"first": 2.0, "second": 1.0}, x="nats"),
        diagram("x -> z", bright=["z"]),
    )
    sheet, way, bar, graph = picture.axes
    assert sheet.images[0].get_array().max() == 255
    assert way.get_xlim() == (0, 9)
    assert [t.get_text() for t in bar.get_yticklabels()] == ["first", "second"]
    assert bar.patches[0].get_y() > bar.patches[1].get_y(), "the first is on top"
    assert {t.get_text() for t in graph.texts} >= {"x", "z"}
    picture.canvas.draw()


def test_a_field_is_evaluated_at_the_middles_of_its_cells() -> None:
    ax, bar = panels(
        field(lambda at: at[:, 0] + 10 * at[:, 1], (0, 4, 0, 2), cells=4, unit="sum",
              over=lambda ax: ax.axhline(1))
    ).axes  # fmt: skip
    assert ax.images[0].get_array().tolist() == [[5.5, 6.5, 7.5, 8.5], [15.5, 16.5, 17.5, 18.5]]
    assert len(ax.lines) == 1
    assert bar.get_ylabel() == "sum"
    with pytest.raises(ShapeMismatch, match=r"one number per point, \(8,\), got \(8, 2\)"):
        field(lambda at: at, (0, 4, 0, 2), cells=4)


def test_rows_of_images_have_their_names_and_may_be_short() -> None:
    space = Space("images", (3, 2, 2), (), 0.0, 16.0, True, "images")
    grey, colour = torch.zeros(1, 1, 2, 2), torch.full((3, 3, 2, 2), 8.0)
    (ax,) = panels(image_rows({"condition": grey, "answer": colour}, space)).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["condition", "answer"]
    sheet = np.asarray(ax.images[0].get_array())
    high, wide = sheet.shape[0] // 4, sheet.shape[1] // 6
    assert (sheet[high, wide] == 0).all(), "the condition"
    assert (sheet[high, 5 * wide] == 255).all(), "nothing beside it"
    assert (sheet[3 * high, 5 * wide] == 128).all(), "the third answer"
    with pytest.raises(ShapeMismatch, match="of one size"):
        image_rows({"a": grey, "b": torch.zeros(1, 1, 4, 4)}, space)
    with pytest.raises(InvalidValue, match="at least one row"):
        image_rows({}, space)


def test_boxes_of_a_diagram_stand_in_the_order_of_their_arrows() -> None:
    (ax,) = panels(diagram("x -> mean -> z -> loss\nnoise -> z\nmean -> KL -> loss")).axes
    at = {t.get_text(): t.get_position() for t in ax.texts if t.get_text()}
    assert at == {
        "x": (0, 0), "mean": (1, 0), "z": (2, 0), "loss": (3, 0), "noise": (1, -1), "KL": (2, -2),
    }  # fmt: skip
    with pytest.raises(InvalidValue, match="circle"):
        diagram("a -> b -> a")
    with pytest.raises(InvalidValue, match="expected lines"):
        diagram("a -> ")
