"""Which hacks for training GANs help: every case of the recipe `ablation` as a study.

python -m studies hacks-ring            five seeds of all cases on the ring of 8 modes
python -m studies hacks-grid-replay     three seeds of one case on the grid of 25
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pushforward.recipes import ablation
from pushforward.recipes.modes import SETS
from studies.study import Study

__all__ = ["STUDIES", "SEEDS"]

SEEDS = {"ring": 5, "grid": 3}


def played(name: str, case: str, seed: int) -> Mapping[str, Any]:
    """Measures of one GAN on a set, and those of an ideal sampler."""
    records = dict(zip(ablation.QUANTITIES, ablation.play(name, case, seed=seed), strict=True))
    ideal = {f"ideal: {quantity}": record.details["ideal"] for quantity, record in records.items()}
    return {
        "steps": ablation.STEPS,
        **{quantity: record.value for quantity, record in records.items()},
        **ideal,
    }


STUDIES = [
    Study(
        f"hacks-{name}-{case}",
        f"GAN on the {name}, hacks: {case}",
        partial(played, name, case),
        seeds=SEEDS[name],
    )
    for name in SETS
    for case in ablation.CASES
    # the default GAN already has it, so it is compared with minimax
    if case != "modified_loss"
]
