"""Robust timing on a noisy machine: sides in turn, ratios per round, medians and spread."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

REST = 0.2
"""Seconds before each call. The threads of OpenBLAS and OpenMP spin for up to a tenth of a second
after their work, on cores that the other side needs.
"""


class Unavailable(Exception):
    """A benchmark cannot run on this machine."""


def machine() -> dict[str, Any]:
    """Description of the machine."""
    import torch

    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), ""
    )
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def side_by_side(sides: dict[str, Callable[[], float]], rounds: int = 5) -> dict[str, list[float]]:
    """Each side's number, once per round, sides in turn, with a rest before each.

    A warm-up round is discarded.
    """
    numbers: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(1 + rounds):
        for name, work in sides.items():
            time.sleep(REST)
            numbers[name].append(work())
    return {name: values[1:] for name, values in numbers.items()}


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of the ratios of each round."""
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    return {
        "median": round(statistics.median(ratios), 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
    }


def median(values: Sequence[float]) -> float:
    """Median to four digits."""
    return float(f"{statistics.median(values):.4g}")


def child(code: str, *arguments: str) -> str:
    """Standard output of a fresh Python running `code`."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    ).stdout
