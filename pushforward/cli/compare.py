"""`pushforward compare REAL GENERATED [GENERATED…]`: sets of samples against data."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice, write_table

__all__ = ["compare"]


def compare(
    real: str,
    generated: Annotated[tuple[str, ...], Parameter(name="GENERATED")],
    /,
    *,
    features: str | None = None,
    metrics: str | None = None,
    train: str | None = None,
    label: str | None = None,
    categorical: arguments.Names = (),
    drop: arguments.Names = (),
    size: str | None = None,
    channel: str | None = None,
    crop: arguments.Whole | None = None,
    using: str | None = None,
    rows: arguments.Whole = 10_000,
    seed: arguments.Seed = 0,
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.JsonRecords = False,
) -> None:
    """Measure how similar generated samples are to the data: FID, KID, precision, recall, modes,
    ...

    Args:
        real: a file, folder, built-in name or run.
        generated: the same; a run is sampled as often as REAL has rows.
        features: feature spaces to compare in, separated by commas: raw, scaled, pca(50),
            classifier, efficientnet, and of clips frames and movement; by default raw, scaled for
            tables whose columns are of different units, or frames,movement for clips.
        metrics: fid, kid, mmd, prdc, c2st, ks, diversity, modes, memorisation, parzen,
            inception_score; of images beside their originals, as a run makes of REAL's conditions,
            psnr, ssim, ms_ssim, ssim_daala, absolute_error, gradient_energy, colour_histograms; of
            clips motion, consistency; by default fid,kid,prdc,c2st and those of clips.
        train: the model's training rows, for memorisation and parzen; REAL then holds rows it has
            not seen.
        label: labels of REAL, for a classifier: a column, a file, or auto.
        categorical: text columns of tables to take as categories.
        drop: columns of tables to leave out.
        size: bring REAL's images to this size (32, or 48x64).
        channel: of psnr and ssim: all, or y for luma only; by default all.
        crop: of psnr and ssim: pixels to crop on every side; by default 0.
        using: how runs are sampled: ancestral, mean (the decoder's mean, without observation noise)
            or truncated(...); by default each model's own.
        rows: at most this many rows of each.
    """
    from pushforward.experiments.compare import Comparison, by_feature_space
    from pushforward.experiments.compare import compare as measure
    from pushforward.experiments.record_tables import samples_table

    voice = Voice(quiet, json)
    reading = {"categorical": list(categorical), "drop": list(drop), "size": size}
    paired = {"channel": channel, "crop": crop}
    comparison = Comparison(
        real,
        generated,
        spaces=None if features is None else arguments.split_names(features),
        metrics=None if metrics is None else arguments.split_names(metrics),
        train=train,
        y=label,
        reading={name: value for name, value in reading.items() if value not in (None, [])},
        table=arguments.table_settings(table),
        paired={name: value for name, value in paired.items() if value is not None},
        using=using,
        rows=rows,
        seed=seed,
        device=device,
    )
    measured, samples = measure(comparison, say=voice.say, warn=voice.warn)
    if json:
        for record in (record for records in measured for record in records):
            voice.result(record.as_dict())
        return
    first = measured[0]
    voice.say(f"compared with {first[0].data}" if first else "nothing could be measured")
    for space, sets in by_feature_space(measured).items():
        write_table(samples_table(sets, samples), f"features: {space}")
