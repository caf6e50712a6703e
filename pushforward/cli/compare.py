"""`pushforward compare REAL GENERATED [GENERATED…]`: sets of samples against data, in feature spaces that are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice, stdout
from pushforward.cli.help import single
from pushforward.cli.samples import Rows, drawn, measured, numbers, table
from pushforward.cli.tables import settings, tabular
from pushforward.core.errors import BadSource, InvalidValue, ShapeMismatch

if TYPE_CHECKING:
    from pushforward.core.records import Record

__all__ = ["command"]

SPREADS = {"ring": 0.01, "grid": 0.05}
"""Standard deviations of the built-in mixtures whose modes are known."""
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
        typer.Option(
            "--metrics",
            help="fid, kid, mmd, prdc, c2st, ks, diversity, modes, memorising, parzen, inception_score; of images beside their "
            "originals: psnr, ssim, ms_ssim, ssim_daala [fid,kid,prdc,c2st]",
        ),
    ] = None,
    train: Annotated[
        str | None, typer.Option("--train", help="rows the model learnt from, for memorising and parzen; REAL is then new rows")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="labels of REAL, for a classifier: a column, a file, or auto")] = None,
    categorical: Annotated[str | None, typer.Option("--categorical", help="text columns of tables to take as categories")] = None,
    drop: Annotated[str | None, typer.Option("--drop", help="columns of tables to leave out")] = None,
    size: Annotated[str | None, typer.Option("--size", help="bring REAL's images to this size (32, or 48x64)")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="of psnr and ssim: all, or y for the luma alone [all]")] = None,
    crop: Annotated[int | None, typer.Option("--crop", help="of psnr and ssim: pixels left out on every side [0]")] = None,
    rows: Annotated[int, typer.Option("--rows", help="at most this many rows of each")] = runs.MEASURED_ROWS,
    seed: Annotated[int, typer.Option("--seed", help="of the rows, the draws and the networks")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="one record a line, as JSON")] = False,
) -> None:
    """Measure how like the data generated samples are: FID, KID, precision, recall, modes and more, with error bars."""
    from pushforward.metrics.feature_names import named

    if rows < 2:
        raise InvalidValue(f"--rows must be at least 2, got {rows}")
    voice = Voice(quiet, json)
    wanted, chosen = _words(features), _metrics(metrics, real, train)
    paired = _paired(chosen, channel, crop, [text for text in (real, *generated) if _is_run(text)])
    chosen = [name for name in chosen if name not in paired.metrics]
    drawn_from = {text: runs.open_run(text, device) for text in (real, *generated) if _is_run(text)}
    plan = _Plan(rows, seed, _reading(categorical, drop, size), drawn_from)
    asked = label or ("auto" if "classifier" in wanted else None)
    truth = plan.real(real, asked)
    others = [plan.like(text, truth, i + 1) for i, text in enumerate(generated)]
    learnt = None if train is None else plan.learnt(train, truth)
    _warn_of_copies(truth, others, voice)
    low, high = truth.ends
    found: list[list[Record]] = [[] for _ in others]
    for name in wanted if any(metric != "modes" for metric in chosen) else ():
        space = named(name, truth.x, truth.labels, low=low, high=high, device=runs.device_named(device), rng=seed)
        if space.facts:
            voice.say(f"{space.name}: " + ", ".join(f"{k} {v:.4g}" for k, v in space.facts.items()))
        columns = truth.names if name in ("raw", "scaled") else ()
        for records, more in zip(found, measured(space, truth, others, learnt, chosen, metrics is not None, columns, seed, voice)):
            records += more
    for records, other in zip(found, others):
        records += paired.records(truth, other)
    if "modes" in chosen:
        for records, other in zip(found, others):
            records += _modes(real, other, truth)
    _show(found, others, voice)


def command() -> Any:
    """The command."""
    return single(tabular(compare), "compare")


@dataclass(frozen=True)
class _Paired:
    """Metrics of images beside their originals, and their arguments."""

    metrics: Sequence[str]
    arguments: Mapping[str, Any]

    def records(self, truth: Rows, other: Rows) -> list[Record]:
        """One record a metric, of other's rows as likenesses of truth's."""
        from pushforward.metrics.scores import scores

        if not self.metrics:
            return []
        if truth.total != other.total:
            raise ShapeMismatch(
                f"{self.metrics[0]} compares images one by one: expected {truth.total} in {other.text[:80]} as in {truth.text[:80]}, "
                f"got {other.total}; pass likenesses in the order of their originals"
            )
        low, high = truth.ends
        arguments = {"low": low, "high": high, **self.arguments}
        return scores(truth.x, other.x, metrics=self.metrics, paired=arguments, data=truth.described)


def _paired(chosen: Sequence[str], channel: str | None, crop: int | None, drawn: Sequence[str]) -> _Paired:
    """The metrics of pairs that were chosen; InvalidValue for options that they alone have, or for runs, whose draws have no originals."""
    from pushforward.metrics.scores import PAIRED

    metrics = [name for name in chosen if name in PAIRED]
    given = {name: value for name, value in (("channel", channel), ("crop", crop)) if value is not None}
    if given and not metrics:
        raise InvalidValue(f"--{next(iter(given))} is for {', '.join(PAIRED)}; ask for one of them with --metrics, or leave it out")
    if metrics and drawn:
        raise InvalidValue(
            f"{metrics[0]} compares images one by one with their originals, and the draws of {drawn[0][:80]} have none; "
            "pass two sets of images"
        )
    return _Paired(metrics, given)


@dataclass(frozen=True)
class _Plan:
    """How rows are brought in."""

    rows: int
    seed: int
    reading: Mapping[str, Any]
    opened: Mapping[str, Any]

    def real(self, text: str, label: str | None) -> Rows:
        """The rows that are compared with, in the space of the runs where there are any."""
        from pushforward.data import read
        from pushforward.data.reading import asked_conditions

        if text in self.opened:
            return self._draw(text, None, 0)
        like = next((run.model for run in self.opened.values()), None)
        conditional = any(run.model.condition_space is not None for run in self.opened.values())
        conditions = asked_conditions(label or ("auto" if conditional else None))
        return self._take(text, read(text, like=like, seed=self.seed, **self.reading, **conditions, **settings(text)), self.rows)

    def learnt(self, text: str, real: Rows) -> Rows:
        """The rows a model learnt from: many more, because a copy is found only if its original is among them."""
        from pushforward.data import read

        return self._take(text, read(text, like=real.space, seed=self.seed, label=False, **settings(text)), LEARNT * self.rows)

    def like(self, text: str, real: Rows, number: int) -> Rows:
        """Rows in the space of the real ones; the drawn names are drawn with another seed than the real ones."""
        from pushforward.data import read

        if text in self.opened:
            return self._draw(text, real, number)
        return self._take(text, read(text, like=real.space, seed=self.seed + number, label=False, **settings(text)), self.rows)

    def _take(self, text: str, source: Any, most: int) -> Rows:
        """Up to as many rows, drawn by the seed."""
        from pushforward.cli.measure import described
        from pushforward.core.random import derive, permutation

        order = permutation(len(source), rng=derive(self.seed, "compare"))[:most].sort().values
        batch = source.take(order)
        said = described(source) + (f", {len(order)} drawn by seed {self.seed}" if len(order) < len(source) else "")
        return replace(numbers(text, batch.x, source.space, said, batch.y), total=len(source))

    def _draw(self, text: str, real: Rows | None, number: int) -> Rows:
        """Samples of a run, as many as there are real rows, under their conditions where the run has conditions."""
        from pushforward.core.random import derive

        run = self.opened[text]
        run.need("has no samples", "Samples")
        n = self.rows if real is None else len(real.x)
        y = None if real is None else real.conditions
        if run.model.condition_space is None:
            y = None
        elif y is None:
            raise BadSource(f"{text} was fitted with conditions, and REAL brings none to draw under; pass data with labels as REAL")
        x = drawn(run, n, y, derive(self.seed, "draws", number))
        return numbers(text, x, run.model.fitted_space(), f"{n} draws of {text}, seed {self.seed}", y)


def _modes(real: str, other: Rows, truth: Rows) -> list[Record]:
    from pushforward.data.formats.builtin import centres
    from pushforward.metrics.modes import modes

    name = real.partition(":")[0]
    return modes(other.x, centres(name), SPREADS[name], data=truth.described)


def _warn_of_copies(real: Rows, others: Sequence[Rows], voice: Voice) -> None:
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


def _show(found: Sequence[Sequence[Record]], others: Sequence[Rows], voice: Voice) -> None:
    """One table for each feature space, one column for each set; records that do not compare stand in no one line."""
    if voice.as_json:
        for records, other in zip(found, others):
            for record in records:
                voice.result(replace(record, details={**record.details, "compared": other.described}).as_dict())
        return
    voice.say(f"compared with {found[0][0].data}" if found[0] else "nothing could be measured")
    for space in dict.fromkeys(str(r.details.get("feature_space", r.details["features"])) for records in found for r in records):
        parts = [[r for r in records if str(r.details.get("feature_space", r.details["features"])) == space] for records in found]
        stdout().print(table(space, parts, others))
