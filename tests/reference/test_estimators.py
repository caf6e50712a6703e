"""Gradient estimators of a VAE against the exact gradient,
on a model whose expectations a quadrature gives.

x = a z + b + σ ε with z ~ N(0, 1), q(z|x) = N(μ(x), s(x)²) linear in x: the bounds L_1 and L_2 are
integrals over one and two standard normal numbers, smooth enough for Gauss-Hermite nodes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.core.space import Space

X = torch.tensor([[-1.2], [0.3], [0.9]], dtype=torch.float64)
SIGMA = 0.7


def model(objective: str) -> pf.VAE:
    torch.manual_seed(0)
    made = pf.VAE(
        latent=1,
        network="mlp(hidden=())",
        likelihood=f"gaussian(sigma={SIGMA})",
        objective=objective,
    )
    made.scaling_kind = "identity"
    made.assemble(Space.infer(X), None)
    return made.double()


def nodes(k: int) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes (m, k) of a standard normal distribution in k
    dimensions and their weights (m,).
    """
    at, weight = np.polynomial.hermite_e.hermegauss(80)
    grid = torch.cartesian_prod(*[torch.from_numpy(at)] * k).reshape(-1, k)
    mass = torch.from_numpy(weight / weight.sum())
    products = torch.cartesian_prod(*[mass] * k).reshape(-1, k).prod(1)
    return grid, products


def exact(vae: pf.VAE, k: int) -> Tensor:
    """L_k, averaged over X."""
    noise, mass = nodes(k)
    mean, log_scale = vae.encoder(X, None)
    z = mean[:, None] + log_scale.exp()[:, None] * noise  # (n, m, k)
    location = vae.decoder(z.reshape(-1, 1))[0].reshape(z.shape)
    x = X[:, None]

    def log_normal(at: Tensor, centre: Tensor | float, log_sd: Tensor | float) -> Tensor:
        sd = torch.as_tensor(log_sd, dtype=torch.float64)
        return -0.5 * ((at - centre) / sd.exp()).square() - sd - 0.5 * math.log(2 * math.pi)

    weight = (
        log_normal(x, location, math.log(SIGMA))
        + log_normal(z, 0.0, 0.0)
        - log_normal(z, mean[:, None], log_scale[:, None])
    )
    return ((weight.logsumexp(2) - math.log(k)) * mass).sum(1).mean()


def gradient(vae: pf.VAE, value: Tensor) -> Tensor:
    """Of the value, in all parameters, as one vector."""
    parameters = [p for n in ("encoder", "decoder") for p in getattr(vae, n).parameters()]
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(parameters, found)
        ]
    )


def estimates(vae: pf.VAE, rounds: int = 300, copies: int = 200) -> Tensor:
    """Independent averages (rounds, parameters) of the gradient of what is minimised."""
    batch, stream = Batch(X.repeat(copies, 1)), torch.Generator().manual_seed(1)
    loss = vae.phases()[0].loss
    return torch.stack(
        [
            gradient(vae, sum(t.mean() for t in loss(batch, Step(rng=stream)).values()))
            for _ in range(rounds)
        ]
    )  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize(
    ("objective", "k"),
    [
        ("elbo", 1),
        ("iwae(k=1)", 1),
        ("iwae(k=2)", 2),
        ("iwae(k=1, doubly=True)", 1),
        ("iwae(k=2, doubly=True)", 2),
    ],
)
def test_gradients_are_unbiased(objective: str, k: int) -> None:
    vae = model(objective)
    true = -gradient(vae, exact(vae, k))
    found = estimates(vae)
    error = found.std(0) / math.sqrt(len(found))
    assert float(true.abs().max()) > 0.1
    assert bool(((found.mean(0) - true).abs() < 4.5 * error + 1e-12).all()), (
        found.mean(0),
        true,
        error,
    )


def test_the_doubly_reparametrised_gradient_at_the_exact_posterior_has_no_noise() -> None:
    """There every weight is p(x) whatever the draw, so that nothing is left to learn;
    the plain gradient still fluctuates.
    """
    spread = {}
    for doubly in (False, True):
        vae = model(f"iwae(k=16, doubly={doubly})")
        (weight, bias), encoder = (
            vae.decoder.network.parameters(),
            dict(vae.encoder.network.named_parameters()),
        )
        a, b = weight.item(), bias.item()
        precision = 1 + (a / SIGMA) ** 2
        with torch.no_grad():
            encoder["heads.weight"].copy_(
                torch.tensor([[a / SIGMA**2 / precision], [0.0]], dtype=torch.float64)
            )
            encoder["heads.bias"].copy_(
                torch.tensor(
                    [-a * b / SIGMA**2 / precision, -0.5 * math.log(precision)], dtype=torch.float64
                )
            )
        found = estimates(vae, rounds=50, copies=5)[:, : sum(p.numel() for p in encoder.values())]
        spread[doubly] = float(found.std(0).max())
    assert spread[True] < 1e-12
    assert spread[False] > 1e-2


def test_iwae_bounds_rise_with_k_to_the_exact_answer() -> None:
    vae = model("elbo")
    bounds = [exact(vae, k).item() for k in (1, 2)]
    a, b = (p.item() for p in vae.decoder.network.parameters())
    variance = a * a + SIGMA**2
    log_p = float(
        (-0.5 * (X - b).square() / variance - 0.5 * math.log(2 * math.pi * variance)).mean()
    )
    assert bounds[0] < bounds[1] < log_p
