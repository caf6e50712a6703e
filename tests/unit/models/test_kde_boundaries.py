"""Boundaries of kernel densities as objects."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pushforward import BadSource, InvalidValue, Space
from pushforward.core.phase import Batch
from pushforward.core.scan import Facts
from pushforward.densities.kernels import find_kernel
from pushforward.models.classical.kde_boundaries import BOUNDARIES, build_boundary, parse_bound

KERNEL = find_kernel("epanechnikov")
LOW, HIGH = torch.tensor([0.0, -math.inf]).double(), torch.tensor([2.0, math.inf]).double()
ROWS = torch.tensor([[0.5, 9.0], [2.5, 0.0], [-0.25, 1.0]], dtype=torch.float64)


def boundary(name: Any) -> Any:
    return BOUNDARIES[name](LOW, HIGH)


def test_samples_come_back_inside() -> None:
    assert boundary("reflect").contain(ROWS)[:, 0].tolist() == [0.5, 1.5, 0.25]
    assert boundary("periodic").contain(ROWS)[:, 0].tolist() == [0.5, 0.5, 1.75]
    for name in ("reflect", "periodic"):
        assert torch.equal(boundary(name).contain(ROWS)[:, 1], ROWS[:, 1])


def test_only_circles_have_no_outside() -> None:
    values = torch.zeros(3, dtype=torch.float64)
    for name in ("reflect", "renormalise"):
        assert boundary(name).only_inside(ROWS, values).tolist() == [0, -math.inf, -math.inf]
    assert torch.equal(boundary("periodic").only_inside(ROWS, values), values)


def test_intervals_hold_all_that_comes_to_lie_in_a_box() -> None:
    """Of a grid of points, those in the intervals are those that fold, wrap or stay there."""
    left, right = torch.tensor([0.5, 0.0]).double(), torch.tensor([1.5, 1.0]).double()
    x = torch.linspace(-2.99, 4.99, 400, dtype=torch.float64)
    rows = torch.stack([x, torch.full_like(x, 0.5)], 1)
    for name in ("reflect", "periodic"):
        ends = boundary(name)
        intervals = ends.intervals(left, right, KERNEL, torch.tensor([3.0, 3.0]))[0]
        inside = torch.stack([(x >= a) & (x <= b) for a, b in intervals]).any(0)
        moved = ends.contain(rows)[:, 0]
        assert torch.equal(inside, (moved >= 0.5) & (moved <= 1.5))
    cut = boundary("renormalise").intervals(torch.tensor([-1.0, 0.0]), right, KERNEL, HIGH)
    assert cut == [[(0.0, 1.5)], [(0.0, 1.0)]]
    assert boundary("renormalise").intervals(HIGH, HIGH, KERNEL, HIGH)[0] == []


def test_some_axes_of_a_boundary_are_a_boundary() -> None:
    part = boundary("periodic").select([0])
    assert part.circle
    assert part.bounds() == ((0, 0.0, 2.0),)
    assert boundary("reflect").bounds() == ((0, 0.0, 2.0), (1, None, None))


def test_bounds_are_read_from_texts_and_from_what_the_space_knows() -> None:
    space = Space.infer(ROWS)
    device = torch.device("cpu")
    ends = build_boundary(
        "reflect", space, [parse_bound("0::3"), parse_bound((1, -1, None))], device
    )
    assert ends.low.tolist() == [-math.inf, -1]
    assert ends.high.tolist() == [3, math.inf]
    assert not build_boundary(None, space, [parse_bound("0:0:1")], device).bounded
    with pytest.raises(InvalidValue, match="lower < upper on every axis"):
        build_boundary("reflect", space, [(0, 3.0, 1.0)], device)
    for bound in ("0:3:1", (0, 2, 2), "0:0:nan"):
        with pytest.raises(InvalidValue, match="lower < upper"):
            parse_bound(bound)


def test_rows_outside_are_refused_but_on_circles() -> None:
    facts = Facts.of(Batch(ROWS))
    with pytest.raises(BadSource, match="coordinate 0 leaves its bounds"):
        boundary("reflect").check(facts)
    boundary("periodic").check(facts)
    with pytest.raises(InvalidValue, match="axis 1 has one"):
        BOUNDARIES["periodic"](LOW, torch.tensor([2.0, 5.0]).double()).check(facts)


@pytest.mark.parametrize("name", ["reflect", "periodic"])
def test_all_images_of_a_row_come_to_lie_at_it(name: str) -> None:
    ends, row = boundary(name), ROWS[:1]
    points = ends.images(row, KERNEL, torch.tensor([3.0, 3.0]))[:, 0]
    assert len(points.unique(dim=0)) == len(points) > 2
    torch.testing.assert_close(ends.contain(points), row.expand(len(points), 2), rtol=0, atol=1e-12)
