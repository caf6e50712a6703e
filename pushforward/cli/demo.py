"""`pushforward demo`: the first minutes, on real handwriting."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.console import Voice, stderr, stdout
from pushforward.cli.help import single

if TYPE_CHECKING:
    from pushforward.core.events import Listener
    from pushforward.experiments import Experiment

__all__ = ["command"]


def demo(
    run: Annotated[
        str | None, typer.Option("--run", help="folder to write to; runs/demo-N if not given")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="of everything random")] = 0,
    epochs: Annotated[int, typer.Option("--epochs", help="of the VAE")] = 300,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="say nothing but warnings and errors")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="the records as JSON on stdout, one a line")
    ] = False,
) -> None:
    """Fit a VAE to 1,797 handwritten digits, beside PCA on the same rows,
    and leave numbers and images.
    """
    from pushforward.recipes.handwriting import run as fit_and_measure

    voice = Voice(quiet, json)
    voice.say(
        "1,797 handwritten digits of 8x8 pixels, levels 0..16; a fifth is set aside and never"
        " learnt from\n"
    )
    study = fit_and_measure(run, seed=seed, epochs=epochs, progress=_progress(voice))
    if json:
        for row in study.records.values():
            for record in row.values():
                voice.result(record.as_dict())
        return
    _show(voice, study.records)
    voice.say(f"Fitted in {study.seconds:.0f} s. Images:")
    for image in study.images:
        voice.say(f"  {image}")
    _what_next(voice, study.folder / "vae")


def command() -> Any:
    """The command."""
    return single(demo, "demo")


def _progress(voice: Voice) -> Callable[[str, Experiment], AbstractContextManager[Listener]]:
    """What is said while models are fitted."""

    @contextmanager
    def follow(name: str, experiment: Experiment) -> Iterator[Listener]:
        from pushforward.cli.progress import display
        from pushforward.core.errors import Interrupted

        voice.say(f"[{name}] {experiment.command}")
        at_once = not hasattr(experiment.model, "phases")
        try:
            with display(Voice(quiet=voice.quiet or voice.as_json or at_once)) as shown:
                yield shown
        except Interrupted:
            folder = shlex.split(experiment.command)[-1]
            voice.warn(f"all is saved; continue with: pushforward resume {shlex.quote(folder)}")
            raise

    return follow


def _show(voice: Voice, found: Mapping[str, Mapping[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    from pushforward.recipes.digits import COLUMNS, table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("model", no_wrap=True)
    for column in COLUMNS:
        shown.add_column(column, justify="right")
    for row in table(found):
        shown.add_row(*row)
    example = next(r for row in found.values() for r in row.values())
    voice.say(
        f"\nOn {example.n} digits no model has seen, the same noise for all; nats and squared"
        " levels per digit, ± standard error:"
    )
    stdout().print(shown)
    voice.say(
        "The first column is exact; the next two are lower bounds on the same thing, the second the"
        " tighter one.\n"
    )


def _what_next(voice: Voice, run: Path) -> None:
    """Three commands that work when pasted here, with the path of this installation."""
    program = _program()
    where = shlex.quote(str(run))
    voice.say("\nNext:")
    for line in (
        f"{program} sample {where} -n 100 --out new-digits.png",
        f"{program} density {where} digits --out how-likely.csv",
        f"{program} resume {where} --epochs +100",
    ):
        stderr().print(f"  {line}", markup=False) if not voice.quiet else None


def _program() -> str:
    """How this program is called from here."""
    beside = Path(sys.executable).parent / "pushforward"
    if not beside.exists() or shutil.which("pushforward") == str(beside):
        return "pushforward"
    relative = os.path.relpath(beside)
    return shlex.quote(relative if len(relative) < len(str(beside)) else str(beside))
