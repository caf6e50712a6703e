"""Sheets of decoded images and curves of decoded points: what is where, and what it is called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward import plots
from pushforward.core.errors import InvalidKind, ShapeMismatch
from pushforward.core.space import Column, Space
from pushforward.latent import Decoded, Traversal, grid, interpolate, traverse
from pushforward.plots.latent import sheet

IMAGES = pf.Space("images", (1, 4, 4), low=0.0, high=1.0)


def shades(*arrangement: int) -> torch.Tensor:
    """One grey level for each image, rising in reading order."""
    count = int(np.prod(arrangement))
    return (
        (torch.arange(count) / (count - 1))
        .reshape(*arrangement, 1, 1, 1)
        .expand(*arrangement, 1, 4, 4)
    )


def words(axis: Any) -> list[str]:
    return [t.get_text() for t in axis.get_ticklabels()]


@pytest.fixture(scope="module")
def table() -> pandas.DataFrame:
    x = np.random.default_rng(0).normal(size=(80, 3)) @ np.array(
        [[2.0, 1, 0], [0, 1, 0], [0, 0, 5]]
    )
    return pandas.DataFrame(x, columns=["height", "weight", "age"])


def test_a_grid_of_images_is_in_reading_order_with_its_codes_along_the_sides() -> None:
    codes = torch.stack(
        torch.meshgrid(torch.tensor([1.5, 0.0, -1.5]), torch.tensor([-2.0, 0.5]), indexing="ij")[
            ::-1
        ],
        -1,
    )
    figure = plots.decoded_grid(Decoded(codes, shades(3, 2)), IMAGES, title="digits")
    (ax,) = figure.axes
    assert words(ax.xaxis) == ["-2", "0.5"]
    assert words(ax.yaxis) == ["1.5", "0", "-1.5"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == ("z0", "z1", "digits")
    image = np.asarray(ax.images[0].get_array())
    middles = [[image[int(y), int(x)] for x in ax.get_xticks()] for y in ax.get_yticks()]
    assert np.allclose(middles, np.linspace(0, 255, 6).reshape(3, 2), atol=1)


def test_many_words_are_thinned_until_they_fit() -> None:
    figure = sheet(
        shades(2, 40), IMAGES, across=[f"{i}.25" for i in range(40)], down=["first", "second"]
    )
    (ax,) = figure.axes
    figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.get_xticklabels()]
    assert 5 < len(boxes) < 40
    assert all(a.x1 <= b.x0 for a, b in zip(boxes, boxes[1:]))  # noqa: RUF007
    assert words(ax.yaxis) == ["first", "second"]


def test_a_path_has_a_row_for_each_pair_of_ends() -> None:
    codes = torch.zeros(5, 3, 2)
    path = Decoded(codes, shades(3, 5).transpose(0, 1))
    (ax,) = plots.decoded_path(path, IMAGES, down=["a", "b", "c"]).axes
    assert words(ax.xaxis) == ["0", "0.25", "0.5", "0.75", "1"]
    assert words(ax.yaxis) == ["a", "b", "c"]
    image = np.asarray(ax.images[0].get_array())
    row = [image[int(ax.get_yticks()[1]), int(x)] for x in ax.get_xticks()]
    assert np.allclose(row, 255 * np.arange(5, 10) / 14, atol=1)
    assert len(plots.decoded_path(Decoded(codes[:, 0], path.x[:, 0]), IMAGES).axes[0].images) == 1


def test_traversals_are_sorted_by_what_they_change_and_say_how_much() -> None:
    found = Traversal(
        torch.zeros(3, 5, 3), shades(3, 5), torch.linspace(-2, 2, 5), torch.tensor([1.0, 0.0, 15.0])
    )
    (ax,) = plots.traversal_sheet(found, IMAGES).axes
    assert words(ax.yaxis) == ["z2  94%", "z0  6.2%", "z1  0%"]
    assert words(ax.xaxis) == ["-2", "-1", "0", "1", "2"]
    image = np.asarray(ax.images[0].get_array())
    assert image[int(ax.get_yticks()[0]), int(ax.get_xticks()[-1])] == 255
    (ax,) = plots.traversal_sheet(found, IMAGES, most=1).axes
    assert words(ax.yaxis) == ["z2  94%"]


def test_points_are_drawn_as_curves_over_the_data(table: pandas.DataFrame) -> None:
    model = pf.PCA(2).fit(table)
    laid = grid(model, 4)
    figure = plots.decoded_grid(laid, model.fitted_space(), data=table, axes=(2, 0))
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("age", "height")
    assert len(ax.lines) == 8
    assert np.allclose(ax.lines[1].get_xydata(), laid.x[1][:, [2, 0]].numpy())
    assert len(ax.collections[0].get_offsets()) == 80
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "data",
        "z0 moves, z1 stays",
        "z1 moves, z0 stays",
    ]
    codes = model.encode(table)
    path = interpolate(codes[:2], codes[2:4], 6)
    figure = plots.decoded_path(
        Decoded(path, torch.stack([model.decode(z) for z in path])),
        model.fitted_space(),
        down=["one", "two"],
    )
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["one", "two"]


def test_the_traversal_of_a_table_shows_its_columns_as_parts_of_their_ranges(
    table: pandas.DataFrame,
) -> None:
    model = pf.PCA(2).fit(table)
    found = traverse(model, steps=5, reach=1.0)
    figure = plots.traversal_sheet(found, model.fitted_space(), title="people")
    one, two = (ax for ax in figure.axes if ax.get_visible())
    assert one.get_title(loc="left").startswith("z0  ")
    lines = {line.get_label(): line for line in one.lines}
    span = table["age"].max() - table["age"].min()
    slope = float(model.components_[0, 2] * model.explained_variance_[0].sqrt())
    assert np.allclose(lines["age"].get_ydata(), np.linspace(-1, 1, 5) * slope / span)
    assert len(two.lines) == 4
    assert len(figure.legends[0].get_texts()) == 3


def test_categories_are_drawn_by_their_names() -> None:
    columns = (
        Column("age", low=0.0, high=10.0),
        Column("job", "categorical", 0, 1, categories=("clerk", "nurse")),
    )
    space = Space("points", (2,), columns)
    x = torch.tensor([[[0.0, 0], [5, 1], [10, 1]], [[5, 1], [5, 1], [5, 1]]])
    moved = Traversal(torch.zeros(2, 3, 2), x, torch.tensor([-1.0, 0, 1]), torch.tensor([2.0, 0]))
    numbers, job, _, same = plots.traversal_sheet(moved, space).axes
    assert [line.get_label() for line in numbers.lines][:1] == ["age"]
    assert np.allclose(numbers.lines[0].get_ydata(), [-0.5, 0, 0.5])
    assert (job.get_title(loc="right"), words(job.yaxis)) == ("job", ["clerk", "nurse"])
    assert job.lines[0].get_ydata().tolist() == [0, 1, 1]
    assert same.lines[0].get_ydata().tolist() == [1, 1, 1]
    path = Decoded(torch.zeros(3, 2), x[0])
    (ax,) = plots.decoded_path(path, space).axes
    assert words(ax.yaxis) == ["clerk", "nurse"]


def test_what_has_no_image_is_refused(table: pandas.DataFrame) -> None:
    model = pf.PCA(1).fit(table[["age"]])
    laid = grid(model, 3)
    with pytest.raises(InvalidKind, match="points of 2 coordinates or more"):
        plots.decoded_grid(laid, model.fitted_space(), dims=(0,))
    model = pf.PCA(2).fit(table)
    with pytest.raises(InvalidKind, match="two different columns of 3"):
        plots.decoded_grid(grid(model, 3), model.fitted_space(), axes=(0, 3))
    with pytest.raises(ShapeMismatch, match="expected images"):
        sheet(torch.zeros(3, 1, 4, 4), IMAGES)
    clips = pf.Space("clips", (1, 2, 4, 4))
    found = Traversal(
        torch.zeros(1, 2, 1),
        torch.zeros(1, 2, 1, 2, 4, 4),
        torch.tensor([-1.0, 1.0]),
        torch.ones(1),
    )
    with pytest.raises(InvalidKind, match="expected images or points"):
        plots.traversal_sheet(found, clips)
