"""A list of levels, each with two networks of its own,
and a fixed network beside them: a Laplacian pyramid of GANs.

Level i makes what image i lacks of the next larger one (Denton et al. 2015, LAPGAN,
https://arxiv.org/abs/1506.05751).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, softplus

import pushforward as pf
from pushforward.core.random import normal


class Level(nn.Module):
    """Two networks: of the image so far and noise (n, 2, s, s) -> residual (n, 1, s, s);
    of both (n, 2, s, s) -> (n, 1).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Conv2d(2, width, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 3, 1, 1)
        )
        layers = (
            nn.Conv2d(2, width, 3, 2, 1),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, 1),
        )
        self.critic = nn.Sequential(*layers)


@pf.register("pyramid")
class Pyramid(pf.Learner):
    """Images (1, 16, 16) from coarse to fine; every level is a player with its critic."""

    scaling_kind = "signed"

    def __init__(self, depth: int = 2, width: int = 8) -> None:
        super().__init__()
        self.depth, self.width = depth, width

    def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
        self.levels = nn.ModuleList(Level(self.width) for _ in range(self.depth))
        self.features = pf.Fixed(nn.Conv2d(1, 4, 3, 1, 1))  # never trained or averaged

    def phases(self) -> list[pf.Phase]:
        phases = []
        for i in range(self.depth):
            phases.append(
                pf.Phase(
                    f"critic{i}",
                    (f"levels.{i}.critic",),
                    lambda b, s, i=i: self.loss(b, s, i, critic=True),
                )
            )
            phases.append(
                pf.Phase(
                    f"generator{i}",
                    (f"levels.{i}.generator",),
                    lambda b, s, i=i: self.loss(b, s, i, critic=False),
                )
            )
        return phases

    def loss(self, batch: pf.Batch, step: pf.Step, i: int, critic: bool) -> pf.Terms:
        x = avg_pool2d(batch.x, 2**i)
        coarse, level = interpolate(avg_pool2d(x, 2), scale_factor=2), self.levels[i]
        made = level.generator(torch.cat([coarse, normal(*x.shape, rng=step.rng, like=x)], 1))
        fake = level.critic(torch.cat([coarse, made], 1))
        if not critic:
            return pf.Terms(
                generator=softplus(-fake),
                features=(self.features(coarse + made) - self.features(x)).square(),
            )
        return pf.Terms(
            critic=softplus(-level.critic(torch.cat([coarse, x - coarse], 1))) + softplus(fake)
        )

    @torch.no_grad()
    def sample(self, n: int, *, y=None, rng=None) -> Tensor:
        x = torch.zeros(n, 1, *(s >> self.depth for s in self.event_shape()[1:]))
        for level in reversed(self.levels):
            coarse = interpolate(x, scale_factor=2)
            x = coarse + level.generator(
                torch.cat([coarse, normal(*coarse.shape, rng=rng, like=coarse)], 1)
            )
        return self.to_user(x)
