"""Nothing of the user's numbers is lost before a model has centred
and scaled them, whatever they come in.
"""

from __future__ import annotations

import warnings
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.fit_source import as_source
from pushforward.core.learner import Learner
from pushforward.core.moments import Moments
from pushforward.core.scan import scan
from tests import small_models
from tests.linear_gaussian import LinearGaussian
from tests.small_models import IMAGES, MODELS

LEARNERS = [name for name, cls in MODELS.items() if issubclass(cls, Learner) and name not in IMAGES]
ALL = [name for name in MODELS if name not in IMAGES]


def fitted(name: str, x: Any) -> Any:
    settings = {"components": 1} if name == "pca" else None
    return small_models.fitted(name, x, settings=settings, steps=6, batch=16, held_out=0.25)


def points(n: int = 64, d: int = 2) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def said(model: Any, x: Any) -> dict[str, torch.Tensor]:
    """All that a model says of rows, as float64."""
    return {verb: value.to(torch.float64) for verb, value in small_models.said(model, x).items()}


# ---------------------------------------------------------------- the same numbers in any container

WHOLE = np.array([[20170103, 1_700_000_001], [20170104, 1_700_000_002]] * 20, dtype=np.int64)
FRAMES = ("csv", "frame", "float frame")
CONTAINERS = (
    *FRAMES,
    "npy",
    "npz",
    "tensor",
    "float tensor",
    "int32",
    "uint32",
    "uint64",
    "big-endian",
    "longdouble",
)


def contained(how: str, folder: Path) -> Any:
    whole = WHOLE
    if how in ("int32", "uint32", "uint64"):
        return whole.astype(how)
    if how in ("npy", "npz"):
        path = folder / f"x.{how}"
        np.save(path, whole) if how == "npy" else np.savez(path, x=whole)
        return pf.read(str(path))
    frame = pd.DataFrame(whole, columns=["day", "seconds"])
    if how == "csv":
        frame.to_csv(folder / "x.csv", index=False)
        return pf.read(str(folder / "x.csv"))
    return {
        "frame": frame,
        "float frame": frame.astype(float),
        "tensor": torch.from_numpy(whole),
        "float tensor": torch.from_numpy(whole).double(),
        "big-endian": whole.astype(">i8"),
        "longdouble": whole.astype(np.longdouble),
    }[how]


@pytest.mark.parametrize("how", CONTAINERS)
def test_large_whole_numbers_have_one_mean_in_every_container(how: str, tmp_path: Path) -> None:
    x = contained(how, tmp_path)
    model = pf.Gaussian().fit(x)
    assert model.mean_.tolist() == [20170103.5, 1_700_000_001.5]
    assert torch.allclose(
        model.covariance_, torch.full((2, 2), 0.25, dtype=torch.float64), rtol=1e-12
    )
    source = x if hasattr(x, "take") and hasattr(x, "space") else as_source(x)
    facts = scan(source)
    assert facts.low.tolist() == [20170103, 1_700_000_001]
    assert facts.high.tolist() == [20170104, 1_700_000_002]
    assert [c.low for c in source.space.columns] == [20170103, 1_700_000_001]


# the ends of 64 bits, which are said to be rounded
@pytest.mark.filterwarnings("ignore:integers beyond 2\\^53")
@pytest.mark.parametrize("memory", ["1KB", "1GB"], ids=["mapped", "in memory"])
@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "uint8",
        "int8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float16",
        "float64",
    ],
)
def test_a_file_of_any_type_gives_its_values(dtype: str, memory: str, tmp_path: Path) -> None:
    info = (
        (0, 1)
        if dtype == "bool"
        else (
            (-1e4, 1e4) if dtype.startswith("float") else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        )
    )
    x = np.array([[info[0]], [info[1]]] * 600, dtype=dtype)
    np.save(tmp_path / "x.npy", x)
    source = pf.read(str(tmp_path / "x.npy"), memory=memory)
    assert source.resident == (x.nbytes <= 1024 or memory == "1GB")
    got = source.take(torch.tensor([1, 0])).x.double().flatten().tolist()
    assert got == [float(x[1, 0]), float(x[0, 0])]
    assert source.space.conform(x[:2]).double().flatten().tolist() == got[::-1]


def test_unsigned_numbers_beyond_int64_do_not_wrap() -> None:
    x = np.array([2**63 + 2**20, 2**63 + 2**22] * 4, dtype=np.uint64)
    assert pf.Gaussian().fit(x).mean_.tolist() == [float(2**63 + (2**20 + 2**22) // 2)]


@pytest.mark.parametrize("name", ALL)
def test_every_model_says_the_same_of_large_whole_numbers_and_of_their_floats(
    name: str, tmp_path: Path
) -> None:
    whole = np.round(points().numpy() * 40).astype(np.int64) + np.array([20170103, 1_700_000_000])
    np.save(tmp_path / "x.npy", whole)
    frame = pd.DataFrame(whole)
    one, two = fitted(name, pf.read(str(tmp_path / "x.npy"))), fitted(name, frame)
    alike, other = said(one, torch.from_numpy(whole)), said(two, frame)
    for verb in alike:
        assert torch.equal(alike[verb], other[verb]), verb
    if hasattr(one, "sample"):
        drawn = one.sample(400, rng=0)
        whole_numbers = torch.equal(drawn, drawn.round())  # 150 of them where the data are
        distinct = len(drawn[:, 1].unique())
        assert distinct > (100 if whole_numbers else 300), "samples keep their digits"
        assert (
            float((drawn.double().mean(0) - torch.from_numpy(whole).double().mean(0)).abs().max())
            < 200
        )


# -------------------------------------------------------------------- offsets and units of any size

AFFINE = [
    (1.0, 1e7),
    (1.0, 1.7e9),
    (1e-19, 0.0),
    (1.6e-19, 1e-15),
    (1e-30, 0.0),
    (1e30, 0.0),
    (-3.0, -1e8),
    (1e4, 1e-3),
]


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(("a", "b"), AFFINE)
def test_deep_models_are_equivariant(name: str, a: float, b: float) -> None:
    x = points()
    x = ((a * x + b) - b) / a  # what of x survives the offset
    one, two = fitted(name, x), fitted(name, a * x + b)
    close = {"rtol": 2e-4, "atol": 2e-4}
    alike, other = said(one, x), said(two, a * x + b)
    flip = np.sign(a)
    if flip > 0:
        for verb in alike:
            shift = 2 * np.log(abs(a)) if verb in ("log_prob", "elbo") else 0.0
            assert torch.allclose(alike[verb], other[verb] + shift, **close), verb
        if hasattr(one, "sample"):
            assert torch.allclose(
                (two.sample(50, rng=0).double() - b) / a, one.sample(50, rng=0).double(), **close
            )
    elif hasattr(two, "sample"):
        drawn = two.sample(50, rng=0).double()
        assert float((drawn - b).abs().max()) < 30 * abs(a)


@pytest.mark.parametrize(
    "likelihood",
    ["gaussian", "gaussian(per_dimension=True)", "gaussian(predicted=True)", "columns"],
)
@pytest.mark.parametrize(("a", "b"), [(1e-19, 0.0), (1.0, 1e7)])
def test_every_likelihood_of_numbers_is_equivariant(likelihood: str, a: float, b: float) -> None:
    x = points()
    x = ((a * x + b) - b) / a
    one, two = (
        pf.VAE(latent=1, hidden=(8,), likelihood=likelihood).fit(
            y, by=pf.Trainer(steps=6, batch=16)
        )
        for y in (x, a * x + b)
    )
    assert torch.allclose(
        one.elbo(x, rng=0), two.elbo(a * x + b, rng=0) + 2 * np.log(a), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("offset", [0.0, 1e7, 1.7e9])
def test_a_lower_bound_stays_below_the_truth_whatever_the_offset(offset: float) -> None:
    from pushforward.metrics.likelihood import iwae

    truth = LinearGaussian.random(1, 2, sigma=0.5, seed=1)
    x = truth.sample(512, rng=1)
    model = pf.VAE(latent=1, hidden=(16,)).fit(
        x + offset, by=pf.Trainer(epochs=15, batch=64, optimizers={"vae": "adam(rate=0.01)"})
    )
    held = truth.sample(512, rng=2)
    exact = truth.exact(held).mean()
    bound = iwae(model, held + offset, k=50, rng=0).value
    assert exact - 0.3 < bound < exact + 0.02


def test_a_learner_in_float64_keeps_float64() -> None:
    x = points() + 1e7
    model = pf.VAE(latent=1, hidden=(8,)).fit(
        x, by=pf.Trainer(steps=3, batch=16, precision="64-true")
    )
    assert model.encode(x).dtype == torch.float64


def test_bytes_and_single_precision_stay_small() -> None:
    images = as_source(torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
    assert images.take(torch.arange(2)).x.dtype == torch.float32
    assert as_source(points().float()).take(torch.arange(2)).x.dtype == torch.float32
    model = pf.VAE(latent=1, hidden=(8,)).fit(points().float(), by=pf.Trainer(steps=1, batch=16))
    assert model.sample(2, rng=0).dtype == torch.float32


# -------------------------------------------------------------------------------- scalings, moments


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-40, 1e-19, 1e-3, 1.0, 1e19, 1e160, 1e300])
@pytest.mark.parametrize("missing", [False, True])
def test_standardising_works_at_any_scale(size: float, missing: bool) -> None:
    x = points(50, 3)
    if missing:
        x[3, 1] = torch.nan
    facts = scan(as_source(x * size))
    parts = [scan(as_source(x[rows] * size)).moments for rows in (slice(0, 20), slice(20, 50))]
    plain = scan(as_source(x)).moments.deviation
    for moments in (facts.moments, parts[0].merge(parts[1])):
        assert torch.allclose(moments.deviation / size, plain, rtol=1e-9)
    scaling = pf.Scaling.choose("standardised", pf.Space.infer(x), facts.moments)
    u = scaling(x * size)
    assert torch.allclose(u, (x - x.nanmean(0)) / plain, atol=1e-9, equal_nan=True)
    assert torch.allclose(scaling.inverse(u) / size, x, atol=1e-9, equal_nan=True)
    assert scaling.log_jacobian(x) == pytest.approx(-float(plain.log().sum()) - 3 * np.log(size))


@pytest.mark.parametrize(
    "value", [0.1, -1e-300, 1e-19, 1 / 3, 1e8 + 0.1, 1.7e9 + 0.3, 1e20, 1e300, 0.0]
)
@pytest.mark.parametrize("kind", ["standardised", "unit", "signed"])
def test_a_constant_is_constant_at_any_size(value: float, kind: str) -> None:
    x = torch.full((9001, 1), value, dtype=torch.float64)
    moments = scan(as_source(x)).moments
    assert float(moments.deviation) == 0
    assert float(moments.mean) == value
    scaling = pf.Scaling.choose(kind, pf.Space.infer(x), moments)
    u = scaling(x[:3])
    assert torch.isfinite(u).all()
    assert float(u.abs().max()) <= (0.5 if kind == "unit" else 0)
    assert scaling.inverse(u).double().flatten().tolist() == pytest.approx([value] * 3, rel=1e-15)
    assert (
        float((scaling.inverse(u + 1e-3) - value).abs().max()) <= 1.1e-3 * max(abs(value), 1e-11)
        if value
        else True
    )


def test_a_spread_of_a_last_digit_is_rounding_and_one_of_many_is_not() -> None:
    one = torch.tensor([1.0, 1.0 + 2.0**-52] * 30, dtype=torch.float64)
    many = torch.tensor([1.0, 1.0 + 2.0**-40] * 30, dtype=torch.float64)
    scaling = pf.Scaling.choose(
        "standardised", pf.Space.infer(one), Moments.of(torch.stack([one, many], 1))
    )
    assert scaling.scale[0] == 1.0
    assert scaling.scale[1] == pytest.approx(2.0**-41)


def test_images_are_standardised_at_any_scale() -> None:
    x = points(20, 2 * 9).reshape(20, 2, 3, 3)[:, :1]
    for size in (1e-170, 1e-19, 1e170):
        scaling = pf.Scaling.choose(
            "standardised", pf.Space.infer(x), Moments.of((x * size).flatten(1))
        )
        u = scaling(x * size)
        assert float(u.square().mean()) == pytest.approx(1.0)


def test_a_stored_model_keeps_its_shift_in_full(tmp_path: Path) -> None:
    model = fitted("vae", points() + 1e7)
    model.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert torch.equal(again.scaling.shift, model.scaling.shift)
    assert torch.equal(again.sample(5, rng=0), model.sample(5, rng=0))
    assert again.sample(5, rng=0).dtype == torch.float64


def test_csv_text_keeps_its_digits() -> None:
    frame = pd.read_csv(StringIO("t\n1700000000.25\n1700000000.75\n"))
    assert pf.Gaussian().fit(frame).mean_.tolist() == [1700000000.5]


BIG = np.array([2**60, 2**60 + 1] * 5)


@pytest.mark.parametrize(
    "x",
    [
        BIG,
        BIG.tolist(),
        torch.from_numpy(BIG),
        pd.DataFrame({"a": BIG}),
        pd.DataFrame({"a": pd.array(BIG, dtype="Int64")}),
        pd.DataFrame({"a": pd.array(BIG, dtype="int64[pyarrow]")}),
        np.array([2**63 - 1, 2**63 + 1] * 5, dtype=np.uint64),
    ],
)
def test_integers_that_float64_cannot_tell_apart_are_said(x: Any) -> None:
    with pytest.warns(pf.core.errors.DataWarning, match="subtract an offset"):
        pf.Gaussian().fit(x)
    model = pf.Gaussian().fit(torch.zeros(3, 1) + torch.arange(3.0)[:, None])
    with pytest.warns(pf.core.errors.DataWarning, match="subtract an offset"):
        model.log_prob(x if not isinstance(x, pd.DataFrame) else x.rename(columns={"a": "x0"}))
    even = np.array([2**60, 2**60 + 2**12] * 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(pf.Gaussian().fit(even).covariance_[0, 0]) == 2.0**22


# the ends of 64 bits, which are said to be rounded
@pytest.mark.filterwarnings("ignore:integers beyond 2\\^53")
@pytest.mark.parametrize(
    ("x", "plain"),
    [
        (
            [np.ma.array([1.0, 2], mask=[0, 1]), np.ma.array([1.0, 2]), np.ma.array([3.0, 4])],
            [[1.0, np.nan], [1, 2], [3, 4]],
        ),
        (np.array([[1, 2], [3, 4], [2, 9]], dtype=object), [[1.0, 2], [3, 4], [2, 9]]),
        (np.array([[1, None], [3, 4], [2, 6]], dtype=object), [[1.0, np.nan], [3, 4], [2, 6]]),
        (
            np.array([[10**30, 1.0], [10**30, 2.0], [4 * 10**30, 3.0]], dtype=object),
            [[1e30, 1.0], [1e30, 2.0], [4e30, 3.0]],
        ),
    ],
)
def test_masks_in_lists_and_boxed_numbers_are_read(x: Any, plain: list[list[float]]) -> None:
    expected = pf.GMM(1).fit(np.array(plain))
    found = pf.GMM(1).fit(x)
    assert torch.equal(found.means_, expected.means_)
    assert torch.equal(found.log_prob(x), expected.log_prob(np.array(plain)))


def test_a_query_whose_columns_are_named_twice_is_refused_as_a_fit_is() -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0, 4.0], "b": [1.0, 0.0, 2.0]})
    twice = pd.concat([frame + 5, frame], axis=1)
    for ask in (pf.Gaussian().fit, pf.Gaussian().fit(frame).log_prob):
        with pytest.raises(pf.PushforwardError, match=r"appears twice|several columns are called"):
            ask(twice)
