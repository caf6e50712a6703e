"""A generator with observation noise, x = g(z) + sigma·ε, which gives it a likelihood.

The outputs of a generator g lie on a surface without a density.
With normal noise it is a latent-variable model,

    p(x) = ∫ p(z) N(x; g(z), sigma² I) dz,

which every likelihood estimator accepts. The result depends on sigma as much as on the generator:
report it, and compare models at the same sigma (Wu, Burda, Salakhutdinov & Grosse 2017,
https://arxiv.org/abs/1611.04273, §5).
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.core.capabilities import Decodes, HasMean, HasPrior
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue, require_positive
from pushforward.core.numbers import to_python
from pushforward.core.random import Rng, generator
from pushforward.core.samplers import Sampler
from pushforward.core.space import Space
from pushforward.core.verbs import wrap_sample
from pushforward.densities.normals import Normal

__all__ = ["Observed"]


@runtime_checkable
class Decodable(Decodes, HasPrior, Protocol):
    """A model that noise can be added to."""

    @property
    def device(self) -> torch.device:
        """The model's device."""
        ...

    def floating(self) -> torch.dtype:
        """The float type the model computes in."""
        ...

    def fitted_space(self) -> Space:
        """The space of decoded observations."""
        ...

    def to_condition(self, y: Conditioning, n: int) -> Tensor | None:
        """Conditions for n rows as its networks see them."""
        ...


class Observed(nn.Module):
    """p(x|z) = N(decode(z), sigma² I) for a model that decodes and has a prior p(z).

    Reference: Wu, Burda, Salakhutdinov & Grosse (2017), On the quantitative analysis of
    decoder-based generative models. https://arxiv.org/abs/1611.04273

    Its coordinates are the user's units:
    sigma is a standard deviation in them, and densities need no Jacobian.

    Args:
        model: the generator, fitted; its parameters are not changed.
        sigma: of the noise, in the user's units:
            a number, or a tensor that broadcasts to one observation.

    Example:
        >>> import torch, pushforward as pf
        >>> from pushforward.metrics.annealing import ais
        >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        >>> gan = pf.GAN(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> ais(pf.Observed(gan, sigma=0.1), x[:5], temperatures=20).n
        5
    """

    def __init__(self, model: Decodable, sigma: float | Tensor) -> None:
        super().__init__()
        _refuse(model, sigma)
        self.model: Any = model  # a module or not
        log_sigma = (
            torch.as_tensor(sigma, dtype=torch.float64)
            .log()
            .expand([n or 0 for n in model.fitted_space().shape])
        )
        self.register_buffer("log_sigma", log_sigma.to(model.device, _dtype(model))[None].clone())
        self.log_sigma: Tensor

    @property
    def device(self) -> torch.device:
        """The generator's device."""
        where: torch.device = self.model.device
        return where

    def prior(self, n: int = 1) -> HasMean:
        """p(z), n rows: the generator's."""
        codes: HasMean = self.model.prior(n)
        return codes

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> Normal:
        """p(x|z) for codes z (n, latent) and conditions, in the user's units.

        Conditions are those of `to_condition`.
        """
        return Normal(self.model.decode(z, y), self.log_sigma)

    def to_model(self, x: Observations) -> Tensor:
        """The user's data as a tensor on the generator's device, checked against its space.

        The units are unchanged.
        """
        rows: Tensor = self.model.fitted_space().conform(x, missing=False).to(self.device)
        return rows.to(self.log_sigma.dtype)

    def to_condition(self, y: Conditioning, n: int) -> Tensor | None:
        """Conditions for n rows, in the form that the generator's `decode` accepts.

        Raises as the generator does.
        """
        if self.model.to_condition(y, n) is None:
            return None
        space, number = self.model.condition_space, to_python(y)
        if isinstance(number, (int, float)) and not space.is_label:
            number = torch.tensor([number])
        rows: Tensor = space.as_given(space.conform(number, what="y"))
        return rows.expand(n, *rows.shape[1:]) if len(rows) == 1 else rows

    def log_jacobian(self, u: Tensor) -> float:
        """0: its coordinates are the user's."""
        return 0.0

    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """The generator's output (n, *shape) for z, with noise if `rng` is given."""
        distribution = self.likelihood(z, self.to_condition(y, len(z)))
        return distribution.mean if rng is None else distribution.rsample(rng=rng)

    @wrap_sample
    @torch.no_grad()
    def sample(
        self, n: int, y: Conditioning = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n new observations (n, *shape), user's units, noise included."""
        stream = generator(rng, self.device)
        return self.decode(self.prior(n).rsample(rng=stream), y, rng=stream)


def _dtype(model: Decodable) -> torch.dtype:
    dtype: torch.dtype = getattr(model, "user_dtype", model.floating)()
    return dtype


def _refuse(model: Decodable, sigma: float | Tensor) -> None:
    """Raise if the model is not a generator of numbers, or the noise is not positive."""
    if not (callable(getattr(model, "decode", None)) and callable(getattr(model, "prior", None))):
        raise InvalidKind(
            f"{type(model).__name__} has no decode and prior; pass a generator with both, a GAN say"
        )
    if model.fitted_space().categorical:
        raise InvalidValue(
            "categories have no density under normal noise; drop the categorical columns"
        )
    if not isinstance(sigma, Tensor):
        require_positive(sigma=sigma)
    elif not bool((sigma > 0).all()):
        raise InvalidValue(
            f"sigma must be above 0 everywhere, got {float(sigma.min())}; pass positive numbers"
        )
