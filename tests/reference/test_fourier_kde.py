"""The kernel density without its data: against the one with,
streamed, merged, stored, conditioned.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.models.classical.fourier_kde import FourierKDE
from pushforward.models.classical.kde import KDE


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


MATRIX = ((0.3, 0.1), (0.1, 0.2))


@pytest.mark.parametrize("bandwidth", ["scott", 0.4, (0.3, 0.5), MATRIX])
def test_density_is_that_of_the_kde_within_the_stated_error(bandwidth: object) -> None:
    x, w = (
        normal(400, 2),
        torch.rand(400, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
    )
    w = None if bandwidth == "scott" else w
    model = FourierKDE(bandwidth).fit(x, weights=w)
    h = (
        bandwidth
        if bandwidth != "scott"
        else tuple((x.std(0, correction=0) * 400 ** (-1 / 6)).tolist())
    )
    exact = KDE(h).fit(x, weights=w)
    q = torch.cat([x[:50], 3 * normal(50, 2, 2), 50 * normal(5, 2, 3)])
    assert (
        float((model.density(q) - exact.log_prob(q).exp()).abs().max())
        <= model.absolute_error
        < 1e-9
    )
    one = model.marginal([1])
    assert (
        float((one.density(q[:, [1]]) - exact.marginal([1]).log_prob(q[:, [1]]).exp()).abs().max())
        <= one.absolute_error
        < 1e-9
    )
    given = model.condition({0: 0.3})
    distribution = exact.condition({0: 0.3}).log_prob(q[:, [1]]).exp()
    assert (
        float((given.density(q[:, [1]]) - distribution).abs().max()) <= given.absolute_error < 1e-9
    )


def test_streaming_gives_the_same_coefficients() -> None:
    x = normal(500, 2)
    whole, blocks = FourierKDE(0.3).fit(x), FourierKDE(0.3).fit(x, by=pf.EM(block=90))
    assert torch.allclose(whole.real_, blocks.real_, atol=1e-9)
    assert int(blocks.count_) == 500


def test_merging_models_over_one_box() -> None:
    box = ((-5, -5), (5, 5))
    parts = [normal(200, 2, s).clamp(-5, 5) for s in (0, 1)]
    one, two = (FourierKDE(0.4, box).fit(p) for p in parts)
    both = FourierKDE(0.4, box).fit(torch.cat(parts))
    q = normal(30, 2, 5)
    assert float((one.merge(two).density(q) - both.density(q)).abs().max()) <= both.absolute_error
    with pytest.raises(pf.InvalidValue, match="share one frequency grid"):
        one.merge(FourierKDE(0.3, box).fit(parts[1]))
    with pytest.raises(pf.BadSource, match="some rows leave the box"):
        FourierKDE(0.3, ((0, 0), (1, 1))).fit(parts[0])


@pytest.mark.parametrize("bandwidth", ["scott", MATRIX])
def test_saved_and_loaded_even_a_conditional(bandwidth: object, tmp_path: Path) -> None:
    model = FourierKDE(bandwidth).fit(normal(100, 2))
    for name, distribution in (("joint", model), ("conditional", model.condition({1: 0.2}))):
        distribution.save(tmp_path / name)
        again = pf.load(tmp_path / name)
        q = normal(9, distribution.space.size, 1)
        assert torch.equal(again.density(q), distribution.density(q))
        assert again.absolute_error == distribution.absolute_error


def test_refusals() -> None:
    with pytest.raises(pf.BadSource, match="needs 1 to 3 coordinates, got 5"):
        FourierKDE().fit(normal(20, 5))
    with pytest.raises(pf.BadSource, match="use a larger bandwidth, drop far outliers, or use KDE"):
        FourierKDE(1e-3).fit(torch.tensor([[0.0, 0.0], [1e6, 1e6]]))
    with pytest.raises(pf.InvalidValue, match="bandwidth must be one of 'scott'"):
        FourierKDE("likelihood")
    with pytest.raises(pf.InvalidValue, match="condition closer to the data"):
        FourierKDE(0.3).fit(normal(50, 2)).condition({0: 30.0})
