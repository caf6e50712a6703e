"""Critics that are auto-encoders, and norms that look at one row alone."""

from __future__ import annotations

import torch
from torch import nn

from pushforward.nets.adversaries import DeepConvolutional
from pushforward.nets.critics import (
    AutoencodingCritic,
    BatchDiscrimination,
    Closeness,
    Critic,
    row_by_row,
)
from pushforward.nets.mlp import MLP
from pushforward.nets.surgery import replace_batch_norm


def test_the_energy_is_the_length_of_the_error() -> None:
    encoder, decoder = MLP(3, (2,), (4,)), MLP(2, (3,), (4,))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    output, code = AutoencodingCritic(encoder, decoder)(x)
    assert torch.equal(code, encoder(x))
    assert torch.allclose(output[:, 0], -(x - decoder(encoder(x))).square().sum(1).sqrt())


def test_an_exact_restoration_has_no_nan_for_a_slope() -> None:
    critic = AutoencodingCritic(nn.Identity(), nn.Linear(2, 2, bias=False))
    critic.encoder.forward = lambda x, y=None: x  # type: ignore[method-assign, assignment, misc]
    critic.decoder.forward = lambda z, y=None: z * 1.0  # type: ignore[method-assign, assignment, misc]
    x = torch.randn(4, 2, requires_grad=True)
    critic(x)[0].sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros(4, 2))


def test_with_group_norm_a_row_is_judged_by_itself() -> None:
    pair = DeepConvolutional(4)
    trunk, width = pair.trunk((1, 16, 16))
    critic = Critic(trunk, pair.head(width), entry=pair.entry)
    x = torch.randn(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert not row_by_row(critic)
    assert not torch.allclose(critic(x)[:2], critic(x[:2]))  # type: ignore[index, arg-type]
    replace_batch_norm(critic)
    assert row_by_row(critic)
    assert torch.allclose(critic(x)[:2], critic(x[:2]), atol=1e-6)  # type: ignore[index, arg-type]


def test_closeness_has_the_right_slopes_of_both_orders() -> None:
    rows = torch.randn(
        3, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    assert torch.autograd.gradcheck(Closeness.apply, rows)
    assert torch.autograd.gradgradcheck(Closeness.apply, rows)


def discrimination() -> BatchDiscrimination:
    """Features of five, with three of two numbers;
    of some weights a rounding turns a difference's sign, of these none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BatchDiscrimination(5, 3, 2)


def test_batch_discrimination_of_bfloat16_weights_is_near_that_of_single_ones() -> None:
    layer, x = discrimination(), torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    exact = layer(x).detach()
    rounded = layer.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    assert torch.allclose(rounded.float(), exact, atol=0.1)
    assert float(exact[:, 5:].max()) > 0.3  # some rows are near each other


def test_batch_discrimination_in_bfloat16_has_a_slope() -> None:
    layer, x = (
        discrimination(),
        torch.randn(7, 5, generator=torch.Generator().manual_seed(0), requires_grad=True),
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    found.sum().backward()
    assert x.grad is not None
    rounded = x.grad.clone()
    x.grad = None
    layer(x).sum().backward()
    assert torch.allclose(rounded, x.grad, atol=0.1)
    assert float(x.grad.sub(1).abs().max()) > 0.01  # not of the appended features alone
