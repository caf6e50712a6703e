"""Conversion of the arguments of `fit(x, y, weights)` to a source."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pushforward.core.argument_names import naming_read
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import BadSource
from pushforward.core.reader import read_for_fit
from pushforward.core.source import Described, Source
from pushforward.core.source_views import has_unrequested_labels, without_labels

__all__ = ["as_source"]


def as_source(
    x: Observations, y: Conditioning = None, weights: Observations | None = None
) -> Source:
    """Return x as a source; anything else is read by `pushforward.read`, with y and weights.

    Labels that come with the data are used only on request: y=True, or y='name' for a column or an
    array. This holds for a source too, unless its labels were requested when it was read.

    Raises:
        BadSource: For data that no model can be fitted to: no rows, text, infinities.
    """
    if isinstance(x, Described) or (
        not isinstance(x, (Tensor, np.ndarray)) and isinstance(x, Source)
    ):
        if not (y is None or isinstance(y, bool)) or weights is not None:
            raise BadSource(
                "a source brings its own conditions and weights; pass y and weights when creating"
                " it"
            )
        if y and x.condition_space is None:
            raise BadSource(
                "labels were requested with y=True, but the data have none; pass the labels as y"
            )
        return without_labels(x) if y is False or (y is None and has_unrequested_labels(x)) else x
    with naming_read():
        source: Source = read_for_fit(x, y, weights)
    return source
