"""Vital signs of adversarial training, from samples and critic outputs, and their diagnosis.

accuracy        the critic's accuracy at distinguishing samples from data
overfitting     (E c(seen) - E c(unseen)) / (E c(seen) - E c(g)): the share of the critic's margin
                over samples that is specific to its training rows (Karras et al. 2020,
                https://arxiv.org/abs/2006.06676, Eq. 1); 0 if explained by chance
slope           E|∂L/∂c(g)| of the generator's loss: at 0 the game is saturated
diversity       mean distance between samples, over that between rows of data
nearest_row     median distance of a sample to its nearest row, over that of a row to its nearest
                other row
nearest_sample  median distance of a row to its nearest sample, over the same
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from pushforward.core.argument_names import setting
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch
from pushforward.models.parts.adversary import Adversary
from pushforward.objectives.games import Game

__all__ = [
    "UNIFORM",
    "WON",
    "adversarial_vitals",
    "distances",
    "overfitting",
    "slope",
    "gradient_norm",
    "symptoms",
]

WON = 0.98
"""Accuracy of a critic from which on the generator is hardly told anything."""
UNIFORM = 0.05
"""Distance between samples, relative to that between rows, that means collapse.

At a twentieth, all samples are nearly one.
"""
OVERFITTED = 0.5
"""Share of the critic's margin, on its training rows alone, that means overfitting.

Beyond half, the critic relies on memory.
"""
SATURATED = 0.01
"""Mean slope of the generator's loss below which it stands still."""
ERRORS = 3.0
"""Standard errors that chance explains."""
NARROW = 64
"""Columns up to which distances are taken by differences.

Of wider rows products are faster, and near pairs rare.
"""


def adversarial_vitals(
    adversary: Adversary,
    critic: nn.Module,
    batch: Batch,
    fake: Tensor,
    training: tuple[Tensor, Tensor | None],
    display: Callable[[Tensor], Tensor],
) -> dict[str, float]:
    """Accuracy, overfitting, slope and distances.

    They are computed from held-out rows, as many samples, and training rows.

    Args:
        adversary, critic: of the verdicts.
        batch: rows (n, *event) the critic has not seen, with conditions.
        fake: samples (n, *event) under the same conditions.
        training: training rows, with conditions; possibly empty.
        display: transform of rows before the critic.
    """

    def outputs(x: Tensor, y: Tensor | None) -> Tensor:
        return adversary.look_at_all(critic, display(x) if len(x) else x, y)

    on_real, on_fake = outputs(batch.x, batch.y), outputs(fake, batch.y)
    on_seen = outputs(
        training[0].to(batch.x), None if training[1] is None else training[1].to(batch.x)
    )
    vitals = {
        "accuracy": float(adversary.game.right(on_real, on_fake).mean()),
        **distances(fake, batch.x),
    }
    vitals["overfitting"] = overfitting(on_seen, on_real, on_fake)
    vitals["slope"] = slope(adversary.game, on_fake, on_real)
    return vitals


def distances(fake: Tensor, real: Tensor) -> dict[str, float]:
    """Diversity, nearest_row and nearest_sample, from generated and real rows (n, …) and (m, …)."""
    fake, real = fake.flatten(1), real.flatten(1)
    among_real, among_fake, across = (
        _distances(real, real),
        _distances(fake, fake),
        _distances(fake, real),
    )
    n, m = len(fake), len(real)
    alike = among_real.sum() / max(1, m * (m - 1))
    usual = (
        (among_real + torch.full_like(among_real, torch.inf).diag().diag()).amin(1).median()
        if m > 1
        else alike
    )
    tiny = 1e-12
    return {
        "diversity": float(among_fake.sum() / max(1, n * (n - 1)) / alike.clamp_min(tiny)),
        "nearest_row": float(across.amin(1).median() / usual.clamp_min(tiny)),
        "nearest_sample": float(across.amin(0).median() / usual.clamp_min(tiny)),
    }


def overfitting(training: Tensor, unseen: Tensor, fake: Tensor) -> float:
    """The overfitting of a critic from its outputs on training rows, held-out rows and samples."""
    if min(len(training), len(unseen)) < 2:
        return 0.0
    gap, margin = training.mean() - unseen.mean(), training.mean() - fake.mean()
    error = (training.var() / len(training) + unseen.var() / len(unseen)).sqrt()
    return (
        float(gap / margin)
        if bool((gap > ERRORS * error) & (margin > gap.clamp_min(0)))
        else float(gap > ERRORS * error)
    )


def slope(game: Game, fake: Tensor, real: Tensor) -> float:
    """E|∂L/∂c(g)| of the generator's loss, from the critic's outputs."""
    with torch.enable_grad():
        outputs = fake.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(
            game.generator(outputs, real[: len(fake)].detach()).sum(), outputs
        )
    return float(gradient.abs().mean())


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float | None:
    """The norm of the latest gradient; None if there is none."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return float(get_total_norm(gradients)) if gradients else None


def symptoms(vitals: Mapping[str, float]) -> list[Symptom]:
    """A critic that has won or overfits, a generator without a gradient, collapsed samples."""
    results = []
    if vitals["accuracy"] > WON:
        remedy = (
            f"{setting('penalties', ['r1(gamma=10)'])}, a lower rate for the critic than for the"
            f" generator ({setting('optimizers', {'critic': 'adam(rate=5e-5, beta1=0.5)'})}), or"
            f" noise on its inputs ({setting('hacks', ['input_noise'])})"
        )
        results.append(
            Symptom(
                "the critic dominates", f"it recognises {vitals['accuracy']:.0%} of samples", remedy
            )
        )
    if vitals["diversity"] < UNIFORM:
        remedy = (
            f"{setting('penalties', ['r1(gamma=10)'])}, {setting('packing', 2)},"
            f" {setting('game', 'relativistic')}, a lower rate for the generator (two time scales),"
            f" or old samples for the critic ({setting('hacks', ['replay'])})"
        )
        results.append(
            Symptom(
                "collapse",
                f"samples are {vitals['diversity']:.0%} as spread out as the data",
                remedy,
            )
        )
    if vitals["overfitting"] > OVERFITTED:
        remedy = (
            f"more data, {setting('augment', ['flip', 'crop(padding=2)'])},"
            f" {setting('penalties', ['r1(gamma=10)'])}, or a smaller critic"
        )
        text = (
            f"{vitals['overfitting']:.0%} of its margin over samples is specific to rows it has"
            " seen"
        )
        results.append(Symptom("the critic overfits", text, remedy))
    if vitals["slope"] < SATURATED and vitals["accuracy"] > 0.9:
        remedy = (
            f"{setting('game', 'non_saturating')} (or {setting('hacks', ['modified_loss'])}), or a"
            " lower rate for the critic"
        )
        results.append(
            Symptom(
                "saturation", f"the generator's loss has a slope of {vitals['slope']:.1g}", remedy
            )
        )
    return results


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Distances (n, m), at least in single precision.

    For narrow rows by differences, accurate for near ones.
    """
    a, b = (rows.to(torch.promote_types(rows.dtype, torch.float32)) for rows in (a, b))
    mode = (
        "donot_use_mm_for_euclid_dist"
        if a.shape[1] <= NARROW
        else "use_mm_for_euclid_dist_if_necessary"
    )
    return torch.cdist(a, b, compute_mode=mode)
