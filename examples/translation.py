"""Images y (n, c, h, w) enlarged to x (n, 1, 2h, 2w): https://arxiv.org/abs/1611.07004."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, softplus

import pushforward as pf


class UNet(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, width, 4, 2, 1)
        self.up = nn.ConvTranspose2d(width, width, 4, 2, 1)
        self.last = nn.ConvTranspose2d(width + channels, 1, 4, 2, 1)

    def forward(self, y: Tensor) -> Tensor:
        inner = self.up(self.down(y).relu()).relu()
        return self.last(torch.cat([inner, y], 1)).tanh()


class PatchCritic(nn.Module):  # one score for each patch: (n, 1, h, w)
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1 + channels, width, 4, 2, 1)
        self.last = nn.Conv2d(width, 1, 3, 1, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.last(self.first(torch.cat([x, interpolate(y, size=x.shape[-2:])], 1)).relu())


@pf.register("enlarger")
class Enlarger(pf.Learner):
    scaling_kind = "signed"

    def __init__(self, width: int = 16, weight: float = 100.0) -> None:
        super().__init__()
        self.width, self.weight = width, weight

    def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
        channels = self.conditions.shape[0]
        self.generator, self.critic = UNet(channels, self.width), PatchCritic(channels, self.width)

    def phases(self) -> list[pf.Phase]:
        losses = {"critic": self.critic_loss, "generator": self.generator_loss}
        return [pf.Phase(name, (name,), loss, pf.adam(2e-4)) for name, loss in losses.items()]

    def critic_loss(self, batch: pf.Batch, step: pf.Step) -> pf.Terms:
        fake = self.critic(self.generator(batch.y), batch.y)
        return pf.Terms(critic=softplus(-self.critic(batch.x, batch.y)) + softplus(fake))

    def generator_loss(self, batch: pf.Batch, step: pf.Step) -> pf.Terms:
        made = self.generator(batch.y)
        absolute = self.weight * (made - batch.x).abs()
        return pf.Terms(generator=softplus(-self.critic(made, batch.y)), absolute=absolute)

    @torch.no_grad()
    def sample(self, n: int, *, y=None, rng=None) -> Tensor:
        return self.to_user(self.generator(self.conditions(y, n)))
