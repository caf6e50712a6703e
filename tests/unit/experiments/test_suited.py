"""Settings that suit the rows where nobody has chosen, on the command line."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.space import Space
from pushforward.experiments.configuration import Configuration, resolve
from pushforward.experiments.settings import settings_of

FEW = pf.Arrays(torch.zeros(40, 1, 8, 8, dtype=torch.uint8))


def suited(
    model: Any, rows: Any = FEW, **typed: Any
) -> tuple[Configuration, list[tuple[str, str]]]:
    configuration = resolve(model().registered_name, "x", settings_of(model), typed=typed)
    return configuration.suited(configuration.build(model), rows)


def test_few_images_get_small_networks_and_steps_and_it_is_said() -> None:
    configuration, lines = suited(pf.DCGAN)
    assert configuration.hyperparameters["width"] == 16
    assert configuration.hyperparameters["penalties"] == ["r1(gamma=1.0)"]
    assert (configuration.fitting["steps"], configuration.fitting["epochs"]) == (3000, None)
    assert configuration.fitting["ema"] == 0.998
    assert [heading for heading, _ in lines] == ["chosen", "chosen"]
    assert "width=16" in lines[0][1]
    assert "32 images are few" in lines[1][1]  # a fifth is held out
    assert configuration.build(pf.DCGAN).width == 16


@pytest.mark.parametrize(
    ("typed", "section", "name", "value"),
    [
        ({"epochs": "7"}, "fitting", "steps", None),
        ({"minutes": "1"}, "fitting", "steps", None),
        ({"batch": "9"}, "fitting", "batch", 9),
        ({"width": "8"}, "hyperparameters", "penalties", []),
        ({"penalties": "none"}, "hyperparameters", "penalties", []),
        ({"latent": "3"}, "hyperparameters", "latent", 3),
    ],
)
def test_what_is_given_stays(typed: dict[str, str], section: str, name: str, value: object) -> None:
    configuration, lines = suited(pf.DCGAN, **typed)
    assert getattr(configuration, section)[name] == value
    assert lines


def test_a_gan_of_images_is_convolutional_unless_its_layers_are_given() -> None:
    assert suited(pf.GAN)[0].hyperparameters["network"] == "dcgan(width=16)"
    assert suited(pf.GAN, hidden="8")[0].hyperparameters["network"] is None


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (pf.GAN, pf.Arrays(torch.zeros(40, 2))),
        (pf.DCGAN, pf.Arrays(torch.zeros(6250, 1, 8, 8, dtype=torch.uint8))),
        (pf.GAN, pf.Arrays(FEW.x, FEW.x)),
        (pf.InfoGAN, FEW),
        (pf.PCA, FEW),
    ],
)
def test_other_data_and_models_keep_their_defaults(model: Any, rows: Any) -> None:
    configuration = resolve(model().registered_name, "x", settings_of(model), typed={})
    assert configuration.suited(configuration.build(model), rows) == (configuration, [])


def test_a_fit_from_another_run_keeps_its_networks() -> None:
    assert suited(pf.DCGAN, start="runs/before")[1] == []


def test_python_keeps_the_papers_defaults() -> None:
    assert (pf.DCGAN().width, pf.DCGAN().default_fitter().epochs) == (64, 25)
    assert pf.DCGAN().suited(Space("points", (2,)), 10) == ()
