"""Feature spaces: coordinates, principal components, and user-defined networks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward.core.data_types import Observations
from pushforward.core.errors import (
    InvalidKind,
    ShapeMismatch,
    require_positive,
)
from pushforward.metrics.features import ROUNDING, Features, digest, flatten
from pushforward.metrics.gauge import mean_and_deviation
from pushforward.metrics.samples import rows
from pushforward.metrics.whole_numbers import find_origin, subtract_origin
from pushforward.models.classical.pca import PCA

__all__ = ["raw", "scaled", "pca", "module"]


def raw() -> Features:
    """The coordinates, unchanged."""
    return Features("raw", "", flatten, "flattened, user's units")


def scaled(x: Observations, *, low: float | None = None, high: float | None = None) -> Features:
    """Coordinates without units, from the real data x.

    Points are standardised, images scaled to [0, 1].

    For images and clips, low and high are the range of values; by default that of x. Constant
    coordinates are divided by the mean standard deviation of the others.
    """
    x = rows(x)
    origin = find_origin(x) if x.ndim == 2 else None
    x = subtract_origin(x, origin)
    if x.ndim == 2:
        shift, scale = mean_and_deviation(x)
        preparation = "each coordinate standardised"
    else:
        shift = x.min() if low is None else torch.tensor(low, dtype=torch.float64)
        scale = (x.max() if high is None else torch.tensor(high, dtype=torch.float64)) - shift
        preparation = f"[{float(shift):g}, {float(shift + scale):g}] to [0, 1]"
        scale = torch.where(scale > 0, scale, 1.0)
    return Features(
        "scaled",
        digest(_drop_none(origin, shift, scale)),
        lambda u: ((u - shift) / scale).flatten(1),
        preparation,
        origin=origin,
    )


def pca(x: Observations, k: int = 50) -> Features:
    """The first k principal components of the real data x, at most its coordinates and rows."""
    require_positive(k=k)
    x = rows(x)
    origin = find_origin(x)
    flat = subtract_origin(x, origin).flatten(1)
    count = min(k, flat.shape[1], len(flat) - 1)
    if count < 1:
        raise ShapeMismatch(
            f"components need at least two rows of the real data, got {len(flat)}; bring more"
        )
    model = PCA(count).fit(flat, accelerator="cpu")  # features are computed there
    mean, axes = model.mean_, model.components_
    share = float(model.explained_variance_ratio_.sum())
    fingerprint = digest(_drop_none(origin, mean, axes))
    return Features(
        f"pca({count})",
        fingerprint,
        lambda u: (u.flatten(1).to(mean.device) - mean) @ axes.T,
        facts={"explained": share},
        rounding=8 * ROUNDING,
        origin=origin,
    )


def module(
    network: object,
    name: str = "",
    *,
    prepare: Callable[[Tensor], Tensor] | None = None,
    preparation: str = "",
    dtype: torch.dtype | None = None,
) -> Features:
    """A user's torch module as a feature space.

    Args:
        network: (b, *shape) to (b, ...), which is flattened; called in evaluation mode.
        name: name in records; by default the class of the network.
        prepare: applied to observations first.
        preparation: its description, for records.
        dtype: dtype of its inputs, e.g. float64 if it standardises them itself;
            by default that of its weights.
    """
    if not isinstance(network, nn.Module):
        raise InvalidKind(
            f"a feature space needs a torch module, got {type(network).__name__}; wrap a"
            " function in one"
        )
    tensors = network.state_dict()
    weights = [*network.parameters(), *tensors.values()]
    first = next((t for t in weights if t.is_floating_point()), torch.zeros(()))

    def features(u: Tensor) -> Tensor:
        was = network.training
        network.eval()
        try:
            inputs = (u if prepare is None else prepare(u)).to(first.device, dtype or first.dtype)
            outputs: Tensor = network(inputs)
            return outputs
        finally:
            network.train(was)

    if prepare is not None and not preparation:
        preparation = f"prepared by {getattr(prepare, '__qualname__', type(prepare).__name__)}"
    return Features(
        name or type(network).__name__,
        digest(tensors.values()),
        features,
        preparation,
        block=256,
        rounding=_rounding_share(first),
    )


def _drop_none(origin: Tensor | None, *rest: Tensor) -> tuple[Tensor, ...]:
    return rest if origin is None else (origin, *rest)


def _rounding_share(weights: Tensor) -> float:
    """Relative rounding error of a network's outputs, by the dtype of its weights."""
    return (
        max(ROUNDING, 8 * torch.finfo(weights.dtype).eps)
        if weights.is_floating_point()
        else ROUNDING
    )
