"""Running means for progress reports: every term since the last report, and the speed."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from pushforward.fitting.processes import Processes

__all__ = ["Tally"]


class Tally:
    """Sums and counts of scalars by name, kept on the device to avoid synchronisation.

    Args:
        processes: the means are over all of them.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._began, self._from_step = time.perf_counter(), 0

    def begin(self, step: int) -> None:
        """Start measuring the speed."""
        self._began, self._from_step = time.perf_counter(), step

    def note(self, name: str, value: Tensor) -> None:
        """Add a scalar."""
        total = self._sums.get(name)
        if total is None:
            self._sums[name], self._counts[name] = value.to(torch.float32).clone(), 1
        else:
            total.add_(value)
            self._counts[name] += 1

    def __bool__(self) -> bool:
        return bool(self._sums)

    def report(self, step: int) -> tuple[float, dict[str, float]]:
        """Steps per second and the means since the last report; both are then reset."""
        rate = (step - self._from_step) / max(time.perf_counter() - self._began, 1e-9)
        self.begin(step)
        world = self._processes.world
        means = {
            name: float(self._processes.total(value) / world) / self._counts[name]
            for name, value in self._sums.items()
        }
        self._sums, self._counts = {}, {}
        return rate, means

    def state(self) -> dict[str, object]:
        """What exact resume needs: the sums, of every process where there are several."""
        gathered = self._processes.gathered(self._sums)
        return {
            "sums": gathered if self._processes.world > 1 else self._sums,
            "counts": self._counts,
        }

    def load(self, sums: Mapping[str, Tensor], counts: Mapping[str, int]) -> None:
        """Restore this process's sums, and the counts."""
        self._sums = {k: v.clone().to(self._processes.device) for k, v in sums.items()}
        self._counts = dict(counts)
