"""How likely held-out data are under a model, as records in nats per observation, in the user's units.

Exact where the model knows its density; otherwise a lower bound: the ELBO, or the importance-weighted bound

    L_k = E log 1/k Σ p(x, z_i)/q(z_i|x),   z_i ~ q(z|x),

which is the ELBO at k = 1, does not fall with k and tends to log p(x) (Burda, Grosse & Salakhutdinov 2016, Eq. 8).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import HasBound, HasDensity, LatentModel
from pushforward.core.errors import InvalidKind, require_positive
from pushforward.core.random import Rng, generator
from pushforward.core.records import Record

__all__ = ["elbo", "iwae", "log_prob", "best_known", "measure_of"]

BLOCK_NUMBERS = 1 << 24


def log_prob(model: Any, x: Any, *, data: str = "") -> Record:
    """Exact mean log-density of x (n, *shape)."""
    if not isinstance(model, HasDensity):
        raise InvalidKind(f"{type(model).__name__} has no exact density; use elbo or iwae")
    with torch.no_grad():
        values = model.log_prob(x)
    return Record.of("log_prob", values, unit="nats", measure=measure_of(model), bound="exact", data=data)


def elbo(model: Any, x: Any, y: Any = None, *, rng: Rng = 0, data: str = "") -> Record:
    """Mean evidence lower bound of x, one posterior draw a row."""
    if not isinstance(model, HasBound):
        raise InvalidKind(f"{type(model).__name__} has no bound; a model with a density has log_prob")
    with torch.no_grad():
        values = model.elbo(x, rng=rng) if y is None else model.elbo(x, y, rng=rng)  # type: ignore[call-arg, misc]
    return Record.of("elbo", values, unit="nats", measure=measure_of(model), bound="lower bound", data=data)


@torch.no_grad()
def iwae(model: Any, x: Any, y: Any = None, *, k: int = 100, rng: Rng = 0, data: str = "") -> Record:
    """Mean importance-weighted bound L_k of x, from k posterior draws a row, computed in blocks of bounded memory."""
    require_positive(k=k)
    if not (isinstance(model, HasBound) and isinstance(model, LatentModel)):
        raise InvalidKind(f"{type(model).__name__} has no posterior and likelihood; iwae needs a latent-variable model")
    stream = generator(rng, model.device)  # type: ignore[attr-defined]
    u = model.to_model(x)  # type: ignore[attr-defined]
    condition = model.to_condition(y, len(u))  # type: ignore[attr-defined]
    rows = max(1, BLOCK_NUMBERS // (k * max(1, u[0].numel())))
    values = []
    for start in range(0, len(u), rows):
        part = None if condition is None else condition[start : start + rows]
        values.append(_log_mean_weight(model, u[start : start + rows], part, k, stream))
    bound = torch.cat(values) + model.log_jacobian(u)  # type: ignore[attr-defined]
    return Record.of("iwae", bound, unit="nats", measure=measure_of(model), bound="lower bound", data=data, details={"k": k})


def best_known(model: Any, x: Any, *, k: int = 100, rng: Rng = 0, data: str = "") -> Record:
    """The exact log-density where the model has one, else the importance-weighted bound."""
    return log_prob(model, x, data=data) if isinstance(model, HasDensity) else iwae(model, x, k=k, rng=rng, data=data)


def measure_of(model: Any) -> str:
    """What the model's likelihood is a density or mass of."""
    kind = getattr(model, "likelihood_kind", None)
    return "density per unit" if kind is None else str(kind.measure)


def _log_mean_weight(model: Any, u: Tensor, condition: Tensor | None, k: int, rng: torch.Generator) -> Tensor:
    """log 1/k Σ p(u, z_i)/q(z_i|u) for each row (n,), all k draws at once."""
    u = u.repeat_interleave(k, 0)
    condition = None if condition is None else condition.repeat_interleave(k, 0)
    q = model.posterior(u) if condition is None else model.posterior(u, condition)
    z = q.rsample(rng=rng)
    likelihood = model.likelihood(z) if condition is None else model.likelihood(z, condition)
    log_weight = likelihood.log_prob(u) + model.prior().log_prob(z) - q.log_prob(z)
    return log_weight.reshape(-1, k).logsumexp(1) - math.log(k)
