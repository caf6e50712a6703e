"""`pushforward fit MODEL SOURCE`: fit a distribution to data, into a run folder.

The flags of a model are made from its settings when it is named; nothing heavy is imported before.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from pushforward.cli import arguments
from pushforward.core.docstrings import drop_full_stop, summary_of
from pushforward.core.errors import InvalidValue, suggest

__all__ = ["application", "arrange", "catalogue", "command_of", "stub"]

TAKES_VALUE = ("--config", "--run", "--set", "--start")
"""Flags of every model whose value may be a model's name."""
ALIASES = {
    "label": ("--label", "--y"),
    "accelerator": ("--accelerator", "--device"),
    "batch": ("--batch", "-b"),
}
HELP = "Fit a distribution: fit MODEL SOURCE. `pushforward fit MODEL --help` lists a model's flags."
AUTO, AUTO_HELP = "auto", "the model that suits a table best, of several that are compared"
EPILOGUE = (
    "Settings: defaults < --config file < environment (PUSHFORWARD_EPOCHS, ...) < flags; all are"
    " stored in run.json."
)
PANELS = ("Model", "Fitting", "Data", "Text tables", "Device", "Run")
"""Headings of help, in order."""


def _group(panel: str) -> Group:
    return Group(panel, sort_key=PANELS.index(panel))


UNSET = arguments.FitOptions()
Options = Annotated[arguments.FitOptions, Parameter(name="*", group=_group("Run"))]
SOURCES = (
    "a folder, glob or zip of images or films; .npy (or a glob of them) .npz .csv .parquet or idx;"
    " or digits, ring, grid, moons, swissroll, moving-shapes, mnist, cifar10"
)
Source = Annotated[str | None, Parameter(help=SOURCES)]


def catalogue() -> Mapping[str, str]:
    """The models by name, with one line each."""
    from pushforward import models  # noqa: F401 - fills the catalogue
    from pushforward.core.registry import offered_models

    return offered_models()


def stub() -> App:
    """`fit` where another command is run."""
    return App(name="fit", help=HELP)


def application(words: Sequence[str]) -> App:
    """`fit`: its sub-commands are the models, of which the one in `words` has its flags."""
    app = App(name="fit", help=HELP, help_epilogue=EPILOGUE)
    named = words[0] if words else ""
    app.command("pushforward.cli.auto:auto", name=AUTO, help=AUTO_HELP, sort_key=-1)
    for place, (name, line) in enumerate(catalogue().items()):
        if name == named:
            usage = f"Usage: pushforward fit {name} [OPTIONS] SOURCE"
            app.command(command_of(name, words), name=name, usage=usage)
        else:
            app.command(App(name=name, help=line, sort_key=place))
    return app


def arrange(words: list[str]) -> list[str]:
    """The words with the model first.

    `fit --epochs 5 vae digits` and `fit --config run.toml` work, too.

    Raises:
        InvalidValue: If no model is named.
    """
    if not words:
        raise InvalidValue(
            "expected a model and a source, got nothing (fit vae digits, say); models:"
            f" {', '.join(catalogue())}"
        )
    if words[0].startswith("-") and words[0] not in ("--help", "-h"):
        words = _model_first(words)
    name = words[0]
    if name == AUTO or name in catalogue() or name.startswith("-"):
        return words
    swapped = next((word for word in words[1:] if word in catalogue()), None)
    near = (
        f"did you mean: pushforward fit {swapped} {name}?"
        if swapped
        else suggest(name, catalogue())
    )
    raise InvalidValue(f"unknown model {name!r}; {near} (`pushforward models` lists them)")


def _model_first(words: list[str]) -> list[str]:
    before = ["", *words]
    places = [
        i for i, word in enumerate(words) if word in catalogue() and before[i] not in TAKES_VALUE
    ]
    # After a flag a name may be its value: `--device cpu vae`, but `--network mlp vae`.
    places.sort(key=lambda i: before[i].startswith("-") and "=" not in before[i])
    if places:
        place = places[0]
        return [words[place], *words[:place], *words[place + 1 :]]
    for word, value in zip(words, [*words[1:], ""]):
        file = value if word == "--config" else word.removeprefix("--config=")
        if word.startswith("--config") and file:
            from pushforward.experiments.configuration import read_settings

            return [str(read_settings(file).get("model", "?")), *words]
    return ["--help"] if "--help" in words or "-h" in words else words


# ------------------------------------------------------------------------------------------ command


def command_of(name: str, words: Sequence[str] = ()) -> Callable[..., int | None]:
    """The command of one model, whose flags are its settings."""
    from pushforward.core.registry import model_class
    from pushforward.experiments.settings import settings_of

    catalogue()
    cls = model_class(name)
    settings = settings_of(cls)
    names = [setting.name for setting in settings]
    single = {setting.name for setting in settings if not (setting.repeats or setting.is_switch)}

    def run(source: Source = None, /, *, options: Options = UNSET, **flags: Any) -> int | None:
        from pushforward.cli.fitting import fit

        given = {name: flags.pop(name) for name in names if flags.get(name) is not None}
        typed = {name: v[-1] if name in single else v for name, v in given.items()}
        line = shlex.join(["pushforward", "fit", *words]).encode("utf-8", "backslashreplace")
        return fit(name, source, settings, typed, options, command=line.decode())

    annotations = {setting.name: _annotation(setting) for setting in settings}
    positional, keyword = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("source", positional, default=None, annotation=Source),
        inspect.Parameter("options", keyword, default=UNSET, annotation=Options),
    ]
    parameters += [
        inspect.Parameter(flag, keyword, default=None, annotation=annotation)
        for flag, annotation in annotations.items()
    ]
    run.__doc__ = summary_of(cls)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _annotation(setting: Any) -> Any:
    """A setting as a flag that takes its text; `Setting.read` makes a value of it."""
    default = f" [default: {setting.shown_default}]" if setting.shown_default else ""
    text = drop_full_stop(setting.help) + default
    if setting.is_switch:
        return Annotated[bool | None, Parameter(help=text, group=_group(setting.panel))]
    names = ALIASES.get(setting.name, (setting.option,))
    parameter = Parameter(
        name=names,
        help=text,
        group=_group(setting.panel),
        metavar=setting.metavar,
        negative="",
        converter=_all_texts,
        n_tokens=1,
    )
    return Annotated[tuple[str, ...] | None, parameter]  # of one given twice the last counts


def _all_texts(kind: Any, tokens: Sequence[Any]) -> tuple[str, ...]:
    return tuple(token.value for token in tokens)
