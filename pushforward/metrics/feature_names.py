"""Feature spaces by name, as on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch

from pushforward.core.argument_names import argument
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.plugins import load_plugins
from pushforward.core.random import Rng
from pushforward.metrics import clips
from pushforward.metrics.classifiers import classifier
from pushforward.metrics.efficientnet import efficientnet
from pushforward.metrics.feature_spaces import pca, raw, scaled
from pushforward.metrics.features import Features
from pushforward.metrics.samples import rows

__all__ = ["NAMES", "check_features", "find_features", "register_features", "users_features"]

NAMES = ("raw", "scaled", "pca", "classifier", "efficientnet", "frames", "movement")
Maker = Callable[..., Features]
_registered: dict[str, Maker] = {}


def register_features(name: str) -> Callable[[Maker], Maker]:
    """Decorator: register a feature space for `--features NAME` of compare and evaluate.

    The function receives the real rows (n, *shape), and as keywords `labels` (n,) or None, `low`
    and `high` (the range of image values), `device` and `rng`; it returns `Features`.
    """

    def accept(maker: Maker) -> Maker:
        if name in NAMES or (name in _registered and _registered[name] is not maker):
            raise InvalidValue(
                f"features named {name!r} are already registered; choose another name"
            )
        _registered[name] = maker
        return maker

    return accept


def users_features() -> list[str]:
    """The names of the registered feature spaces, which are all the user's."""
    return list(_registered)


def find_features(
    text: str,
    real: Observations,
    labels: Observations | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    device: torch.device | str = "cpu",
    rng: Rng = 0,
) -> Features:
    """The feature space of a name.

    Names are raw, scaled, pca, pca(50), classifier (needs labels) and efficientnet; of clips also
    frames and movement, frames(50) and movement(50) (`metrics.clips`).

    Args:
        real: the real data, to which scaled, pca, classifier, frames and movement are fitted.
        labels: labels of the real data (n,).
        low, high: the range of image values, for scaled, efficientnet, frames and movement, which
            scale it to [0, 1].
        device: device for efficientnet.
    """
    name, number = _parse(text)
    if name in _registered:
        return _registered[name](real, labels=labels, low=low, high=high, device=device, rng=rng)
    if name == "classifier":
        if labels is None:
            raise InvalidValue(
                "a classifier's features need labels of the real data; pass"
                f" {argument('label')}, or use pca or efficientnet"
            )
        return classifier(real, labels, rng=rng)
    if name == "efficientnet":
        return efficientnet(
            low=0.0 if low is None else low, high=255.0 if high is None else high, device=device
        )
    if name in ("frames", "movement"):
        of_clips = clips.frames if name == "frames" else clips.movement
        return of_clips(real, None if number is None else int(number), low=low, high=high)
    if name == "scaled":
        return scaled(real, low=low, high=high)
    return raw().with_origin(rows(real)) if name == "raw" else pca(real, int(number or 50))


def check_features(texts: Sequence[str]) -> None:
    """Check the names of feature spaces, before there are rows to look at in them.

    Raises:
        InvalidValue: For an unknown name, or for a number that its space does not take.
    """
    for text in texts:
        _parse(text)


def _parse(text: str) -> tuple[str, str | None]:
    """The name of a feature space, and its number, if any: 'pca(50)' is 'pca' and '50'."""
    match = re.fullmatch(r"\s*([a-z0-9_-]+)\s*(?:\(\s*(?:k\s*=\s*)?(\d+)\s*\))?\s*", text.lower())
    name, number = (match[1], match[2]) if match else (text, None)
    if name not in (*NAMES, *_registered):
        load_plugins()
    if name not in (*NAMES, *_registered):
        raise InvalidValue(f"unknown features {text!r}; {suggest(name, (*NAMES, *_registered))}")
    if number is not None and name not in ("pca", "frames", "movement"):
        raise InvalidValue(f"{name} takes no number, got {text!r}; only pca does: pca({number})")
    return name, number
