"""`pushforward resume RUN`: go on with a fit, to the bit, or extend it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli import config as configs
from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue

__all__ = ["command"]

BUDGETS = ("epochs", "steps", "samples", "minutes")


def resume(
    context: typer.Context,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="the folder of a fit that was interrupted, or that is to go on", show_default=False)
    ],
    epochs: Annotated[str | None, typer.Option("--epochs", help="the whole budget in passes, or +50 to extend it")] = None,
    steps: Annotated[str | None, typer.Option("--steps", help="in steps, likewise")] = None,
    samples: Annotated[str | None, typer.Option("--samples", help="in observations seen, likewise")] = None,
    minutes: Annotated[str | None, typer.Option("--minutes", help="in minutes, likewise")] = None,
    save_every: Annotated[float | None, typer.Option("--save-every", help="seconds between checkpoints")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but warnings and errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="events as JSON lines on stdout, then the result")] = False,
) -> None:
    """Go on with a fit where it stood: the final weights are those of the uninterrupted run, bit for bit."""
    from pushforward.cli.fit import fit_classical, fit_learner, show
    from pushforward.core.learner import Learner

    folder = Path(run)
    model, config = begun(folder)
    learner = isinstance(model, Learner)
    if not learner:
        require_unfinished(folder, config.model)
    given = {n: v for n, v in zip(BUDGETS, (epochs, steps, samples, minutes)) if v is not None}
    if len(given) > 1:
        raise InvalidValue(f"give one budget, got {' and '.join('--' + n for n in given)}; leave the others out")
    config = extended(config, given)
    resumed: dict[str, Any] = {"resume": folder}
    if learner:
        resumed |= {**dict.fromkeys(BUDGETS), **{n: config.fitting[n] for n in given}}
    if save_every is not None:
        resumed["save_every"] = save_every
    source = runs.read_source(config)
    voice = Voice(quiet, json)
    show(voice, config, folder, source)
    first = (folder / "config.toml").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    work = fit_learner if learner else fit_classical
    work(voice, model, config, source, folder, command=first, overwrite=False, **resumed)


def command() -> Any:
    """The command."""
    return single(resume, "resume")


def require_unfinished(folder: Path, name: str) -> None:
    """InvalidKind for a fit by passes that has come to its end, or left no checkpoint to go on from."""
    from pushforward.fitting.checkpoint import Checkpoints
    from pushforward.fitting.pass_folder import ended

    again = f"fit it again: pushforward fit --config {folder}/config.toml"
    if not (folder / "trainer.json").is_file():
        raise InvalidKind(f"this {name} was fitted in one go, so there is nothing to resume; {again}")
    if ended(folder) and Checkpoints(folder).newest() is None:
        raise InvalidKind(f"the fit of this {name} has ended, in one go or by converging, so there is nothing to resume; {again}")


def begun(folder: Path) -> tuple[Any, configs.Config]:
    """A fresh model as the run was begun with, and its configuration; it may have been killed before anything was learnt."""
    from pushforward import models  # noqa: F401 - fills the catalogue
    from pushforward.core.registry import model_class

    if not folder.is_dir():
        raise BadRun(f"{folder} does not exist; expected a run folder made by fit")
    if not (folder / "config.toml").exists():
        known = (folder / "model.json").is_file() or (folder / "trainer.json").is_file()
        cure = (
            "it was not begun by the command line: go on from Python with Trainer(resume=...)"
            if known
            else "expected a run folder made by fit"
        )
        raise BadRun(f"{folder} holds no config.toml; {cure}")
    cls = model_class(str(configs.stored(folder).get("model", "?")))
    config = runs.read_config(folder, cls)
    assert config is not None
    return runs.built(cls, config), config


def extended(config: configs.Config, given: dict[str, str]) -> configs.Config:
    """The configuration with its new budget: '+50' on 20 makes 70."""
    for name, text in given.items():
        have = next((n for n in BUDGETS if config.fitting.get(n) is not None), "epochs")
        try:
            number = float(text)
        except ValueError:
            raise InvalidKind(f"--{name} must be a number, or +number to extend the budget, got {text!r}") from None
        if not math.isfinite(number):
            raise InvalidValue(f"--{name} must be finite, got {text!r}; pass +50 to extend the budget by 50")
        if name in ("steps", "samples") and number != int(number):
            raise InvalidKind(f"--{name} must be a whole number, got {text!r}; pass +50 to extend the budget by 50")
        if number <= 0:
            raise InvalidValue(f"--{name} must be above 0, got {text}; pass +50 to extend the budget by 50")
        if text.startswith("+"):
            if name != have:
                raise InvalidValue(f"the run's budget is in {have}, so it cannot be extended in {name}; extend it with --{have} {text}")
            number += float(config.fitting[have])
        whole = int(number) if number == int(number) else number
        config = config.with_values("fitting", **{**dict.fromkeys(BUDGETS), name: whole})
    return config
