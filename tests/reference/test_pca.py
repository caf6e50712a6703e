"""PCA against exact answers (A1, A2), scikit-learn, and what the mathematics says of weights,
shifts, rotations and degenerate data.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.decomposition
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from torch import Tensor

import pushforward as pf
from pushforward.core.phase import Batch

IRIS = torch.from_numpy(load_iris().data)


def digits(folder: Path, name: str) -> Tensor:
    with gzip.open(folder / "mnist" / name) as file:
        return torch.from_numpy(
            np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).copy()
        )


def cloud(n: int, d: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=stream, dtype=torch.float64)
    return torch.randn(n, d, generator=stream, dtype=torch.float64) @ mixing + torch.randn(
        d, generator=stream, dtype=torch.float64
    )


# ------------------------------------------------------------------------------------ exact answers


def test_a1_mnist(data_folder: Path) -> None:
    found = sorted((data_folder / "mnist").glob("*images*"))
    if len(found) < 2:
        pytest.skip("needs mnist/*images* in the data folder")
    names = {("train" if "train" in f.name else "test"): f.name for f in found}
    train, test = (
        digits(data_folder, names["train"]).double() / 255,
        digits(data_folder, names["test"]).double() / 255,
    )
    model = pf.PCA(50).fit(train)
    share = model.explained_variance_ratio_.cumsum(0) * 100
    codes = model.encode(test)
    for k, explained, error in (
        (2, 16.80, 43.645),
        (10, 48.81, 26.714),
        (30, 73.05, 13.866),
        (50, 82.46, 9.004),
    ):
        assert float(share[k - 1]) == pytest.approx(explained, abs=0.01)
        rebuilt = model.mean_ + codes[:, :k] @ model.components_[:k]
        assert float((test - rebuilt).square().sum(1).mean()) == pytest.approx(error, abs=0.005)


@pytest.mark.parametrize(("k", "expected"), [(1, -3.1377964), (2, -2.6997519)])
def test_a2_iris_likelihood(k: int, expected: float) -> None:
    assert float(pf.PCA(k).fit(IRIS).log_prob(IRIS).mean()) == pytest.approx(expected, abs=5e-8)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_likelihood_by_the_closed_form_and_by_the_written_out_covariance(k: int) -> None:
    model = pf.PCA(k).fit(IRIS)
    n, d = IRIS.shape
    centred = IRIS - IRIS.mean(0)
    values = torch.linalg.eigvalsh(centred.T @ centred / n).flip(0)
    sigma2 = values[k:].mean() if k < d else torch.tensor(1.0)
    expected = -0.5 * (
        values[:k].log().sum() + (d - k) * sigma2.log() + d * math.log(2 * math.pi) + d
    )
    assert float(model.log_prob(IRIS).mean()) == pytest.approx(float(expected), abs=1e-10)
    distribution = torch.distributions.MultivariateNormal(model.mean_, model.gaussian().covariance_)
    torch.testing.assert_close(model.log_prob(IRIS), distribution.log_prob(IRIS), rtol=0, atol=1e-9)


# ------------------------------------------------------------------------------------- scikit-learn


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 60), d=st.integers(1, 12), seed=st.integers(0, 10**6), data=st.data())
def test_agrees_with_scikit_learn(n: int, d: int, seed: int, data: st.DataObject) -> None:
    x = cloud(n, d, seed)
    k = data.draw(st.integers(1, min(n - 1, d)))
    ours, theirs = pf.PCA(k).fit(x), sklearn.decomposition.PCA(k, svd_solver="full").fit(x.numpy())
    scale = n / (n - 1)
    torch.testing.assert_close(
        ours.explained_variance_ * scale,
        torch.from_numpy(theirs.explained_variance_),
        rtol=1e-8,
        atol=1e-10,
    )
    torch.testing.assert_close(
        ours.explained_variance_ratio_,
        torch.from_numpy(theirs.explained_variance_ratio_),
        rtol=1e-8,
        atol=1e-12,
    )
    one, two = (
        ours.decode(ours.encode(x)),
        torch.from_numpy(theirs.inverse_transform(theirs.transform(x.numpy()))),
    )
    torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_minka_agrees_with_scikit_learn(seed: int) -> None:
    x = cloud(300, 3, seed) @ torch.randn(
        3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    x = x + 0.3 * torch.randn(
        300, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1)
    )
    ours = pf.PCA("minka").fit(x)
    theirs = sklearn.decomposition.PCA("mle", svd_solver="full").fit(x.numpy())
    assert len(ours.components_) == theirs.n_components_


def test_evidence_is_that_of_scikit_learn() -> None:
    from sklearn.decomposition._pca import _assess_dimension

    from pushforward.models.classical.dimensionality import log_evidence

    spectrum = torch.linalg.eigvalsh(torch.cov(cloud(200, 6).T, correction=0)).flip(0)
    expected = [_assess_dimension(spectrum.numpy(), k, 200) for k in range(1, 6)]
    torch.testing.assert_close(
        log_evidence(spectrum, 6, 200.0),
        torch.tensor(expected, dtype=torch.float64),
        rtol=1e-10,
        atol=1e-8,
    )


def test_held_out_choice_finds_the_rank_and_its_likelihood_is_right() -> None:
    from pushforward.models.classical.dimensionality import held_out_likelihood

    x = cloud(400, 2, 3) @ torch.randn(
        2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    x = x + 0.2 * torch.randn(
        400, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    assert len(pf.PCA("heldout").fit(x).components_) == 2
    one, two = x[::2], x[1::2]
    moments = [(h.mean(0), torch.cov(h.T, correction=0)) for h in (one, two)]
    direct = [float(pf.PCA(k).fit(one).log_prob(two).mean()) for k in range(1, 7)]
    torch.testing.assert_close(
        held_out_likelihood(*moments[0], *moments[1]),
        torch.tensor(direct, dtype=torch.float64),
        rtol=1e-9,
        atol=1e-9,
    )


# ------------------------------------------------------------------- one answer, however it is read


def same(one: pf.PCA, two: pf.PCA, x: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(one.components_, two.components_, rtol=0, atol=tolerance)
    torch.testing.assert_close(one.log_prob(x), two.log_prob(x), rtol=tolerance, atol=tolerance)


def test_streaming_from_a_memory_map_is_the_same(tmp_path: Path) -> None:
    x = cloud(1000, 6)
    np.save(tmp_path / "x.npy", x.numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert not pf.Arrays(mapped).resident
    same(pf.PCA(3).fit(x), pf.PCA(3).fit(mapped, by=pf.EM(block=37)), x)


def test_few_rows_by_singular_values_are_the_same_as_by_covariance() -> None:
    x = cloud(7, 30)
    few = pf.PCA(4).fit(x)
    many = pf.PCA(4).fit(torch.cat([x] * 5))
    same(few, many, x, 1e-8)


def test_integer_weights_are_repetition() -> None:
    x, w = cloud(40, 4), torch.arange(40) % 4
    same(pf.PCA(2).fit(x, weights=w), pf.PCA(2).fit(x.repeat_interleave(w, 0)), x)
    few, w = cloud(5, 9), torch.tensor([1, 2, 0, 3, 1])
    same(pf.PCA(2).fit(few, weights=w), pf.PCA(2).fit(few.repeat_interleave(w, 0)), few, 1e-8)


def test_an_offset_of_1e8_costs_no_more_than_the_data_lost() -> None:
    x = cloud(500, 5)
    shifted = x + 1e8
    plain, far = pf.PCA(2).fit(x), pf.PCA(2).fit(shifted)
    torch.testing.assert_close(
        far.explained_variance_, plain.explained_variance_, rtol=1e-6, atol=0
    )
    torch.testing.assert_close(far.log_prob(shifted), plain.log_prob(x), rtol=0, atol=1e-5)


def test_scale_and_rotation() -> None:
    x = cloud(300, 4)
    turn = torch.linalg.qr(cloud(4, 4, 5)).Q
    plain, turned, scaled = pf.PCA(2).fit(x), pf.PCA(2).fit(x @ turn), pf.PCA(2).fit(3 * x)
    torch.testing.assert_close(turned.log_prob(x @ turn), plain.log_prob(x), rtol=0, atol=1e-9)
    torch.testing.assert_close(
        scaled.log_prob(3 * x), plain.log_prob(x) - 4 * math.log(3), rtol=0, atol=1e-9
    )


def test_images_come_back_as_images() -> None:
    x = cloud(50, 48).reshape(50, 3, 4, 4)
    model, flat = pf.PCA(5).fit(x), pf.PCA(5).fit(x.reshape(50, 48))
    assert model.decode(model.encode(x)).shape == x.shape
    torch.testing.assert_close(model.log_prob(x), flat.log_prob(x.reshape(50, 48)))


# ---------------------------------------------------------------------------------------------- use


def test_signs_are_fixed() -> None:
    for seed in range(20):
        axes = pf.PCA(3).fit(cloud(30, 5, seed)).components_
        assert bool((axes.gather(1, axes.abs().argmax(1, keepdim=True)) > 0).all())


def test_whitened_codes_have_unit_covariance() -> None:
    codes = pf.PCA(3).fit(IRIS).whiten(IRIS)
    torch.testing.assert_close(
        torch.cov(codes.T, correction=0), torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("k", [1, 3, 4])
def test_samples_have_the_models_moments(k: int) -> None:
    model = pf.PCA(k).fit(IRIS)
    drawn = model.sample(200_000, rng=0)
    torch.testing.assert_close(
        torch.cov(drawn.T), model.gaussian().covariance_, rtol=0.02, atol=0.02
    )
    torch.testing.assert_close(drawn.mean(0), model.mean_, rtol=0, atol=0.02)


def test_conditional_times_marginal_is_joint() -> None:
    model = pf.PCA(2).fit(IRIS)
    given_, rest = {0: 5.0, 2: 1.5}, torch.tensor([[3.2, 0.3]], dtype=torch.float64)
    joint = model.log_prob(torch.tensor([[5.0, 3.2, 1.5, 0.3]], dtype=torch.float64))
    product = model.condition(given_).log_prob(rest) + model.marginal([0, 2]).log_prob(
        torch.tensor([[5.0, 1.5]], dtype=torch.float64)
    )
    torch.testing.assert_close(joint, product, rtol=0, atol=1e-9)


def test_a_fraction_keeps_that_share() -> None:
    model = pf.PCA(0.95).fit(IRIS)
    assert len(model.components_) == 2
    assert float(model.explained_variance_ratio_.sum()) >= 0.95


# ---------------------------------------------------------------------------------- degenerate data


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([[1.0, 2.0, 3.0]]),
        torch.ones(20, 3) * 1e8,
        torch.cat([torch.randn(1, 3)] * 4 + [torch.randn(1, 3)] * 4),
        torch.cat([torch.randn(50, 2), torch.full((50, 2), 7.0)], 1),
        torch.randn(4, 20),
        torch.randn(50, 3) * 1e-12,
        torch.randn(50, 3) * 1e12 + 1e14,
    ],
    ids=["one row", "constant", "duplicates", "constant columns", "few rows", "tiny", "huge"],
)
@pytest.mark.parametrize("components", [1, None])
def test_degenerate_data_stay_finite(x: Tensor, components: int | None) -> None:
    x = x.double()
    model = pf.PCA(components).fit(x)
    for value in (
        model.log_prob(x),
        model.encode(x),
        model.whiten(x),
        model.sample(5, rng=0),
        model.log_prob(x + 1),
    ):
        assert bool(torch.isfinite(value).all())
    rebuilt = model.decode(model.encode(x))
    if components is None:
        torch.testing.assert_close(rebuilt, x, rtol=1e-7, atol=1e-7 * float(x.abs().max()))


def test_a_constant_column_has_no_part_in_any_component() -> None:
    x = torch.cat([cloud(50, 3), torch.full((50, 1), 1e8, dtype=torch.float64)], 1)
    model = pf.PCA(3).fit(x)
    assert float(model.components_[:, 3].abs().max()) < 1e-12
    torch.testing.assert_close(
        model.explained_variance_, pf.PCA(3).fit(x[:, :3]).explained_variance_
    )


# ------------------------------------------------------------------------------------------- errors


def test_errors_say_what_to_do() -> None:
    for wrong, text in ((0, "at least 1"), (1.5, r"\(0, 1\)"), ("mle", "'minka'")):
        with pytest.raises(pf.InvalidValue, match=text):
            pf.PCA(wrong)
    with pytest.raises(pf.InvalidKind):
        pf.PCA(True)
    with pytest.raises(pf.InvalidValue, match="number of coordinates, 4, got 9"):
        pf.PCA(9).fit(IRIS)
    with pytest.raises(pf.InvalidValue, match="leave y out"):
        pf.PCA(2).fit(IRIS, torch.arange(150) % 3)
    with pytest.raises(pf.NotFitted):
        pf.PCA(2).encode(IRIS)
    late = torch.cat([cloud(40_000, 2), torch.full((1, 2), torch.nan, dtype=torch.float64)])[
        torch.randperm(40_001)
    ]
    with pytest.raises(pf.BadSource, match="missing values"):
        pf.PCA(1).fit(late)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("offset", [0.0, 3.0, 1e6])
def test_products_in_single_precision_are_summed_in_double(weighted: bool, offset: float) -> None:
    """One sum of 60 000 products in float32 would be wrong by 7e-8
    of the largest variance, rows off centre by more.
    """
    x = cloud(60_000, 24) + offset
    weights = (
        torch.rand(len(x), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        if weighted
        else None
    )
    exact, fast = (pf.PCA(precision=p).fit(x, weights=weights) for p in ("float64", "float32"))
    wrong = float((fast.spectrum_ - exact.spectrum_).abs().max() / exact.spectrum_[0])
    assert 1e-13 < wrong < 4e-8
    torch.testing.assert_close(fast.mean_, exact.mean_, rtol=0, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_single_precision_holds_whatever_the_units(scale: float) -> None:
    x = cloud(60_000, 24) * scale
    exact, fast = (pf.PCA(4, precision=p).fit(x) for p in ("float64", "float32"))
    torch.testing.assert_close(
        fast.spectrum_ / scale**2,
        exact.spectrum_ / scale**2,
        rtol=0,
        atol=1e-7 * float(exact.spectrum_[0]) / scale**2,
    )
    torch.testing.assert_close(fast.components_, exact.components_, rtol=0, atol=1e-5)


def test_single_precision_says_what_is_too_large_to_square() -> None:
    """One of them, which a sampled look at the data may not have seen."""
    x = cloud(60_000, 24)
    model = pf.PCA(4, precision="float32").fit(x)
    x[31_234, 3] = 1e25
    statistics = model.statistics(Batch(x))
    assert not model.saw_only_finite(statistics)


def test_single_precision_takes_small_variances_for_the_least_it_can_tell() -> None:
    x = cloud(60_000, 24)
    x[:, 0] = 1e-9 * x[:, 0]
    model = pf.PCA(23, precision="float32").fit(x)
    assert float(model.noise_variance_) == pytest.approx(
        torch.finfo(torch.float32).eps * float(model.spectrum_[0])
    )
    assert bool(model.log_prob(x).isfinite().all())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("dtype", "weighted", "offset"),
    [("float64", False, 0.0), ("float32", True, 100.0), ("float64", True, 1e8)],
)
def test_sums_of_many_rows_whatever_the_threads(
    threads: int, dtype: str, weighted: bool, offset: float
) -> None:
    x = (cloud(20_001, 24) + offset).to(getattr(torch, dtype))
    weights = (
        torch.rand(len(x), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        if weighted
        else None
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        model = pf.PCA().fit(x, weights=weights)
    finally:
        torch.set_num_threads(before)
    wide = x.double().numpy() - offset
    w = np.ones(len(x)) if weights is None else weights.numpy()
    mean = np.average(wide, 0, w)
    covariance = np.cov(wide.T, aweights=w, ddof=0)
    np.testing.assert_allclose(
        model.mean_.numpy() - offset, mean, atol=1e-7 if offset > 1e6 else 1e-10
    )
    np.testing.assert_allclose(
        model.spectrum_.numpy(), np.linalg.eigvalsh(covariance)[::-1], rtol=1e-9, atol=1e-9
    )
