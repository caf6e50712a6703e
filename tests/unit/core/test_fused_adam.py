"""The quick step of Adam is torch's fused one, to the last bit."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from pushforward.core.fused_adam import FusedAdam
from pushforward.core.phase import adam

HOW = {"lr": 1e-2, "betas": (0.5, 0.99), "eps": 1e-6}


def parameters(dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    stream = torch.Generator().manual_seed(0)
    return [
        torch.nn.Parameter(torch.randn(*shape, generator=stream, dtype=dtype))
        for shape in ((5, 3), (3,), (7, 2, 2))
    ]


def gradients(step: int, like: list[torch.nn.Parameter]) -> list[Tensor]:
    stream = torch.Generator().manual_seed(100 + step)
    return [torch.randn(p.shape, generator=stream, dtype=p.dtype) for p in like]


def moved(
    optimizer: torch.optim.Optimizer, own: list[torch.nn.Parameter], steps: range, without: int = -1
) -> None:
    for step in steps:
        optimizer.param_groups[0]["lr"] = 1e-2 / (1 + step)
        for i, (p, g) in enumerate(zip(own, gradients(step, own))):
            p.grad = None if i == 1 and step == without else g
        optimizer.step()


def both(
    dtype: torch.dtype = torch.float32,
) -> tuple[FusedAdam, list[torch.nn.Parameter], torch.optim.Adam, list[torch.nn.Parameter]]:
    one, two = parameters(dtype), parameters(dtype)
    return FusedAdam(one, **HOW), one, torch.optim.Adam(two, fused=True, **HOW), two  # type: ignore[arg-type]


def assert_same(one: list[torch.nn.Parameter], two: list[torch.nn.Parameter]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one, two))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("without", [-1, 0, 3])
def test_moves_as_torch_does(dtype: torch.dtype, without: int) -> None:
    quick, one, plain, two = both(dtype)
    moved(quick, one, range(8), without)
    moved(plain, two, range(8), without)
    assert_same(one, two)


def test_weights_decay_as_torchs() -> None:
    one, two, still = (parameters(torch.float32) for _ in range(3))
    moved(FusedAdam(one, **HOW, weight_decay=0.1), one, range(8))  # type: ignore[arg-type]
    moved(torch.optim.Adam(two, fused=True, **HOW, weight_decay=0.1), two, range(8))  # type: ignore[arg-type]
    moved(FusedAdam(still, **HOW), still, range(8))  # type: ignore[arg-type]
    assert_same(one, two)
    assert not torch.equal(one[0], still[0])


def test_a_loaded_state_is_gone_on_from() -> None:
    quick, one, plain, two = both()
    moved(quick, one, range(5))
    kept, weights = copy.deepcopy(quick.state_dict()), [p.detach().clone() for p in one]
    moved(quick, one, range(5, 9))
    quick.load_state_dict(kept)
    with torch.no_grad():
        for p, w in zip(one, weights):
            p.copy_(w)
    moved(quick, one, range(5, 12))
    moved(plain, two, range(12))
    assert_same(one, two)


def test_most_steps_do_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    own = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda self, closure=None: (calls.append(1), own(self, closure))[1],
    )
    quick, one, *_ = both()
    moved(quick, one, range(6), without=4)
    assert len(calls) == 1  # the one without a gradient


def test_parameters_of_two_types_are_moved_by_torch() -> None:
    mixed = [parameters()[0], parameters(torch.float64)[1]]
    start = [p.detach().clone() for p in mixed]
    moved(FusedAdam(mixed, **HOW), mixed, range(3))  # type: ignore[arg-type]
    assert all(not torch.equal(p, s) for p, s in zip(mixed, start))


def test_it_is_what_adam_builds() -> None:
    built = adam(1e-2, beta1=0.5).build(parameters())
    assert isinstance(built, FusedAdam)
    assert built.param_groups[0]["betas"] == (0.5, 0.999)


@pytest.mark.parametrize("at", [5, 6])
def test_a_loaded_state_counts_each_parameter_once(at: int) -> None:
    """The parameters of a state share a count; a gradient is missing right after it is loaded."""
    quick, one, plain, two = both()
    moved(quick, one, range(5))
    again = FusedAdam(one, **HOW)  # type: ignore[arg-type]
    again.load_state_dict(quick.state_dict())
    moved(again, one, range(5, 9), without=at)
    moved(plain, two, range(9), without=at)
    assert_same(one, two)
    counts = [float(again.state[p]["step"]) for p in one]
    assert counts == [float(plain.state[p]["step"]) for p in two] == [9.0, 8.0, 9.0]


def test_neither_it_nor_a_fit_loads_the_compiler() -> None:
    """PyTorch's optimisers load it at their first step; it takes as long as importing torch."""
    code = (
        "import sys, torch, pushforward as pf; pf.VAE(2).fit(torch.rand(40, 3), steps=2);"
        " print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1:] == ["False"]


def test_sparse_gradients_are_refused_as_by_torch() -> None:
    own = torch.nn.Parameter(torch.ones(3, 2))
    own.grad = torch.ones(3, 2).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        FusedAdam([own], **HOW).step()  # type: ignore[arg-type]
