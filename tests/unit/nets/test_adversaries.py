"""Players: published parameter counts, any size, what is put between layers,
and critics' formulas by hand.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read
from pushforward.nets.adversaries import Adversaries
from pushforward.nets.critics import BatchDiscrimination, Critic, Embedded, planes
from pushforward.nets.dcgan import map_sizes
from pushforward.nets.memory import Memory
from pushforward.nets.mlp import MLP, Maxout
from pushforward.nets.residual import ResidualBlock
from pushforward.nets.surgery import insert_batch_norm, insert_dropout, replace_relu


def players(text: str, event: tuple[int, ...], latent: int = 100) -> tuple[nn.Module, Critic]:
    torch.manual_seed(0)
    pair = read(Adversaries, text)
    trunk, width = pair.trunk(event)
    return pair.generator(latent, event), Critic(trunk, pair.head(width), entry=pair.entry)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_deep_convolutional_pair_has_its_published_size() -> None:
    generator, critic = players("dcgan", (3, 64, 64))
    assert (count(generator), count(critic)) == (3_576_704, 2_765_568)


def test_its_parameters_begin_as_published() -> None:
    generator, critic = players("dcgan", (3, 64, 64))
    for network in (generator, critic):
        weights = torch.cat(
            [
                m.weight.detach().flatten()
                for m in network.modules()
                if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
            ]
        )
        gains = torch.cat(
            [m.weight.detach() for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        )
        assert float(weights.std()) == pytest.approx(0.02, rel=0.01)
        assert abs(float(weights.mean())) < 1e-4
        assert (float(gains.mean()), float(gains.std())) == (
            pytest.approx(1, abs=0.005),
            pytest.approx(0.02, rel=0.15),
        )


@pytest.mark.parametrize("network", ["dcgan(width=2)", "r3gan(width=8, blocks=1)"])
@pytest.mark.parametrize(
    "event",
    [(1, 28, 28), (3, 32, 32), (4, 64, 64), (3, 9, 70), (1, 37, 41), (3, 256, 256), (1, 8, 8)],
)
def test_images_of_any_size_and_channels(network: str, event: tuple[int, int, int]) -> None:
    generator, critic = players(network, event, latent=5)
    made = generator(torch.randn(2, 5))
    assert made.shape == (2, *event)
    assert critic(made).shape == (2, 1)


def test_sizes_on_the_way_down() -> None:
    assert map_sizes(64, 64) == [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]
    assert map_sizes(28, 28)[-1] == (3, 3)
    assert map_sizes(256, 256)[-1] == (4, 4)
    assert map_sizes(9, 70) == [(9, 70), (4, 35), (4, 17), (4, 8), (4, 4)]


@pytest.mark.parametrize("event", [(3,), (3, 7, 64)])
def test_what_is_no_image_is_refused(event: tuple[int, ...]) -> None:
    with pytest.raises(InvalidValue, match="dcgan networks take images of at least 8x8"):
        read(Adversaries, "dcgan").check(event)


def test_the_pair_of_infogans_digits_has_its_layers() -> None:
    generator, critic = players("infogan", (1, 28, 28), latent=74)
    dense, first, up, last = (
        74 * 1024 + 2 * 1024,
        1024 * 6272 + 2 * 128,
        128 * 64 * 16 + 2 * 64,
        64 * 16 + 1,
    )
    assert count(generator) == dense + first + up + last
    down, next_, features = 64 * 16 + 64, 64 * 128 * 16 + 2 * 128, 6272 * 1024 + 2 * 1024
    assert count(critic) == down + next_ + features + 1024 + 1
    made = generator(torch.randn(3, 74))
    assert made.shape == (3, 1, 28, 28)
    assert critic(made).shape == (3, 1)
    assert float(made.detach().abs().max()) < 1


def test_sides_that_infogans_pair_cannot_make_are_refused() -> None:
    with pytest.raises(
        InvalidValue, match="sides that are multiples of 4, got 30x28; use network='dcgan'"
    ):
        read(Adversaries, "infogan").check((1, 30, 28))


def test_a_residual_block_begins_as_the_identity_and_is_no_normaliser() -> None:
    block, x = ResidualBlock(16, depth=4), torch.randn(2, 16, 5, 5)
    assert torch.equal(block(x), x)
    assert block.mix.groups == 2  # 32 channels in groups of 16
    generator, critic = players("r3gan(width=8)", (3, 16, 16))
    assert not any("Norm" in type(m).__name__ for n in (generator, critic) for m in n.modules())


def test_the_toy_pair_is_as_described() -> None:
    generator, critic = players("veegan", (2,), latent=2)
    assert [m.out_features for m in generator.layers if isinstance(m, nn.Linear)] == [400] * 4 + [2]
    assert [(m.units, m.pieces) for m in critic.layers if isinstance(m, Maxout)] == [(200, 5)] * 3


def test_maxout_by_hand() -> None:
    layer, x = Maxout(3, 2, 4), torch.randn(5, 3)
    assert torch.allclose(layer(x), layer.linear(x).reshape(5, 2, 4).max(2).values)


# ------------------------------------------------------------------------------------------ critics


@torch.no_grad()
def test_the_projection_critic_is_its_formula() -> None:
    """c(x, y) = psi(phi(x)) + <V y, phi(x)> (Miyato & Koyama 2018, Eq. 3)."""
    phi, psi, v = (
        nn.Sequential(nn.Linear(3, 4), nn.Tanh()),
        nn.Linear(4, 1),
        nn.Linear(2, 4, bias=False),
    )
    x, y = torch.randn(6, 3), torch.eye(2)[torch.arange(6) % 2]
    expected = [float(psi(phi(x[i])) + v.weight[:, i % 2] @ phi(x[i])) for i in range(6)]
    assert Critic(list(phi), psi, projection=v)(x, y).flatten().tolist() == pytest.approx(
        expected, abs=1e-6
    )


def test_further_heads_see_the_same_features() -> None:
    trunk, head, labels = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 2)
    x = torch.randn(6, 3)
    output, said = Critic([trunk], head, heads=[labels], blind=True)(x, torch.ones(6, 2))
    assert torch.equal(output, head(trunk(x)))
    assert torch.equal(said, labels(trunk(x)))


def test_an_embedded_condition_is_appended_in_its_embedding() -> None:
    inner = MLP(2 + 3, (2,), (), "relu")
    network, x, y = Embedded(inner, 5, 3), torch.randn(4, 2), torch.randn(4, 5)
    assert torch.allclose(
        network(x, y), inner.layers[0](torch.cat([x, y @ network.embedding.weight.T], 1))
    )


def test_conditions_become_channels() -> None:
    shown = planes(torch.zeros(2, 1, 3, 3), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert shown.shape == (2, 3, 3, 3)
    assert shown[1, 2].unique().tolist() == [4.0]


def test_batch_discrimination_by_hand() -> None:
    layer, x = (
        BatchDiscrimination(3, kernels=2, size=4).double(),
        torch.randn(5, 3, dtype=torch.float64),
    )
    m = (x @ layer.weight).reshape(5, 2, 4)
    expected = torch.zeros(5, 2, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            if i != j:
                expected[i] += torch.exp(-(m[i] - m[j]).abs().sum(1))
    assert torch.allclose(layer(x), torch.cat([x, expected], 1))


# ------------------------------------------------------------------------------- surgery and memory


def kinds(network: nn.Module) -> list[str]:
    return [type(m).__name__ for m in network.layers]  # type: ignore[union-attr, operator]


def test_batch_norm_goes_between_layers_but_not_to_the_ends() -> None:
    generator, critic = MLP(2, (2,), (4, 4), "relu"), MLP(2, (1,), (4, 4), "relu")
    insert_batch_norm(generator, critic=False)
    insert_batch_norm(critic, critic=True)
    assert kinds(generator) == [
        "Linear",
        "BatchNorm1d",
        "ReLU",
        "Linear",
        "BatchNorm1d",
        "ReLU",
        "Linear",
    ]
    assert kinds(critic) == ["Linear", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert critic.layers[3].running_mean is None
    assert generator.layers[1].running_mean is not None


def test_dropout_follows_activations() -> None:
    network = MLP(2, (2,), (4, 4), "relu")
    insert_dropout(network, 0.3)
    assert kinds(network) == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    with pytest.raises(InvalidValue, match="layers cannot be inserted"):
        insert_dropout(players("r3gan(width=8)", (1, 8, 8))[0], 0.3)


def test_relu_becomes_leaky() -> None:
    network = nn.Sequential(
        nn.ReLU(), nn.Sequential(nn.LeakyReLU(0.01), nn.Tanh()), nn.MaxPool2d(2)
    )
    replace_relu(network, 0.2)
    assert network[0].negative_slope == network[1][0].negative_slope == 0.2
    assert isinstance(network[1][1], nn.Tanh)
    assert isinstance(network[2], nn.AvgPool2d)


def test_memory_holds_the_latest_rows_and_draws_among_them() -> None:
    memory = Memory(5, (1,), (1,))

    def put(first: int, last: int) -> None:
        rows = torch.arange(first, last, dtype=torch.float32)[:, None]
        memory(rows, 10 * rows)

    put(0, 3)
    assert sorted(memory.held()[0].flatten().tolist()) == [0, 1, 2]
    drawn, asked = memory.sample(200, rng=0)
    assert set(drawn.flatten().tolist()) == {0, 1, 2}
    assert torch.equal(asked, 10 * drawn)  # type: ignore[arg-type]
    put(3, 7)
    assert sorted(memory.held()[0].flatten().tolist()) == [2, 3, 4, 5, 6]
    assert not memory.state_dict()
    assert len(list(memory.buffers())) == 3
