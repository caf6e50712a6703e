"""Architectures as values: published layouts to the parameter,
texts that come back, shapes, conditions.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read
from pushforward.nets.architectures import Architecture, SingleHead, burda, conv, hinton, mlp, plane
from pushforward.nets.mlp import MLP


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def dense(*sizes: int) -> int:
    """Parameters of affine layers between the given sizes."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


@pytest.mark.parametrize(
    ("architecture", "hidden", "latent", "down", "up"),
    [
        (plane(), (500, 501), 2, 645_509, 645_287),
        (burda(), (200, 200), 50, 217_300, 207_984),
        (hinton(), (1000, 500, 250), 30, 1_425_810, 1_419_034),
    ],
)
def test_published_layouts(
    architecture: Architecture, hidden: tuple[int, ...], latent: int, down: int, up: int
) -> None:
    """784 pixels; the encoder gives a mean and a log-scale, the decoder one number a pixel."""
    encoder, decoder = (
        architecture.encoder((1, 28, 28), (latent, latent)),
        architecture.decoder(latent, ((1, 28, 28),)),
    )
    assert count(encoder) == dense(784, *hidden, 2 * latent) == down
    assert count(decoder) == dense(latent, *hidden[::-1], 784) == up
    assert [layer.out_features for layer in encoder.modules() if isinstance(layer, nn.Linear)] == [
        *hidden,
        2 * latent,
    ]
    assert [layer.out_features for layer in decoder.modules() if isinstance(layer, nn.Linear)] == [
        *hidden[::-1],
        784,
    ]


def test_hinton_as_an_auto_encoder_is_784_1000_500_250_30() -> None:
    down, up = hinton().encoder((784,), (30,)), hinton().decoder(30, ((784,),))
    assert (
        count(down) + count(up) == dense(784, 1000, 500, 250, 30, 250, 500, 1000, 784) == 2_837_314
    )


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [(plane(), nn.Softplus), (burda(), nn.Tanh), (hinton(), nn.Sigmoid), (mlp(), nn.ReLU)],
)
def test_activations_stand_after_every_hidden_layer_and_nowhere_else(
    architecture: Architecture, kind: type[nn.Module]
) -> None:
    for network in (architecture.encoder((6,), (2,)), architecture.decoder(2, ((6,),))):
        layers = [layer for layer in network.modules() if not list(layer.children())]
        assert [type(layer) for layer in layers] == [nn.Linear, kind] * (len(layers) // 2) + [
            nn.Linear
        ]


@pytest.mark.parametrize(
    "architecture",
    [mlp(), mlp((7, 5), "tanh"), mlp(()), conv(width=4, hidden=8), plane(), burda(), hinton()],
)
def test_several_heads_and_conditions(architecture: Architecture) -> None:
    event = (2, 8, 8)
    encoder, decoder = (
        architecture.encoder(event, (3, 4), 5),
        architecture.decoder(3, (event, (1, 8, 8)), 5),
    )
    x, y = draw(6, *event), draw(6, 5, seed=1)
    mean, other = encoder(x, y)
    assert (mean.shape, other.shape) == ((6, 3), (6, 4))
    assert not torch.equal(encoder(x, 2 * y)[0], mean)
    location, scale = decoder(mean, y)
    assert (location.shape, scale.shape) == ((6, *event), (6, 1, 8, 8))
    assert not torch.equal(decoder(mean, 2 * y)[0], location)
    (location.square().sum() + scale.square().sum() + other.square().sum()).backward()
    for network in (encoder, decoder):
        assert [
            name
            for name, p in network.named_parameters()
            if p.grad is None or not float(p.grad.abs().sum())
        ] == []


def test_heads_may_be_of_any_shape_for_an_mlp() -> None:
    a, b, c = mlp((4,)).decoder(2, ((3,), (), (2, 2)))(draw(5, 2))
    assert (a.shape, b.shape, c.shape) == ((5, 3), (5,), (5, 2, 2))


def test_heads_take_their_own_part_of_the_last_layer() -> None:
    decoder = mlp(()).decoder(2, ((3,), (2, 2)))
    z = draw(5, 2)
    whole = z @ decoder.heads.weight.T + decoder.heads.bias
    first, second = decoder(z)
    torch.testing.assert_close(first, whole[:, :3])
    torch.testing.assert_close(second, whole[:, 3:].reshape(5, 2, 2))


def test_an_mlp_value_draws_the_weights_of_the_plain_mlp() -> None:
    torch.manual_seed(3)
    plain = MLP(6, (2,), (5, 4), "relu")
    torch.manual_seed(3)
    value = SingleHead(mlp((5, 4), "relu").encoder((6,), (2,)))
    assert torch.equal(plain(draw(7, 6)), value(draw(7, 6)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mlp", mlp()),
        ("mlp(hidden=(8, 4), activation='tanh')", mlp((8, 4), "tanh")),
        ("mlp(hidden=[8])", mlp((8,))),
        ("mlp(8)", mlp((8,))),
        ("conv", conv()),
        ("conv(width=16, norm='group')", conv(width=16, norm="group")),
        ("plane", plane()),
        ("burda", burda()),
        ("hinton", hinton()),
    ],
)
def test_texts_name_values_and_come_back(text: str, value: Architecture) -> None:
    assert read(Architecture, text) == value
    assert read(Architecture, str(value)) == value


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("convolutional", InvalidValue, "unknown network 'convolutional'"),
        ("mlp(0)", InvalidValue, r"hidden\[0\] must be above 0, got 0"),
        ("mlp((8, 0))", InvalidValue, r"hidden\[1\] must be above 0"),
        ("mlp(activation='rely')", InvalidValue, "did you mean 'relu'"),
        ("conv(width=0)", InvalidValue, "width must be above 0"),
        ("conv(norm='batch')", InvalidValue, "depend on the rest of its batch; use norm='group'"),
        ("conv(norm='groups')", InvalidValue, "did you mean 'group'"),
        ("plane(hidden=(3,))", InvalidValue, "does not fit network 'plane'"),
    ],
)
def test_wrong_texts_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read(Architecture, text)


def test_logistic_layers_begin_steep_and_pass_their_signal_on() -> None:
    """Nine layers deep the outputs still tell inputs apart; with torch's own start they do not."""
    torch.manual_seed(0)
    x = draw(200, 784)
    spread = {}
    for name, make in (("hinton", hinton()), ("torch", mlp((1000, 500, 250), "sigmoid"))):
        with torch.no_grad():
            (restored,) = make.decoder(30, ((784,),))(make.encoder((784,), (30,))(x)[0])
        spread[name] = float(restored.std(0).mean())
    assert spread["hinton"] > 0.05
    assert spread["torch"] < 0.01


def test_logistic_units_are_centred() -> None:
    torch.manual_seed(0)
    trunk = hinton().encoder((784,), (30,)).trunk
    with torch.no_grad():
        second = trunk[0][:3](draw(500, 784))  # W_2 a(W_1 x + b_1) + b_2
    assert float(second.mean(0).abs().mean()) < 0.15 * float(second.std())
