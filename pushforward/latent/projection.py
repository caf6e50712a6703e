"""Projection: the code whose observation is nearest to a given one.

    z* = argmin_z ‖x - g(z)‖² + λ Σ_k ((z_k - m_k)/s_k)²

by L-BFGS, separately for each observation, with m_k and s_k the prior's mean and standard deviation
(λ‖z‖² for a standard normal prior; with an observation noise of variance σ², λ = σ² gives the most
probable code). The search starts at the encoder's code (fast but slightly inaccurate by itself), at
the best of several samples of the prior (for generators without an encoder), or at both, keeping
the better result, which is never worse than either.

**Reference** Zhu, Krähenbühl, Shechtman & Efros (2016, https://arxiv.org/abs/1609.03552),
Generative visual manipulation on the natural image manifold, §3.1, with squared error in place of
their features, and with both starts.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, cast, get_args

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.capabilities import Decodes, Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, require_positive
from pushforward.core.random import Rng
from pushforward.core.space import Space
from pushforward.core.units import HasSpace, TakesConditions
from pushforward.latent.code_distribution import CodeDistribution, infer_code_distribution
from pushforward.latent.decoding import is_shared, rows_of_condition
from pushforward.latent.descent import descend

__all__ = ["Projection", "project"]

Start: TypeAlias = Literal["encoder", "prior", "hybrid"]
STARTS: tuple[Start, ...] = get_args(Start)
"""Where rows begin: at their own codes, at draws of the prior, or at the better of both."""


@dataclass(frozen=True)
class Projection:
    """Codes of observations, with the reconstruction error.

    Args:
        codes: (n, latent).
        restored: the decoded codes (n, *shape), user's units.
        error: ‖x - restored‖² of each (n,), weighted if weights were given, squared user's units.
        first_error: the same at the start (the lower of the two for a hybrid) (n,).
    """

    codes: Tensor
    restored: Tensor
    error: Tensor
    first_error: Tensor


class Projectable(Decodes, HasSpace, TakesConditions, Protocol):
    """What can be projected on."""

    @property
    def condition_space(self) -> Space | None:
        """The space of conditions, if there are any."""
        ...

    def floating(self) -> torch.dtype:
        """The floating type the model computes in."""
        ...


@dataclass(frozen=True)
class _Problem:
    """The objective, row by row."""

    model: Projectable
    x: Tensor
    y: Conditioning
    weights: Tensor | None
    prior_weight: float
    distribution: CodeDistribution | None

    def restored(self, z: Tensor, rows: Tensor | slice) -> Tensor:
        """g(z) for some rows."""
        outputs: Tensor = self.model.decode(z, rows_of_condition(self.y, rows))
        return outputs

    def error(self, restored: Tensor, rows: Tensor | slice) -> Tensor:
        """‖x - g(z)‖² (m,)."""
        squares = (restored - self.x[rows]).square()
        return (squares if self.weights is None else squares * self.weights[rows]).flatten(1).sum(1)

    def penalty(self, z: Tensor) -> Tensor | float:
        """λ times the prior's squared length (m,)."""
        return (
            self.prior_weight * self.distribution.length(z)
            if self.distribution is not None and self.prior_weight > 0
            else 0.0
        )

    def objective(self, z: Tensor, rows: Tensor | slice) -> Tensor:
        """The sum of both (m,)."""
        return self.error(self.restored(z, rows), rows) + self.penalty(z)


def project(
    model: object,
    x: Observations,
    y: Conditioning = None,
    *,
    start: Start | Tensor | None = None,
    steps: int = 50,
    prior_weight: float = 0.0,
    candidates: int = 32,
    weights: ArrayLike | Tensor | None = None,
    distribution: CodeDistribution | None = None,
    rng: Rng = None,
) -> Projection:
    """The codes that best reconstruct observations x (n, *shape), never worse than at the start.

    Args:
        y: conditions, one for each row or one for all.
        start: 'encoder', 'prior', 'hybrid' (both, keeping the better), or codes (n, latent); by
            default the encoder if there is one, else the prior.
        steps: the most steps of L-BFGS; 0 returns the start.
        prior_weight: λ, squared user's units per squared standard deviation.
        candidates: samples of the prior; each row starts at its best one.
        weights: of the coordinates (*shape) or (n, *shape), non-negative;
            0 ignores a coordinate, so that it is imputed.
        distribution: of the codes, from `infer_code_distribution`; the model's prior by default.
        rng: samples the candidates.
    """
    kind = _check_start(model, start)
    require_positive(candidates=candidates)
    if steps < 0 or prior_weight < 0:
        raise InvalidValue(
            f"steps and prior_weight must not be below 0, got {steps} and {prior_weight}"
        )
    if distribution is None and (prior_weight > 0 or kind in ("prior", "hybrid")):
        distribution = infer_code_distribution(model)
    problem = _build_problem(cast(Projectable, model), x, y, weights, prior_weight, distribution)
    starts = [_codes_of(start, problem)] if isinstance(start, Tensor) else []
    if kind in ("encoder", "hybrid"):
        starts.append(_encode(problem))
    if kind in ("prior", "hybrid"):
        assert distribution is not None
        starts.append(_best_draw(problem, distribution.draw(candidates, rng=rng)))
    return _best([_solve(problem, z, steps) for z in starts])


def _check_start(model: object, start: object) -> str:
    if not isinstance(model, Decodes):
        raise InvalidKind(
            f"{type(model).__name__} does not decode codes, so observations cannot be projected"
        )
    encodes = isinstance(model, Encodes)
    if isinstance(start, Tensor):
        return "given"
    if start is None:
        return "encoder" if encodes else "prior"
    if start not in STARTS:
        raise InvalidValue(
            f"a projection starts at {', '.join(map(repr, STARTS))} or at codes, got {start!r}"
        )
    if start != "prior" and not encodes:
        raise InvalidKind(
            f"{type(model).__name__} has no encoder to start from; pass {setting('start', 'prior')}"
        )
    return str(start)


def _build_problem(
    model: Projectable,
    x: Observations,
    y: Conditioning,
    weights: ArrayLike | Tensor | None,
    prior_weight: float,
    distribution: CodeDistribution | None,
) -> _Problem:
    space = model.fitted_space()
    if space.categorical:
        raise InvalidKind(
            "a distance to categories has no gradient; project with a model of the numeric columns"
            " only"
        )
    rows = space.conform(x, what="x").to(
        model.device, getattr(model, "user_dtype", model.floating)()
    )
    if not len(rows):
        raise ShapeMismatch("expected at least one observation to project, got none")
    if y is not None and model.condition_space is not None and not isinstance(y, (int, float)):
        y = model.condition_space.as_given(
            model.condition_space.conform(y, what="y").to(model.device)
        )
        count = len(cast(Sized, y))
        if count not in (1, len(rows)):
            raise ShapeMismatch(f"y must have length {len(rows)}, or 1 for all, got {count}")
    row_weights = None if weights is None else _check_weights(weights, rows)
    return _Problem(model, rows, y, row_weights, prior_weight, distribution)


def _check_weights(weights: ArrayLike | Tensor | None, x: Tensor) -> Tensor:
    values = torch.as_tensor(weights).to(x)
    if bool((values < 0).any()) or not bool(torch.isfinite(values).all()):
        raise InvalidValue("weights must be finite and not below 0; 0 leaves a coordinate free")
    try:
        return values.expand_as(x)
    except RuntimeError as error:
        raise ShapeMismatch(
            f"weights must have shape {tuple(x.shape[1:])} or {tuple(x.shape)}, got"
            f" {tuple(values.shape)}"
        ) from error


def _codes_of(start: Tensor, problem: _Problem) -> Tensor:
    if start.ndim != 2 or len(start) != len(problem.x):
        raise ShapeMismatch(
            f"expected codes ({len(problem.x)}, latent) to start at, got shape {tuple(start.shape)}"
        )
    return start.detach().to(problem.x.device, problem.model.floating())


@torch.no_grad()
def _encode(problem: _Problem) -> Tensor:
    conditions = () if problem.y is None else (problem.y,)
    model = cast(Encodes, problem.model)
    codes: Tensor = model.encode(problem.x, *conditions).to(problem.model.floating())
    return codes


@torch.no_grad()
def _best_draw(problem: _Problem, draws: Tensor) -> Tensor:
    """The best of draws (m, latent) for each row (n, latent)."""
    rows, n = slice(None), len(problem.x)
    alike = is_shared(problem.y)
    shared = problem.model.decode(draws, problem.y) if alike else None
    best, codes = (
        torch.full((n,), torch.inf, dtype=problem.x.dtype, device=problem.x.device),
        draws[:1].repeat(n, 1),
    )
    for i, draw in enumerate(draws):
        restored = (
            problem.restored(draw.expand(n, -1), rows) if shared is None else shared[i : i + 1]
        )
        value = problem.error(restored, rows) + problem.penalty(draw[None])
        better = value < best
        best, codes = torch.where(better, value, best), torch.where(better[:, None], draw, codes)
    return codes


def _solve(problem: _Problem, start: Tensor, steps: int) -> tuple[Projection, Tensor]:
    """The projection from one start, and the objective there (n,)."""
    first, first_x, first_value = _measure(problem, start)
    if steps == 0:
        return Projection(start, first_x, first, first), first_value
    with torch.enable_grad():
        probe = problem.restored(start[:1].clone().requires_grad_(True), slice(0, 1))
    if not probe.requires_grad:
        raise InvalidKind(
            f"the output of {type(problem.model).__name__} has no gradient in its codes; pass"
            f" {setting('steps', 0)} for the start alone"
        )
    z, _ = descend(problem.objective, start, steps)
    error, restored, value = _measure(problem, z)
    # Batches of different sizes are rounded differently:
    # if that is the only difference, the start is kept.
    worse = ~(value <= first_value)
    z, error, value = (
        torch.where(worse[:, None], start, z),
        torch.where(worse, first, error),
        torch.where(worse, first_value, value),
    )
    restored = restored.clone()
    restored[worse] = first_x[worse]
    return Projection(z, restored, error, first), value


@torch.no_grad()
def _measure(problem: _Problem, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Error (n,), restored observations (n, *shape) and objective (n,)."""
    restored = problem.restored(z, slice(None))
    error = problem.error(restored, slice(None))
    return error, restored, error + problem.penalty(z)


def _best(candidates: list[tuple[Projection, Tensor]]) -> Projection:
    """The projection with the lower objective, row by row."""
    (best, value), *others = candidates
    for other, its in others:
        better = its < value
        restored = best.restored.clone()
        restored[better] = other.restored[better]
        codes = torch.where(better[:, None], other.codes, best.codes)
        error = torch.where(better, other.error, best.error)
        best = Projection(
            codes, restored, error, torch.minimum(best.first_error, other.first_error)
        )
        value = torch.where(better, its, value)
    return best
