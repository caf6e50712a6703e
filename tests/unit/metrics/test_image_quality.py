"""PSNR, three kinds of SSIM and an Inception-style score:
closed forms, scikit-image, torchmetrics, and what they refuse.
"""

from __future__ import annotations

import inspect
import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.core.records import require_comparable
from pushforward.metrics.classifiers import classifier
from pushforward.metrics.feature_spaces import raw
from pushforward.metrics.image_quality import ms_ssim, psnr, ssim, ssim_daala
from pushforward.metrics.inception_score import inception_score
from pushforward.metrics.scores import METRICS, PAIRED, scores

STREAM = torch.Generator()
SSIMS = [ssim, ssim_daala, ms_ssim]
C1 = 0.01**2


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def smooth(n: int, c: int, h: int, w: int, seed: int = 0) -> Tensor:
    """Images with structure at all scales, in [0, 1]."""
    coarse = uniform(n, c, 6, 6, seed=seed)
    fine = torch.nn.functional.interpolate(coarse, (h, w), mode="bilinear", align_corners=False)
    return (0.7 * fine + 0.3 * uniform(n, c, h, w, seed=seed + 100)).clamp(0, 1)


# ------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("quality", SSIMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_identical_images_are_best(quality: Any, channels: int) -> None:
    x = uniform(2, channels, 176, 180)
    found = quality(x, x)
    assert found.value == pytest.approx(1, abs=1e-12)
    assert found.details["ideal"] == 1


def test_psnr_of_identical_images_is_infinite_and_says_so() -> None:
    x = uniform(3, 1, 8, 8)
    found = psnr(x, torch.cat([x[:1], x[1:] * 0.9]))
    assert found.value == math.inf
    assert found.details["identical"] == 1


@pytest.mark.parametrize("shift", [0.01, 0.1, 0.5])
def test_a_constant_shift(shift: float) -> None:
    """Structure is untouched, so all is luminance; where an image is flat that is known."""
    x = torch.full((2, 1, 176, 176), 0.25, dtype=torch.float64)
    luminance = (2 * 0.25 * (0.25 + shift) + C1) / (0.25**2 + (0.25 + shift) ** 2 + C1)
    assert psnr(x, x + shift).value == pytest.approx(-20 * math.log10(shift), rel=1e-12)
    assert ssim(x, x + shift).value == pytest.approx(luminance, rel=1e-12)
    assert ssim_daala(x, x + shift).value == pytest.approx(luminance, rel=1e-12)
    assert ms_ssim(x, x + shift).value == pytest.approx(luminance**0.1333, rel=1e-12)


def test_a_negative_has_negative_structure() -> None:
    x = smooth(1, 1, 176, 176)
    assert ssim(x, 1 - x).value < 0
    assert ms_ssim(x, 1 - x).value == 0


def test_values_are_means_over_images_with_their_standard_error() -> None:
    x = torch.zeros(2, 1, 12, 12, dtype=torch.float64)
    found = psnr(x, torch.stack([x[0] + 0.1, x[1] + 0.01]), low=0, high=1)
    assert found.value == pytest.approx((20 + 40) / 2)
    assert found.error == pytest.approx(10)
    assert found.unit == "dB"
    assert found.n == 2
    assert math.isnan(psnr(x[:1], x[:1] + 0.1).error)


@pytest.mark.parametrize("quality", [psnr, ssim, ssim_daala])
def test_the_unit_of_levels_makes_no_difference(quality: Any) -> None:
    levels = (smooth(2, 3, 24, 20) * 255).round()
    other = (levels + 10 * uniform(2, 3, 24, 20, seed=5)).round().clamp(0, 255)
    plain = quality(levels.to(torch.uint8), other.to(torch.uint8)).value
    assert quality(levels, other).value == pytest.approx(plain, rel=1e-12)
    assert quality(levels / 255, other / 255).value == pytest.approx(plain, rel=1e-12)
    assert quality(levels / 127.5 - 1, other / 127.5 - 1).value == pytest.approx(plain, rel=1e-10)
    assert quality(levels * 257, other * 257, low=0, high=65535).value == pytest.approx(
        plain, rel=1e-12
    )
    assert quality(levels * 1e-30, other * 1e-30, low=0, high=255e-30).value == pytest.approx(
        plain, rel=1e-12
    )
    assert (
        quality(levels[0].to(torch.uint8), other[0].to(torch.uint8)).value
        == quality(levels[0, :, None], other[0, :, None]).value
    )


def test_luma_and_crop() -> None:
    x = uniform(2, 3, 20, 20)
    y = x.clone()
    y[:, :, :4] = 0  # what is cropped does not count
    y[:, 1] += 0.1
    cropped = psnr(x, y, channel="y", crop=4)
    assert cropped.value == pytest.approx(-20 * math.log10(0.1 * 128.553 / 255), rel=1e-12)
    grey = x[:, :1]
    assert psnr(grey, y[:, :1], channel="y").value == psnr(grey, y[:, :1]).value
    assert ssim(x, y, channel="y", crop=4).value > ssim(x, y, channel="y").value
    with pytest.raises(InvalidValue, match="features"):
        require_comparable(cropped, psnr(x, y, channel="y"))
    with pytest.raises(InvalidValue, match="features"):
        require_comparable(cropped, psnr(x, y, crop=4))


def test_records_tell_the_kinds_of_ssim_apart() -> None:
    x, y = smooth(2, 1, 176, 176), smooth(2, 1, 176, 176, seed=1)
    found = {r.quantity: r for r in scores(x, y, metrics=list(PAIRED))}
    assert list(found) == ["psnr", "ssim", "ms_ssim", "ssim_daala"]
    assert "11×11" in found["ssim"].details["features"]
    assert "1.5 H/256" in found["ssim_daala"].details["features"]
    assert len({r.value for r in found.values()}) == 4
    assert found["psnr"].data == found["ssim"].data


# ------------------------------------------------------------------------- daala, by its definition


def by_definition(x: Tensor, y: Tensor) -> float:
    """daala's SSIM of one channel (h, w):
    sums over the pixels that its window reaches, in whole 256ths.
    """
    h, w = x.shape
    sigma, kernel = 1.5 * h / 256, {}
    for i in range(1, min(h, w)):
        if math.exp(-i * i / (2 * sigma**2)) < math.sqrt(math.pi / 2) * sigma / 256 * (1 - 1e-12):
            break
        kernel[i] = kernel[-i] = math.floor(
            256 / (math.sqrt(2 * math.pi) * sigma) * math.exp(-i * i / (2 * sigma**2)) + 0.5
        )
    kernel[0] = 256 - sum(kernel.values())
    total = weights = 0.0
    for i in range(h):
        for j in range(w):
            places = [
                (i + a, j + b, kernel[a] * kernel[b])
                for a in kernel
                for b in kernel
                if 0 <= i + a < h and 0 <= j + b < w
            ]
            m = sum(p[2] for p in places)
            sums = [
                sum(k * f(float(x[a, b]), float(y[a, b])) for a, b, k in places) / m
                for f in (
                    lambda u, v: u,
                    lambda u, v: v,
                    lambda u, v: u * u,
                    lambda u, v: v * v,
                    lambda u, v: u * v,
                )
            ]
            mx, my, xx, yy, xy = sums
            value = (2 * mx * my + C1) * (2 * (xy - mx * my) + 9e-4)
            total += m * value / ((mx * mx + my * my + C1) * (xx - mx * mx + yy - my * my + 9e-4))
            weights += m
    return total / weights


@pytest.mark.parametrize(("h", "w"), [(8, 8), (40, 12), (96, 10)])
def test_daala_by_its_definition(h: int, w: int) -> None:
    x, y = uniform(1, 1, h, w), uniform(1, 1, h, w, seed=1)
    assert ssim_daala(x, y).value == pytest.approx(by_definition(x[0, 0], y[0, 0]), rel=1e-9)


# -------------------------------------------------------------------------------------------- peers


@pytest.mark.parametrize("channels", [1, 3])
def test_scikit_image_agrees(channels: int) -> None:
    peer = pytest.importorskip("skimage.metrics")
    x, y = smooth(3, channels, 40, 33), smooth(3, channels, 40, 33, seed=1)
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1.0,
        "channel_axis": 0,
    }
    expected = [peer.structural_similarity(a.numpy(), b.numpy(), **options) for a, b in zip(x, y)]
    assert ssim(x, y).values.tolist() == pytest.approx(expected, rel=1e-9)
    expected = [
        peer.peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1.0) for a, b in zip(x, y)
    ]
    assert psnr(x, y).values.tolist() == pytest.approx(expected, rel=1e-9)


def test_torchmetrics_agrees() -> None:
    """It lets windows stick out over mirrored borders in SSIM,
    and in MS-SSIM at the last scale; otherwise they are one.
    """
    peer = pytest.importorskip("torchmetrics.functional.image")
    x = smooth(2, 3, 192, 208)
    y = (x + 0.1 * smooth(2, 3, 192, 208, seed=1)).clamp(0, 1)

    def mirrored(z: Tensor) -> Tensor:
        return torch.nn.functional.pad(z, (5, 5, 5, 5), mode="reflect")

    expected = peer.structural_similarity_index_measure(y, x, data_range=1.0, reduction="none")
    assert torch.allclose(ssim(mirrored(x), mirrored(y)).values, expected, rtol=1e-6)
    small = [torch.nn.functional.avg_pool2d(z, 16) for z in (x, y)]
    borders = ssim(*small).values / ssim(*map(mirrored, small)).values
    expected = peer.multiscale_structural_similarity_index_measure(
        y, x, data_range=1.0, reduction="none"
    ).double()
    assert torch.allclose(ms_ssim(x, y).values, expected * borders**0.1333, rtol=1e-5)


def test_sides_that_do_not_halve_are_padded_by_their_last_pixels() -> None:
    x, y = smooth(1, 1, 177, 193), smooth(1, 1, 177, 193, seed=1)
    even = [torch.nn.functional.pad(z, (0, 1, 0, 1), mode="replicate") for z in (x, y)]
    assert ms_ssim(x, y).value == pytest.approx(ms_ssim(*even).value, abs=5e-3)


@pytest.mark.skipif(
    not os.environ.get("PUSHFORWARD_DATA"),
    reason="needs the real data sets: set PUSHFORWARD_DATA to their folder",
)
def test_bicubic_super_resolution_of_set5() -> None:
    """S1 of the literature's protocol, luma, crop 4: 28.418 dB, Wang .8103, daala .8203 (Pillow's
    bicubic is not MATLAB's, but near).
    """
    from PIL import Image

    found: dict[str, list[float]] = {"psnr": [], "ssim": [], "ssim_daala": []}
    for path in sorted((Path(os.environ["PUSHFORWARD_DATA"]) / "superres" / "Set5").glob("*.png")):
        image = Image.open(path).convert("RGB")
        image = image.crop((0, 0, image.width // 4 * 4, image.height // 4 * 4))
        small = image.resize((image.width // 4, image.height // 4), Image.Resampling.BICUBIC)
        pair = [
            torch.from_numpy(np.array(p)).permute(2, 0, 1)[None]
            for p in (image, small.resize(image.size, Image.Resampling.BICUBIC))
        ]
        for record in scores(*pair, metrics=list(found), paired={"channel": "y", "crop": 4}):
            found[record.quantity].append(record.value)
    means = {name: sum(values) / len(values) for name, values in found.items()}
    assert means["psnr"] == pytest.approx(28.418, abs=0.05)
    assert means["ssim"] == pytest.approx(0.8103, abs=0.003)
    assert means["ssim_daala"] == pytest.approx(0.8203, abs=0.003)


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("x", "y", "more", "said"),
    [
        (uniform(3, 1, 8, 8), uniform(2, 1, 8, 8), {}, "compared pairwise"),
        (uniform(3, 1, 8, 8), uniform(3, 1, 8, 9), {}, "compared pairwise"),
        (uniform(3, 8, 9, 3), uniform(3, 8, 9, 3), {}, "channels-last"),
        (uniform(3, 3, 8, 9), uniform(3, 8, 9, 3), {}, "channels, height, width"),
        (uniform(3, 5), uniform(3, 5), {}, "images must be"),
        ((uniform(3, 1, 8, 8) * 255).to(torch.uint8), uniform(3, 1, 8, 8), {}, "one range"),
        (uniform(3, 1, 8, 8) * 300, uniform(3, 1, 8, 8) * 300, {}, "pass low and high"),
        (uniform(3, 1, 8, 8), uniform(3, 1, 8, 8), {"low": 0.0}, "pass both"),
        (uniform(3, 1, 8, 8), uniform(3, 1, 8, 8), {"low": 1.0, "high": 0.0}, "low < high"),
        (uniform(3, 1, 8, 8), uniform(3, 1, 8, 8), {"crop": 4}, "crop"),
        (uniform(3, 1, 8, 8), uniform(3, 1, 8, 8), {"crop": -1}, "crop"),
        (uniform(3, 4, 8, 8), uniform(3, 4, 8, 8), {"channel": "y"}, "channel"),
        (uniform(3, 3, 8, 8), uniform(3, 3, 8, 8), {"channel": "red"}, "channel"),
        (uniform(3, 1, 8, 8), torch.full((3, 1, 8, 8), math.nan), {}, "NaN"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    x: Tensor, y: Tensor, more: dict[str, Any], said: str
) -> None:
    with pytest.raises((InvalidValue, ShapeMismatch), match=said) as caught:
        psnr(x, y, **more)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("quality", "side", "said"), [(ssim, 10, "11×11"), (ms_ssim, 160, "161×161")]
)
def test_images_smaller_than_the_window_are_refused(quality: Any, side: int, said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        quality(uniform(1, 1, side, side + 5), uniform(1, 1, side, side + 5, seed=1))
    assert (
        quality(uniform(1, 1, side + 1, side + 5), uniform(1, 1, side + 1, side + 5, seed=1)).value
        < 1
    )


# ---------------------------------------------------------------------------- Inception-style score


class Known:
    """A head with known probabilities: features are log-probabilities already."""

    def __call__(self, x: Tensor) -> Tensor:
        return x.log()


def space() -> Any:
    from dataclasses import replace

    return replace(raw(), head=Known())


def test_the_score_of_known_probabilities() -> None:
    sure = torch.eye(4, dtype=torch.float64).repeat(5, 1) * (1 - 4e-12) + 1e-12
    unsure = torch.full((20, 4), 0.25, dtype=torch.float64)
    found = inception_score(sure, unsure, features=space())
    assert found.value == pytest.approx(1)
    assert found.error == pytest.approx(0, abs=1e-12)
    assert found.details["ideal"] == pytest.approx(4)
    one_class = inception_score(sure, sure[:1].repeat(20, 1), features=space())
    assert one_class.value == pytest.approx(1)
    skewed = torch.cat([sure[:1].repeat(12, 1), sure[1:2].repeat(4, 1)])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert inception_score(sure, skewed, features=space()).value == pytest.approx(math.exp(entropy))


def test_its_error_bar_is_its_spread() -> None:
    real = torch.full((4, 3), 1 / 3, dtype=torch.float64)

    def drawn(seed: int) -> Tensor:
        logits = 2 * torch.randn(200, 3, generator=STREAM.manual_seed(seed), dtype=torch.float64)
        return (logits + torch.tensor([1.0, 0, 0], dtype=torch.float64)).softmax(1)

    found = [inception_score(real, drawn(i), features=space()) for i in range(200)]
    spread = float(torch.tensor([r.value for r in found]).std())
    assert sum(r.error for r in found) / 200 == pytest.approx(spread, rel=0.2)


def test_the_library_s_own_classifier_is_named_in_the_record() -> None:
    labels = torch.arange(300) % 3
    x = 0.3 * torch.randn(300, 2, generator=STREAM.manual_seed(0)) + torch.eye(3)[labels][:, :2] * 4
    inside = classifier(x, labels, steps=300, width=16)
    found = scores(x, x[labels == 0], inside, metrics=["inception_score", "fid"])[0]
    assert found.value == pytest.approx(1, abs=0.1)
    assert 2.5 < found.details["ideal"] < 3
    assert found.details["feature_space"] == inside.label
    assert found.value == METRICS["inception_score"](x, x[labels == 0], features=inside).value
    with pytest.raises(InvalidValue, match="features of a classifier"):
        inception_score(x, x)


def test_binary_images_have_the_range_of_their_values_whatever_their_type() -> None:
    stream = torch.Generator().manual_seed(0)
    x, y = (torch.rand(4, 1, 12, 12, generator=stream) > 0.5 for _ in range(2))
    assert (
        psnr(x.to(torch.uint8), y.to(torch.uint8)).value
        == psnr(x, y).value
        == psnr(x.double(), y.double()).value
    )


SQUARE = uniform(2, 3, 170, 170)
KINDS = {
    "channel": (0, None, True, 3.5, b"y", ["y"], torch.ones(2)),
    "crop": (None, "2", True, [1], 1j),
    "low": ("0", True, [0.0], 1j),
    "high": ("255", False, [1.0], torch.ones(2)),
    "data": (5, None, b"images"),
    "rng": (True,),
    "real": ("images", SQUARE.to(torch.complex64)),
    "generated": ("images", object()),
}
VALUES = {
    "channel": ("", "Y", "red" * 200),
    "crop": (1.5, math.nan, -1, 85, 10**5000, torch.tensor(1.5)),
    "low": (math.nan, -math.inf, 10**400, 2.0, 1.0, None),
    "high": (math.nan, math.inf, 10**400, 0.0, -1, None),
}
CASES = [
    (name, value, error)
    for table, error in ((KINDS, InvalidKind), (VALUES, InvalidValue))
    for name in table
    for value in table[name]
]


@pytest.mark.parametrize("quality", PAIRED.values(), ids=list(PAIRED))
@pytest.mark.parametrize(
    ("name", "value", "error"), CASES, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]
)
def test_arguments_of_a_wrong_kind_or_value_are_refused_in_one_line(
    quality: Any, name: str, value: Any, error: type[Exception]
) -> None:
    ends = {"low": 0.0, "high": 1.0} if name in ("low", "high") else {}
    with pytest.raises(
        error, match="samples" if name in ("real", "generated") else f"{name}|images need a range"
    ) as caught:
        # not the tests' own checks
        getattr(quality, "__wrapped__", quality)(
            **{"real": SQUARE, "generated": SQUARE, **ends, name: value}
        )
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 320


def test_numbers_of_numpy_and_torch_are_arguments_too() -> None:
    y = SQUARE / 2
    plain = psnr(SQUARE, y, low=0, high=2, channel="y", crop=2).value
    quality = getattr(psnr, "__wrapped__", psnr)
    for number in (np.float32, np.int64, torch.tensor):
        crop = np.int8(2) if number is np.float32 else number(2)
        assert (
            quality(
                SQUARE,
                y,
                low=number(0),
                high=number(2),
                channel=np.str_("y"),
                crop=crop,
                rng=np.int64(3),
            ).value
            == plain
        )


def test_the_signature_is_shared_and_nothing_is_drawn() -> None:
    first = inspect.signature(psnr)
    state, stream = torch.random.get_rng_state(), np.random.default_rng(0)
    for name, quality in PAIRED.items():
        assert quality.__name__ == name
        assert inspect.signature(quality) == first
        assert "crop: pixels to crop" in (quality.__doc__ or "")
        assert pickle.loads(pickle.dumps(quality)) is quality
        quality(SQUARE, SQUARE, rng=None)
        quality(SQUARE, SQUARE, rng=stream)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert stream.integers(100) == np.random.default_rng(0).integers(100)


@pytest.mark.parametrize(
    ("real", "generated"),
    [
        (torch.zeros(2, 1, 12, 12, dtype=torch.int64), torch.full((2, 1, 12, 12), 255)),
        (torch.rand(2, 1, 12, 12), 255 * torch.rand(2, 1, 12, 12)),
        ((torch.rand(2, 1, 12, 12) > 0.5).byte(), torch.full((2, 1, 12, 12), 200).byte()),
    ],
)
def test_generated_images_of_another_range_are_refused(real: Tensor, generated: Tensor) -> None:
    for metric in (psnr, ssim):
        with pytest.raises(InvalidValue, match=r"are taken to be of 0\.\.1, but the generated"):
            metric(real, generated)
    assert (
        psnr(real, generated, low=0, high=255).value
        == psnr(real.double(), generated.double(), low=0, high=255).value
    )
    near = real.double() + 0.3 * torch.rand(2, 1, 12, 12)
    assert psnr(real.double(), near).value > 10
