"""The digits recipe: what each model can say stands in its row,
and the images are there and legible.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.preparation import dequantise
from pushforward.data import read, split
from pushforward.recipes.digits import COLUMNS, draw, measure, table


@pytest.fixture(scope="module")
def models() -> tuple[dict[str, pf.Model], torch.Tensor, torch.Tensor]:
    source = dequantise(read("digits", label=False), 0)
    train, test = split(source, held_out=0.2, seed=0)
    by = pf.Trainer(epochs=2, batch=64)
    fitted = {
        "PCA": pf.PCA(4).fit(train),
        "auto-encoder": pf.Autoencoder(latent=2, hidden=(16,)).fit(train, by=by),
    }
    fitted["VAE"] = pf.VAE(latent=2, hidden=(16,)).fit(train, by=by)
    return fitted, train.all().x, test.all().x


def test_every_model_says_what_it_can_and_no_more(
    models: tuple[dict[str, pf.Model], torch.Tensor, torch.Tensor],
) -> None:
    fitted, _, test = models
    found = measure(fitted, test, data="digits test", k=10)
    assert list(found["PCA"]) == ["log-density", "reconstruction error"]
    assert list(found["auto-encoder"]) == ["reconstruction error"]
    assert list(found["VAE"]) == ["ELBO", "importance-weighted bound", "reconstruction error"]
    assert found["VAE"]["importance-weighted bound"].value > found["VAE"]["ELBO"].value
    rows = table(found)
    assert [len(row) for row in rows] == [len(COLUMNS) + 1] * 3
    assert rows[1][1:4] == ["–", "–", "–"]


def test_the_images_hold_what_they_say(
    models: tuple[dict[str, pf.Model], torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    fitted, train, test = models
    paths = draw(fitted, train, test, fitted["PCA"].fitted_space(), tmp_path / "images")
    assert [p.stem for p in paths] == ["samples", "reconstructions", "plane", "interpolations"]
    for path in paths:
        with Image.open(path) as image:
            assert min(image.size) > 200
            low, high = image.convert("L").getextrema()
            assert high - low > 200
