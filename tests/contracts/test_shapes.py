"""Shapes of what every model, network, likelihood, prior, game, penalty and sum of kernels gives.

Each function below is one signature, checked by jaxtyping: a name stands for one size (or, with a
star, for several) throughout a call, so that `rows` that go in are `rows` that come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from beartype import beartype
from jaxtyping import Float, Float64, Int64, Shaped, TypeCheckError, jaxtyped
from torch import Tensor, nn

from pushforward.core.capabilities import capabilities
from pushforward.core.learner import Learner
from pushforward.core.moments import Moments
from pushforward.core.phase import Batch
from pushforward.core.registry import Value, read
from pushforward.core.scaling import Scaling
from pushforward.core.space import Column, Space
from pushforward.densities import KERNELS, KernelSums
from pushforward.densities.latents import Posterior, Prior, PriorInputs
from pushforward.densities.likelihoods import Likelihood
from pushforward.densities.normals import Normal, kl_divergence, kl_per_dimension
from pushforward.metrics.feature_spaces import pca, raw, scaled
from pushforward.metrics.image_pairs import ImagePairs
from pushforward.metrics.neighbours import nearest, squared_radii
from pushforward.metrics.reconstruction import reconstruct
from pushforward.metrics.structural_similarity import (
    daala_similarity,
    multi_scale_similarity,
    wang_similarity,
)
from pushforward.nets.adversaries import Adversaries
from pushforward.nets.architectures import Architecture
from pushforward.nets.critics import AutoencodingCritic, BatchDiscrimination, Critic
from pushforward.nets.memory import Memory
from pushforward.objectives.bounds import importance_bound
from pushforward.objectives.divergences import Divergence
from pushforward.objectives.games import Game, Labelled
from pushforward.objectives.penalties import Penalty
from pushforward.objectives.views import shared_information
from tests.small_models import (
    CLIPS,
    ENCODED,
    IMAGES,
    MODELS,
    NAMES,
    PAIRED,
    TABLES,
    conditions,
    data,
    fitted,
)

shapes_checked = jaxtyped(typechecker=beartype)
SIZES = (1, 7)
"""Rows: one, of which a dimension is easily lost, and several."""
Rows = Float[Tensor, "rows"]
Events = Shaped[Tensor, "rows *event"]
LABELS = [
    name
    for name, model in MODELS.items()
    if issubclass(model, Learner) and name not in {*PAIRED, *CLIPS}
]
"""Models that take conditions."""


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------- models


@shapes_checked
def sample(
    model: Any, like: Shaped[Tensor, "_ *event"], n: int, **named: Any
) -> Float[Tensor, "{n} *event"]:
    return model.sample(n, rng=0, **named)


@shapes_checked
def log_prob(model: Any, x: Events, y: Any) -> Rows:
    return model.log_prob(x, y=y)


@shapes_checked
def elbo(model: Any, x: Events, y: Any) -> Rows:
    return model.elbo(x, y=y, rng=0)


@shapes_checked
def quality(model: Any, x: Events, y: Any) -> Rows | Float[Tensor, ""]:
    condition = model.to_condition(y, len(x))
    return model.quality(Batch(model.to_model(x), condition), rng=torch.Generator())


@shapes_checked
def encode(model: Any, x: Events, y: Any) -> Float[Tensor, "rows latent"]:
    return model.encode(x, y=y)


@shapes_checked
def decode(
    model: Any, z: Float[Tensor, "rows _"], like: Shaped[Tensor, "_ *event"], y: Any
) -> Float[Tensor, "rows *event"]:
    return model.decode(z, y=y)


@shapes_checked
def assign(model: Any, x: Events) -> Int64[Tensor, "rows"]:
    return model.assign(x)


@shapes_checked
def responsibilities(model: Any, x: Events, clusters: int) -> Float[Tensor, "rows {clusters}"]:
    return model.responsibilities(x)


@shapes_checked
def energy(model: Any, x: Events, y: Any) -> Rows:
    return model.energy(x, y=y)


@shapes_checked
def reconstruction(model: Any, x: Events, y: Any) -> Float[Tensor, "rows *event"]:
    return reconstruct(model, x, y)


@shapes_checked
def in_model_units(model: Any, x: Events) -> Float[Tensor, "rows *event"]:
    return model.to_model(x)


@shapes_checked
def in_user_units(model: Any, u: Float[Tensor, "rows *event"]) -> Float[Tensor, "rows *event"]:
    return model.to_user(u)


@shapes_checked
def condition_seen(model: Any, y: Any, n: int) -> Float[Tensor, "{n} *condition"]:
    return model.to_condition(y, n)


@shapes_checked
def there_and_back(model: Any, x: Events) -> Float[Tensor, "rows *event"]:
    return model.to_user(model.to_model(x))


def check_verbs(model: Any, x: Tensor, y: Tensor | None = None) -> set[str]:
    """Call every verb that a model has; returns their names."""
    called = {"units"}
    if model.registered_name in ENCODED:
        there_and_back(model, x)
    else:
        in_user_units(model, in_model_units(model, x))
    for verb in (log_prob, elbo, quality, encode, energy):
        if hasattr(model, verb.__name__):
            verb(model, x, y)
            called.add(verb.__name__)
    if hasattr(model, "sample"):
        for n in (0, len(x)):
            sample(model, x, n, y=None if y is None else y[:n])
        called.add("sample")
    if hasattr(model, "decode"):
        z = model.encode(x, y=y) if hasattr(model, "encode") else draw(len(x), model.code_width)
        decode(model, z, x, y)
        called.add("decode")
    if hasattr(model, "encode") and hasattr(model, "decode"):
        reconstruction(model, x, y)
    if hasattr(model, "assign"):
        assign(model, x)
        responsibilities(model, x, 2)  # clusters, as of `small_models`
        called |= {"assign", "responsibilities"}
    if y is not None:
        condition_seen(model, y, len(y))
        called.add("conditions")
    return called


VERBS = {
    "Samples": {"sample"},
    "HasDensity": {"log_prob"},
    "HasBound": {"elbo"},
    "Encodes": {"encode"},
    "Decodes": {"decode"},
    "Assigns": {"assign", "responsibilities"},
}
"""What each capability promises."""


@pytest.mark.parametrize("rows", SIZES)
def test_verbs_of_every_model(name: str, model: Any, rows: int) -> None:
    x = data(name)[:rows]
    called = check_verbs(model, x, conditions(name, x))
    promised = [verb for kind in capabilities(model) for verb in VERBS.get(kind, ())]
    assert set(promised) <= called


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TABLES])
def test_verbs_of_models_of_images(name: str) -> None:
    sides = data(name).shape[2:] if name in IMAGES else (8, 9)
    x = torch.randint(0, 256, (48, 3, *sides), generator=torch.Generator().manual_seed(0)).byte()
    model = fitted(name, x)
    for rows in SIZES:
        check_verbs(model, x[:rows], conditions(name, x[:rows]))


@pytest.mark.parametrize("name", LABELS)
def test_verbs_of_models_with_conditions(name: str) -> None:
    x = data(name)
    y = torch.arange(len(x)) % 3
    model = fitted(name, x, y)
    for rows in SIZES:
        assert "conditions" in check_verbs(model, x[:rows], y[:rows])


@shapes_checked
def draws_of(distribution: Any, like: Float[Tensor, "rows *event"]) -> Float[Tensor, "rows *event"]:
    return distribution.rsample(rng=0)


@shapes_checked
def mean_of(distribution: Any, like: Float[Tensor, "rows *event"]) -> Float[Tensor, "rows *event"]:
    return distribution.mean


@shapes_checked
def log_prob_of(distribution: Any, x: Float[Tensor, "rows *event"]) -> Rows:
    return distribution.log_prob(x)


def check_distribution(distribution: Any, like: Tensor) -> None:
    """Draws and the mean are like rows, and a log-density is a number for each."""
    mean_of(distribution, like)
    log_prob_of(distribution, draws_of(distribution, like))


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("prior", ["normal", "mixture(components=3)", "vamp(components=4)"])
@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_factors_of_a_latent_model(prior: str, posterior: str, rows: int) -> None:
    model = fitted("vae", settings={"prior": prior, "posterior": posterior, "latent": 3})
    u = model.to_model(data("vae")[:rows])
    z = draw(rows, 3)
    check_distribution(model.posterior(u), z)
    check_distribution(model.likelihood(z), u)
    log_prob_of(model.prior(), z)


# ------------------------------------------------------------------ likelihoods, priors, posteriors

LIKELIHOODS = {
    "gaussian": "points",
    "gaussian(sigma=0.4)": "images",
    "gaussian(per_dimension=True)": "images",
    "gaussian(predicted=True)": "points",
    "bernoulli": "images",
    "continuous_bernoulli": "points",
    "discretised_logistic": "images",
    "discretised_logistic(predicted=False)": "images",
    "columns": "table",
}
SPACES = {
    "images": Space("images", (1, 2, 2), low=0.0, high=255.0, integer=True),
    "points": Space(
        "points", (2,), tuple(Column(c, low=0.0, high=1.0) for c in "ab"), low=0.0, high=1.0
    ),
    "table": Space(
        "points",
        (3,),
        (
            Column("height", low=1.5, high=2.1),
            Column("caps", "integer", 0, 9),
            Column("side", "categorical", 0, 2, categories=("left", "right", "both")),
        ),
    ),
}


def scaling_of(value: Likelihood, space: Space) -> Scaling:
    ones = torch.ones(space.size, dtype=torch.float64)
    moments = Moments(torch.tensor(9.0, dtype=torch.float64), ones, 36 * ones)
    return Scaling.choose(value.scaling, space, moments)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("text", LIKELIHOODS)
def test_likelihoods(text: str, rows: int) -> None:
    value = read(Likelihood, text)
    at = scaling_of(value, SPACES[LIKELIHOODS[text]])
    heads = [draw(rows, *shape) for shape in value.heads(at)]
    distribution = value.distribution([*heads, *value.free(at)], at)
    check_distribution(distribution, torch.zeros(rows, *at.shape))


@pytest.mark.parametrize("latent", [1, 3])
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("name", sorted(Posterior.members))
def test_posteriors(name: str, rows: int, latent: int) -> None:
    value = read(Posterior, name)
    heads = [draw(rows, size) for size in value.sizes(latent)]
    check_distribution(value.distribution(heads), draw(rows, latent))


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("name", sorted(Prior.members))
def test_priors(name: str, rows: int) -> None:
    value = read(Prior, name)
    tensors = value.initial_parameters(2, (3,))
    inputs = PriorInputs(
        rows, 2, tensors, lambda u: Normal(u[:, :2], u[:, 1:]), like=torch.zeros(())
    )
    distribution = value.distribution(inputs)
    check_distribution(distribution, torch.zeros(rows, 2))


@shapes_checked
def divergence_of(q: Any, p: Any, like: Float[Tensor, "rows *event"]) -> Rows:
    return kl_divergence(q, p)


@shapes_checked
def divergences_of(
    q: Any, p: Any, like: Float[Tensor, "rows *event"]
) -> Float[Tensor, "rows *event"]:
    return kl_per_dimension(q, p)


@pytest.mark.parametrize("rows", SIZES)
def test_divergences_of_normals(rows: int) -> None:
    q, p = Normal(draw(rows, 3), draw(rows, 3)), Normal.standard(rows, 3, like=torch.zeros(()))
    divergence_of(q, p, q.mean)
    divergences_of(q, p, q.mean)


# ----------------------------------------------------------------------------------------- networks


@shapes_checked
def encoded(
    network: nn.Module, x: Float[Tensor, "rows *event"], y: Float[Tensor, "rows _"] | None
) -> tuple[Float[Tensor, "rows 4"], Float[Tensor, "rows 2"]]:
    return network(x, y)


@shapes_checked
def decoded(
    network: nn.Module,
    z: Float[Tensor, "rows _"],
    y: Float[Tensor, "rows _"] | None,
    like: Float[Tensor, "_ *event"],
) -> tuple[Float[Tensor, "rows *event"], Float[Tensor, "rows *event"]]:
    return network(z, y)


@shapes_checked
def generated(
    network: nn.Module,
    z: Float[Tensor, "rows _"],
    y: Float[Tensor, "rows _"] | None,
    like: Float[Tensor, "_ *event"],
) -> Float[Tensor, "rows *event"]:
    return network(z, y)


@shapes_checked
def criticised(
    network: nn.Module, x: Float[Tensor, "rows *event"], y: Float[Tensor, "rows _"] | None
) -> Float[Tensor, "rows 1"]:
    return network(x, y)


@shapes_checked
def criticised_and_coded(
    network: nn.Module, x: Float[Tensor, "rows *event"], y: Float[Tensor, "rows _"] | None
) -> tuple[Float[Tensor, "rows 1"], Float[Tensor, "rows 4"]]:
    return network(x, y)


ARCHITECTURES = {
    "mlp(hidden=(8,))": (3, 8, 9),
    "conv(width=4, hidden=8)": (3, 9, 12),
    "conv(width=8, hidden=8, norm='group')": (1, 8, 8),
    "plane": (5,),
    "burda": (5,),
    "hinton": (5,),
}
PLAYERS = {
    "mlp(hidden=(8,))": (2, 3),
    "veegan": (2,),
    "dcgan(width=4)": (3, 9, 11),
    "infogan(width=4)": (1, 8, 8),
    "r3gan(width=8, blocks=1)": (3, 8, 10),
}


def of_family(texts: Sequence[str], family: type[Value]) -> bool:
    """Whether each member of a family of values is among the texts."""
    ours = {
        name for name, kind in family.members.items() if kind.__module__.startswith("pushforward.")
    }
    return {text.partition("(")[0] for text in texts} == ours  # other tests register their own


def test_no_family_member_is_forgotten() -> None:
    assert of_family(list(ARCHITECTURES), Architecture)
    assert of_family(list(PLAYERS), Adversaries)
    assert of_family(list(LIKELIHOODS), Likelihood)


@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("text", ARCHITECTURES)
def test_encoders_and_decoders(text: str, rows: int, extra: int) -> None:
    value, event = read(Architecture, text), ARCHITECTURES[text]
    y = draw(rows, extra) if extra else None
    encoded(value.encoder(event, (4, 2), extra), draw(rows, *event), y)
    decoded(value.decoder(4, (event, event), extra), draw(rows, 4), y, torch.zeros(1, *event))


@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize("rows", [2, 7])  # batch norm needs two
@pytest.mark.parametrize("text", PLAYERS)
def test_generators_and_critics(text: str, rows: int, extra: int) -> None:
    value, event = read(Adversaries, text), PLAYERS[text]
    y = draw(rows, extra) if extra else None
    x = generated(value.generator(5 + extra, event), draw(rows, 5), y, torch.zeros(1, *event))
    trunk, width = value.trunk(event, extra)
    criticised(Critic(trunk, value.head(width), entry=value.entry), x, y)
    if y is not None:
        trunk, width = value.trunk(event)
        projection = nn.Linear(extra, width)
        criticised(Critic(trunk, value.head(width), entry=value.entry, projection=projection), x, y)


@pytest.mark.parametrize("rows", SIZES)
def test_critics_with_more_to_say(rows: int) -> None:
    trunk: list[nn.Module] = [nn.Linear(3, 6)]
    critic = Critic(trunk, nn.Linear(6, 1), heads=[nn.Linear(6, 4)])
    criticised_and_coded(critic, draw(rows, 3), None)
    autoencoding = AutoencodingCritic(
        Critic([nn.Linear(3, 5)], nn.Linear(5, 4)), Critic([nn.Linear(4, 5)], nn.Linear(5, 3))
    )
    criticised_and_coded(autoencoding, draw(rows, 3), None)


@shapes_checked
def recalled(
    memory: Memory, x: Float[Tensor, "_ *event"], y: Float[Tensor, "_ *condition"], n: int
) -> tuple[Float[Tensor, "{n} *event"], Float[Tensor, "{n} *condition"]]:
    memory(x, y)
    return memory.sample(n, rng=0)


@shapes_checked
def discriminated(
    network: nn.Module, x: Float[Tensor, "rows width"], kernels: int
) -> Float[Tensor, "rows width+{kernels}"]:
    return network(x)


def test_networks_that_look_at_whole_batches() -> None:
    recalled(Memory(5, (2, 3), (4,)), draw(7, 2, 3), draw(7, 4), 6)
    for rows in SIZES:
        discriminated(BatchDiscrimination(3, kernels=5), draw(rows, 3), 5)


# --------------------------------------------------------------------------------------- objectives


@shapes_checked
def critic_losses(
    game: Game, real: Float[Tensor, "rows *map"], fake: Float[Tensor, "rows *map"]
) -> Float[Tensor, "rows *map"]:
    return game.critic(real, fake, rng=torch.Generator())


@shapes_checked
def generator_losses(
    game: Game, fake: Float[Tensor, "rows *map"], real: Float[Tensor, "rows *map"]
) -> Float[Tensor, "rows *map"]:
    return game.generator(fake, real)


@shapes_checked
def labelled_losses(
    game: Labelled, output: Float[Tensor, "rows *map"], label: Float[Tensor, "rows *map"]
) -> Float[Tensor, "rows *map"]:
    return game.labelled(output, label)


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (7, 1, 3, 2)])
@pytest.mark.parametrize("name", sorted(Game.members))
def test_games_on_outputs_and_on_maps_of_outputs(name: str, shape: tuple[int, ...]) -> None:
    game, real, fake = read(Game, name), draw(*shape), draw(*shape, seed=1)
    critic_losses(game, real, fake)
    generator_losses(game, fake, real)
    if isinstance(game, Labelled):
        labelled_losses(game, real, torch.full(shape, 0.9))


@shapes_checked
def penalties(
    penalty: Penalty,
    critic: nn.Module,
    real: Float[Tensor, "rows *event"],
    fake: Float[Tensor, "rows *event"],
) -> Rows:
    return penalty(critic, real, fake, rng=torch.Generator())


@pytest.mark.parametrize("shape", [(1, 3), (7, 3), (7, 1, 2, 2)])
@pytest.mark.parametrize("name", sorted(Penalty.members))
def test_penalties(name: str, shape: tuple[int, ...]) -> None:
    size = draw(*shape)[0].numel()
    critic = nn.Sequential(nn.Flatten(), nn.Linear(size, 4), nn.Tanh(), nn.Linear(4, 1))
    penalties(read(Penalty, name), critic, draw(*shape), draw(*shape, seed=1))


@shapes_checked
def pointwise(function: Any, u: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    return function(u)


@pytest.mark.parametrize("name", sorted(Divergence.members))
def test_divergences_are_pointwise(name: str) -> None:
    value, v = read(Divergence, name), draw(2, 3)
    for function in (value.activation, value.composed, value.best, value.best_conjugate):
        pointwise(function, v)
    pointwise(value.f, v.exp())
    pointwise(value.conjugate, value.activation(v))


@shapes_checked
def bounds(log_weight: Float[Tensor, "draws rows"]) -> Rows:
    return importance_bound(log_weight)


@shapes_checked
def information(
    one: Float[Tensor, "rows categories"], two: Float[Tensor, "rows categories"]
) -> Rows:
    return shared_information(one, two)


@pytest.mark.parametrize("rows", SIZES)
def test_bounds(rows: int) -> None:
    bounds(draw(5, rows))
    information(draw(rows, 3), draw(rows, 3, seed=1))


# ------------------------------------------------------------------------------------------ kernels


@shapes_checked
def kernel_sums(sums: KernelSums, queries: Float[Tensor, "queries _"]) -> Float[Tensor, "queries"]:
    return sums.log_density(queries)


@shapes_checked
def left_out(sums: KernelSums, points: Float[Tensor, "points _"]) -> Float64[Tensor, "points"]:
    return sums.leave_one_out()


@pytest.mark.parametrize("points", [1, 30])
@pytest.mark.parametrize("shape", ["radial", "product"])
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_kernel_sums(name: str, shape: str, points: int) -> None:
    x = draw(points, 2)
    sums = KernelSums(x, 0.7, kernel=name, shape=shape)
    left_out(sums, x)
    for queries in (0, *SIZES):
        kernel_sums(sums, draw(queries, 2, seed=1))


@pytest.mark.parametrize("method", ["direct", "tree", "fourier"])
def test_kernel_sums_by_every_method(method: str) -> None:
    sums = KernelSums(draw(30, 2), 0.7, method=method)
    for queries in SIZES:
        kernel_sums(sums, draw(queries, 2, seed=1))


# ------------------------------------------------------------------------------------------ metrics


@shapes_checked
def features(space: Any, x: Float[Tensor, "rows *event"]) -> Float64[Tensor, "rows features"]:
    return space(x)


@shapes_checked
def similarities(
    measure: Any, x: Float64[Tensor, "rows c h w"], y: Float64[Tensor, "rows c h w"]
) -> Float64[Tensor, "rows"]:
    pairs = ImagePairs.of(x, y, 0, 1, "all", 0, "")
    return pairs.map_pairs(measure)


@shapes_checked
def nearest_rows(
    x: Float[Tensor, "rows d"], reference: Float[Tensor, "_ d"]
) -> tuple[Rows, Int64[Tensor, "rows"]]:
    return nearest(x, reference)


@shapes_checked
def reach(x: Float[Tensor, "rows d"], k: int) -> Rows:
    return squared_radii(x, k)


@pytest.mark.parametrize("rows", SIZES)
def test_metrics_row_by_row(rows: int) -> None:
    x, y = draw(40, 3, 4, 5), draw(rows, 3, 4, 5, seed=1)
    for space in (raw(), scaled(x), pca(x, 6)):
        features(space, y)
    nearest_rows(y.flatten(1), x.flatten(1))
    reach(x.flatten(1), 3)
    one, two = (torch.rand(rows, 3, 176, 180, dtype=torch.float64) for _ in range(2))
    for measure in (
        lambda a, b: wang_similarity(a, b)[0],
        multi_scale_similarity,
        daala_similarity,
    ):
        similarities(measure, one, two)


# ----------------------------------------------------------------------------------- of the checks


def test_a_lost_or_swapped_dimension_is_found() -> None:
    """What these checks are for: `(rows, 1)` in place of `(rows,)`, a scalar, a transposed map."""
    wrong = {
        "kept": lambda critic, real, fake, rng: real.square().sum(1, keepdim=True),
        "lost": lambda critic, real, fake, rng: real.square().mean(),
        "whole": lambda critic, real, fake, rng: real.square().sum(0),
    }
    for penalty in wrong.values():

        class Wrong(Penalty):
            def __call__(self, critic: Any, real: Any, fake: Any, *, rng: Any = None) -> Tensor:
                return penalty(critic, real, fake, rng)  # noqa: B023

        with pytest.raises(TypeCheckError):
            penalties(Wrong(), nn.Linear(3, 1), draw(7, 3), draw(7, 3))
    with pytest.raises(TypeCheckError):
        criticised(Critic([], nn.Linear(3, 2)), draw(7, 3), None)
