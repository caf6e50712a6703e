"""`pushforward`: the entry point, which finds the command and turns errors into one line.

Exit codes: 0 done; 2 an error that the user can mend; 130 interrupted; 1 a defect of ours.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cyclopts import App, CycloptsError, Parameter

from pushforward.cli.help import HelpFormatter
from pushforward.cli.usage import explain_usage
from pushforward.core.argument_names import arguments_named, flag
from pushforward.core.errors import (
    InvalidValue,
    PushforwardError,
    is_out_of_memory,
    shorten,
    suggest,
)  # fmt: skip
from pushforward.core.memory_errors import explain_memory_error
from pushforward.core.text_streams import encodable

__all__ = ["COMMANDS", "application", "main", "run"]

COMMANDS = (
    "demo", "fit", "sample", "encode", "reconstruct", "translate", "enlarge", "project", "edit",
    "latent", "density", "assign", "condition", "synthesise", "fill", "odd", "describe", "plot",
    "film", "evaluate", "compare", "resume",
    "recipe", "lecture", "studio", "export", "models", "hacks", "data", "doctor",
)  # fmt: skip
"""In the order of a first session; each is the function of its name in the module of its name."""

WELCOME = """\
pushforward: generative models behind one set of verbs

  pushforward demo                             a VAE on handwritten digits, beside PCA, in a minute
  pushforward data photos/                     what data contains, and its problems
  pushforward fit vae digits --latent 10       fit a distribution; writes runs/vae-digits-1
  pushforward fit pca shots.csv --drop player  tables, arrays, images, clips: samples look alike
  pushforward sample runs/vae-digits-1 -n 64   new observations
  pushforward density runs/pca-shots-1 new.csv how likely each row is, to find outliers
  pushforward condition runs/gmm-shots-1 X=0   the distribution of the other columns, given one
  pushforward assign runs/gmm-shots-1 new.csv  the cluster of every row
  pushforward synthesise table.csv -o copy.csv a table with the same columns, form and relations
  pushforward fill table.csv -o filled.csv     gaps filled from the rest of their row
  pushforward odd table.csv                    odd rows, and which values make them so
  pushforward describe table.csv               groups of rows, in words
  pushforward plot runs/gmm-shots-1            density, clusters, biplot, marginals or codes
  pushforward latent runs/vae-digits-1         what its codes mean: a grid, paths, attributes
  pushforward project runs/vae-digits-1 digits the codes that reconstruct each row best
  pushforward edit runs/vae-digits-1 --drag 3,3:5,3 -o edited.png  an image changed by strokes
  pushforward translate runs/pix2pix-1 a.jpg   images made from images, of any size
  pushforward enlarge runs/srresnet-1 a.jpg    photographs enlarged, of any size
  pushforward evaluate runs/*                  runs side by side, on data none was trained on
  pushforward compare digits runs/vae-digits-1 samples against data: FID, KID, precision, recall
  pushforward resume runs/vae-digits-1         continue after an interruption, bit for bit
  pushforward export runs/vae-digits-1         the model in one web page, or as ONNX
  pushforward recipe curry --file shots.csv    an experiment, images and numbers, from a table
  pushforward lecture                          the figures of a lecture, with their code
  pushforward studio                           a page: watch fits, walk through codes, edit, draw

  pushforward models        lists the models         pushforward COMMAND --help    a command's flags
  pushforward doctor        checks the installation  pushforward fit MODEL --help  a model's flags
"""


def application(words: Sequence[str] = ()) -> App:
    """The command that the first word names, or all; those of `fit` are the models."""
    app = App(
        name="pushforward",
        help="Generative models behind one set of verbs: fit, sample, encode, measure.",
        help_format="plaintext",
        help_formatter=HelpFormatter(),
        help_flags=["--help", "-h"],
        version=_version,
        version_flags=["--version"],
        default_parameter=Parameter(negative_iterable=()),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    app.default(_welcome)
    listed = not words or words[0].startswith("-")
    for place, name in enumerate(COMMANDS):
        if name == "fit" and (listed or name == words[0]):
            fit = import_module("pushforward.cli.fit")
            models = fit.application(words[1:]) if words[:1] == ["fit"] else fit.stub()
            models.sort_key = place
            app.command(models)
        elif listed or name == words[0]:
            command = getattr(import_module(f"pushforward.cli.{name}"), name)
            app.command(command, name=name, sort_key=place, usage=_usage(name, command))
    return app


def _welcome(
    *,
    imports: Annotated[
        tuple[str, ...],
        Parameter(name="--import", negative=""),
    ] = (),
    debug: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Generative models behind one set of verbs: fit, sample, encode, measure.

    Args:
        imports: import a file (or module) of yours first: its models, readers and metrics can then
            be used by name; may follow any command.
        debug: show tracebacks (or set PUSHFORWARD_DEBUG=1); may follow any command.
    """
    sys.stdout.write(WELCOME)


def _usage(name: str, command: Callable[..., Any]) -> str:
    """The line of usage: cyclopts would put all arguments together once more to find it."""
    places = inspect.signature(command).parameters.values()
    hints = get_type_hints(command, include_extras=True)
    positional = [_place(p, hints[p.name]) for p in places if p.kind is p.POSITIONAL_ONLY]
    return " ".join(["Usage: pushforward", name, "[OPTIONS]", *positional])


def _place(place: inspect.Parameter, hint: Any) -> str:
    """A positional argument in a line of usage: brackets if it may be left out, dots if it may be
    repeated.
    """
    given = [m.name for m in getattr(hint, "__metadata__", ()) if isinstance(m, Parameter)]
    named = next((name for name in given if name), None) or place.name.upper()
    text = named if isinstance(named, str) else next(iter(named))
    kind = get_origin(get_args(hint)[0] if given else hint)
    text += "..." if kind is tuple else ""
    return text if place.default is place.empty else f"[{text}]"


def _version() -> str:
    from pushforward import __version__

    return f"pushforward {__version__}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or os.environ.get("PUSHFORWARD_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    with encodable(), arguments_named(flag), warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)  # whatever filters a user has set: each once
        warnings.showwarning = _print_warning  # type: ignore[assignment]
        return _run(words, debug)


def run() -> None:
    """The command line of this process, which ends with it: Python itself would wait for threads in
    the midst of a computation, such as a fit that is watched in the studio.
    """
    code = main()
    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(words: list[str], debug: bool) -> int:
    try:
        words = _import_first(words)
        if words[:1] == ["help"]:
            words = [*words[1:], "--help"]
        _check_command(words)
        if words[:1] == ["fit"]:
            words = ["fit", *import_module("pushforward.cli.fit").arrange(words[1:])]
        app = application(words)
        if words[-1:] == ["--help"] and len(words) == (3 if words[0] == "fit" else 2):
            app.help_print(words[:-1])  # parsing first would double the time of `fit MODEL --help`
            return 0
        code = app(words, exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # a reader that has seen enough (`| head`) is not an error
        _discard_stdout()
        return 0
    except KeyboardInterrupt:
        return _end("interrupted", 130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error, debug)


def _import_first(words: list[str]) -> list[str]:
    """The command line without `--import FILE`, wherever it stands, after importing each file."""
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        name = ""
        if word == "--import" or word.startswith("--import="):
            name = word[9:] or next(remaining, "")
            if not name:
                raise InvalidValue("--import needs a file or a module; write --import mine.py")
            import_module("pushforward.core.plugins").import_code(name)
        else:
            rest.append(word)
        if word == "--":
            return [*rest, *remaining]
    return rest


def _check_command(words: Sequence[str]) -> None:
    """InvalidValue for a first word that is no command: with the nearest one, or for a model with
    the command that fits it."""
    if words and words[0] not in COMMANDS and not words[0].startswith("-"):
        import_module("pushforward.models")
        models = import_module("pushforward.core.registry").catalogue
        name = words[0]
        hint = f" ({name} is a model: pushforward fit {name} SOURCE)" if name in models else ""
        raise InvalidValue(f"unknown command {name!r}; {suggest(name, COMMANDS)}{hint}")


# ------------------------------------------------------------------------------------------- errors


def _print_warning(message: Warning | str, *where: Any) -> None:
    """A warning from within as one line, without the place in the code."""
    _print(f"warning: {shorten(' '.join(str(message).split()))}", "yellow")


def _explain(error: Exception, debug: bool) -> int:
    """Print one line about an error, with at most 200 characters of any value, and return its exit
    code."""
    if isinstance(error, CycloptsError):
        return _end(f"error: {shorten(explain_usage(error))}", 2)
    if isinstance(error, PushforwardError):
        return _end(f"error: {' '.join(str(error).split())}", 2)
    if is_out_of_memory(error):
        return _end(f"error: {explain_memory_error(error)}", 2)
    if isinstance(error, OSError) and error.strerror:
        where = f"{shorten(str(error.filename))}: " if error.filename else ""
        return _end(
            f"error: {where}{error.strerror}; existing files were not changed; fix this and retry",
            2,
        )
    if isinstance(error, OverflowError) or "verflow" in str(error).partition("\n")[0]:
        return _end("error: a number is too large for this machine; pass a smaller one", 2)
    where = import_module("pushforward.core.plugins").imported_line(error)
    if where:
        return _end(
            f"error: {where}: {type(error).__name__}: {shorten(str(error))}; fix the file and try"
            f" again. {_keep_traceback(error)}",
            2,
        )
    if debug:
        return 1
    return _end(
        f"internal error: {type(error).__name__}: {error}\nThis is a defect of pushforward, not"
        f" yours. {_keep_traceback(error)}",
        1,
    )


def _keep_traceback(error: Exception) -> str:
    """Keep the traceback in a file, and say where."""
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="pushforward-", suffix=".traceback", delete=False
        ) as file:
            file.write("".join(traceback.format_exception(error)))
        return f"The traceback is in {file.name}; --debug shows it."
    except OSError:
        return "Run it again with --debug to see the traceback."


def _end(message: str, code: int) -> int:
    style = "bold red" if message.startswith(("error", "internal")) else None
    _print(message, style, always=code == 1)
    return code


def _print(message: str, style: str | None, always: bool = False) -> None:
    """A line on stderr, by the first of several processes."""
    try:
        from pushforward.cli.console import first_process, stderr

        if first_process() or always:
            stderr().print(message, style=style, markup=False)
    except OSError:
        pass


def _discard_stdout() -> None:
    """What is still buffered goes nowhere, as nobody reads it."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    sys.exit(main())
