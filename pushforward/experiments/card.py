"""The model card: README.md of a run folder, generated from the run itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pushforward.core.capabilities import capabilities
from pushforward.core.folders import is_card, write_text
from pushforward.core.model import Model
from pushforward.core.records import Record
from pushforward.core.storage import find_versions
from pushforward.experiments.opened import OpenedRun, Parts
from pushforward.experiments.uses import usual_commands

__all__ = ["write_card"]


def write_card(run: OpenedRun, folder: Path, parts: Parts, records: Sequence[Record]) -> None:
    """Write README.md: the model, its data, quality and use.

    A README.md of the user's is not replaced.
    """
    path = run.folder / "README.md"
    if is_card(path) or not path.exists():
        write_text(path, card(run, folder, parts, records))


def card(run: OpenedRun, folder: Path, parts: Parts, records: Sequence[Record]) -> str:
    """The text of the card."""
    model, provenance = run.model, run.provenance
    command = "" if run.manifest is None else run.manifest.command
    source = f"`{provenance.source}`" if provenance.source else "in memory"
    held = "" if parts.held_out is None else f"; {len(parts.held_out):,} held out"
    held += f" (split seed {provenance.split_seed})" if provenance.held_out is not None else ""
    number = sum(p.numel() for p in model.parameters())
    lines = [
        f"# {folder.name}",
        "",
        f"A `{run.name}` fitted with pushforward.",
        "",
        f"* **model** `{_bare(model)}`" + (f", {number:,} parameters" if number else ""),
        f"* **data** {source}: {model.fitted_space()}; {len(parts.train):,} training rows{held}",
        *(
            [f"* **conditions** {model.condition_space}"]
            if model.condition_space is not None
            else []
        ),
        f"* **made by** {f'`{command}`' if command else 'Python'}",
        f"* **versions** {', '.join(f'{k} {v}' for k, v in find_versions().items())}",
        f"* **can** {', '.join(capabilities(model))}",
        "",
    ]
    lines += _numbers(records)
    lines += _images(run.folder)
    return "\n".join([*lines, *_use(folder, model)]) + "\n"


def _bare(model: Model) -> str:
    return repr(model).partition(" on ")[0]


def _numbers(records: Sequence[Record]) -> list[str]:
    if not records:
        return []
    rows = [
        "## On held-out rows",
        "",
        "| quantity | value | standard error | unit | measure | kind | rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in records:
        error = f"{r.error:.3g}" if math.isfinite(r.error) else ""
        rows.append(
            f"| {r.quantity} | {r.value:.6g} | {error} | {r.unit} | {r.measure} | {r.bound} |"
            f" {r.n} |"
        )
    return [*rows, "", f"Measured on {records[0].data}.", ""]


def _images(folder: Path) -> list[str]:
    images = sorted((folder / "images").glob("[!.]*.png"))
    return (
        ["## Images", "", *(f"![{p.stem}](images/{p.name})" for p in images), ""] if images else []
    )


def _use(folder: Path, model: Model) -> list[str]:
    shell = [f"pushforward {command}" for command in usual_commands(model, folder)]
    python = ["import pushforward as pf", f"model = pf.load({str(folder)!r})"]
    abilities = capabilities(model)
    if "Translates" in abilities:
        python.append("x = model.translate(y)  # images y (n, c, h, w) of any size")
    elif "Samples" in abilities and model.condition_space is None:
        python.append("x = model.sample(64, rng=0)")
    return ["## Use", "", "```sh", *shell, "```", "", "```python", *python, "```"]
