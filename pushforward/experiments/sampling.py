"""Samples of a run, given conditions if its model has any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.model import Model
from pushforward.core.reader import conditions_in
from pushforward.core.samplers import Sampler
from pushforward.core.space import Space
from pushforward.data import read
from pushforward.data.formats.numpy_files import read_labels
from pushforward.experiments.opened import OpenedRun, rows_of, table_settings

__all__ = ["ConditionsGiven", "Samples", "condition_rows", "require_sample_size", "sample"]

SAMPLES = 64
"""Default number of samples: a grid of eight by eight images."""

ConditionsGiven = str | float | Path | Sequence[str | float] | Tensor | None
"""Labels by name, one or several.

The numbers of one condition, or a row of them for each sample; or a file of conditions as a `Path`:
of an archive of arrays, its labels (y, say), or the array named after a colon (x.npz:angle).
"""


@dataclass(frozen=True)
class Samples:
    """Samples of a model, with their conditions.

    Args:
        x: (n, *shape), user's units.
        space: the space of x.
        y: conditions (n, ...), labels as codes; None for unconditional models.
        condition_space: the space of y.
    """

    x: Tensor
    space: Space
    y: Tensor | None = None
    condition_space: Space | None = None


def sample(
    run: OpenedRun,
    n: int | None = None,
    *,
    y: ConditionsGiven = None,
    using: str | Sampler | None = None,
    seed: int = 0,
    table: Mapping[str, Any] | None = None,
) -> Samples:
    """New observations from a fitted model.

    Args:
        run: whose model samples.
        n: number of samples; by default 64, or one for each of several conditions.
        y: conditions of the samples.
        using: the sampler, such as 'mean' (the decoder's mean, without observation noise) or
            'truncated(radius=2)'; the model's own if None.
        seed: the same seed gives the same samples.
        table: format of a text table of conditions.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as place:
        ...     path = pf.PCA(1).fit("ring:50").save(f"{place}/run")
        ...     sample(pf.experiments.open_run(f"{place}/run"), 3).x.shape
        torch.Size([3, 2])
    """
    run.need("has no samples", "Samples")
    if n is not None:
        require_sample_size(n)
    codes, n = condition_rows(run.model, y, n, table=table)
    space = run.model.condition_space
    conditions = None if codes is None else space.as_given(codes)
    x = run.model.sample(n, y=conditions, rng=seed, using=using)
    if codes is None:
        return Samples(x, run.model.fitted_space())
    rows = codes.expand(n, *codes.shape[1:]) if len(codes) == 1 else codes
    return Samples(x, run.model.fitted_space(), rows, space)


def require_sample_size(n: int) -> None:
    """Refuse a number of samples below 1."""
    if n < 1:
        raise InvalidValue(
            f"{argument('n')} must be at least 1, got {n}; pass {argument('n', '64')}, say"
        )


def condition_rows(
    model: Model, y: ConditionsGiven, n: int | None, *, table: Mapping[str, Any] | None = None
) -> tuple[Tensor | None, int]:
    """Conditions (labels as codes), one for all or one per sample, and n.

    None for unconditional models.
    """
    space = model.condition_space
    if space is None:
        if y is not None:
            raise InvalidValue(
                f"the model was fitted without conditions; leave {argument('y')} out"
            )
        return None, n or SAMPLES
    if y is None:
        some = f"a file or an array of {space}"
        if space.is_label:
            some = f"one of: {', '.join(space.columns[0].categories[:10])}"
        elif space.kind == "images":
            some = f"images: a file, or a folder of several ({space})"
        raise InvalidValue(
            f"the model was fitted with conditions; pass {argument('y')} with {some}"
        )
    y = conditions_in(y, space)
    if isinstance(y, Path):
        rows = _rows_of_file(y, space, table)
    elif space.is_label:
        rows = _codes([y] if isinstance(y, (str, float)) else list(y), space)
    else:
        numbers = torch.as_tensor(y)
        rows = space.conform(numbers[None] if numbers.ndim < 2 else numbers, what=argument("y"))
    n = n or (len(rows) if len(rows) > 1 or space.kind == "images" else SAMPLES)
    return (rows if len(rows) in (1, n) else rows[torch.arange(n) % len(rows)]), n


def _codes(labels: Sequence[Any], space: Space) -> Tensor:
    """Codes of labels given by name."""
    names = space.columns[0].categories
    texts = [str(label.item() if isinstance(label, Tensor) else label) for label in labels]
    for text in texts:
        if text not in names:
            raise InvalidValue(
                f"{argument('y', repr(text))} is none of the labels of this model;"
                f" {suggest(text, names)}"
            )
    return torch.tensor([names.index(text) for text in texts])


def _rows_of_file(path: Path, space: Space, table: Mapping[str, Any] | None) -> Tensor:
    labels = read_labels(path)
    if labels is not None and space.is_label:
        return _codes(labels.reshape(-1).tolist(), space)
    if labels is not None:
        return space.conform(torch.as_tensor(labels), what=argument("y"))
    text = str(path)
    source = read(text, like=space, label=False, **table_settings(text, table=table))
    rows: Tensor = space.conform(rows_of(source, len(source)).x, what=argument("y"))
    return rows
