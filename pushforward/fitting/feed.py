"""The rows of a fit, from the user's units to a network's inputs.

They are split, augmented, scaled and moved to the device.

Training batches are augmented with the fit's random stream. Held-out rows receive only the
augmentations that change what is measured, with a fixed seed, and are the same rows at every
evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence

import torch

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.data_types import Observations
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.fit_source import as_source
from pushforward.core.learner import Learner
from pushforward.core.phase import Batch
from pushforward.core.preparation import Preparation
from pushforward.core.random import derive
from pushforward.core.scaling import Scaling
from pushforward.core.source import Source, fingerprint, peek, space_rows
from pushforward.core.source_views import Subset, without_labels
from pushforward.core.space import Space
from pushforward.core.stream import Stream
from pushforward.fitting.augment import Augment, Dequantise
from pushforward.fitting.batches import Batches
from pushforward.fitting.gradient_processes import GradientProcesses
from pushforward.fitting.settings import OptimisationSettings
from pushforward.fitting.stream_batches import StreamBatches

__all__ = ["Feed", "check_batch", "held_out_split", "settle_batch"]

EVALUATED_ROWS = 10_000
"""Held-out rows in an evaluation: the standard error of their mean is 1 % of their deviation."""
EVALUATED_AT_ONCE = 1000
"""Rows evaluated at a time, which bounds the memory of wide networks."""
WATCHED_ROWS = 512
"""Rows that vital signs are taken from: those that compare rows in pairs cost the square."""
SAMPLED_ROWS = 256
"""Most rows of either, where models are evaluated by samples, which cost about as much as training:
the standard error of a mean is 6 % of its deviation, enough to follow a fit.
"""
SAMPLED_NUMBERS = 2**22
"""Most numbers in these rows, as photographs of full size cost seconds each: 85 images of 128 x 128
pixels in colour, 21 of 256 x 256; at least `LEAST_SAMPLED` rows.
"""
LEAST_SAMPLED = 8
TRAINED_PER_EVALUATED = 2
"""Rows trained on for each that is evaluated, where models are evaluated by samples.

A row costs a step of two players about twice what it costs an evaluation, which then takes about a
fifth of the time.
"""


class Feed:
    """Batches for a prepared model, in its coordinates.

    Args:
        settings: batch, seed and augment.
        model: provides the scalings, and the augmentations if the settings have none.
        training: the training rows.
        held_out: rows for evaluation, if any.
        processes: determines this process's share of each batch, and its device.
    """

    def __init__(
        self,
        settings: OptimisationSettings,
        model: Learner,
        training: Source,
        held_out: Source | None,
        processes: GradientProcesses,
    ) -> None:
        self._model, self._device, self._dtype = model, processes.device, processes.dtype
        self._augments = _augmentations(settings.augment, model, training)
        names = {augment.name for augment in self._augments}
        model.preparation = Preparation(
            dequantise="dequantise" in names, binarise="binarise" in names
        )
        self._paired = _image_conditions(training, self._augments)
        self.fingerprint = fingerprint(training)
        self.held_out_fingerprint = None if held_out is None else fingerprint(held_out)
        self.training, self.held_out = _move_to(self._device, training), held_out
        self._step_rows = settings.batch
        self._most = _most_sampled(training.space) if model.evaluates_samples else EVALUATED_ROWS
        self._scaling = None if _changes_nothing(model.scaling) else model.scaling
        where = (settings.batch, settings.seed, processes.rank, processes.world)
        self._batches: Batches | StreamBatches = (
            StreamBatches(self.training, *where)
            if isinstance(self.training, Stream)
            else Batches(self.training, *where, weights=model.row_weights(training))
        )

    def steps_per_epoch(self, *, counted: bool) -> int:
        """Steps of one pass; for a stream an assumption, unless `counted`."""
        return self._batches.steps_in_epoch(counted=counted)

    def from_step(self, step: int) -> Generator[Batch, None, None]:
        """This process's batches from a step on, in the user's units, endlessly."""
        return self._batches.from_step(step)

    def into_model(self, raw: Batch, rng: torch.Generator) -> Batch:
        """A training batch, augmented."""
        if not self._augments and self._scaling is None and _is_plain(raw, self._dtype):
            return raw.to(self._device)
        return self._mapped(raw, self._augments, rng)

    def watched(self, rng: torch.Generator) -> Batch:
        """A few held-out rows (training rows if none are held out) for the vital signs."""
        source = self.held_out or self.training
        return self._judged(peek(source, min(WATCHED_ROWS, self._most)), rng)

    @property
    def least_steps_between_evaluations(self) -> int:
        """One, or so many that evaluations by samples do not take most of the time."""
        if not self._model.evaluates_samples:
            return 1
        rows = len(self.held_out or self.training)
        watched = min(WATCHED_ROWS, self._most, rows)
        judged = 0 if self.held_out is None else min(self._most, rows)
        return math.ceil(TRAINED_PER_EVALUATED * (watched + judged) / self._step_rows)

    def evaluated(self, rng: torch.Generator) -> Iterator[Batch]:
        """Held-out rows in blocks, for the quality."""
        assert self.held_out is not None
        for rows in space_rows(len(self.held_out), self._most).split(EVALUATED_AT_ONCE):
            yield self._judged(self.held_out.take(rows), rng)

    def state(self, step: int) -> dict[str, int]:
        """The state for exact resumption at a step."""
        return self._batches.state(step)

    def load(self, state: Mapping[str, int]) -> None:
        """Take back what `state` gave."""
        self._batches.load(state)

    def bad_row(self, batch: Batch, step: int) -> str | None:
        """The first row of a step's batch with NaN or infinity, as numbered by the user."""
        finite = torch.isfinite(batch.x).flatten(1).all(1)
        if bool(finite.all()):
            return None
        at = int((~finite).nonzero()[0])
        if isinstance(self._batches, StreamBatches):
            return f"row {at} of the batch of step {step + 1}"
        row = int(self._batches.rows(step)[at])
        return f"row {int(self.training.rows[row]) if isinstance(self.training, Subset) else row}"

    def _judged(self, raw: Batch, rng: torch.Generator) -> Batch:
        return self._mapped(raw, [a for a in self._augments if a.held_out], rng)

    def _mapped(self, raw: Batch, augments: Sequence[Augment], rng: torch.Generator) -> Batch:
        """A batch augmented and scaled in the user's precision.

        It is then rounded to the networks' type.
        """
        x, y, weights = raw.to(self._device)
        x = x.to(torch.promote_types(x.dtype, self._dtype))
        if self._scaling is not None and self._scaling.wide:
            x = x.to(torch.float64)
        for augment in augments:
            before = None if self._paired is None or augment.held_out else rng.get_state()
            x = augment.apply(x, self.training.space, rng)
            if before is not None and self._paired is not None and y is not None:
                again = torch.Generator(rng.device).set_state(before)
                y = augment.apply(y.to(x.dtype), self._paired, again)
        if y is not None:
            y = self._model.conditions.scaled(y).to(self._dtype)
        x = x if self._scaling is None else self._scaling(x)
        return Batch(x.to(self._dtype), y, None if weights is None else weights.to(self._dtype))


def _is_plain(raw: Batch, dtype: torch.dtype) -> bool:
    """Whether a batch has nothing to convert."""
    return raw.x.dtype == dtype and raw.y is None and raw.weights is None


def _augmentations(
    chosen: Sequence[Augment] | None, model: Learner, training: Source
) -> Sequence[Augment]:
    """The given augmentations, or the model's own, preceded by dequantising if the data need it."""
    if chosen is not None:
        return chosen
    defaults: list[Augment] = list(model.augmentations(training.space))  # type: ignore[arg-type]
    return [Dequantise(), *defaults] if model.dequantises(training.space) else defaults


def _image_conditions(training: Source, augments: Sequence[Augment]) -> Space | None:
    """The space of conditions that are images and change with the images they belong to.

    Raises:
        InvalidValue: For augmentations that move pixels, where the two differ in size.
    """
    space, shape = training.condition_space, training.space.shape[-2:]
    if space is None or space.kind != "images" or training.space.kind != "images":
        return None
    moving = [str(a) for a in augments if not a.relative]
    if moving and space.shape[-2:] != shape:
        raise InvalidValue(
            f"augment={moving} moves pixels, so that images and conditions of other sizes would no"
            " longer belong together; use 'flip' or 'affine'"
        )
    return space


def _most_sampled(space: Space) -> int:
    """Rows in an evaluation by samples."""
    if None in space.shape:
        return SAMPLED_ROWS
    return min(SAMPLED_ROWS, max(LEAST_SAMPLED, SAMPLED_NUMBERS // max(space.size, 1)))


def held_out_split(
    source: Source, held: Source | float | None, seed: int
) -> tuple[Source, Source | None]:
    """Training and held-out rows: a seeded share of the source, or a separate source."""
    if held is None or not isinstance(held, (int, float)):
        return source, None if held is None else _like(source, held)
    if isinstance(source, Stream):
        raise InvalidValue(
            f"{setting('held_out', held)} is a share of rows, which a stream cannot be split into;"
            " pass the"
            " held-out rows themselves"
        )
    n = len(source)
    count = max(1, round(held * n))
    if count >= n:
        raise BadSource(
            f"{setting('held_out', held)} of {n} rows leaves no training rows; bring more data or"
            " hold out"
            " fewer"
        )
    order = torch.randperm(n, generator=torch.Generator().manual_seed(derive(seed, "held out")))
    return Subset(source, order[count:].sort().values), Subset(source, order[:count].sort().values)


def _like(training: Source, held: Observations) -> Source:
    """Separate held-out data, with conditions only if the training rows have them."""
    source = held if isinstance(held, Source) else as_source(held)
    return without_labels(source) if training.condition_space is None else source


def settle_batch(rows: int, settings: OptimisationSettings, world: int) -> int:
    """The batch to use: the requested one, or the largest up to the default that fits.

    Raises as `check_batch` does.
    """
    batch, parts = settings.batch, world * settings.accumulate
    if settings.fewer:
        batch = max(1, min(batch, rows) // parts) * parts
    check_batch(rows, batch, world, settings.accumulate)
    return batch


def check_batch(rows: int, batch: int, world: int, accumulate: int) -> None:
    """Raise unless the rows fill a batch that divides evenly between processes and pieces."""
    if rows < batch:
        least = max(1, rows)
        raise BadSource(
            f"there are fewer rows ({rows}) than a batch takes ({batch}); pass"
            f" {setting('batch', least)}, or bring more data"
        )
    if batch % (world * accumulate):
        raise InvalidValue(
            f"{setting('batch', batch)} must be a multiple of processes x accumulate = {world} x"
            f" {accumulate};"
            " change one of them"
        )


def _move_to(device: torch.device, source: Source) -> Source:
    """A resident source moved to the device, so that batches are cut there."""
    if device.type == "cpu" or not source.resident:
        return source
    if isinstance(source, Subset):
        return Subset(_move_to(device, source.source), source.rows.to(device), source.name)
    return source.to(device) if isinstance(source, Arrays) else source


def _changes_nothing(scaling: Scaling) -> bool:
    return (
        not scaling.space.categorical
        and bool((scaling.shift == 0).all())
        and bool((scaling.scale == 1).all())
    )
