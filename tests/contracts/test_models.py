"""The contract that every registered model keeps, whatever it is."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.capabilities import capabilities
from pushforward.core.learner import Learner
from tests.small_models import (
    CLIPS,
    DETERMINED,
    IMAGES,
    MODELS,
    PAIRED,
    TABLES,
    conditions,
    data,
    fitted,
    make,
    rows,
    same,
    sampled,
)


def test_hyperparameters_are_the_arguments_of_init(name: str) -> None:
    made = make(name)
    arguments = [p for p in inspect.signature(type(made).__init__).parameters if p != "self"]
    assert list(made.hyperparameters()) == arguments
    again = type(made)(**made.hyperparameters())
    assert repr(again) == repr(made)


def test_every_hyperparameter_is_documented(name: str) -> None:
    made = make(name)
    text = inspect.getdoc(type(made)) or ""
    assert "Reference" in text
    assert "Example" in text
    assert "Args:" in text or not made.hyperparameters()
    for argument in made.hyperparameters():
        assert argument in text, f"{name}: {argument} is not explained"


def test_it_promises_something(model: Any) -> None:
    assert capabilities(model)


def test_fit_returns_itself_and_knows_its_space(name: str, model: Any) -> None:
    assert model.fitted
    assert model.space.shape == data(name).shape[1:]


def test_asking_before_fitting_is_refused(name: str) -> None:
    made = make(name)
    verbs = [v for v in ("encode", "log_prob", "elbo", "assign", "sample") if hasattr(made, v)]
    for verb in verbs:
        with pytest.raises(pf.PushforwardError, match="fit"):
            getattr(made, verb)(5 if verb == "sample" else data(name))


def test_samples_have_the_shape_and_units_of_the_data(name: str, model: Any) -> None:
    if not hasattr(model, "sample"):
        pytest.skip("does not sample")
    drawn = sampled(model, 400)
    assert drawn.shape == (400, *data(name).shape[1:])
    assert torch.isfinite(drawn).all()
    assert float((drawn.double().mean(0) - data(name).mean(0)).abs().max()) < 4, (
        "samples are not in the data's units"
    )


def test_seeded_sampling_repeats_and_other_seeds_differ(name: str, model: Any) -> None:
    if not hasattr(model, "sample"):
        pytest.skip("does not sample")
    assert torch.equal(sampled(model, 5, 1), sampled(model, 5, 1))
    assert torch.equal(sampled(model, 5, 1), sampled(model, 5, 2)) == (name in DETERMINED)


def test_saving_and_loading_changes_nothing(name: str, model: Any, tmp_path: Any) -> None:
    model.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    same(model, again, data(name))


def test_saving_over_something_is_refused(model: Any, tmp_path: Any) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(pf.PushforwardError, match="exists"):
        model.save(tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_fitting_is_afresh_and_repeats(name: str) -> None:
    one, two = fitted(name), fitted(name, data(name, seed=9))
    by = pf.Trainer(epochs=2, batch=32) if isinstance(two, Learner) else None
    two.fit(data(name), conditions(name, data(name)), by=by)
    same(one, two, data(name))


def test_wrong_feature_count_is_named(model: Any) -> None:
    for verb in ("encode", "log_prob", "elbo", "assign"):
        if hasattr(model, verb):
            with pytest.raises(pf.ShapeMismatch, match="expected 3 columns"):
                getattr(model, verb)(rows(d=4))


def test_arrays_tensors_and_frames_are_the_same_data(name: str) -> None:
    if name in IMAGES:
        same(fitted(name), fitted(name, data(name).numpy()), data(name))
        return
    x = rows()
    frame = pd.DataFrame(x.numpy(), columns=["a", "b", "c"])
    one, two, three = fitted(name, x), fitted(name, x.numpy()), fitted(name, frame)
    same(one, two, x)
    same(one, three, x)
    assert three.space.names == ("a", "b", "c")
    for verb in ("encode", "log_prob", "assign"):
        if hasattr(three, verb):
            assert torch.equal(
                getattr(three, verb)(frame[["c", "a", "b"]]), getattr(three, verb)(x)
            ), "columns are matched by name"
    if hasattr(three, "sample"):
        back = three.space.export(three.sample(4, rng=0))
        assert list(back.columns) == ["a", "b", "c"]


def test_images_go_in_and_come_out(name: str) -> None:
    shape = (3, *data(name).shape[2:]) if name in IMAGES else (3, 4, 5)
    x = (torch.rand(64, *shape, generator=torch.Generator().manual_seed(0)) * 255).to(torch.uint8)
    if name in TABLES:
        with pytest.raises(pf.BadSource, match="takes tables and points, got images"):
            fitted(name, x)
        return
    model = fitted(name, x)
    if hasattr(model, "sample"):
        drawn = sampled(model, 3)
        assert drawn.shape == (3, *shape)
        assert model.space.export(drawn).dtype == torch.uint8
    if hasattr(model, "decode"):
        assert model.decode(
            model.encode(x) if hasattr(model, "encode") else torch.zeros(64, model.code_width)
        ).shape == (64, *shape)


def test_decode_is_differentiable_in_the_code(name: str, model: Any) -> None:
    if not hasattr(model, "decode"):
        pytest.skip("does not decode")
    width = model.encode(data(name)).shape[1] if hasattr(model, "encode") else model.code_width
    z = torch.zeros(2, width, dtype=model.floating(), requires_grad=True)
    model.decode(z).sum().backward()
    assert z.grad is not None
    assert float(z.grad.abs().sum()) > 0


def test_what_it_does_not_accept_is_refused(name: str) -> None:
    if name in IMAGES:
        message = "images of at least 8x8, got 3 numbers|data are points in 3 dimensions; pass"
        with pytest.raises(pf.PushforwardError, match=message):
            fitted(name, rows())
        return
    spoilt = {"missing": rows(), "infinite": rows(), "constant": rows()}
    spoilt["missing"][3, 1] = float("nan")
    spoilt["infinite"][3, 1] = float("inf")
    spoilt["constant"][:, 1] = 2.0
    for issue, x in spoilt.items():
        if issue in type(make(name)).accepts:
            assert fitted(name, x).fitted
        else:
            with pytest.raises(pf.BadSource, match="column 'x1'"):
                fitted(name, x)


def test_unwanted_conditions_are_refused(model: Any) -> None:
    if not hasattr(model, "sample"):
        pytest.skip("does not sample")
    with pytest.raises(pf.PushforwardError):
        model.sample(3, y=1)


LABELLED = [
    n for n, cls in MODELS.items() if issubclass(cls, Learner) and n not in {*PAIRED, *CLIPS}
]
"""Models that take labels as conditions."""


@pytest.mark.parametrize("learner", LABELLED)
def test_learners_take_conditions(learner: str) -> None:
    y = torch.arange(96) % 3
    x = data(learner) + 10 * y.reshape(-1, *[1] * (data(learner).ndim - 1))
    # games circle with momentum
    fast = {
        "r3gan": "adam(rate=0.003, beta1=0.0)",
        "lapgan": "adam(rate=0.01, beta1=0.0)",
        "ctgan": "adam(rate=0.003, beta1=0.0)",
    }.get(learner, "adam(rate=0.01)")
    model = make(learner).fit(
        x,
        y,
        by=pf.Trainer(epochs=60, batch=32, optimizers={p.name: fast for p in built(learner, x, y)}),
    )
    assert model.condition_space is not None
    if hasattr(model, "sample"):
        low, high = (
            model.sample(50, y=0, rng=0).double().mean(),
            model.sample(50, y=2, rng=0).double().mean(),
        )
        assert float(high - low) > 5, "samples follow their condition"
        assert model.sample(3, y=torch.tensor([0, 1, 2]), rng=0).shape == (
            3,
            *data(learner).shape[1:],
        )
        with pytest.raises(pf.PushforwardError, match="pass y"):
            model.sample(3)


def built(learner: str, x: Any, y: Any) -> Any:
    return make(learner).fit(x, y, by=pf.Trainer(steps=1, batch=32)).phases()


def test_numpy_in_float32_is_taken(name: str) -> None:
    assert fitted(name, data(name).numpy().astype(np.float32)).fitted
