"""Built-in data sets: scikit-learn's digits, five distributions in the plane, clips of moving
shapes, MNIST and CIFAR-10.

* ring: z/10 + z/‖z‖ with z ~ N(0, I): a ring whose density is known (Doersch 2016, Fig. 2,
  https://arxiv.org/abs/1606.05908).
* eight_gaussians: ⅛ Σ_k N((cos πk/4, sin πk/4), .01² I), k = 0..7; called ring until version 0.2.
* grid: 1/25 Σ N((2i, 2j), .05² I), i, j = -2..2.
* moons: two half circles of radius 1 with noise N(0, .1² I).
* swissroll: t (cos t, sin t) / 7.5, t ~ U(1.5π, 4.5π), with noise N(0, .25² I) before the division
  (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028).
* moving-shapes: clips of a disc or a square that crosses a still background (`moving_shapes`).
"""

from __future__ import annotations

import json
import math
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, InvalidValue, suggest
from pushforward.core.random import derive, generator, integers, normal, uniform
from pushforward.core.space import Space
from pushforward.data.clip_windows import preparation_of_clips
from pushforward.data.formats.fetching import CIFAR10, MNIST, cache_folder, fetch
from pushforward.data.formats.idx import from_idx
from pushforward.data.formats.moving_shapes import FRAME_RATE, FRAMES, SIDE, moving_shapes
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.sources.arrays import from_array

__all__ = ["NAMES", "RENAMED", "from_builtin", "centres", "CIFAR10_LABELS"]

RENAMED = "since version 0.2 ring is z/10 + z/‖z‖; the eight dots are called eight_gaussians"

NAMES = (
    "digits",
    "ring",
    "eight_gaussians",
    "grid",
    "moons",
    "swissroll",
    "moving-shapes",
    "mnist",
    "mnist:test",
    "cifar10",
    "cifar10:test",
    "cifar10-batch1",
)
CIFAR10_LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_DEFAULT_ROWS = 10_000
"""Enough that the density is smooth in a figure, and few enough to fit at once."""
_DEFAULT_CLIPS, _MOST_CLIPS = 2000, 10**6
"""2000 clips of 16 frames of 32x32 pixels in colour take 98 MB, a million 49 GB."""
_CLIPS_AT_ONCE = 100
"""Clips generated at a time: their numbers take four times the memory of their bytes."""
_MOST_ROWS = 10**9
"""Two columns of so many take 16 GB."""


@register_reader(name="builtin", names=NAMES)
def from_builtin(text: str, options: Options) -> Arrays:
    """Built-in data: ring, eight_gaussians, grid, moons, swissroll, moving-shapes (sampled),
    digits, mnist and cifar10 (files).
    """
    name, _, part = text.partition(":")
    options = replace(options, name=options.name or (name if part.isdigit() else text))
    if name in _PLANE:
        return _plane(name, part, options)
    if name == "moving-shapes":
        return _moving_shapes(part, options)
    if options.n is not None:
        raise InvalidValue(
            "n is for ring, eight_gaussians, grid, moons, swissroll and moving-shapes, which are"
            f" sampled; {name} has a fixed number of rows: leave n out"
        )
    readers: dict[str, Callable[[str, Options], Arrays]] = {
        "digits": _digits,
        "mnist": _mnist,
        "cifar10": _cifar10,
        "cifar10-batch1": _cifar10_batch,
    }
    return readers[name](part, options)


# ------------------------------------------------------------------------------------- in the plane


def centres(name: str) -> Tensor:
    """The centres (k, 2) of the Gaussians: 8 of eight_gaussians, 25 of grid.

    Raises:
        InvalidValue: For other names; for ring, which had eight modes once, with the new name.
    """
    if name == "eight_gaussians":
        angle = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        return torch.stack([angle.cos(), angle.sin()], 1)
    if name == "grid":
        axis = torch.arange(-4, 5, 2, dtype=torch.float64)
        return torch.cartesian_prod(axis, axis)
    if name == "ring":
        raise InvalidValue(f"ring has no centres: {RENAMED}")
    raise InvalidValue(
        f"only eight_gaussians and grid have centres, got {name!r};"
        f" {suggest(name, ('eight_gaussians', 'grid'))}"
    )


def _ring(n: int, rng: torch.Generator) -> Tensor:
    z = normal(n, 2, rng=rng, dtype=torch.float64)
    length: Tensor = z.norm(dim=1, keepdim=True)
    return z / 10 + z / length


def _eight_gaussians(n: int, rng: torch.Generator) -> Tensor:
    return centres("eight_gaussians")[integers(8, (n,), rng=rng)] + 0.01 * normal(
        n, 2, rng=rng, dtype=torch.float64
    )


def _grid(n: int, rng: torch.Generator) -> Tensor:
    return centres("grid")[integers(25, (n,), rng=rng)] + 0.05 * normal(
        n, 2, rng=rng, dtype=torch.float64
    )


def _moons(n: int, rng: torch.Generator) -> Tensor:
    angle = math.pi * uniform(n, rng=rng, dtype=torch.float64)
    lower = integers(2, (n,), rng=rng).to(torch.float64)
    x = torch.stack(
        [lower + (1 - 2 * lower) * angle.cos(), 0.5 * lower + (1 - 2 * lower) * angle.sin()], 1
    )
    return x + 0.1 * normal(n, 2, rng=rng, dtype=torch.float64)


def _swissroll(n: int, rng: torch.Generator) -> Tensor:
    t = 1.5 * math.pi * (1 + 2 * uniform(n, rng=rng, dtype=torch.float64))
    x = torch.stack([t * t.cos(), t * t.sin()], 1)
    return (x + 0.25 * normal(n, 2, rng=rng, dtype=torch.float64)) / 7.5


_PLANE: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "ring": _ring,
    "eight_gaussians": _eight_gaussians,
    "grid": _grid,
    "moons": _moons,
    "swissroll": _swissroll,
}


def _plane(name: str, part: str, options: Options) -> Arrays:
    n = _count(name, part, options, _DEFAULT_ROWS, _MOST_ROWS)
    stream = "ring" if name == "eight_gaussians" else name  # the same points as under the old name
    x = _PLANE[name](n, generator(derive(options.seed, "data", stream)))
    return from_array(x, options, form="array")


def _count(name: str, part: str, options: Options, default: int, most: int) -> int:
    """The number of rows to sample: after the name, or given as n."""
    if part and not (part.isdecimal() and len(part) < 20):
        raise InvalidValue(
            f"after {name}: comes the number of rows, got {part!r}; write {name}:5000, say"
        )
    if part and options.n is not None and int(part) != options.n:
        raise InvalidValue(
            f"{name}:{part} and n={options.n} disagree; give the number of rows once"
        )
    n = int(part) if part else (default if options.n is None else options.n)
    if n < 1:
        raise InvalidValue(f"n must be at least 1, got {n}; write {name}:5000, say")
    if n > most:
        raise InvalidValue(f"n must be at most {most}, got {n}; write {name}:5000, say")
    return n


# ------------------------------------------------------------------------------------ moving shapes


def _moving_shapes(part: str, options: Options) -> Arrays:
    """Clips, generated at the requested size and number of frames, not cut to them."""
    n = _count("moving-shapes", part, options, _DEFAULT_CLIPS, _MOST_CLIPS)
    height, width = options.size or (SIDE, SIDE)
    if height != width:
        raise InvalidValue(
            f"moving-shapes are square, got size {height}×{width}; pass {setting('size', height)}"
        )
    settings = preparation_of_clips(replace(options, channels=None, stride=None, hop=None))
    space = Space(
        "clips", (3, options.frames or FRAMES, height, width), (), 0.0, 255.0, True, "clips",
        FRAME_RATE, **settings,
    )  # fmt: skip
    if options.stride or options.hop or options.channels not in (None, 3):
        raise InvalidValue(
            "moving-shapes are generated in colour and as long as wanted; pass"
            f" {setting('frames', 16)} and {setting('size', 32)}, and leave channels, stride and"
            " hop out"
        )
    seed = derive(options.seed, "data", "moving-shapes")
    blocks, frames = [], options.frames or FRAMES
    for start in range(0, n, _CLIPS_AT_ONCE):
        count = min(_CLIPS_AT_ONCE, n - start)
        made = moving_shapes(count, side=height, frames=frames, seed=derive(seed, start))
        blocks.append(made.clips)
    plain = replace(options, size=None, channels=None, frames=None, stride=None, hop=None)
    return from_array(torch.cat(blocks), plain, form="images", space=space)


# ------------------------------------------------------------------------------------------- digits


def _digits(part: str, options: Options) -> Arrays:
    if part:
        raise InvalidValue(
            f"digits has no part {part!r}; write digits, and set rows aside with a split"
        )
    table = _digits_table()
    x = table[:, :-1].reshape(-1, 1, 8, 8).astype(np.uint8)
    space = Space("images", (1, 8, 8), (), 0.0, 16.0, True, "images")
    if options.size is not None or options.channels is not None:
        raise InvalidValue(
            "digits are 8×8 with levels 0..16 and are not resized; leave size and channels out"
        )
    return from_array(x, options, labels=table[:, -1].astype(np.int64), space=space)


def _digits_table() -> NDArray[Any]:
    """scikit-learn's file (1797, 65), read without importing
    scikit-learn if it is in its usual place.
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise BadSource(
            "digits come with scikit-learn, which is not installed; run: pip install scikit-learn"
        )
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return np.concatenate([x, y[:, None]], 1)


# ----------------------------------------------------------------------------------- mnist, cifar10


def _folders(name: str) -> list[Path]:
    """The folders where a named data set may be, in order."""
    root = os.environ.get("PUSHFORWARD_DATA")
    return ([Path(root) / name, Path(root)] if root else []) + [cache_folder() / name]


def _find(name: str, files: tuple[str, ...]) -> Path | None:
    return next((f / n for f in _folders(name) for n in files if (f / n).is_file()), None)


def _absent(name: str, wanted: str, more: str = "") -> BadSource:
    root = os.environ.get("PUSHFORWARD_DATA")
    looked = f"looked in {', '.join(str(f) for f in _folders(name))}"
    hint = "" if root else " (PUSHFORWARD_DATA is not set)"
    return BadSource(
        f"{name}: no {wanted}; {looked}{hint}; {more}fetch it with {setting('download', True)}"
        ", or point PUSHFORWARD_DATA at it"
    )


def _mnist(part: str, options: Options) -> Arrays:
    if part not in ("", "train", "test"):
        raise InvalidValue(
            f"mnist has the parts train and test, got {part!r}; write mnist or mnist:test"
        )
    stem = "t10k" if part == "test" else "train"
    files = tuple(f"{stem}-images-idx3-ubyte{s}" for s in (".gz", ""))
    path = _find("mnist", files)
    if path is None and options.download:
        for name in (f"{stem}-images-idx3-ubyte.gz", f"{stem}-labels-idx1-ubyte.gz"):
            fetch(MNIST[name], cache_folder() / "mnist" / name)
        path = _find("mnist", files)
    if path is None:
        raise _absent("mnist", files[0])
    if options.like_condition is None and options.y is None:
        options = replace(options, like_condition=Space.labels([str(i) for i in range(10)]))
    return from_idx(path, options)


def _cifar10(part: str, options: Options) -> Arrays:
    if part not in ("", "train", "test"):
        raise InvalidValue(
            f"cifar10 has the parts train and test, got {part!r}; write cifar10 or cifar10:test"
        )
    archive = _cifar10_archive(options)
    if archive is None:
        batch = _find("cifar10", ("data_batch_1.png",))
        more = "the first batch alone is there as cifar10-batch1; " if batch is not None else ""
        raise _absent("cifar10", "cifar-10-binary.tar.gz", more)
    names = ["test_batch.bin"] if part == "test" else [f"data_batch_{i}.bin" for i in range(1, 6)]
    return _cifar10_binary(archive, names, options)


def _cifar10_archive(options: Options) -> Path | None:
    """The archive if found, downloaded on request."""
    path = _find("cifar10", ("cifar-10-binary.tar.gz",))
    if path is None and options.download:
        return fetch(CIFAR10, cache_folder() / "cifar10" / "cifar-10-binary.tar.gz")
    return path


def _cifar10_binary(archive: Path, names: list[str], options: Options) -> Arrays:
    """Rows of 3073 bytes: the label, then red, green and blue planes."""
    try:
        with tarfile.open(archive) as tar:
            parts = [tar.extractfile(f"cifar-10-batches-bin/{n}").read() for n in names]  # type: ignore[union-attr]
        rows = np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 3073)
    except (tarfile.TarError, KeyError, OSError, EOFError, ValueError, AttributeError) as error:
        raise BadSource(
            f"{archive}: cannot be read as CIFAR-10 ({error}); remove it and fetch it again"
        ) from error
    return _cifar10_source(rows[:, 1:].reshape(-1, 3, 32, 32).copy(), rows[:, 0], options)


def _cifar10_batch(part: str, options: Options) -> Arrays:
    if part:
        raise InvalidValue(f"cifar10-batch1 has no part {part!r}; write cifar10-batch1")
    path = _find("cifar10", ("data_batch_1.png",))
    if path is None:
        archive = _cifar10_archive(options)
        if archive is None:
            raise _absent("cifar10", "data_batch_1.png or cifar-10-binary.tar.gz")
        return _cifar10_binary(archive, ["data_batch_1.bin"], options)
    from PIL import Image

    labels = json.loads(path.with_name("data_batch_1_labels.json").read_text())
    with Image.open(path) as image:
        x = np.asarray(image).reshape(-1, 32, 32, 3)
    return _cifar10_source(np.ascontiguousarray(x.transpose(0, 3, 1, 2)), labels, options)


def _cifar10_source(x: NDArray[Any], labels: ArrayLike, options: Options) -> Arrays:
    if options.y is None and options.like_condition is None:
        options = replace(options, like_condition=Space.labels(CIFAR10_LABELS))
    return from_array(x, options, form="images", labels=np.asarray(labels, dtype=np.int64))
