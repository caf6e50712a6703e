"""What no distribution gives mass to is -inf, for every likelihood alike; what is missing is
refused by name, unless a model takes it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.array_source import Arrays
from pushforward.core.learner import Learner
from pushforward.core.registry import catalogue
from pushforward.core.space import Column, Space
from pushforward.metrics.likelihood import iwae
from tests.small_models import IMAGES, fitted, rows

MODELS = {name: cls for name, cls in pf.registered_models() if name in catalogue}
STREAM = torch.Generator().manual_seed(0)
BYTES = (torch.rand(64, 1, 2, 3, generator=STREAM) * 255).round().to(torch.uint8)
COINS = (torch.rand(64, 1, 2, 3, generator=STREAM) < 0.4).to(torch.int64)
GREYS = torch.rand(64, 1, 2, 3, generator=STREAM, dtype=torch.float64)
SHARES = 0.9 * torch.rand(64, 3, generator=STREAM, dtype=torch.float64)


def vae(likelihood: str, x: Any) -> pf.VAE:
    return pf.VAE(latent=1, hidden=(8,), likelihood=likelihood).fit(
        x, by=pf.Trainer(steps=4, batch=32)
    )


CASES: list[tuple[str, Any, list[float], list[float]]] = [
    # likelihood, data, values inside the support, values outside
    ("bernoulli", COINS, [0, 1], [255, -1, 2, 1.01, -0.01]),
    ("bernoulli", COINS.float(), [0, 1], [255, -1, 2, 1.01, -0.01]),
    ("bernoulli", COINS.flatten(1), [0, 1], [255, -1, 2, 1.01, -0.01]),
    ("bernoulli", BYTES, [0, 255, 127], [256, -1, 300, -0.5]),
    ("bernoulli", GREYS, [0, 1, 0.3], [3, 255, -0.1, 1.001]),
    ("bernoulli", SHARES, [0, 1, 0.95], [1.5, -0.2, 255]),
    ("continuous_bernoulli", GREYS, [0, 1, 0.3], [3.2, -0.1, 1.001, 255]),
    ("continuous_bernoulli", SHARES, [0, 1, 0.95], [3.2, -0.1, 1.001]),
    ("discretised_logistic", BYTES, [0, 255, 17], [300, -5, 256, -1, 17.5, 254.5, 17.1]),
    (
        "discretised_logistic",
        BYTES.reshape(64, 6).long().clamp(3, 200),
        [3, 200, 17],
        [2, 201, 300, 17.5],
    ),
]


@pytest.mark.parametrize(
    ("likelihood", "x", "inside", "beyond"),
    CASES,
    ids=[f"{c[0]} {tuple(c[1].shape[1:])} {c[1].dtype}" for c in CASES],
)
def test_a_value_outside_the_support_is_minus_infinity(
    likelihood: str, x: Any, inside: list[float], beyond: list[float]
) -> None:
    if likelihood == "discretised_logistic" and x.ndim == 2:
        x[0], x[1] = 3, 200
    model = vae(likelihood, x)
    base = x[:1].double()
    for value in [*inside, *beyond]:
        row = base.clone()
        row.view(-1)[1] = value
        asked = torch.cat([base, row])
        found = [
            model.elbo(asked, rng=0).detach(),
            model.likelihood(torch.zeros(2, 1)).log_prob(model.to_model(asked)).detach(),
        ]
        found.append(iwae(model, asked, k=3, rng=0).values)
        for each in found:
            assert math.isfinite(each[0])
            assert math.isfinite(each[1]) == (value in inside), value
            assert not bool(torch.isnan(each).any())


@pytest.mark.parametrize("code", [3, -1, 1.5, 1e9])
def test_a_category_that_is_none_is_minus_infinity_and_an_unknown_text_is_named(
    code: float,
) -> None:
    frame = pd.DataFrame({"x": np.arange(60.0), "kind": ["a", "b", "c"] * 20})
    model = vae("columns", pf.read(frame, categorical="kind"))
    assert model.elbo(np.array([[3.0, 1.0], [3.0, code]]), rng=0).isfinite().tolist() == [
        True,
        False,
    ]
    with pytest.raises(pf.ShapeMismatch, match="'d'"):
        model.elbo(pd.DataFrame({"x": [1.0], "kind": ["d"]}), rng=0)


def test_declared_bounds_are_the_support() -> None:
    columns = (
        Column("a", low=3.0, high=9.0, lower=0.0, upper=10.0),
        Column("b", low=3.0, high=9.0, lower=0.0, upper=10.0),
    )
    x = 3 + 6 * torch.rand(64, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = vae("continuous_bernoulli", Arrays(x, space=Space("points", (2,), columns, 3.0, 9.0)))
    found = model.elbo(torch.tensor([[0.0, 10.0], [9.5, 1.0], [10.5, 1.0], [5.0, -0.5]]), rng=0)
    assert found.isfinite().tolist() == [True, True, False, False]


def test_a_continuous_bernoulli_is_a_density_on_its_known_range() -> None:
    model = vae("continuous_bernoulli", SHARES[:, :1])
    at = torch.linspace(-0.5, 1.5, 4001, dtype=torch.float64)[:, None]
    z = torch.zeros(1, 1)
    density = (
        (model.likelihood(z).log_prob(model.to_model(at)) + model.log_jacobian(model.to_model(at)))
        .exp()
        .double()
        .detach()
    )
    assert float(torch.trapezoid(density, at[:, 0])) == pytest.approx(1, abs=2e-3)


def test_rows_outside_leave_the_gradients_of_the_others_alone() -> None:
    model = vae("bernoulli", GREYS)
    x = torch.cat([GREYS[:1], GREYS[:1] + 3])
    z = torch.zeros(2, 1, requires_grad=True)
    model.likelihood(z).log_prob(model.to_model(x))[0].backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


# ------------------------------------------------------------------------------- missing in a query

VERBS = ("encode", "log_prob", "elbo", "assign", "responsibilities", "density")


def asked(model: Any, verb: str, x: Any) -> Any:
    return getattr(model, verb)(x, rng=0) if verb == "elbo" else getattr(model, verb)(x)


@pytest.mark.parametrize("name", [n for n in MODELS if n not in IMAGES])
def test_a_missing_value_in_a_query_is_named_or_integrated_out(name: str) -> None:
    model = fitted(name)
    spoilt = rows()[:6].clone()
    spoilt[4, 1] = torch.nan
    frame = pd.DataFrame(spoilt.numpy())
    for verb in VERBS:
        if not hasattr(model, verb):
            continue
        for x in (spoilt, spoilt.numpy(), spoilt.float(), frame):
            if "missing" in model.accepts:
                assert bool(torch.isfinite(asked(model, verb, x)).all()), verb
            else:
                with pytest.raises(pf.BadSource, match="row 4, column 'x1' is missing"):
                    asked(model, verb, x)


def test_a_missing_pixel_is_named() -> None:
    model = vae("gaussian", GREYS)
    spoilt = GREYS[:3].clone()
    spoilt[2, 0, 1, 2] = torch.nan
    with pytest.raises(pf.BadSource, match=r"row 2, value \(0, 1, 2\) is missing"):
        model.elbo(spoilt, rng=0)


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
def test_what_is_missing_is_never_likelier_than_what_is_there(likelihood: str) -> None:
    model = vae(likelihood, GREYS)
    u = model.to_model(GREYS[:2])
    u[1, 0, 0, 0] = torch.nan
    found = model.likelihood(torch.zeros(2, 1)).log_prob(u)
    assert not bool(found[1] > -math.inf)


@pytest.mark.parametrize("kind", ["gmm", "gaussian"])
def test_the_command_line_does_not_rank_a_spoilt_row_most_likely(
    kind: str, tmp_path: Path, capsys: Any
) -> None:
    from pushforward.cli.main import main

    x = rows(40).numpy()
    model = (pf.GMM(2) if kind == "gmm" else pf.Gaussian()).fit(x)
    model.save(tmp_path / "run")
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame.loc[7, "b"] = np.nan
    frame.loc[8] = np.nan
    frame.to_csv(tmp_path / "x.csv", index=False)
    code = main(
        [
            "density",
            str(tmp_path / "run"),
            str(tmp_path / "x.csv"),
            "--out",
            str(tmp_path / "out.csv"),
            "--quiet",
        ]
    )
    if kind == "gaussian":
        assert code == 2
        assert "row 7" in capsys.readouterr().err
        return
    assert code == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["rank"].isna().to_numpy().nonzero()[0].tolist() == [7, 8]
    assert sorted(found["rank"].dropna().astype(int)) == list(range(1, 39))


def test_every_learner_still_learns_what_lies_in_its_range() -> None:
    assert all(issubclass(MODELS[n], Learner) for n in ("vae", "gan"))
    model = vae("bernoulli", COINS)
    assert bool(model.elbo(COINS, rng=0).isfinite().all())


@pytest.mark.parametrize("verb", ["log_prob", "elbo", "encode", "assign", "responsibilities"])
@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["gaussian", "pca", "gmm", "kde", "kmeans", "vae", "autoencoder"])
def test_an_infinity_in_a_query_is_named(name: str, value: float, verb: str) -> None:
    settings: dict[str, Any] = {
        "pca": {"components": 1},
        "gmm": {"components": 2},
        "kmeans": {"clusters": 2},
    }
    small = {"latent": 1, "hidden": (4,)} if name in ("vae", "autoencoder") else {}
    model = dict(pf.registered_models())[name](**settings.get(name, small))
    if not hasattr(model, verb):
        pytest.skip(f"{name} has no {verb}")
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model.fit(x, by=pf.Trainer(steps=2, batch=32) if small else None)
    query = x[:3].clone()
    query[1, 1] = value
    with pytest.raises(pf.PushforwardError, match=r"row 1, column 'x1' is infinite"):
        getattr(model, verb)(query)
