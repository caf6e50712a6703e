"""Modules whose assignments take a fraction of torch's time, and do the same."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.core.module import Module


class Small(Module):
    def __init__(self):
        super().__init__()
        self.add_zeros("one", "two")
        self.plain = 1


def test_assignments_do_what_torch_does():
    module = Small()
    module.plain, module.one = None, torch.ones(3)
    module.part, module.weight = nn.Linear(2, 1), nn.Parameter(torch.zeros(2))
    assert list(module.state_dict()) == ["weight", "one", "two", "part.weight", "part.bias"]
    assert "one" not in vars(module)
    assert vars(module)["plain"] is None
    with pytest.raises(TypeError):
        module.part = 3
    with pytest.raises(TypeError):
        module.one = "text"
    module.plain = nn.Linear(1, 1)
    assert "plain" in module._modules
    assert "plain" not in vars(module)


def test_buffers_have_memory_of_their_own():
    model = pf.PCA(1)
    with torch.no_grad():
        model.floor_.fill_(2.0)
    assert float(model.count_) == float(model.noise_variance_) == 0


def test_moves_and_modes_reach_every_part():
    module = Small()
    module.part = nn.Linear(2, 1)
    assert module.to("cpu") is module
    assert module.to("meta").part.weight.device.type == "meta"
    assert module.eval().part.training is False
    module.part.train()
    assert module.eval().part.training is False


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_density_of_a_few_rows_is_that_of_many(scale, kind):
    rows = (np.random.default_rng(0).standard_normal((3000, 3)) * scale).astype(kind)
    model = pf.Gaussian().fit(rows, quiet=True)
    many = model.log_prob(rows)
    few = torch.cat([model.log_prob(rows[i : i + 1]) for i in range(50)])
    torch.testing.assert_close(few, many[:50], rtol=1e-12, atol=1e-10)
    assert model.log_prob(np.full((1, 3), 1e308)).item() == -math.inf
