"""NumPy's and torch's scalars are as good as Python's, wherever a setting is taken; booleans are no
numbers, nor numbers booleans.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.budgets import BUDGETS
from pushforward.core.kinds import read_hints
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.numbers import require_whole, to_python
from pushforward.core.phase import Adam
from pushforward.core.random import generator, normal
from pushforward.core.registry import Value, catalogue
from pushforward.experiments.compare import Comparison
from pushforward.experiments.measure import Annealing
from pushforward.fitting.em import EM
from pushforward.fitting.film import Film
from tests.small_models import NAMES, conditions, data, fitted, make, rows, sampled

KINDS = {
    "numpy": lambda v: (
        np.bool_(v) if isinstance(v, bool) else np.int64(v) if isinstance(v, int) else np.float64(v)
    ),
    "small numpy": lambda v: (
        np.bool_(v) if isinstance(v, bool) else np.int32(v) if isinstance(v, int) else np.float32(v)
    ),
    "array": np.array,
    "tensor": lambda v: torch.tensor(v, dtype=torch.float64 if isinstance(v, float) else None),
}


def foreign(value: Any, kind: str) -> Any:
    """A setting with every number in it of the kind."""
    if isinstance(value, tuple):
        return tuple(foreign(v, kind) for v in value)
    return KINDS[kind](value) if isinstance(value, (bool, int, float)) else value


def only_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(only_plain(v) for v in value)
    return value is None or type(value) in (bool, int, float, str) or isinstance(value, Value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_every_model_takes_them_and_stores_them(name: str, kind: str, tmp_path: Path) -> None:
    given = make(name)
    made = type(given)(**{k: foreign(v, kind) for k, v in given.hyperparameters().items()})
    assert all(only_plain(v) for v in made.hyperparameters().values()), made.hyperparameters()
    if kind in ("numpy", "array"):
        assert repr(made) == repr(given)
        by = pf.Trainer(steps=1, batch=32) if isinstance(made, Learner) else None
        y = conditions(name, data(name))
        made.fit(data(name), **({} if y is None else {"y": y}), by=by).save(tmp_path / "run")
        json.loads((tmp_path / "run" / "model.json").read_text())
        assert repr(pf.load(tmp_path / "run")) == repr(made)


def families() -> list[type[Value]]:
    found: list[type[Value]] = []
    for family in Value.__subclasses__():
        found += [
            m
            for m in family.members.values()
            if m.__module__.startswith("pushforward.") and dataclasses.fields(m)
        ]
    return found


@pytest.mark.parametrize("kind", ["numpy", "array", "tensor"])
@pytest.mark.parametrize("member", families(), ids=lambda m: f"{m.family} {m.name}")
def test_every_value_takes_them(member: type[Value], kind: str) -> None:
    required = [
        f
        for f in dataclasses.fields(member)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    own = member(**{f.name: 1.0 for f in required})
    settings = {
        f.name: foreign(getattr(own, f.name), kind) for f in dataclasses.fields(member) if f.init
    }
    made = member(**settings)
    assert made == own
    assert str(made) == str(own)
    assert hash(made) == hash(own)
    assert "np." not in str(made.replace(**settings))


def test_trainer_and_em_take_them(tmp_path: Path) -> None:
    trainer = pf.Trainer(
        steps=np.int64(3),
        batch=np.int32(16),
        held_out=np.float32(0.2),
        seed=np.int64(1),
        clip=np.float64(5),
        accumulate=np.int8(2),
        ema=np.float64(0.9),
        evaluate_every=np.float32(1),
        patience=torch.tensor(3),
        keep_best=np.bool_(True),
        run=tmp_path / "run",
    )
    pf.VAE(latent=np.int64(1), hidden=(np.int64(8),)).fit(rows(), by=trainer)
    assert (
        json.loads((tmp_path / "run" / "run.json").read_text())["fitter"]["settings"]["steps"] == 3
    )
    resumed = pf.Trainer(resume=tmp_path / "run", steps=np.int64(4))
    pf.VAE(latent=1, hidden=(8,)).fit(rows(), by=resumed)
    pf.GMM(2).fit(
        rows(),
        by=EM(steps=np.int64(3), tolerance=np.float32(0), block=np.array(16), seed=np.int64(1)),
    )
    found = pf.choose_components(rows(), np.arange(1, 4))[1]
    assert list(found) == [1, 2, 3]
    assert [type(k) for k in found] == [int] * 3


def test_sequences_of_whole_numbers_may_be_arrays() -> None:
    assert pf.VAE(latent=1, hidden=np.array([8, 4])).hidden == (8, 4)
    assert pf.Autoencoder(latent=1, hidden=torch.tensor([8])).hyperparameters()["hidden"] == (8,)


@pytest.mark.parametrize("bad", [True, np.bool_(True), torch.tensor(True)])
def test_a_boolean_is_no_number(bad: Any) -> None:
    for make_one in (
        lambda: pf.GMM(bad),
        lambda: pf.PCA(bad),
        lambda: pf.KMeans(bad),
        lambda: pf.VAE(latent=bad),
        lambda: pf.GAN(latent=bad),
        lambda: pf.Trainer(batch=bad),
        lambda: EM(steps=bad),
        lambda: pf.Trainer(clip=bad),
    ):
        with pytest.raises(pf.PushforwardError):
            make_one()


def test_plain_keeps_what_is_no_scalar() -> None:
    array, tensor = np.arange(3), torch.arange(3)
    assert to_python(array) is array
    assert to_python(tensor) is tensor
    assert to_python([np.int64(1), (np.float32(0.5),)]) == [1, (0.5,)]
    assert type(to_python(np.longdouble(1.5))) is float
    assert to_python(np.str_("a")) == "a"


@pytest.mark.parametrize("value", [1.5, -1, "3", None, True, np.float64(2.5), [1], 1 + 0j])
def test_whole_says_what_it_wants(value: Any) -> None:
    with pytest.raises(pf.PushforwardError, match="n must be a whole number"):
        require_whole(value, "n")


# ------------------------------------------------------------------------------------------ streams


def test_streams_of_random_numbers_in_any_kind() -> None:
    same = [
        0,
        np.int64(0),
        np.uint8(0),
        np.array(0),
        torch.tensor(0),
        torch.Generator().manual_seed(0),
    ]
    draws = [normal(3, rng=rng) for rng in same]
    assert all(torch.equal(draws[0], d) for d in draws)
    for make_one in (lambda: np.random.default_rng(0), lambda: np.random.RandomState(0)):
        stream, again = make_one(), make_one()
        first, second = normal(3, rng=stream), normal(3, rng=stream)
        assert not torch.equal(first, second), "a stream moves on"
        assert torch.equal(first, normal(3, rng=again)), "and repeats from its seed"
    for bad in (True, np.array(0.5), np.array(False), torch.tensor(True), np.array([0])):
        with pytest.raises(pf.InvalidKind, match="rng must be"):
            generator(bad)


@pytest.mark.parametrize("name", [n for n in NAMES if hasattr(make(n), "sample")])
def test_every_model_samples_with_any_kind_of_stream(name: str) -> None:
    model = fitted(name)
    want = sampled(model, 3, 0)
    assert torch.equal(sampled(model, np.int64(3), np.int64(0)), want)
    assert torch.equal(sampled(model, torch.tensor(3), torch.Generator().manual_seed(0)), want)
    assert sampled(model, np.array(3), np.random.default_rng(0)).shape == want.shape


# --------------------------------------------------------------------------------------- sample's n


@pytest.mark.parametrize("name", [n for n in NAMES if hasattr(make(n), "sample")])
def test_sample_takes_n_alike_in_every_model(name: str) -> None:
    model = fitted(name)
    none = sampled(model, 0)
    assert none.shape == (0, *data(name).shape[1:])
    assert none.dtype == sampled(model, 1).dtype
    for bad in (-1, 2.5, np.float64(3.5), -np.int64(2)):
        with pytest.raises(pf.InvalidValue, match="n must be a whole number of at least 0, got"):
            model.sample(bad)
    for bad in (True, np.bool_(True), "3", None, [3]):
        with pytest.raises(pf.InvalidKind, match="n must be a whole number, got"):
            model.sample(bad)
    assert next(iter(inspect.signature(model.sample).parameters)) == "n"


def test_sample_of_none_with_conditions_and_with_noise() -> None:
    y = torch.arange(96) % 3
    model = pf.VAE(latent=1, hidden=(8,)).fit(rows(), y, by=pf.Trainer(steps=2, batch=32))
    assert model.sample(0, y=1, rng=0).shape == (0, 3)
    assert model.sample(0, y=y[:0], rng=0).shape == (0, 3)
    with pytest.raises(pf.InvalidValue, match="pass y"):
        model.sample(0)
    gan = pf.GAN(latent=2, hidden=(8,)).fit(rows(), by=pf.Trainer(steps=2, batch=32))
    observed = pf.Observed(gan, sigma=np.float64(0.1))
    assert observed.sample(0, rng=0).shape == (0, 3)
    with pytest.raises(pf.InvalidValue, match="n must be"):
        observed.sample(2.5)
    stream = torch.Generator().manual_seed(0)
    before = stream.get_state()
    gan.sample(0, rng=stream)
    assert torch.equal(stream.get_state(), before), "drawing nothing draws nothing"


def test_only_the_packages_own_models_are_here() -> None:
    assert set(NAMES) <= set(catalogue)


# -------------------------------------------------------------------------------- of the wrong kind

WRONG = {
    "text": "x",
    "None": None,
    "fraction": 2.5,
    "whole float": 2.0,
    "list": [],
    "list of a text": ["x"],
    "list of None": [None],
    "dict": {},
    "set": {1},
    "object": object(),
    "function": len,
    "bytes": b"x",
    "complex": 1j,
    "nan": math.nan,
    "infinity": math.inf,
    "-1": -1,
    "0": 0,
    "10**30": 10**30,
    "10**400": 10**400,
    "True": True,
    "number as text": "3",
    "matrix": torch.zeros(2, 2),
    "ragged": [[1.0], [1.0, 2.0]],
    "text in a matrix": [[1.0, "x"]],
}
WHOLE = ("fraction", "whole float", "text", "None", "True", "nan", "number as text")
"""What is no whole number."""
FITTERS = {"Trainer": pf.Trainer, "EM": EM}
DESCRIPTIONS = {"Experiment": pf.Experiment, "Comparison": Comparison, "Annealing": Annealing}
MAKERS = {
    **{name: type(make(name)) for name in NAMES},
    **FITTERS,
    **DESCRIPTIONS,
    "FourierKDE": pf.FourierKDE,
}
VALUES = {f"{m.family} {m.name}": m for m in families()}


def settings_of(cls: Any) -> list[str]:
    return list(inspect.signature(cls).parameters)


def tried(cls: Any, name: str, value: Any) -> Exception | None:
    """What a setting raises, if anything; a fault of another kind than ours ends the test."""
    rest = {
        p.name: 1.0
        for p in inspect.signature(cls).parameters.values()
        if p.default is p.empty and p.name != name
    }
    try:
        cls(**rest, **{name: value})
    except pf.PushforwardError as error:
        text = str(error)
        assert "\n" not in text
        assert len(text) <= 1000
        return error
    return None


@pytest.mark.parametrize(
    ("owner", "setting"),
    [(o, s) for o, cls in {**MAKERS, **VALUES}.items() for s in settings_of(cls)],
)
def test_a_setting_of_the_wrong_kind_is_refused_in_one_line(owner: str, setting: str) -> None:
    cls = {**MAKERS, **VALUES}[owner]
    errors = {kind: tried(cls, setting, value) for kind, value in WRONG.items()}
    hint = read_hints(cls if dataclasses.is_dataclass(cls) else cls.__init__)[setting]
    for kind in (
        ("object", "function", "bytes", "complex", "matrix") if "Any" not in str(hint) else ()
    ):
        assert errors[kind] is not None, f"{owner}({setting}={kind}) was taken"
    if setting in BUDGETS and owner in FITTERS:
        assert errors["number as text"] is not None
    if hint is int:
        assert [kind for kind in WHOLE if errors[kind] is None] == []
    if hint is float:
        assert [
            kind
            for kind in ("text", "None", "True", "nan", "10**400", "number as text")
            if errors[kind] is None
        ] == []


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: pf.VAE(latent=2.0), "latent must be a whole number, got 2.0; pass latent=20, say"),
        (
            lambda: pf.VAE(hidden=2.5),
            "hidden must be a list of whole numbers, got 2.5; pass hidden=(400,), say",
        ),
        (
            lambda: pf.VAE(activation=3),
            "activation must be 'relu', 'leaky_relu', 'tanh', 'softplus', 'silu', 'gelu', 'elu', "
            "'sigmoid' or 'identity', got 3; pass activation='relu', say",
        ),
        (
            lambda: pf.VAE(hidden=(10**30,)),
            f"hidden must be below 2^63, got ({10**30},); pass a smaller number",
        ),
        (lambda: pf.GAN(penalties="r1"), "penalties is a list, got 'r1'; write penalties=['r1']"),
        (
            lambda: pf.GAN(penalties=3),
            (
                "penalties must be a list (each a penalty or a text), got 3; pass "
                "penalties=('r1(gamma=0.1)',), say"
            ),
        ),
        (lambda: pf.KDE(bounds=3), "bounds must be a list, got 3; pass bounds=(), say"),
        (lambda: pf.KDE(bandwidth=[]), "bandwidth must be positive, got []"),
        (
            lambda: pf.KDE(bandwidth={}),
            "bandwidth must be a number, one per axis, a matrix or one of 'scott'",
        ),
        (
            lambda: pf.GMM(2, start=None),
            (
                "start must be one of 'kmeans', 'kmeans++', 'random' or means "
                "(2, d), got None; pass numbers"
            ),
        ),
        (lambda: pf.KMeans(2, start=[[1.0], [math.nan]]), "start as centres must be finite"),
        (
            lambda: pf.KMeans(2, start=[[1.0], []]),
            "start must be one of 'kmeans++', 'random' or centres (2, d), got [[1.0], []]",
        ),
        (
            lambda: pf.KMeans(2, tolerance="x"),
            "tolerance must be a number, got 'x'; pass tolerance=0.0001, say",
        ),
        (
            lambda: pf.FourierKDE(box=3),
            "box must be (lowest, highest), each one finite number per axis",
        ),
        (
            lambda: pf.FourierKDE(box=([0.0], [math.inf])),
            "box must be (lowest, highest), each one finite number per axis",
        ),
        (
            lambda: pf.PCA(components="3"),
            "components must be a number, a fraction, 'minka', 'heldout' or None, got '3'",
        ),
        (lambda: EM(seed=None), "seed must be a whole number, got None; pass seed=0, say"),
        (lambda: EM(run=3), "run must be a text, a Path or None, got 3"),
        (lambda: EM(token=3), "token must be a CancelToken or None, got 3"),
        (lambda: pf.Trainer(seed=None), "seed must be a whole number, got None; pass seed=0, say"),
        (
            lambda: pf.Trainer(batch="8"),
            "batch must be a whole number or None, got '8'; pass batch=None, or leave it out",
        ),
        (lambda: pf.Trainer(clip=10**400), "clip must be a number or None, got 1000"),
        (
            lambda: pf.Trainer(optimizers=["adam"]),
            "optimizers must be a dict (each value an optimizer or a text), got ['adam']",
        ),
        (
            lambda: pf.Trainer(callbacks=print),
            "callbacks must be a list (each a function), got <built-in function print>; write",
        ),
        (lambda: pf.Trainer(held_out="x"), "held_out must be a Source, a number or None, got 'x'"),
        (lambda: pf.Trainer(start=pf.PCA), "start must be a Model or None, got <class"),
        (lambda: Film(3), "look must be a function of the model, got 3"),  # type: ignore[arg-type]
        (lambda: Film(len, most="x"), "most must be a whole number, got 'x'"),  # type: ignore[arg-type]
        (lambda: Adam(rate="x"), "rate must be a number, got 'x'; pass rate=0.001, say"),  # type: ignore[arg-type]
    ],
)
def test_the_line_says_what_was_expected_what_came_and_what_to_do(build: Any, said: str) -> None:
    with pytest.raises(pf.PushforwardError) as caught:
        build()
    assert str(caught.value).startswith(said)


def test_one_layer_may_be_a_number_alone() -> None:
    for hidden in (8, np.int64(8), torch.tensor(8)):
        assert pf.VAE(latent=1, hidden=hidden).hidden == (8,)
    assert pf.InfoGAN(categories=3).categories == (3,)


@dataclasses.dataclass
class Rule:
    low: float = 0.0


class Own(Model):
    """A model of somebody's own, whose annotations say less than it takes."""

    def __init__(self, size: int = None, rule: Rule = "none", *rest: int, **more: float) -> None:  # type: ignore[assignment]  # noqa: RUF013
        super().__init__()
        self.size, self.rule, self.rest, self.more = size, rule, rest, more


def test_models_of_your_own_keep_their_defaults_and_kinds_that_nobody_knows() -> None:
    made = Own()
    assert (made.size, made.rule) == (None, "none")
    assert Own(3, Rule(), 4, 5, other=2.5).rest == (4, 5)
    assert Own(rule="another").rule == "another"  # type: ignore[arg-type]
    with pytest.raises(
        pf.InvalidValue, match=r"size must be a whole number, got 2\.5; pass size=8, say"
    ):
        Own(size=2.5)  # type: ignore[arg-type]
