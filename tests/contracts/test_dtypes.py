"""Arrays and tensors of every type, layout and place are taken,
or refused in one line; torch's defaults change nothing.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import pushforward as pf
from pushforward.core.fit_source import as_source
from pushforward.core.learner import Learner
from tests.small_models import IMAGES, VERBS, asked, data, fitted, rows, sampled


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pf.FitWarning)  # few steps: what the fit says is right
        yield


# -------------------------------------------------------------------------- the same numbers anyhow

TAKEN: dict[str, Callable[[torch.Tensor], Any]] = {
    "longdouble": lambda x: x.numpy().astype(np.longdouble),
    "big-endian": lambda x: x.numpy().astype(">f8"),
    "negative strides": lambda x: x.flip(0).numpy()[::-1],
    "all strides negative": lambda x: x.flip(0, 1).numpy()[::-1, ::-1],
    "Fortran order": lambda x: np.asfortranarray(x.numpy()),
    "read-only": lambda x: read_only(x.numpy()),
    "with gradient": lambda x: x.clone().requires_grad_(),
    "a view": lambda x: torch.stack([x, x], 1)[:, 1],
}


def read_only(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    x = x.copy()
    x.setflags(write=False)
    return x


@pytest.mark.parametrize("how", TAKEN)
def test_the_same_numbers_in_any_layout_are_the_same_to_every_model(
    name: str, model: Any, how: str
) -> None:
    x = data(name)
    given = TAKEN[how](x)
    want = asked(model, x)
    for verb, value in asked(model, given).items():
        assert torch.allclose(value, want[verb], rtol=1e-5, atol=1e-5), verb
    for source in (as_source(given), pf.read(given)):
        assert torch.equal(source.take(torch.arange(len(x))).x, x)
    if how == "all strides negative":
        for verb, value in asked(fitted(name, given), x).items():
            assert torch.equal(value, want[verb]), verb


HALVES: dict[str, Callable[[torch.Tensor], Any]] = {
    "float16": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "numpy float16": lambda x: x.half().numpy(),
    "big-endian single": lambda x: x.float().numpy().astype(">f4"),
}


@pytest.mark.parametrize("how", HALVES)
def test_half_precision_is_taken_for_the_numbers_it_holds(name: str, model: Any, how: str) -> None:
    given = HALVES[how](data(name))
    exact = (
        given if isinstance(given, torch.Tensor) else torch.from_numpy(given.astype(np.float32))
    ).float()
    for source in (as_source(given), pf.read(given)):
        assert torch.equal(source.take(torch.arange(len(exact))).x, exact)
    want = asked(model, exact)
    for verb, value in asked(model, given).items():
        assert torch.equal(value, want[verb]), verb
    if how == "bfloat16" and name not in IMAGES:
        assert asked(fitted(name, given), given).keys() == want.keys()


UNREADABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "SciPy sparse matrix": (
        lambda: scipy.sparse.csr_matrix(rows().numpy()),
        r"sparse.*toarray\(\)",
    ),
    "SciPy sparse array": (lambda: scipy.sparse.coo_array(rows().numpy()), r"sparse.*toarray\(\)"),
    "torch sparse": (lambda: rows().to_sparse(), r"sparse.*to_dense\(\)"),
    "on meta": (lambda: rows().to("meta"), "meta"),
    "complex tensor": (lambda: rows() + 0j, "must be real numbers.*parts as columns"),
    "complex array": (lambda: rows().numpy() + 0j, "must be real numbers.*parts as columns"),
    "dates": (lambda: np.full((96, 3), "2020-01-01", dtype="datetime64[D]"), "must be numbers"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_not_taken_is_refused_in_one_line(name: str, model: Any, what: str) -> None:
    if name in IMAGES:
        pytest.skip("points")
    given, said = UNREADABLE[what]
    doors: list[Callable[[], Any]] = [lambda: fitted(name, given()), lambda: pf.read(given())]
    doors += [
        lambda verb=verb: getattr(model, verb)(given()) for verb in VERBS if hasattr(model, verb)
    ]
    for door in doors:
        with pytest.raises(pf.InvalidKind, match=said) as error:
            door()
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 250


def test_conditions_and_weights_of_any_kind_make_no_warning() -> None:
    x, y, w = rows(), np.arange(96) % 3, np.linspace(1, 2, 96)
    frame = pd.DataFrame({"y": y, "w": w})
    by = pf.Trainer(steps=2, batch=32)
    want = pf.VAE(latent=1, hidden=(8,)).fit(x, y, weights=w, by=by).encode(x, y)
    for labels in (
        frame["y"],
        torch.from_numpy(y),
        y[::-1][::-1],
        read_only(y),
        y.astype(np.uint8),
    ):
        for weights in (
            frame["w"],
            torch.from_numpy(w),
            read_only(w),
            w.astype(np.longdouble),
            torch.from_numpy(w).requires_grad_(),
        ):
            got = pf.VAE(latent=1, hidden=(8,)).fit(x, labels, weights=weights, by=by)
            assert torch.equal(got.encode(x, labels), want)
    mean = pf.Gaussian().fit(x, weights=frame["w"]).mean_
    assert torch.equal(mean, pf.Gaussian().fit(x, weights=w).mean_)


# ---------------------------------------------------------------------------- models in other types


@pytest.mark.parametrize("cast", ["float", "double", "half", "bfloat16"])
def test_a_cast_model_still_answers(name: str, model: Any, cast: str) -> None:
    x, before = data(name), asked(model, data(name))
    other = getattr(copy.deepcopy(model), cast)()
    room = {"float": 1e-5, "double": 1e-4, "half": 2e-2, "bfloat16": 0.2}[cast]
    assert torch.equal(other.scaling.shift, model.scaling.shift), "the scaling keeps its digits"
    for verb, value in asked(other, x).items():
        assert bool(torch.isfinite(value).all())
        # whose draws depend on the type
        if verb != "elbo" and not (name in ("infogan", "lapgan") and verb == "sample"):
            assert torch.allclose(value.double(), before[verb].double(), rtol=room, atol=room), verb
    if not isinstance(model, Learner):
        assert all(torch.equal(value, before[verb]) for verb, value in asked(other, x).items()), (
            "one with a type of its own keeps it"
        )
    elif hasattr(other, "sample"):
        assert sampled(other, 2).dtype == (torch.float64 if cast == "double" else torch.float32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_codes_may_be_of_any_type_and_keep_their_gradient(
    name: str, model: Any, dtype: torch.dtype
) -> None:
    if not hasattr(model, "decode"):
        pytest.skip("does not decode")
    width = model.encode(data(name)).shape[1] if hasattr(model, "encode") else model.code_width
    z = torch.full((2, width), 0.5)
    want = model.decode(z).detach()
    leaf = z.clone().to(dtype).requires_grad_()
    got = model.decode(leaf)
    got.sum().backward()
    assert leaf.grad is not None
    assert torch.equal(got.detach(), want)
    assert torch.equal(model.decode(z.numpy().astype(np.float64)).detach(), want)


# ----------------------------------------------------------------------------- torch's own defaults


@contextmanager
def default_type(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


AROUND: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64 by default": lambda: default_type(torch.float64),
    "bfloat16 by default": lambda: default_type(torch.bfloat16),
    "meta by default": lambda: default_device("meta"),
    "within a meta block": lambda: torch.device("meta"),
    "cpu by default": lambda: default_device("cpu"),
}


@pytest.mark.parametrize("around", AROUND)
def test_a_fit_is_the_same_whatever_torch_is_set_to(
    name: str, model: Any, around: str, tmp_path: Any
) -> None:
    if name in IMAGES and around not in ("inference_mode", "float64 by default"):
        pytest.skip("takes long")
    x = data(name)
    want = asked(model, x)
    with AROUND[around]():
        before = (
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
        )
        other = fitted(name, x)
        found = asked(other, x)
        other.save(tmp_path / "run")
        again = asked(pf.load(tmp_path / "run"), x)
        after = (
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
        )
    assert before == after, "and leaves it so"
    for verb in want:
        for value in (found[verb], again[verb], asked(other, x)[verb]):
            assert torch.equal(value, want[verb]), verb
    assert not any(t.is_inference() for t in other.state_dict().values())


def test_data_made_in_inference_mode_are_taken(name: str, model: Any) -> None:
    if name in IMAGES:
        pytest.skip("takes long")
    with torch.inference_mode():
        x = data(name).clone()
    assert x.is_inference()
    want, other = asked(model, x), fitted(name, x)
    for verb, value in asked(other, x).items():
        assert torch.equal(value, want[verb])


@pytest.mark.parametrize("cast", ["half", "bfloat16"])
def test_observations_of_a_half_precision_model_are_in_single(cast: str) -> None:
    """The user's units are not rounded to two or three digits."""
    model = fitted("gan")
    getattr(model, cast)()
    assert model.floating().itemsize == 2
    assert model.user_dtype() == torch.float32
    observed = pf.Observed(model, sigma=0.1)
    assert observed.sample(3, rng=0).dtype == torch.float32
