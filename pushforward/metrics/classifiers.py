r"""A small classifier, as a feature space and for classifier two-sample tests.

Inputs are standardised (one shift and scale for images, one per coordinate for points). Images pass
through three convolutions with stride 2, points through two hidden layers. The loss is the mean
cross-entropy, minimised by Adam with a cosine schedule to 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, ShapeMismatch, require_positive
from pushforward.core.global_random import seeded
from pushforward.core.random import Rng, generator, integers, permutation
from pushforward.metrics.feature_spaces import module
from pushforward.metrics.features import Features
from pushforward.metrics.gauge import in_blocks, mean_and_deviation
from pushforward.metrics.samples import rows
from pushforward.metrics.whole_numbers import find_origin, subtract_origin
from pushforward.nets.mlp import mlp

__all__ = ["classifier", "Classifier", "train_classifier"]

BATCH = 128
"""Rows per step: small, so that a small data set gives many steps."""


class Classifier(nn.Module):
    """Map x (b, *event) to its last hidden layer (b, width).

    `head` maps that to logits (b, classes).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, event: tuple[int, ...], classes: int, width: int = 64) -> None:
        super().__init__()
        image = len(event) == 3 and min(event[1:]) >= 8
        channels = (event[0], width // 4, width // 2, width)
        convolutions = [
            layer for a, b in pairwise(channels) for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.ReLU())
        ]
        flat = (
            width * math.prod(_reduced_side(side) for side in event[1:])
            if image
            else math.prod(event)
        )
        self.trunk = nn.Sequential(
            *(convolutions if image else []), nn.Flatten(), mlp([flat, width, width]), nn.ReLU()
        )
        self.head = nn.Linear(width, classes)
        self.register_buffer(
            "shift", torch.zeros(event if len(event) == 1 else (), dtype=torch.float64)
        )
        self.register_buffer(
            "scale", torch.ones(event if len(event) == 1 else (), dtype=torch.float64)
        )

    def fit_standardisation(self, x: Tensor) -> None:
        """Set the shift and scale from x (n, *event)."""
        shift, scale = mean_and_deviation(x if x.ndim == 2 else x.reshape(-1, 1))
        self.shift, self.scale = (
            value.reshape(self.shift.shape).to(self.shift) for value in (shift, scale)
        )

    def standardise(self, x: Tensor) -> Tensor:
        """Shift and scale x (b, *event) in float64; return it in the dtype of the weights."""
        flat = x.flatten(1)
        parts = [
            (part.to(torch.float64) - self.shift).div_(self.scale).to(self.head.weight.dtype)
            for part in in_blocks(flat)
        ]
        return torch.cat(parts).reshape(x.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The last hidden layer."""
        features: Tensor = self.trunk(self.standardise(x))
        return features

    @torch.no_grad()
    def log_probabilities(self, features: Tensor) -> Tensor:
        """Log-probabilities (b, classes), float64, from the last hidden layer (b, width)."""
        logits: Tensor = self.head(features.to(self.head.weight))
        return logits.to(torch.float64).log_softmax(1)

    @torch.no_grad()
    def classes(self, x: Tensor) -> Tensor:
        """The most probable class (n,) of each row."""
        return torch.cat([self.head(self(part)).argmax(1) for part in x.split(1024)])


def classifier(
    x: Observations,
    labels: Observations,
    *,
    steps: int | None = None,
    width: int = 64,
    held_out: float = 0.1,
    rng: Rng = 0,
) -> Features:
    """The last hidden layer of a classifier of real data x (n, *event) by labels (n,), as features.

    Args:
        steps: number of steps of 128 rows; by default 20 epochs, but between 200 and 3000 steps.
        width: number of features.
        held_out: share of the rows held out to measure facts['accuracy'].
    """
    require_positive(steps=steps, width=width, held_out=held_out)
    x = rows(x)
    origin = find_origin(x)
    x = subtract_origin(x, origin)
    labels = _encode_labels(labels)
    if len(labels) != len(x):
        raise ShapeMismatch(
            f"labels must have one entry per row: expected {len(x)}, got {len(labels)}"
        )
    names, codes = torch.unique(labels, return_inverse=True)
    if not 2 <= len(names) <= len(x) // 2:
        raise InvalidValue(
            f"a classifier needs labels of at least two classes with rows in each, got {len(names)}"
            f" of {len(x)} rows"
        )
    steps = min(max(20 * len(x) // BATCH, 200), 3000) if steps is None else steps
    stream = generator(rng)
    order = permutation(len(x), rng=stream)
    test, train = order.tensor_split([max(1, round(held_out * len(x)))])
    network = train_classifier(
        x[train], codes[train], len(names), steps=steps, width=width, rng=stream
    )
    accuracy = float((network.classes(x[test]) == codes[test]).to(torch.float64).mean())
    facts = {"accuracy": accuracy, "classes": len(names), "steps": steps, "held_out": len(test)}
    features = module(network, f"classifier of {len(names)} labels", dtype=torch.float64)
    return replace(features, facts=facts, block=1024, head=network.log_probabilities, origin=origin)


def _encode_labels(labels: Observations) -> Tensor:
    """Labels (n,), numbers or text, as class numbers."""
    if isinstance(labels, Tensor):
        return labels.detach().flatten()
    array = np.asarray(labels)
    return (
        torch.from_numpy(np.unique(array, return_inverse=True)[1].reshape(-1))
        if array.dtype.kind in "OUS"
        else torch.tensor(array).flatten()
    )


def train_classifier(
    x: Tensor,
    codes: Tensor,
    classes: int,
    *,
    steps: int,
    width: int = 64,
    decay: float = 1e-4,
    rng: Rng = 0,
) -> Classifier:
    """Train a classifier of x (n, *event) into codes (n,) of 0..classes-1."""
    stream = generator(rng)
    with seeded(int(integers(2**62, (), rng=stream))):
        network = Classifier(tuple(x.shape[1:]), classes, max(4, width))
    network.fit_standardisation(x)
    inputs = network.standardise(x)
    plan = _Plan(network, steps, decay)
    for step in range(steps):
        picked = integers(len(x), (BATCH,), rng=stream)
        plan.step(step, inputs[picked], codes[picked])
    return network.eval()


@dataclass
class _Plan:
    """AdamW with a cosine learning-rate schedule.

    It calls PyTorch's kernel, one pass over each parameter: the first optimiser of a process loads
    PyTorch's compiler, which takes as long as loading PyTorch.
    """

    network: Classifier
    steps: int
    decay: float
    rate: float = 2e-3

    def __post_init__(self) -> None:
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.means, self.squares = (
            [torch.zeros_like(parameter) for parameter in self.parameters] for _ in range(2)
        )
        self.count = torch.zeros(())

    def step(self, step: int, x: Tensor, codes: Tensor) -> None:
        """Take one step on a batch of standardised inputs."""
        gradients = _gradients(self.network, x, codes)
        self.count += 1
        with torch.no_grad():
            torch._fused_adamw_(
                self.parameters,
                gradients,
                self.means,
                self.squares,
                [],
                [self.count] * len(self.parameters),
                lr=self.rate * (1 + math.cos(math.pi * step / self.steps)) / 2,
                beta1=0.9,
                beta2=0.999,
                weight_decay=self.decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )


def _gradients(network: Classifier, x: Tensor, codes: Tensor) -> list[Tensor]:
    """Gradients of the mean cross-entropy of codes (b,) given standardised x, by parameter."""
    modules = list(network.modules())
    if any(isinstance(module, nn.Conv2d) for module in modules):
        loss = functional.cross_entropy(network.head(network.trunk(x)), codes)
        return list(torch.autograd.grad(loss, list(network.parameters())))
    return _layer_gradients(
        [module for module in modules if isinstance(module, nn.Linear)], x, codes
    )


@torch.no_grad()
def _layer_gradients(layers: Sequence[nn.Linear], x: Tensor, codes: Tensor) -> list[Tensor]:
    """The same of layers with ReLU between them, without a graph.

    In a small network recording the operations costs more than half as much as they themselves.
    """
    inputs = [x.flatten(1)]
    for layer in layers[:-1]:
        inputs.append(layer(inputs[-1]).relu_())
    change = layers[-1](inputs[-1]).softmax(1)
    change[torch.arange(len(x)), codes] -= 1
    change /= len(x)
    found: list[Tensor] = []
    for layer, values in zip(reversed(layers), reversed(inputs)):
        found = [change.T @ values, change.sum(0), *found]
        if values is not inputs[0]:
            change = (change @ layer.weight) * (values > 0)
    return found


def _reduced_side(side: int) -> int:
    """The side length after three convolutions with stride 2."""
    return -(-side // 8)
