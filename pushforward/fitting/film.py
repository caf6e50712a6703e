"""A film of a fit: the same codes decoded repeatedly during training.

Frames are taken when the fit reports, at the same steps however often it is interrupted, with the
networks as sampling would use them (averaged if there is an average). When there are too many,
every second one is dropped and later ones are taken half as often: their number is bounded, they
are evenly spaced, and no budget need be known. Which frame is due follows from the existing ones;
in a run's folder these are files, so a resumed fit continues its film.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.capabilities import HasBound, Samples
from pushforward.core.data_types import ArrayOrTensor
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, quote, require_positive
from pushforward.core.events import Event, Finished, Progress, Started
from pushforward.core.learner import Learner
from pushforward.core.numbers import require_whole
from pushforward.core.random import derive
from pushforward.core.source import Sequential, Source
from pushforward.core.space import Space
from pushforward.core.storage import read_tensors, write_tensors

__all__ = [
    "Camera",
    "Film",
    "Frame",
    "film_folder",
    "frame_times",
    "look_at_samples",
    "read_frame",
    "read_frames",
]

# the latter in runs of format 1
_FOLDER, _OLDER_FOLDER = Path("images") / "film", Path("pictures") / "film"
MOST = 60
"""Frames kept: a few seconds as an animation, and the folder stays small."""
LEVELS = 255
"""The highest value of a byte, which pixels of frames are stored in."""

Look = Callable[[Learner], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Frame:
    """A frame after `samples` observations.

    `tensors` has tensors by name, 'x' (n, *shape) the decoded codes.
    """

    samples: int
    tensors: Mapping[str, Tensor]


class Film:
    """Frames of one fit, for `Trainer(film=…)`.

    Args:
        look: model -> tensors by name, the same function each time.
        most: frames kept, at least 4, besides a last one of the finished fit.
        folder: folder for the frames; in memory if None.
    """

    def __init__(self, look: Look, most: int = MOST, folder: str | Path | None = None) -> None:
        if not callable(look):
            raise InvalidKind(
                f"look must be a function of the model, got {quote(look)}; see samples_seen_again"
            )
        if require_whole(most, "most") < 4:
            raise InvalidValue(
                f"a film keeps at least 4 frames, got most={most}; leave it out for {MOST}"
            )
        self.look, self.most = look, most
        self.folder = None if folder is None else Path(folder)
        self._held: dict[int, Frame] = {}

    @property
    def times(self) -> list[int]:
        """Samples seen at each frame, in order."""
        return sorted(self._held) if self.folder is None else frame_times(self.folder)

    def frames(self) -> list[Frame]:
        """All of them, in order."""
        return (
            [self._held[t] for t in self.times] if self.folder is None else read_frames(self.folder)
        )

    def wants(self, event: Event) -> bool:
        """Whether a frame is due; frames later than the fit's present position are dropped."""
        if not isinstance(event, (Started, Progress, Finished)):
            return False
        self._drop(
            [
                t
                for t in self.times
                if t > event.samples or (isinstance(event, Started) and not event.samples)
            ]
        )
        times = self.times
        if not times or isinstance(event, Finished):
            return True
        apart = median(b - a for a, b in pairwise(times)) if len(times) > 1 else 1
        return event.samples - times[-1] >= apart

    def take(self, event: Event, model: Learner) -> None:
        """Take a frame of the model; if there are too many, drop every second one."""
        with torch.no_grad():
            outputs = {name: x.detach().to("cpu").clone() for name, x in self.look(model).items()}
        self._put(Frame(event.samples, outputs))
        if len(self.times) > self.most and not isinstance(event, Finished):
            self._drop(self.times[1::2])

    def _put(self, frame: Frame) -> None:
        if self.folder is None:
            self._held[frame.samples] = frame
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tensors(self.folder / f"{frame.samples:015d}.safetensors", frame.tensors)

    def _drop(self, times: list[int]) -> None:
        for t in times:
            if self.folder is None:
                del self._held[t]
            else:
                (self.folder / f"{t:015d}.safetensors").unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.safetensors"))


def film_folder(run: Path) -> Path:
    """The folder of a run's film frames."""
    return run / (_OLDER_FOLDER if (run / _OLDER_FOLDER).is_dir() else _FOLDER)


def frame_times(folder: str | Path) -> list[int]:
    """Samples seen at each frame in a folder, in order; empty if there are none."""
    return [int(path.stem) for path in _files(Path(folder))]


def read_frame(folder: str | Path, samples: int) -> Frame:
    """The frame in a folder that was taken after so many samples.

    Raises:
        BadRun: If there is none; a fit that goes on drops some when there are too many.
    """
    path = Path(folder) / f"{samples:015d}.safetensors"
    if not path.is_file():
        raise BadRun(f"{folder} has no frame of {samples} samples; look at another")
    return Frame(samples, read_tensors(path)[0])


def read_frames(folder: str | Path) -> list[Frame]:
    """The frames in a folder, in order.

    Raises:
        BadRun: If there are none.
    """
    files = _files(Path(folder))
    if not files:
        raise BadRun(
            f"{folder} holds no frames; record them during a fit with {setting('film', 64)}, say"
        )
    return [Frame(int(path.stem), read_tensors(path)[0]) for path in files]


def look_at_samples(
    n: int, y: ArrayOrTensor | None, space: Space, seed: int, codes: Tensor | None = None
) -> Look:
    """A look at n samples with the same codes and noise each time; images as levels 0..255.

    Args:
        n: number of samples.
        y: their conditions, as `sample` takes them.
        space: of the samples.
        seed: of the codes and the noise.
        codes: the conditions as numbers, which are stored with each frame if they are one each.
    """
    require_positive(film=n)
    told = {} if codes is None or codes.ndim > 1 else {"y": codes}

    def look(model: Learner) -> Mapping[str, Tensor]:
        if not isinstance(model, Samples):
            raise InvalidKind(
                f"a film shows samples, which {type(model).__name__} cannot draw; leave film out"
            )
        using = "mean" if isinstance(model, HasBound) else None
        x = model.sample(n, y=y, rng=derive(seed, "film"), using=using)
        return {"x": _as_bytes(x, space) if space.kind != "points" else x.to(torch.float32), **told}

    return look


def _as_bytes(x: Tensor, space: Space) -> Tensor:
    """Images of a known range as bytes."""
    if not (space.low > -torch.inf and torch.inf > space.high > space.low):
        return x.to(torch.float32)
    return (
        ((x - space.low) / (space.high - space.low)).clamp(0, 1).mul(LEVELS).round().to(torch.uint8)
    )


class Camera:
    """Takes the frames of a film on a fit's events; does nothing without a film.

    Args:
        film: a Film, the number of samples to show, or None.
        training: its first rows provide the conditions.
        seed: of the codes.
        run: the run folder, for the frames if `film` is a number.
    """

    def __init__(
        self, film: int | Film | None, training: Source, seed: int, run: Path | None
    ) -> None:
        self.writes = isinstance(film, int)
        """Whether frames are written to the run folder."""
        self._film = _film_of_samples(film, training, seed, run) if isinstance(film, int) else film

    def wants(self, event: Event) -> bool:
        """Whether a frame is to be taken at this event."""
        return self._film is not None and self._film.wants(event)

    def take(self, event: Event, model: Learner) -> None:
        """Take a frame of the model, with the networks as sampling uses them."""
        assert self._film is not None
        self._film.take(event, model)


def _film_of_samples(count: int, training: Source, seed: int, run: Path | None) -> Film:
    """A film of samples with the conditions of the first training rows."""
    if isinstance(training, Sequential):
        rows: Any = training.head(count)
    else:
        rows = training.take(torch.arange(min(count, len(training))))
    n = count if rows.y is None else len(rows.y)
    space = training.condition_space
    y = rows.y if space is None else space.as_given(rows.y)
    look = look_at_samples(n, y, training.space, seed, rows.y)
    return Film(look, folder=None if run is None else film_folder(run))
