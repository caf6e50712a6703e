"""Rules of thumb, likelihood choice, and bandwidths that vary."""

import math

import numpy as np
import pytest
import torch

from pushforward.densities.bandwidths import (
    abramson,
    covariance,
    effective_count,
    likelihood_bandwidth,
    nearest,
    scott,
    silverman,
)
from pushforward.densities.choose import log_density


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [2, 5])
def test_matrix_rules_equal_scipy(d, weighted):
    from scipy.stats import gaussian_kde

    x = normal(80, d) @ normal(d, d, 1)
    w = (
        torch.rand(80, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        if weighted
        else None
    )
    for rule in (scott, silverman):
        peer = gaussian_kde(x.T.numpy(), rule.__name__, weights=None if w is None else w.numpy())
        assert torch.allclose(rule(x, weights=w, form="matrix"), torch.from_numpy(peer.covariance))
        assert torch.allclose(
            rule(x, weights=w, form="axes"), torch.from_numpy(np.sqrt(np.diag(peer.covariance)))
        )


def test_silverman_in_one_dimension():
    x = normal(101, 1) ** 3
    quartiles = np.subtract(*np.percentile(x.numpy(), [75, 25]))
    expected = 0.9 * min(float(x.std()), quartiles / 1.349) * 101**-0.2
    assert float(silverman(x)[0]) == pytest.approx(expected, rel=1e-12)
    assert float(silverman(x, weights=torch.full((101,), 3.0))[0]) == pytest.approx(
        expected, rel=1e-12
    )


def test_rules_scale_with_the_kernel_and_survive_offsets():
    x = normal(300, 2)
    ratio = scott(x, kernel="tophat", form="number") / scott(x, form="number")
    assert float(ratio) == pytest.approx(2.0)  # the disc has variance 1/4 per axis
    assert torch.allclose(scott(x + 1e8), scott(x), rtol=1e-7)
    assert effective_count(4, torch.tensor([1.0, 1.0, 0.0, 0.0])) == 2


def test_constant_columns_are_named():
    x = torch.cat([normal(20, 1), torch.full((20, 1), 0.1, dtype=torch.float64)], dim=1)
    with pytest.raises(
        ValueError, match=r"constant data \(columns \[1\]\); pass bandwidth as a number"
    ):
        scott(x)
    with pytest.raises(ValueError, match="singular covariance"):
        scott(x, form="matrix")
    assert float(scott(x, form="number")) > 0


def test_covariance_of_whole_weights_is_that_of_repetition_up_to_the_unbiased_factor():
    x, times = normal(40, 3), torch.arange(40) % 4
    repeated = x.repeat_interleave(times, 0)
    ratio = covariance(x, times) / covariance(repeated)
    assert torch.allclose(ratio, ratio[0, 0].expand(3, 3))


def test_abramson_is_the_definition_and_its_factors_have_geometric_mean_one():
    x = normal(200, 2)
    pilot = log_density(x, x, 0.4)
    g = pilot.mean().exp()
    assert torch.allclose(abramson(pilot), (pilot.exp() / g) ** -0.5)
    assert float(abramson(pilot).log().mean()) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="pilot log-densities must be finite"):
        abramson(torch.tensor([0.0, -math.inf]))


@pytest.mark.parametrize("d", [2, 12])
def test_nearest_is_the_kth_distance_to_another_point(d):
    x = normal(120, d)
    exact = torch.cdist(x, x).sort(dim=1).values[:, 7] / 0.5
    assert torch.allclose(nearest(x, 7, 0.5), exact, atol=1e-6)
    doubled = nearest(torch.cat([x, x[:1].repeat(9, 1)]), 3)
    assert bool((doubled > 0).all())
    with pytest.raises(ValueError, match="k must lie between 1 and n - 1 = 119, got 120"):
        nearest(x, 120)


@pytest.mark.parametrize("folds", [None, 5])
def test_likelihood_finds_the_maximum_over_a_fine_grid(folds):
    x = normal(150, 1)
    choice = likelihood_bandwidth(x, 0.4, folds=folds)
    assert not choice.at_edge

    def leave_out(factor: float) -> float:
        if folds is None:
            keep = ~torch.eye(150, dtype=torch.bool)
            return float(
                torch.stack(
                    [log_density(x[keep[i]], x[[i]], 0.4 * factor)[0] for i in range(150)]
                ).mean()
            )
        order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
        parts = [order[k::5] for k in range(5)]
        held = [
            log_density(x[torch.isin(torch.arange(150), p, invert=True)], x[p], 0.4 * factor)
            for p in parts
        ]
        return float(torch.cat(held).mean())

    assert leave_out(choice.factor) == pytest.approx(choice.log_likelihood, abs=1e-9)
    assert all(
        leave_out(choice.factor * step) <= choice.log_likelihood + 1e-9 for step in (0.9, 1.1)
    )


def test_likelihood_says_when_duplicates_drive_it_to_the_edge():
    x = normal(50, 1).repeat(2, 1)
    assert likelihood_bandwidth(x, 0.3).at_edge
