"""CTGAN and TVAE learn how columns go together, which independent columns do not know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import pushforward as pf


def table(n: int, seed: int) -> pd.DataFrame:
    """A category, rare in part, a number about its own centre, and one that follows it."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(list("abc"), n, p=[0.6, 0.34, 0.06])
    x = np.array([{"a": 0, "b": 5, "c": -5}[k] for k in kind]) + rng.normal(size=n)
    return pd.DataFrame({"kind": kind, "x": x, "y": 0.8 * x + 0.5 * rng.normal(size=n)})


def associations(frame: pd.DataFrame) -> dict[str, float]:
    """The correlation of both numbers, and the share of x's variance that the category explains."""
    numbers = frame[["x", "y"]].astype(float)
    means = numbers.x.groupby(frame.kind.astype(str)).transform("mean")
    return {
        "correlation": float(np.corrcoef(numbers.x, numbers.y)[0, 1]),
        "explained": float(means.var() / numbers.x.var()),
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("model", "epochs"),
    [
        (pf.TVAE(latent=16), 150),
        (pf.CTGAN(latent=32, hidden=(128, 128), critic_hidden=(128, 128)), 150),
    ],
)
def test_columns_go_together_in_samples(model: Any, epochs: int) -> None:
    data = table(2000, 0)
    model.fit(pf.read(data, types="auto"), epochs=epochs, batch=100, seed=0, quiet=True)
    samples = model.space.export(model.sample(2000, rng=0))
    wanted, found = associations(data), associations(samples)
    rng = np.random.default_rng(1)
    alone = associations(data.apply(lambda column: rng.permutation(column.to_numpy())))
    for name, value in wanted.items():
        assert abs(value - found[name]) < abs(value - alone[name]) / 3, (name, value, found[name])
    assert 0.02 < (samples.kind == "c").mean() < 0.15, "the rare category is drawn"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_gaps_are_filled_better_than_by_the_mean() -> None:
    data, unseen = table(2000, 0), table(500, 1)
    model = pf.TVAE(latent=16).fit(
        pf.read(data, types="auto"), epochs=150, batch=100, seed=0, quiet=True
    )
    x = pf.read(unseen, like=model).all().x.double()
    gapped = x.clone()
    gapped[:, 2] = float("nan")
    error = (model.complete(gapped, rng=0, using="mean")[:, 2] - x[:, 2]).square().mean().sqrt()
    assert float(error) < 0.4 * float(x[:, 2].std()), "0.5 of 3 is noise"
