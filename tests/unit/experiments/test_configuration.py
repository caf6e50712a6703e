"""Settings: kinds from signatures, and defaults < file < environment < flags."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import pushforward as pf
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.manifest import Manifest
from pushforward.core.provenance import Provenance
from pushforward.core.registry import registered_models
from pushforward.experiments.configuration import read_settings, resolve
from pushforward.experiments.descriptions import described_arguments
from pushforward.experiments.settings import (
    Setting,
    model_settings,
    settings_of,
    split_commas,
)
from pushforward.models.classical.pca import PCA
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.vae import VAE


class Odd:
    """A class with every kind of setting.

    Args:
        count: how many, on two lines.
        share, sizes: said of both.

    Example:
        >>> Odd()
    """

    def __init__(
        self,
        count: int = 3,
        share: float | None = None,
        sizes: Sequence[int] = (4, 2),
        on: bool = True,
        name: str = "a",
    ) -> None:
        pass


def flag(name: str, cls: type = Odd) -> Setting:
    return next(f for f in model_settings(cls) if f.name == name)


def test_described_arguments_a_docstring() -> None:
    assert described_arguments(Odd) == {
        "count": "how many, on two lines.",
        "share": "said of both.",
        "sizes": "said of both.",
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "12", 12),
        ("share", "0.5", 0.5),
        ("share", "none", None),
        ("sizes", "8,4", [8, 4]),
        ("sizes", "none", []),
        ("on", "no", False),
        ("name", "7", "7"),
    ],
)
def test_a_text_is_read_by_its_kind(name: str, text: str, value: object) -> None:
    assert flag(name).read(text, "") == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("count", "2.5"),
        ("count", 2.5),
        ("count", True),
        ("sizes", "8,x"),
        ("on", "maybe"),
        ("on", 3),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused(name: str, given: object) -> None:
    with pytest.raises(InvalidKind, match=f"--{name} must be"):
        flag(name).read(given, "")


def test_a_models_flags_are_its_signature() -> None:
    assert [f.name for f in model_settings(VAE)][:3] == ["latent", "hidden", "likelihood"]
    assert flag("components", PCA).read("0.9", "") == 0.9
    assert flag("components", PCA).read("3", "") == 3
    assert flag("components", PCA).read("minka", "") == "minka"
    assert flag("penalties", GAN).read("r1(gamma=2), r2", "") == ["r1(gamma=2)", "r2"]
    assert next(f for f in settings_of(GAN) if f.name == "ema").default == 0.999


def test_commas_inside_parentheses_do_not_split() -> None:
    assert split_commas("a(b=1, c=2), d") == ["a(b=1, c=2)", "d"]


@pytest.mark.parametrize("text", ["8,,4", ",8", "8,", "r1(gamma=1),,r2"])
def test_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(InvalidKind, match="nothing stands between two commas"):
        split_commas(text)


def test_stronger_places_win(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = settings_of(VAE)
    file = {"latent": 5, "fitting": {"batch": 7, "seed": 1}, "hyperparameters": {"hidden": [9]}}
    config = resolve("vae", "digits", flags, typed={}, file=file)
    assert (config.hyperparameters["latent"], config.fitting["batch"], config.fitting["seed"]) == (
        5,
        7,
        1,
    )
    monkeypatch.setenv("PUSHFORWARD_LATENT", "6")
    monkeypatch.setenv("PUSHFORWARD_BATCH", "8")
    config = resolve(
        "vae",
        "digits",
        flags,
        typed={"batch": "9"},
        sets=["fitting.seed=3", "hidden=4,4"],
        file=file,
    )
    assert (config.hyperparameters["latent"], config.fitting["batch"], config.fitting["seed"]) == (
        6,
        9,
        3,
    )
    assert config.hyperparameters["hidden"] == [4, 4]


def test_a_budget_replaces_a_weaker_one_in_another_unit() -> None:
    config = resolve("vae", "digits", settings_of(VAE), typed={"steps": "5"}, file={"epochs": 3})
    assert (config.fitting["steps"], config.fitting["epochs"]) == (5, None)


def test_a_run_gives_the_configuration_it_was_made_with(tmp_path: Path) -> None:
    flags = settings_of(GAN)
    given = {
        "network": "mlp",
        "penalties": ["r1(gamma=2.0)"],
        "optimizer": ["critic=adam(rate=0.0001)"],
        "keep_best": True,
        "label": 'a "b"\\',
        "steps": 3,
    }
    config = resolve("gan", "C:\\data ü", flags, typed=given)
    reading = {"label": config.data["label"]}
    data = Provenance(config.source, reading, held_out=config.data["held_out"])
    settings = pf.Trainer(
        steps=3, ema=0.999, optimizers={"critic": "adam(rate=0.0001)"}, keep_best=True, held_out=0.1
    ).settings()
    manifest = Manifest.of(
        GAN(network="mlp", penalties=["r1(gamma=2.0)"]), fitter="Trainer", settings=settings
    )
    replace(manifest, data=data, dequantise=None).write(tmp_path)
    again = resolve(
        "gan", config.source, flags, typed={}, file=read_settings(tmp_path / "run.json")
    )
    assert again.as_dict() == config.as_dict()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"latnt": 1}, "did you mean 'latent'"),
        ({"fiting": {"seed": 1}}, "did you mean 'fitting'"),
        ({"data": {"seed": 1}}, "seed"),
    ],
)
def test_an_unknown_setting_suggests(file: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        resolve("vae", "digits", settings_of(VAE), typed={}, file=file)
    with pytest.raises(InvalidValue, match="name=value"):
        resolve("vae", "digits", settings_of(VAE), typed={}, sets=["latent"])


def test_a_misspelt_variable_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHFORWARD_EPOCHSS", "3")
    with pytest.warns(UserWarning, match="PUSHFORWARD_EPOCHSS is no setting; did you mean") as seen:
        resolve("vae", "digits", settings_of(VAE), typed={})
    assert "did you mean 'PUSHFORWARD_EPOCHS'?" in str(seen[0].message)
    monkeypatch.delenv("PUSHFORWARD_EPOCHSS")
    for name in ("PUSHFORWARD_CLUSTERS", "PUSHFORWARD_DATA", "PUSHFORWARD_EPOCHS"):
        monkeypatch.setenv(name, "3")  # of another model, of the package, of this model
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve("vae", "digits", settings_of(VAE), typed={})


@pytest.mark.parametrize(("name", "cls"), list(registered_models()))
def test_help_gives_one_default(name: str, cls: type) -> None:
    for setting in settings_of(cls):
        if setting.shown_default:
            assert "by default" not in setting.help, f"{name} --{setting.name}"


def test_none_is_an_empty_list_of_augmentations() -> None:
    settings = {setting.name: setting for setting in settings_of(pf.VAE)}
    assert settings["augment"].read(["none"]) == []
    assert settings["augment"].read("none") == []
    assert settings["augment"].read(["flip", "crop(padding=2)"]) == ["flip", "crop(padding=2)"]
