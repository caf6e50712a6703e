"""Kernels, bandwidths, kernel sums and distributions: the numerics of densities, on tensors."""

from pushforward.densities.choose import KernelSums, log_density
from pushforward.densities.fourier_sums import FourierState
from pushforward.densities.frequency_grid import FrequencyGrid
from pushforward.densities.kernels import KERNELS, Kernel
from pushforward.densities.scales import Scale

__all__ = [
    "KERNELS",
    "FourierState",
    "FrequencyGrid",
    "Kernel",
    "KernelSums",
    "Scale",
    "log_density",
]
