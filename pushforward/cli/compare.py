"""`pushforward compare REAL GENERATED [GENERATED…]`:
sets of samples against data, in feature spaces that are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.console import Voice, stdout
from pushforward.cli.help import single
from pushforward.cli.records import table
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import InvalidValue

if TYPE_CHECKING:
    from pushforward.core.records import Record
    from pushforward.experiments.sample import Rows

__all__ = ["command"]


def compare(
    real: Annotated[
        str,
        typer.Argument(
            metavar="REAL", help="a file, folder, built-in name or run", show_default=False
        ),
    ],
    generated: Annotated[
        list[str],
        typer.Argument(
            metavar="GENERATED [GENERATED...]",
            help="the same; a run is drawn from",
            show_default=False,
        ),
    ],
    features: Annotated[
        str,
        typer.Option(
            "--features",
            help=(
                "where to compare: raw, scaled, pca(50), classifier, efficientnet; commas between"
                " several"
            ),
        ),
    ] = "raw",
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            help=(
                "fid, kid, mmd, prdc, c2st, ks, diversity, modes, memorising, parzen,"
                " inception_score; of images beside their "
                "originals: psnr, ssim, ms_ssim, ssim_daala [fid,kid,prdc,c2st]"
            ),
        ),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(
            "--train",
            help="rows the model learnt from, for memorising and parzen; REAL is then new rows",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="labels of REAL, for a classifier: a column, a file, or auto"),
    ] = None,
    categorical: Annotated[
        str | None,
        typer.Option("--categorical", help="text columns of tables to take as categories"),
    ] = None,
    drop: Annotated[
        str | None, typer.Option("--drop", help="columns of tables to leave out")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="bring REAL's images to this size (32, or 48x64)")
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option("--channel", help="of psnr and ssim: all, or y for the luma alone [all]"),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option("--crop", help="of psnr and ssim: pixels left out on every side [0]"),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", help="at most this many rows of each")] = 10_000,
    seed: Annotated[
        int, typer.Option("--seed", help="of the rows, the draws and the networks")
    ] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="one record a line, as JSON")] = False,
) -> None:
    """Measure how like the data generated samples are:
    FID, KID, precision, recall, modes and more, with error bars.
    """
    from pushforward.experiments.compare import Comparison
    from pushforward.experiments.compare import compare as measure

    voice = Voice(quiet, json)
    listed = {
        name: _words(text)
        for name, text in (("categorical", categorical), ("drop", drop))
        if text is not None
    }
    paired = {
        name: value for name, value in (("channel", channel), ("crop", crop)) if value is not None
    }
    asked = Comparison(
        real, generated, spaces=_words(features),
        metrics=None if metrics is None else _words(metrics), train=train, y=label,
        reading=listed if size is None else {**listed, "size": size}, table=typed(), paired=paired,
        rows=rows, seed=seed, device=device,
    )  # fmt: skip
    found, others = measure(asked, say=voice.say, warn=voice.warn)
    _show(found, others, voice)


def command() -> Any:
    """The command."""
    return single(tabular(compare), "compare")


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InvalidValue(f"expected names with commas between, got {text!r}")
    return words


def _show(found: Sequence[Sequence[Record]], others: Sequence[Rows], voice: Voice) -> None:
    """One table for each feature space, one column for each set;
    records that do not compare stand in no one line.
    """
    if voice.as_json:
        for records, other in zip(found, others):
            for record in records:
                voice.result(
                    replace(
                        record, details={**record.details, "compared": other.described}
                    ).as_dict()
                )
        return
    voice.say(f"compared with {found[0][0].data}" if found[0] else "nothing could be measured")
    for space in dict.fromkeys(
        str(r.details.get("feature_space", r.details["features"]))
        for records in found
        for r in records
    ):
        parts = [
            [
                r
                for r in records
                if str(r.details.get("feature_space", r.details["features"])) == space
            ]
            for records in found
        ]
        stdout().print(table(space, parts, others))
