r"""The distribution of a table's row from TVAE's decoder: mixtures of normals, and categories.

For a number with modes m, of which the decoder gives probabilities p_m, and one location a,

    p(x|z) = Σ_m p_m N((x - μ_m)/(4σ_m); a, s²) / (4σ_m),

since the mode that a value is encoded by is no part of the data: the sum over modes is what the
decoder says of x, per unit of the user's coordinates. Missing values are left out, as if integrated
over; a column's probability of being missing is no part of its values' density.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pushforward.core.random import Rng, generator, normal, uniform
from pushforward.densities.distribution import RowDistribution
from pushforward.models.tabular.mode_encoding import Block, ModeEncoding

__all__ = ["ModeColumns"]


@dataclass(eq=False)
class ModeColumns(RowDistribution):
    """Independent columns given the decoder's outputs, in the coordinates of an encoding.

    Args:
        encoding: of the rows.
        outputs: α before its tanh, and logits, (n, width).
        sigmas: of α, one for each numeric column, (k,).
    """

    encoding: ModeEncoding
    outputs: Tensor
    sigmas: Tensor

    def __post_init__(self) -> None:
        self.declare(self.outputs.shape, 1)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> ModeColumns:
        """The same distribution for more rows."""
        return ModeColumns(self.encoding, self.outputs.expand(*batch_shape, -1), self.sigmas)

    @property
    def mean(self) -> Tensor:
        """Encoded rows (n, width): the mean of α, and probabilities, none of them of gaps."""
        parts = []
        for block in self.encoding.blocks:
            if block.numeric:
                parts.append(self.alpha(block)[:, None])
            probabilities = self.log_shares(block).exp()
            parts.append(probabilities)
            if block.missing:
                parts.append(torch.zeros_like(probabilities[:, :1]))
        return torch.cat(parts, 1)

    def log_prob(self, u: Tensor) -> Tensor:
        """Σ over columns whose value is known, (n,), nats, per unit of the user's coordinates."""
        total = self.outputs.new_zeros((), dtype=torch.float64)
        for block, sigma in self._with_sigmas():
            known = u[:, block.named].sum(1) > 0
            if sigma is None:
                logs = (u[:, block.named] * self.log_shares(block)).sum(1)
            else:
                logs = self._log_density(u, block, sigma)
            total = total + torch.where(known, logs, 0.0)
        return total

    def rsample(
        self, sample_shape: Sequence[int] = (), *, rng: Rng = None, gaps: bool = False
    ) -> Tensor:
        """Encoded rows (n, width): draws of α and of one-hot entries; with `gaps`, 'missing' too.

        No gradients reach the one-hot entries.
        """
        stream, parts = generator(rng, self.outputs.device), []
        for block, sigma in self._with_sigmas():
            if sigma is not None:
                alpha = self.alpha(block)
                noise = normal(*sample_shape, *alpha.shape, rng=stream, like=alpha)
                parts.append((alpha + sigma * noise)[..., None])
            logits = self.outputs[:, block.choices if gaps else block.named]
            shape, device = (*sample_shape, *logits.shape), logits.device
            u = uniform(*shape, rng=stream, device=device, dtype=torch.float64)
            gumbel = -(-u.clamp_min(torch.finfo(u.dtype).tiny).log()).log()
            entries = block.choices.stop - block.choices.start
            parts.append(one_hot((logits + gumbel).argmax(-1), entries).to(logits))
        return torch.cat(parts, -1)

    def alpha(self, block: Block) -> Tensor:
        """The location of a number's α, (n,)."""
        return self.outputs[:, block.start].tanh()

    def log_shares(self, block: Block) -> Tensor:
        """Log-probabilities of a column's modes or categories, if it is not missing, (n, count)."""
        return self.outputs[:, block.named].log_softmax(1)

    def values(self, block: Block) -> Tensor:
        """The mean of a number in each of its modes, (n, count), user's units."""
        modes = block.modes
        return self.encoding.shift[modes] + self.encoding.scale[modes] * self.alpha(block)[:, None]

    def _log_density(self, u: Tensor, block: Block, sigma: Tensor) -> Tensor:
        """log p(x|z) of a number (n,)."""
        alpha, mode = u[:, block.start].to(torch.float64), u[:, block.named].argmax(1)
        x = self.encoding.value(alpha, mode, block)
        width = self.encoding.scale[block.modes]
        each = (x[:, None] - self.encoding.shift[block.modes]) / width
        score = (each - self.alpha(block)[:, None]) / sigma
        normals = -0.5 * (score.square() + math.log(2 * math.pi)) - sigma.log() - width.log()
        return (self.log_shares(block) + normals).logsumexp(1)

    def _with_sigmas(self) -> list[tuple[Block, Tensor | None]]:
        """Blocks, each with its sigma if it is of a number."""
        sigmas = iter(self.sigmas)
        return [(b, next(sigmas) if b.numeric else None) for b in self.encoding.blocks]
