"""Rows with the preparation of the model's training data, for evaluating likelihoods."""

from __future__ import annotations

import torch

from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.preparation import Preparation, dequantise
from pushforward.core.random import derive, generator
from pushforward.core.source import Source
from pushforward.fitting.augment import binarise

__all__ = ["prepare_rows"]


def prepare_rows(model: Model, source: Source, most: int | None = None) -> Batch:
    """The first `most` rows of a source (all, if None), with the model's preparation.

    Dequantised rows carry the same noise for every model;
    binarised rows are sampled once, from the seed.
    """
    preparation: Preparation = model.preparation
    rows = torch.arange(len(source) if most is None else min(most, len(source)))
    if preparation.binarise:
        batch = source.take(rows)
        stream = generator(derive(preparation.seed, "binarise"))
        return Batch(binarise().apply(batch.x, source.space, stream), batch.y, batch.weights)
    if preparation.dequantise and model.has_unit_density():
        return dequantise(source, preparation.seed).take(rows)
    return source.take(rows)
