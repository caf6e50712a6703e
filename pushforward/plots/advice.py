"""What shows a model where a plot cannot."""

from __future__ import annotations

from pushforward.core.capabilities import Assigns, Encodes, Samples

__all__ = ["advise_instead"]


def advise_instead(model: object) -> str:
    """The end of an error of a plot: what the model has instead, which is never this plot.

    Example:
        >>> import pushforward as pf
        >>> advise_instead(pf.GAN())
        'write samples instead (sample), or a film of the training (film)'
    """
    if isinstance(model, Encodes):
        return "draw its codes instead (embedding)"
    if isinstance(model, Samples):
        return "write samples instead (sample), or a film of the training (film)"
    if isinstance(model, Assigns):
        return "write the cluster of every row instead (assign)"
    return "pass points"
