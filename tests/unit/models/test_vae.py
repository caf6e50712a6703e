"""VAEs put together from values: every likelihood, posterior,
prior, objective and network learns, samples and is stored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.phase import Batch
from pushforward.metrics.likelihood import iwae
from pushforward.objectives.bounds import importance_bound


def points(n: int = 200) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    z = torch.randn(n, 2, generator=stream)
    return torch.cat([z * 3, z[:, :1] - z[:, 1:], torch.randn(n, 1, generator=stream)], 1) + 5


def levels(n: int = 64, channels: int = 1, size: int = 9) -> Tensor:
    """Bright and dark images with a few grey levels."""
    stream = torch.Generator().manual_seed(0)
    bright = torch.randint(0, 200, (n, 1, 1, 1), generator=stream)
    return (bright + torch.randint(0, 56, (n, channels, size, size), generator=stream)).to(
        torch.uint8
    )


def table(n: int = 120) -> pf.Arrays:
    stream = torch.Generator().manual_seed(0)
    kind = torch.randint(0, 3, (n,), generator=stream)
    size = (kind * 4 + torch.randn(n, generator=stream)).double()
    frame = pd.DataFrame(
        {"size": size.numpy(), "kind": [("ant", "bee", "cat")[k] for k in kind.tolist()]}
    )
    return pf.read(frame, categorical=["kind"], label=False)


def learnt(x: Any, epochs: int = 30, y: Any = None, **how: Any) -> pf.VAE:
    how = {"latent": 2, "hidden": (16,), **how}
    return pf.VAE(**how).fit(
        x, y, by=pf.Trainer(epochs=epochs, batch=32, optimizers={"vae": "adam(rate=0.005)"})
    )


@torch.no_grad()
def bound(model: pf.VAE, x: Any, draws: int = 30) -> float:
    """The mean ELBO over rows and draws."""
    return torch.stack([model.elbo(x, rng=i) for i in range(draws)]).mean().item()


@torch.no_grad()
def rate(model: pf.VAE, x: Tensor) -> float:
    """Nats a code carries."""
    return model.vitals(pf.Batch(model.to_model(x)))["rate"]


def stored_alike(model: pf.VAE, x: Any, folder: Path, y: Any = None) -> None:
    model.save(folder / "run")
    again = pf.load(folder / "run")
    assert repr(again) == repr(model)
    assert torch.equal(again.elbo(x, y, rng=1), model.elbo(x, y, rng=1))
    assert torch.equal(
        again.sample(3, y=None if y is None else y[:1], rng=2),
        model.sample(3, y=None if y is None else y[:1], rng=2),
    )


@pytest.mark.parametrize(
    "likelihood",
    ["gaussian", "gaussian(sigma=0.5)", "gaussian(per_dimension=True)", "gaussian(predicted=True)"],
)
def test_likelihoods_of_points(likelihood: str, tmp_path: Path) -> None:
    x = points()
    model, untrained = learnt(x, likelihood=likelihood), learnt(x, epochs=1, likelihood=likelihood)
    assert bound(model, x) > bound(untrained, x) + 0.2
    stored_alike(model, x, tmp_path)


@pytest.mark.parametrize(
    "likelihood",
    ["bernoulli", "continuous_bernoulli", "discretised_logistic", "gaussian(predicted=True)"],
)
@pytest.mark.parametrize("network", [None, "conv(width=8, hidden=32)"])
def test_likelihoods_of_images(likelihood: str, network: str | None, tmp_path: Path) -> None:
    x = levels(channels=3)
    model, untrained = (
        learnt(x, epochs=e, likelihood=likelihood, network=network) for e in (25, 1)
    )
    assert bound(model, x) > bound(untrained, x)
    drawn = model.sample(4, rng=0)
    assert drawn.shape == (4, 3, 9, 9)
    exported = model.fitted_space().export(drawn)
    assert exported.dtype == x.dtype
    stored_alike(model, x, tmp_path)


def test_a_fit_begins_at_the_mean_of_the_data() -> None:
    x = (levels() > 128).to(torch.uint8) * 255
    x[:, :, 0] = 0  # a row of pixels that never varies
    still = {"epochs": 1, "batch": 64, "optimizers": {"vae": "sgd(rate=1e-12)"}}
    model = pf.VAE(latent=2, hidden=(16,), likelihood="bernoulli").fit(x, by=pf.Trainer(**still))
    mean = x.float().mean(0) / 255
    torch.testing.assert_close(model.encoder.centre, model.to_model(x).mean(0), rtol=0, atol=1e-6)
    network = model.decoder.network
    shift = network.heads.weight @ network.trunk(torch.zeros(1, 2))[0]
    head = (model.decoder(torch.zeros(1, 2))[0] - shift.reshape(mean.shape)).sigmoid()[0]
    torch.testing.assert_close(head, mean.clamp(0.002, 0.998), rtol=0, atol=1e-4)
    standard = pf.VAE(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(**still))
    assert not standard.encoder.centre.any()  # its coordinates have mean 0 already


def test_discretised_logistic_draws_levels() -> None:
    drawn = learnt(levels(), epochs=2, likelihood="discretised_logistic").sample(
        5, rng=0, using="ancestral"
    )
    assert torch.allclose(drawn, drawn.round(), atol=1e-3)
    assert float(drawn.min()) > -0.5
    assert float(drawn.max()) < 255.5


def test_a_table_with_categories_comes_back(tmp_path: Path) -> None:
    source = table()
    model = learnt(source, epochs=60, likelihood="columns")
    drawn = model.fitted_space().export(model.sample(400, rng=0))
    assert set(drawn["kind"]) == {"ant", "bee", "cat"}
    means = drawn.groupby("kind")["size"].mean()
    assert means["cat"] - means["ant"] > 3  # 8 in the data
    stored_alike(model, source.x, tmp_path)


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
@pytest.mark.parametrize("prior", ["normal", "mixture(components=3)", "vamp(components=5)"])
@pytest.mark.parametrize("objective", ["elbo", "iwae(k=4)", "iwae(k=4, doubly=True)"])
def test_posteriors_priors_and_objectives(
    posterior: str, prior: str, objective: str, tmp_path: Path
) -> None:
    x = points()
    model = learnt(x, posterior=posterior, prior=prior, objective=objective)
    loose, tight = bound(model, x), iwae(model, x, k=200).value
    assert loose > -9.5  # independent normals of these variances have -9.9
    assert tight > loose
    assert model.sample(6, rng=0).shape == (6, 4)
    stored_alike(model, x, tmp_path)


def test_learnt_priors_are_learnt() -> None:
    x = points()
    one, two = (learnt(x, epochs=e, prior="mixture(components=3)") for e in (1, 20))
    assert not torch.allclose(one.codes.tensors[1], two.codes.tensors[1], atol=0.05)


@pytest.mark.parametrize("prior", ["normal", "mixture(components=3)"])
def test_conditions(prior: str, tmp_path: Path) -> None:
    x = levels()
    y = (x.float().flatten(1).mean(1) > 128).long()
    model = learnt(
        x, y=y, epochs=40, prior=prior, network="conv(width=8, hidden=32)", likelihood="gaussian"
    )
    dark, light = (float(model.sample(40, y=label, rng=0).mean()) for label in (0, 1))
    assert light > dark + 30
    stored_alike(model, x, tmp_path, y)


def test_objectives_change_what_is_minimised_and_not_what_is_measured() -> None:
    x = points()
    heavy, plain = learnt(x, epochs=60, objective="elbo(beta=20.0)"), learnt(x, epochs=60)
    assert rate(heavy, x) < rate(plain, x) - 0.5
    assert bound(heavy, x) < bound(plain, x)


def test_free_bits_are_spent() -> None:
    """Pure noise is worth no code; a dimension that is free is used all the same."""
    x = torch.randn(300, 3, generator=torch.Generator().manual_seed(1))
    free, plain = (learnt(x, epochs=60, objective=o) for o in ("elbo(free_bits=0.5)", "elbo"))
    assert rate(free, x) > 0.5
    assert rate(plain, x) < 0.3


@pytest.mark.parametrize(
    ("how", "x", "error", "message"),
    [
        ({"prior": "vamp"}, points(), InvalidValue, "a vamp prior's inputs have no conditions"),
        ({"likelihood": "discretised_logistic"}, points(), BadSource, "needs integer levels"),
        ({"likelihood": "gaussian", "network": "conv"}, points(), InvalidValue, "at least 8x8"),
        ({"likelihood": "gaussian"}, table(), BadSource, "categor"),
    ],
)
def test_what_does_not_fit_is_refused(
    how: dict[str, Any], x: Any, error: type[Exception], message: str
) -> None:
    y = torch.zeros(len(x), dtype=torch.int64) if "prior" in how else None
    with pytest.raises(error, match=message):
        learnt(x, epochs=1, y=y, **how)


def test_free_bits_need_a_closed_form() -> None:
    with pytest.raises(
        InvalidValue, match="free_bits need posterior='diagonal' and prior='normal'"
    ):
        pf.VAE(objective="elbo(free_bits=0.1)", prior="vamp")


# ----------------------------------------------------------------------- bounds that are no numbers


def broken(model: pf.VAE, how: str) -> pf.VAE:
    """The model with its network spoilt."""
    first, last = next(iter(model.encoder.parameters())), list(model.decoder.parameters())[-1]
    with torch.no_grad():
        if how == "NaN in the encoder":
            first[0, 0] = torch.nan
        elif how == "NaN in the decoder":
            last[0] = torch.nan
        elif how == "infinity in the encoder":
            first[0, 0] = torch.inf
        else:  # a network that divides 0 by 0, say
            model.encoder.network.register_forward_hook(
                lambda _, __, found: tuple(t * torch.nan for t in found)
            )
    return model


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian(predicted=True)"])
@pytest.mark.parametrize(
    "how",
    ["NaN in the encoder", "NaN in the decoder", "infinity in the encoder", "NaN for every row"],
)
def test_a_broken_network_shows(how: str, likelihood: str) -> None:
    x = points()
    model = broken(learnt(x, 1, likelihood=likelihood), how)
    near = model.elbo(x, rng=0)
    assert bool(near.isnan().any())
    assert not bool(near.isneginf().any())
    if how != "NaN for every row":
        assert not bool(model.elbo(x * 1e25, rng=0).isneginf().all())


@pytest.mark.parametrize(
    "likelihood", ["gaussian", "gaussian(predicted=True)", "gaussian(per_dimension=True)"]
)
@pytest.mark.parametrize("size", [1e6, 1e20, 1e30])
def test_far_rows_are_unlikely_and_change_no_other(size: float, likelihood: str) -> None:
    x = points().double()
    model = learnt(x, 1, likelihood=likelihood)
    both = model.elbo(torch.cat([x, -size * x[:3]]), rng=0)
    assert bool(both[: len(x)].isfinite().all())
    assert bool((both[len(x) :] < -1e8).all())
    assert not bool(both.isnan().any())


def test_the_quality_of_an_importance_weighted_model_is_its_own_bound() -> None:
    """Of k draws, so at least the ELBO in the mean; the same seed gives the same k draws."""
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    model = pf.VAE(latent=2, hidden=(8,), objective="iwae(k=20)").fit(x, steps=2, batch=32)
    batch = Batch(model.to_model(x))
    quality, elbo = model.quality(batch, rng=0), model.bound(batch, 0)
    expected = importance_bound(model.log_weights(batch, 20, 0)[0])
    assert torch.equal(quality, expected)
    assert float((quality - elbo).detach().mean()) > 0.05
