"""Which hacks help? Each of the 17 is switched on alone, on sets with known modes.

The GAN without any has two hidden layers of 128 ReLUs in each player, the non-saturating game (hack
2 itself: it is compared with the minimax game), no penalty, Adam at 1e-3 for both players, batches
of 256. The sets and the measures are those of `modes`. With several seeds, a change is reported
with the half-width of its 95 % interval by Welch's t, of standard error √(s₁²/n₁ + s₀²/n₀). A
verdict uses three numbers, so chance alone produces about one in seven.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.data import centres
from pushforward.experiments import fit_model
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.hacks import NOT_SWITCHES, list_hacks
from pushforward.plots.dots import dots
from pushforward.recipes import modes as several
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "play", "Case", "CASES", "QUANTITIES", "STEPS", "difference", "verdict"]

STEPS, QUICK = 5000, 1500
"""Training steps of a study, and of this recipe with the usual budget."""
HIDDEN, LATENT, RATE = (128, 128), 2, "adam(rate=0.001, beta1=0.5)"
QUANTITIES = ("modes", "high quality", "reverse KL, nats")
LEVEL = 0.95
"""Confidence level of every interval."""


@dataclass(frozen=True)
class Case:
    """A configuration of the GAN.

    Args:
        number: the hack's number; 0 for no hack.
        game, hacks: of the GAN.
        without: the case that differs from it only by the hack.
    """

    number: int = 0
    game: str = "non_saturating"
    hacks: tuple[str, ...] = ()
    without: str = "none"

    @property
    def labels(self) -> bool:
        """Whether the points come with the number of their mode."""
        return "labels" in self.hacks


def _cases() -> dict[str, Case]:
    results = {"none": Case(), "minimax": Case(game="minimax")}
    for number, name, _, _ in list_hacks():
        if name == "modified_loss":
            results[name] = Case(number, without="minimax")
        elif number not in NOT_SWITCHES and name != "embedded_conditions":
            results[name] = Case(number, hacks=(name,))
    return results


CASES: Mapping[str, Case] = _cases()
"""By the hack's name. Hacks 7, 10 and 11 are not switches; 16 does not apply to points."""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train every case once on both sets."""
    steps = max(1, round(budget * QUICK))
    played = {
        (name, case): play(
            name, case, seed=seed, steps=steps, folder=run_folder(folder, f"{name}-{case}")
        )
        for name in several.SETS
        for case in CASES
        if case != "modified_loss"
    }
    # the same GAN
    results = {**played, **{(name, "modified_loss"): played[name, "none"] for name in several.SETS}}
    records = {
        f"{name}, {case}: {r.quantity}": r for (name, case), row in results.items() for r in row
    }
    rows = [
        [
            str(c.number or ""),
            case,
            *(text for name in several.SETS for text in several.cells(results[name, case])),
        ]
        for case, c in CASES.items()
    ]
    heads = (
        "",
        "hack",
        *(
            f"{name}: {what}"
            for name in several.SETS
            for what in ("modes", "high quality (ideal)", "reverse KL (ideal)")
        ),
    )
    notes = [
        (
            f"{steps} steps of {several.BATCH}, one seed, so chance alone makes differences;"
            " `python -m studies hacks` plays several, longer"
        ),
        "modified_loss is the default: it is to be compared with minimax, all others with none",
        *(f"{name}: {why}" for name, _, why in NOT_SWITCHES.values()),
        "embedded_conditions: n/a on points, which have no channels",
    ]
    return Findings(records, heads, rows, notes, {"ablation": image(results)})


def play(
    name: str, case: str, *, seed: int, steps: int = STEPS, folder: Path | None = None
) -> list[Record]:
    """Modes, high-quality share and reverse KL of one GAN trained on a set."""
    how, x = CASES[case], several.data(name, seed)
    middles = centres(several.SETS[name].source).to(x)
    y = torch.cdist(x, middles).argmin(1) if how.labels else None
    model = GAN(
        latent=LATENT,
        hidden=HIDDEN,
        activation="relu",
        game=how.game,
        penalties=(),
        hacks=how.hacks,
    )
    optimizers = (
        {"generator": RATE}
        if "sgd_critic" in how.hacks
        else dict.fromkeys(("critic", "generator"), RATE)
    )
    by = Trainer(steps=steps, batch=several.BATCH, seed=seed, optimizers=optimizers)
    fit_model(model, x, y, by=by, folder=folder)
    modes = len(centres(several.SETS[name].source))
    conditions = None if y is None else torch.arange(several.DRAWS) % modes
    return several.measured(
        model.sample(several.DRAWS, y=conditions, rng=derive(seed, "samples")), name, seed
    )


def image(results: Mapping[tuple[str, str], Sequence[Record]]) -> Any:
    """Rows for the cases and columns for each quantity of each set.

    A line marks the GAN without any hack.
    """
    panels = {}
    for name in several.SETS:
        for i, quantity in enumerate(QUANTITIES):
            panels[f"{name}: {quantity}"] = (
                {case: (r := results[name, case][i]).value for case in CASES},
                results[name, "none"][i].value,
                r.details["ideal"],
            )
    return dots(panels, title="Each hack by itself", mark="without any hack", ideal="ideal sampler")


def difference(on: Sequence[float], off: Sequence[float]) -> tuple[float, float]:
    """Difference of the means with and without a hack, and the half-width of its interval.

    The half-width is 0 if all values are equal.

    Reference: Welch (1947), https://doi.org/10.1093/biomet/34.1-2.28, with the degrees of freedom
        of Satterthwaite (1946), https://doi.org/10.2307/3002019.
    """
    from scipy.stats import t as student

    change = statistics.fmean(on) - statistics.fmean(off)
    if min(len(on), len(off)) < 2:
        return change, math.inf
    parts = [(statistics.variance(values) / len(values), len(values) - 1) for values in (on, off)]
    squared = sum(part for part, _ in parts)
    if not squared:
        return change, 0.0
    freedom = squared**2 / sum(part**2 / degrees for part, degrees in parts)
    return change, math.sqrt(squared) * float(student.ppf(1 - (1 - LEVEL) / 2, freedom))


def verdict(
    changes: Mapping[str, tuple[float, float]], off: Mapping[str, float], ideal: Mapping[str, float]
) -> str:
    """'better', 'worse', 'mixed' or 'no difference'.

    It uses the quantities whose change is larger than its half-width. More modes are better, and so
    is less divergence; the high-quality share is better if it is nearer to the ideal one.

    More modes are better, and so is less divergence;
    for the high-quality share it is being nearer to the ideal one.
    """
    signs = set()
    for quantity, (change, width) in changes.items():
        if abs(change) <= width:
            continue
        nearer = abs(off[quantity] + change - ideal[quantity]) < abs(
            off[quantity] - ideal[quantity]
        )
        signs.add(nearer)
    return {
        frozenset(): "no difference",
        frozenset({True}): "better",
        frozenset({False}): "worse",
    }.get(frozenset(signs), "mixed")
