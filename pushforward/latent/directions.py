"""Attribute directions: the direction of a labelled property in latent space, with its accuracy.

From codes with the attribute (mean m_1) and without it (mean m_0), a unit vector v:

    means         v ∝ m_1 - m_0
                  (Radford et al. 2016, §6.3, https://arxiv.org/abs/1511.06434; White 2016,
                  https://arxiv.org/abs/1609.04468)
    discriminant  v ∝ (S + ε tr(S)/d I)⁻¹ (m_1 - m_0)
                  (Fisher 1936, https://doi.org/10.1111/j.1469-1809.1936.tb02137.x; S the mean
                  covariance within the classes)

The first direction changes the attribute, the second predicts it. Either may be made orthogonal to
other directions, so that moving along it does not affect those. The class means are D =
vᵀ(m_1 - m_0) apart along v, which is the unit of strength: z + s D v with s = 1 moves one class's
mean to the other's position along v. Whether v is meaningful is measured by classifying held-out
rows at the midpoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue, ShapeMismatch, one_of
from pushforward.core.random import Rng, generator, permutation
from pushforward.core.records import Record

__all__ = ["Direction", "direction"]

By: TypeAlias = Literal["means", "discriminant"]
"""What a direction goes by: the classes' means, or Fisher's linear discriminant."""


RIDGE = 1e-3
"""ε: the share of the mean variance added to every direction's variance."""


@dataclass(frozen=True)
class Direction:
    """The direction of an attribute in latent space.

    Args:
        vector: v (latent,), of length 1, toward more of the attribute.
        distance: D, between the class means along it.
        middle: the decision threshold along v.
        accuracy: record of the balanced accuracy on held-out rows; 0.5 is chance.
    """

    vector: Tensor
    distance: float
    middle: float
    accuracy: Record

    def apply(self, codes: Tensor, strength: float | Tensor = 1.0) -> Tensor:
        """Codes (n, latent) moved by `strength` class distances, one for all or (n,).

        Negative removes the attribute.
        """
        amount = torch.as_tensor(strength, dtype=codes.dtype, device=codes.device)
        return codes + (amount * self.distance)[..., None] * self.vector.to(codes)

    def position(self, codes: Tensor) -> Tensor:
        """Strength of the attribute in codes (n, latent): (n,).

        It is -½ and ½ at the class means, 0 at the midpoint.
        """
        return (codes @ self.vector.to(codes) - self.middle) / self.distance


def direction(
    codes: Tensor,
    labels: ArrayLike | Tensor,
    *,
    positive: object = None,
    by: By = "means",
    orthogonal_to: Sequence[Direction | Tensor] = (),
    held_out: float = 0.2,
    rng: Rng = 0,
) -> Direction:
    """The direction of an attribute, estimated from most rows, with its accuracy on the others.

    Args:
        codes: (n, latent).
        labels: (n,), two different values (the larger is the attribute),
            or any number of them with `positive`.
        positive: the label of the attribute; all others lack it.
        orthogonal_to: directions or vectors (latent,) to be orthogonal to.
        held_out: share of each class's rows held out to measure the accuracy.
        rng: selects those rows.
    """
    if codes.ndim != 2:
        raise ShapeMismatch(f"codes must have shape (n, latent), got {tuple(codes.shape)}")
    one_of("by", by, get_args(By))
    if not 0 < held_out < 1:
        raise InvalidValue(
            f"held_out must be a fraction between 0 and 1, got {held_out}; pass 0.2, say"
        )
    z = codes.detach().to("cpu", torch.float64)
    has = _attribute(labels, positive, len(z))
    learn, test = _split_rows(has, held_out, rng)
    one, two = z[learn & has], z[learn & ~has]
    gap = one.mean(0) - two.mean(0)
    vector = gap if by == "means" else torch.linalg.solve(_within_covariance(one, two), gap)
    vector = _orthogonalise(vector, orthogonal_to)
    distance, middle = float(vector @ gap), float(vector @ (one.mean(0) + two.mean(0))) / 2
    if distance <= 0:
        raise InvalidValue(
            "the classes do not differ along this direction after making it orthogonal to the"
            " others; leave one of them out"
        )
    record = _accuracy((z[test] @ vector > middle) == has[test], has[test], by)
    return Direction(vector.to(codes), distance, middle, record)


def _attribute(labels: ArrayLike | Tensor, positive: object, n: int) -> Tensor:
    """Which rows have the attribute (n,)."""
    values = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if values.shape != (n,):
        raise ShapeMismatch(
            f"labels must have one entry for each of {n} codes, got shape {values.shape}"
        )
    kinds = np.unique(values)
    if positive is None and len(kinds) != 2:
        raise InvalidValue(
            f"expected two different labels, got {len(kinds)}; name the attribute:"
            f" positive={kinds[-1]!r}"
        )
    label = kinds[-1] if positive is None else positive
    has = torch.as_tensor(values == label)
    if not bool(has.any()) or bool(has.all()):
        some = ", ".join(map(str, kinds[:10]))
        raise InvalidValue(
            f"expected rows with the label {label!r} and rows without it; the labels are {some}"
        )
    return has


def _split_rows(has: Tensor, share: float, rng: Rng) -> tuple[Tensor, Tensor]:
    """Training and test rows (n,), sampled per class."""
    stream, test = generator(rng), torch.zeros_like(has)
    for rows in (has.nonzero()[:, 0], (~has).nonzero()[:, 0]):
        if len(rows) < 2:
            raise BadSource(
                "a direction needs at least 2 rows with the attribute and 2 without, one of each to"
                " test on; bring more rows"
            )
        count = min(max(round(share * len(rows)), 1), len(rows) - 1)
        test[rows[permutation(len(rows), rng=stream).to(rows.device)[:count]]] = True
    return ~test, test


def _within_covariance(one: Tensor, two: Tensor) -> Tensor:
    """The covariance within the classes, pooled, with a ridge."""
    centred = torch.cat([one - one.mean(0), two - two.mean(0)])
    spread = centred.T @ centred / len(centred)
    ridge = RIDGE * spread.diagonal().mean() + torch.finfo(spread.dtype).tiny
    return spread + ridge * torch.eye(len(spread), dtype=spread.dtype)


def _orthogonalise(vector: Tensor, others: Sequence[Direction | Tensor]) -> Tensor:
    """The part of a vector orthogonal to the others, of length 1."""
    size = float(vector.norm())
    if others:
        basis = torch.stack(
            [(o.vector if isinstance(o, Direction) else o).detach().to(vector) for o in others], 1
        )
        left, singular, _ = torch.linalg.svd(basis, full_matrices=False)
        span = left[:, singular > 1e-10 * singular.max()]
        vector = vector - span @ (span.T @ vector)
    if not float(vector.norm()) > 1e-8 * size:
        raise InvalidValue(
            "this direction vanishes: the class means agree, or it lies in the span of the others"
        )
    unit: Tensor = vector / vector.norm()
    return unit


def _accuracy(right: Tensor, has: Tensor, by: str) -> Record:
    """Mean accuracy over both classes: 0.5 by chance, however unequal the classes."""
    shares, variance = [], 0.0
    for rows in (right[has], right[~has]):
        shares.append(float(rows.double().mean()))
        # (k + 1)/(n + 2): a small class is never classified with certainty.
        smooth = (float(rows.sum()) + 1) / (len(rows) + 2)
        variance += smooth * (1 - smooth) / len(rows) / 4
    details = {"chance": 0.5, "with": shares[0], "without": shares[1], "by": by}
    return Record(
        "balanced accuracy",
        sum(shares) / 2,
        math.sqrt(variance),
        bound="estimate",
        n=len(right),
        details=details,
    )
