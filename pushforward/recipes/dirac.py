r"""The Dirac-GAN: the smallest possible game, and the effect of each remedy.

Data at 0, one sample at θ, a critic c(x) = ψ x (Mescheder, Geiger & Nowozin 2018, §2,
https://arxiv.org/abs/1801.04406). The players should meet at (0, 0). Simultaneous descent of both,
at rates h_θ and h_ψ with slope penalty γ/2 ψ², is near (0, 0) the linear map

    θ ← θ + h_θ a ψ,   ψ ← (1 - h_ψ γ) ψ - h_ψ a θ,
        a = f'(0): 1 for Wasserstein, ½ for the logistic games,

whose eigenvalues are complex for small γ, so that θ² + ψ² changes by their product, det = 1 - h_ψ γ
+ h_θ h_ψ a², at every step: without a penalty it grows, whatever the game and the rates. With
alternating updates the determinant is 1 - h_ψ γ: circles. For simultaneous descent on minimax and
Wasserstein games with equal rates the growth is exact at every point, 1 + h² f'(θψ)². Noise of sd σ
on the critic's input is, to first order, a penalty with γ = 2 a² σ². Clipping bounds ψ and does not
affect θ; a gradient penalty asks for a slope of one, which the solution does not have. Neither
converges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch, Step, Terms
from pushforward.core.records import Bound, Record
from pushforward.experiments import fit_model
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.gan import GAN
from pushforward.plots.paths import paths_in_plane
from pushforward.recipes.registry import Findings

__all__ = ["run", "play", "Case", "CASES", "DiracGAN"]

RATE, STEPS, BATCH = 0.1, 400, 64
"""Step size and number of steps: orbits look smooth and take several turns."""
START = (1.0, 0.5)
"""Start, away from the solution in both coordinates."""
GAMMA, SIGMA, LIMIT = 1.0, 1.0, 0.7
"""Strengths of the remedies: penalty, noise and clipping.

The noise has γ = 2 a² σ² of ½ in the logistic games; the clip lies inside the orbit.
"""
Orbit = list[tuple[float, float]]


def _logistic(t: float) -> float:
    return 1 / (1 + math.exp(-t))


@dataclass(frozen=True)
class Case:
    """A game with a remedy.

    Args:
        game, penalties, hacks: as of a GAN.
        slope: f'(t), for the determinant at 0.
        penalty: the equivalent γ of the remedy; None if it is not linear near (0, 0).
        critic: the critic's rate relative to the generator's.
        at_once: whether both are updated with gradients at the same point; otherwise they
            alternate.
        exact: whether 1 + h² f'(θψ)² holds at every step.
    """

    game: str
    penalties: tuple[str, ...] = ()
    hacks: tuple[str, ...] = ()
    slope: Callable[[float], float] = _logistic
    penalty: float | None = 0.0
    critic: float = 1.0
    at_once: bool = True
    exact: bool = False

    @property
    def growth(self) -> float | None:
        """Factor of θ² + ψ² in a step near (0, 0), averaged over a turn."""
        if self.penalty is None:
            return None
        rate = RATE * self.critic
        return 1 - rate * self.penalty + (RATE * rate * self.slope(0) ** 2 if self.at_once else 0.0)


def _one(t: float) -> float:
    return 1.0


CASES: Mapping[str, Case] = {
    "Wasserstein": Case("wasserstein", slope=_one, exact=True),
    "minimax": Case("minimax", exact=True),
    "non-saturating": Case("non_saturating"),
    "relativistic": Case("relativistic"),
    "Wasserstein, in turns": Case("wasserstein", slope=_one, at_once=False),
    "minimax, critic 4 times as fast": Case("minimax", critic=4.0),
    f"Wasserstein, |ψ| ≤ {LIMIT}": Case(
        "wasserstein", (f"clip(limit={LIMIT})",), slope=_one, penalty=None
    ),
    "Wasserstein, gradient penalty": Case(
        "wasserstein", ("gradient_penalty(weight=1.0)",), slope=_one, penalty=None
    ),
    f"minimax, R1 with γ = {GAMMA / 4:g}": Case(
        "minimax", (f"r1(gamma={GAMMA / 4})",), penalty=GAMMA / 4
    ),
    f"minimax, R1 with γ = {GAMMA:g}": Case("minimax", (f"r1(gamma={GAMMA})",), penalty=GAMMA),
    f"minimax, R2 with γ = {GAMMA / 4:g}": Case(
        "minimax", (f"r2(gamma={GAMMA / 4})",), penalty=GAMMA / 4
    ),
    "minimax, noise on what the critic sees": Case(
        "minimax", hacks=(f"input_noise(sigma={SIGMA})",), penalty=None
    ),
}


class _Number(nn.Module):
    """θ, for any code; ψ x, of any x."""

    def __init__(self, value: float, factor: bool) -> None:
        super().__init__()
        self.value, self.factor = nn.Parameter(torch.tensor(value)), factor

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.value * (x if self.factor else torch.ones_like(x[:, :1]))


class DiracGAN(GAN):
    """A GAN of one parameter per player, which records (θ, ψ) before every step."""

    def build(self, space: Any, condition_space: Any = None) -> None:
        """Set both parameters to the start."""
        super().build(space, condition_space)
        self.path: Orbit = []
        self.generator, self.critic = (
            _Number(START[0], factor=False),
            _Number(START[1], factor=True),
        )

    def now(self) -> tuple[float, float]:
        """(θ, ψ)."""
        return float(self.generator.value.detach()), float(self.critic.value.detach())  # type: ignore[operator]

    def symptoms(self, vitals: Mapping[str, float]) -> list[Symptom]:
        """None: without noise on its one sample, samples have no spread, whatever the game does."""
        return []

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The game's loss, after recording (θ, ψ)."""
        self.path.append(self.now())
        return super().critic_loss(batch, step)


def play(case: Case, *, steps: int = STEPS, seed: int = 0) -> Orbit:
    """(θ, ψ) before the first and after every step of plain gradient descent."""
    rates = {"critic": f"sgd(rate={RATE * case.critic})", "generator": f"sgd(rate={RATE})"}
    by = Trainer(steps=steps, batch=BATCH, seed=seed, precision="64-true", optimizers=rates)
    model = DiracGAN(
        latent=1,
        game=case.game,
        penalties=case.penalties,
        hacks=case.hacks,
        single_step=case.at_once,
    )
    fit_model(model, torch.zeros(BATCH, 1, dtype=torch.float64), by=by)
    return [*model.path, model.now()]


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Run every case; the paths, and measured and exact growth of θ² + ψ²."""
    steps = max(2, round(budget * STEPS))
    played = {name: play(case, steps=steps, seed=seed) for name, case in CASES.items()}
    records = {name: measured(CASES[name], path, seed) for name, path in played.items()}
    rows = [[name, *row(records[name])] for name in CASES]
    off = max(r.details["off"] for r in records.values() if "off" in r.details)
    notes = [
        (
            f"data at 0, θ and ψ from {START}, {steps} steps of size {RATE:g}; growth is that of θ²"
            " + ψ² in a step, on average"
        ),
        f"Wasserstein and minimax at once: at every step within {off:.1g} of 1 + h² f'(θψ)²",
    ]
    heads = ("game and remedy", "growth of θ² + ψ², seen", "near (0, 0)", "distance at the end")
    words = {
        name: ", ".join(filter(None, (_growth(r.value), _outcome(r))))
        for name, r in records.items()
    }
    title = "The Dirac-GAN: one sample at θ, a critic ψ x, data at 0"
    figure = paths_in_plane(played, words=words, names=("θ", "ψ"), title=title)
    return Findings(records, heads, rows, notes, {"dirac": figure})


def measured(case: Case, path: Orbit, seed: int) -> Record:
    """Mean growth of θ² + ψ² per step, with its value near (0, 0).

    Where the growth is known at every point, also the largest deviation from it.
    """
    moduli = [theta**2 + psi**2 for theta, psi in path]
    observed = (moduli[-1] / moduli[0]) ** (1 / (len(moduli) - 1))
    details: dict[str, Any] = {"start": moduli[0] ** 0.5, "end": moduli[-1] ** 0.5, "rate": RATE}
    if case.growth is not None:
        details["near the solution"] = case.growth
    if case.exact:
        predicted = [1 + (RATE * case.slope(theta * psi)) ** 2 for theta, psi in path[:-1]]
        details["off"] = max(
            abs(b / a - growth) for (a, b), growth in zip(pairwise(moduli), predicted)
        )
    kind: Bound = "estimate" if case.hacks else "exact"
    return Record(
        "growth of the squared modulus in a step",
        observed,
        bound=kind,
        data=f"Dirac-GAN, seed {seed}",
        n=len(path) - 1,
        details=details,
    )


def row(record: Record) -> list[str]:
    """The cells of a case in the table."""
    expected = record.details.get("near the solution")
    return [
        f"{record.value:.4f}",
        "–" if expected is None else f"{expected:.4f}",
        f"{record.details['end']:.2g}",
    ]


def _growth(value: float) -> str:
    return f"× {value:.4f} a step"


def _outcome(record: Record) -> str:
    """Where a path ended, in words."""
    share = record.details["end"] / record.details["start"]
    return (
        "gone away"
        if share > 1.5
        else "arrived"
        if share < 0.05
        else "drawing near"
        if share < 0.5
        else "going round"
    )
