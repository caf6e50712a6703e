"""VGAN: what it is fitted to, what its layers are, and that it learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.data.formats.moving_shapes import moving_shapes
from pushforward.nets.video import compose

TINY = {"latent": 4, "width": 4}
FAST = dict.fromkeys(("critic", "generator"), "adam(rate=0.002, beta1=0.5)")
"""For tests of a few steps."""


def clips(n: int = 24) -> torch.Tensor:
    return moving_shapes(n, side=16, frames=8, seed=2).clips


def fitted(steps: int = 3, **settings: object) -> pf.VGAN:
    model = pf.VGAN(**{**TINY, **settings})  # type: ignore[arg-type]
    return model.fit(clips(), steps=steps, batch=8, quiet=True)


def test_samples_have_the_form_of_the_data() -> None:
    model = fitted()
    x = model.sample(3, rng=0)
    assert x.shape == (3, 3, 8, 16, 16)
    assert 0 <= float(x.min()) <= float(x.max()) <= 255
    assert torch.equal(x, model.sample(3, rng=0))
    assert not torch.equal(x[0], x[1])


def test_scenes_are_the_samples_taken_apart() -> None:
    model = fitted()
    scenes = model.scenes(70, rng=0)  # more than are composed at a time
    assert torch.allclose(scenes.x, model.sample(70, rng=0), atol=1e-3)
    again = scenes.mask * scenes.foreground + (1 - scenes.mask) * scenes.background
    assert torch.allclose(again, scenes.x, atol=1e-3)
    assert float(scenes.background.diff(dim=2).abs().max()) == 0
    assert 0 < float(scenes.mask.min()) <= float(scenes.mask.max()) < 1


def test_first_frames_as_conditions() -> None:
    source = pf.read(clips(), y="first_frame")
    model = pf.VGAN(**TINY).fit(source, y=True, steps=3, batch=8, quiet=True)
    first = clips(5)[:, :, 0]
    x = model.sample(5, y=first, rng=0)
    assert x.shape == (5, 3, 8, 16, 16)
    assert torch.equal(x, model.sample(5, y=first, rng=1))  # the frame takes the noise's place
    assert not torch.equal(x, model.sample(5, y=first.flip(0), rng=0))
    assert model.scenes(5, first).mask.shape == (5, 1, 8, 16, 16)


def test_the_first_frame_is_drawn_to_its_condition() -> None:
    """Its error falls within a few steps of its own loss."""
    x = clips()
    source = pf.read(x, y="first_frame")
    errors = {}
    for steps in (1, 60):
        model = pf.VGAN(**TINY, frame_weight=1000.0)
        model.fit(source, y=True, by=pf.Trainer(steps=steps, batch=12, quiet=True, optimizers=FAST))
        samples = model.sample(len(x), y=x[:, :, 0], rng=0)
        errors[steps] = float((samples[:, :, 0] - x[:, :, 0]).abs().mean())
    assert errors[60] < 0.6 * errors[1]


def test_the_terms_of_the_generator() -> None:
    """The penalty is the weight times the mean of the mask."""
    model = fitted(mask_weight=0.7)
    batch = Batch(model.to_model(clips(4)))

    def terms(model: pf.VGAN) -> dict[str, torch.Tensor]:
        rng = torch.Generator().manual_seed(3)
        return dict(model.generator_loss(batch, Step(rng=rng)))

    mask = terms(model)["mask"]
    rng = torch.Generator().manual_seed(3)
    streams = model.streams(model.prior(4).rsample(rng=rng))
    assert torch.allclose(mask.mean(), 0.7 * streams.mask.mean())
    assert compose(streams).shape == batch.x.shape
    model.mask_weight = 0.0
    assert "mask" not in terms(model)
    assert "frame" not in terms(model)


def test_without_its_penalty_the_mask_is_larger() -> None:
    means = {}
    for weight in (0.0, 5.0):
        scenes = fitted(120, mask_weight=weight, mask_start=0.5).scenes(16, rng=0)
        means[weight] = float(scenes.mask.mean())
    assert means[0.0] > means[5.0] + 0.05


def test_it_learns_where_the_shapes_are() -> None:
    """A minute of training would show more; in seconds, the mean frame comes near."""
    x = clips(64)
    errors = []
    for steps in (1, 80):
        by = pf.Trainer(steps=steps, batch=16, quiet=True, optimizers=FAST)
        model = pf.VGAN(**TINY).fit(x, by=by)
        made = model.sample(64, rng=0).mean((0, 2))
        errors.append(float((made - x.double().mean((0, 2))).abs().mean()))
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pf.VGAN(mask_weight=-1), "mask_weight must be finite and not below 0, got -1"),
        (lambda: pf.VGAN(mask_start=0.0), r"mask_start must lie between 0 and 1, got 0.0"),
        (lambda: pf.VGAN(latent=0), "latent"),
        (lambda: pf.VGAN(penalties="r1"), r"penalties is a list, got 'r1'; write"),
        (
            lambda: pf.VGAN(**TINY).fit(clips()[:, :, 0], steps=1, batch=8, quiet=True),
            r"VGAN makes clips, but the data are images of 3×16×16",
        ),
        (
            lambda: pf.VGAN(**TINY).fit(clips()[:, :, :6], steps=1, batch=8, quiet=True),
            r"clips of 2, 4, 8, 16, … frames, got 6; cut them \(frames=4\)",
        ),
        (
            lambda: pf.VGAN(**TINY).fit(
                clips(), torch.arange(24) % 2, steps=1, batch=8, quiet=True
            ),
            r"VGAN takes first frames as conditions, 3×16×16, got .*; pass y='first_frame'",
        ),
    ],
)
def test_bad_input(make: object, words: str) -> None:
    with pytest.raises(pf.PushforwardError, match=words):
        make()  # type: ignore[operator]


def test_clips_from_files_to_files(tmp_path: Path) -> None:
    """A folder of animations, a run, and animations of as many frames at their rate."""
    pytest.importorskip("av")
    space = pf.Space.infer(clips(), frame_rate=5)
    pf.data.write(clips().double(), space, tmp_path / "clips" / "*.apng")
    run = tmp_path / "run"
    by = pf.Trainer(steps=2, batch=8, quiet=True, run=run)
    pf.VGAN(**TINY).fit(str(tmp_path / "clips"), by=by)
    model = pf.load(run)
    path = pf.data.write(model.sample(2, rng=0), model.fitted_space(), tmp_path / "out" / "*.avi")
    again = pf.read(path)
    assert again.space.shape == (3, 8, 16, 16)
    assert again.space.frame_rate == 5
    levels = model.sample(2, rng=0).round().to(torch.uint8)
    assert torch.equal(again.take(torch.arange(2)).x.to(torch.uint8), levels)
