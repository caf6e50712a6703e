"""`pushforward demo`: the first minutes, on real handwriting.

It says nothing that the other commands could not: three fits,
an evaluation and images, on one split with one noise.
"""

from __future__ import annotations

import json as encoding
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice, stderr, stdout
from pushforward.cli.help import single

__all__ = ["command", "MODELS"]

_LEARNT = {
    "hidden": "256", "likelihood": "gaussian(per_dimension=True)", "epochs": "300", "batch": "64",
    "optimizer": ["adam(rate=0.003)"], "schedule": ["cosine"], "keep_best": True,
}  # fmt: skip
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "pca-16": ("pca", {"components": "16"}),
    "pca": ("pca", {"components": "heldout"}),
    "vae-2": ("vae", {"latent": "2", **_LEARNT, "epochs": "150"}),
    "vae": ("vae", {"latent": "16", **_LEARNT}),
}
"""Run name -> model and settings: a code as short as the VAE's,
the most likely PCA, a VAE one can draw whole, and the VAE.
"""


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
    import torch

    from pushforward.core.storage import create_folder, write_text

    # matrices this small gain little from a second thread, and on a busy machine lose everything
    torch.set_num_threads(1)
    voice = Voice(quiet, json)
    folder = create_folder(run) if run else create_folder(_free())
    voice.say(
        "1,797 handwritten digits of 8x8 pixels, levels 0..16; a fifth is set aside and never"
        " learnt from\n"
    )
    began = time.monotonic()
    for name, (model, settings) in MODELS.items():
        own = {**settings, "seed": str(seed)} if model == "vae" else dict(settings)
        if "epochs" in own:
            own["epochs"] = str(min(epochs, int(own["epochs"])) if name != "vae" else epochs)
        _fit(voice, name, model, {**own, "split_seed": str(seed)}, folder / name)
    fitted = time.monotonic() - began
    found, images = _measure_and_draw(folder)
    content = {
        name: {column: record.as_dict() for column, record in row.items()}
        for name, row in found.items()
    }
    write_text(
        folder / "records.json",
        encoding.dumps({"seconds": round(fitted, 1), "records": content}, indent=1) + "\n",
    )
    if json:
        for row in content.values():
            for record in row.values():
                voice.result(record)
        return
    _show(voice, found)
    voice.say(f"Fitted in {fitted:.0f} s. Images:")
    for image in images:
        voice.say(f"  {image}")
    _what_next(voice, folder / "vae")


def command() -> Any:
    """The command."""
    return single(demo, "demo")


def _fit(voice: Voice, name: str, model: str, settings: Mapping[str, Any], folder: Path) -> None:
    """Exactly what `pushforward fit` would do with these flags."""
    from pushforward.cli.fit import catalogue, fit
    from pushforward.cli.flags import flags_of
    from pushforward.core.registry import model_class

    catalogue()
    typed = [part for key, value in settings.items() for part in _typed(key, value)]
    line = shlex.join(["pushforward", "fit", model, "digits", *typed, "--run", str(folder)])
    voice.say(f"[{name}] {line}")
    own = {k: v for k, v in settings.items() if not (k in ("seed",) and model == "pca")}
    fit(
        model,
        "digits",
        flags_of(model_class(model)),
        own,
        command=line,
        run=str(folder),
        quiet=voice.quiet or model == "pca",
    )


def _typed(key: str, value: Any) -> list[str]:
    flag = "--" + key.replace("_", "-")
    if value is True:
        return [flag]
    return [flag, value[0] if isinstance(value, list) else str(value)]


def _measure_and_draw(folder: Path) -> tuple[dict[str, dict[str, Any]], list[Path]]:
    """Records on the rows set aside, dequantised alike for all, and the four images."""
    from pushforward.experiments.measure import described
    from pushforward.metrics.preparation import prepared
    from pushforward.recipes import digits

    opened = {name: runs.open_run(folder / name) for name in MODELS}
    run = opened["vae"]
    parts = run.parts()
    assert parts.held_out is not None
    test = prepared(run.model, parts.held_out).x
    shown = {_name(name, r.model): r.model for name, r in opened.items()}
    found = digits.measure(shown, test, data=described(parts.held_out))
    plain = runs.rows_of(parts.held_out).x
    images = digits.draw(
        shown, runs.rows_of(parts.train).x, plain, run.model.space, folder / "images"
    )
    return found, images


def _name(name: str, model: Any) -> str:
    return (
        f"VAE, {model.latent} codes"
        if name.startswith("vae")
        else f"PCA, {len(model.components_)} codes"
    )


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


def _free() -> Path:
    n = 1
    while (folder := Path("runs") / f"demo-{n}").exists():
        n += 1
    return folder
