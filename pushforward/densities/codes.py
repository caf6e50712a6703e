"""The distribution of structured codes: noise, categories and uniform numbers side by side.

    z = [ε | c_1 | … | c_k | u]
        ε ~ N(0, s² I),  c_i one-hot and uniform over K_i categories,  u ~ U[-1, 1]

    log p(z) = log N(ε; 0, s² I) - Σ_i log K_i - (numbers in u) log 2

a density in ε and u, a mass in c; -∞ if a block is not one-hot or a number is beyond ±1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import register_kl

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.core.random import Rng, generator, integers, normal, uniform
from pushforward.densities.distribution import RowDistribution, rows_of
from pushforward.densities.normals import Normal

__all__ = ["StructuredCodes", "Parts", "checked_blocks"]


class Parts(NamedTuple):
    """A code split into noise (n, noise), a one-hot block (n, K)
    per category code, and numbers (n, continuous).
    """

    noise: Tensor
    categories: tuple[Tensor, ...]
    continuous: Tensor


@dataclass(eq=False)
class StructuredCodes(RowDistribution):
    """n identically distributed codes.

    Args:
        n: number of rows.
        noise: number of normal entries.
        categories: sizes of the one-hot blocks.
        continuous: number of entries uniform in [-1, 1].
        like: a tensor with the device and float type of the samples.
        scale: s, standard deviation of the noise.
    """

    n: int
    noise: int
    categories: tuple[int, ...]
    continuous: int
    like: Tensor
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.declare((self.n, sum(self.widths)), 1)

    @property
    def widths(self) -> list[int]:
        """Widths of the blocks, in order."""
        return [self.noise, *self.categories, self.continuous]

    @property
    def entropies(self) -> tuple[float, float]:
        """H of all category codes, Σ ln K, and of all uniform numbers, ln 2 each, in nats."""
        return sum(math.log(k) for k in self.categories), self.continuous * math.log(2)

    @property
    def mean(self) -> Tensor:
        """0, with 1/K in the blocks: (n, Σ widths)."""
        one = [torch.full((k,), 1 / k) for k in self.categories]
        return (
            torch.cat([torch.zeros(self.noise), *one, torch.zeros(self.continuous)])
            .to(self.like)
            .expand(self.n, -1)
        )

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> StructuredCodes:
        """The same distribution for another number of rows, (n,)."""
        return replace(self, n=rows_of(batch_shape))

    def parts(self, z: Tensor) -> Parts:
        """The blocks of z (n, Σ widths)."""
        noise, *blocks, numbers = z.split(self.widths, -1)
        return Parts(noise, tuple(blocks), numbers)

    def log_prob(self, z: Tensor) -> Tensor:
        """(n,), nats."""
        noise, blocks, numbers = self.parts(z)
        inside = (numbers.abs() <= 1).all(-1)
        for block in blocks:
            inside = inside & ((block == 0) | (block == 1)).all(-1) & (block.sum(-1) == 1)
        distribution = Normal.standard(1, self.noise, like=z)
        of_noise = distribution.log_prob(noise / self.scale) - self.noise * math.log(self.scale)
        return torch.where(inside, of_noise - sum(self.entropies), -torch.inf)

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """Codes (*sample_shape, n, Σ widths); no gradient to pass."""
        stream, shape = generator(rng, self.like.device), (*sample_shape, self.n)
        n = math.prod(shape)
        noise = self.scale * normal(n, self.noise, rng=stream, like=self.like)
        blocks = [
            torch.nn.functional.one_hot(integers(k, (n,), rng=stream, device=noise.device), k)
            for k in self.categories
        ]
        numbers = 2 * uniform(n, self.continuous, rng=stream, like=self.like) - 1
        codes = torch.cat([noise, *(block.to(noise) for block in blocks), numbers], 1)
        return codes.reshape(*shape, codes.shape[1])


def _kl_codes(q: StructuredCodes, p: StructuredCodes) -> Tensor:
    """The divergence of the noise, Σ log(s_p/s_q) + s_q²/(2 s_p²) - ½: everything else is equal.

    Raises:
        ShapeMismatch: If the codes have different blocks.
    """
    if q.widths != p.widths:
        raise ShapeMismatch(f"a divergence needs the same blocks, got {q.widths} and {p.widths}")
    ratio = q.scale / p.scale
    value = q.noise * (ratio**2 / 2 - math.log(ratio) - 0.5)
    return q.like.new_full(torch.broadcast_shapes(q.batch_shape, p.batch_shape), value)


register_kl(StructuredCodes, StructuredCodes)(_kl_codes)


def checked_blocks(categories: Sequence[int], continuous: int) -> tuple[tuple[int, ...], int]:
    """The sizes of category codes and the count of numbers.

    Raises:
        InvalidKind, InvalidValue: If they are none.
    """
    if isinstance(categories, (int, str)):
        raise InvalidKind(
            f"categories is a list of sizes, got {categories!r}; write"
            f" {setting('categories', (10,))}"
        )
    sizes = tuple(categories)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or size < 2:
            raise InvalidValue(
                f"each of categories must be a whole number, 2 or more, got {size!r}; () for none"
            )
    if continuous < 0:
        raise InvalidValue(f"continuous must not be below 0, got {continuous}; 0 for none")
    if not sizes and not continuous:
        raise InvalidValue(
            "a code needs categories or continuous numbers, got neither; use GAN, or"
            f" {setting('categories', (10,))}"
        )
    return sizes, continuous
