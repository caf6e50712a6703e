"""InfoGAN: a GAN with a recogniser Q.

On the critic's features, Q recovers part of the code from samples.

    z = [ε | c | u]: noise, one-hot categories, numbers in [-1, 1]  (`densities.codes`)
    L_I = E log Q(c|g(z)) + H(c) ≤ I(c; g(z)),  H(c) = Σ ln K       categories, from below
    L_I = E log Q(u|g(z)) + H(u) ≤ I(u; g(z)),  H(u) = ln 2 each    u under Q: N(μ(x), s²(x))

    critic: its loss - λ L_I        generator: its loss - λ L_I

The critic's step trains Q and the shared features, the generator's makes the code recoverable from
samples. L_I of the categories is at most Σ ln K, reached if every code is recovered without error;
that of numbers, a density, is unbounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidValue, ShapeMismatch, require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator
from pushforward.core.registry import register
from pushforward.densities.codes import Parts, StructuredCodes, checked_blocks
from pushforward.densities.columns import OneHot
from pushforward.densities.likelihoods import bound_log_scale
from pushforward.densities.normals import Normal
from pushforward.fitting.augment import Augment
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.hack import ConditioningMode
from pushforward.models.deep.hacks import Hack
from pushforward.models.parts.adversary import Rows, Verdict
from pushforward.nets.adversaries import Adversaries
from pushforward.nets.mlp import Activation, mlp
from pushforward.nets.surgery import replace_batch_norm
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty
from pushforward.objectives.views import shared_information

__all__ = ["InfoGAN"]

RECOGNISER = 128
"""Units of Q's hidden layer."""
UNREAD = 0.1
"""The share of H(c) below which the categories count as unused."""
REFUSED = {
    "replay": "old samples are stored without their codes",
    "spherical_z": "categories and bounded numbers do not lie on a sphere",
    "batch_norm": "it would make the code of one row depend on the rest of its batch",
    "batch_discrimination": "it would make the code of one row depend on the rest of its batch",
}
"""Hacks that InfoGAN does not support, with reasons."""


@register("infogan")
class InfoGAN(GAN):
    """A GAN with a recogniser: meaningful codes without labels.

    Reference: Chen, Duan, Houthooft, Schulman, Sutskever & Abbeel (2016,
    https://arxiv.org/abs/1606.03657), Eqs. 5 and 6. Differences: R1 on the critic, a fitted
    variance in Q, and group norm in critics that would have batch norm, so that rows have
    independent codes.

    A code z has latent + sum(categories) + continuous numbers: noise, then a one-hot block for each
    entry of categories, then numbers in [-1, 1]. `encode` returns the same layout: 0 (the mean) for
    the noise, which is not recovered; Q's probabilities for each block; Q's means for the numbers.
    `parts` splits either.

    Args:
        latent: dimension of the noise.
        categories: sizes of the categorical codes: (10,), or (10, 3) for two; () for none.
        continuous: numbers of the code that are uniform on [-1, 1].
        weight: λ of the categories' information; 0 disables it.
        continuous_weight: λ of the numbers' information; smaller, because densities are unbounded.
        view_weight: λ of the mutual information of the categories of two views of the same real
            image, changed by critic_augment, which makes categories invariant to such changes
            (0 disables it). Rows are compared with the others of their piece of the batch, in their
            process: pieces should have 16 rows or more.
        noise_scale: standard deviation of the noise; the smaller, the more the category determines
            a sample (Mukherjee et al. 2019, ClusterGAN, §3, https://arxiv.org/abs/1809.03627, use
            .1), but too little makes samples of a category alike.
        hidden: sizes of the hidden layers of both networks.
        game: 'non_saturating', 'minimax', 'least_squares', 'hinge',
            'wasserstein', 'relativistic', …
        penalties: on the critic: 'r1(gamma=1.0)', 'gradient_penalty', 'spectral', ….
        activation: of the hidden layers.
        critic_steps: the generator is updated once per `critic_steps` critic updates.
        network: replaces hidden and activation: 'infogan' (the paper's), 'dcgan' or 'r3gan' for
            images, 'mlp(hidden=(128, 128))'.
        conditioning: how y enters: 'concatenation', 'embedding', 'projection', 'auxiliary'.
        hacks: switches, off by default; 'replay', 'spherical_z', 'batch_norm' and
            'batch_discrimination' are not supported.
        critic_augment: random changes of all images shown to the critic, real and generated:
            'flip', 'crop(padding=2)', 'affine'.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        >>> model = pf.InfoGAN(latent=2, categories=(4,), continuous=1, hidden=(16,))
        >>> model = model.fit(x, epochs=2, batch=64)
        >>> z = model.encode(x)
        >>> z.shape, model.parts(z).categories[0].shape, model.decode(z).shape
        (torch.Size([256, 7]), torch.Size([256, 4]), torch.Size([256, 2]))
    """

    def __init__(
        self,
        latent: int = 62,
        categories: Sequence[int] = (10,),
        continuous: int = 2,
        weight: float = 1.0,
        continuous_weight: float = 0.1,
        view_weight: float = 0.0,
        noise_scale: float = 1.0,
        hidden: Sequence[int] = (128, 128),
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = ("r1(gamma=0.1)",),
        activation: Activation = "leaky_relu",
        critic_steps: int = 1,
        network: Adversaries | str | None = None,
        conditioning: ConditioningMode = "concatenation",
        hacks: Sequence[Hack | str] = (),
        critic_augment: Sequence[Augment | str] = (),
    ) -> None:
        super().__init__(
            latent=latent,
            hidden=hidden,
            game=game,
            penalties=penalties,
            activation=activation,
            critic_steps=critic_steps,
            network=network,
            conditioning=conditioning,
            hacks=hacks,
            critic_augment=critic_augment,
        )
        self.categories, self.continuous = checked_blocks(categories, continuous)
        require_positive(noise_scale=noise_scale)
        self.weight, self.continuous_weight, self.view_weight, self.noise_scale = (
            weight,
            continuous_weight,
            view_weight,
            noise_scale,
        )
        for name, value in (
            ("weight", weight),
            ("continuous_weight", continuous_weight),
            ("view_weight", view_weight),
        ):
            if not 0 <= value < math.inf:
                raise InvalidValue(
                    f"{name} must be finite and not negative, got {value}; 0 disables it"
                )
        if view_weight and not (self.critic_augment and self.categories):
            raise InvalidValue(
                f"{setting('view_weight', view_weight)} compares the categories of two views of an"
                " image, so it"
                f" needs both; got {setting('critic_augment', list(critic_augment))},"
                f" {setting('categories', list(categories))}; pass"
                f" {setting('critic_augment', ['affine'])}, say"
            )
        for hack in self.hacks:
            if hack.name in REFUSED:
                raise InvalidValue(
                    f"the hack {hack.name!r} does not go with InfoGAN: {REFUSED[hack.name]}; leave"
                    " it out"
                )

    # ------------------------------------------------------------------------------------- networks

    @property
    def code_width(self) -> int:
        """Numbers in a code: noise, categories and numbers together."""
        return self.latent + sum(self.categories) + self.continuous

    def heads(self, width: int) -> list[nn.Module]:
        """Q as the last head (n, Σ K + 2 continuous).

        It has logits of each category code, means and log-scales of the numbers.
        """
        return [
            *super().heads(width),
            mlp([width, RECOGNISER, sum(self.categories) + 2 * self.continuous], "leaky_relu"),
        ]

    def make_critic(self, event: Sequence[int], extra: int) -> nn.Module:
        """Packs (n, *event), conditions -> (n, 1) and the heads' outputs.

        Outputs are independent between rows.
        """
        critic = super().make_critic(event, extra)
        replace_batch_norm(critic)
        return critic

    def phases(self) -> list[Phase]:
        """The critic, then the generator at five times its rate, as in the paper (Appendix C)."""
        critic, player = super().phases()
        return [critic, replace(player, optimizer=adam(1e-3, beta1=0.5))]

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The game's critic loss, the penalties, -λ L_I and -λ of the information shared by views.

        L_I is logged.
        """
        real, fake = Rows(batch.x, batch.y), self.fake_rows(batch, step)
        comparison = self.adversary.compare(self.critic, real, fake, step)
        terms = self.adversary.critic_terms(self.critic, comparison, step)
        self._add_information(terms, comparison.fake)
        if self.view_weight:
            again = self.adversary.look(self.critic, real, step)
            terms["views"] = -self.view_weight * self.shared(comparison.real, again)
        return self._logged(terms)

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The game's generator loss and -λ L_I; L_I is logged."""
        z = self.prior(len(batch.x)).rsample(rng=step.rng).to(batch.x)
        fake = Rows(self.push(z, batch.y), batch.y, z)
        terms, verdict = self.adversary.generator_terms(
            self.critic, fake, step, real=Rows(batch.x, batch.y)
        )
        self._add_information(terms, verdict)
        return self._logged(terms)

    # ---------------------------------------------------------------------------------- information

    def recognise(self, output: Tensor) -> tuple[tuple[OneHot, ...], Normal]:
        """Q(c|x) and Q(u|x) from the output of its head."""
        *logits, mean, log_scale = output.split(
            [*self.categories, self.continuous, self.continuous], 1
        )
        return tuple(OneHot(each) for each in logits), Normal(mean, bound_log_scale(log_scale))

    def information(self, output: Tensor, z: Tensor) -> dict[str, Tensor]:
        """log Q + H (n,), nats, by kind of code ('categories', 'continuous').

        Its mean is L_I; z is (n, code_width).
        """
        distributions, normal = self.recognise(output)
        codes, terms = self.parts(z), {}
        of_categories, of_numbers = self._distribution(z).entropies
        if self.categories:
            terms["categories"] = sum(
                (
                    distribution.log_prob(c)
                    for distribution, c in zip(distributions, codes.categories)
                ),
                of_categories,
            )
        if self.continuous:
            terms["continuous"] = normal.log_prob(codes.continuous) + of_numbers
        return terms  # type: ignore[return-value]

    def shared(self, one: Verdict, two: Verdict) -> Tensor:
        """Mutual information of two views of the same rows about their categories (n,), nats.

        It is on average at most Σ ln K.
        """
        pairs = zip(self.recognise(one.heads[-1])[0], self.recognise(two.heads[-1])[0])
        return torch.stack([shared_information(a.logits, b.logits) for a, b in pairs]).sum(0)

    def _weights(self) -> dict[str, float]:
        return {
            "categories": self.weight,
            "continuous": self.continuous_weight,
            "views": self.view_weight,
        }

    def _add_information(self, terms: Terms, verdict: Verdict) -> None:
        """-λ L_I of samples whose codes are known, by kind of code, each (n,)."""
        assert verdict.z is not None
        for name, value in self.information(verdict.heads[-1], verdict.z).items():
            terms[name] = -self._weights()[name] * value

    def _logged(self, terms: Terms) -> Terms:
        for name, weight in self._weights().items():
            if name in terms and weight:
                terms.logged[f"information_{name}"] = -terms[name].detach().mean() / weight
        return terms

    # ---------------------------------------------------------------------------------- how it goes

    @torch.no_grad()
    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The vitals of a GAN, and in nats L_I and the information shared by views.

        information_categories (at most Σ ln K), its share of that (information_share),
        information_continuous, and, with a view_weight, information_views of the given rows
        (at most Σ ln K).
        """
        stream = generator(rng, batch.x.device)
        results = super().vitals(batch, rng=stream)
        z = self.prior(len(batch.x)).rsample(rng=stream).to(batch.x)
        fake = self.adversary.judge(self.critic, self.push(z, batch.y, rng=stream), batch.y)
        for name, value in self.information(fake.heads[-1], z).items():
            results[f"information_{name}"] = float(value.mean())
        if self.view_weight:
            rows, step = Rows(batch.x, batch.y), Step(0, 1.0, stream)
            views = [self.adversary.look(self.critic, rows, step) for _ in range(2)]
            results["information_views"] = float(self.shared(*views).mean())
        if self.categories:
            results["information_share"] = (
                results["information_categories"] / self._distribution(z).entropies[0]
            )
        return results

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """The symptoms of a GAN, with adapted advice, and categories not recovered from samples."""
        remedy = f"{setting('weight', 2 * self.weight)}, a larger network, or fewer categories"
        results = [
            replace(s, advice=_advise_on_collapse()) if s.name == "collapse" else s
            for s in super().symptoms(vitals)
        ]
        share = vitals.get("information_share", 1.0)
        if self.weight and share < UNREAD:
            results.append(
                Symptom(
                    "the categories are not used",
                    f"samples reveal {max(share, 0):.0%} of their entropy",
                    remedy,
                )
            )
        return results

    # ------------------------------------------------------------------------------------ the model

    def _distribution(self, like: Tensor, n: int = 1) -> StructuredCodes:
        return StructuredCodes(
            n, self.latent, self.categories, self.continuous, like, self.noise_scale
        )

    def prior(self, n: int = 1) -> StructuredCodes:
        """p(z), n rows: N(0, noise_scale² I), uniform one-hot blocks, U[-1, 1]."""
        return self._distribution(next(self.generator.parameters()), n)

    def parts(self, z: Tensor) -> Parts:
        """Split a code (n, code_width) into its parts.

        They are noise (n, latent), a block (n, K) for each category code, and numbers (n,
        continuous).
        """
        if z.ndim != 2 or z.shape[1] != self.code_width:
            parts = (
                f"{self.latent} of noise, {'+'.join(map(str, self.categories)) or 0} of categories,"
                f" {self.continuous} continuous"
            )
            raise ShapeMismatch(
                f"expected codes (n, {self.code_width}): {parts}; got shape {tuple(z.shape)}"
            )
        return self._distribution(z).parts(z)

    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape) for codes z (n, code_width), user's units, differentiable in z.

        Raises:
            ShapeMismatch: For other widths.
        """
        self.parts(z)
        return super().decode(z, y, rng=rng)

    def encode(self, x: Observations, y: Conditioning = None) -> Tensor:
        """Codes (n, code_width) recovered by Q.

        They are 0 for the noise, category probabilities, and means of the numbers.
        """
        u = self.to_model(x)
        return self.blockwise(self._read, u, self.to_condition(y, u.shape[0]))

    def _read(self, u: Tensor, y: Tensor | None) -> Tensor:
        distributions, normal = self.recognise(self.adversary.judge(self.critic, u, y).heads[-1])
        return torch.cat(
            [
                u.new_zeros(u.shape[0], self.latent),
                *(distribution.mean for distribution in distributions),
                normal.mean,
            ],
            1,
        )


def _advise_on_collapse() -> str:
    return (
        f"{setting('penalties', ['r1(gamma=10)'])}, {setting('game', 'relativistic')}, or a lower"
        f" rate for the generator ({setting('optimizers', {'generator': 'adam(rate=2e-4)'})})"
    )
