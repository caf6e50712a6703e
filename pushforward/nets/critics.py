"""Critics: a trunk of features φ(x, y) with a linear head, and further heads on the same features.

    c(x, y) = ⟨w, φ⟩ + b             the condition enters the trunk: appended, or embedded first
    c(x, y) = ⟨w, φ⟩ + b + ⟨V y, φ⟩  projection, φ of x alone
                                     (Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637, Eq. 3)
    further heads h_i(φ)             a classifier of conditions, a recogniser of codes
    φ' = [φ, o(φ)]                   batch discrimination
                                     (Salimans et al. 2016, https://arxiv.org/abs/1606.03498, §3.2)
    c(x, y) = -‖x - g(f(x, y), y)‖   an auto-encoder whose error is the energy
                                     (Zhao et al. 2017, https://arxiv.org/abs/1609.03126, §2.3)

with o the closeness of each row to all others of its batch, o_b = Σ_{j≠i}
exp(-‖M_{i,b} - M_{j,b}‖₁), M_i = T φ_i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from pushforward.nets.mlp import join

__all__ = [
    "Critic",
    "AutoencodingCritic",
    "Embedded",
    "BatchDiscrimination",
    "planes",
    "row_by_row",
    "Entry",
]

Entry = Callable[[Tensor, Tensor | None], Tensor]


class Critic(nn.Module):
    """x, y -> c(x, y) (n, 1); with further heads, a tuple of it and their outputs.

    Args:
        trunk: the layers of φ, whose output is (n, width).
        head: (n, width) -> (n, 1).
        entry: how x (n, *event) and y (n, …) become the trunk's input: `join` or `planes`.
        embedding: applied to y first.
        projection: y -> (n, width); the trunk then receives x alone.
        heads: further heads on the same features, (n, width) -> tensor.
    """

    def __init__(
        self,
        trunk: Sequence[nn.Module],
        head: nn.Module,
        *,
        entry: Entry = join,
        embedding: nn.Module | None = None,
        projection: nn.Module | None = None,
        heads: Sequence[nn.Module] = (),
        blind: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*trunk, head)
        self.entry, self.embedding, self.projection = entry, embedding, projection
        self.heads = nn.ModuleList(heads)
        self.blind = blind or projection is not None

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """(n, *event), (n, …) -> (n, 1), or that and more."""
        inputs = (
            None
            if self.blind or y is None
            else y.flatten(1)
            if self.embedding is None
            else self.embedding(y.flatten(1))
        )
        features = self.entry(x, inputs)
        *trunk, head = self.layers
        for layer in trunk:
            features = layer(features)
        output = head(features)
        if self.projection is not None and y is not None:
            output = output + (self.projection(y.flatten(1)) * features).sum(1, keepdim=True)
        return (output, *(h(features) for h in self.heads)) if len(self.heads) else output


class AutoencodingCritic(nn.Module):
    """x, y -> minus the energy ‖x - g(f(x, y), y)‖ (n, 1), and the code f(x, y) (n, code).

    Negative, so that a higher output means more like the data, as for every critic.

    Args:
        encoder: f, x (n, *event), y -> (n, code).
        decoder: g, (n, code), y -> (n, *event).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(n, *event), (n, …) -> (n, 1), (n, code)."""
        code = self.encoder(x, y)
        return -(x - self.decoder(code, y)).flatten(1).norm(dim=1, keepdim=True), code


def row_by_row(network: nn.Module | None) -> bool:
    """Whether a critic judges rows independently: one of ours,
    without batch norm or batch discrimination.
    """
    # unwrap modules wrapped for several processes or a precision
    network = getattr(network, "module", network)
    batchwise = (nn.modules.batchnorm._BatchNorm, BatchDiscrimination)
    if type(network) not in (Critic, AutoencodingCritic):
        return False
    assert network is not None
    return not any(isinstance(layer, batchwise) for layer in network.modules())


class Embedded(nn.Module):
    """A network of x and an embedding of y: f(x, E y).

    Args:
        network: f.
        inputs: numbers in one condition.
        size: numbers in its embedding.
    """

    def __init__(self, network: nn.Module, inputs: int, size: int) -> None:
        super().__init__()
        self.network, self.embedding = network, nn.Linear(inputs, size, bias=False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, …), (n, …) -> what the network gives."""
        scores: Tensor = self.network(x, None if y is None else self.embedding(y.flatten(1)))
        return scores


class BatchDiscrimination(nn.Module):
    """Features (n, width) with the closeness of each row to the
    rest of its batch appended (n, width + kernels).

    Args:
        width: numbers in one row of features.
        kernels: numbers appended.
        size: numbers compared for each.
    """

    def __init__(self, width: int, kernels: int = 16, size: int = 8) -> None:
        super().__init__()
        self.kernels, self.size = kernels, size
        self.weight = nn.Parameter(torch.randn(width, kernels * size) * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width) -> (n, width + kernels)."""
        # distances need single precision
        products = (x @ self.weight).to(torch.promote_types(self.weight.dtype, torch.float32))
        rows = products.reshape(len(x), self.kernels, self.size).transpose(0, 1).contiguous()
        others = Closeness.apply(rows)  # type: ignore[no-untyped-call]  # untyped in torch
        return torch.cat([x, others.T.to(x)], 1)


class Closeness(torch.autograd.Function):
    """o_ki = Σ_{j≠i} exp(-‖r_ki - r_kj‖₁) of rows (k, n, size), (k, n).

    Explicit differences of all pairs would take most of a critic's step, so torch's pairwise
    distances and their derivative are used. These cannot be differentiated twice: for second
    derivatives (a penalty on the slope), the explicit sum is differentiated.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        """(k, n, size) -> (k, n)."""
        apart = torch.cdist(rows, rows, p=1.0)
        close = (-apart).exp()
        ctx.save_for_backward(rows, apart, close)
        return close.sum(2) - 1.0  # each row's closeness to itself

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """(k, n) -> (k, n, size)."""
        rows, apart, close = ctx.saved_tensors
        if torch.is_grad_enabled():
            written_out = (-(rows[:, :, None] - rows[:, None]).abs().sum(-1)).exp().sum(2)
            exact: Tensor = torch.autograd.grad(written_out, rows, gradient, create_graph=True)[0]
            return exact
        # every pair counts for both rows
        both = -(gradient[:, :, None] + gradient[:, None]) * close
        if rows.device.type not in ("cpu", "cuda"):  # which alone have the derivative
            explicit: Tensor = (both[..., None] * (rows[:, :, None] - rows[:, None]).sign()).sum(2)
            return explicit
        slope: Tensor = torch.ops.aten._cdist_backward(both, rows, rows, 1.0, apart)
        return slope


def planes(x: Tensor, y: Tensor | None) -> Tensor:
    """Images with every number of the condition as a constant channel."""
    if y is None:
        return x
    return torch.cat([x, y.to(x)[:, :, None, None].expand(-1, -1, *x.shape[-2:])], 1)
