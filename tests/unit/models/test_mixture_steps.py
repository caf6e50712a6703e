"""Every way to compute an E step gives the sums and the likelihood of the definition."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal

from pushforward.models.classical.covariance_kinds import full_covariances
from pushforward.models.classical.expectation import NormalComponents
from pushforward.models.classical.mixture_sums import pairs

KINDS = ("full", "tied", "diagonal", "spherical")


@pytest.mark.parametrize("rows", [0, 1 << 20])  # of the fit: array operations, compiled loops
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("d", "k"), [(2, 3), (12, 2), (13, 2), (6, 1)])
def test_sums_are_those_of_the_definition(
    kind: str, d: int, k: int, weighted: bool, rows: int
) -> None:
    rng = torch.Generator().manual_seed(d + k)
    double = {"dtype": torch.float64, "generator": rng}
    x, means = torch.randn(60, d, **double), torch.randn(k, d, **double)
    factor = 0.3 * torch.randn(k, d, d, **double) + torch.eye(d, dtype=torch.float64)
    matrices = factor @ factor.mT
    spread = {
        "full": matrices,
        "tied": matrices[0],
        "diagonal": matrices.diagonal(dim1=1, dim2=2).clone(),
        "spherical": matrices[:, 0, 0].clone(),
    }[kind]
    weights = torch.rand(k, **double)
    weights /= weights.sum()
    w = torch.rand(60, **double) if weighted else None
    jacobian = torch.linspace(0, 1, d, dtype=torch.float64)
    components = NormalComponents(
        kind,  # type: ignore[arg-type]
        weights,
        means,
        spread,
        jacobian,
        rows=rows,
    )
    assert components.looped == bool(rows)
    assert components.direct == (kind == "full" and d >= 6 * k)
    got = components.expect_complete(x, w)

    covariances = full_covariances(kind, means, spread)  # type: ignore[arg-type]
    logits = MultivariateNormal(means, covariances).log_prob(x[:, None]) + weights.log()
    each = torch.ones(60, dtype=torch.float64) if w is None else w
    r = logits.softmax(1).T * each
    origins = torch.zeros_like(means) if components.origins is None else components.origins
    centred = x[None] - origins[:, None]
    products = torch.einsum("kn,kni,knj->kij", r, centred, centred)
    i, j = pairs(d, x.device)
    second = {"full": products[:, i, j], "tied": products.sum(0)}.get(
        kind, products.diagonal(dim1=1, dim2=2)
    )
    torch.testing.assert_close(got.count, r.sum(1))
    torch.testing.assert_close(got.first, torch.einsum("kn,kni->ki", r, centred))
    torch.testing.assert_close(got.second, second)
    total = each @ logits.logsumexp(1) + jacobian.sum() * each.sum()
    torch.testing.assert_close(got.log_likelihood, total)
    torch.testing.assert_close(got.weight, each.sum())
