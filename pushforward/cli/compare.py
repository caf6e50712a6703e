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
    held_out: str | None = None,
    target: str | None = None,
    types: arguments.Names = (),
    page: str | None = None,
    results: str | None = None,
    label: str | None = None,
    categorical: arguments.Names = (),
    drop: arguments.Names = (),
    size: str | None = None,
    channel: str | None = None,
    crop: arguments.Whole | None = None,
    using: str | None = None,
    rows: arguments.Whole | None = None,
    seed: arguments.Seed = 0,
    form: arguments.Form = "text",
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.JsonRecords = False,
) -> None:
    """Measure how similar generated samples are to the data: FID, KID, precision, recall, modes,
    ...

    A table is judged as one, unless --metrics or --features are given: is it good (columns, pairs
    of columns, detection by a classifier, usefulness for training), and is it safe (copies,
    distances to the closest record, membership)?

    Args:
        real: a file, folder, built-in name or run.
        generated: the same; a run is sampled as often as REAL has rows.
        features: feature spaces to compare in, separated by commas: raw, scaled, pca(50),
            classifier, efficientnet, and of clips frames and movement; by default raw, scaled for
            tables whose columns are of different units, efficientnet (if installed) for images of
            16 pixels a side and more, or frames,movement for clips.
        metrics: fid, kid, mmd, prdc, c2st, ks, diversity, modes, memorisation, parzen,
            inception_score; of images beside their originals, as a run makes of REAL's conditions,
            psnr, ssim, ms_ssim, ssim_daala, absolute_error, gradient_energy, colour_histograms; of
            clips motion, consistency; by default fid,kid,prdc,c2st and those of clips.
        train: the model's training rows, for memorisation, parzen and the privacy of tables; REAL
            then holds rows it has not seen.
        held_out: of tables: real rows that GENERATED was not made from, to judge privacy by.
        target: of tables: the column to predict for usefulness; by default the last one of two to
            ten categories, or of numbers.
        types: of tables: what columns are, such as age=count; the others are inferred.
        page: of a table: write a page that explains everything to this .html file.
        results: of a table: write all records and verdicts to this .json file.
        label: labels of REAL, for a classifier: a column, a file, or auto.
        categorical: text columns of tables to take as categories.
        drop: columns of tables to leave out.
        size: bring REAL's images to this size (32, or 48x64).
        channel: of psnr and ssim: all, or y for luma only; by default all.
        crop: of psnr and ssim: pixels to crop on every side; by default 0.
        using: how runs are sampled: ancestral, mean (the decoder's mean, without observation noise)
            or truncated(...); by default each model's own.
        rows: at most this many rows of each; by default 10000, and of tables 100000.
    """
    from pushforward.cli.progress import rows_counted
    from pushforward.experiments import table_texts
    from pushforward.experiments.compare import Comparison, by_feature_space
    from pushforward.experiments.compare import compare as measure
    from pushforward.experiments.opened import MEASURED_ROWS
    from pushforward.experiments.record_tables import samples_table
    from pushforward.experiments.sample_findings import explain_samples
    from pushforward.experiments.table_rows import are_tables

    voice = Voice(quiet, json)
    asked = (features, metrics, label, size, channel, crop, using)
    files = {"page": page, "results": results}
    if all(value is None for value in asked) and are_tables(real, generated):
        reports = table_texts.compare_each(
            real, generated, files, held_out=held_out, train=train, target=target, rows=rows,
            reading={"categorical": list(categorical), "drop": list(drop)}, seed=seed,
            types=types, table=arguments.table_settings(table), device=device, say=voice.say,
        )  # fmt: skip
        if json:
            voice.results(record for report in reports for record in report.records)
            return
        write_table(table_texts.measures_table(reports), form=form)
        for text, style in table_texts.verdict_lines(reports):
            voice.say(text, style=style)
        return
    more = {"held_out": held_out, "target": target, "types": types, **files}
    table_texts.refuse_table_settings(more)
    reading = {"categorical": list(categorical), "drop": list(drop), "size": size}
    paired = {"channel": channel, "crop": crop}
    comparison = Comparison(
        real, generated, train=train, y=label, using=using, seed=seed, device=device,
        spaces=None if features is None else arguments.split_names(features),
        metrics=None if metrics is None else arguments.split_names(metrics),
        reading={name: value for name, value in reading.items() if value not in (None, [])},
        table=arguments.table_settings(table),
        paired={name: value for name, value in paired.items() if value is not None},
        rows=MEASURED_ROWS if rows is None else rows,
    )  # fmt: skip
    with rows_counted(voice):
        measured, samples = measure(comparison, say=voice.say, warn=voice.warn)
    if json:
        voice.results(record for records in measured for record in records)
        return
    first = measured[0]
    voice.say(f"compared with {first[0].data}" if first else "nothing could be measured")
    for space, sets in by_feature_space(measured).items():
        write_table(samples_table(sets, samples), f"features: {space}", form)
        for line in explain_samples([each.text for each in samples], sets):
            voice.say(line)
