"""Whatever the generator, projection is never worse than its start,
nor a hybrid than either way.
"""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward.latent import CodeDistribution, project

calm = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Wavy:
    """g(z) = a sin(z W) + b z V: many valleys; and an encoder that is no good."""

    def __init__(self, seed: int, latent: int, size: int, waves: float) -> None:
        stream = torch.Generator().manual_seed(seed)
        self.W, self.V = (
            torch.randn(latent, size, generator=stream, dtype=torch.float64) for _ in range(2)
        )
        self.waves, self.size, self.device, self.condition_space = (
            waves,
            size,
            torch.device("cpu"),
            None,
        )

    def decode(self, z: torch.Tensor, y: Any = None, *, rng: Any = None) -> torch.Tensor:
        return self.waves * torch.sin(3 * z @ self.W) + z @ self.V

    def encode(self, x: Any) -> torch.Tensor:
        return x @ self.V.T / self.size

    def fitted_space(self) -> pf.Space:
        return pf.Space("points", (self.size,), tuple(pf.Column() for _ in range(self.size)))

    def floating(self) -> torch.dtype:
        return torch.float64

    def to_condition(self, y: Any, n: int) -> None:
        return None


@calm
@given(
    seed=st.integers(0, 10_000),
    latent=st.integers(1, 4),
    size=st.integers(1, 6),
    waves=st.floats(0, 30),
    scale=st.sampled_from([1e-4, 1.0, 1e5]),
    weight=st.sampled_from([0.0, 0.1, 50.0]),
)
def test_no_row_is_worse_than_at_its_start(
    seed: int, latent: int, size: int, waves: float, scale: float, weight: float
) -> None:
    model = Wavy(seed, latent, size, waves)
    distribution = CodeDistribution(
        torch.zeros(latent, dtype=torch.float64), torch.ones(latent, dtype=torch.float64)
    )
    x = scale * torch.randn(
        7, size, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64
    )
    how: dict[str, Any] = {
        "distribution": distribution,
        "rng": seed,
        "steps": 15,
        "prior_weight": weight,
    }

    def cost(found: Any) -> torch.Tensor:
        return found.error + weight * distribution.length(found.codes)

    found = {
        start: project(model, x, start=start, **how) for start in ("encoder", "prior", "hybrid")
    }
    begun = {start: project(model, x, start=start, **{**how, "steps": 0}) for start in found}
    for start, own in found.items():
        assert bool((cost(own) <= cost(begun[start]) * (1 + 1e-12)).all()), start
        assert torch.allclose(own.error, (x - model.decode(own.codes)).square().sum(1), rtol=1e-9)
    for other in (found["encoder"], found["prior"], begun["encoder"]):
        assert bool((cost(found["hybrid"]) <= cost(other) * (1 + 1e-12)).all())
