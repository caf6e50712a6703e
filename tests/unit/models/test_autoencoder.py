"""The auto-encoder's noise, sparsity and networks:
what is minimised by hand, what is spoilt and when, what is stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.core.registry import read
from pushforward.models.deep.autoencoder import KL, L1, GaussianNoise, Masking, Noise, Sparsity
from pushforward.nets.architectures import conv, hinton

SHORT: dict[str, Any] = {"steps": 3, "batch": 32}


def rows(n: int = 96, d: int = 3, seed: int = 0) -> Tensor:
    return 2 * torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + 5


def images(n: int = 40, *shape: int) -> Tensor:
    return torch.randint(
        0, 256, (n, *(shape or (1, 9, 8))), generator=torch.Generator().manual_seed(0)
    ).to(torch.uint8)


def fitted(x: Tensor, y: Any = None, **how: Any) -> pf.Autoencoder:
    return pf.Autoencoder(**{"latent": 2, "hidden": (8,), **how}).fit(x, y, by=pf.Trainer(**SHORT))


def step(seed: int = 0) -> Step:
    return Step(rng=torch.Generator().manual_seed(seed))


# -------------------------------------------------------------------------------------------- noise


def test_gaussian_noise_has_its_sigma_and_no_mean() -> None:
    spoilt = GaussianNoise(0.3)(torch.full((400, 50), 2.0, dtype=torch.float64), rng=0)
    assert float(spoilt.mean()) == pytest.approx(2, abs=0.01)
    assert float(spoilt.std()) == pytest.approx(0.3, abs=0.01)


def test_masking_takes_its_share_and_leaves_the_rest() -> None:
    x = torch.full((400, 50), 2.0, dtype=torch.float64)
    spoilt = Masking(0.3)(x, rng=0)
    assert set(spoilt.unique().tolist()) == {0.0, 2.0}
    assert float((spoilt == 0).double().mean()) == pytest.approx(0.3, abs=0.02)
    assert float((spoilt == 0).double().sum(1).std()) > 1, "each number on its own"


@pytest.mark.parametrize("noise", [GaussianNoise(0.5), Masking(0.5)])
def test_noise_repeats_with_its_stream_and_leaves_what_it_is_given(noise: Noise) -> None:
    x = rows()
    kept = x.clone()
    assert torch.equal(noise(x, rng=1), noise(x, rng=1))
    assert not torch.equal(noise(x, rng=1), noise(x, rng=2))
    assert torch.equal(x, kept)


@pytest.mark.parametrize("noise", ["gaussian(0.3)", "masking(0.3)"])
def test_the_input_is_spoilt_and_the_target_is_clean(noise: str) -> None:
    model = fitted(rows(), noise=noise)
    u = model.to_model(rows())
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    error = model.squared_error(Batch(u), step(7))["error"]
    spoilt = read(Noise, noise)(u, rng=7)
    assert torch.equal(seen[0], spoilt)
    by_hand = (model.decoder(model.encoder(spoilt)) - u).square().sum(1)
    torch.testing.assert_close(error, by_hand)


@pytest.mark.parametrize("noise", ["gaussian(0.5)", "masking(0.5)"])
def test_codes_and_quality_are_of_clean_data(noise: str) -> None:
    model = fitted(rows(), noise=noise)
    u = model.to_model(rows())
    assert torch.equal(model.encode(rows()), model.encoder(u))
    clean = (model.decoder(model.encoder(u)) - u).square().sum(1)
    torch.testing.assert_close(model.quality(Batch(u), rng=0), -clean)


def test_denoising_learns_to_restore_what_is_masked() -> None:
    """Two equal columns: each can be restored from the other,
    and the plain auto-encoder, whose code is as wide, need not.
    """
    one = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
    x = torch.cat([one, one], 1)
    by = pf.Trainer(steps=400, batch=100, optimizers={"autoencoder": "adam(rate=0.01)"})
    plain, denoising = (
        pf.Autoencoder(2, (16,), "tanh", noise=n).fit(x, by=by) for n in (None, "masking(0.3)")
    )
    half = torch.cat([one, torch.zeros_like(one)], 1)
    with torch.no_grad():
        errors = [
            float((m.decode(m.encode(half)) - x).square().sum(1).mean()) for m in (plain, denoising)
        ]
    assert errors[1] < 0.05 < 0.5 < errors[0]


# ----------------------------------------------------------------------------------------- sparsity


def test_l1_by_hand() -> None:
    codes = torch.tensor([[1.0, -2.0], [0.0, 0.5]])
    assert L1(0.5)(codes).tolist() == [1.5, 0.25]


def test_kl_by_hand() -> None:
    codes = torch.tensor([[0.2, 0.05], [0.6, 0.05]], dtype=torch.float64)
    expected = 3 * (0.05 * math.log(0.05 / 0.4) + 0.95 * math.log(0.95 / 0.6))
    assert float(KL(0.05, 3.0)(codes)) == pytest.approx(expected, rel=1e-12)


def test_kl_counts_weighted_rows() -> None:
    codes = torch.tensor([[0.2], [0.6]], dtype=torch.float64)
    doubled = torch.tensor([[0.2], [0.6], [0.6]], dtype=torch.float64)
    weighted = KL()(codes, torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert float(weighted) == pytest.approx(float(KL()(doubled)), rel=1e-12)


def test_kl_of_units_that_never_or_always_speak_is_finite() -> None:
    codes = torch.tensor([[0.0, 1.0], [0.0, 1.0]], requires_grad=True)
    cost = KL()(codes)
    cost.backward()
    assert math.isfinite(cost.item())
    assert bool(torch.isfinite(codes.grad).all())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sparsity", "squash", "shape"),
    [("l1(0.5)", "identity", (96,)), ("kl(0.1, 2.0)", "sigmoid", ())],
)
def test_sparsity_is_a_term_of_its_own(sparsity: str, squash: str, shape: tuple[int, ...]) -> None:
    model = fitted(rows(), sparsity=sparsity, squash=squash)
    u = model.to_model(rows())
    terms = model.squared_error(Batch(u), step())
    assert list(terms) == ["error", "sparsity"]
    assert terms["sparsity"].shape == shape
    torch.testing.assert_close(terms["sparsity"], read(Sparsity, sparsity)(model.encode(rows())))
    torch.testing.assert_close(terms["error"], -model.quality(Batch(u)))


def test_a_price_on_codes_makes_them_sparse() -> None:
    x = rows(200, 6)
    by = pf.Trainer(steps=200, batch=100, optimizers={"autoencoder": "adamw(rate=0.01, decay=0.1)"})
    free, priced = (
        pf.Autoencoder(8, (16,), sparsity=s).fit(x, by=by).encode(x).abs().mean()
        for s in (None, "l1(1.0)")
    )
    assert float(priced.detach()) < 0.3 * float(free.detach())
    quiet = (
        pf.Autoencoder(8, (16,), sparsity="kl(0.05, 20.0)", squash="sigmoid")
        .fit(x, by=by)
        .encode(x)
    )
    assert float(quiet.detach().mean()) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("squash", ["identity", "relu", "tanh"])
def test_kl_without_activations_between_0_and_1_is_refused(squash: str) -> None:
    with pytest.raises(
        pf.InvalidValue,
        match=rf"needs activations between 0 and 1, got squash='{squash}'; pass squash='sigmoid'",
    ):
        pf.Autoencoder(sparsity="kl", squash=squash)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"noise": "gaussian(0)"}, "sigma must be above 0"),
        ({"noise": "masking(1.0)"}, "share must lie between 0 and 1, got 1.0"),
        ({"noise": "salt"}, "unknown noise 'salt'"),
        ({"sparsity": "l1(-1)"}, "weight must be above 0"),
        (
            {"sparsity": "kl(target=0)", "squash": "sigmoid"},
            "target must lie between 0 and 1, got 0",
        ),
        ({"squash": "sigmoidal"}, "did you mean 'sigmoid'"),
        ({"network": "convnet"}, "unknown network 'convnet'"),
    ],
)
def test_wrong_values_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        pf.Autoencoder(**given)


# ------------------------------------------------------------------------------------------ network


def test_by_default_the_networks_are_those_of_hidden_and_activation() -> None:
    model = pf.Autoencoder(2, (5,), "tanh").fit(rows(), by=pf.Trainer(**SHORT))
    assert list(model.state_dict())[-4:] == [
        "decoder.layers.0.weight",
        "decoder.layers.0.bias",
        "decoder.layers.2.weight",
        "decoder.layers.2.bias",
    ]
    assert (model.network, model.noise, model.sparsity) == (None, None, None)
    same = pf.Autoencoder(2, network="mlp(hidden=(5,), activation='tanh')").fit(
        rows(), by=pf.Trainer(**SHORT)
    )
    assert torch.equal(same.encode(rows()), model.encode(rows()))


@pytest.mark.parametrize(
    "network",
    [
        "conv(width=4, hidden=16)",
        conv(width=4, hidden=16, norm="group"),
        "hinton",
        hinton(),
        "mlp(hidden=())",
    ],
)
def test_networks_by_value_and_by_text(network: Any, tmp_path: Any) -> None:
    x = images()
    model = fitted(x, network=network, noise="masking(0.1)", sparsity="l1(0.01)", squash="tanh")
    assert model.decode(model.encode(x)).shape == x.shape
    model.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert repr(again) == repr(model)
    assert again.network == model.network
    assert torch.equal(again.encode(x), model.encode(x))
    assert torch.equal(again.decode(again.encode(x)), model.decode(model.encode(x)))


@pytest.mark.parametrize(("shape", "channels"), [((28, 28), 1), ((9, 14), 3), ((8, 8), 4)])
def test_conv_takes_images_of_any_size(shape: tuple[int, int], channels: int) -> None:
    x = images(40, channels, *shape)
    model = fitted(x, network="conv(width=4, hidden=16)")
    assert model.encode(x).shape == (40, 2)
    assert model.space.export(model.decode(model.encode(x)).detach()).shape[0] == 40  # type: ignore[union-attr]


def test_conv_learns() -> None:
    """Bright squares at four places: the code says where."""
    n = 200
    place = torch.randint(0, 4, (n, 2), generator=torch.Generator().manual_seed(0))
    x = torch.zeros(n, 1, 12, 12)
    for i, (row, column) in enumerate((3 * place).tolist()):
        x[i, 0, row : row + 3, column : column + 3] = 1
    by = pf.Trainer(epochs=30, batch=50, optimizers={"autoencoder": "adam(rate=0.005)"})
    model = pf.Autoencoder(4, network="conv(width=8, hidden=32)").fit(x, by=by)
    error = (model.decode(model.encode(x)) - x).square().flatten(1).sum(1).mean()
    assert float(error.detach()) < 0.3 * float((x - x.mean(0)).square().flatten(1).sum(1).mean())


def test_conv_refuses_points_and_small_images() -> None:
    cases: list[tuple[Callable[[], Tensor], str]] = [
        (rows, "3 numbers"),
        (lambda: images(40, 1, 7, 9), "7x9"),
    ]
    for data, got in cases:
        with pytest.raises(
            pf.InvalidValue, match=f"images of at least 8x8, got {got}; use network='mlp'"
        ):
            fitted(data(), network="conv")


@pytest.mark.parametrize("network", ["conv(width=4, hidden=16)", "hinton", None])
def test_conditions_reach_both_networks(network: str | None) -> None:
    x, y = images(), torch.arange(40) % 3
    model = fitted(x, y, network=network)
    assert not torch.equal(model.encode(x, 0), model.encode(x, 1))
    z = torch.zeros(1, 2)
    assert not torch.equal(model.decode(z, 0), model.decode(z, 1))


def test_the_fit_with_noise_repeats() -> None:
    one, two = (fitted(rows(), noise="gaussian(0.3)") for _ in range(2))
    assert torch.equal(one.encode(rows()), two.encode(rows()))
