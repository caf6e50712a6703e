"""Facts about a data set before fitting: counts, ranges, missing, constant and infinite values.

`Facts` merge, so a scan can stream. Models refuse issues they do not accept;
`pushforward data` prints them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.core.extremes import column_extremes
from pushforward.core.moments import Moments, choose_unit
from pushforward.core.phase import Batch
from pushforward.core.registry import models_accepting
from pushforward.core.source import Source
from pushforward.core.space import Space

__all__ = ["Facts", "Issue", "scan"]


@dataclass(frozen=True)
class Issue:
    """A property of the data that some models refuse.

    Args:
        name: its name in `Model.accepts`.
        text: what was found, and where.
        advice: what to do about it.
        alternative: the data that other models accept; '' if there are none.
    """

    name: str
    text: str
    advice: str
    alternative: str = ""

    @property
    def remedy(self) -> str:
        """The advice, with the models that accept such data if there is an alternative."""
        if not self.alternative:
            return self.advice
        names = ", ".join(models_accepting(self.name))
        return (
            f"{self.advice}, or use a model that takes"
            f" {self.alternative}{f' ({names})' if names else ''}"
        )


@dataclass(frozen=True)
class Facts:
    """Facts per flattened coordinate (d,) over `count` rows.

    Moments cover rows with finite values.
    """

    count: int
    moments: Moments
    low: Tensor
    high: Tensor
    missing: Tensor
    infinite: Tensor

    @classmethod
    def of(cls, batch: Batch, *, moments: bool = True) -> Facts:
        """Facts of one block of rows.

        Without `moments`, most of the work, standard ones are used.
        """
        rows = batch.x.detach().reshape(len(batch.x), -1).to("cpu")
        weights = None if batch.weights is None else batch.weights.to("cpu")
        if len(rows) and rows.shape[1]:
            low, high = _extremes(rows)  # NaN and infinity both show in the extremes
            if np.isfinite(low.numpy()).all() and np.isfinite(high.numpy()).all():
                none = torch.zeros(rows.shape[1], dtype=torch.int64)
                facts = (
                    Moments.of(rows, weights)
                    if moments
                    else _standard_moments(len(rows), rows.shape[1])
                )
                return cls(len(rows), facts, low, high, none, none)
        x = rows.to(torch.float64)
        missing, infinite = torch.isnan(x), torch.isinf(x)
        usable = ~(missing | infinite)
        low = (
            torch.where(usable, x, torch.inf).amin(0)
            if len(x)
            else x.new_full(x.shape[1:], torch.inf)
        )
        high = (
            torch.where(usable, x, -torch.inf).amax(0)
            if len(x)
            else x.new_full(x.shape[1:], -torch.inf)
        )
        return cls(
            len(x), _column_moments(x, usable, weights), low, high, missing.sum(0), infinite.sum(0)
        )

    def merge(self, other: Facts, *, moments: bool = True) -> Facts:
        """Facts of both blocks together; without `moments`, those of one block are kept."""
        return Facts(
            self.count + other.count,
            self.moments.merge(other.moments) if moments else self.moments,
            torch.minimum(self.low, other.low),
            torch.maximum(self.high, other.high),
            self.missing + other.missing,
            self.infinite + other.infinite,
        )

    def issues(self, space: Space) -> Iterable[Issue]:
        """Issues that a model may refuse, worst first."""
        names = space.names if space.kind == "points" and space.shape else ()

        def column(where: Tensor) -> str:
            first = int(where.nonzero()[0])
            return f"column {names[first]!r}" if names else f"value {first}"

        if bool(self.infinite.any()):
            text = f"{column(self.infinite > 0)} holds infinity ({int(self.infinite.sum())} in all)"
            yield Issue("infinite", text, "remove or replace those values")
        if bool(self.missing.any()):
            first = int(self.missing[self.missing > 0][0])
            others = int((self.missing > 0).sum()) - 1
            more = f"; so do {others} other column{'s' if others > 1 else ''}" if others else ""
            text = (
                f"{column(self.missing > 0)} holds missing values (NaN, in {first} of {self.count}"
                f" rows{more})"
            )
            yield Issue(
                "missing", text, "drop those rows or columns, fill them in", "missing values"
            )
        if self.count == 1:
            yield Issue("single", "there is only one row", "bring more data")
        elif space.kind == "points":
            constant = (self.low == self.high) & torch.tensor(
                [c.kind != "categorical" for c in space.columns] or [True]
            )
            if bool(constant.any()):
                text = (
                    f"{column(constant)} is constant ({float(self.low[constant][0]):g} in all"
                    f" {self.count} rows)"
                )
                yield Issue("constant", text, "drop it")
        elif bool((self.low == self.high).all()):
            yield Issue("constant", "all observations are the same", "bring data that vary")
        if space.categorical and not space.is_label:
            text = (
                f"column {next(c.name for c in space.columns if c.kind == 'categorical')!r} is"
                " categorical"
            )
            yield Issue("categorical", text, "drop it", "categories")


BLOCK_NUMBERS = 1 << 19
"""Numbers in a block: 4 MB of float64, which caches hold; see `scan` for larger ones."""
EXTREMES_NUMBERS = 1 << 22
"""Numbers in a block of wide rows if only the extremes count: merging costs as much as a row."""


def scan(
    source: Source, *, most: int | None = None, block: int | None = None, moments: bool = True
) -> Facts:
    """Facts over all rows, or over evenly spaced blocks of at most `most` rows in total.

    Blocks fit the caches: with blocks of 2^23 numbers, each row takes three times as long.
    """
    if block is None:
        width = max(1, source.take(torch.zeros(min(1, len(source)), dtype=torch.int64)).x.numel())
        most_numbers = BLOCK_NUMBERS if moments else EXTREMES_NUMBERS
        block = max(1, min(8192, most_numbers // width))
    starts = list(range(0, len(source), block))
    if most is not None and len(source) > most:
        keep = max(1, most // block)
        starts = [starts[round(i * (len(starts) - 1) / max(1, keep - 1))] for i in range(keep)]
    numbers = block * max(1, source.space.size)
    together = max(1, BLOCK_NUMBERS // numbers) if source.resident else 1
    facts: Facts | None = None
    for i in range(0, len(starts), together):
        own = [torch.arange(s, min(s + block, len(source))) for s in starts[i : i + together]]
        part = Facts.of(source.take(torch.cat(own)), moments=moments)
        facts = part if facts is None else facts.merge(part, moments=moments)
    if facts is None:
        raise ValueError("nothing to scan: the data have no rows")
    return Facts(len(source), facts.moments, facts.low, facts.high, facts.missing, facts.infinite)


def _extremes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest values (d,) of rows (n, d), float64, NaN where one is missing."""
    if rows.dtype == torch.bfloat16:  # NumPy has no such numbers
        ends = rows.aminmax(dim=0)
        return ends.min.to(torch.float64), ends.max.to(torch.float64)
    low, high = column_extremes(rows.numpy())
    return torch.from_numpy(low.astype(np.float64)), torch.from_numpy(high.astype(np.float64))


def _standard_moments(n: int, d: int) -> Moments:
    return Moments(
        torch.tensor(float(n), dtype=torch.float64),
        torch.zeros(d, dtype=torch.float64),
        torch.full((d,), float(n)).double(),
    )


def _column_moments(x: Tensor, usable: Tensor, weights: Tensor | None) -> Moments:
    """Moments of each column over its usable values; the count (d,) is per column."""
    if not len(x):
        none = x.new_zeros(x.shape[1])
        return Moments(none, none, none)
    w = usable.to(x.dtype) * (1.0 if weights is None else weights.to(x)[:, None])
    origin = torch.where(usable, x, torch.inf).amin(0)
    origin = torch.where(torch.isfinite(origin), origin, 0.0)
    x = torch.where(usable, x, origin) - origin
    count = w.sum(0)
    shift = (w * x).sum(0) / count.clamp_min(torch.finfo(x.dtype).tiny)
    centred = torch.where(usable, x - shift, 0.0)
    unit = choose_unit(centred)
    if unit is None:
        return Moments(count, origin + shift, (w * centred.square()).sum(0))
    return Moments(count, origin + shift, (w * (centred / unit).square()).sum(0), unit)
