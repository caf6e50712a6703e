"""TVAE: a variational auto-encoder for tables with continuous and categorical columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.modes import evaluation_mode
from pushforward.core.phase import Batch, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator
from pushforward.core.registry import register
from pushforward.core.space import Space
from pushforward.densities.normals import Normal, rate
from pushforward.models.parts.recogniser import RecognisedModel
from pushforward.models.tabular.encoded import EncodedTable
from pushforward.models.tabular.imputation import Imputer, complete_rows
from pushforward.models.tabular.mode_columns import ModeColumns
from pushforward.nets.free_parameters import FreeParameters
from pushforward.nets.mlp import Heads
from pushforward.objectives.bounds import Elbo, Objective

__all__ = ["TVAE"]

SIGMA = 0.1
"""The initial sigma of every α, as published."""
SIGMAS = (0.01, 1.0)
"""The bounds of sigma, as published."""
DEAD = 0.01
"""A unit whose posterior mean varies less than this over the data is inactive (see `VAE`)."""


class Decoder(nn.Module):
    """z, y -> outputs (n, width), and the sigma of every number (k,)."""

    def __init__(self, network: Heads, numbers: int) -> None:
        super().__init__()
        self.network, self.sigmas = network, FreeParameters(torch.full((numbers,), SIGMA))

    def forward(self, z: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(n, latent), (n, …) -> tensors."""
        (outputs,), (sigmas,) = self.network(z, y), self.sigmas()
        return outputs, sigmas


@register("tvae")
class TVAE(EncodedTable, RecognisedModel):
    """A variational auto-encoder of table rows: mixed columns, missing values.

    Numbers are encoded by the mode they belong to and their place in it, categories one-hot. The
    defaults are the published settings. Samples are drawn from p(x|z); the reference implementation
    takes the likeliest mode and category of each code instead.

    Reference: Xu, Skoularidou, Cuesta-Infante & Veeramachaneni (2019), Modeling tabular data using
    conditional GAN, §4.5, https://arxiv.org/abs/1907.00503. Filling in: Rezende et al. (2014),
    §F, https://arxiv.org/abs/1401.4082; Mattei & Frellsen (2019), MIWAE,
    https://arxiv.org/abs/1812.02633.

    Args:
        latent: dimension of a code.
        hidden: units of the encoder's layers; the decoder mirrors them.
        modes: most modes of a number.
        factor: times the reconstruction's share of the loss. The bound is reported with 1.

    Example:
        >>> import pandas, pushforward as pf
        >>> table = pandas.DataFrame({"cm": [150., 160., 170., 180.] * 9, "eye": list("bbgh") * 9})
        >>> rows = pf.read(table, types="auto")
        >>> model = pf.TVAE(latent=2, hidden=(16,)).fit(rows, epochs=2, batch=12)
        >>> model.elbo(rows.x, rng=0).shape
        torch.Size([36])
    """

    objective: Objective = Elbo()
    encoder: nn.Module
    decoder: Decoder

    def __init__(
        self,
        latent: int = 128,
        hidden: Sequence[int] = (128, 128),
        modes: int = 10,
        factor: float = 2.0,
    ) -> None:
        super().__init__()
        require_positive(
            latent=latent,
            modes=modes,
            factor=factor,
            **{f"hidden[{i}]": size for i, size in enumerate(hidden)},
        )
        self.latent, self.hidden, self.modes, self.factor = latent, tuple(hidden), modes, factor

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """Create the encoder, with heads for the mean and the log-variance, and the decoder."""
        (width,), extra = self.event_shape(), self.conditions.width
        codes = (self.latent, self.latent)
        self.encoder = Heads(width + extra, codes, self.hidden)
        network = Heads(self.latent + extra, (width,), self.hidden[::-1])
        self.decoder = Decoder(network, len(self.scaling.numbers))

    def has_unit_density(self) -> bool:
        """Per unit of numbers; categories have masses."""
        return True

    # ------------------------------------------------------------------------------------- learning

    def phases(self) -> list[Phase]:
        """One phase, for both networks; sigmas are kept within their bounds."""
        optimizer = adam(1e-3, decay=1e-5)
        return [Phase("vae", ("encoder", "decoder"), self.loss, optimizer, after=self._bound)]

    def _bound(self, batch: Batch, step: Step) -> None:
        for sigmas in self.decoder.sigmas.parameters():
            sigmas.clamp_(*SIGMAS)

    def loss(self, batch: Batch, step: Step) -> Terms:
        """`factor` times the surprise of α and of its mode and categories, and the rate."""
        q = self.posterior(batch.x, batch.y)
        z = q.rsample(rng=step.rng)
        outputs, sigmas = self.decoder(z, batch.y)
        u, surprise = self.scaling.clip(batch.x), outputs.new_zeros(len(z))
        of_numbers = iter(sigmas)
        for block in self.scaling.blocks:
            chosen = u[:, block.choices]
            surprise = surprise - (chosen * outputs[:, block.choices].log_softmax(1)).sum(1)
            if block.numeric:
                sigma = next(of_numbers)
                score = (u[:, block.start] - outputs[:, block.start].tanh()) / sigma
                known = u[:, block.named].sum(1)
                surprise = surprise + known * (0.5 * score.square() + sigma.log())
        return Terms(distortion=self.factor * surprise, rate=rate(q, self.prior(len(z)), z))

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """The evidence lower bound (n,), nats, user's units."""
        return self.bound(batch, generator(rng, batch.x.device))

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Active units, the rate in nats, and the mean sigma of numbers."""
        q = self.posterior(batch.x, batch.y)
        z = q.rsample(rng=generator(rng, batch.x.device))
        sigmas = self.decoder(z[:1], None if batch.y is None else batch.y[:1])[1]
        return {
            "active": float((q.mean.var(0, correction=0) > DEAD).sum()),
            "rate": float(rate(q, self.prior(len(z)), z).mean()),
            **({"sigma": float(sigmas.mean())} if len(sigmas) else {}),
        }

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Codes that do not depend on the data."""
        if vitals["active"]:
            return []
        observed = "no latent dimension depends on the data, so columns are independent"
        return [Symptom("posterior collapse", observed, "a larger factor, or more epochs")]

    # ------------------------------------------------------------------------------------ the model

    def prior(self, n: int = 1) -> Normal:
        """p(z) = N(0, I), n rows."""
        return Normal.standard(n, self.latent, like=next(self.decoder.parameters()))

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> ModeColumns:
        """p(x|z) for codes z (n, latent) and converted conditions."""
        return ModeColumns(self.scaling, *self.decoder(z, y))

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Normal:
        """q(z|x) for x in model coordinates."""
        mean, log_variance = self.encoder(self.scaling.clip(x), y)
        return Normal(mean, 0.5 * log_variance)

    def log_jacobian(self, u: Tensor) -> float:
        """0: `ModeColumns` is a density per unit of the user's coordinates."""
        return 0.0

    def elbo(self, x: Observations, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """A lower bound on log p(x) (n,) by one posterior sample, nats, user's units.

        Of a row with missing values, that of the others. An unknown category has no mass, -inf.
        """
        bounds = super().elbo(x, y, rng=rng)
        rows = self.conform(x)
        for j, column in enumerate(self.fitted_space().columns):
            if column.kind == "categorical":
                codes = rows[:, j]
                known = (codes >= 0) & (codes < len(column.categories)) & (codes == codes.round())
                bounds = torch.where(known | codes.isnan(), bounds, -math.inf)
        return bounds

    def draw(
        self, n: int, y: Conditioning = None, rng: Rng = None, *, gaps: bool = False
    ) -> Tensor:
        """n new rows (n, d), user's units; with `gaps`, NaN where values would be missing."""
        stream = generator(rng, self.device)

        def rows(z: Tensor, y: Tensor | None) -> Tensor:
            drawn = self.likelihood(z, y).rsample(rng=stream, gaps=gaps)
            return self.scaling.settle(self.to_user(drawn))

        with torch.no_grad(), evaluation_mode(self):
            z = self.prior(n).rsample(rng=stream)
            return self.blockwise(rows, z, self.to_condition(y, n))

    def complete(
        self, x: Observations, *, rng: Rng = None, using: Literal["draw", "mean", "mode"] = "draw"
    ) -> Tensor:
        """Rows (n, d) with their missing values filled in, given each row's other values.

        By importance sampling of codes; see `imputation`.
        """
        rows = self.conform(x)
        self.to_condition(None, len(rows))
        imputer = Imputer(self.scaling, self.prior, self.posterior, self.likelihood)
        with torch.no_grad(), evaluation_mode(self):
            return complete_rows(imputer, rows, generator(rng, self.device), using)
