"""VAEs' bounds on held-out log-likelihood, against exact and published values.

MNIST by the protocol of Burda, Grosse & Salakhutdinov (2016, §5,
https://arxiv.org/abs/1509.00519): pixels binarised anew in every epoch, one stochastic layer of 50
behind two layers of 200 tanh units, L_5000 on the 10 000 test digits, binarised once. Fewer epochs
than their 3280.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.preparation import dequantise
from pushforward.core.random import derive, generator
from pushforward.core.storage import write_text
from pushforward.experiments import fit_model
from pushforward.metrics import likelihood
from pushforward.metrics.annealing import ais, bdmc
from pushforward.metrics.latents import active_units
from pushforward.recipes import ring
from studies.study import RUNS, Study, Target, at_least, at_most

__all__ = ["STUDIES"]

# ------------------------------------------------------------------------------------ exact answers


def linear(seed: int) -> Mapping[str, Any]:
    """A linear VAE on iris against probabilistic PCA.

    References: Tipping & Bishop (1999), https://doi.org/10.1111/1467-9868.00196; Lucas et al.
    (2019), https://arxiv.org/abs/1911.02469.
    """
    from sklearn.datasets import load_iris

    x = torch.as_tensor(load_iris().data)
    x = x - x.mean(0)  # the same likelihood, but easier to optimise
    exact = fit_model(pf.PCA(2), x)
    model = pf.VAE(latent=2, network="mlp(hidden=())", likelihood="gaussian")
    model.scaling_kind = "identity"  # the same coordinates as the exact answer
    trainer = pf.Trainer(
        epochs=6000, batch=150, seed=seed, optimizers={"vae": "adam(rate=0.01)"}, schedule="cosine"
    )
    fit_model(model, x.float(), by=trainer)
    with torch.no_grad():
        bound = torch.stack([model.elbo(x.float(), rng=i) for i in range(400)]).mean()
        plane = model.decode(torch.eye(2)) - model.decode(torch.zeros(2, 2))
    axes = torch.linalg.qr(plane.double().T)[0]
    cosines = torch.linalg.svdvals(exact.components_.double() @ axes)
    return {
        "below the exact log-likelihood, nats a row": float(exact.log_prob(x).mean() - bound),
        "least cosine": float(cosines.min()),
    }


TRUE_RING = -0.867672
"""E log p(x) of the noisy ring, nats."""


def noisy_ring(seed: int) -> Mapping[str, Any]:
    """The recipe `ring`: log p by importance sampling, and the radii of samples."""
    train, test = (
        ring.draw(n, rng=derive(seed, part))
        for n, part in ((ring.ROWS, "train"), (ring.TEST, "test"))
    )
    model = ring.learn(train, seed=seed, samples=ring.SAMPLES, folder=RUNS / f"noisy-ring-{seed}")
    results = ring.measured(
        model, test, model.sample(ring.DRAWS, rng=derive(seed, "samples")).double(), seed
    )
    return {
        "log p, nats": results["fitted"].value,
        "off the true E log p": abs(results["fitted"].value - TRUE_RING),
        "KS of the radius": results["radius"].value,
        "share inside .95, off the truth": abs(
            results["inside, fitted"].value - ring.radial_share(ring.INSIDE)
        ),
    }


# -------------------------------------------------------------------------------------------- MNIST

EPOCHS = 300
LONG = 600
OTHERS = (30, 100, LONG)
"""Further budgets in epochs, with one seed each."""
SHORT = 5


def digits_of(part: str) -> Tensor:
    """MNIST's images (n, 1, 28, 28), levels."""
    return pf.read(part).x


def binarised(x: Tensor, seed: int) -> Tensor:
    """Levels sampled once as 0 or 255."""
    stream = generator(derive(seed, "binarised"))
    return torch.where(torch.rand(x.shape, generator=stream) < x.float() / 255, 255.0, 0.0)


def burda(seed: int, objective: str, epochs: int) -> tuple[Any, dict[str, float]]:
    """A VAE of 50 codes on dynamically binarised MNIST, and its training time.

    It is stored, because other studies measure it too.
    """
    folder: Path = RUNS / f"{objective}-{epochs}-{seed}"
    if not (folder / "spent.json").is_file():
        model = pf.VAE(latent=50, network="burda", likelihood="bernoulli", objective=objective)
        trainer = pf.Trainer(
            epochs=epochs,
            batch=100,
            seed=seed,
            augment=["binarise"],
            optimizers={"vae": "adam(rate=0.003)"},
            schedule="cosine",
        )
        wall, work = time.perf_counter(), time.process_time()
        fit_model(model, pf.Arrays(digits_of("mnist"), name="MNIST"), by=trainer, folder=folder)
        cost = {
            "training seconds": time.perf_counter() - wall,
            "training CPU seconds": time.process_time() - work,
        }
        write_text(
            folder / "spent.json", json.dumps({**cost, "training threads": torch.get_num_threads()})
        )
    return pf.load(folder), json.loads((folder / "spent.json").read_text())


def mnist(seed: int, epochs: int = EPOCHS) -> Mapping[str, Any]:
    """The VAE trained for minutes."""
    model, cost = burda(seed, "elbo", epochs)
    test = binarised(digits_of("mnist:test"), seed)
    bound, tight = (
        likelihood.elbo(model, test, rng=seed),
        likelihood.iwae(model, test, k=5000, rng=seed),
    )
    return {
        "epochs": epochs,
        **cost,
        "-ELBO": -bound.value,
        "-L_5000": -tight.value,
        "standard error": tight.error,
        "ELBO below L_5000": tight.value - bound.value,
        "active units": int(active_units(model, test).value),
    }


def importance(seed: int) -> Mapping[str, Any]:
    """IWAE-50 and the VAE after the same few epochs, by L_5000 on the first 1000 test digits."""
    test = binarised(digits_of("mnist:test")[:1000], seed)
    results: dict[str, Any] = {"epochs": SHORT}
    for name, objective in {"VAE": "elbo", "IWAE-50": "iwae(k=50)"}.items():
        model, cost = burda(seed, objective, SHORT)
        results[f"{name}: training CPU seconds"] = cost["training CPU seconds"]
        results[f"{name}: -L_5000"] = -likelihood.iwae(model, test, k=5000, rng=seed).value
        results[f"{name}: active units"] = int(active_units(model, test).value)
    results["IWAE-50 better by, nats"] = results["VAE: -L_5000"] - results["IWAE-50: -L_5000"]
    return results


ANNEALED = {"temperatures": 1000, "chains": 16}


def annealed(seed: int) -> Mapping[str, Any]:
    """AIS and L_5000 on 100 test digits, under the VAE of the largest budget."""
    model, _ = burda(seed, "elbo", LONG)
    test = binarised(digits_of("mnist:test")[:100], seed)
    lower, tight = (
        ais(model, test, rng=seed, **ANNEALED),
        likelihood.iwae(model, test, k=5000, rng=seed),
    )
    return {
        "epochs": LONG,
        **ANNEALED,
        "AIS, nats": lower.value,
        "standard error over digits": lower.error,
        "L_5000, nats": tight.value,
        "AIS above L_5000, nats": lower.value - tight.value,
    }


def bracketed(seed: int) -> Mapping[str, Any]:
    """BDMC on 100 digits simulated from the same VAE: the true value lies between its bounds."""
    model, _ = burda(seed, "elbo", LONG)
    bracket = bdmc(model, n=100, rng=seed, **ANNEALED)
    return {
        "epochs": LONG,
        **ANNEALED,
        "lower end, nats": bracket.lower.value,
        "upper end, nats": bracket.upper.value,
        "BDMC gap, nats": bracket.gap,
    }


# ----------------------------------------------------------------------------- digits, side by side


NOISES = 4
"""Draws of the dequantising noise for the classical models.

The VAE sees new noise in every epoch.
"""


def small_digits(seed: int) -> Mapping[str, Any]:
    """8 x 8 digits, with the same dequantised test pixels for all models.

    Sizes are chosen on a fifth of the training rows; then all of them are used.
    """
    source = pf.read("digits", label=False)
    parts = [
        pf.split(dequantise(source, derive(seed, i)), held_out=0.2, seed=seed)
        for i in range(NOISES + 1)
    ]
    draws, test = [train.all().x.flatten(1) for train, _ in parts[1:]], parts[0][1].all().x
    y, fifth = test.flatten(1), len(draws[0]) // 5
    x, inner, outer = torch.cat(draws), torch.cat([d[fifth:] for d in draws]), draws[0][:fifth]
    rank = chosen(lambda k: pf.PCA(k), (20, 40, 50, 55, 60), inner, outer)
    count, floor = chosen(
        lambda size: pf.GMM(size[0], floor=size[1]),
        [(k, f) for k in (5, 10, 20) for f in (1e-3, 1e-2, 1e-1)],
        inner,
        outer,
    )
    models = {
        "PPCA": fit_model(pf.PCA(rank), x),
        "GMM, full": fit_model(pf.GMM(count, floor=floor), x),
        # leave-one-out is meaningless if every image occurs four times
        "KDE": fit_model(pf.KDE(bandwidth="likelihood"), draws[0]),
    }
    results: dict[str, Any] = {
        name: float(model.log_prob(y).mean()) for name, model in models.items()
    }
    vae = pf.VAE(latent=16, hidden=(256,), likelihood="gaussian(per_dimension=True)")
    how = {
        "epochs": 300,
        "batch": 64,
        "optimizers": {"vae": "adam(rate=0.003)"},
        "schedule": "cosine",
    }
    train, _ = pf.split(source, held_out=0.2, seed=seed)
    by = pf.Trainer(seed=seed, held_out=0.2, keep_best=True, **how)
    fit_model(vae, train, by=by, folder=RUNS / f"digits-vae-{seed}")
    tight = likelihood.iwae(vae, test.float(), k=1000, rng=seed)
    results |= {"VAE, L_1000": tight.value, "standard error": tight.error}
    return {**results, "PPCA's components": rank, "GMM's components": count, "GMM's floor": floor}


def chosen(make: Callable[[Any], Any], sizes: Sequence[Any], inner: Tensor, outer: Tensor) -> Any:
    """The size whose model, fitted to the inner rows, gives the outer rows the highest density."""
    return max(sizes, key=lambda size: float(fit_model(make(size), inner).log_prob(outer).mean()))


STUDIES = [
    Study(
        "linear-vae",
        "linear VAE on iris, sigma fitted, against probabilistic PCA's exact answer",
        linear,
        {
            "below the exact log-likelihood, nats a row": at_most(0.02),
            "least cosine": at_least(0.99),
        },
    ),
    Study(
        "ring-vae",
        "VAE with sigma .05 on the ring with noise .05, 4000 unseen points",
        noisy_ring,
        {
            "off the true E log p": at_most(0.15),
            "KS of the radius": at_most(0.05),
            "share inside .95, off the truth": at_most(0.01),
        },
    ),
    Study(
        "digits-likelihood",
        "8 x 8 digits, 359 unseen ones, nats a digit, the same dequantised pixels for all",
        small_digits,
    ),
    Study(
        "mnist-vae",
        "VAE, one layer of 50, MNIST binarised dynamically, 10 000 test digits, nats",
        mnist,
        {
            "-L_5000": Target(84.7, 88),
            "ELBO below L_5000": at_least(1),
            "active units": Target(12, 35),
            "training CPU seconds": at_most(1800),  # 15 minutes of two cores
        },
        needs="mnist",
    ),
    *(
        Study(
            f"mnist-vae-{epochs}",
            f"VAE, one layer of 50, MNIST binarised dynamically, {epochs} epochs, 10 000 test"
            " digits, nats",
            partial(mnist, epochs=epochs),
            seeds=1,
            needs="mnist",
        )
        for epochs in OTHERS
    ),
    Study(
        "mnist-iwae",
        "IWAE-50 beside the VAE after the same epochs, the first 1000 test digits, nats",
        importance,
        {"IWAE-50 better by, nats": at_least(0)},
        needs="mnist",
    ),
    Study(
        "mnist-ais",
        f"AIS on 100 test digits under the VAE of {LONG} epochs, {ANNEALED['temperatures']}"
        f" temperatures, {ANNEALED['chains']} chains",
        annealed,
        {"AIS above L_5000, nats": at_least(-0.5)},
        seeds=1,
        needs="mnist",
    ),
    Study(
        "mnist-bdmc",
        f"BDMC on 100 digits drawn from the VAE of {LONG} epochs, {ANNEALED['temperatures']}"
        f" temperatures, {ANNEALED['chains']} chains",
        bracketed,
        {"BDMC gap, nats": at_most(0.5)},
        seeds=1,
        needs="mnist",
    ),
]
