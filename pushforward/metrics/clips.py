r"""Measures of clips (n, channels, time, height, width): how they move, and what their masks cover.

With values from low to high scaled to [0, 1],

    motion       E = mean |x_{t+1} - x_t|²;  the record is E of samples over E of the data
    consistency  1 - E / mean_{s≠t} |x_t - x_s|²,  von Neumann's ratio: 0 for frames in any order,
                 near 1 where neighbours are alike and distant frames are not
    moving       pixels that differ from their median over time by more than `THRESHOLD`

Numbers depend on the clips' frames, stride and size, which records state; metrics from networks
trained on films (FVD) are not offered, since their weights would have to be fetched. Reference: von
Neumann (1941), https://doi.org/10.1214/aoms/1177731677
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, require_positive
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.metrics.feature_spaces import pca
from pushforward.metrics.features import Features
from pushforward.metrics.layouts import require_one_layout
from pushforward.metrics.pairs import describe_rows
from pushforward.metrics.samples import rows

__all__ = [
    "THRESHOLD",
    "consistency",
    "frames",
    "masks",
    "motion",
    "motion_energy",
    "movement",
    "moving_pixels",
]

THRESHOLD = 0.1
"""Difference from the still background from which a pixel counts as moving, as a share of the range
of values: 25 levels of 255, more than the noise of compression.
"""
BOXES = (4, 8, 8)
"""Parts of time, height and width whose mean differences are features."""
COMPONENTS = 50
"""Components of features, as in feature spaces of images: covariances of so many are soon regular.
"""


def motion_energy(x: Tensor) -> Tensor:
    """The mean squared difference of successive frames of each clip (n,)."""
    return x.diff(dim=2).square().flatten(1).mean(1)


def moving_pixels(x: Tensor) -> Tensor:
    """Where clips in [0, 1] differ from their still background (n, 1, t, h, w), in any channel."""
    still = x.median(2, keepdim=True).values
    return (x - still).abs().amax(1, keepdim=True) > THRESHOLD


def motion(
    real: Observations,
    generated: Observations,
    *,
    low: float | None = None,
    high: float | None = None,
    rng: Rng = 0,
    data: str = "",
    **facts: Any,
) -> Record:
    """Motion energy of generated clips as a share of that of real ones.

    Args:
        real, generated: clips (n, channels, time, height, width) of one shape.
        low, high: the range of values.
        rng: unused; part of the signature shared by all metrics.
        data: description of the real clips for the record.
        facts: of the clips, for the record: stride, frame rate.

    Raises:
        ShapeMismatch: If they are not clips of one shape.
    """
    x, y, facts, data = _prepare(real, generated, low, high, data, facts)
    (a, da), (b, db) = _moments(motion_energy(x)), _moments(motion_energy(y))
    if a == 0:
        raise InvalidValue("the real clips do not move, so nothing can be a share of their motion")
    ratio = b / a
    error = math.hypot(db / a, ratio * da / a)
    return _record("motion", ratio, error, len(y), data, facts, ideal=1.0, samples=b, truth=a)


def consistency(
    real: Observations,
    generated: Observations,
    *,
    low: float | None = None,
    high: float | None = None,
    rng: Rng = 0,
    data: str = "",
    **facts: Any,
) -> Record:
    """Temporal consistency of generated clips, with that of the real ones in the details.

    Args:
        real, generated, low, high, rng, data, facts: as `motion`.
    """
    x, y, facts, data = _prepare(real, generated, low, high, data, facts)
    truth, values = _consistency(x), _consistency(y)
    value, error = _moments(values)
    ideal = float(truth.mean())
    return _record("consistency", value, error, len(y), data, facts, ideal=ideal, truth=ideal)


def masks(
    x: Tensor, mask: Tensor, *, low: float, high: float, data: str = "", **facts: Any
) -> list[Record]:
    """What masks (n, 1, t, h, w) of generated clips cover.

    The records are the mean of the masks; the IoU of their pixels above one half with those that
    move, over the clips in which anything is masked or moves, if there are any; and the variance
    over time of the clips' pixels, weighted by the mask and by its complement.
    """
    x = (rows(x).to(torch.float64) - low) / (high - low)
    mask = mask.to(torch.float64)
    facts = {**_facts(x, low, high, facts), "generated": len(x)}
    lit, moves = mask > 0.5, moving_pixels(x)
    both, either = ((lit & moves).flatten(1).sum(1), (lit | moves).flatten(1).sum(1))
    lively = either > 0  # or there is nothing to agree on
    overlap = both[lively] / either[lively]
    variance = x.var(2, correction=0, keepdim=True).mean(1, keepdim=True).expand_as(mask)

    def weighted(weight: Tensor) -> Tensor:
        return (weight * variance).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1e-12)

    values = {
        "mask": mask.flatten(1).mean(1),
        "mask IoU": overlap,
        "foreground variance": weighted(mask),
        "background variance": weighted(1 - mask),
    }
    return [
        _record(name, *_moments(each), len(each), data, facts, threshold=THRESHOLD)
        for name, each in values.items()
        if len(each)
    ]


def _consistency(x: Tensor) -> Tensor:
    """The consistency of each clip (n,); clips that stand still have 1."""
    t = x.shape[2]
    # mean over pairs s ≠ t of |x_s - x_t|² is 2 t / (t - 1) times the variance
    distant = 2 * t / (t - 1) * x.var(2, correction=0).flatten(1).mean(1)
    near = motion_energy(x)
    return torch.where(distant > 0, 1 - near / distant.clamp_min(1e-300), 1.0)


def _moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard error."""
    n = len(values)
    error = float(values.std(correction=1)) / math.sqrt(n) if n > 1 else math.nan
    return float(values.mean()), error


def _prepare(
    real: Observations,
    generated: Observations,
    low: float | None,
    high: float | None,
    data: str,
    facts: dict[str, Any],
) -> tuple[Tensor, Tensor, dict[str, Any], str]:
    """Both sets in [0, 1], the facts of the record and a description of the real one."""
    one, two = rows(real), rows(generated)
    require_one_layout(one, two)
    require_clips(one)
    if one.shape[1:] != two.shape[1:]:
        raise ShapeMismatch(
            f"clips compare only at one size and length: expected {tuple(one.shape[1:])}, got"
            f" {tuple(two.shape[1:])}; cut them with frames=… and size=…"
        )
    low = float(one.min()) if low is None else low
    high = float(one.max()) if high is None else high
    if not high > low:
        raise InvalidValue(f"clips need a range with low < high, got {low:g} and {high:g}")
    x, y = ((each.to(torch.float64) - low) / (high - low) for each in (one, two))
    named = {**_facts(one, low, high, facts), "real": len(x), "generated": len(y)}
    return x, y, named, data or describe_rows(one)


def require_clips(x: Tensor) -> None:
    """Raise ShapeMismatch unless x are clips of at least two frames."""
    if x.ndim != 5 or x.shape[2] < 2:
        raise ShapeMismatch(
            "this metric is of clips (n, channels, time, height, width) of at least two frames, got"
            f" {tuple(x.shape)}"
        )


def _facts(x: Tensor, low: float, high: float, facts: dict[str, Any]) -> dict[str, Any]:
    _, _, t, h, w = x.shape
    stride = int(facts.get("stride", 1))
    length = (t - 1) * stride + 1
    space = (
        f"clips of {t} frames {h}×{w}, stride {stride}, {length} frames of the file long, values"
        f" {low:g}..{high:g} to [0, 1]"
    )
    counts = {"frames": t, "stride": stride, "length": length}
    return {"features": space, "feature_space": space, **facts, **counts}


def _record(
    quantity: str,
    value: float,
    error: float,
    n: int,
    data: str,
    facts: dict[str, Any],
    **details: Any,
) -> Record:
    return Record(
        quantity, value, error, bound="estimate", data=data, n=n, details={**facts, **details}
    )


# ----------------------------------------------------------------------------------------- features


def frames(
    x: Observations, k: int | None = None, *, low: float | None = None, high: float | None = None
) -> Features:
    """Single frames as a feature space: the components of one frame of each clip, in turn.

    Frame i mod t of clip i, so that rows are independent. There are k components of frames of the
    real clips x, by default 50, or a quarter of the clips.

    Args:
        low, high: the range of values, which is scaled to [0, 1]; if None they are left as they
            are.
    """
    clips = _clips(x)
    prepare, preparation = _to_shares(low, high)
    space = pca(_in_turn(prepare(clips)), _components(clips, k))
    time = clips.shape[2]
    return replace(
        space,
        name=f"frames of {space.name}",
        preparation=f"{preparation}one frame of each clip, in turn, of {time}",
        function=lambda u: space(_in_turn(prepare(u))),
        origin=None,
        block=time * max(1, 2048 // time),  # so that turns go on from block to block
    )


def movement(
    x: Observations, k: int | None = None, *, low: float | None = None, high: float | None = None
) -> Features:
    """Where and when clips move, as a feature space.

    The mean |difference| of successive frames in boxes of space and time, 4×8×8 at most; of these k
    components of the real clips x, by default 50, or a quarter of the clips.

    Args:
        low, high: as of `frames`.
    """
    clips = _clips(x)
    prepare, preparation = _to_shares(low, high)
    boxes = tuple(min(b, s) for b, s in zip(BOXES, (clips.shape[2] - 1, *clips.shape[3:])))

    def pooled(u: Tensor) -> Tensor:
        change = prepare(u).to(torch.float64).diff(dim=2).abs().mean(1, keepdim=True)
        return adaptive_avg_pool3d(change, boxes).flatten(1)

    space = pca(pooled(clips), _components(clips, k))
    shown = "×".join(map(str, boxes))
    return replace(
        space,
        name=f"movement of {space.name}",
        preparation=f"{preparation}mean |difference| of frames in {shown} boxes",
        function=lambda u: space(pooled(u)),
        origin=None,
        block=256,
    )


def _to_shares(low: float | None, high: float | None) -> tuple[Callable[[Tensor], Tensor], str]:
    """The function that scales a range of values to [0, 1], and its description."""
    if low is None or high is None:
        return (lambda u: u), ""
    if not high > low:
        raise InvalidValue(f"clips need a range with low < high, got {low:g} and {high:g}")
    start, width = low, high - low
    return (lambda u: (u.to(torch.float64) - start) / width), f"{low:g}..{high:g} to [0, 1], "


def _clips(x: Observations) -> Tensor:
    clips = rows(x)
    if clips.ndim != 5 or clips.shape[2] < 2:
        raise InvalidKind(
            "these features are of clips (n, channels, time, height, width), got shape"
            f" {tuple(clips.shape)}; use raw or pca"
        )
    return clips


def _components(clips: Tensor, k: int | None) -> int:
    require_positive(k=k)
    return k or max(1, min(COMPONENTS, len(clips) // 4))


def _in_turn(u: Tensor) -> Tensor:
    """Frame i mod t of clip i (n, c, h, w)."""
    each = torch.arange(len(u))
    return u[each, :, each % u.shape[2]]
