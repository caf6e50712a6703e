"""`pushforward demo`: the first minutes, on real handwriting."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pushforward.cli import arguments
from pushforward.cli.console import Voice, print_table, stderr
from pushforward.core.installation import program_name

__all__ = ["demo"]


def demo(
    *,
    run: str | None = None,
    seed: arguments.Seed = 0,
    epochs: arguments.Whole = 300,
    quiet: arguments.Quiet = False,
    json: arguments.JsonRecords = False,
) -> None:
    """Fit a VAE to 1,797 handwritten digits, beside PCA on the same rows: numbers and images.

    Args:
        run: folder to write to; runs/demo-N if not given.
        epochs: of the VAE.
        json: the records as JSON on stdout, one a line.
    """
    from pushforward.recipes.digits import COLUMNS, table
    from pushforward.recipes.handwriting import run as fit_and_measure

    voice = Voice(quiet, json)
    voice.say(
        "1,797 handwritten digits of 8x8 pixels, levels 0..16; a fifth is set aside and never"
        " trained on\n"
    )

    def follow(name: str, experiment: Any) -> Any:
        voice.say(f"[{name}] {experiment.command}")
        return _follow(voice, experiment)

    study = fit_and_measure(run, seed=seed, epochs=epochs, progress=follow)
    if json:
        for row in study.records.values():
            for record in row.values():
                voice.result(record.as_dict())
        return
    example = next(record for row in study.records.values() for record in row.values())
    voice.say(
        f"\nOn {example.n} digits that no model was trained on, the same noise for all; nats and"
        " squared levels per digit, ± standard error:"
    )
    print_table(("model", *COLUMNS), table(study.records))
    voice.say(
        "The first column is exact; the next two are lower bounds on the same quantity, the second"
        " the tighter one.\n"
    )
    voice.say(f"Fitted in {study.seconds:.0f} s. Images:")
    for image in study.images:
        voice.say(f"  {image}")
    _what_next(voice, study.folder / "vae")


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


def _what_next(voice: Voice, run: Path) -> None:
    """Commands that work when pasted here, with the path of this installation."""
    program = program_name()
    where = shlex.quote(str(run))
    voice.say("\nNext:")
    lines = [
        f"{program} sample {where} -n 100 --out new-digits.png",
        f"{program} density {where} digits --out how-likely.csv",
        f"{program} resume {where} --epochs +100",
    ]
    if find_spec("uvicorn"):
        lines.append(f"{program} studio {shlex.quote(str(run.parent))}")
    for line in lines:
        stderr().print(f"  {line}", markup=False) if not voice.quiet else None
