"""Models. Importing this package registers their names; the classes are imported on demand."""

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
            "k cluster centres, each the mean of its rows: clusters",
        ),
        "independent": (
            "pushforward.models.tabular.independent",
            (
                "independent columns of a table, the baseline: density, samples; takes missing"
                " values and categories"
            ),
        ),
        "copula": (
            "pushforward.models.tabular.copula",
            (
                "Gaussian copula of a table with any margins: density, samples, conditionals, gaps"
                " filled; takes missing values and categories"
            ),
        ),
        "mixed": (
            "pushforward.models.tabular.mixed",
            (
                "mixture over mixed columns of a table: density, clusters, samples, conditionals,"
                " gaps filled; takes missing values and categories"
            ),
        ),
        "autoencoder": (
            "pushforward.models.deep.autoencoder",
            "a network that encodes and decodes: codes and reconstructions",
        ),
        "vae": (
            "pushforward.models.deep.vae",
            "variational auto-encoder: codes, samples and a bound on the density",
        ),
        "gan": (
            "pushforward.models.deep.gan",
            "a generator against a critic, in any game: samples",
        ),
        "dcgan": (
            "pushforward.models.deep.dcgan",
            "a GAN of strided convolutions with batch norm: images",
        ),
        "r3gan": (
            "pushforward.models.deep.r3gan",
            "a GAN of residual networks in the regularised relativistic game: images",
        ),
        "infogan": (
            "pushforward.models.deep.infogan",
            "a GAN with a recogniser: samples, and codes of observations",
        ),
        "ebgan": (
            "pushforward.models.deep.ebgan",
            "a generator against an auto-encoder's reconstruction error: samples, and an energy",
        ),
        "lapgan": (
            "pushforward.models.deep.lapgan",
            "a pyramid of GANs, each of which adds the detail of its size: images",
        ),
        "pix2pix": (
            "pushforward.models.deep.pix2pix",
            "images made from images by a U-Net against a critic of patches: translations",
        ),
        "srgan": (
            "pushforward.models.deep.srgan",
            "images enlarged to look real, by a GAN and a perceptual loss (of the extra metrics, or"
            " none): translations",
        ),
        "srresnet": (
            "pushforward.models.deep.srresnet",
            "images enlarged 2, 3, 4 or 8 times by a residual network: translations",
        ),
        "vgan": (
            "pushforward.models.deep.vgan",
            "clips of a moving foreground before a still background: samples, masks",
        ),
        "ctgan": (
            "pushforward.models.tabular.ctgan",
            ("a conditional GAN for tables with categories: samples; takes missing values"),
        ),
        "tvae": (
            "pushforward.models.tabular.tvae",
            (
                "variational auto-encoder for tables with categories: codes, samples, a bound on"
                " the density; takes missing values, and fills them in"
            ),
        ),
    }
)

unlisted["fourier_kde"] = "pushforward.models.classical.fourier_kde"
