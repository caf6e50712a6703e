"""scikit-learn's API: estimators for its pipelines, searches and cross-validation.

    from pushforward.compat.sklearn import PCA, KernelDensity, GaussianMixture, KMeans, Estimator

Arguments, methods and attributes are scikit-learn's, and so are the results if the definitions
agree; each class lists its differences. `Estimator` wraps any model trained by gradients
(autoencoder, VAE, GAN, your own).
"""

from pushforward.compat.clusters import KMeans
from pushforward.compat.components import PCA
from pushforward.compat.kernels import KernelDensity
from pushforward.compat.learners import Estimator
from pushforward.compat.mixtures import GaussianMixture

__all__ = ["PCA", "KernelDensity", "GaussianMixture", "KMeans", "Estimator"]
