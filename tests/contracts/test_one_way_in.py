"""A model fitted from Python, from a file, by name or by the command line is the same model:
one reader, one preparation.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_matrix
from torch.utils.data import DataLoader, Dataset, TensorDataset

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core import preparation
from pushforward.core.array_source import Arrays
from pushforward.core.capabilities import HasDensity
from pushforward.core.learner import Learner
from pushforward.core.preparation import Preparation, dequantise
from pushforward.core.source_views import Subset
from pushforward.metrics.preparation import prepare_rows

N = 40
LEVELS = torch.randint(
    0, 256, (N, 1, 5, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
POINTS = torch.randn(N, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
SETTINGS: dict[str, dict[str, Any]] = {
    "pca": {"components": 2},
    "gmm": {"components": 2},
    "kmeans": {"clusters": 2},
}
CLASSICAL = [
    n
    for n, cls in pf.registered_models()
    if cls.__module__.startswith("pushforward") and not issubclass(cls, Learner)
]
ABLE = [n for n in CLASSICAL if n != "fourier_kde"]  # one to three dimensions


def make(name: str) -> Any:
    return dict(pf.registered_models())[name](**SETTINGS.get(name, {}))


def flags(name: str) -> list[str]:
    return [
        part for key, value in SETTINGS.get(name, {}).items() for part in (f"--{key}", str(value))
    ]


class Pairs(Dataset):  # type: ignore[type-arg]
    """A map-style dataset of (image, label)."""

    targets = [i % 2 for i in range(N)]  # noqa: RUF012 - as datasets have it

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return LEVELS[i], i % 2


def images(folder: Path) -> Path:
    for i, image in enumerate(LEVELS.numpy()):
        Image.fromarray(image[0]).save(folder / f"{i:03}.png")
    return folder


def npy(folder: Path) -> Path:
    np.save(folder / "x.npy", LEVELS.numpy())
    return folder / "x.npy"


WAYS: dict[str, Callable[[Path], Any]] = {
    "tensor": lambda folder: LEVELS,
    "array": lambda folder: LEVELS.numpy(),
    "channels last": lambda folder: LEVELS.permute(0, 2, 3, 1).numpy(),
    "no channel axis": lambda folder: LEVELS[:, 0].numpy(),
    "list of arrays": lambda folder: list(LEVELS.numpy()),
    "images in memory": lambda folder: [Image.fromarray(x[0]) for x in LEVELS.numpy()],
    "generator": lambda folder: (x for x in LEVELS.numpy()),
    "dataset": lambda folder: Pairs(),
    "tensor dataset": lambda folder: TensorDataset(LEVELS, torch.arange(N) % 2),
    "loader": lambda folder: DataLoader(Pairs(), batch_size=7),
    "source": lambda folder: pf.read(LEVELS),
    "path": npy,
    "text": lambda folder: str(npy(folder)),
    "folder": images,
    "mapped": lambda folder: np.load(npy(folder), mmap_mode="r"),
}


@pytest.mark.parametrize("way", WAYS)
def test_fit_takes_whatever_read_takes_and_gives_the_same_model(way: str, tmp_path: Path) -> None:
    expected = pf.PCA(3).fit(LEVELS)
    model = pf.PCA(3).fit(WAYS[way](tmp_path))
    assert model.fitted_space().shape == (1, 5, 6)
    assert model.preparation == Preparation(dequantise=True)
    for name in ("mean_", "components_", "explained_variance_"):
        assert torch.allclose(
            getattr(model, name), getattr(expected, name), rtol=1e-6, atol=1e-7
        ), name


@pytest.mark.parametrize("way", WAYS)
def test_a_query_takes_what_a_fit_takes(way: str, tmp_path: Path) -> None:
    given = WAYS[way](tmp_path)
    model = pf.PCA(3).fit(LEVELS if way == "generator" else given)
    again = WAYS[way](tmp_path) if way != "folder" else given
    assert torch.allclose(model.log_prob(again), model.log_prob(LEVELS), rtol=1e-12)


TABLES = {
    "gaussian": pf.Gaussian,
    "pca": pf.PCA,
    "kde": pf.KDE,
    "gmm": lambda: pf.GMM(2),
    "fourier_kde": pf.FourierKDE,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_queried_as_it_is_fitted(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(POINTS.numpy(), columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "x.csv", index=False)
    model = TABLES[name]().fit(tmp_path / "x.csv")
    ask = model.density if name == "fourier_kde" else model.log_prob
    for way in (
        tmp_path / "x.csv",
        str(tmp_path / "x.csv"),
        pf.read(tmp_path / "x.csv"),
        frame,
        frame[["c", "a", "b"]],
    ):
        assert torch.allclose(ask(way), ask(POINTS), rtol=1e-9)


def test_one_image_is_one_observation_in_every_layout() -> None:
    for way in ("array", "channels last", "no channel axis"):
        x = WAYS[way](Path())
        model = pf.PCA(3).fit(x)
        assert torch.equal(model.log_prob(x[0]), model.log_prob(x[:1]))


@pytest.mark.parametrize("name", ABLE)
def test_python_and_the_command_line_give_the_same_model_of_images(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        main(
            ["fit", name, str(npy(tmp_path)), *flags(name), "--held-out", "0", "--run", "run", "-q"]
        )
        == 0
    )
    stored, model = pf.load("run"), make(name).fit(LEVELS)
    assert (
        stored.preparation
        == model.preparation
        == Preparation(dequantise=isinstance(model, HasDensity))
    )
    for key, value in model.tensors().items():
        assert torch.equal(value, stored.tensors()[key]), key


@pytest.mark.parametrize("name", ["gaussian", "pca", "gmm", "kde"])
def test_a_density_of_images_is_fitted_to_noisy_levels(name: str) -> None:
    noisy = dequantise(pf.read(LEVELS), 0).all().x
    model, plain = make(name).fit(LEVELS), make(name).fit(LEVELS, dequantise=False)
    by_hand = make(name).fit(noisy)
    assert torch.allclose(model.log_prob(noisy), by_hand.log_prob(noisy), rtol=1e-9)
    assert not torch.allclose(model.log_prob(noisy), plain.log_prob(noisy), rtol=1e-9)


def test_the_digits_of_the_readme_have_one_density() -> None:
    x = pf.read("digits").all().x
    # -112.22 if the levels stay bare
    assert float(pf.PCA(55).fit("digits").log_prob(x).mean()) == pytest.approx(-123.28, abs=0.01)


@pytest.mark.parametrize("dequantise", [None, True, False])
def test_the_held_out_rows_are_the_same_rows_with_the_same_noise(
    dequantise: bool | None, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [] if dequantise is None else ["--dequantise" if dequantise else "--no-dequantise"]
    assert (
        main(["fit", "pca", str(npy(tmp_path)), "--components", "2", "--run", "run", "-q", *asked])
        == 0
    )
    train, held_out = pf.split(pf.read(LEVELS))
    model = pf.PCA(2).fit(train, dequantise=dequantise)
    x = held_out.all().x
    assert torch.equal(pf.load("run").log_prob(x), model.log_prob(x))


def test_a_model_says_how_its_data_were_prepared_and_remembers_it(tmp_path: Path) -> None:
    model = pf.Gaussian().fit(LEVELS)
    model.save(tmp_path / "run")
    assert (
        pf.load(tmp_path / "run").preparation
        == model.preparation
        == Preparation(dequantise=True, seed=0)
    )
    assert not pf.Gaussian().fit(LEVELS, dequantise=False).preparation.dequantise
    again = pf.Gaussian().fit(LEVELS, dequantise=False).fit(LEVELS)
    assert again.preparation.dequantise, "fit starts afresh"


def test_a_trained_model_follows_the_same_rule() -> None:
    def fitted(likelihood: str, **how: Any) -> Any:
        by = pf.Trainer(steps=2, batch=8, **{k: how.pop(k) for k in ("augment",) if k in how})
        return pf.VAE(2, hidden=(4,), likelihood=likelihood).fit(how.pop("x", LEVELS), by=by, **how)

    assert fitted("gaussian").preparation.dequantise
    assert not fitted("gaussian", dequantise=False).preparation.dequantise
    assert not fitted("bernoulli").preparation.dequantise
    assert fitted("bernoulli", augment=["binarise"]).preparation == Preparation(binarise=True)
    assert not fitted("gaussian", x=torch.arange(80).reshape(40, 2)).preparation.dequantise, (
        "columns are not images"
    )


@pytest.mark.parametrize(
    ("x", "mean", "variance"),
    [
        (np.array([20170103, 20170104] * 5), 20170103.5, 0.25),
        (np.array([20170103, 20170104] * 5, dtype=np.int32), 20170103.5, 0.25),
        (torch.tensor([20170103, 20170104] * 5), 20170103.5, 0.25),
        ([[20170103], [20170104]] * 5, 20170103.5, 0.25),
        (pd.DataFrame({"day": [20170103, 20170104] * 5}), 20170103.5, 0.25),
        (
            pd.DataFrame({"day": pd.array([20170103, 20170104] * 5, dtype="Int64")}),
            20170103.5,
            0.25,
        ),
        (
            pd.DataFrame({"day": pd.array([20170103, 20170104] * 5, dtype="int64[pyarrow]")}),
            20170103.5,
            0.25,
        ),
        (
            pd.DataFrame({"day": pd.Series([20170103, 20170104] * 5, dtype=object)}),
            20170103.5,
            0.25,
        ),
        (pd.DataFrame({"flag": [True, False] * 5}), 0.5, 0.25),
        (pd.DataFrame({"flag": pd.array([True, False] * 5, dtype="boolean")}), 0.5, 0.25),
        (np.array([True, False] * 5), 0.5, 0.25),
    ],
)
def test_integers_of_a_table_are_what_they_are_in_every_container(
    x: Any, mean: float, variance: float, tmp_path: Path
) -> None:
    ways = [x]
    if isinstance(x, pd.DataFrame):
        x.to_csv(tmp_path / "x.csv", index=False)
        ways.append(tmp_path / "x.csv")
    elif isinstance(x, np.ndarray):
        np.save(tmp_path / "x.npy", x)
        ways.append(tmp_path / "x.npy")
    for way in ways:
        model = pf.Gaussian().fit(way)
        assert float(model.mean_[0]) == mean, way
        assert abs(float(model.covariance_[0, 0]) - variance) < 1e-9, way


def test_labels_are_used_on_request_only(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
    for i, image in enumerate(LEVELS.numpy()):
        Image.fromarray(image[0]).save(tmp_path / ("cat", "dog")[i % 2] / f"{i:03}.png")
    by = pf.Trainer(steps=2, batch=8)
    assert pf.VAE(2, hidden=(4,)).fit(tmp_path, by=by).condition_space is None
    conditional = pf.VAE(2, hidden=(4,)).fit(tmp_path, y=True, by=by).condition_space
    assert conditional is not None
    assert conditional.columns[0].categories == ("cat", "dog")
    frame = pd.DataFrame(
        {"a": np.arange(40.0), "b": np.arange(40.0)[::-1], "kind": ["x", "y"] * 20}
    )
    model = pf.VAE(2, hidden=(4,)).fit(frame, y="kind", by=by)
    assert model.fitted_space().names == ("a", "b")
    assert model.condition_space.columns[0].categories == ("x", "y")


def test_a_model_of_x_alone_leaves_out_labels_that_came_along_and_refuses_those_asked_for() -> None:
    assert pf.PCA(2).fit(pf.read("digits")).fitted_space().shape == (1, 8, 8)
    with pytest.raises(pf.PushforwardError, match="distribution of x alone"):
        pf.PCA(2).fit(POINTS, torch.arange(N) % 2)
    with pytest.raises(pf.PushforwardError, match="distribution of x alone"):
        pf.PCA(2).fit(pf.read(POINTS, y=torch.arange(N) % 2))


@pytest.mark.parametrize("way", ["dataset", "loader", "tensor dataset", "folder"])
def test_labels_of_a_source_are_used_on_request_only(way: str, tmp_path: Path) -> None:
    def given() -> Any:
        if way != "folder":
            return WAYS[way](tmp_path)
        for i, image in enumerate(LEVELS.numpy()):
            (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
            Image.fromarray(image[0]).save(tmp_path / "ab"[i % 2] / f"{i:03}.png")
        return tmp_path

    by = pf.Trainer(steps=2, batch=8, held_out=0.25)
    for source in (
        given(),
        pf.read(given()),
        pf.split(pf.read(given()))[0],
        pf.read(given(), memory=100),
    ):
        model = pf.VAE(2, hidden=(4,)).fit(source, by=by)
        assert model.condition_space is None
        assert model.sample(2).shape == (2, 1, 5, 6)
        assert pf.PCA(2).fit(source).sample(2).shape == (2, 1, 5, 6)
    for source, y in (
        (pf.read(given()), True),
        (given(), True),
        (pf.read(given(), label=True), None),
        (pf.split(pf.read(given()))[0], True),
    ):
        assert pf.VAE(2, hidden=(4,)).fit(source, y, by=by).condition_space is not None
    apart = pf.split(pf.read(given()))
    for y in (None, True):
        by = pf.Trainer(steps=2, batch=8, held_out=apart[1])
        assert (pf.VAE(2, hidden=(4,)).fit(apart[0], y, by=by).condition_space is None) is (
            y is None
        )
    with pytest.raises(pf.PushforwardError, match="the data have none"):
        pf.VAE(2).fit(LEVELS, y=True)


def test_weights_may_name_a_column() -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0, 5.0], "w": [1.0, 3.0, 0.0]})
    assert float(pf.Gaussian().fit(frame, weights="w").mean_[0]) == 0.75


@pytest.mark.parametrize(
    "bad",
    [
        {"a": [1]},
        b"abc",
        [["a", "b"]],
        csr_matrix(np.eye(3)),
        torch.eye(3).to_sparse(),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(bad: Any) -> None:
    with pytest.raises(pf.PushforwardError) as caught:
        pf.Gaussian().fit(bad)
    assert "\n" not in str(caught.value)
    with pytest.raises(pf.PushforwardError):
        pf.Gaussian().fit(POINTS).log_prob(bad)


@pytest.mark.parametrize("bad", ["object()", "None"])
def test_what_is_not_even_of_a_kind_that_is_read_is_refused_in_one_line(bad: str) -> None:
    """In a process of its own, since annotations are not checked where users are."""
    program = f"""
import pushforward as pf
model = pf.Gaussian().fit([[0.0], [1.0], [2.0]])
for ask in (pf.Gaussian().fit, model.log_prob):
    try:
        ask({bad})
    except pf.PushforwardError as error:
        assert str(error) and chr(10) not in str(error)
    else:
        raise SystemExit("not refused")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------- the noise itself


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "NOISE_ROWS", 16)


@pytest.mark.usefixtures("short_blocks")
def test_noise_depends_on_the_row_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = dequantise(Arrays(LEVELS), 3)
    assert isinstance(kept, Arrays)
    monkeypatch.setattr(preparation, "KEPT_BYTES", 0)
    lazy = dequantise(Arrays(LEVELS), 3)
    assert not lazy.resident
    rows = torch.tensor([39, 0, 17, 17, 5])
    assert torch.equal(lazy.take(rows).x, kept.take(rows).x)
    part = dequantise(Subset(Arrays(LEVELS), rows), 3)
    assert torch.equal(part.take(torch.arange(5)).x, kept.take(rows).x)
    mapped = dequantise(Arrays(np.load(npy(tmp_path), mmap_mode="r")), 3)
    assert torch.equal(mapped.take(rows).x, kept.take(rows).x)
    noise = kept.all().x - LEVELS
    assert float(noise.abs().max()) <= 0.5
    assert len(noise.flatten().unique()) > 0.99 * noise.numel(), "every block has noise of its own"


def test_noise_survives_large_levels() -> None:
    x = torch.full((10, 1), 2**30, dtype=torch.int64)
    noise = dequantise(Arrays(x), 0).take(torch.arange(10)).x - 2**30
    assert len(noise.unique()) == 10


def test_the_command_line_knows_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "gaussian", "ring:50", "--held-out", "0", "--run", "run", "-q"]) == 0
    assert torch.equal(pf.load("run").mean_, pf.Gaussian().fit("ring:50").mean_)
    assert os.path.isdir("run")


def test_rows_are_prepared_as_the_model_was_fitted() -> None:
    binary = pf.VAE(2, hidden=(4,), likelihood="bernoulli").fit(
        LEVELS, by=pf.Trainer(steps=2, batch=8, augment=["binarise"])
    )
    source = pf.read(LEVELS)
    batch = prepare_rows(binary, source)
    assert set(batch.x.unique().tolist()) == {0.0, 255.0}
    assert torch.equal(batch.x, prepare_rows(binary, source).x)
    assert bool(torch.isfinite(binary.elbo(batch.x)).all())
    noisy = prepare_rows(pf.Gaussian().fit(LEVELS), source, 7)
    assert torch.equal(noisy.x, dequantise(source, 0).take(torch.arange(7)).x)
    assert torch.equal(
        prepare_rows(pf.Gaussian().fit(LEVELS, dequantise=False), source).x, source.all().x
    )


def test_labels_that_come_with_the_data_are_asked_for_alike() -> None:
    """`read(x, y=True)` is `read(x, label=True)`, as in `fit`."""
    asked = pf.read("digits", y=True)
    assert asked.condition_space is not None
    assert torch.equal(asked.y, pf.read("digits", label=True).y)
    assert pf.read("digits", y=False).condition_space is None
