"""Projection and strokes on models of the bundled digits, on digits that no model was fitted to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.latent import Strokes, edit, infer_code_distribution, project

MODELS = ["pca", "vae", pytest.param("dcgan", marks=pytest.mark.slow)]


def digits() -> tuple[Tensor, Tensor]:
    """1,500 to fit, and others (n, 1, 8, 8), from 0 to 1."""
    x: Any = pf.read("digits")
    order = torch.randperm(len(x.x), generator=torch.Generator().manual_seed(0))
    levels = x.x.float() / 16
    return levels[order[:1500]], levels[order[1500:]]


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    return {}


@pytest.fixture
def model(request: pytest.FixtureRequest, fitted: dict[str, Any]) -> Any:
    name, (x, _) = request.param, digits()
    if name == "pca":
        fitted.setdefault(name, pf.PCA(20).fit(x))
    elif name not in fitted:
        epochs, unfitted = (
            (40, pf.VAE(latent=16, hidden=(128,)))
            if name == "vae"
            else (120, pf.DCGAN(latent=16, width=16))
        )
        by = pf.Trainer(epochs=epochs, batch=64, seed=0, quiet=True)
        fitted[name] = unfitted.fit(x, by=by)
    return fitted[name]


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_both_starts_are_no_worse_than_one(model: Any) -> None:
    """Z1, on samples of the model and on held-out digits."""
    _, unseen = digits()
    for x in (model.sample(6, rng=7), unseen[:6]):
        hybrid = project(model, x, start="hybrid", rng=1) if hasattr(model, "encode") else None
        optimised = project(model, x, start="prior", rng=1)
        assert bool((optimised.error < optimised.first_error).all())
        if hybrid is not None:
            encoded = project(model, x, start="encoder", steps=0)
            best = torch.minimum(optimised.error, encoded.error)
            assert bool((hybrid.error <= best * (1 + 1e-5) + 1e-6).all())


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_a_stroke_of_colour_arrives_and_little_else_changes(model: Any) -> None:
    """Z2: the masked error falls by 80 %, the rest changes by less than 25 % of the range."""
    distribution = infer_code_distribution(model)
    mask = torch.zeros(8, 8)
    mask[3:5, 3:5] = 1
    for seed in range(6):
        start = distribution.draw(1, rng=seed)
        before = model.decode(start)[0].detach()
        level = 0.1 if float(before[0, 3:5, 3:5].mean()) > 0.5 else 0.9
        asked = Strokes(colour=torch.full((1, 8, 8), level), colour_mask=mask)
        after = edit(model, start, asked, rng=0).x[0]
        errors = [float(((x[0] - level).square() * mask).sum()) for x in (before, after)]
        assert errors[1] <= 0.2 * errors[0]
        change = ((after - before)[0].square() * (1 - mask)).sum() / (1 - mask).sum()
        assert float(change.sqrt()) < 0.25
