"""Feature spaces: the spaces in which two sets of samples are compared.

A feature space maps observations (n, *shape), in the user's units, to vectors (n, d) in float64.
Every sample metric depends on it as much as on the samples: the same images score 22 in one space
and 54 in another. A space therefore has a name and a fingerprint of everything it depends on
(weights, axes, scales), both stored in each record; records of different spaces cannot be compared.

* raw: the coordinates, flattened, in the user's units.
* scaled: coordinates without units. Points:
  mean 0 and variance 1 per coordinate on the real data; images: [0, 1].
* pca(k): the first k principal components of the real data, user's units, not whitened.
* classifier: the last hidden layer of a network trained on the
  user's labels (`metrics.classifiers`).
* efficientnet: EfficientNet-lite0 trained on ImageNet, from the `[metrics]` extra: 1280 channels
  averaged over the 7×7 positions.
* module: any torch module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from pushforward.core.counting import count_rows
from pushforward.core.data_types import Observations
from pushforward.metrics.samples import rows
from pushforward.metrics.whole_numbers import find_origin, subtract_origin

__all__ = ["Features", "digest", "flatten"]

ROUNDING = 8 * torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Features:
    """A map from observations to vectors.

    Args:
        name: its name.
        fingerprint: hash of everything the map depends on.
        function: maps (b, *shape) float64 to (b, d), in blocks of rows, without gradients.
        preparation: description of the preprocessing (resizing, scaling).
        facts: further facts, e.g. a classifier's accuracy.
        block: rows per block.
        rounding: relative rounding error of features; distances that differ by no more are ties.
        head: maps features (b, d) to log-probabilities (b, classes),
            if the space is a layer of a classifier.
        origin: whole numbers (*shape) subtracted before `function`; see `metrics.whole_numbers`.
        offset: the contribution (d,) of the origin to the features, if not added back.

    Example:
        >>> from pushforward.metrics.feature_spaces import raw
        >>> space = raw()
        >>> space(torch.ones(5, 1, 2, 2)).shape, space.label
        (torch.Size([5, 4]), "raw (flattened, user's units)")
    """

    name: str
    fingerprint: str
    function: Callable[[Tensor], Tensor]
    preparation: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    block: int = 4096
    rounding: float = ROUNDING
    head: Callable[[Tensor], Tensor] | None = None
    origin: Tensor | None = None
    offset: Tensor | None = None

    @property
    def label(self) -> str:
        """Name, preparation and fingerprint, which must be equal for records to be compared."""
        prepared = f" ({self.preparation})" if self.preparation else ""
        return f"{self.name}{prepared}" + (f" #{self.fingerprint}" if self.fingerprint else "")

    @torch.no_grad()
    def __call__(self, x: Observations) -> Tensor:
        """Map x (n, *shape) to features (n, d), float64 on the CPU."""
        x = rows(x)
        found: Tensor | None = None
        for start in range(0, max(1, len(x)), self.block):
            part = self.function(subtract_origin(x[start : start + self.block], self.origin))
            part = part.detach().flatten(1)
            if found is None:
                found = torch.empty(len(x), part.shape[1], dtype=torch.float64)
            found[start : start + len(part)] = part
            if len(x) > self.block:
                count_rows(f"seen by {self.name}", start + len(part), len(x))
        assert found is not None
        return found

    def compact(self, x: Observations) -> Tensor:
        """The features of x; raw numbers in float32 remain in it, and are not copied."""
        x = rows(x)
        if self.function is flatten and self.origin is None and x.dtype == torch.float32:
            return x.detach().to("cpu").flatten(1).contiguous()
        return self(x)

    def precomputed(self) -> Features:
        """The same space for rows that are already features."""
        return replace(self, function=flatten, origin=None)

    def with_origin(self, *sets: Tensor) -> Features:
        """The same space with the origin of sets of rows (n, *shape).

        Only a raw space without an origin changes.
        """
        if self.function is not flatten or self.offset is not None:
            return self
        origin = find_origin(*sets)
        return (
            self
            if origin is None
            else replace(self, origin=origin, offset=origin.to(torch.float64).flatten())
        )


def digest(tensors: Iterable[Tensor]) -> str:
    """A short hash of the numbers, dtypes and shapes of tensors."""
    state = hashlib.blake2b(digest_size=5)
    for tensor in tensors:
        value = tensor.detach().cpu().contiguous()
        state.update(f"{value.dtype}{tuple(value.shape)}".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return state.hexdigest()


def flatten(u: Tensor) -> Tensor:
    """Flatten observations (b, *shape) to vectors (b, d)."""
    return u.flatten(1)
