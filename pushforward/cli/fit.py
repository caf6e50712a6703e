"""`pushforward fit MODEL SOURCE`: learn a distribution from data, into a run folder.

A model's flags are made from its own signature when it is named; nothing heavy is imported before.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli import config as configs
from pushforward.cli import flags as all_flags
from pushforward.cli import runs
from pushforward.cli.config import Config
from pushforward.cli.console import Voice, first_process
from pushforward.cli.flags import Flag
from pushforward.cli.help import SETTINGS, Group, single
from pushforward.cli.progress import display
from pushforward.core.errors import BadRun, Interrupted, InvalidValue, suggestion
from pushforward.core.folders import check_place, new_run

__all__ = ["command", "fit"]

_UsageError: Any = typer.BadParameter.__mro__[1]
_EPILOG = "Settings: defaults < --config file < environment (PUSHFORWARD_EPOCHS, ...) < flags; all are stored in config.toml."


def catalogue() -> Mapping[str, tuple[str, str]]:
    """The models by name, without importing them."""
    from pushforward import models  # noqa: F401 - fills the catalogue
    from pushforward.core.registry import catalogue

    return catalogue


class Models(Group):
    """`fit`: its sub-commands are the models."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every model."""
        return list(catalogue())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A model's command, with its own flags; for the list of models a line is enough."""
        if cmd_name not in catalogue():
            return None
        return (
            brief(cmd_name) if ctx.info_name == "fit" and not ctx.args and not getattr(ctx, "_protected_args", ()) else command_of(cmd_name)
        )

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Flags may stand before the model; with --config the file may name it."""
        if not args:
            raise _UsageError(f"expected a model and a source, got nothing (fit vae digits, say); models: {', '.join(catalogue())}", ctx)
        return super().parse_args(ctx, arranged(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The model's command; a near name is suggested."""
        name = args[0]
        if name not in catalogue():
            swapped = next((a for a in args[1:] if a in catalogue()), None)
            near = f"did you mean: pushforward fit {swapped} {name}?" if swapped else suggestion(name, catalogue())
            raise _UsageError(f"unknown model {name!r}; {near} (`pushforward models` lists them)", ctx)
        return name, command_of(name), args[1:]


def arranged(args: list[str]) -> list[str]:
    """The model first: `fit --epochs 5 vae digits` and `fit --config run.toml` work too."""
    if not args[0].startswith("-") or args[0] == "--help":
        return args
    place = next((i for i, a in enumerate(args) if a in catalogue()), None)
    if place is not None:
        return [args[place], *args[:place], *args[place + 1 :]]
    named = next((b if a == "--config" else a.partition("=")[2] for a, b in zip(args, [*args[1:], ""]) if a.startswith("--config")), "")
    if named:
        return [str(configs.read_toml(named).get("model", "?")), *args]
    return args if "--help" not in args else ["--help"]


def brief(name: str) -> Any:
    """A stand-in that only knows its line of help."""

    def stand_in() -> None: ...

    return single(stand_in, name, help=catalogue()[name][1])


def command() -> Any:
    """The group of models."""
    group = typer.Typer(
        cls=Models, name="fit", add_completion=False, rich_markup_mode=None,
        subcommand_metavar="MODEL SOURCE [FLAGS]", context_settings=SETTINGS,
        help="Learn a distribution: fit MODEL SOURCE. `pushforward fit MODEL --help` lists a model's own flags.",
    )  # fmt: skip

    @group.callback()
    def everything() -> None:
        """Learn a distribution: fit MODEL SOURCE. `pushforward fit MODEL --help` lists a model's own flags."""

    return typer.main.get_command(group)


# ------------------------------------------------------------------------------------------------ flags


def command_of(name: str) -> Any:
    """The command of one model, its flags from its own signature."""
    from pushforward.core.registry import model_class

    catalogue()
    cls = model_class(name)
    flags = all_flags.flags_of(cls)

    def run(context: typer.Context, source: str | None, **given: Any) -> None:
        own = {k: given.pop(k) for k in ("config", "set_", "run", "quiet", "json", "overwrite")}
        refused = [flag.name for flag in flags if flag.switch and given.pop(f"no_{flag.name}", None)]
        typed = {**{k: v for k, v in given.items() if v is not None and v != []}, **dict.fromkeys(refused, False)}
        fit(name, source, flags, typed, command=str(context.obj or ""), **own)

    parameters = [_parameter("context", typer.Context, inspect.Parameter.empty)]
    parameters.append(_parameter("source", Annotated[str | None, typer.Argument(help=_SOURCE, show_default=False)], None))
    parameters += [p for flag in flags for p in _flag_parameters(flag)]
    parameters += [_parameter(n, a, d) for n, (a, d) in _OWN.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return single(run, name, help=all_flags.summary_of(cls), epilog=_EPILOG)


_SOURCE = "a folder, glob or zip of images; .npy .npz .csv .parquet or idx; or digits, ring, grid, moons, swissroll, mnist, cifar10"
_RUN = "Run"
_OWN: dict[str, tuple[Any, Any]] = {
    "run": (
        Annotated[str | None, typer.Option("--run", help="folder to write to; runs/MODEL-SOURCE-N if not given", rich_help_panel=_RUN)],
        None,
    ),
    "overwrite": (Annotated[bool, typer.Option("--overwrite", help="replace the run folder if it is there", rich_help_panel=_RUN)], False),
    "config": (
        Annotated[str | None, typer.Option("--config", help="a TOML file of settings, e.g. a run's config.toml", rich_help_panel=_RUN)],
        None,
    ),
    "set_": (
        Annotated[list[str] | None, typer.Option("--set", help="any setting as name=value; several times", rich_help_panel=_RUN)],
        None,
    ),
    "quiet": (Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but warnings and errors", rich_help_panel=_RUN)], False),
    "json": (Annotated[bool, typer.Option("--json", help="events as JSON lines on stdout, then the result", rich_help_panel=_RUN)], False),
}
_ALIASES = {"label": ("--label", "--y"), "accelerator": ("--accelerator", "--device"), "batch": ("--batch", "-b")}


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _flag_parameters(flag: Flag) -> list[inspect.Parameter]:
    """A flag as a typer option that only takes its text; reading it is `Flag.read`'s business."""
    text = flag.help.rstrip(".") + (f" [{flag.shown_default}]" if flag.shown_default else "")
    if flag.switch:
        option = typer.Option(flag.option, help=text, rich_help_panel=flag.panel, show_default=False, metavar=" ")
        return [_parameter(flag.name, Annotated[bool | None, option], None), _negation(flag)]
    names = list(_ALIASES.get(flag.name, (flag.option,)))
    option = typer.Option(*names, help=text, rich_help_panel=flag.panel, show_default=False, metavar=flag.metavar)
    kind: Any = list[str] | None if flag.repeats else str | None
    return [_parameter(flag.name, Annotated[kind, option], None)]


def _negation(flag: Flag) -> inspect.Parameter:
    """--no-name, which help leaves out."""
    return _parameter(f"no_{flag.name}", Annotated[bool | None, typer.Option(f"--no-{flag.option[2:]}", hidden=True)], None)


# ------------------------------------------------------------------------------------------------ fitting


def fit(
    name: str, source: str | None, flags: Sequence[Flag], given: Mapping[str, Any], *, command: str, config: str | None = None,
    set_: Sequence[str] | None = None, run: str | None = None, quiet: bool = False, json: bool = False, overwrite: bool = False,
) -> None:  # fmt: skip
    """Resolve the configuration, read the data, fit, and leave a run folder."""
    from pushforward.core.learner import Learner
    from pushforward.core.registry import model_class

    voice = Voice(quiet, json)
    file = configs.read_toml(config) if config else {}
    if file.get("model", name) != name:
        raise InvalidValue(f"{config} is the configuration of a {file['model']}, not of a {name}; leave the model out, or the file")
    source = source or os.environ.get("PUSHFORWARD_SOURCE") or file.get("source")
    if source is None:
        raise InvalidValue(f"expected a source to learn from, got none; write pushforward fit {name} digits, say")
    settled = configs.resolve(name, _absolute(str(source)), flags, given=given, sets=set_ or (), file=file)
    cls = model_class(name)
    model = runs.built(cls, settled)
    model.command = command
    folder = folder_for(name, str(source), run or os.environ.get("PUSHFORWARD_RUN"), overwrite)
    rows = runs.read_source(settled)
    settled = settle(settled, model, rows)
    show(voice, settled, folder, rows)
    work = fit_learner if isinstance(model, Learner) else fit_classical
    work(voice, model, settled, rows, folder, command=command, overwrite=overwrite)


def folder_for(name: str, source: str, given: str | None, overwrite: bool) -> Path:
    """The run folder, checked before anything is read; processes launched by this one are told of it."""
    if given is None and "TORCHELASTIC_RUN_ID" in os.environ:
        raise InvalidValue(
            "several processes need one folder; torchrun would take --run for a flag of its own, so set PUSHFORWARD_RUN=FOLDER"
        )
    folder = Path(given) if given else runs.default_folder(name, source)
    if first_process():
        check_place(folder, overwrite=overwrite)
    return folder


def settle(config: Config, model: Any, source: Any) -> Config:
    """Record what was left open: whether the model dequantises these data."""
    if config.data.get("dequantise") is not None:
        return config
    return config.with_values("data", dequantise=model.dequantises(source.space))


def show(voice: Voice, config: Config, folder: Path, source: Any) -> None:
    """Print the configuration and what it is applied to."""
    for heading, text in [*config.lines(), ("space", str(source.space)), ("run", str(folder))]:
        if text:
            voice.say(f"{heading:<16} {text}")
    if source.space.kind == "points":  # of what is left out of images there has been a warning
        for note in getattr(source, "notes", ()):
            voice.say(f"{'note':<16} {note}")


def fit_classical(
    voice: Voice, model: Any, config: Config, source: Any, folder: Path, *, command: str, overwrite: bool, **resumed: Any
) -> None:
    """A model with a fitter of its own: EM writes the run folder as it goes; after any other the model is saved whole."""
    from pushforward.fitting.em import EM

    parts = runs.divide(config, source)
    if config.data.get("dequantise") and "dequantise" not in config.origins:
        voice.say("integer levels: U(-1/2, 1/2) is added, so that the density is per unit (--no-dequantise leaves them)")
    fitter = configured(model.default_fitter(), config)
    began = time.monotonic()
    if not isinstance(fitter, EM):
        fit_at_once(voice, model, fitter, config, parts, folder, command=command, overwrite=overwrite)
        return
    where = resumed or {"run": folder, "overwrite": overwrite}
    with display(voice) as drawn:
        fitter = dataclasses.replace(fitter, **where, documents={"config.toml": configs.to_toml(config, command)}, listeners=[drawn])
        try:
            model.fit(parts.train, by=fitter, dequantise=config.data.get("dequantise"))
        except Interrupted as stopped:
            if stopped.saved and first_process():
                stop_interrupted(voice, folder)
            raise
    if not first_process():
        return
    if model.fit_result.reason == "interrupted":
        stop_interrupted(voice, folder)
    leave(voice, folder, folder, model, config, parts, seconds=time.monotonic() - began, command=command)


def fit_at_once(voice: Voice, model: Any, fitter: Any, config: Config, parts: Any, folder: Path, *, command: str, overwrite: bool) -> None:
    """A model by a fitter that writes nothing itself."""
    from pushforward.core.storage import describe, write_tensors, write_text

    began = time.monotonic()
    with display(voice):
        model.fit(parts.train, by=fitter, dequantise=config.data.get("dequantise"))
    if not first_process():
        return
    with new_run(folder, overwrite=overwrite) as part:
        write_tensors(part / "model.safetensors", model.tensors())
        describe(model, part)
        write_text(part / "config.toml", configs.to_toml(config, command))
        leave(voice, part, folder, model, config, parts, seconds=time.monotonic() - began, command=command)


def stop_interrupted(voice: Voice, folder: Path) -> None:
    """Say how to go on, and exit as interrupted programs do."""
    voice.warn(f"interrupted; all is saved. Continue with: pushforward resume {shlex.quote(str(folder))}")
    raise typer.Exit(130)


def fit_learner(
    voice: Voice, model: Any, config: Config, source: Any, folder: Path, *, command: str, overwrite: bool, **resumed: Any
) -> None:
    """A model that learns by gradients: the Trainer writes the run folder as it goes."""
    from pushforward.fitting.trainer import Trainer

    parts = runs.divide(config, source)
    settings = trainer_settings(model, config)
    if "resume" not in resumed:
        settings.update(run=folder, overwrite=overwrite)
    else:
        settings.pop("start", None)  # the checkpoint has long been further
    os.environ["PUSHFORWARD_RUN"] = str(folder)
    began = time.monotonic()
    try:
        with hushed(), display(voice) as drawn:
            settings["held_out"] = settings.pop("chosen_by", None) or parts.held_out
            documents = {"config.toml": configs.to_toml(config, command)}
            trainer = Trainer(**{**settings, **resumed}, documents=documents, listeners=[drawn])
            model.fit(parts.train, by=trainer, dequantise=config.data.get("dequantise"))
    finally:
        os.environ.pop("PUSHFORWARD_RUN", None)
    if not first_process():
        return
    if model.fit_result.reason == "interrupted":
        stop_interrupted(voice, folder)
    leave(voice, folder, folder, model, config, parts, seconds=time.monotonic() - began, command=command)


@contextmanager
def hushed() -> Iterator[None]:
    """What Lightning Fabric says to its developers is not for the user."""
    import logging
    import warnings

    import lightning_fabric  # noqa: F401 - sets its level when it is imported

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning_fabric(\.|$)")
        yield


def trainer_settings(model: Any, config: Config) -> dict[str, Any]:
    """The Trainer's arguments for a configuration."""
    given = {k: v for k, v in config.fitting.items() if v is not None}
    given["optimizers"] = by_phase(given.pop("optimizer", []), model, "--optimizer")
    schedule = given.pop("schedule", None) or ["constant"]
    given["schedule"] = by_phase(schedule, model, "--schedule") if len(schedule) > 1 or _phase_of(schedule[0]) else schedule[0]
    accelerator = str(given.get("accelerator", "cpu"))
    if ":" in accelerator:
        given["accelerator"], _, index = accelerator.partition(":")
        given["devices"] = f"{index},"
    start = given.pop("start", None)
    if start is not None:
        given["start"] = runs.open_run(start).model
    if given.get("keep_best") or given.get("patience"):
        given["chosen_by"] = 0.1
    return given


def _phase_of(text: str) -> str:
    name, equals, _ = text.partition("=")
    return name.strip() if equals and "(" not in name else ""


def by_phase(texts: Sequence[str], model: Any, flag: str) -> dict[str, str]:
    """{'critic': 'adam(rate=1e-4)'} from 'critic=adam(rate=1e-4)'; a text without a phase is for all of them."""
    names = [phase.name for phase in model.phases()]
    found: dict[str, str] = {}
    for text in texts:
        phase = _phase_of(text)
        if phase and phase not in names:
            raise InvalidValue(f"{flag} {text}: there is no phase {phase!r}; {suggestion(phase, names)}")
        found.update({phase: text.partition("=")[2]} if phase else dict.fromkeys(names, text))
    return found


def configured(fitter: Any, config: Config) -> Any:
    """The model's own fitter with the configuration's settings."""
    if not dataclasses.is_dataclass(fitter):
        return fitter
    known = {f.name for f in dataclasses.fields(fitter) if f.init}
    return dataclasses.replace(fitter, **{k: v for k, v in config.fitting.items() if k in known and v is not None})  # type: ignore[type-var]


# ------------------------------------------------------------------------------------------------ leaving


def leave(voice: Voice, part: Path, folder: Path, model: Any, config: Config, parts: Any, *, seconds: float, command: str) -> None:
    """Images, the model card, and what to do next."""
    from pushforward.cli.card import write_card
    from pushforward.cli.images import leave_images
    from pushforward.cli.measure import records
    from pushforward.cli.progress import duration

    if not (part / "model.json").is_file():
        raise BadRun(f"the run folder {folder} was removed or renamed while the fit was writing to it; fit again, to another folder")
    run = runs.Run(part, model, config)
    found = records(run, parts.held_out, draws=0) if parts.held_out is not None else []
    leave_images(run, parts)
    write_card(run, folder, parts, found, command)
    voice.say(f"fitted on {len(parts.train):,} rows in {duration(seconds)}" + "".join(f"; held out: {r}" for r in found))
    quoted = shlex.quote(str(folder))
    voice.say(f"next: pushforward sample {quoted}" if hasattr(model, "sample") else f"next: pushforward encode {quoted} FILE")
    if parts.held_out is not None:
        voice.say(f"      pushforward evaluate {quoted}")
    content = {"event": "result", "run": str(folder), "seconds": round(seconds, 3), "records": [r.as_dict() for r in found]}
    voice.result(content, str(folder))


def _absolute(source: str) -> str:
    """A path that holds from anywhere; names stay names."""
    path = Path(source).expanduser()
    ending = "/" if source.endswith("/") else ""
    if not path.exists():
        return str(path.absolute()) if any(c in source for c in "*?[") else source
    # A link's own name tells what kind of file it is: DVC and git-annex keep what it leads to under a digest.
    whole = path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
    return f"{whole}{ending}"
