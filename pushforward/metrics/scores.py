"""Several sample metrics at once, with the features of both sets computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pushforward.core.errors import InvalidValue, suggestion
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.metrics.features import Features
from pushforward.metrics.frechet import fid
from pushforward.metrics.kernel_distances import kid, mmd
from pushforward.metrics.manifold import prdc
from pushforward.metrics.memorising import memorising
from pushforward.metrics.modes import diversity, modes
from pushforward.metrics.pairs import Pair
from pushforward.metrics.parzen import parzen
from pushforward.metrics.two_samples import c2st, ks

__all__ = ["scores", "METRICS", "WITH_TRAINING", "USUAL"]

METRICS: dict[str, Callable[..., Record | list[Record]]] = {
    "fid": fid, "kid": kid, "mmd": mmd, "prdc": prdc, "c2st": c2st, "ks": ks, "diversity": diversity,
}  # fmt: skip
"""Metrics of (real, generated, features=, rng=, data=)."""
WITH_TRAINING: dict[str, Callable[..., list[Record]]] = {"memorising": memorising, "parzen": parzen}
"""Metrics of (train, real, generated, features=, rng=, data=)."""
USUAL = ("fid", "kid", "prdc", "c2st")


def scores(
    real: Any,
    generated: Any,
    features: Features | None = None,
    *,
    metrics: Sequence[str] = USUAL,
    train: Any = None,
    centres: Any = None,
    sd: float | None = None,
    names: Sequence[str] = (),
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """Records of several metrics of generated (m, *shape) against real rows (n, *shape), in one feature space.

    Arguments:
        features: the space; raw if none is given.
        metrics: of METRICS; 'modes' (needs centres and sd); 'memorising' and 'parzen' (need train: the rows the model learnt from,
            the real rows then being those it did not see).
        centres, sd: of the modes, where they are known.
        names: of the features, for ks.
    """
    _check(metrics, train, centres, sd)
    pair = Pair.of(real, generated, features, data)
    shared: dict[str, Any] = {"features": pair.features.computed(), "rng": rng, "data": pair.data}
    learnt = None if train is None else pair.more(train, real, ("real", "training"))
    found: list[Record] = []
    for name in metrics:
        if name == "modes":
            made: Any = modes(generated, centres, float(sd or 0), data=data)
        elif name in WITH_TRAINING:
            made = WITH_TRAINING[name](learnt, pair.real, pair.generated, **shared)
        else:
            more = {"names": names} if name == "ks" else {}
            made = METRICS[name](pair.real, pair.generated, **shared, **more)
        found += [made] if isinstance(made, Record) else made
    return found


def _check(metrics: Sequence[str], train: Any, centres: Any, sd: float | None) -> None:
    """InvalidValue for an unknown metric, or one whose needs are not met."""
    known = (*METRICS, *WITH_TRAINING, "modes")
    for name in metrics:
        if name not in known:
            raise InvalidValue(f"unknown metric {name!r}; {suggestion(name, known)}")
        if name == "modes" and (centres is None or sd is None):
            raise InvalidValue("counting modes needs their centres and sd; pass both, or ask for diversity instead")
        if name in WITH_TRAINING and train is None:
            raise InvalidValue(f"{name} is judged by the rows the model learnt from; pass train (--train)")
