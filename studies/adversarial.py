"""GANs on known distributions: N(-1, 1), a ring of 8 modes, a grid of 25.

The players are those of the recipes `one-dimension` and `modes`; the best configuration is compared
with the vanilla GAN, with the same networks, batches and number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.core.random import derive
from pushforward.recipes import modes as several
from pushforward.recipes import one_dimension as line
from pushforward.recipes.runs import run_folder
from studies.study import RUNS, Study, Target, at_least, at_most

__all__ = ["STUDIES"]


def normal(seed: int) -> Mapping[str, Any]:
    """N(-1, 1) by the recipe's GAN, by the vanilla GAN, and before training."""
    x = line.draw(seed)
    samples = {
        "": line.learn(x, seed=seed, folder=RUNS / f"gan-1d-{seed}").sample(
            line.DRAWS, rng=derive(seed, "samples")
        ),
        "vanilla: ": line.vanilla(x, seed=seed).sample(line.DRAWS, rng=derive(seed, "samples")),
        "untrained: ": line.untrained(seed),
    }
    results: dict[str, Any] = {"steps": line.STEPS}
    for who, sample in samples.items():
        records = line.measured(sample, seed)
        results[f"{who}KS distance"] = records["KS distance"].value
        results[f"{who}|error of the mean|"] = abs(records["mean"].value - line.MEAN)
        results[f"{who}standard deviation"] = records["standard deviation"].value
    return results


def mixture(name: str, seed: int) -> Mapping[str, Any]:
    """Modes, high quality and reverse KL of 2500 samples, by player of the recipe `modes`."""
    results: dict[str, Any] = {"steps": several.SETS[name].steps}
    for player in several.PLAYERS[name]:
        sample = several.learn(
            name, player, seed=seed, folder=run_folder(RUNS, f"gan-{name}-{player}-{seed}")
        ).sample(several.DRAWS, rng=derive(seed, "samples"))
        count, good, divergence = several.measured(sample, name, seed)
        results[f"{player}: modes"] = count.value
        results[f"{player}: high quality"] = good.value
        results[f"{player}: reverse KL, nats"] = divergence.value
    results["ideal: high quality"], results["ideal: reverse KL, nats"] = (
        good.details["ideal"],
        divergence.details["ideal"],
    )
    return results


def ring(seed: int) -> Mapping[str, Any]:
    """The study of the ring."""
    return mixture("ring", seed)


def grid(seed: int) -> Mapping[str, Any]:
    """The study of the grid."""
    return mixture("grid", seed)


def _targets(modes: int) -> Mapping[str, Target]:
    """Targets of the best player."""
    return {
        f"{several.BEST}: modes": at_least(modes),
        f"{several.BEST}: high quality": Target(0.9, 0.995),
        f"{several.BEST}: reverse KL, nats": at_most(0.1),
    }


STUDIES = [
    Study(
        "gan-1d",
        "GAN on N(-1, 1), 10 000 samples, beside the vanilla GAN",
        normal,
        {
            "KS distance": at_most(0.05),
            "|error of the mean|": at_most(0.1),
            "standard deviation": Target(0.8, 1.2),
            "untrained: KS distance": at_least(0.3),
        },
        seeds=5,
    ),
    Study(
        "gan-ring",
        "GANs on a ring of 8 modes, sd .01, 2500 samples: vanilla, and with remedies",
        ring,
        _targets(8),
        seeds=5,
    ),
    Study(
        "gan-grid",
        "GANs on a grid of 25 modes, sd .05, 2500 samples: vanilla, and with remedies",
        grid,
        _targets(24),
    ),
]
