"""Scalings at any unit and any offset:
x -> a x + b changes no model coordinate, and log-Jacobians by log a.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward.core.moments import Moments

calm = settings(max_examples=60, deadline=None)


def standardised(x: torch.Tensor) -> pf.Scaling:
    return pf.Scaling.choose("standardised", pf.Space.infer(x), Moments.of(x))


@calm
@given(
    power=st.floats(-300, 300),
    offset=st.sampled_from([0.0, 1.0, -1e4, 1e7, 1e10]),
    seed=st.integers(0, 99),
    single=st.booleans(),
)
def test_model_coordinates_do_not_depend_on_the_unit(
    power: float, offset: float, seed: int, single: bool
) -> None:
    a = 10.0**power
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = (x + offset) - offset  # what of x survives the offset
    if single and 1e-30 < a < 1e25 and offset < 1e5:
        y = ((x + offset) * a).float()
        x = y.double() / a - offset
    else:
        y = (x + offset) * a
    assume(bool(y.isfinite().all()))  # the offset may carry the largest units over the edge
    one, two = standardised(x), standardised(y)
    want, got = one(x), two(y)
    room = 1e-4 if y.dtype == torch.float32 else 1e-9 + 1e-15 * abs(offset)
    assert torch.allclose(want, got.double(), atol=room)
    assert torch.allclose(
        two.inverse(got.double()) / a, y.double() / a, rtol=1e-12, atol=1e-5 if single else 1e-12
    )
    assert two.log_jacobian(y) == pytest.approx(one.log_jacobian(x) - 2 * math.log(a), abs=1e-6)


@calm
@given(power=st.floats(-300, 300), ratio=st.floats(0, 2**12), seed=st.integers(0, 99))
def test_samples_come_back_with_their_digits(power: float, ratio: float, seed: int) -> None:
    """Whatever the networks' type: what they give in float32 keeps
    16 bits of the spread in the user's units.
    """
    a = 10.0**power
    u = torch.randn(30, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    scaling = standardised((u + ratio) * a)
    exact = (u * scaling.scale + scaling.shift - scaling.shift) / a
    got = (scaling.inverse(u.float()).double() - scaling.shift) / a
    assert float((got - exact).abs().max()) < 2.0**-13


@calm
@given(
    blocks=st.lists(st.integers(0, 20), min_size=1, max_size=5),
    power=st.floats(-300, 300),
    weighted=st.booleans(),
)
def test_moments_of_blocks_are_those_of_the_whole_at_any_scale(
    blocks: list[int], power: float, weighted: bool
) -> None:
    n = sum(blocks) + 2
    a = 10.0**power
    stream = torch.Generator().manual_seed(n)
    x = torch.randn(n, 3, generator=stream, dtype=torch.float64)
    x[:, 2] = 0.1
    w = torch.rand(n, generator=stream, dtype=torch.float64) + 0.1 if weighted else None
    starts = [0]
    for size in [*blocks, 2]:
        starts.append(starts[-1] + size)
    parts = [((x * a)[i:j], None if w is None else w[i:j]) for i, j in pairwise(starts)]
    found, whole = Moments.over(parts), Moments.of(x, w)
    assert torch.allclose(found.mean / a, whole.mean, rtol=1e-9, atol=1e-12)
    assert torch.allclose(found.deviation / a, whole.deviation, rtol=1e-9, atol=1e-14)
    assert float(found.deviation[2]) == 0
