"""`make tables`: write the tables of docs/results.md from the records in results/."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scipy.stats import t as student

from docs.synthetic_tables import standings, synthetic

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
RESULTS = ROOT / "results"
DIGITS = {
    "log-density": "log-density",
    "ELBO": "ELBO",
    "importance-weighted bound": "importance-weighted bound",
    "reconstruction error": "squared error",
}


def digits() -> str:
    """The demo's table."""
    records = _load("digits.json")["records"]
    lines = ["| model | " + " | ".join(DIGITS.values()) + " |", "|---|" + "---:|" * len(DIGITS)]
    for name, row in records.items():
        cells = [
            f"{_sign(row[c])}{row[c]['value']:.1f} ± {row[c]['error']:.1f}" if c in row else "–"
            for c in DIGITS
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


SUBJECTS = {
    "Kernel densities": ("kde",),
    "Mixtures, k-means and PCA": ("gmm", "kmeans", "pca", "growth"),
    "Networks": ("vae", "gan", "dcgan", "pix2pix", "vgan", "l5000", "ais", "stream"),
    "Distances between samples": ("distances",),
    "Small calls, imports and commands": ("small", "import", "start"),
    "Tables of a million rows": ("tables-scale",),
    "Images, pages and the studio": ("translate", "enlarge", "page", "studio"),
    "Beside an earlier version": ("before",),
}
"""Parts of the table of benchmarks, by what the names of their rows begin with."""


def bench() -> str:
    """Every comparison of `make bench`: its ratio with the spread over rounds, by subject."""
    rows = _load("bench.json")["rows"]
    machine = next(iter(rows.values()))["machine"]
    lines: list[str] = []
    for subject, names in SUBJECTS.items():
        lines += [f"### {subject}", "", "| what | median (smallest–largest) |", "|---|---:|"]
        lines += [_ratio(row, machine) for name, row in rows.items() if name.startswith(names)]
        lines += [""]
    lost = [name for name in rows if not name.startswith(sum(SUBJECTS.values(), ()))]
    if lost:
        raise ValueError(f"rows of no subject: {', '.join(lost)}")
    versions = f"Python {machine['python']}, torch {machine['torch']}"
    return "\n".join([*lines, f"{machine['cpu']}, {machine['cores']} cores, {versions}."])


def _ratio(row: dict[str, Any], machine: dict[str, Any]) -> str:
    ratio = row["ratio"]
    spread = f" ({ratio['min']:g}–{ratio['max']:g})" if "min" in ratio else ""
    missed = "" if row["target"] is None or row["passed"] else _missed(row)
    what = f"{row['what']}{_side(row)}{_elsewhere(row, machine)}"
    return f"| {what} | {ratio['median']:g}{spread}{missed} |"


def _missed(row: dict[str, Any]) -> str:
    bound = "at most" if row.get("better") == "lower" else "at least"
    reason = f": {row['why']}" if row.get("why") else ""
    return f", **not {bound} {row['target']:g}**{reason}"


GROUPS = {
    "games": ("gan", "fgan", "few", "infogan", "stacked"),
    "images": ("super-resolution", "pix2pix", "lapgan", "vgan"),
    "gaps": ("tables-gaps",),
    "copies": ("tables-", "table-networks"),  # `docs.synthetic_tables` has tables of them
}
"""Studies by what their names begin with; those of other models begin otherwise."""


def studies(group: str = "") -> str:
    """Every study of a group of `make learn`: median and range over seeds."""
    lines = ["| study | quantity | median (range) |", "|---|---|---:|"]
    for path in sorted((RESULTS / "studies").glob("*.json")):
        if next((g for g, names in GROUPS.items() if path.name.startswith(names)), "") != group:
            continue
        record = json.loads(path.read_text())
        name = f"{record['description']}, {_count(len(record['seeds']), 'seed')}"
        for quantity in [*record["targets"], *NOTED.get(path.stem, ())]:
            low, high = record["spread"][quantity]
            spread = f" ({low:.4g}–{high:.4g})" if len(record["seeds"]) > 1 else ""
            met = record["met"].get(quantity, True)
            missed = "" if met else f", **not {record['targets'][quantity]}**"
            text = quantity.replace("|", "\\|")
            lines.append(f"| {name} | {text} | {record['median'][quantity]:.4g}{spread}{missed} |")
            name = ""
    return "\n".join(lines)


NOTED: dict[str, list[str]] = {
    **{
        f"lapgan-{name}": [
            *(f"FID, detail {part}" for part in ("own", "shuffled", "coarse alone")),
            *(f"{who}: {kind}" for kind in ("fid", "CPU seconds") for who in ("LAPGAN", "DCGAN")),
        ]
        for name in ("cifar10", "emoji")
    },
    **{
        f"pix2pix-facades-{size}": [
            *(f"{who}: gradient_energy" for who in ("L1", "GAN", "L1 + GAN")),
            *(f"{who}: absolute_error" for who in ("L1", "GAN", "L1 + GAN")),
            "cpu_seconds",
        ]
        for size in (64, 128)
    },
    "pix2pix-facades-labels": [
        "L1: pixel_accuracy",
        "L1: class_accuracy",
        "L1: mean_iou",
        "L1: majority",
        "L1 + GAN: pixel_accuracy",
        "L1 + GAN: mean_iou",
        "cpu_seconds",
    ],
    **{
        f"pix2pix-{name}": [
            *(f"{who}: histogram_{kind}" for kind in "ab" for who in ("L1", "L1 + GAN")),
            "cpu_seconds",
        ]
        for name in ("colours", "edges")
    },
    **{
        f"vgan-{name}": ["consistency", "consistency of the data", "cpu_seconds"]
        for name in ("moving-shapes", "shapes", "weizmann")
    },
    "few-images": ["as they are: fid", "crop: fid", "affine: fid"],
    "few-images-settings": [
        f"{name}, {variant}: {number}"
        for name in ("mnist", "digits", "cifar10-batch1")
        for variant in ("no penalty", "R1")
        for number in ("fid", "precision", "recall", "coverage", "CPU seconds")
    ],
    "vae-budgets": [f"bound after {shown} images" for shown in ("160,000", "640,000", "1,280,000")],
    "gan-images-longer": [
        f"mnist, {name}: {number}"
        for name in ("DCGAN", "R3GAN")
        for number in ("CPU seconds", "fid", "coverage")
    ],
    "gan-images-64": [
        f"cifar10-batch1@64, {name}: {number}"
        for name in ("DCGAN without noise", "DCGAN", "R3GAN")
        for number in ("CPU seconds", "fid", "recall", "coverage")
    ],
    "super-resolution": [
        *(f"SRResNet, {name}: ssim" for name in ("Set5", "Set14")),
        *(f"SRGAN, {name}: psnr" for name in ("Set5", "Set14")),
        *(f"{name}, Set5: energy" for name in ("SRResNet", "SRGAN")),
        *(f"{name}: training CPU seconds" for name in ("SRResNet", "SRGAN")),
    ],
    "infogan-mnist-plain": ["error of the category, best matching"],
}
"""Further quantities to show, by study; those with a target are always shown."""


def stacked() -> str:
    """StackedMNIST during the training of two DCGANs.

    The second's critic sees two images at once.
    """
    seeds = [_seeds(name)[0] for name in ("stacked-mnist", "stacked-mnist-packed")]
    numbers = " | ".join(("modes of 1000", "reverse KL, nats", "CPU minutes"))
    lines = [f"| epochs | DCGAN: {numbers} | PacDCGAN2: {numbers} |", "|---:|" + "---:|" * 6]
    marks = [
        key.removeprefix("modes of 1000")
        for key in seeds[0]
        if key.startswith("modes of 1000 after")
    ]
    for mark in marks:
        cells = []
        for seed in seeds:
            cells += [
                f"{seed['modes of 1000' + mark]:.0f}",
                f"{seed['reverse KL, nats' + mark]:.3f}",
            ]
            cells.append(f"{seed['training CPU seconds' + mark] / 60:.0f}")
        lines.append(
            f"| {mark.removeprefix(' after ').removesuffix(' epochs')} | "
            + " | ".join(cells)
            + " |"
        )
    ideal, width = seeds[0]["ideal: reverse KL, nats"], seeds[0]["width"]
    note = (
        "128 000 images an epoch; measured on 26 000 samples, for which an ideal sampler's reverse"
        f" KL is {ideal:.3f}; width {width}, one seed."
    )
    return "\n".join([*lines, "", note])


def curve() -> str:
    """The MNIST VAE's bound against its training budget, as medians over seeds."""
    records = [
        json.loads(path.read_text()) for path in (RESULTS / "studies").glob("mnist-vae*.json")
    ]
    lines = [
        "| epochs | CPU minutes | seeds | -L_5000, nats | active units |",
        "|---:|---:|---:|---:|---:|",
    ]
    for record in sorted(records, key=lambda r: r["median"]["epochs"]):
        m, n = record["median"], len(record["seeds"])
        bound = f"{m['-L_5000']:.2f} ± {m['standard error']:.2f}"
        lines.append(
            f"| {m['epochs']:.0f} | {m['training CPU seconds'] / 60:.0f} | {n} | {bound} |"
            f" {m['active units']:.0f} |"
        )
    return "\n".join(lines)


def hacks() -> str:
    """Every hack for training GANs: its effect, the half-width of the interval, and a verdict."""
    from pushforward.models.deep.hacks import list_hacks
    from pushforward.recipes import ablation

    sets = {"ring": "ring of 8", "grid": "grid of 25"}
    measured = {
        (name, case): _seeds(f"hacks-{name}-{case}")
        for name in sets
        for case in ablation.CASES
        if case != "modified_loss"
    }
    lines = [
        "| | hack | "
        + " | ".join(f"{text}: modes | high quality | reverse KL | " for text in sets.values())
        + " |"
    ]
    lines.append("|---:|---|" + "---:|---:|---:|---|" * len(sets))
    for name in ("none", "minimax"):
        lines.append(
            f"| | *{WITHOUT[name]}* | "
            + " | ".join(_plainly(measured[part, name], ablation.QUANTITIES) for part in sets)
            + " |"
        )
    for number, name, _, applies in list_hacks():
        if name not in ablation.CASES:
            reason = applies[max(0, applies.find("n/a")) :]
            lines.append(f"| {number} | {name} | {reason} " + "|" * 4 * len(sets))
            continue
        off = ablation.CASES[name].without
        pairs = [
            (measured[part, "none" if name == "modified_loss" else name], measured[part, off])
            for part in sets
        ]
        lines.append(
            f"| {number} | {name} | "
            + " | ".join(_changed(on, without, name == "labels") for on, without in pairs)
            + " |"
        )
    return "\n".join(lines)


def _seeds(name: str) -> list[dict[str, Any]]:
    path = RESULTS / "studies" / f"{name}.json"
    return list(json.loads(path.read_text())["seeds"].values()) if path.is_file() else []


def _plainly(seeds: list[dict[str, Any]], quantities: tuple[str, ...]) -> str:
    """Means of the seeds and the half-widths of their 95 % intervals, by Student's t."""
    if len(seeds) < 2:
        return " | ".join([*(["–"] * len(quantities)), "not measured yet"])
    cells = []
    for quantity, digits in zip(quantities, (1, 2, 3)):
        values = [seed[quantity] for seed in seeds]
        width = (
            float(student.ppf(0.975, len(values) - 1))
            * statistics.stdev(values)
            / len(values) ** 0.5
        )
        cells.append(f"{statistics.fmean(values):.{digits}f} ± {width:.{digits}f}")
    return " | ".join([*cells, f"{len(seeds)} seeds"])


def _changed(on: list[dict[str, Any]], off: list[dict[str, Any]], balanced: bool) -> str:
    """The effect of a hack on each quantity, and the verdict.

    A hack that sets the shares of modes is not judged by them.
    """
    from pushforward.recipes import ablation

    if len(on) < 2 or len(off) < 2:
        return " | ".join([*(["–"] * len(ablation.QUANTITIES)), "not measured yet"])
    judged = ablation.QUANTITIES[:2] if balanced else ablation.QUANTITIES
    changes = {q: ablation.difference([s[q] for s in on], [s[q] for s in off]) for q in judged}
    means = {q: statistics.fmean(s[q] for s in off) for q in ablation.QUANTITIES}
    ideal = {q: off[0][f"ideal: {q}"] for q in ablation.QUANTITIES}
    cells = [
        f"{change:+.{digits}f} ± {width:.{digits}f}"
        for (change, width), digits in zip(changes.values(), (1, 2, 3))
    ]
    cells += ["n/a"] * balanced
    remark = f" ({_count(len(on), 'seed')})" if len(on) < len(off) else ""
    return " | ".join([*cells, ablation.verdict(changes, means, ideal) + remark])


WITHOUT = {"none": "no hack, non-saturating", "minimax": "no hack, minimax"}


def gans_against_vaes() -> str:
    """The recipe's measures and those of real images: medians and ranges over seeds.

    Also counts the runs that failed. A VAE of dense layers, which learns all it can, stands beside.
    """
    from pushforward.recipes import gans_against_vaes as recipe

    record, dense = (_load(f"studies/gans-against-vaes{end}.json") for end in ("", "-dense"))
    seeds, others = (list(each["seeds"].values()) for each in (record, dense))
    half, whole = (key for key in others[0] if key.startswith("bound after"))
    seconds = f"CPU seconds of {whole.removeprefix('bound after ')}"
    others = [{**each, "VAE: CPU seconds": each[seconds]} for each in others]
    columns = [(name, seeds) for name in (recipe.REAL, *recipe.NAMES)] + [("VAE", others)]
    lines = [
        "| measure | " + " | ".join(("training images", *recipe.NAMES, "dense VAE")) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for kind, text in recipe.KINDS.items():
        cells = [
            _over_seeds(kind, [s[f"{name}: {kind}"] for s in found if f"{name}: {kind}" in s])
            for name, found in columns
        ]
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    remark = (
        f"log p is estimated on {recipe.ROWS} images and the gap on {recipe.DRAWN} simulated ones, "
        "all other measures use all images; the VAE's samples are without noise"
    )
    return "\n".join(
        [
            *lines,
            "",
            f"{record['description']}, {_count(len(seeds), 'seed')}, median (range); {remark}."
            f" Dense VAE: {dense['description']}, {_count(len(others), 'seed')}:"
            f" {_bounds(others, half)}, {_bounds(others, whole)}.",
        ]
    )


def _bounds(seeds: Sequence[Mapping[str, float]], kind: str) -> str:
    """A bound and its range over seeds, with one digit: '-103.1 (-103.4 to -102.9) after …'."""
    values = [seed[kind] for seed in seeds]
    return (
        f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"
        f" {kind.removeprefix('bound ')}"
    )


CONDITIONAL = {
    "pix2pix-two-colours": "two colours, equally likely",
    "pix2pix-facades-64": "facades from label maps, 64 pixels",
    "pix2pix-facades-128": "facades from label maps, 128 pixels",
    "pix2pix-colours": "CIFAR-10 coloured",
    "pix2pix-edges": "emoji from edges",
}
"""Studies in the table of conditional models."""
MEASURES = {
    "absolute_error": "absolute error",
    "saturation": "saturation, of the data's",
    "gradient_energy": "gradient energy, of the originals'",
    "histogram_a": "histogram of a",
    "histogram_b": "histogram of b",
    "variation": "variation with the noise",
}


def conditional() -> str:
    """Translators by L1 alone and by L1 and a critic: medians over seeds."""
    lines = ["| task | measure | L1 | L1 + GAN |", "|---|---|---:|---:|"]
    for name, task in CONDITIONAL.items():
        record = _load(f"studies/{name}.json")
        numbers = record["median"]
        text = f"{task}, {_count(len(record['seeds']), 'seed')}"
        for kind, measure in MEASURES.items():
            pair = [numbers.get(f"{player}: {kind}") for player in ("L1", "L1 + GAN")]
            if None not in pair:
                lines.append(f"| {text} | {measure} | {pair[0]:.3g} | {pair[1]:.3g} |")
                text = ""
    return "\n".join(lines)


def _over_seeds(kind: str, values: list[float]) -> str:
    if not values:
        return "–"
    if kind == "failed":
        return f"{sum(values):.0f} of {len(values)}"
    integers = ("parameters", "images shown", "CPU seconds", "own bound", "log p", "fid")
    digits = 0 if kind in integers else 3 if kind == "suspicious" else 2
    sign = "≥ " if kind in ("own bound", "log p") else ""
    spread = (
        f" ({min(values):.{digits}f} to {max(values):.{digits}f})"
        if min(values) < max(values)
        else ""
    )
    return f"{sign}{statistics.median(values):.{digits}f}{spread}"


def gan_images() -> str:
    """Two GANs trained for minutes on two sets of images: medians and ranges over seeds.

    Real images are measured beside them.
    """
    from pushforward.recipes import images

    record = _load("studies/gan-images.json")
    seeds = list(record["seeds"].values())
    columns = (images.REAL, *images.MAKERS)
    lines = [
        "| data | measure | " + " | ".join(("training images", *images.MAKERS)) + " |",
        "|---|---|" + "---:|" * len(columns),
    ]
    for data, name in {"mnist": "MNIST", "cifar10-batch1": "CIFAR-10, batch 1"}.items():
        for kind, text in IMAGES.items():
            cells = [
                _over_seeds(
                    kind,
                    [s[f"{data}, {who}: {kind}"] for s in seeds if f"{data}, {who}: {kind}" in s],
                )
                for who in columns
            ]
            lines.append(f"| {name} | {text} | " + " | ".join(cells) + " |")
            name = ""
    spaces = " and ".join(
        dict.fromkeys(
            seeds[0][f"{data}: features"].split(" #")[0] for data in ("mnist", "cifar10-batch1")
        )
    )
    return "\n".join(
        [
            *lines,
            "",
            (
                f"{record['description']}, {_count(len(seeds), 'seed')}, median (range); in"
                f" {spaces}."
            ),
        ]
    )


IMAGES = {
    "images shown": "images shown",
    "CPU seconds": "training, CPU seconds",
    "fid": "FID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "suspicious": "suspiciously close to a training image",
}


def likelihoods() -> str:
    """Log-densities of unseen digits under every model, with the same dequantised pixels."""
    record = _load("studies/digits-likelihood.json")
    lines = ["| model | nats per digit, median (range) |", "|---|---:|"]
    for name, text in LIKELIHOODS.items():
        low, high = record["spread"][name]
        lines.append(f"| {text} | {record['median'][name]:.1f} ({low:.1f}–{high:.1f}) |")
    return "\n".join(lines)


LIKELIHOODS = {
    "PPCA": "probabilistic PCA, exact",
    "GMM, full": "Gaussian mixture with full covariances, exact",
    "KDE": "kernel density, exact",
    "VAE, L_1000": "VAE, lower bound L_1000",
}


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


TABLES: dict[str, Callable[[], str]] = {
    "digits": digits,
    "likelihoods": likelihoods,
    "curve": curve,
    "hacks": hacks,
    "stacked": stacked,
    "gan-images": gan_images,
    "gans-against-vaes": gans_against_vaes,
    "conditional": conditional,
    "studies": studies,
    "games": partial(studies, "games"),
    "images": partial(studies, "images"),
    "gaps": partial(studies, "gaps"),
    "synthetic": synthetic,
    "standings": standings,
    "bench": bench,
}


def written(text: str) -> str:
    """The page with every table regenerated from its records."""
    for name, make in TABLES.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not mark.search(text):
            raise ValueError(f"{PAGE.name} has no marks <!-- {name} --> … <!-- /{name} -->")
        body = make()
        text = mark.sub(lambda m, body=body: m.group(1) + body + "\n" + m.group(2), text)  # type: ignore[misc]
    return text


def _load(name: str) -> Any:
    return json.loads((RESULTS / name).read_text())


def _sign(record: dict[str, Any]) -> str:
    return "≥ " if record["bound"] == "lower bound" else ""


AGAINST = {
    "stream-rate": "the same rows in memory, rate",
    "pca-memory": "scikit-learn",
    "gmm-float64": "scikit-learn",
    "gmm-float32": "pomegranate",
    "kmeans-vs-scikit-learn": "scikit-learn",
    "kmeans-vs-faiss": "faiss",
}


PEAKS = {
    "stream-memory": "anonymous GB at the peak",
    "enlarge-memory": "GB of the whole process at the peak",
}
"""Rows that are a size, not a ratio."""


def _side(row: dict[str, Any]) -> str:
    if row["name"] in PEAKS:
        return f": {PEAKS[row['name']]}"
    other = row.get("against") or AGAINST.get(row["name"])
    return f"; against {other}" if other else ""


def _elsewhere(row: dict[str, Any], on: dict[str, Any]) -> str:
    """The CPU, if it differs from the one named under the table."""
    cpu = row["machine"]["cpu"]
    return "" if cpu == on["cpu"] else f"; on {cpu}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
    sys.stdout.write("docs/results.md: tables written\n")
