"""Metrics of 10 000 rows of 2 048 features beside other libraries: seconds, and peak memory.

Each side runs in a process of its own. Its memory is the largest resident size, less that of the
process with the rows and the libraries before it measures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from benchmarks.timing import child, median, ratio

Row = dict[str, Any]
ROWS = int(os.environ.get("DISTANCES_ROWS", 10_000))
COLUMNS = 2048
ROUNDS = 3
MEGABYTES = 1000
"""Memory of our side at most."""

COMMON = """
import json, resource, sys, time
import numpy as np
n, d = int(sys.argv[1]), int(sys.argv[2])
stream = np.random.default_rng(0)
mixing = stream.normal(size=(32, d)).astype(np.float32)
def rows(shift):
    x = stream.normal(size=(n, 32)).astype(np.float32) @ mixing
    return np.maximum(x + shift + stream.normal(size=(n, d)).astype(np.float32), 0) / 10
x, y = rows(0.0), rows(0.2)
{imports}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, begun = peak(), time.perf_counter()
values = {call}
print(json.dumps([time.perf_counter() - begun, peak() - before, values]))
"""
OURS_PRDC = COMMON.replace("{imports}", "from pushforward.metrics.manifold import prdc").replace(
    "{call}", "[r.value for r in prdc(x, y)]"
)
THEIR_PRDC = COMMON.replace("{imports}", "from prdc import compute_prdc").replace(
    "{call}",
    "(lambda found: [float(found[k]) for k in ('precision', 'recall', 'density', 'coverage')])"
    "(compute_prdc(x, y, nearest_k=5))",
)
OURS_KID = COMMON.replace(
    "{imports}", "from pushforward.metrics.kernel_distances import kid"
).replace("{call}", "[kid(x, y, block=1000).value]")
THEIR_KID = COMMON.replace(
    "{imports}", "import torch\nfrom torchmetrics.image.kid import poly_mmd"
).replace(
    "{call}",
    "[float(np.mean([poly_mmd(torch.from_numpy(x[i:i+1000]), torch.from_numpy(y[i:i+1000]))"
    " for i in range(0, n, 1000)]))]",
)


def _beside(name: str, what: str, ours: str, theirs: str, against: str, apart: float) -> Row:
    """A row: their seconds over ours, our memory, and how far the answers differ."""
    sides = {"pushforward": ours, against: theirs}
    found: dict[str, list[list[Any]]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side, code in sides.items():
            found[side].append(json.loads(child(code, str(ROWS), str(COLUMNS)).splitlines()[-1]))
    times = {side: [run[0] for run in runs] for side, runs in found.items()}
    memory = {side: round(max(run[1] for run in runs)) for side, runs in found.items()}
    one, two = (found[side][-1][2] for side in sides)
    difference = max(abs(a - b) for a, b in zip(one, two, strict=True))
    agree = difference <= apart and memory["pushforward"] <= MEGABYTES
    return {
        "name": name,
        "what": f"{what}, {ROWS:,} rows of {COLUMNS:,} features",
        "against": against,
        "seconds": {side: median(values) for side, values in times.items()},
        "megabytes": memory,
        "check": {"difference": difference, "values": one, "agree": agree},
        "ratio": ratio(times[against], times["pushforward"]),
        "target": 3.0,
    }


def manifold() -> Iterator[Row]:
    """Precision, recall, density and coverage."""
    what = "precision, recall, density, coverage (k = 5)"
    yield _beside("distances-prdc", what, OURS_PRDC, THEIR_PRDC, "prdc", 1e-9)


def kernels() -> Iterator[Row]:
    """KID in blocks of a thousand; blocks differ, so values agree up to their spread."""
    what = "KID in blocks of 1 000 rows"
    yield _beside("distances-kid", what, OURS_KID, THEIR_KID, "torchmetrics", 3e-4)


BENCHMARKS = {"distances-prdc": manifold, "distances-kid": kernels}
