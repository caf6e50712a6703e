"""`pushforward demo`: the first minutes, as a page of pictures."""

from __future__ import annotations

import shlex
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice, print_table, stderr
from pushforward.core.installation import program_name

if TYPE_CHECKING:
    from pushforward.recipes.first_look_page import Exhibit
    from pushforward.recipes.handwriting import Handwriting

__all__ = ["demo"]

USUAL = 300
"""Epochs at which all budgets are the usual ones."""


def demo(
    *,
    run: str | None = None,
    seed: arguments.Seed = 0,
    epochs: arguments.Whole = USUAL,
    open: Annotated[bool, Parameter(negative="")] = False,
    quiet: arguments.Quiet = False,
    json: arguments.JsonRecords = False,
) -> None:
    """Fit small models to digits, a ring and shots on a court: a page of pictures and numbers.

    Args:
        run: folder to write to; runs/demo-N if not given.
        epochs: of the VAE that is measured; the other fits get longer and shorter with it.
        open: show the page in the browser.
        json: the records as JSON on stdout, one a line.
    """
    from pushforward.core.storage import write_text
    from pushforward.plots.style import mpl
    from pushforward.recipes.digits import COLUMNS, table
    from pushforward.recipes.first_look_page import first_look_page

    mpl()  # raises before anything is fitted
    voice = Voice(quiet, json)
    study = _digits(voice, run, seed, epochs)
    if json:
        for row in study.records.values():
            for record in row.values():
                voice.result(record.as_dict())
    shown, seconds = _pictures(voice, study.folder, seed, epochs)
    example = next(record for row in study.records.values() for record in row.values())
    note = (
        f"{example.n} digits that no model was trained on, the same noise for all; nats and"
        " squared levels per digit, ± standard error. The first column is exact; the next two are"
        " lower bounds on the same quantity, the second the tighter one."
    )
    rows, commands = table(study.records), _next_commands(study.folder / "vae")
    if not json:
        voice.say(f"\n{note}")
        print_table(("model", *COLUMNS), rows)
    text = first_look_page(shown, ("model", *COLUMNS), rows, commands, note=note)
    page = study.folder / "index.html"
    write_text(page, text)
    voice.say(f"Fitted and drawn in {study.seconds + seconds:.0f} s. All of it on one page:")
    voice.say(f"  {page}")
    if open:
        webbrowser.open(page.resolve().as_uri())
    voice.say("\nNext:")
    for command in commands:
        stderr().print(f"  {command}", markup=False, soft_wrap=True) if not voice.quiet else None


def _digits(voice: Voice, run: str | None, seed: int, epochs: int) -> Handwriting:
    """The models of digits that are measured side by side."""
    from pushforward.recipes.handwriting import run as fit_and_measure

    voice.say(
        "1,797 handwritten digits of 8x8 pixels, levels 0..16; a fifth is set aside and never"
        " trained on\n"
    )

    def follow(name: str, experiment: Any) -> Any:
        voice.say(f"[{name}] {experiment.command}")
        return _follow(voice, experiment)

    return fit_and_measure(run, seed=seed, epochs=epochs, progress=follow)


def _pictures(voice: Voice, folder: Path, seed: int, epochs: int) -> tuple[list[Exhibit], float]:
    """The pictures of the page, and the seconds that they took."""
    from pushforward.cli.progress import several_displayed
    from pushforward.recipes.first_look import Context, exhibits

    shown, total = [], 0.0
    voice.say("\nPictures:")
    with several_displayed(Voice(quiet=voice.quiet or voice.as_json)):
        for exhibit, seconds in exhibits(Context(folder, epochs / USUAL, seed)):
            voice.say(f"  {exhibit.title}: {exhibit.image}")
            shown.append(exhibit)
            total += seconds
    return shown, total


@contextmanager
def _follow(voice: Voice, experiment: Any) -> Iterator[Any]:
    """The listener that prints how a fit goes."""
    from pushforward.cli.progress import display
    from pushforward.core.errors import Interrupted

    is_short = not hasattr(experiment.model, "phases")
    try:
        with display(Voice(quiet=voice.quiet or voice.as_json or is_short)) as shown:
            yield shown
    except Interrupted:
        folder = shlex.split(experiment.command)[-1]
        voice.warn(f"all is saved; continue with: pushforward resume {shlex.quote(folder)}")
        raise


def _next_commands(run: Path) -> list[str]:
    """Three commands that work when pasted here, with the path of this installation."""
    program, where = program_name(), shlex.quote(str(run))
    lines = [
        f"{program} sample {where} -n 100 --using mean --out new-digits.png",
        f"{program} resume {where} --epochs +100",
    ]
    if find_spec("uvicorn"):
        return [*lines, f"{program} studio {shlex.quote(str(run.parent))}"]
    return [*lines, f"{program} density {where} digits --out how-likely.csv"]
