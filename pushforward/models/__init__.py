"""Models. Importing this package fills the catalogue of names;
the classes themselves are imported on demand.
"""

from pushforward.core.registry import catalogue, unlisted

catalogue.update(
    {
        "pca": (
            "pushforward.models.classical.pca",
            "principal components as a probabilistic model: exact density, codes, samples",
        ),
        "kde": (
            "pushforward.models.classical.kde",
            "kernel density: exact density, samples, conditionals, any kernel, any bandwidths",
        ),
        "gaussian": (
            "pushforward.models.classical.gaussian",
            "one normal distribution: exact density, samples, conditionals, marginals",
        ),
        "gmm": (
            "pushforward.models.classical.gmm",
            (
                "mixture of normal distributions: exact density, clusters, samples, conditionals;"
                " takes missing values"
            ),
        ),
        "kmeans": (
            "pushforward.models.classical.kmeans",
            "cluster centres nearest to their rows: clusters",
        ),
        "autoencoder": (
            "pushforward.models.deep.autoencoder",
            "a network that encodes and decodes: codes and reconstructions",
        ),
        "vae": (
            "pushforward.models.deep.vae",
            "variational auto-encoder: codes, samples and a bound on the density",
        ),
        "gan": ("pushforward.models.deep.gan", "two players, any game: samples"),
        "dcgan": (
            "pushforward.models.deep.dcgan",
            "two players, strided convolutions with batch norm: images",
        ),
        "r3gan": (
            "pushforward.models.deep.r3gan",
            "two players, regularised relativistic game, residual networks: images",
        ),
        "infogan": (
            "pushforward.models.deep.infogan",
            "two players and a recogniser: samples, and codes of observations",
        ),
        "ebgan": (
            "pushforward.models.deep.ebgan",
            "a generator against an auto-encoder's reconstruction error: samples, and an energy",
        ),
    }
)

unlisted["fourier_kde"] = "pushforward.models.classical.fourier_kde"
