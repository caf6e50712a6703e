"""`pushforward latent RUN`: what a model's codes mean, as an image and a table of codes: grids,
traversals, paths, directions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import heading
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, PushforwardError, suggestion

__all__ = ["command", "KINDS"]

KINDS = ("grid", "traverse", "path", "direction")
ROWS = 10_000
STEPS = {"grid": 20, "traverse": 9, "path": 11, "direction": 9}
ROLLED = 16
"""Draws of the prior over which the dimensions of a traversal are ranked."""


class Asked(NamedTuple):
    """What was asked for, read."""

    kind: str
    steps: int
    reach: float | None
    dims: list[int] | None
    rows: list[int] | None
    along: str
    chosen: str | None
    y: Any
    told: bool
    seed: int
    title: str


class Shown(NamedTuple):
    """An image, its codes by column, and what is to be said."""

    figure: Any
    codes: dict[str, list[Any]]
    facts: dict[str, Any]
    said: str


def latent(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", help=f"{', '.join(KINDS)}; a grid for codes of 1 or 2 numbers, else traverse"
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help=(
                ".png, .svg or .pdf, the codes beside it as .csv; in the run's images/ if not given"
            ),
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="codes along each line", show_default="by kind")
    ] = None,
    reach: Annotated[
        float | None,
        typer.Option(
            "--reach",
            help="standard deviations either way; a grid takes equal steps of mass if not given",
        ),
    ] = None,
    dims: Annotated[
        str | None, typer.Option("--dims", help="the two dimensions of a grid, counted from 0: 0,1")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", help="rows of the data: ends of paths in pairs, or where to stand: 0,1,2,3"
        ),
    ] = None,
    along: Annotated[
        str, typer.Option("--along", help="paths go along the line or the sphere")
    ] = "line",
    data: Annotated[
        str | None,
        typer.Option("--data", help="rows to go by; those the model was fitted on if not given"),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="labels for a direction: a column, a file, or auto"),
    ] = None,
    chosen: Annotated[
        str | None,
        typer.Option(
            "--class", help="the label that a direction leads to; all others are without it"
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", help="the condition to decode under, for a model that was fitted with some"
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="of draws, and of the rows a direction is tested on")
    ] = 0,
    title: Annotated[
        str | None, typer.Option("--title", help="over the image; the run's name if not given")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="where image and codes are, and what was found, as JSON")
    ] = False,
) -> None:
    """Draw what codes decode to: a grid through the prior,
    every dimension moved alone, paths between rows, an attribute.
    """
    if kind is not None and kind not in KINDS:
        raise InvalidValue(f"unknown kind {kind!r}; {suggestion(kind, KINDS)}")
    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    opened.need("does not decode codes", "Decodes")
    batch = _rows(opened, voice, data, kind, label)
    distribution = _distribution(opened, batch, data)
    kind = kind or ("grid" if distribution.latent <= 2 else "traverse")
    smooth = (
        3
        if kind == "grid"
        and distribution.latent == 1
        and opened.model.fitted_space().kind == "points"
        else 1
    )
    asked = Asked(
        kind, smooth * STEPS[kind] if steps is None else steps, reach, _whole(dims, "--dims"),
        _whole(rows, "--rows"), along, chosen, _condition(opened.model, y, batch), y is not None,
        seed, heading(title, opened.folder.name),
    )  # fmt: skip
    shown = {"grid": _grid, "traverse": _traverse, "path": _path, "direction": _direction}[kind](
        opened.model, batch, distribution, asked
    )
    _leave(voice, opened.folder, out, kind, shown)


def command() -> Any:
    """The command."""
    return single(tabular(latent), "latent")


# ---------------------------------------------------------------------------------------- the kinds


def _grid(model: Any, batch: Any, distribution: Any, asked: Asked) -> Shown:
    from pushforward import plots
    from pushforward.latent import grid

    dims = asked.dims or list(range(min(distribution.latent, 2)))
    laid = grid(
        model,
        asked.steps,
        reach=asked.reach,
        dims=dims,
        at=_standing(model, batch, asked),
        y=asked.y,
        distribution=distribution,
    )
    data = None if batch is None else batch.x
    figure = plots.decoded_grid(laid, model.fitted_space(), dims=dims, data=data, title=asked.title)
    height, width = laid.codes.shape[:2]
    places = {
        "row": [i for i in range(height) for _ in range(width)],
        "column": list(range(width)) * height,
    }
    return Shown(
        figure,
        _table(laid.codes, places),
        {"dims": dims},
        f"{height}×{width} codes along " + " and ".join(f"z{d}" for d in dims),
    )


def _traverse(model: Any, batch: Any, distribution: Any, asked: Asked) -> Shown:
    import torch

    from pushforward import plots
    from pushforward.latent import traverse

    base = _standing(model, batch, asked)
    around = torch.cat(
        [
            (distribution.centre if base is None else base)[None],
            distribution.draw(ROLLED, rng=asked.seed),
        ]
    )
    found = traverse(
        model,
        around,
        steps=asked.steps,
        reach=asked.reach or 3.0,
        y=asked.y,
        distribution=distribution,
    )
    figure = plots.traversal_sheet(found, model.fitted_space(), title=asked.title)
    size, steps = found.codes.shape[:2]
    places = {
        "dimension": [k for k in range(size) for _ in range(steps)],
        "position": found.positions.tolist() * size,
    }
    ranking = [
        {"dimension": k, "change": float(found.change[k]), "share": float(found.share[k])}
        for k in found.order.tolist()
    ]
    said = "squared change per standard deviation: " + ", ".join(
        f"z{r['dimension']} {r['change']:.4g}" for r in ranking[:10]
    )
    return Shown(figure, _table(found.codes, places), {"ranking": ranking}, said)


def _path(model: Any, batch: Any, distribution: Any, asked: Asked) -> Shown:
    from pushforward import plots
    from pushforward.latent import decode, interpolate

    rows = _needed(batch, "paths between them")
    _encodes(model)
    ends = asked.rows or list(range(min(len(rows.x) // 2 * 2, 8)))
    if len(ends) % 2:
        raise InvalidValue(
            f"--rows gives the ends of paths in pairs, got {len(ends)} rows; pass --rows 0,1, say"
        )
    first, last = _ends(model, rows, ends)
    codes = interpolate(first, last, asked.steps, along=asked.along)
    path = decode(model, codes, _along(model, rows, ends, asked))
    words = [f"rows {a} to {b}" for a, b in zip(ends[::2], ends[1::2])]
    figure = plots.decoded_path(
        path, model.fitted_space(), data=rows.x, down=words, title=asked.title
    )
    steps, count = path.codes.shape[:2]
    places = {
        "step": [i for i in range(steps) for _ in range(count)],
        "path": list(range(count)) * steps,
    }
    return Shown(
        figure,
        _table(path.codes, places),
        {"rows": ends},
        f"{count} path{'s' if count > 1 else ''} along the {asked.along}",
    )


def _ends(model: Any, rows: Any, ends: list[int]) -> Any:
    """Codes of the first and of the last end of every path,
    each encoded under its own condition.
    """
    import torch

    x, y = (
        _picked(rows.x, ends),
        None if model.condition_space is None else _picked(runs.labels_of(model, rows), ends),
    )
    with torch.no_grad():
        codes = model.encode(x) if y is None else model.encode(x, y)
    return codes[::2], codes[1::2]


def _along(model: Any, rows: Any, ends: list[int], asked: Asked) -> Any:
    """The condition to decode paths under: the one given, else that of each path's first end."""
    if model.condition_space is None or asked.told:
        return asked.y
    first = _picked(runs.labels_of(model, rows), ends[::2])
    return first.repeat(asked.steps, *[1] * (first.ndim - 1))


def _direction(model: Any, batch: Any, distribution: Any, asked: Asked) -> Shown:
    import torch

    from pushforward import plots
    from pushforward.cli.encode import encoded
    from pushforward.latent import decode, direction

    rows = _needed(batch, "labels to learn a direction from")
    _encodes(model)
    labels, positive, name = _labels(rows, asked.chosen)
    with torch.no_grad():
        codes = encoded(model, rows).to(distribution.centre)
    found = direction(codes, labels, positive=positive, rng=asked.seed)
    without = [i for i in range(len(labels)) if int(labels[i]) != positive][:8]
    ends = asked.rows or without
    reach = 1.5 if asked.reach is None else asked.reach
    strengths = torch.linspace(-reach / 3, reach, asked.steps).tolist()
    moved = torch.stack([found.apply(_picked(codes, ends), s) for s in strengths])
    path = decode(model, moved, asked.y)
    said = (
        f"{name}: {found.accuracy.value:.1%} ± {found.accuracy.error:.1%} of held-out rows told by"
        " it (50% by chance)"
    )
    space = model.fitted_space()
    meaning = f"strength: 1 takes the mean of the others to that of {name}"
    words, down = [f"{s:.3g}" for s in strengths], [f"row {i}" for i in ends]
    figure = plots.decoded_path(
        path, space, data=rows.x, across=words, down=down, meaning=meaning, title=asked.title
    )
    places = {"strength": [s for s in strengths for _ in ends], "row": ends * len(strengths)}
    facts = {
        "vector": found.vector.tolist(),
        "distance": found.distance,
        "accuracy": found.accuracy.as_dict(),
    }
    return Shown(figure, _table(path.codes, places), facts, said)


# ---------------------------------------------------------------------------------- what they go by


def _rows(opened: Any, voice: Voice, data: str | None, kind: str | None, label: str | None) -> Any:
    """The rows asked for, else those fitted on; None (said,
    where they would be of use) if these cannot be found.
    """
    from pushforward.data import read
    from pushforward.data.reading import asked_conditions

    try:
        file = data or opened.source("there is no telling which rows these were")
        if kind == "direction" and opened.model.condition_space is None:
            table = runs.table_settings(file, opened, typed())
            source = read(file, like=opened.model, **asked_conditions(label or "auto"), **table)
        else:
            source = runs.read_like(opened, file, label)
        batch = runs.rows_of(source, ROWS)
        return _Known(batch.x, batch.y, source.condition_space)
    except PushforwardError as error:
        if data is not None or label is not None:
            raise
        if kind in ("path", "direction"):
            raise BadRun(
                f"{kind} needs rows, and those that {opened.folder} was fitted on cannot be found;"
                " pass --data FILE"
            ) from error
        voice.say(f"drawn without rows: {error}")
        return None


class _Known(NamedTuple):
    """Rows with what is known of them."""

    x: Any
    y: Any
    condition_space: Any


def _distribution(opened: Any, batch: Any, data: str | None) -> Any:
    """Where codes lie: by the prior where there is one,
    else (or with --data) by the codes of the rows.
    """
    from pushforward.core.capabilities import Encodes
    from pushforward.latent import infer_code_distribution

    model = opened.model
    y = None if batch is None else runs.labels_of(model, batch)
    if data is not None and isinstance(model, Encodes):
        return infer_code_distribution(model, batch.x, y)
    try:
        return infer_code_distribution(model)
    except InvalidKind as error:
        if batch is None:
            raise BadRun(
                f"a {opened.name} has no prior, so its codes' range must come from rows; pass"
                " --data FILE"
            ) from error
        return infer_code_distribution(model, batch.x, y)


def _standing(model: Any, batch: Any, asked: Asked) -> Any:
    """The code of the row to stand at; None for the centre."""
    if not asked.rows:
        return None
    rows = _needed(batch, "a row to stand at")
    _encodes(model)
    y = (
        None
        if model.condition_space is None
        else _picked(runs.labels_of(model, rows), asked.rows[:1])
    )
    one = _picked(rows.x, asked.rows[:1])
    return (model.encode(one) if y is None else model.encode(one, y)).detach()[0]


def _condition(model: Any, text: str | None, batch: Any) -> Any:
    """The condition to decode under: the one given, else that of the first row."""
    from pushforward.cli.sample import conditions

    if text is None and model.condition_space is not None and batch is not None:
        return runs.labels_of(model, batch)[:1]
    codes = conditions(model, text, 1)[0]
    return codes if codes is None else model.condition_space.as_given(codes)


def _labels(rows: Any, chosen: str | None) -> tuple[Any, int, str]:
    """Labels as whole numbers (n,), the one that is the attribute, and its name."""
    space = rows.condition_space
    if rows.y is None or space is None or not space.is_label:
        raise InvalidValue(
            "a direction needs labels, and these data bring none; pass --label COLUMN, or a file of"
            " them"
        )
    labels = rows.y if rows.y.ndim == 1 else rows.y[:, 0]
    names = space.columns[0].categories
    if chosen is None and len(names) != 2:
        raise InvalidValue(
            f"there are {len(names)} labels; pass --class with one of: {', '.join(names[:10])}"
        )
    if chosen is not None and chosen not in names:
        raise InvalidValue(f"--class {chosen!r} is none of the labels; {suggestion(chosen, names)}")
    name = names[-1] if chosen is None else chosen
    return labels, names.index(name), name


def _encodes(model: Any) -> None:
    from pushforward.core.capabilities import Encodes

    if not isinstance(model, Encodes):
        raise InvalidKind(
            f"a {model.registered_name} has no codes for observations; a grid and traverse need"
            " none"
        )


def _needed(batch: Any, purpose: str) -> Any:
    if batch is None:
        raise BadRun(f"there are no rows for {purpose}; pass --data FILE")
    return batch


def _picked(x: Any, rows: list[int]) -> Any:
    """Some rows; InvalidValue for one that is not there."""
    for row in rows:
        if not 0 <= row < len(x):
            raise InvalidValue(f"there is no row {row}: there are {len(x)}, counted from 0")
    return x[rows]


def _whole(text: str | None, flag: str) -> list[int] | None:
    """Whole numbers from 0 up, split at commas."""
    if text is None:
        return None
    parts = [p.strip() for p in text.split(",")]
    if not all(p.isdigit() for p in parts):
        raise InvalidValue(
            f"{flag} must be whole numbers from 0 up, split at commas, got {text!r}; pass {flag}"
            " 0,1, say"
        )
    return [int(p) for p in parts]


# ---------------------------------------------------------------------------------- what they leave


def _table(codes: Any, places: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Columns: where each code stands, then z0, z1, …"""
    flat = codes.detach().cpu().flatten(0, -2)
    return {**places, **{f"z{k}": flat[:, k].tolist() for k in range(flat.shape[1])}}


def _leave(voice: Voice, folder: Path, out: str | None, kind: str, shown: Shown) -> None:
    """Image and codes, in the place of older ones."""
    import csv
    import io

    from pushforward.core.storage import write_text
    from pushforward.plots import write

    path = write(shown.figure, out or folder / "images" / f"latent-{kind}.png")
    codes = path.with_suffix(".csv")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(shown.codes)
    writer.writerows(zip(*shown.codes.values()))
    write_text(codes, stream.getvalue())
    voice.say(f"{shown.said}; codes in {codes}, {kind} written to")
    voice.result({"path": str(path), "codes": str(codes), "kind": kind, **shown.facts}, str(path))
