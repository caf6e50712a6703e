"""What a notebook shows of a model."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf

X = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))


def test_settings_space_and_end_of_the_fit_are_listed() -> None:
    by = pf.Trainer(steps=3, batch=8, quiet=True)
    shown = pf.GAN(latent=2, hidden=(8,), penalties=["r1(gamma=0.5)"]).fit(X, by=by)._repr_html_()
    for text in ("GAN", "r1(gamma=0.5)", "points in 3 dimensions", "24 samples seen", "budget"):
        assert text in shown
    assert shown.count("<tr>") >= 5 + 6  # samples and their names


def test_a_model_that_is_not_fitted_says_so() -> None:
    assert "nothing yet; call fit(x)" in pf.VAE(2)._repr_html_()


def test_samples_of_images_are_a_png_of_their_levels() -> None:
    model = pf.PCA(3).fit("digits")
    found = re.search(r"data:image/png;base64,([^']+)", model._repr_html_())
    assert found is not None
    image = Image.open(io.BytesIO(base64.b64decode(found[1])))
    image.load()
    assert image.size == (8 * 10, 10)
    first = torch.from_numpy(np.array(image.convert("L")))[1:9, 1:9]
    expected = (model.sample(8, rng=0)[0, 0] / 16 * 255).clamp(0, 255).round()
    assert torch.equal(first.float(), expected.float())


def test_text_is_escaped_and_categories_are_named() -> None:
    frame: Any = {"<b>": [1.0, 2.0, 3.0, 4.0] * 5, "kind": ["a&b", "c"] * 10}
    pandas = pytest.importorskip("pandas")
    source = pf.read(pandas.DataFrame(frame), categorical=["kind"])
    model = pf.GAN(latent=2, hidden=(8,)).fit(source, steps=2, batch=8, quiet=True)
    shown = model._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "a&amp;b" in shown or ">c<" in shown


def test_models_with_conditions_or_without_samples_show_no_samples() -> None:
    y = (X[:, 0] > 0).long()
    given = pf.GAN(latent=2, hidden=(8,)).fit(X, y, steps=2, batch=8, quiet=True)._repr_html_()
    assert "given" in given
    assert "samples</caption>" not in given
    assert "caption" not in pf.KMeans(2).fit(X)._repr_html_()
