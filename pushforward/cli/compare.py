"""`pushforward compare REAL GENERATED [GENERATED…]`: sets of samples against data, in feature spaces that are named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice, stdout
from pushforward.cli.help import single
from pushforward.core.errors import BadSource, InvalidValue

if TYPE_CHECKING:
    from pushforward.core.records import Record
    from pushforward.metrics.features import Features

__all__ = ["command"]

SPREADS = {"ring": 0.01, "grid": 0.05}
"""Standard deviations of the built-in mixtures whose modes are known."""
DRAWN_AT_ONCE = 2048
LEARNT = 10
"""How many times --rows are read of --train."""


def compare(
    real: Annotated[str, typer.Argument(metavar="REAL", help="a file, folder, built-in name or run", show_default=False)],
    generated: Annotated[
        list[str], typer.Argument(metavar="GENERATED [GENERATED...]", help="the same; a run is drawn from", show_default=False)
    ],
    features: Annotated[
        str, typer.Option("--features", help="where to compare: raw, scaled, pca(50), classifier, efficientnet; commas between several")
    ] = "raw",
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="fid, kid, mmd, prdc, c2st, ks, diversity, modes, memorising, parzen [fid,kid,prdc,c2st]"),
    ] = None,
    train: Annotated[
        str | None, typer.Option("--train", help="rows the model learnt from, for memorising and parzen; REAL is then new rows")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="labels of REAL, for a classifier: a column, a file, or auto")] = None,
    categorical: Annotated[str | None, typer.Option("--categorical", help="text columns of tables to take as categories")] = None,
    drop: Annotated[str | None, typer.Option("--drop", help="columns of tables to leave out")] = None,
    size: Annotated[str | None, typer.Option("--size", help="bring REAL's pictures to this size (32, or 48x64)")] = None,
    rows: Annotated[int, typer.Option("--rows", help="at most this many rows of each")] = runs.MEASURED_ROWS,
    seed: Annotated[int, typer.Option("--seed", help="of the rows, the draws and the networks")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="one record a line, as JSON")] = False,
) -> None:
    """Measure how like the data generated samples are: FID, KID, precision, recall, modes and more, with error bars."""
    from pushforward.metrics import features as spaces

    if rows < 2:
        raise InvalidValue(f"--rows must be at least 2, got {rows}")
    voice = Voice(quiet, json)
    wanted = _words(features)
    drawn_from = {text: runs.open_run(text, device) for text in (real, *generated) if _is_run(text)}
    plan = _Plan(rows, seed, _reading(categorical, drop, size), drawn_from)
    asked = label or ("auto" if "classifier" in wanted else None)
    truth = plan.real(real, asked)
    others = [plan.like(text, truth, i + 1) for i, text in enumerate(generated)]
    learnt = None if train is None else plan.learnt(train, truth)
    _warn_of_copies(truth, others, voice)
    chosen = _metrics(metrics, real, train)
    low, high = truth.ends
    found: list[list[Record]] = [[] for _ in others]
    for name in wanted:
        space = spaces.named(name, truth.x, truth.labels, low=low, high=high, device=runs.device_named(device), rng=seed)
        if space.facts:
            voice.say(f"{space.name}: " + ", ".join(f"{k} {v:.4g}" for k, v in space.facts.items()))
        columns = truth.names if name in ("raw", "scaled") else ()
        for records, measured in zip(found, _measured(space, truth, others, learnt, chosen, metrics is not None, columns, seed, voice)):
            records += measured
    if "modes" in chosen:
        for records, other in zip(found, others):
            records += _modes(real, other, truth)
    _show(found, others, voice)


def command() -> Any:
    """The command."""
    return single(compare, "compare")


@dataclass(frozen=True)
class _Rows:
    """Rows read or drawn, as numbers: x (n, *shape), labels (n,) where asked for, and what they are called."""

    text: str
    x: Any
    labels: Any
    space: Any
    described: str
    names: tuple[str, ...] = ()
    conditions: Any = None

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The ends of the range of pictures' values."""
        return (None, None) if self.space.kind == "points" else (self.space.low, self.space.high)


@dataclass(frozen=True)
class _Plan:
    """How rows are brought in."""

    rows: int
    seed: int
    reading: Mapping[str, Any]
    opened: Mapping[str, Any]

    def real(self, text: str, label: str | None) -> _Rows:
        """The rows that are compared with, in the space of the runs where there are any."""
        from pushforward.data import read

        if text in self.opened:
            return self._draw(text, None, 0)
        like = next((run.model for run in self.opened.values()), None)
        conditional = any(run.model.condition_space is not None for run in self.opened.values())
        conditions = runs._conditions(label or ("auto" if conditional else None), text)
        return self._take(text, read(text, like=like, seed=self.seed, **self.reading, **conditions), self.rows)

    def learnt(self, text: str, real: _Rows) -> _Rows:
        """The rows a model learnt from: many more, because a copy is found only if its original is among them."""
        from pushforward.data import read

        return self._take(text, read(text, like=real.space, seed=self.seed, label=False), LEARNT * self.rows)

    def like(self, text: str, real: _Rows, number: int) -> _Rows:
        """Rows in the space of the real ones; the drawn names are drawn with another seed than the real ones."""
        from pushforward.data import read

        if text in self.opened:
            return self._draw(text, real, number)
        return self._take(text, read(text, like=real.space, seed=self.seed + number, label=False), self.rows)

    def _take(self, text: str, source: Any, most: int) -> _Rows:
        """Up to as many rows, drawn by the seed."""
        from pushforward.cli.measure import described
        from pushforward.core.random import derive, permutation

        order = permutation(len(source), rng=derive(self.seed, "compare"))[:most].sort().values
        batch = source.take(order)
        said = described(source) + (f", {len(order)} drawn by seed {self.seed}" if len(order) < len(source) else "")
        return _numbers(text, batch.x, source.space, said, batch.y)

    def _draw(self, text: str, real: _Rows | None, number: int) -> _Rows:
        """Samples of a run, as many as there are real rows, under their conditions where the run has conditions."""
        import torch

        from pushforward.core.random import derive, generator

        run = self.opened[text]
        run.need("has no samples", "Samples")
        n = self.rows if real is None else len(real.x)
        y = None if real is None else real.conditions
        if run.model.condition_space is None:
            y = None
        elif y is None:
            raise BadSource(f"{text} was fitted with conditions, and REAL brings none to draw under; pass data with labels as REAL")
        stream = generator(derive(self.seed, "draws", number))
        starts = range(0, n, DRAWN_AT_ONCE)
        parts = [
            run.model.sample(min(DRAWN_AT_ONCE, n - i), y=None if y is None else y[i : i + DRAWN_AT_ONCE], rng=stream).cpu() for i in starts
        ]
        return _numbers(text, torch.cat(parts), run.model.fitted_space(), f"{n} draws of {text}, seed {self.seed}", y)


def _numbers(text: str, x: Any, space: Any, said: str, y: Any) -> _Rows:
    """Whole numbers are rounded, as they would be when written to a file; categories become one column each."""
    import torch

    from pushforward.core.scaling import Scaling

    x = x.to(torch.float64)
    if space.kind != "points" and space.integer:
        x = x.round().clamp(space.low, space.high)
    names = tuple(str(name) for name in space.names) if space.kind == "points" and any(space.names) else ()
    if space.kind == "points":
        whole = torch.tensor([c.kind == "integer" for c in space.columns], dtype=torch.bool)
        x = torch.where(whole, x.round(), x)
    if space.categorical:
        x = Scaling.choose("identity", space)(x)
        names = tuple(
            part for c in space.columns for part in ([f"{c.name}={k}" for k in c.categories] if c.kind == "categorical" else [c.name])
        )
    labels = y.flatten() if y is not None and y.ndim == 1 else None
    return _Rows(text, x, labels, space, said, names, y)


def _measured(
    space: Features,
    truth: _Rows,
    others: Sequence[_Rows],
    learnt: _Rows | None,
    metrics: Sequence[str],
    insisted: bool,
    names: Sequence[str],
    seed: int,
    voice: Voice,
) -> list[list[Record]]:
    """The records of every set in one space; of the usual metrics, those that cannot be had are left out, and it is said why."""
    from pushforward.metrics.scores import scores

    real = space(truth.x)
    train = None if learnt is None else space(learnt.x)
    found = []
    for other in others:
        drawn, records = space(other.x), []
        for metric in (m for m in metrics if m != "modes"):
            try:
                records += scores(real, drawn, space.computed(), metrics=[metric], train=train, names=names, rng=seed, data=truth.described)
            except InvalidValue as error:
                if insisted:
                    raise
                voice.warn(f"{metric} left out: {error}")
        found.append(records)
    return found


def _modes(real: str, other: _Rows, truth: _Rows) -> list[Record]:
    from pushforward.data.builtin import centres
    from pushforward.metrics.modes import modes

    name = real.partition(":")[0]
    return modes(other.x, centres(name), SPREADS[name], data=truth.described)


def _warn_of_copies(real: _Rows, others: Sequence[_Rows], voice: Voice) -> None:
    """The same rows on both sides are no comparison: metrics take both sets to be independent."""
    for other in others:
        if other.x.shape == real.x.shape and bool((other.x == real.x).all()):
            voice.warn(f"{other.text} and {real.text} are the same rows; pass rows of its own, error bars and p-values mean nothing here")


def _metrics(text: str | None, real: str, train: str | None) -> list[str]:
    """The metrics asked for; if none, the usual ones, with modes where they are known and memorising where it can be judged."""
    from pushforward.metrics.scores import USUAL

    known = real.partition(":")[0] in SPREADS
    if text is None:
        return [*USUAL, *(["modes"] if known else []), *(["memorising"] if train else [])]
    asked = _words(text)
    if "modes" in asked and not known:
        raise InvalidValue(
            f"modes are known for ring and grid only, not for {real}; ask for diversity, or use metrics.modes with your centres"
        )
    return asked


def _reading(categorical: str | None, drop: str | None, size: str | None) -> dict[str, Any]:
    """`read`'s arguments that were given."""
    listed = {name: _words(text) for name, text in (("categorical", categorical), ("drop", drop)) if text is not None}
    return listed if size is None else {**listed, "size": size}


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InvalidValue(f"expected names with commas between, got {text!r}")
    return words


def _is_run(text: str) -> bool:
    return (Path(text) / "model.json").is_file()


# ------------------------------------------------------------------------------------------------ showing


def _show(found: Sequence[Sequence[Record]], others: Sequence[_Rows], voice: Voice) -> None:
    """One table for each feature space, one column for each set; records that do not compare stand in no one line."""
    from dataclasses import replace

    if voice.as_json:
        for records, other in zip(found, others):
            for record in records:
                voice.result(replace(record, details={**record.details, "compared": other.described}).as_dict())
        return
    voice.say(f"compared with {found[0][0].data}" if found[0] else "nothing could be measured")
    for space in dict.fromkeys(str(r.details.get("feature_space", r.details["features"])) for records in found for r in records):
        parts = [[r for r in records if str(r.details.get("feature_space", r.details["features"])) == space] for records in found]
        stdout().print(_table(space, parts, others))


def _table(space: str, found: Sequence[Sequence[Record]], others: Sequence[_Rows]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"features: {space}", title_justify="left", title_style="")
    table.add_column("metric", no_wrap=True)
    for other in others:
        table.add_column(f"{_short(other.text)} ({len(other.x)})", justify="right", overflow="fold")
    table.add_column("ideal", justify="right", no_wrap=True)
    named = [{r.quantity: r for r in records} for records in found]
    for quantity in dict.fromkeys(r.quantity for records in found for r in records):
        line = [records.get(quantity) for records in named]
        first = next(r for r in line if r is not None)
        ideal = first.details.get("ideal")
        table.add_row(quantity, *(_cell(r, first) for r in line), "" if ideal is None else f"{ideal:.4g}")
    return table


def _short(text: str) -> str:
    """The end of a long path, which would make its column unreadable."""
    return text if len(text) <= 24 else Path(text).name


def _cell(record: Record | None, first: Record) -> str:
    """Value, error bar, p-value; a dash where there is none; an error where it does not compare with the first of its line."""
    from pushforward.core.records import unlike

    if record is None:
        return "-"
    unlike(first, record)
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) else ""
    p = record.details.get("p")
    return f"{record.value:.4g}{error}" + (f" (p {p:.2g})" if p is not None else "")
