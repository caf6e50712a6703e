"""The first minutes: PCA and VAEs of 1,797 handwritten digits, fitted, measured and drawn on one
split with one noise. `pushforward demo` runs it and prints what comes of it.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pushforward.core.errors import Interrupted
from pushforward.core.events import Listener
from pushforward.core.records import Record
from pushforward.core.registry import model_class
from pushforward.core.storage import create_folder, write_text
from pushforward.experiments import Experiment, OpenedRun, open_run
from pushforward.experiments.experiment import free_folder
from pushforward.experiments.measure import describe_data
from pushforward.experiments.opened import rows_of
from pushforward.metrics.preparation import prepare_rows
from pushforward.recipes import digits

__all__ = ["MODELS", "Handwriting", "experiments", "run"]

Progress = Callable[[str, Experiment], AbstractContextManager[Listener]]
"""(name, what is about to be fitted) -> a context in which its listener is called."""


@dataclass(frozen=True)
class _Settings:
    """A model by its registered name, its hyperparameters, and how it is fitted."""

    model: str
    hyperparameters: Mapping[str, Any]
    fitting: Mapping[str, Any] = field(default_factory=dict)


_NETWORK = {"hidden": 256, "likelihood": "gaussian(per_dimension=True)"}
_FITTING = {"batch": 64, "optimizer": "adam(rate=0.003)", "schedule": "cosine", "keep_best": True}
MODELS: Mapping[str, _Settings] = {
    "pca-16": _Settings("pca", {"components": 16}),
    "pca": _Settings("pca", {"components": "heldout"}),
    "vae-2": _Settings("vae", {"latent": 2, **_NETWORK}, {"epochs": 150, **_FITTING}),
    "vae": _Settings("vae", {"latent": 16, **_NETWORK}, {"epochs": 300, **_FITTING}),
}
"""A PCA whose code is as short as the VAE's, the most likely PCA, a VAE whose codes are a plane
that can be drawn whole, and the VAE.
"""


@dataclass(frozen=True)
class Handwriting:
    """What came of it.

    Args:
        folder: with a run for each of `MODELS`, images/ and records.json.
        records: on the rows held out, by model and column.
        images: the files.
        seconds: that fitting took.
    """

    folder: Path
    records: Mapping[str, Mapping[str, Record]]
    images: tuple[Path, ...]
    seconds: float


def experiments(folder: Path, *, seed: int = 0, epochs: int = 300) -> dict[str, Experiment]:
    """The experiments by the names of their runs.

    Args:
        folder: where the runs go.
        seed: of the networks and of the split, which is the same for all.
        epochs: of the VAE, and at most of the one with two codes.
    """
    return {
        name: _experiment(name, settings, folder / name, seed, epochs)
        for name, settings in MODELS.items()
    }


def run(
    folder: str | Path | None = None,
    *,
    seed: int = 0,
    epochs: int = 300,
    progress: Progress | None = None,
) -> Handwriting:
    """Fit the models, measure them on the rows held out, and draw what they have learnt.

    Args:
        folder: where to, a new one; runs/demo-N if None.
        seed: of everything random.
        epochs: of the VAE.
        progress: called before each fit, with its name and experiment.

    Raises:
        Interrupted: If a signal stopped a fit; its run can be resumed.
    """
    place = create_folder(free_folder("demo") if folder is None else folder)
    began = time.monotonic()
    with _one_thread():
        for name, experiment in experiments(place, seed=seed, epochs=epochs).items():
            with _listening(progress, name, experiment) as listeners:
                outcome = experiment.run(place / name, listeners=listeners)
                if outcome.interrupted:
                    raise Interrupted(saved=True)
        seconds = time.monotonic() - began
        records, images = _measure_and_draw(place)
    content = {
        name: {column: record.as_dict() for column, record in row.items()}
        for name, row in records.items()
    }
    text = json.dumps({"seconds": round(seconds, 1), "records": content}, indent=1)
    write_text(place / "records.json", text + "\n")
    return Handwriting(place, records, tuple(images), seconds)


def _experiment(name: str, settings: _Settings, folder: Path, seed: int, epochs: int) -> Experiment:
    model = model_class(settings.model)(**settings.hyperparameters)
    fitting = dict(settings.fitting)
    if "epochs" in fitting:
        fitting["epochs"] = epochs if name == "vae" else min(epochs, fitting["epochs"])
        fitting["seed"] = seed
    flags = {**settings.hyperparameters, **fitting, "split_seed": seed, "run": folder}
    if "optimizer" in fitting:
        fitting["optimizers"] = {settings.model: fitting.pop("optimizer")}
    return Experiment(
        model,
        "digits",
        split_seed=seed,
        fitter=fitting,
        command=_command(settings.model, flags),
    )


def _command(model: str, flags: Mapping[str, Any]) -> str:
    """The command line that fits the same."""
    parts = ["pushforward", "fit", model, "digits"]
    for name, value in flags.items():
        parts += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(parts)


@contextmanager
def _listening(
    progress: Progress | None, name: str, experiment: Experiment
) -> Iterator[list[Listener]]:
    with nullcontext() if progress is None else progress(name, experiment) as listener:
        yield [] if listener is None else [listener]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within: one thread. Matrices this small gain little from a second one, and on a busy machine
    lose everything.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _measure_and_draw(folder: Path) -> tuple[dict[str, dict[str, Record]], list[Path]]:
    """Records on the rows held out, dequantised alike for all, and the four images."""
    runs = {name: open_run(folder / name) for name in MODELS}
    vae = runs["vae"]
    parts = vae.parts()
    assert parts.held_out is not None
    models = {_heading(run): run.model for run in runs.values()}
    x = prepare_rows(vae.model, parts.held_out).x
    records = digits.measure(models, x, data=describe_data(parts.held_out))
    train, test = rows_of(parts.train).x, rows_of(parts.held_out).x
    return records, digits.draw(models, train, test, vae.model.space, folder / "images")


def _heading(run: OpenedRun) -> str:
    """How a model is called in tables: 'VAE, 16 codes'."""
    codes = run.model.latent if run.name == "vae" else len(run.model.components_)
    return f"{run.name.upper()}, {codes} codes"
