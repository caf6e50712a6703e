"""This library by scikit-learn's names: estimators for its pipelines,
searches and cross-validation.

    from pushforward.compat.sklearn import PCA, KernelDensity, GaussianMixture, KMeans, Estimator

Arguments, methods and learnt attributes are scikit-learn's, and so are the numbers wherever the
definitions agree; each class says where they do not. `Estimator` puts any learner (auto-encoder,
VAE, GAN, one of your own) behind them.
"""

from pushforward.compat.clusters import KMeans
from pushforward.compat.components import PCA
from pushforward.compat.kernels import KernelDensity
from pushforward.compat.learners import Estimator
from pushforward.compat.mixtures import GaussianMixture

__all__ = ["PCA", "KernelDensity", "GaussianMixture", "KMeans", "Estimator"]
