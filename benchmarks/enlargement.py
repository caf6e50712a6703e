"""A photograph of 2 megapixels enlarged two times: in tiles and as a whole, time and memory."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import child, median, ratio, side_by_side

SIZE = (1224, 1632)
"""2 megapixels."""
CODE = """
import json, resource, sys, time
import torch
from pushforward.experiments import open_run
from pushforward.experiments.enlargements import enlarge
run, photo, result, tile = sys.argv[1:]
opened = open_run(run)
began = time.perf_counter()
list(enlarge(opened, photo, result, tile=int(tile) or None))
print(json.dumps({
    "seconds": time.perf_counter() - began,
    "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
}))
"""
WHOLE = 10**6
"""A tile as large as any photograph."""


def enlarging(rounds: int = 3) -> list[dict[str, Any]]:
    """`enlarge` with SRResNet's default network: seconds and memory of the whole process.

    Check: the images differ by a level at most.
    """
    import pushforward as pf

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        stream = torch.Generator().manual_seed(0)
        x = torch.randint(0, 256, (16, 3, 16, 16), generator=stream).to(torch.uint8)
        pf.SRResNet().fit(x, y="low_resolution(2)", steps=1, quiet=True).save(place / "run")
        smooth = np.random.default_rng(0).integers(0, 256, (51, 68, 3), dtype=np.uint8)
        Image.fromarray(smooth).resize(SIZE[::-1], Image.Resampling.BICUBIC).save(place / "a.png")
        memory: dict[str, list[float]] = {"tiles": [], "whole": []}

        def timed(name: str, tile: int) -> float:
            result = place / f"{name}.png"
            result.unlink(missing_ok=True)
            numbers = json.loads(
                child(CODE, str(place / "run"), str(place / "a.png"), str(result), str(tile))
            )
            memory[name].append(numbers["gigabytes"])
            return float(numbers["seconds"])

        sides = {"tiles": lambda: timed("tiles", 0), "whole": lambda: timed("whole", WHOLE)}
        seconds = side_by_side(sides, rounds=rounds)
        one, two = (np.array(Image.open(place / f"{name}.png")).astype(int) for name in sides)
    agree = bool(np.abs(one - two).max() <= 1)
    what = f"{SIZE[0]}x{SIZE[1]} photograph enlarged two times, from file to file"
    shared = {"what": what, "better": "lower", "check": {"agree": agree}}
    peak = [round(value, 3) for value in memory["tiles"]]
    return [
        {
            "name": "enlarge",
            "against": "the whole photograph at once",
            "seconds": {name: median(values) for name, values in seconds.items()},
            "gigabytes": {name: median(values) for name, values in memory.items()},
            "ratio": ratio(seconds["tiles"], seconds["whole"]),
            "target": 1.3,
            **shared,
        },
        {
            "name": "enlarge-memory",
            "against": "gigabytes of the whole process",
            "ratio": {"median": median(peak), "min": min(peak), "max": max(peak)},
            "target": 1.5,
            **shared,
        },
    ]


BENCHMARKS = {"enlarge": enlarging}
