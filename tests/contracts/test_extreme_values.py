"""Queries, conditions and data at the ends of what float64 holds:
a right answer or one clear line, never NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf

X = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MAKE: dict[str, Any] = {
    "gaussian": pf.Gaussian,
    "pca": pf.PCA,
    "pca(1)": lambda: pf.PCA(1),
    "gmm": lambda: pf.GMM(2),
    "gmm(tied)": lambda: pf.GMM(2, "tied"),
    "gmm(diagonal)": lambda: pf.GMM(2, "diagonal"),
    "gmm(spherical)": lambda: pf.GMM(2, "spherical"),
    "kde": pf.KDE,
    "kde(matrix)": lambda: pf.KDE(form="matrix"),
    "kde(exponential)": lambda: pf.KDE(kernel="exponential"),
    "kde(product)": lambda: pf.KDE(kernel="biweight", shape="product", bandwidth=2.0),
    "fourier_kde": pf.FourierKDE,
    "kmeans": lambda: pf.KMeans(2),
}
SIZES = [1e30, 1e100, 1e150, 1e200, 1e300]


@pytest.fixture(scope="module", params=MAKE)
def model(request: pytest.FixtureRequest) -> Any:
    return MAKE[request.param]().fit(X)


@pytest.mark.parametrize("size", SIZES)
def test_queries_far_away(model: Any, size: float) -> None:
    far = torch.tensor([[size, 0.0], [-size, size], [0.0, -size]], dtype=torch.float64)
    if hasattr(model, "log_prob"):
        value = model.log_prob(far)
        assert not bool(value.isnan().any())
        assert bool((value < model.log_prob(X).min()).all())
        if size >= 1e200:
            assert value.tolist() == [-math.inf] * 3
        if size <= 1e150 and type(model) is pf.Gaussian:
            scatter = torch.linalg.solve(model.covariance_, (far - model.mean_).T).T
            torch.testing.assert_close(
                value, -0.5 * ((far - model.mean_) * scatter).sum(1), rtol=1e-9, atol=0
            )
    if hasattr(model, "density"):
        assert model.density(far).tolist() == [0, 0, 0]
    if hasattr(model, "responsibilities"):
        share = model.responsibilities(far)
        torch.testing.assert_close(share.sum(1), torch.ones(3, dtype=share.dtype))
        assert torch.equal(share.argmax(1), model.assign(far))
    if hasattr(model, "encode"):
        assert bool(model.encode(far / 4).isfinite().all())


@pytest.mark.parametrize("kind", ["full", "tied", "diagonal", "spherical"])
@pytest.mark.parametrize("size", [1e100, 1e160, 1e200, 1e300])
def test_queries_far_away_of_which_a_value_is_missing(kind: str, size: float) -> None:
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(
        1
    )
    model = pf.GMM(2, kind).fit(x, by=pf.EM(steps=3))
    far = torch.tensor(
        [
            [size, -size, size, math.nan],
            [-size, size, math.nan, size],
            [size, math.nan, math.nan, 0.0],
        ],
        dtype=torch.float64,
    )
    value = model.log_prob(far)
    assert not bool(value.isnan().any())
    assert bool((value < model.log_prob(x).min()).all())
    if size > 1e155:
        assert value.tolist() == [-math.inf] * 3
    share = model.responsibilities(far)
    torch.testing.assert_close(share.sum(1), torch.ones(3, dtype=share.dtype))
    assert torch.equal(share.argmax(1), model.assign(far))


@pytest.fixture(scope="module", params=["vae", "autoencoder"])
def deep(request: pytest.FixtureRequest) -> Any:
    model = pf.VAE(latent=2) if request.param == "vae" else pf.Autoencoder(latent=2)
    return model.fit(X, by=pf.Trainer(steps=5))


@pytest.mark.parametrize("size", [1e10, 1e20, 1e30, 1e37, 1e39, 1e200, 1e300])
def test_deep_models_and_queries_far_away(deep: Any, size: float) -> None:
    """Their bounds and codes were NaN: the bound is -inf,
    and what float32 cannot hold is refused by its row.
    """
    far = torch.tensor([[0.0, 0.0], [size, 0.0]], dtype=torch.float64)
    calls = [deep.encode, *([deep.elbo] if hasattr(deep, "elbo") else [])]
    for call in calls:
        if size > 1e38:
            with pytest.raises(pf.BadSource, match="row 1 of x lies too far"):
                call(far)
            continue
        value = call(far)
        assert not bool(value.isnan().any())
        assert call == deep.encode or (math.isfinite(value[0]) and float(value[1]) < -1e10)


@pytest.mark.parametrize(
    "kind", ["gaussian", "pca", "pca(1)", "gmm", "gmm(diagonal)", "kde", "kde(matrix)"]
)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("value", [1e160, 1e308, -1.7e308])
def test_values_whose_density_is_zero_are_too_far_to_condition_on(
    kind: str, scale: float, value: float
) -> None:
    model = MAKE[kind]().fit(X * scale)
    with pytest.raises(pf.InvalidValue, match="too far from the data to condition on"):
        model.condition({0: max(-1.7e308, min(value * scale, 1.7e308))})


@pytest.mark.parametrize("value", [*SIZES, 1e308, -1e200, math.nan, math.inf, -math.inf, "a", None])
def test_conditions_far_away(model: Any, value: Any) -> None:
    if "Conditions" not in pf.capabilities(model):
        pytest.skip("has no conditionals")
    distribution, refused = None, ""
    try:
        distribution = model.condition({0: value})
    except pf.InvalidValue as error:
        refused = str(error)
    number = isinstance(value, float) and math.isfinite(value)
    if distribution is None:
        assert 0 < len(refused) < 250
        assert type(model) not in (pf.Gaussian, pf.PCA, pf.GMM) or not number or abs(value) > 1e150
        return
    assert number
    assert abs(value) <= 1e150, "whose density is 0"
    drawn = distribution.sample(5, rng=0)
    assert bool(drawn.isfinite().all())
    assert bool(distribution.log_prob(drawn).isfinite().all())


@pytest.mark.parametrize("kind", ["gaussian", "pca", "kde", "fourier_kde", "kmeans"])
@pytest.mark.parametrize("a", [1e200, 1e-200])
def test_columns_that_cannot_be_squared_are_named(kind: str, a: float) -> None:
    x = X * torch.tensor([1.0, a], dtype=torch.float64)
    with pytest.raises(pf.BadSource, match="column 'x1' spans"):
        MAKE[kind]().fit(x)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize(
    "x",
    [
        np.zeros((10, 0)),
        torch.zeros(10, 0),
        np.zeros((5, 1, 0, 4)),
        [[], []],
        np.float64(3),
        torch.tensor(3.0),
        5,
    ],
)
def test_data_without_values_are_refused_in_one_line(kind: str, x: Any) -> None:
    with pytest.raises(pf.PushforwardError) as caught:
        MAKE[kind]().fit(x)
    assert "\n" not in str(caught.value)


# -------------------------------------------------------------------------------------- wide tables


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bandwidth": "silverman"},
        {"bandwidth": 2.0},
        {"form": "number"},
        {"kernel": "exponential"},
    ],
)
def test_a_kernel_density_of_many_columns_takes_no_more_memory_than_they_do(
    settings: dict[str, Any],
) -> None:
    """Its bandwidths are one per axis: no d x d matrix,
    which for these columns would be 1.15 GB.
    """
    x = np.random.default_rng(0).normal(size=(30, 12_000))
    made: list[tuple[int, ...]] = []
    original = torch.Tensor.__matmul__
    with pytest.MonkeyPatch.context() as patch:
        for name in ("diag", "eye", "zeros", "empty", "diag_embed"):
            patch.setattr(torch, name, _watched(getattr(torch, name), made))
        patch.setattr(torch.Tensor, "__matmul__", _watched(original, made))
        with pytest.warns(pf.FitWarning, match="transposed"):
            model = pf.KDE(**settings).fit(x)
        value = model.log_prob(x[:3])
        model.sample(2, rng=0)
    assert bool(value.isfinite().all())
    assert all(math.prod(shape) <= 2 * x.size for shape in made), made


@pytest.mark.parametrize("kind", ["diagonal", "spherical"])
@pytest.mark.parametrize("start", ["kmeans", "random"])
@pytest.mark.parametrize("gaps", [False, True])
def test_mixtures_of_independent_columns_take_no_more_memory_than_the_columns(
    kind: str, start: str, gaps: bool
) -> None:
    """Fitting, queries, draws, conditionals and marginals each
    made matrices of d x d for every component.
    """
    x = np.random.default_rng(0).normal(size=(30, 1_500))
    x[:15] += 3
    if gaps:
        x[3, 5] = math.nan
    made: list[tuple[int, ...]] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("diag", "eye", "zeros", "empty", "diag_embed", "outer", "zeros_like"):
            patch.setattr(torch, name, _watched(getattr(torch, name), made))
        patch.setattr(torch.Tensor, "__matmul__", _watched(torch.Tensor.__matmul__, made))
        model = pf.GMM(2, kind, start=start).fit(x, by=pf.EM(steps=3))
        assert bool(model.log_prob(x[:5]).isfinite().all())
        assert model.assign(x).tolist()[:15] != model.assign(x).tolist()[15:]
        assert model.sample(2, rng=0).shape == (2, 1_500)
        assert model.condition({0: 1.0}).variances_.shape == (2, 1_499)
        assert model.marginal([*range(1_000)]).variances_.shape == (2, 1_000)
    assert all(math.prod(shape) <= 3 * x.size for shape in made), made


def _watched(function: Any, made: list[tuple[int, ...]]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        out = function(*args, **kwargs)
        made.append(tuple(out.shape))
        return out

    return call


@pytest.mark.parametrize(
    "make",
    [
        pf.Gaussian,
        pf.GMM,
        lambda: pf.GMM(2, "tied"),
        lambda: pf.KDE(form="matrix"),
        lambda: pf.KDE(form="matrix", bandwidth="silverman"),
    ],
)
def test_matrices_that_cannot_be_held_are_refused_before_they_are_made(make: Any) -> None:
    x = np.zeros((2, 100_000))
    x[1] = 1
    with pytest.raises(pf.BadSource, match="is the table transposed"):
        make().fit(x)


def test_two_rows_of_many_columns_are_fitted_and_said() -> None:
    x = np.random.default_rng(0).normal(size=(2, 100_000))
    with pytest.warns(pf.FitWarning, match="is the table transposed"):
        assert bool(pf.KDE().fit(x).log_prob(x).isfinite().all())


# ----------------------------------------------------------------------------------- wrong settings


@pytest.mark.parametrize("make", [pf.GMM, pf.KMeans])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_starts_that_are_not_finite_are_refused(make: Any, value: float) -> None:
    """K-means dropped such a centre silently; a mixture was said to have diverged."""
    with pytest.raises(pf.InvalidValue, match="must be finite"):
        make(2, start=[[0.0, value], [1.0, 1.0]])


@pytest.mark.parametrize("make", [pf.GMM, pf.KMeans])
def test_starts_may_be_frames(make: Any) -> None:
    import pandas as pd

    assert make(2, start=pd.DataFrame({"a": [0.0, 1.0], "b": [2.0, 3.0]})).start == (
        (0.0, 2.0),
        (1.0, 3.0),
    )


@pytest.mark.parametrize("adaptive", [None, "abramson"])
@pytest.mark.parametrize("neighbours", [0, 3, 80])
def test_neighbours_without_their_rule_are_refused(adaptive: Any, neighbours: int) -> None:
    with pytest.raises(pf.InvalidValue, match="neighbours"):
        pf.KDE(adaptive=adaptive, neighbours=neighbours)


@pytest.mark.parametrize("neighbours", [0, -1, True])
def test_neighbours_are_a_whole_number(neighbours: Any) -> None:
    with pytest.raises(pf.PushforwardError, match="neighbours must be"):
        pf.KDE(adaptive="knn", neighbours=neighbours)


@pytest.mark.parametrize("neighbours", [5, 6, 10**12])
def test_neighbours_are_fewer_than_the_rows_that_weigh_something(neighbours: int) -> None:
    said = (
        f"adaptive='knn' needs more rows than neighbours={neighbours}, got 5; pass neighbours=4 or"
        " fewer"
    )
    model = pf.KDE(adaptive="knn", neighbours=neighbours)
    with pytest.raises(pf.InvalidValue, match=said):
        model.fit(X[:5])
    with pytest.raises(pf.InvalidValue, match=said):
        model.fit(X[:9], weights=[1, 0, 0, 1, 1, 0, 1, 0, 1])
    with pytest.raises(
        pf.InvalidValue,
        match="adaptive='knn' needs more rows than neighbours=1, got 1; pass adaptive=None",
    ):
        pf.KDE(1.0, adaptive="knn").fit(X[:1])
    assert pf.KDE(adaptive="knn", neighbours=4).fit(X[:5]).log_prob(X[:5]).isfinite().all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: pf.choose_components(X, 3),
        *(lambda a=a: pf.GMM(2).fit(X).marginal(a) for a in (None, 2.5)),
    ],
)
def test_one_thing_for_several_is_refused_in_one_line(call: Any) -> None:
    with pytest.raises(pf.PushforwardError, match=r"several|axis"):
        call()


def test_a_bandwidth_whose_square_leaves_float64_is_refused() -> None:
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert bool(torch.isfinite(pf.KDE(1e-150).fit(x).log_prob(x)).all())
    with pytest.raises(pf.PushforwardError, match="choose a larger one"):
        pf.KDE(1e-160).fit(x).log_prob(x)
