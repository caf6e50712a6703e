"""TVAE: its loss, a bound in the user's units, and missing values filled in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.models.tabular.imputation import Imputer, complete_rows
from pushforward.models.tabular.mode_columns import ModeColumns
from tests.unit.models.test_ctgan import rows

SMALL: dict[str, Any] = {"latent": 2, "hidden": (16,)}


@pytest.fixture(scope="module")
def model() -> Any:
    return pf.TVAE(**SMALL).fit(rows(), steps=60, batch=40, quiet=True).requires_grad_(False)


def test_the_published_settings_are_the_defaults() -> None:
    model = pf.TVAE()
    assert (model.latent, model.hidden, model.modes, model.factor) == (128, (128, 128), 10, 2.0)
    assert (model.default_fitter().epochs, model.usual_batch(10_000)) == (300, 500)
    assert [model.usual_batch(n) for n in (30, 1000, None)] == [20, 50, 500]
    (phase,) = model.fit(rows(60), steps=1, quiet=True).phases()
    assert str(phase.optimizer) == "adam(decay=1e-05)"


def test_the_density_of_a_number_integrates_to_one(model: Any) -> None:
    z = torch.tensor([[0.3, -0.7]])
    p = model.likelihood(z)
    x = torch.linspace(-40, 40, 200_001, dtype=torch.float64)
    table = torch.stack([torch.full_like(x, torch.nan), x, torch.full_like(x, torch.nan)], 1)
    u = model.scaling(table)
    many = ModeColumns(model.scaling, p.outputs.double().expand(len(x), -1), p.sigmas.double())
    mass = torch.trapezoid(many.log_prob(u).exp(), x)
    assert float(mass.detach()) == pytest.approx(1, abs=1e-5)


def test_the_density_is_that_of_the_draws(model: Any) -> None:
    p = model.likelihood(torch.tensor([[0.3, -0.7]]))
    n = 40_000
    many = ModeColumns(model.scaling, p.outputs.expand(n, -1), p.sigmas)
    x = model.scaling.inverse(many.rsample(rng=0))[:, 1].double().sort().values
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    nan = torch.full_like(grid, torch.nan)
    u = model.scaling(torch.stack([nan, grid, nan], 1))
    density = ModeColumns(model.scaling, p.outputs.expand(len(u), -1), p.sigmas).log_prob(u).exp()
    cdf = torch.cumulative_trapezoid(density.double(), grid)
    share = torch.searchsorted(x, grid[1:]) / n
    assert float((cdf - share).abs().max()) < 1.63 / math.sqrt(n)  # Kolmogorov's 1 % point


def test_the_masses_of_a_category_sum_to_one(model: Any) -> None:
    nan = torch.full((3,), torch.nan, dtype=torch.float64)
    u = model.scaling(torch.stack([torch.arange(3.0).double(), nan, nan], 1))
    p = model.likelihood(torch.zeros(3, 2))
    assert float(p.log_prob(u).exp().sum()) == pytest.approx(1, abs=1e-6)


def test_a_missing_value_is_left_out(model: Any) -> None:
    p = model.likelihood(torch.zeros(1, 2))
    whole = torch.tensor([[1.0, 0.4, 0.0]], dtype=torch.float64)
    parts = [whole.clone() for _ in range(3)]
    for j, part in enumerate(parts):
        part[:, [k for k in range(3) if k != j]] = torch.nan
    logs = [float(p.log_prob(model.scaling(x))) for x in (whole, *parts)]
    assert logs[0] == pytest.approx(sum(logs[1:]), abs=1e-6)
    assert float(p.log_prob(model.scaling(torch.full_like(whole, torch.nan)))) == 0


def test_the_bound_is_in_the_users_units() -> None:
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, large = (
        pf.TVAE(**SMALL).fit(rows_, steps=20, batch=50, quiet=True) for rows_ in (x, 1000 * x)
    )
    gap = one.elbo(x, rng=0) - large.elbo(1000 * x, rng=0)
    assert torch.allclose(gap, torch.full_like(gap, 2 * math.log(1000)), atol=1e-2)


def test_the_bound_is_below_the_log_likelihood_by_many_draws(model: Any) -> None:
    x = rows().all().x[:50]
    bound = torch.stack([model.elbo(x, rng=i) for i in range(30)]).mean(0)
    log_weight, _ = model.log_weights(Batch(model.to_model(x)), 2000, 0)
    tight = log_weight.double().logsumexp(0) - math.log(2000)
    assert bool((bound < tight + 0.3).all())
    assert float(bound.mean()) < float(tight.mean())


def test_unknown_categories_have_no_mass(model: Any) -> None:
    x = torch.tensor([[7.0, 0.0, 0.0], [0.0, 0.0, 0.0], [torch.nan, 0.0, 0.0]])
    assert model.elbo(x, rng=0).isfinite().tolist() == [False, True, True]


def test_the_loss_is_the_published_one(model: Any) -> None:
    x = torch.tensor([[1.0, 0.4, 0.0], [2.0, torch.nan, torch.nan]], dtype=torch.float64)
    u = model.to_model(x)
    terms = model.loss(Batch(u), Step(rng=torch.Generator().manual_seed(0)))
    z = model.posterior(u).rsample(rng=torch.Generator().manual_seed(0))
    outputs, sigmas = model.decoder(z)
    wanted = torch.zeros(2)
    for block in model.scaling.blocks:
        entry = u[:, block.choices].argmax(1)
        wanted += torch.nn.functional.cross_entropy(
            outputs[:, block.choices], entry, reduction="none"
        )
    block = model.scaling.numbers[0]
    miss = u[0, block.start] - outputs[0, block.start].tanh()
    wanted[0] += miss.square() / (2 * sigmas[0].square()) + sigmas[0].log()
    assert torch.allclose(terms["distortion"], 2 * wanted, rtol=1e-5)


def test_sigmas_keep_their_bounds() -> None:
    model = pf.TVAE(**SMALL).fit(
        rows(), steps=30, batch=40, quiet=True, optimizers={"vae": "adam(rate=1.0)"}
    )
    (sigmas,) = model.decoder.sigmas()
    assert bool(((sigmas >= 0.01) & (sigmas <= 1)).all())


def test_gaps_are_filled_and_nothing_else_changes(model: Any) -> None:
    x = rows().all().x
    for using in ("draw", "mean", "mode"):
        full = model.complete(x, rng=0, using=using)
        assert not bool(full.isnan().any())
        assert torch.equal(full[~x.isnan()], x[~x.isnan()])
        assert set(full[:, 2].tolist()) <= {0.0, 1.0}
    one, two = (model.complete(x, rng=seed) for seed in (1, 2))
    assert torch.equal(one, model.complete(x, rng=1))
    assert not torch.equal(one, two)
    with pytest.raises((pf.InvalidValue, TypeError), match="median"):
        model.complete(x, using="median")


def test_filling_in_agrees_with_exact_enumeration() -> None:
    """One category of two values decides the number's mode: p(kind | x) is known."""
    source = pf.read(
        pd.DataFrame({"kind": list("ab") * 50, "x": np.r_[-3.0, 3.0].tolist() * 50}),
        types={"x": "continuous"},
    )
    code = pf.TVAE(**SMALL).fit(source, steps=1, batch=20, quiet=True)
    scaling = code.scaling
    block = scaling.numbers[0]
    kind = scaling.categories[0]

    def likelihood(z: torch.Tensor) -> ModeColumns:
        """kind is a if z > 0; x is near -3 with probability .8 for a, .2 for b."""
        outputs = torch.zeros(len(z), *code.event_shape(), dtype=z.dtype)
        is_a = z[:, 0] > 0
        outputs[:, kind.choices.start] = torch.where(is_a, 9.0, -9.0)
        low = scaling.shift[block.modes].argmin()
        outputs[:, block.choices.start + low] = torch.where(is_a, 1.0, -1.0) * math.log(4)
        return ModeColumns(scaling, outputs, torch.full((1,), 0.5))

    def broad(u: torch.Tensor) -> Any:
        return code.prior(len(u))

    imputer = Imputer(scaling, code.prior, broad, likelihood)
    assert block.count == 2
    x = torch.tensor([[torch.nan, -3.0]], dtype=torch.float64).repeat(3000, 1)
    share = (complete_rows(imputer, x, 0, "draw")[:, 0] == 0).double().mean()
    assert float(share) == pytest.approx(0.8, abs=0.03)
    assert complete_rows(imputer, x[:1], 0, "mode")[0, 0] == 0


def test_samples_with_gaps_and_without(model: Any) -> None:
    assert not bool(model.sample(300, rng=0).isnan().any())
    gaps = model.sample(300, rng=0, using="gaps").isnan().double().mean(0)
    assert float(gaps[0]) == 0
    assert 0.1 < float(gaps[1]) < 0.5


def test_a_fit_in_two_sittings_is_one_fit(tmp_path: Any) -> None:
    source = rows()
    whole = pf.TVAE(**SMALL).fit(source, steps=8, batch=40, quiet=True, run=tmp_path / "a")
    pf.TVAE(**SMALL).fit(source, steps=5, batch=40, quiet=True, run=tmp_path / "b")
    parts = pf.TVAE(**SMALL).fit(source, by=pf.Trainer(resume=tmp_path / "b", steps=8, quiet=True))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
