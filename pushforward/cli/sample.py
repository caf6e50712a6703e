"""`pushforward sample RUN`: draws from a fitted model, in the form its data came in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, deliver
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import InvalidValue, suggestion

__all__ = ["command", "conditions"]


def sample(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    n: Annotated[
        int | None,
        typer.Option(
            "-n", "--n", help="how many (64, or one for each condition)", show_default=False
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", help="conditions: a label or several (3 or cat,dog), or a file of them"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="the same seed draws the same samples")] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help=(
                "where to: .png (a grid) or a folder/ for images, .csv .parquet .npz .npy; stdout"
                " for points"
            ),
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="the samples, or where they are, as JSON")
    ] = False,
) -> None:
    """Draw new observations from a fitted model, in the form its data came in."""
    opened = runs.open_run(run, device)
    model = opened.model
    opened.need("has no samples", "Samples")
    if n is not None and n < 1:
        raise InvalidValue(f"-n must be at least 1, got {n}; pass -n 64, say")
    check_out(out, model.fitted_space())
    given, n = conditions(model, y, n)
    x = model.sample(
        n, y=None if given is None else model.condition_space.as_given(given), rng=seed
    )
    beside = (
        {} if given is None else {"y": _spread(given, n), "condition_space": model.condition_space}
    )
    default = opened.folder / "images" / f"samples-seed{seed}-n{n}{_slug(y)}"
    deliver(
        Voice(quiet, json), x, model.fitted_space(), out, default, what=f"{n} samples", **beside
    )


def command() -> Any:
    """The command."""
    return single(tabular(sample), "sample")


def conditions(model: Any, text: str | None, n: int | None) -> tuple[Any, int]:
    """Conditions (labels as codes), and how many samples: labels by name, or the rows of a file."""
    space = model.condition_space
    if text is None or space is None:
        if text is None and space is not None:
            some = ", ".join(space.columns[0].categories[:10]) if space.is_label else str(space)
            raise InvalidValue(
                f"the model was fitted with conditions; pass --y with one of: {some}"
            )
        if text is not None:
            raise InvalidValue("the model was fitted without conditions; leave --y out")
        return None, n or 64
    import torch

    if not space.is_label and not Path(text).exists():
        numbers = _numbers(text, space)
        return numbers, n or 64
    rows = (
        _labels(text, space)
        if space.is_label and not Path(text).is_file()
        else _from_file(text, space)
    )
    n = n or (len(rows) if len(rows) > 1 else 64)
    return (rows if len(rows) in (1, n) else rows[torch.arange(n) % len(rows)]), n


def _labels(text: str, space: Any) -> Any:
    """Codes of labels given by name."""
    import torch

    names = space.columns[0].categories
    codes = []
    for part in (p.strip() for p in text.split(",")):
        if part not in names:
            raise InvalidValue(
                f"--y {part!r} is none of the labels of this model; {suggestion(part, names)}"
            )
        codes.append(names.index(part))
    return torch.tensor(codes)


def _numbers(text: str, space: Any) -> Any:
    import torch

    try:
        values = [float(p) for p in text.split(",")]
    except ValueError as error:
        raise InvalidValue(
            f"--y {text!r} is neither a file nor numbers; expected {space}"
        ) from error
    return space.conform(torch.tensor([values]), what="--y")


def _from_file(text: str, space: Any) -> Any:
    from pushforward.data import read

    source = read(text, like=space, label=False, **runs.table_settings(text, table=typed()))
    return space.conform(runs.rows_of(source, len(source)).x, what="--y")


def _spread(y: Any, n: int) -> Any:
    return y.expand(n, *y.shape[1:]) if len(y) == 1 else y


def _slug(y: str | None) -> str:
    import re

    return "" if y is None else "-y" + re.sub(r"\W+", "-", Path(y).name)[:40]
