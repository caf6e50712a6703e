"""Which rows a memory keeps: the latest ones, over the oldest, with their conditions."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.nets.memory import Memory


def rows(start: int, stop: int) -> torch.Tensor:
    return torch.arange(float(start), float(stop))[:, None]


@pytest.mark.parametrize(
    ("batches", "kept"),
    [
        ([(0, 3)], [0, 1, 2]),
        ([(0, 3), (3, 5)], [1, 2, 3, 4]),
        ([(0, 4), (4, 8)], [4, 5, 6, 7]),
        ([(0, 3), (3, 6), (6, 9)], [5, 6, 7, 8]),
        ([(0, 6)], [0, 1, 2, 3]),
        ([(0, 6), (6, 8)], [2, 3, 6, 7]),
        ([(0, 1)] * 3 + [(7, 9)], [0, 0, 7, 8]),
    ],
)
def test_the_latest_rows_are_kept(batches: list[tuple[int, int]], kept: list[int]) -> None:
    memory = Memory(4, (1,), (1,))
    for start, stop in batches:
        memory(rows(start, stop), 10 * rows(start, stop))
    x, y = memory.held()
    assert sorted(x.flatten().tolist()) == kept
    assert y is not None
    assert torch.equal(y, 10 * x)
    sampled, conditions = memory.sample(200, rng=0)
    assert set(sampled.flatten().tolist()) == set(kept)
    assert conditions is not None
    assert torch.equal(conditions, 10 * sampled)


def test_a_gan_remembers_the_rows_of_every_eighth_step() -> None:
    model = pf.GAN(latent=2, hidden=(4,)).fit(
        torch.randn(64, 1, generator=torch.Generator().manual_seed(0)), steps=1, batch=16
    )
    model.recent.count.zero_()
    for step in range(18):
        model.fake_rows(
            Batch(rows(4 * step, 4 * step + 4)),
            Step(samples=4 * step, rng=torch.Generator().manual_seed(0)),
        )
    expected = [4.0 * step + i for step in (0, 8, 16) for i in range(4)]
    assert model.recent.held()[0].flatten().tolist() == expected


def test_old_samples_are_the_generators_latest() -> None:
    """The hack 'replay' keeps what the generator made, not the data."""
    x = torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
    model = pf.GAN(latent=2, hidden=(4,), hacks=["replay(capacity=6)"]).fit(x, steps=1, batch=16)
    model.old.count.zero_()
    made = []
    for step in range(3):
        batch, rng = Batch(rows(0, 4)), torch.Generator().manual_seed(step)
        made.append(model.push(model.prior(4).rsample(rng=torch.Generator().manual_seed(step))))
        model.fake_rows(batch, Step(samples=4 * step, rng=rng))
    latest = torch.cat(made)[-6:].flatten()
    assert torch.allclose(model.old.held()[0].flatten().sort().values, latest.sort().values)
