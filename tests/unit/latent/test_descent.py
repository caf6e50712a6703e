"""Many small L-BFGS at once, each as if it were alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import pushforward as pf
from pushforward.latent.descent import descend

SHIFTS = torch.linspace(-2, 2, 9, dtype=torch.float64)


def rosenbrock(z: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Σ 100 (z_{i+1} - z_i²)² + (c - z_i)² with c = 1 + shift/10, for each row its own shift."""
    c = 1 + SHIFTS[rows, None] / 10
    return (100 * (z[:, 1:] - z[:, :-1].square()).square() + (c - z[:, :-1]).square()).sum(1)


def starts() -> torch.Tensor:
    return torch.stack([torch.full((4,), float(s), dtype=torch.float64) for s in SHIFTS])


def test_each_row_ends_where_a_lone_optimiser_does() -> None:
    z, f = descend(rosenbrock, starts(), 400)
    for i in range(len(SHIFTS)):

        def one(v: np.ndarray, i: int = i) -> tuple[float, np.ndarray]:
            point = torch.tensor(v[None], requires_grad=True)
            value = rosenbrock(point, torch.tensor([i]))[0]
            (gradient,) = torch.autograd.grad(value, point)
            return value.item(), gradient[0].numpy()

        theirs = minimize(
            one, starts()[i].numpy(), jac=True, method="L-BFGS-B", options={"maxiter": 1000}
        )
        assert float(f[i]) <= theirs.fun + 1e-6
        assert torch.allclose(rosenbrock(z, torch.arange(9))[i], f[i])


def test_rows_do_not_know_of_each_other() -> None:
    together, _ = descend(rosenbrock, starts(), 25)
    for i in range(9):
        alone, _ = descend(lambda z, rows, i=i: rosenbrock(z, rows + i), starts()[i : i + 1], 25)
        assert torch.allclose(together[i], alone[0], atol=1e-9)


def test_a_quadratic_takes_few_moves() -> None:
    scales = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
    for unit in (1e-4, 1.0, 1e6):
        z, f = descend(
            lambda z, rows, unit=unit: unit * (scales * (z - 1).square()).sum(1),
            torch.zeros(5, 3, dtype=torch.float64),
            12,
        )
        assert float(f.max()) < 1e-8 * unit
        assert torch.allclose(z, torch.ones_like(z), atol=1e-4)


def test_more_moves_are_never_worse() -> None:
    values = [descend(rosenbrock, starts(), n)[1] for n in (0, 1, 2, 5, 20, 60)]
    for before, after in pairwise(values):
        assert bool((after <= before).all())


def test_where_f_is_not_a_number_the_last_good_point_stays() -> None:
    z, f = descend(
        lambda z, rows: (z.log() + 0.1 * z).sum(1),
        torch.tensor([[1.0], [-1.0]], dtype=torch.float64),
        30,
    )
    assert bool(torch.isfinite(f[0]))
    assert float(z[1, 0]) == -1.0


def test_an_objective_without_gradient_is_refused() -> None:
    with pytest.raises(pf.InvalidKind, match="no gradient with respect to codes"):
        descend(lambda z, rows: rosenbrock(z.detach(), rows), starts(), 3)
