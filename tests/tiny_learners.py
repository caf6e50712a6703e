"""Every registered learner, network and hack, as small as it comes, with data that it takes.

These are 16x16 images with two labels, images paired with images, or clips. At 16x16 the
convolutional networks have the memory formats they really have (channels last); at 8x8 these often
coincide with contiguous ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.learner import Learner
from pushforward.core.registry import catalogue
from pushforward.models.deep.hacks import Hack
from pushforward.nets.adversaries import Adversaries
from pushforward.nets.architectures import Architecture

Make = Callable[[], Any]

PAIRS = {
    "mlp": "mlp(hidden=(8,))",
    "veegan": "veegan(width=8)",
    "dcgan": "dcgan(width=8)",
    "infogan": "infogan(width=4)",
    "r3gan": "r3gan(width=8, blocks=1)",
}
CODERS = {
    "mlp": "mlp(hidden=(8,))",
    "conv": "conv(width=4, hidden=8)",
    "plane": "plane",
    "burda": "burda",
    "hinton": "hinton",
}
LEARNERS: dict[str, Make] = {
    "autoencoder": lambda: pf.Autoencoder(
        latent=3, network="conv(width=4, hidden=8, norm='group')"
    ),
    "vae": lambda: pf.VAE(latent=3, network="conv(width=4, hidden=8)"),
    "gan": lambda: pf.GAN(
        latent=3,
        network="dcgan(width=8)",
        packing=2,
        hacks=["dropout(share=0.3)", "replay(capacity=24)"],
    ),
    "dcgan": lambda: pf.DCGAN(latent=4, width=8, penalties=("r1(gamma=0.1)",)),
    "r3gan": lambda: pf.R3GAN(latent=4, width=8, blocks=1),
    "infogan": lambda: pf.InfoGAN(
        latent=4, categories=(3,), continuous=1, network="infogan(width=4)"
    ),
    "ebgan": lambda: pf.EBGAN(latent=3, code=3, network="conv(width=4, hidden=8)"),
    "lapgan": lambda: pf.LAPGAN(
        latent=3, width=4, base="dcgan(width=8)", penalties=("r1(gamma=0.1)",)
    ),
    "pix2pix": lambda: pf.Pix2Pix(width=4, penalties=("r1(gamma=0.1)",)),
    "srresnet": lambda: pf.SRResNet(width=4, blocks=1, norm="batch"),
    "srgan": lambda: pf.SRGAN(width=4, blocks=1, features="none", critic_width=4, critic_hidden=8),
    "vgan": lambda: pf.VGAN(latent=3, width=4),
}
"""By registered name, with batch norm and dropout where the model has any."""


OF_TABLES = {"ctgan", "tvae"}
"""Learners of table rows alone, whose own tests stop and resume them."""


def _with_hack(name: str) -> Make:
    game = "minimax" if name == "modified_loss" else "non_saturating"
    return lambda: pf.GAN(
        latent=3,
        network="dcgan(width=8)" if name != "batch_norm" else "mlp(hidden=(8,))",
        game=game,
        hacks=[name],
    )


MODELS: dict[str, Make] = {
    **LEARNERS,
    **{
        f"gan-{name}": lambda text=text: pf.GAN(latent=3, network=text, critic_steps=2)
        for name, text in PAIRS.items()
        if name != "veegan"
    },
    "gan-veegan": lambda: pf.GAN(latent=3, network=PAIRS["veegan"]),
    **{
        f"vae-{name}": lambda text=text: pf.VAE(latent=3, network=text)
        for name, text in CODERS.items()
    },
    **{
        f"autoencoder-{name}": lambda text=text: pf.Autoencoder(latent=3, network=text)
        for name, text in CODERS.items()
    },
    **{f"hack-{name}": _with_hack(name) for name in Hack.members},
}
LABELLED = ("labels", "embedded_conditions")
"""Hacks that need labels."""
PAIRED = {"pix2pix": 1, "srresnet": 4, "srgan": 2}
"""Models that need images as conditions, with the factor by which those are smaller."""
CLIPS = ("vgan",)
"""Models of clips."""


def images(n: int = 48) -> Tensor:
    """(n, 1, 16, 16), whole numbers from 0 to 255."""
    return _levels(n, 1, 16, 16)


def data(name: str, n: int = 48) -> Tensor:
    """n images, or clips (n, 1, 4, 16, 16) for the models that take them."""
    return _levels(n, 1, 4, 16, 16) if name in CLIPS else images(n)


def conditions(name: str, n: int = 48) -> Tensor | None:
    """Two labels, or images, for the models that need them."""
    if name in PAIRED:
        return images(n)[..., :: PAIRED[name], :: PAIRED[name]] // 2
    return torch.arange(n) % 2 if name.removeprefix("hack-") in LABELLED else None


def _levels(*shape: int) -> Tensor:
    stream = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, shape, generator=stream, dtype=torch.uint8)


def all_are_here() -> None:
    """Fails where a learner, a network or a hack was registered and is not in the tables."""
    found = {
        name
        for name, cls in pf.registered_models()
        if name in catalogue and issubclass(cls, Learner)
    }
    assert found - OF_TABLES == set(LEARNERS)
    own = "pushforward."
    assert {n for n, c in Adversaries.members.items() if c.__module__.startswith(own)} == set(PAIRS)
    assert {n for n, c in Architecture.members.items() if c.__module__.startswith(own)} == set(
        CODERS
    )
