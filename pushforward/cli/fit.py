"""`pushforward fit MODEL SOURCE`: learn a distribution from data, into a run folder.

A model's flags are made from its own signature when it is named; nothing heavy is imported before.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli import config as configs
from pushforward.cli import flags as all_flags
from pushforward.cli.config import Config
from pushforward.cli.console import Voice, first_process
from pushforward.cli.flags import Flag
from pushforward.cli.help import SETTINGS, Group, single
from pushforward.cli.progress import display
from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.folders import check_place

if TYPE_CHECKING:
    from pushforward.core.model import Model
    from pushforward.experiments import Experiment, Outcome

__all__ = ["command", "fit"]

NOT_READ = ("held_out", "split_seed", "dequantise", "label")
"""Settings of the data that are not arguments of `read`."""
_UsageError: Any = typer.BadParameter.__mro__[1]
_EPILOG = (
    "Settings: defaults < --config file < environment (PUSHFORWARD_EPOCHS, ...) < flags; all are"
    " stored in run.json."
)


def catalogue() -> Mapping[str, str]:
    """The models by name, with one line each."""
    from pushforward import models  # noqa: F401 - fills the catalogue
    from pushforward.core.registry import offered_models

    return offered_models()


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
            brief(cmd_name)
            if ctx.info_name == "fit" and not ctx.args and not getattr(ctx, "_protected_args", ())
            else command_of(cmd_name)
        )

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Flags may stand before the model; with --config the file may name it."""
        if not args:
            raise _UsageError(
                "expected a model and a source, got nothing (fit vae digits, say); models:"
                f" {', '.join(catalogue())}",
                ctx,
            )
        return super().parse_args(ctx, arranged(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The model's command; a near name is suggested."""
        name = args[0]
        if name not in catalogue():
            swapped = next((a for a in args[1:] if a in catalogue()), None)
            near = (
                f"did you mean: pushforward fit {swapped} {name}?"
                if swapped
                else suggest(name, catalogue())
            )
            raise _UsageError(
                f"unknown model {name!r}; {near} (`pushforward models` lists them)", ctx
            )
        return name, command_of(name), args[1:]


def arranged(args: list[str]) -> list[str]:
    """The model first: `fit --epochs 5 vae digits` and `fit --config run.toml` work too."""
    if not args[0].startswith("-") or args[0] == "--help":
        return args
    place = next((i for i, a in enumerate(args) if a in catalogue()), None)
    if place is not None:
        return [args[place], *args[:place], *args[place + 1 :]]
    named = next(
        (
            b if a == "--config" else a.partition("=")[2]
            for a, b in zip(args, [*args[1:], ""])
            if a.startswith("--config")
        ),
        "",
    )
    if named:
        return [str(configs.read_settings(named).get("model", "?")), *args]
    return args if "--help" not in args else ["--help"]


def brief(name: str) -> Any:
    """A stand-in that only knows its line of help."""

    def stand_in() -> None: ...

    return single(stand_in, name, help=catalogue()[name])


def command() -> Any:
    """The group of models."""
    group = typer.Typer(
        cls=Models,
        name="fit",
        add_completion=False,
        rich_markup_mode=None,
        subcommand_metavar="MODEL SOURCE [FLAGS]",
        context_settings=SETTINGS,
        help=(
            "Learn a distribution: fit MODEL SOURCE. `pushforward fit MODEL "
            "--help` lists a model's own flags."
        ),
    )

    @group.callback()
    def everything() -> None:
        """Learn a distribution: fit MODEL SOURCE.
        `pushforward fit MODEL --help` lists a model's own flags.
        """

    return typer.main.get_command(group)


# -------------------------------------------------------------------------------------------- flags


def command_of(name: str) -> Any:
    """The command of one model, its flags from its own signature."""
    from pushforward.core.registry import model_class

    catalogue()
    cls = model_class(name)
    flags = all_flags.flags_of(cls)

    def run(context: typer.Context, source: str | None, **given: Any) -> None:
        own = {k: given.pop(k) for k in ("config", "set_", "run", "quiet", "json", "overwrite")}
        refused = [
            flag.name for flag in flags if flag.switch and given.pop(f"no_{flag.name}", None)
        ]
        typed = {
            **{k: v for k, v in given.items() if v is not None and v != []},
            **dict.fromkeys(refused, False),
        }
        fit(name, source, flags, typed, command=str(context.obj or ""), **own)

    parameters = [_parameter("context", typer.Context, inspect.Parameter.empty)]
    parameters.append(
        _parameter(
            "source", Annotated[str | None, typer.Argument(help=_SOURCE, show_default=False)], None
        )
    )
    parameters += [p for flag in flags for p in _flag_parameters(flag)]
    parameters += [_parameter(n, a, d) for n, (a, d) in _OWN.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return single(run, name, help=all_flags.summary_of(cls), epilog=_EPILOG)


_SOURCE = (
    "a folder, glob or zip of images; .npy .npz .csv .parquet or idx; or digits, ring, grid, moons,"
    " swissroll, mnist, cifar10"
)
_RUN = "Run"
_OWN: dict[str, tuple[Any, Any]] = {
    "run": (
        Annotated[
            str | None,
            typer.Option(
                "--run",
                help="folder to write to; runs/MODEL-SOURCE-N if not given",
                rich_help_panel=_RUN,
            ),
        ],
        None,
    ),
    "overwrite": (
        Annotated[
            bool,
            typer.Option(
                "--overwrite", help="replace the run folder if it is there", rich_help_panel=_RUN
            ),
        ],
        False,
    ),
    "config": (
        Annotated[
            str | None,
            typer.Option(
                "--config",
                help="a TOML file of settings, or a run whose settings to take",
                rich_help_panel=_RUN,
            ),
        ],
        None,
    ),
    "set_": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--set", help="any setting as name=value; several times", rich_help_panel=_RUN
            ),
        ],
        None,
    ),
    "quiet": (
        Annotated[
            bool,
            typer.Option(
                "--quiet", "-q", help="say nothing but warnings and errors", rich_help_panel=_RUN
            ),
        ],
        False,
    ),
    "json": (
        Annotated[
            bool,
            typer.Option(
                "--json",
                help="events as JSON lines on stdout, then the result",
                rich_help_panel=_RUN,
            ),
        ],
        False,
    ),
}
_ALIASES = {
    "label": ("--label", "--y"),
    "accelerator": ("--accelerator", "--device"),
    "batch": ("--batch", "-b"),
}


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _flag_parameters(flag: Flag) -> list[inspect.Parameter]:
    """A flag as a typer option that only takes its text; reading it is `Flag.read`'s business."""
    text = flag.help.rstrip(".") + (f" [{flag.shown_default}]" if flag.shown_default else "")
    if flag.switch:
        option = typer.Option(
            flag.option, help=text, rich_help_panel=flag.panel, show_default=False, metavar=" "
        )
        return [_parameter(flag.name, Annotated[bool | None, option], None), _negation(flag)]
    names = list(_ALIASES.get(flag.name, (flag.option,)))
    option = typer.Option(
        *names, help=text, rich_help_panel=flag.panel, show_default=False, metavar=flag.metavar
    )
    kind: Any = list[str] | None if flag.repeats else str | None
    return [_parameter(flag.name, Annotated[kind, option], None)]


def _negation(flag: Flag) -> inspect.Parameter:
    """--no-name, which help leaves out."""
    return _parameter(
        f"no_{flag.name}",
        Annotated[bool | None, typer.Option(f"--no-{flag.option[2:]}", hidden=True)],
        None,
    )


# ------------------------------------------------------------------------------------------ fitting


def fit(
    name: str,
    source: str | None,
    flags: Sequence[Flag],
    given: Mapping[str, Any],
    *,
    command: str,
    config: str | None = None,
    set_: Sequence[str] | None = None,
    run: str | None = None,
    quiet: bool = False,
    json: bool = False,
    overwrite: bool = False,
) -> None:
    """Resolve the configuration, make an experiment of it, run it, and say what came of it."""
    from pushforward.core.registry import model_class
    from pushforward.data.reading import absolute
    from pushforward.experiments.resuming import built

    voice = Voice(quiet, json)
    file = configs.read_settings(config) if config else {}
    if file.get("model", name) != name:
        raise InvalidValue(
            f"{config} is the configuration of a {file['model']}, not of a {name}; leave the model"
            " out, or the file"
        )
    source = source or os.environ.get("PUSHFORWARD_SOURCE") or file.get("source")
    if source is None:
        raise InvalidValue(
            f"expected a source to learn from, got none; write pushforward fit {name} digits, say"
        )
    settled = configs.resolve(
        name, absolute(str(source)), flags, given=given, sets=set_ or (), file=file
    )
    model = built(name, model_class(name), settled.hyperparameters)
    folder = folder_for(name, str(source), run or os.environ.get("PUSHFORWARD_RUN"), overwrite)
    experiment = experiment_of(model, settled, command)
    rows = experiment.read()
    if settled.data.get("dequantise") is None:
        settled = settled.with_values("data", dequantise=model.dequantises(rows.space))
        experiment = dataclasses.replace(experiment, dequantise=settled.data["dequantise"])
    show(voice, settled.lines(), folder, rows)
    if (
        settled.data["dequantise"]
        and "dequantise" not in settled.origins
        and not hasattr(model, "phases")
    ):
        voice.say(
            "integer levels: U(-1/2, 1/2) is added, so that the density is per unit"
            " (--no-dequantise leaves them)"
        )
    with display(voice) as drawn, announced(folder):
        outcome = experiment.run(folder, overwrite=overwrite, listeners=[drawn], rows=rows)
    tell(voice, outcome)


def experiment_of(model: Model, config: Config, command: str) -> Experiment:
    """The experiment that a configuration describes."""
    from pushforward.experiments import Experiment

    reading = {
        k: v for k, v in config.data.items() if k not in NOT_READ and v not in (None, [], ())
    }
    fitting = dict(config.fitting)
    start = fitting.pop("start", None)
    trained = hasattr(model, "phases")
    fitting = (
        trainer_settings(model, fitting)
        if trained
        else {k: v for k, v in fitting.items() if v is not None}
    )
    return Experiment(
        model,
        config.source,
        y=config.data.get("label"),
        reading=reading,
        held_out=config.data.get("held_out") or 0,
        split_seed=int(config.data.get("split_seed") or 0),
        dequantise=config.data.get("dequantise"),
        fitter=fitting,
        start=start,
        command=command,
    )


def folder_for(name: str, source: str, given: str | None, overwrite: bool) -> Path:
    """The run folder, checked before anything is read;
    processes launched by this one are told of it.
    """
    from pushforward.experiments.experiment import default_folder

    if given is None and "TORCHELASTIC_RUN_ID" in os.environ:
        raise InvalidValue(
            "several processes need one folder; torchrun would take --run for a flag of its own, so"
            " set PUSHFORWARD_RUN=FOLDER"
        )
    folder = Path(given) if given else default_folder(name, source)
    if first_process():
        check_place(folder, overwrite=overwrite)
    return folder


@contextmanager
def announced(folder: Path) -> Iterator[None]:
    """Within: processes that are launched with this command line write to the same folder."""
    os.environ["PUSHFORWARD_RUN"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("PUSHFORWARD_RUN", None)


def show(voice: Voice, lines: Sequence[tuple[str, str]], folder: Path, source: Any) -> None:
    """Print the configuration and what it is applied to."""
    for heading, text in [*lines, ("space", str(source.space)), ("run", str(folder))]:
        if text:
            voice.say(f"{heading:<16} {text}")
    if source.space.kind == "points":  # of what is left out of images there has been a warning
        for note in getattr(source, "notes", ()):
            voice.say(f"{'note':<16} {note}")


def trainer_settings(model: Model, fitting: Mapping[str, Any]) -> dict[str, Any]:
    """The Trainer's arguments for the texts of flags."""
    given = dict(fitting)
    given["optimizers"] = by_phase(given.pop("optimizer", []), model, "--optimizer")
    schedule = given.pop("schedule", None) or ["constant"]
    given["schedule"] = (
        by_phase(schedule, model, "--schedule")
        if len(schedule) > 1 or _phase_of(schedule[0])
        else schedule[0]
    )
    accelerator = str(given.get("accelerator", "cpu"))
    if ":" in accelerator:
        given["accelerator"], _, index = accelerator.partition(":")
        given["devices"] = f"{index},"
    return given


def _phase_of(text: str) -> str:
    name, equals, _ = text.partition("=")
    return name.strip() if equals and "(" not in name else ""


def by_phase(texts: Sequence[str], model: Model, flag: str) -> dict[str, str]:
    """{'critic': 'adam(rate=1e-4)'} from 'critic=adam(rate=1e-4)';
    a text without a phase is for all of them.
    """
    names = [phase.name for phase in model.phases()]  # type: ignore[operator]
    found: dict[str, str] = {}
    for text in texts:
        phase = _phase_of(text)
        if phase and phase not in names:
            raise InvalidValue(
                f"{flag} {text}: there is no phase {phase!r}; {suggest(phase, names)}"
            )
        found.update({phase: text.partition("=")[2]} if phase else dict.fromkeys(names, text))
    return found


def tell(voice: Voice, outcome: Outcome) -> None:
    """What came of a fit, and what to do next;
    an interrupted one exits as interrupted programs do.
    """
    from pushforward.fitting.progress import duration

    if not first_process():
        return
    run, parts = outcome.run, outcome.parts
    quoted = shlex.quote(str(run.folder))
    if outcome.interrupted:
        voice.warn(f"interrupted; all is saved. Continue with: pushforward resume {quoted}")
        raise typer.Exit(130)
    records = "".join(f"; held out: {r}" for r in outcome.records)
    voice.say(f"fitted on {len(parts.train):,} rows in {duration(outcome.seconds)}{records}")
    voice.say(
        f"next: pushforward sample {quoted}"
        if hasattr(run.model, "sample")
        else f"next: pushforward encode {quoted} FILE"
    )
    if parts.held_out is not None:
        voice.say(f"      pushforward evaluate {quoted}")
    content = {
        "event": "result",
        "run": str(run.folder),
        "seconds": round(outcome.seconds, 3),
        "records": [r.as_dict() for r in outcome.records],
    }
    voice.result(content, str(run.folder))
