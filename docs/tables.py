"""`make readme`: write the README's tables from the records in results/, between their marks."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    lines = ["| what | measured | asked for | |", "|---|---:|---:|---|"]
    for row in rows.values():
        ratio = row["ratio"]
        spread = f" ({ratio['min']:g}–{ratio['max']:g})" if "min" in ratio else ""
        asked = f"{'at most' if row.get('better') == 'lower' else 'at least'} {row['target']:g}" if row["target"] is not None else "–"
        state = "" if row["target"] is None else ("reached" if row["reached"] else f"**not reached**{_why(row)}")
        lines.append(f"| {row['what']}{_side(row)} | {ratio['median']:g}{spread} | {asked} | {state} |")
    on = next(iter(rows.values()))["machine"]
    return "\n".join([*lines, "", f"{on['processor']}, {on['cores']} cores, Python {on['python']}, torch {on['torch']}."])


def studies() -> str:
    """Every study of `make learn`: the median over seeds with its spread, what is asked, and whether it was reached."""
    lines = ["| study | number | median (range) | asked for | |", "|---|---|---:|---:|---|"]
    for path in sorted((RESULTS / "studies").glob("*.json")):
        record = json.loads(path.read_text())
        name = f"{record['what']}, {_count(len(record['seeds']), 'seed')}"
        for quantity, bar in record["asked"].items():
            low, high = record["spread"][quantity]
            value = record["median"][quantity]
            state = "reached" if record["held"][quantity] else "**not reached**"
            lines.append(f"| {name} | {quantity} | {value:.4g} ({low:.4g}–{high:.4g}) | {bar} | {state} |")
            name = ""
    return "\n".join(lines)


def likelihoods() -> str:
    """Unseen digits under every model, the same dequantised pixels for all."""
    record = json.loads((RESULTS / "studies" / "digits-likelihood.json").read_text())
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


TABLES: dict[str, Callable[[], str]] = {"digits": digits, "likelihoods": likelihoods, "studies": studies, "bench": bench}


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


def _why(row: dict[str, Any]) -> str:
    return f": {row['why']}" if row.get("why") else ""


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    sys.stdout.write("README.md: tables written\n")
