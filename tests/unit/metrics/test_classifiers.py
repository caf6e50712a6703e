"""The steps of a small classifier: gradients without a graph are those of a graph."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from pushforward.metrics.classifiers import Classifier, _gradients, _Plan, train_classifier
from pushforward.metrics.gauge import in_blocks


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("event", [(7,), (2, 3)])
def test_gradients_of_points_are_those_of_the_loss(classes: int, event: tuple[int, ...]) -> None:
    stream = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier(event, classes, 6).double()
    x = torch.randn(20, *event, generator=stream, dtype=torch.float64)
    codes = torch.randint(classes, (20,), generator=stream)
    functional.cross_entropy(network.head(network.trunk(x)), codes).backward()
    found = _gradients(network, x, codes)
    for (name, parameter), gradient in zip(network.named_parameters(), found, strict=True):
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name
        assert torch.allclose(gradient, parameter.grad, rtol=1e-12, atol=1e-15), name


def test_steps_are_those_of_torchs_adamw_with_a_cosine_schedule() -> None:
    stream = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier((5,), 3, 6).double()
    twin = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(twin.parameters(), 2e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 12)
    plan = _Plan(network, 12, 0.1)
    for step in range(12):
        x = torch.randn(20, 5, generator=stream, dtype=torch.float64)
        codes = torch.randint(3, (20,), generator=stream)
        plan.step(step, x, codes)
        optimiser.zero_grad()
        functional.cross_entropy(twin.head(twin.trunk(x)), codes).backward()
        optimiser.step()
        schedule.step()
    for one, two in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-9, atol=1e-12)


def test_training_does_not_load_the_compiler() -> None:
    """It takes as long as importing torch does."""
    code = (
        "import sys, torch; from pushforward.metrics.two_samples import c2st;"
        " c2st(torch.rand(40, 3), torch.rand(40, 3), steps=2);"
        " print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_classifier_of_images_still_learns() -> None:
    stream = torch.Generator().manual_seed(0)
    codes = torch.arange(2).repeat(40)
    x = torch.randn(80, 1, 8, 8, generator=stream, dtype=torch.float64)
    x[:, 0, :4] += 2.0 * codes[:, None, None]
    network = train_classifier(x, codes, 2, steps=60, width=16)
    assert float((network.classes(x) == codes).double().mean()) > 0.95


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_standardised_block_by_block_as_at_once(dtype: torch.dtype) -> None:
    x = 1e3 + torch.randn(3000, 200, generator=torch.Generator().manual_seed(0), dtype=dtype)
    assert len(in_blocks(x)) > 1
    network = Classifier((200,), 2, 8)
    network.fit_standardisation(x)
    wide = x.double()
    shift, scale = wide.mean(0), wide.std(0, correction=0)
    assert torch.allclose(network.shift, shift, rtol=1e-13)
    assert torch.allclose(network.scale, scale, rtol=1e-10)
    found = network.standardise(x)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), (wide - shift) / scale, atol=1e-6)
