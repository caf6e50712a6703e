from pushforward.densities.choose import KernelSums as KernelSums
from pushforward.densities.choose import log_density as log_density
from pushforward.densities.fourier_sums import FourierState as FourierState
from pushforward.densities.frequency_grid import FrequencyGrid as FrequencyGrid
from pushforward.densities.kernels import KERNELS as KERNELS
from pushforward.densities.kernels import Kernel as Kernel
from pushforward.densities.scales import Scale as Scale
