"""Kernels, bandwidths, kernel sums and distributions: the numerics of densities, on tensors."""

from __future__ import annotations

from pushforward.core.lazy import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "choose": ["KernelSums", "log_density"],
        "fourier_sums": ["FourierState"],
        "frequency_grid": ["FrequencyGrid"],
        "kernels": ["KERNELS", "Kernel"],
        "scales": ["Scale"],
    },
)
