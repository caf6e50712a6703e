"""`make readme`: write the README's tables from the records in results/, between their marks."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from scipy.stats import t as student

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
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
        cells = [f"{_sign(row[c])}{row[c]['value']:.1f} ± {row[c]['error']:.1f}" if c in row else "–" for c in DIGITS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bench() -> str:
    """Every comparison of `make bench`: its ratio with the spread over rounds, its target, and whether it was reached."""
    rows = _load("bench.json")["rows"]
    lines, on = ["| what | measured | asked for | |", "|---|---:|---:|---|"], next(iter(rows.values()))["machine"]
    for row in rows.values():
        ratio = row["ratio"]
        spread = f" ({ratio['min']:g}–{ratio['max']:g})" if "min" in ratio else ""
        asked = f"{'at most' if row.get('better') == 'lower' else 'at least'} {row['target']:g}" if row["target"] is not None else "–"
        state = "" if row["target"] is None else ("reached" if row["reached"] else f"**not reached**{_why(row)}")
        lines.append(f"| {row['what']}{_side(row)}{_elsewhere(row, on)} | {ratio['median']:g}{spread} | {asked} | {state} |")
    return "\n".join([*lines, "", f"{on['processor']}, {on['cores']} cores, Python {on['python']}, torch {on['torch']}."])


def studies(games: bool = False) -> str:
    """Every study of `make learn`, of GANs or of all else: the median over seeds with its spread, what is asked, and whether it holds."""
    lines = ["| study | number | median (range) | asked for | |", "|---|---|---:|---:|---|"]
    for path in sorted((RESULTS / "studies").glob("*.json")):
        if path.name.startswith(("gan", "fgan", "few", "infogan", "stacked")) != games:
            continue
        record = json.loads(path.read_text())
        name = f"{record['what']}, {_count(len(record['seeds']), 'seed')}"
        for quantity, bar in {**record["asked"], **dict.fromkeys(NOTED.get(path.stem, ()), "–")}.items():
            low, high = record["spread"][quantity]
            value = record["median"][quantity]
            state = "" if quantity not in record["asked"] else "reached" if record["held"][quantity] else "**not reached**"
            said = quantity.replace("|", "\\|")
            spread = f" ({low:.4g}–{high:.4g})" if len(record["seeds"]) > 1 else ""
            lines.append(f"| {name} | {said} | {value:.4g}{spread} | {bar} | {state} |")
            name = ""
    return "\n".join(lines)


NOTED: dict[str, list[str]] = {
    "few-images": ["as they are: fid", "crop: fid", "affine: fid"],
    "gan-images-longer": [f"mnist, {name}: {number}" for name in ("DCGAN", "R3GAN") for number in ("processor seconds", "fid", "coverage")],
    "gan-images-64": [
        f"cifar10-batch1@64, {name}: {number}"
        for name in ("DCGAN without noise", "DCGAN", "R3GAN")
        for number in ("processor seconds", "fid", "recall", "coverage")
    ],
    "infogan-mnist-plain": ["error of the category, best matching"],
}
"""Numbers of which nothing is asked, by study."""


def stacked() -> str:
    """StackedMNIST while two DCGANs learn, the second's critic seeing two images at once."""
    seeds = [_seeds(name)[0] for name in ("stacked-mnist", "stacked-mnist-packed")]
    numbers = " | ".join(("modes of 1000", "reverse KL, nats", "processor minutes"))
    lines = [f"| epochs | DCGAN: {numbers} | PacDCGAN2: {numbers} |", "|---:|" + "---:|" * 6]
    marks = [key.removeprefix("modes of 1000") for key in seeds[0] if key.startswith("modes of 1000 after")]
    for mark in marks:
        cells = []
        for found in seeds:
            cells += [f"{found['modes of 1000' + mark]:.0f}", f"{found['reverse KL, nats' + mark]:.3f}"]
            cells.append(f"{found['training processor seconds' + mark] / 60:.0f}")
        lines.append(f"| {mark.removeprefix(' after ').removesuffix(' epochs')} | " + " | ".join(cells) + " |")
    ideal, width = seeds[0]["ideal: reverse KL, nats"], seeds[0]["width"]
    said = f"128 000 images an epoch, 26 000 samples, whose reverse KL is {ideal:.3f} from an ideal sampler; width {width}, one seed."
    return "\n".join([*lines, "", said])


def curve() -> str:
    """How the MNIST VAE's bound goes on with the budget: the median over seeds where there are several."""
    records = [json.loads(path.read_text()) for path in (RESULTS / "studies").glob("mnist-vae*.json")]
    lines = ["| epochs | processor minutes | seeds | -L_5000, nats | active units |", "|---:|---:|---:|---:|---:|"]
    for record in sorted(records, key=lambda r: r["median"]["epochs"]):
        m, n = record["median"], len(record["seeds"])
        bound = f"{m['-L_5000']:.2f} ± {m['standard error']:.2f}"
        lines.append(f"| {m['epochs']:.0f} | {m['training processor seconds'] / 60:.0f} | {n} | {bound} | {m['active units']:.0f} |")
    return "\n".join(lines)


def hacks() -> str:
    """Every hack for training GANs: how much it changed, with the half-width of the interval, and what that comes to."""
    from pushforward.models.deep.hacks import listing
    from pushforward.recipes import ablation

    sets = {"ring": "ring of 8", "grid": "grid of 25"}
    known = {(name, case): _seeds(f"hacks-{name}-{case}") for name in sets for case in ablation.CASES if case != "modified_loss"}
    lines = ["| | hack | " + " | ".join(f"{text}: modes | high quality | reverse KL | " for text in sets.values()) + " |"]
    lines.append("|---:|---|" + "---:|---:|---:|---|" * len(sets))
    for name in ("none", "minimax"):
        lines.append(f"| | *{WITHOUT[name]}* | " + " | ".join(_plainly(known[part, name], ablation.QUANTITIES) for part in sets) + " |")
    for number, name, _, applies in listing():
        if name not in ablation.CASES:
            reason = applies[max(0, applies.find("n/a")) :]
            lines.append(f"| {number} | {name} | {reason} " + "|" * 4 * len(sets))
            continue
        off = ablation.CASES[name].without
        pairs = [(known[part, "none" if name == "modified_loss" else name], known[part, off]) for part in sets]
        lines.append(f"| {number} | {name} | " + " | ".join(_changed(on, without, name == "labels") for on, without in pairs) + " |")
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
        width = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
        cells.append(f"{statistics.fmean(values):.{digits}f} ± {width:.{digits}f}")
    return " | ".join([*cells, f"{len(seeds)} seeds"])


def _changed(on: list[dict[str, Any]], off: list[dict[str, Any]], balanced: bool) -> str:
    """How far each number is from the one without the hack, and the verdict; shares of modes that were asked for say nothing."""
    from pushforward.recipes import ablation

    if len(on) < 2 or len(off) < 2:
        return " | ".join([*(["–"] * len(ablation.QUANTITIES)), "not measured yet"])
    told = ablation.QUANTITIES[:2] if balanced else ablation.QUANTITIES
    changes = {q: ablation.difference([s[q] for s in on], [s[q] for s in off]) for q in told}
    means = {q: statistics.fmean(s[q] for s in off) for q in ablation.QUANTITIES}
    ideal = {q: off[0][f"ideal: {q}"] for q in ablation.QUANTITIES}
    cells = [f"{change:+.{digits}f} ± {width:.{digits}f}" for (change, width), digits in zip(changes.values(), (1, 2, 3))]
    cells += ["n/a"] * balanced
    few = f" ({_count(len(on), 'seed')})" if len(on) < len(off) else ""
    return " | ".join([*cells, ablation.verdict(changes, means, ideal) + few])


WITHOUT = {"none": "no hack, non-saturating", "minimax": "no hack, minimax"}


def gans_against_vaes() -> str:
    """The recipe's measures, the median over seeds with its range, real images beside them, and how many runs failed."""
    from pushforward.recipes import gans_against_vaes as recipe

    record = _load("studies/gans-against-vaes.json")
    seeds = list(record["seeds"].values())
    columns = (recipe.REAL, *recipe.NAMES)
    lines = ["| measure | " + " | ".join(("images learnt from", *recipe.NAMES)) + " |", "|---|" + "---:|" * len(columns)]
    for kind, said in recipe.KINDS.items():
        cells = [_over_seeds(kind, [s[f"{name}: {kind}"] for s in seeds if f"{name}: {kind}" in s]) for name in columns]
        lines.append(f"| {said} | " + " | ".join(cells) + " |")
    few = f"log p is of {recipe.ROWS} images and the gap of {recipe.DRAWN} drawn ones, all else of all; the VAE's samples are without noise"
    return "\n".join([*lines, "", f"{record['what']}, {_count(len(seeds), 'seed')}, median (range); {few}."])


def _over_seeds(kind: str, values: list[float]) -> str:
    if not values:
        return "–"
    if kind == "failed":
        return f"{sum(values):.0f} of {len(values)}"
    whole = ("parameters", "images shown", "processor seconds", "own bound", "log p", "fid")
    digits = 0 if kind in whole else 3 if kind == "suspicious" else 2
    sign = "≥ " if kind in ("own bound", "log p") else ""
    spread = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if min(values) < max(values) else ""
    return f"{sign}{statistics.median(values):.{digits}f}{spread}"


def gan_images() -> str:
    """What minutes of two GANs reach on two sets of images, real ones beside them: medians over seeds with ranges."""
    from pushforward.recipes import images

    record = _load("studies/gan-images.json")
    seeds = list(record["seeds"].values())
    columns = (images.REAL, *images.MAKERS)
    lines = ["| data | measure | " + " | ".join(("images learnt from", *images.MAKERS)) + " |", "|---|---|" + "---:|" * len(columns)]
    for data, name in {"mnist": "MNIST", "cifar10-batch1": "CIFAR-10, batch 1"}.items():
        for kind, said in IMAGES.items():
            cells = [_over_seeds(kind, [s[f"{data}, {who}: {kind}"] for s in seeds if f"{data}, {who}: {kind}" in s]) for who in columns]
            lines.append(f"| {name} | {said} | " + " | ".join(cells) + " |")
            name = ""
    spaces = " and ".join(dict.fromkeys(seeds[0][f"{data}: features"].split(" #")[0] for data in ("mnist", "cifar10-batch1")))
    return "\n".join([*lines, "", f"{record['what']}, {_count(len(seeds), 'seed')}, median (range); in {spaces}."])


IMAGES = {
    "images shown": "images shown",
    "processor seconds": "training, thread seconds",
    "fid": "FID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "suspicious": "suspiciously near to a training image",
}


def likelihoods() -> str:
    """Unseen digits under every model, the same dequantised pixels for all."""
    record = _load("studies/digits-likelihood.json")
    lines = ["| model | nats a digit, median (range) |", "|---|---:|"]
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


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


TABLES: dict[str, Callable[[], str]] = {
    "digits": digits,
    "likelihoods": likelihoods,
    "curve": curve,
    "hacks": hacks,
    "stacked": stacked,
    "gan-images": gan_images,
    "gans-against-vaes": gans_against_vaes,
    "studies": studies,
    "games": partial(studies, games=True),
    "bench": bench,
}


def written(text: str) -> str:
    """The README with every table made anew from its records."""
    for name, make in TABLES.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not mark.search(text):
            raise ValueError(f"README.md has no marks <!-- {name} --> … <!-- /{name} -->")
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


def _side(row: dict[str, Any]) -> str:
    if row["name"] == "stream-memory":
        return ": anonymous GB at the peak"
    other = row.get("against") or AGAINST.get(row["name"])
    return f"; against {other}" if other else ""


def _elsewhere(row: dict[str, Any], on: dict[str, Any]) -> str:
    """The processor, where it is not the one under the table."""
    processor = row["machine"]["processor"]
    return "" if processor == on["processor"] else f"; on {processor}"


def _why(row: dict[str, Any]) -> str:
    return f": {row['why']}" if row.get("why") else ""


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    sys.stdout.write("README.md: tables written\n")
