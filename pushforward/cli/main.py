"""`pushforward`: the entry point, which finds commands,
and turns errors into one clear line and an exit code.

Exit codes: 0 done; 2 something the user can put right; 130 interrupted; 1 a defect of ours.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from pushforward.cli.help import SETTINGS, Group
from pushforward.cli.memory import lack_of_memory
from pushforward.cli.streams import encodable
from pushforward.core.errors import PushforwardError, is_out_of_memory, shorten, suggest

__all__ = ["main", "COMMANDS"]

COMMANDS = (
    "demo",
    "fit",
    "sample",
    "encode",
    "reconstruct",
    "project",
    "latent",
    "density",
    "assign",
    "condition",
    "plot",
    "film",
    "evaluate",
    "compare",
    "resume",
    "recipe",
    "models",
    "hacks",
    "data",
    "doctor",
)
_UsageError: Any = typer.BadParameter.__mro__[1]
_ClickException: Any = _UsageError.__mro__[1]

WELCOME = """\
pushforward: generative models behind one set of verbs

  pushforward demo                        a VAE on handwritten digits, beside PCA, in under a minute
  pushforward data photos/            what is in a folder, table or array, and what is wrong with it
  pushforward fit vae digits --latent 10           learn a distribution; writes runs/vae-digits-1
  pushforward fit pca shots.csv --drop player
      tables, arrays, images, clips: what goes in comes out
  pushforward sample runs/vae-digits-1 -n 64       draw from it
  pushforward density runs/pca-shots-1 new.csv     how likely is every row: find the odd ones out
  pushforward condition runs/gmm-shots-1 LOC_X=0   the distribution of the other columns, given some
  pushforward assign runs/gmm-shots-1 new.csv      the cluster of every row
  pushforward plot runs/gmm-shots-1    an image: density, clusters, biplot, marginals, codes
  pushforward latent runs/vae-digits-1
      what its codes mean: a grid, each dimension, paths, attributes
  pushforward project runs/vae-digits-1 digits
      the codes that restore each row best, by optimisation
  pushforward evaluate runs/*                      runs side by side, on data none of them has seen
  pushforward compare digits runs/vae-digits-1
      samples against data: FID, KID, precision, recall, modes
  pushforward resume runs/vae-digits-1             go on after an interruption, to the bit
  pushforward recipe curry --file shots.csv   an experiment, images and numbers, from a public table

  pushforward models        the models        pushforward COMMAND --help      the flags of a command
  pushforward doctor      is all in order?      pushforward fit MODEL --help    the flags of a model
"""


class Root(Group):
    """Finds each command in the file of its name, when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of a first session."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a file; None for a name that is not one."""
        return (
            import_module(f"pushforward.cli.{cmd_name}").command() if cmd_name in COMMANDS else None
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command named first; a near name is suggested for one that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = ""
            if args[0] in _models():
                hint = f" ({args[0]} is a model: pushforward fit {args[0]} SOURCE)"
            raise _UsageError(
                f"unknown command {args[0]!r}; {suggest(args[0], COMMANDS)}{hint}", ctx
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """A reader that has seen enough (`| head`) is not an error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _drop_stdout()
            raise typer.Exit(0) from None


def _models() -> list[str]:
    import_module("pushforward.models")
    return list(import_module("pushforward.core.registry").catalogue)


def _version(asked: bool) -> None:
    if asked:
        from pushforward import __version__

        sys.stdout.write(f"pushforward {__version__}\n")
        raise typer.Exit


app = typer.Typer(
    cls=Root,
    add_completion=True,
    invoke_without_command=True,
    no_args_is_help=False,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)


@app.callback()
def root(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
    imports: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="FILE.py",
            help="Import a file of yours first: its models, readers and metrics can then be named.",
        ),
    ] = None,
    debug: bool = typer.Option(
        False, "--debug", help="Show tracebacks (or set PUSHFORWARD_DEBUG=1)."
    ),
) -> None:
    """Generative models behind one set of verbs: fit, sample, encode, measure."""
    if context.invoked_subcommand is None:
        sys.stdout.write(WELCOME)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or os.environ.get("PUSHFORWARD_DEBUG", "") not in ("", "0")
    given = [a for a in given if a != "--debug"]
    with encodable(), warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)  # whatever filters a user has set: each once
        warnings.showwarning = _warn  # type: ignore[assignment]
        return _run(given, debug)


def _run(given: list[str], debug: bool) -> int:
    try:
        given = _after_imports(given)
        code = typer.main.get_command(app).main(
            args=given, prog_name="pushforward", standalone_mode=False, obj=_typed(given)
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        _drop_stdout()
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _end("interrupted", 130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error, debug)


def _after_imports(given: list[str]) -> list[str]:
    """The command line without `--import FILE`, wherever it stands, after importing each file."""
    rest: list[str] = []
    words = iter(given)
    for word in words:
        name = (
            next(words, None)
            if word == "--import"
            else word[9:]
            if word.startswith("--import=")
            else ""
        )
        if name is None:
            raise _UsageError("option --import requires a file or a module")
        if name:
            import_module("pushforward.core.plugins").import_code(name)
        else:
            rest.append(word)
        if word == "--":
            return [*rest, *words]
    return rest


def _warn(message: Warning | str, *where: Any) -> None:
    """A warning from within as one line, without the place in the code."""
    _say(f"warning: {shorten(' '.join(str(message).split()))}", "yellow")


def _explain(error: Exception, debug: bool) -> int:
    """One line for an error, which repeats no more than 200 characters of anything,
    and its exit code.
    """
    if isinstance(error, PushforwardError):
        return _end(f"error: {' '.join(str(error).split())}", 2)
    if isinstance(error, _ClickException):
        return _end(f"error: {shorten(' '.join(_usage(error).split()))}", 2)
    if is_out_of_memory(error):
        return _end(f"error: {lack_of_memory(error)}", 2)
    if isinstance(error, OSError) and error.strerror:
        where = f"{shorten(str(error.filename))}: " if error.filename else ""
        return _end(
            f"error: {where}{error.strerror}; nothing that was there before is lost: put this right"
            " and try again",
            2,
        )
    if isinstance(error, OverflowError) or "verflow" in str(error).partition("\n")[0]:
        return _end(
            "error: a number given is larger than this machine can count; pass a smaller one", 2
        )
    if debug:
        return 1
    return _end(
        f"internal error: {type(error).__name__}: {error}\nThis is a defect of pushforward, not"
        f" yours. {_keep(error)}",
        1,
    )


def _usage(error: Any) -> str:
    """A usage error as one line, with the nearest flag and where to read on."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "pushforward"
    unknown = getattr(error, "option_name", "")
    if type(error).__name__ == "NoSuchOption" and context is not None:
        known = [
            o
            for p in context.command.params
            for o in (*p.opts, *p.secondary_opts)
            if o.startswith("--")
        ]
        near = suggest(unknown, known)
        near = near if near.startswith("did") else f"{path} --help lists its flags"
        return f"{path} has no flag {unknown}; {near.replace(chr(39), '')}"
    message = error.format_message().rstrip(".")
    return message if message.startswith("unknown") else f"{path}: {message}; see: {path} --help"


def _typed(given: Sequence[str]) -> str:
    """The command as it can be pasted; every context has it as `obj`."""
    return shlex.join(["pushforward", *given]).encode("utf-8", "backslashreplace").decode()


def _keep(error: Exception) -> str:
    """Keep the traceback in a file, and say where."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="pushforward-", suffix=".traceback", delete=False
        ) as file:
            file.write("".join(traceback.format_exception(error)))
        return f"The traceback is in {file.name}; --debug shows it."
    except OSError:
        return "Run it again with --debug to see the traceback."


def _end(message: str, code: int) -> int:
    _say(
        message, "bold red" if message.startswith(("error", "internal")) else None, always=code == 1
    )
    return code


def _say(message: str, style: str | None, always: bool = False) -> None:
    """A line on stderr, of the first of several processes."""
    try:
        from pushforward.cli.console import first_process, stderr

        if first_process() or always:
            stderr().print(message, style=style, markup=False)
    except OSError:
        pass


def _drop_stdout() -> None:
    """Nobody reads any more: what is still buffered goes nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    sys.exit(main())
