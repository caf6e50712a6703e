"""Models that are tried for a table, the simplest first, of sizes that suit the number of rows."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushforward.core.capabilities import capabilities
from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.registry import catalogue, model_class
from pushforward.core.space import Space

__all__ = ["Candidate", "SIMPLEST_FIRST", "usual_candidates"]

SIMPLEST_FIRST = ("independent", "gmm", "copula", "mixed", "vae", "tvae", "ctgan")
"""The models that are tried, by how much they can express: the first of equals is chosen."""
COMPONENTS = (1, 2, 4, 8, 16)
"""Numbers of components that are tried of mixtures."""
ROWS_PER_COMPONENT = 10
"""Rows per column for each component at least; a covariance of fewer is mostly noise."""
FEW, MANY = 1000, 10_000
"""Rows below which networks are small, and from which they have the published sizes."""


@dataclass(frozen=True)
class Candidate:
    """A model to try.

    Args:
        model: its registered name.
        settings: arguments of the model.
        fitter: settings of its own fitter.
    """

    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    fitter: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name with the settings, as in Python."""
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.settings.items())
        return f"{self.model}({arguments})" if arguments else self.model

    @property
    def learns(self) -> bool:
        """Whether it is trained by gradients, and takes whatever time it is given."""
        return issubclass(model_class(self.model), Learner)

    @property
    def has_likelihood(self) -> bool:
        """Whether it has a density or a bound on it."""
        return bool({"HasDensity", "HasBound"} & set(capabilities(model_class(self.model))))

    def build(self) -> Model:
        """The model, not fitted yet."""
        model: Model = model_class(self.model)(**self.settings)
        return model


def usual_candidates(space: Space, rows: int, names: Sequence[str] = ()) -> list[Candidate]:
    """The candidates for a table, the simplest first.

    Args:
        space: of the rows.
        rows: their number in training.
        names: models to try, and no others; by default all of `SIMPLEST_FIRST`.

    Raises:
        InvalidValue: For a name that is no model.
    """
    wrong = [name for name in names if name not in catalogue]
    if wrong:
        raise InvalidValue(f"unknown model {wrong[0]!r}; {suggest(wrong[0], catalogue)}")
    chosen = names or [name for name in SIMPLEST_FIRST if name in catalogue]
    rank = {name: place for place, name in enumerate(SIMPLEST_FIRST)}
    ordered = sorted(dict.fromkeys(chosen), key=lambda name: rank.get(name, len(rank)))
    return [candidate for name in ordered for candidate in _of_model(name, space, rows)]


def _of_model(name: str, space: Space, rows: int) -> list[Candidate]:
    if name in ("gmm", "mixed") and "components" in _arguments(name):
        most = rows / (ROWS_PER_COMPONENT * max(1, len(space.columns)))
        counts = [k for k in COMPONENTS if k == 1 or k <= most]
        return [Candidate(name, {"components": k}) for k in counts]
    if name in NETWORKS:
        likelihood = {"likelihood": "columns"} if name == "vae" and space.categorical else {}
        size = NETWORKS[name][0 if rows < FEW else 1 if rows < MANY else 2]
        steps = {"batch": max(20, min(128, rows // 20))} if name == "vae" else {}
        return [Candidate(name, {**size, **likelihood}, FITTERS[name] | steps)]
    return [Candidate(name)]


def _arguments(name: str) -> Sequence[str]:
    return list(inspect.signature(model_class(name).__init__).parameters)  # type: ignore[misc]


NETWORKS: dict[str, list[dict[str, Any]]] = {
    "vae": [
        {"latent": 4, "hidden": (32,)},
        {"latent": 8, "hidden": (128,)},
        {"latent": 16, "hidden": (256, 256)},
    ],
    "tvae": [
        {"latent": 8, "hidden": (32, 32)},
        {"latent": 32, "hidden": (128, 128)},
        {"latent": 128, "hidden": (128, 128)},
    ],
    "ctgan": [
        {"latent": 32, "hidden": (64, 64), "critic_hidden": (64, 64)},
        {"latent": 128, "hidden": (128, 128), "critic_hidden": (128, 128)},
        {"latent": 128, "hidden": (256, 256), "critic_hidden": (256, 256)},
    ],
}
"""Settings for few, for more and for many rows."""
CHOSEN_WEIGHTS = {"held_out": 0.1, "keep_best": True, "patience": 8}
"""Networks with a bound are kept where a tenth of their training rows says that they are best."""
FITTERS: dict[str, dict[str, Any]] = {
    "vae": {"epochs": 300, **CHOSEN_WEIGHTS},
    "tvae": {"epochs": 300, **CHOSEN_WEIGHTS},
    "ctgan": {"epochs": 300},
}
