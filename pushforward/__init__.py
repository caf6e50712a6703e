"""Pushforward: generative models behind one set of verbs.

A distribution you can sample from, pushed through a function, is another distribution: x = f(z).
Public names load on first use, so that importing the package costs little; what they are is in
`__init__.pyi`, where type checkers look.
"""

from __future__ import annotations

from pushforward.core.lazy import lazy

__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "core.model": ["Model"],
        "core.learner": ["Learner"],
        "core.fitter": ["Symptom"],
        "core.fixed": ["Fixed"],
        "core.phase": [
            "Batch",
            "Phase",
            "Step",
            "Terms",
            "play_together",
            "adam",
            "adamw",
            "sgd",
            "rmsprop",
            "Optimizer",
        ],
        "core.space": ["Space", "Column"],
        "core.scaling": ["Scaling"],
        "core.array_source": ["Arrays"],
        "core.source": ["Source"],
        "core.stream": ["Stream"],
        "core.records": ["Record"],
        "core.registry": ["register", "Value", "registered_models"],
        "core.storage": ["load"],
        "core.errors": [
            "PushforwardError",
            "InvalidValue",
            "InvalidKind",
            "NotFitted",
            "ShapeMismatch",
            "BadSource",
            "BadRun",
            "Diverged",
            "MissingExtra",
            "FitWarning",
        ],
        "core.capabilities": ["capabilities"],
        "data": ["read", "register_reader", "split"],
        "experiments": ["Experiment", "compare_tables"],
        "experiments.choosing": ["fit_auto"],
        "experiments.conditionals": ["condition"],
        "experiments.gaps": ["fill"],
        "experiments.groups": ["describe"],
        "experiments.oddity": ["odd"],
        "experiments.synthesis": ["synthesise"],
        "experiments.table_models": ["TableReading"],
        "fitting": ["Trainer", "EM"],
        "fitting.augment": ["dequantise", "binarise", "flip", "crop", "affine"],
        "latent.paths": ["interpolate"],
        "latent.projection": ["project"],
        "metrics.feature_names": ["register_features"],
        "metrics.scores": ["register_metric"],
        "models.classical.pca": ["PCA"],
        "models.classical.kde": ["KDE"],
        "models.classical.fourier_kde": ["FourierKDE"],
        "models.classical.gaussian": ["Gaussian"],
        "models.classical.gmm": ["GMM", "choose_components"],
        "models.classical.kmeans": ["KMeans"],
        "models.tabular.copula": ["GaussianCopula"],
        "models.tabular.independent": ["IndependentColumns"],
        "models.tabular.mixed": ["MixedMixture"],
        "models.deep.autoencoder": ["Autoencoder"],
        "models.deep.vae": ["VAE"],
        "models.deep.gan": ["GAN"],
        "models.deep.dcgan": ["DCGAN"],
        "models.deep.r3gan": ["R3GAN"],
        "models.deep.infogan": ["InfoGAN"],
        "models.deep.lapgan": ["LAPGAN"],
        "models.deep.ebgan": ["EBGAN"],
        "models.deep.pix2pix": ["Pix2Pix"],
        "models.deep.srgan": ["SRGAN"],
        "models.deep.srresnet": ["SRResNet"],
        "models.deep.vgan": ["VGAN"],
        "models.deep.observed": ["Observed"],
        "models.tabular.ctgan": ["CTGAN"],
        "models.tabular.tvae": ["TVAE"],
    },
    modules=["compat", "latent"],
    first="pushforward.models",  # fills the catalogue
)
