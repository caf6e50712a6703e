"""Projection: exact where there is a closed form, and never worse than where it began."""

from __future__ import annotations

from typing import Any

import pandas
import pytest
import torch

import pushforward as pf
from pushforward.latent import infer_code_distribution, project

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(7)) * 2 + 2
LABELS = (X[:, 0] > 2).long()


def test_a_principal_subspace_is_reached_from_anywhere(fitted: dict[str, Any]) -> None:
    model = fitted["pca"]
    exact = model.encode(X)
    for start in ("prior", torch.full((30, 2), 20.0)):
        found = project(model, X, start=start, rng=0)
        assert torch.allclose(found.codes, exact, atol=1e-5)
        assert torch.allclose(found.error, (X - model.decode(exact)).square().sum(1), atol=1e-8)
        assert bool((found.first_error > found.error).all())


def test_the_prior_pulls_as_ridge_regression_says(fitted: dict[str, Any]) -> None:
    model, weight = fitted["pca"], 3.0
    variance = model.explained_variance_
    found = project(model, X, prior_weight=weight)
    assert torch.allclose(found.codes, model.encode(X) * variance / (variance + weight), atol=1e-5)


@pytest.mark.parametrize("name", ["vae", "autoencoder"])
def test_the_hybrid_is_no_worse_than_either_way_alone(fitted: dict[str, Any], name: str) -> None:
    """Z1: row by row, with the same draws."""
    model = fitted[name]
    distribution = infer_code_distribution(model, X) if name == "autoencoder" else None
    hybrid, optimised, begun = (
        project(model, X, start=s, distribution=distribution, rng=3)
        for s in ("hybrid", "prior", "encoder")
    )
    encoder = project(model, X, steps=0)
    assert bool((hybrid.error <= torch.minimum(optimised.error, encoder.error) + 1e-6).all())
    assert bool((hybrid.error <= begun.error + 1e-6).all())
    assert torch.equal(encoder.codes, model.encode(X).detach())
    assert float(begun.error.mean()) < 0.99 * float(encoder.error.mean())


def test_generators_are_projected_on_from_the_best_of_several_draws(fitted: dict[str, Any]) -> None:
    model = fitted["gan"]
    few, many = (project(model, X, candidates=c, steps=0, rng=0).error for c in (1, 64))
    assert float(many.mean()) < float(few.mean())
    draws = infer_code_distribution(model).draw(64, rng=0)
    best = (X[:, None] - model.decode(draws).detach()).square().sum(2).min(1)
    assert torch.allclose(many, best.values, rtol=1e-5)
    found = project(model, X, candidates=64, rng=0)
    assert float(found.error.mean()) < 0.9 * float(many.mean())
    assert torch.allclose(found.restored, model.decode(found.codes).detach(), atol=1e-5)


def test_a_generated_observation_is_found_again(fitted: dict[str, Any]) -> None:
    model = fitted["gan"]
    x = model.sample(20, rng=1)
    found = project(model, x, candidates=64, steps=200, rng=0)
    assert float(found.error.median()) < 1e-3
    assert float(found.error.median()) < 1e-2 * float(found.first_error.median())


def test_conditions_are_kept(fitted: dict[str, Any]) -> None:
    model = fitted["conditional"]
    for start in ("encoder", "prior", "hybrid"):
        found = project(model, X, LABELS, start=start, rng=0)
        assert torch.allclose(found.restored, model.decode(found.codes, LABELS).detach(), atol=1e-5)
        assert bool((found.error <= found.first_error).all())
    order = torch.tensor([i for c in (0, 1) for i in range(30) if int(LABELS[i]) == c])
    found = project(model, X, LABELS, steps=200)
    apart = torch.cat([project(model, X[c == LABELS], c, steps=200).error for c in (0, 1)])
    assert torch.allclose(found.error[order], apart, rtol=1e-2, atol=1e-4)
    one = project(model, X, 1, rng=0)
    assert torch.allclose(
        one.codes, project(model, X, torch.ones(30, dtype=torch.long), rng=0).codes, atol=1e-4
    )
    with pytest.raises(pf.ShapeMismatch, match="y must have length 30, or 1 for all, got 2"):
        project(model, X, LABELS[:2])
    with pytest.raises(pf.InvalidValue, match="pass y"):
        project(model, X)


def test_rows_are_projected_as_if_alone(fitted: dict[str, Any]) -> None:
    together = project(fitted["gan"], X[:6], rng=0)
    for i in range(6):
        alone = project(fitted["gan"], X[i : i + 1], rng=0)
        assert float(alone.error[0]) == pytest.approx(float(together.error[i]), rel=1e-2)


def test_a_coordinate_without_weight_is_filled_in(fitted: dict[str, Any]) -> None:
    model = pf.PCA(1).fit(torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]))
    found = project(model, torch.tensor([[3.0, -50.0]]), weights=torch.tensor([1.0, 0.0]))
    assert torch.allclose(
        found.restored, torch.tensor([[3.0, 6.0]], dtype=torch.float64), atol=1e-5
    )
    assert float(found.error[0]) < 1e-9


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("gan", {"start": "encoder"}, "GAN has no encoder to start from; pass start='prior'"),
        ("gan", {"start": "hybrid"}, "GAN has no encoder"),
        ("autoencoder", {"start": "prior"}, "Autoencoder has no prior over codes"),
        ("vae", {"steps": -1}, "must not be below 0"),
        ("vae", {"candidates": 0}, "candidates must be above 0"),
        ("vae", {"start": torch.zeros(3, 3)}, r"expected codes \(30, latent\)"),
        (
            "vae",
            {"weights": torch.tensor([1.0, -1.0, 1.0, 1.0])},
            "weights must be finite and not below 0",
        ),
        ("vae", {"weights": torch.ones(3)}, "weights must have shape"),
        ("vae", {"y": LABELS}, "fitted without conditions"),
    ],
)
def test_what_cannot_be_projected_names_the_cure(
    fitted: dict[str, Any], name: str, how: dict[str, Any], said: str
) -> None:
    with pytest.raises(pf.PushforwardError, match=said):
        project(fitted[name], X, **how)


def test_models_that_do_not_decode_and_tables_of_categories_are_refused() -> None:
    with pytest.raises(pf.InvalidKind, match="KMeans does not decode codes"):
        project(pf.KMeans(2).fit(X), X)
    with pytest.raises(pf.ShapeMismatch, match="at least one observation"):
        project(pf.PCA(2).fit(X), X[:0])
    table = pf.read(
        pandas.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": list("xyxy")}), categorical=["b"]
    )
    by = pf.Trainer(epochs=1, batch=4)
    with pytest.raises(pf.InvalidKind, match="a distance to categories has no gradient"):
        project(pf.Autoencoder(latent=1, hidden=(4,)).fit(table, by=by), table.all().x)
