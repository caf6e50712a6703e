"""Rows of tables encoded by modes, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.scan import scan
from pushforward.core.source import Source
from pushforward.models.tabular.mode_encoding import ModeEncoding
from pushforward.models.tabular.modes import find_modes


def table(n: int = 400, gaps: float = 0.1) -> pd.DataFrame:
    """Two modes, a count, a percentage and categories, with gaps in the first and the last."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], n, p=[0.7, 0.25, 0.05])
    x = np.where(rng.random(n) < 0.5, -10, 10) + rng.normal(size=n)
    frame = pd.DataFrame(
        {"x": x, "count": rng.poisson(3, n), "share": rng.random(n) ** 3, "kind": kind}
    )
    frame.loc[rng.random(n) < gaps, "x"] = np.nan
    frame.loc[rng.random(n) < gaps, "kind"] = None
    return frame


def rows(n: int = 400, gaps: float = 0.1) -> Source:
    return pf.read(table(n, gaps), types={"share": "bounded(0, 1)"})


def encoding(source: Source, most: int = 10) -> ModeEncoding:
    return ModeEncoding.fit(source, most, scan(source).missing > 0)


def test_every_row_comes_back_as_it_was() -> None:
    source = rows()
    x = source.all().x.double()
    code = encoding(source)
    back = code.inverse(code(x))
    assert torch.equal(back.isnan(), x.isnan())
    assert bool(x.isnan().any(0)[0])
    assert torch.allclose(back, x, rtol=1e-12, atol=1e-12, equal_nan=True)
    whole = code.settle(code.inverse(code(x).float()))
    assert torch.equal(whole[:, 1], x[:, 1]), "counts are exact in float32, too"


def test_values_far_out_come_back_too_and_are_clipped_for_networks() -> None:
    code = encoding(rows())
    x = torch.tensor([[500.0, 90.0, 4.0, 1.0], [-500.0, 0.0, -3.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(code.inverse(code(x)), x, rtol=1e-12)
    alpha = code(x)[:, code.blocks[0].start]
    assert float(alpha.abs().min()) > 1
    assert torch.equal(code.clip(code(x))[:, code.blocks[0].start], alpha.sign())


def test_a_row_is_a_place_in_one_mode_and_one_category() -> None:
    source = rows()
    code, x = encoding(source), source.all().x.double()
    u = code(x)
    assert u.shape == (len(x), *code.shape)
    for j, block in enumerate(code.blocks):
        assert block.missing == bool(x[:, j].isnan().any())
        assert torch.equal(u[:, block.choices].sum(1), torch.ones(len(x), dtype=torch.float64))
        assert torch.equal(u[:, block.choices][:, -1] == 1, x[:, j].isnan()) or not block.missing
    share = u[:, code.blocks[0].start].abs() <= 1
    assert float(share.double().mean()) > 0.99, "four deviations hold nearly all"


def test_the_modes_of_two_clusters_are_two() -> None:
    x = torch.cat(
        [torch.randn(1000, generator=torch.Generator().manual_seed(0)) + m for m in (-9, 9)]
    )
    found = find_modes(x.double(), 10)
    heavy = found.weights > 0.05
    assert found.means[heavy].sort().values.tolist() == pytest.approx([-9, 9], abs=0.2)
    assert (found.widths[heavy] / 4).tolist() == pytest.approx([1, 1], abs=0.15), (
        "the prior, of the whole column's spread, widens them a little"
    )
    assert float(found.weights.sum()) == pytest.approx(1)
    assert len(found.weights) <= 10


@pytest.mark.parametrize("value", [0.0, 7.0, -1e9, 1e-12])
def test_a_constant_column_stays_constant(value: float) -> None:
    found = find_modes(torch.full((50,), value, dtype=torch.float64), 10)
    assert found.means.tolist() == [value]
    assert 0 < float(found.widths[0]) <= 1e-8 * max(1.0, abs(value))


def test_few_distinct_values_have_no_more_modes() -> None:
    found = find_modes(torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0] * 10, dtype=torch.float64), 10)
    assert len(found.means) <= 2


def test_the_sizes_follow_from_the_kind_and_the_space() -> None:
    source = rows()
    code = encoding(source)
    again = ModeEncoding.of_kind(source.space, code.kind)
    again.load_state_dict(code.state_dict())
    x = source.all().x.double()
    assert torch.equal(again(x), code(x))


@pytest.mark.parametrize(
    "kind", ["modes", "modes:", "modes:1,2", "modes:3,3,3,3", "unit", "modes:a,1,1,0"]
)
def test_a_kind_of_another_table_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"is not an encoding|invalid literal"):
        ModeEncoding.of_kind(rows().space, kind)


def test_bounds_and_whole_numbers_are_kept_on_the_way_out() -> None:
    code = encoding(rows())
    x = torch.tensor([[0.3, -2.4, 1.7, 1.0], [0.3, 2.6, -0.2, torch.nan]], dtype=torch.float64)
    out = code.settle(x)
    assert out[:, :3].tolist() == [[0.3, 0.0, 1.0], [0.3, 3.0, 0.0]]


def test_modes_are_redrawn_in_proportion_to_their_probability() -> None:
    source = pf.read(pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 0.0]}))
    code = ModeEncoding.of_kind(source.space, "modes:2,1")
    code.shift, code.scale = torch.tensor([-1.0, 1, 0]).double(), torch.full((3,), 4.0).double()
    code.weights = torch.tensor([0.8, 0.2, 1.0]).double()
    u = code(torch.zeros(20_000, 2, dtype=torch.float64))  # between both modes: 4 to 1
    fresh = code.redraw(u, 0)
    assert float(fresh[:, 1].mean()) == pytest.approx(0.8, abs=0.01)
    assert torch.allclose(code.inverse(fresh), code.inverse(u), atol=1e-12), "the value stays"


def test_a_missing_value_of_a_column_that_had_none_is_a_block_of_zeros() -> None:
    source = rows(gaps=0)
    code, x = encoding(source), source.all().x[:3].double()
    x[0, 0] = x[1, 3] = torch.nan
    u = code(x)
    assert not bool(u[0, code.blocks[0].choices].any())
    assert not bool(u[1, code.blocks[3].choices].any())
    assert torch.allclose(code.inverse(u), x, equal_nan=True)
