"""Every registered model, as small as it comes: its settings,
data it takes, itself fitted, and all that it says of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.learner import Learner
from pushforward.core.registry import catalogue

# not those that other tests register
MODELS = {name: cls for name, cls in pf.registered_models() if name in catalogue}
NAMES = list(MODELS)
SMALL: dict[str, dict[str, Any]] = {
    "pca": {"components": 2},
    "autoencoder": {"latent": 2, "hidden": (8,)},
    "vae": {"latent": 2, "hidden": (8,)},
    "gan": {"latent": 2, "hidden": (8,)},
    "dcgan": {"latent": 2, "width": 4},
    "r3gan": {"latent": 2, "width": 8, "blocks": 1, "gamma": 0.1},
    "infogan": {"latent": 2, "categories": (3,), "continuous": 1, "hidden": (8,)},
    "ebgan": {"latent": 2, "code": 2, "hidden": (32,)},
    "lapgan": {"latent": 2, "width": 4, "base": "mlp(hidden=(8,))"},
    "pix2pix": {"width": 4},
    "srgan": {
        "width": 4,
        "blocks": 1,
        "features": "none",
        "critic_width": 4,
        "critic_hidden": 8,
    },
    "srresnet": {"width": 4, "blocks": 1},
    "vgan": {"latent": 2, "width": 4},
    "ctgan": {"latent": 2, "hidden": (32,), "critic_hidden": (32,), "packing": 2},
    "tvae": {"latent": 2, "hidden": (16,)},
    "gmm": {"components": 2},
    "kmeans": {"clusters": 2},
    "mixed": {"components": 2},
}
PAIRED = {"pix2pix": 1, "srgan": 2, "srresnet": 2}
"""Models that need images as conditions, with the factor by which those are smaller."""
DETERMINED = {"srgan", "srresnet"}
"""Models whose samples are a function of their conditions."""
CLIPS = {"vgan"}
"""Models of clips."""
IMAGES = {"dcgan", "r3gan", "lapgan", *PAIRED, *CLIPS}
"""Models that take images, or clips, and nothing else."""
TABLES = {"ctgan", "tvae"}
"""Models that take tables, and no images."""
ENCODED = {"ctgan", "tvae"}
"""Models whose coordinates are more than the columns."""
VERBS = ("encode", "log_prob", "elbo", "assign", "responsibilities")


def rows(n: int = 96, d: int = 3, seed: int = 0) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=stream, dtype=torch.float64)
    return x * torch.linspace(1, 3, d, dtype=torch.float64) + 5


def images(n: int = 96, seed: int = 0, shape: tuple[int, ...] = (1, 8, 9)) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(n, *shape, generator=stream, dtype=torch.float64) * 2 + 4


def write_photos(folder: Any, n: int = 8) -> Any:
    """n small images in colour, as PNG files."""
    folder.mkdir()
    levels = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    for i, image in enumerate(levels):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def data(name: str, seed: int = 0) -> torch.Tensor:
    """Data that the model takes."""
    if name in CLIPS:
        return images(seed=seed, shape=(1, 2, 8, 8))
    if name in PAIRED:
        return images(seed=seed, shape=(1, 8, 8))
    return images(seed=seed) if name in IMAGES else rows(seed=seed)


def conditions(name: str, x: Any) -> Any:
    """Images as conditions of images x, for the models that need them; otherwise None."""
    if name not in PAIRED:
        return None
    if x.ndim < 4:  # points, which such models refuse
        return x
    return x[..., :: PAIRED[name], :: PAIRED[name]]


def make(name: str, **settings: Any) -> Any:
    """The model, not fitted yet."""
    return MODELS[name](**{**SMALL.get(name, {}), **settings})


def fitted(name: str, x: Any = None, y: Any = None, *, settings: Any = None, **how: Any) -> Any:
    """The model of x, by two epochs (or as `how` says) where it learns by gradients."""
    model = make(name, **(settings or {}))
    x = data(name) if x is None else x
    y = conditions(name, x) if y is None else y
    how = (
        {"batch": 32, "seed": 0, **how}
        if {"steps", "epochs"} & how.keys()
        else {"epochs": 2, "batch": 32, "seed": 0, **how}
    )
    return model.fit(
        x,
        y,
        by=pf.Trainer(**how) if isinstance(model, Learner) else None,
    )


def said(model: Any, x: Any, rng: int = 0) -> dict[str, torch.Tensor]:
    """All that a model says of rows, by verb."""
    verbs = [verb for verb in VERBS if hasattr(model, verb)]
    return {
        verb: (
            getattr(model, verb)(x, rng=rng) if verb == "elbo" else getattr(model, verb)(x)
        ).detach()
        for verb in verbs
    }


def asked(model: Any, x: Any, n: int = 4, rng: int = 0) -> dict[str, torch.Tensor]:
    """All that a model says of rows, and n draws."""
    found = said(model, x, rng)
    return {**found, "sample": sampled(model, n, rng)} if hasattr(model, "sample") else found


def sampled(model: Any, n: Any, rng: Any = 0) -> torch.Tensor:
    """n samples, under the same image for all where the model needs conditions."""
    space = model.condition_space
    if space is None:
        return model.sample(n, rng=rng).detach()
    y = torch.linspace(space.low, space.high, space.size, dtype=torch.float64).reshape(
        1, *space.shape
    )
    return model.sample(n, y=y[0], rng=rng).detach()


def same(one: Any, two: Any, x: Any) -> None:
    """Both models say the same about x and draw the same."""
    left, right = asked(one, x, 7, 3), asked(two, x, 7, 3)
    assert left.keys() == right.keys()
    for verb, value in left.items():
        assert torch.equal(value, right[verb]), verb
