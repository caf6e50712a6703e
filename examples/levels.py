"""A Laplacian pyramid of GANs (Denton et al. 2015, https://arxiv.org/abs/1506.05751)."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, softplus

import pushforward as pf
from pushforward.core.random import normal


class Level(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [nn.Conv2d(2, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, 1, 3, 1, 1)]
        self.generator = nn.Sequential(*layers)
        self.critic = nn.Sequential(nn.Conv2d(2, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, 1, 3))

    def forward(self, coarse: Tensor, rng: torch.Generator | None) -> Tensor:  # adds detail
        return self.generator(torch.cat([coarse, normal(*coarse.shape, rng=rng, like=coarse)], 1))


@pf.register("pyramid")
class Pyramid(pf.Learner):
    scaling_kind = "signed"

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.depth = depth

    def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
        self.levels = nn.ModuleList(Level(width=8) for _ in range(self.depth))
        self.features = pf.Fixed(nn.Conv2d(1, 4, 3, 1, 1))  # never trained or averaged

    def phases(self) -> list[pf.Phase]:
        return [
            pf.Phase(f"{player}{i}", (f"levels.{i}.{player}",), partial(self.loss, player, i))
            for i in range(self.depth)
            for player in ("critic", "generator")
        ]

    def loss(self, player: str, i: int, batch: pf.Batch, step: pf.Step) -> pf.Terms:
        x = avg_pool2d(batch.x, 2**i)
        coarse, level = interpolate(avg_pool2d(x, 2), scale_factor=2), self.levels[i]
        made = level(coarse, step.rng)
        fake = level.critic(torch.cat([coarse, made], 1))
        if player == "generator":
            gap = (self.features(coarse + made) - self.features(x)).square()
            return pf.Terms(generator=softplus(-fake), features=gap)
        real = torch.cat([coarse, x - coarse], 1)
        return pf.Terms(critic=softplus(-level.critic(real)) + softplus(fake))

    @torch.no_grad()
    def sample(self, n: int, *, y=None, rng=None) -> Tensor:
        x = avg_pool2d(next(self.parameters()).new_zeros(n, *self.event_shape()), 2**self.depth)
        for level in reversed(self.levels):
            coarse = interpolate(x, scale_factor=2)
            x = coarse + level(coarse, rng)
        return self.to_user(x)
