"""Blocks of rows: the same numbers as all rows at once,
gradients where asked for, and memory that follows the result.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from pushforward.core import blocks
from pushforward.core.blocks import map_blocks
from tests import small_models

X = torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def fitted(name: str, y: Any = None) -> Any:
    return small_models.fitted(name, X, y, steps=3).double()


VERBS = {
    ("vae", "sample"): lambda m, y: m.sample(100, y=y, rng=0, using="mean"),
    ("vae", "encode"): lambda m, y: m.encode(X, y),
    ("vae", "decode"): lambda m, y: m.decode(codes(m), y),
    ("autoencoder", "encode"): lambda m, y: m.encode(X, y),
    ("autoencoder", "decode"): lambda m, y: m.decode(codes(m), y),
    ("gan", "sample"): lambda m, y: m.sample(100, y=y, rng=0),
    ("dcgan", "sample"): lambda m, y: m.sample(100, y=y, rng=0),
    ("infogan", "encode"): lambda m, y: m.encode(X, y),
    ("infogan", "sample"): lambda m, y: m.sample(100, y=y, rng=0),
    ("ebgan", "energy"): lambda m, y: m.energy(X, y),
}


def codes(model: Any) -> Tensor:
    return torch.randn(100, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("name", "verb"), VERBS)
def test_blocks_change_no_number(
    name: str, verb: str, conditional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    y = torch.arange(100) % 3 if conditional else None
    if (name, conditional) == ("infogan", True):
        pytest.skip("infogan takes no conditions")
    model = fitted(name, y)
    whole = VERBS[name, verb](model, y)
    seen: list[int] = []
    monkeypatch.setattr(blocks, "MOST_ROWS", 7)
    monkeypatch.setattr(blocks, "FEWEST_ROWS", 7)
    network = model.networks[
        "generator"
        if "generator" in model.networks
        else "decoder"
        if verb in ("decode", "sample")
        else "encoder"
    ]
    if (name, verb) in (("infogan", "encode"), ("ebgan", "energy")):
        network = model.networks["critic"]
    hook = network.register_forward_hook(lambda module, given, result: seen.append(len(given[0])))
    part = VERBS[name, verb](model, y)
    hook.remove()
    assert max(seen) <= 7, "the network saw more rows than a block"
    assert torch.allclose(whole, part, rtol=1e-9, atol=1e-9)


def test_a_bound_in_blocks_is_as_good_as_one_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted("vae")
    whole = model.elbo(X, rng=0)
    monkeypatch.setattr(blocks, "MOST_ROWS", 7)
    monkeypatch.setattr(blocks, "FEWEST_ROWS", 7)
    part = model.elbo(X, rng=0)
    assert part.shape == whole.shape
    assert abs(float((part - whole).mean())) < 4 * float((part - whole).std()) / 10
    assert not torch.equal(part[:7], part[7:14]), "every block has noise of its own"


def test_gradients_are_followed_where_asked_for_and_nowhere_else() -> None:
    model = fitted("vae")
    z = codes(model).requires_grad_(True)
    model.decode(z).sum().backward()
    assert z.grad is not None
    assert not model.encode(X).requires_grad
    assert not model.elbo(X, rng=0).requires_grad
    assert not model.decode(codes(model)).requires_grad
    assert model.encode(X).numpy().shape == (100, 2)


def test_in_blocks_itself() -> None:
    x = torch.arange(50.0)[:, None]
    assert torch.equal(map_blocks(lambda x, y: x * 2, x, None, width=1 << 20), x * 2)
    empty = map_blocks(lambda x: x * 2, x[:0], width=3)
    assert empty.shape == (0, 1)


MEMORY = """
import resource, torch, pushforward as pf
x = torch.rand(64, 1, 28, 28)
model = pf.VAE(4, network="conv(width=32)").fit(x, by=pf.Trainer(steps=1, batch=32))
model.sample(100)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = model.sample(6000, rng=0)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / (result.numel() * result.element_size()))
"""


def test_memory_of_samples_follows_the_result() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 6, "times the result's own bytes"
