"""Run folders as the commands use them: the model, the configuration it was made with, and the data it comes from.

The rows set aside are found again from config.toml (source, split seed, share); so every command that measures, measures
on rows the model has not seen, prepared as the model says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.cli import config as configs
from pushforward.cli.config import Config
from pushforward.cli.tables import settings, typed
from pushforward.core.errors import BadRun, BadSource, InvalidKind, InvalidValue, PushforwardError, is_memory, shown

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.core.preparation import Preparation
    from pushforward.core.source import Source

__all__ = ["built", "Run", "Data", "open_run", "read_source", "read_like", "divide", "default_folder", "rows_of", "device_named"]

MEASURED_ROWS = 10_000


@dataclass(frozen=True)
class Data:
    """The rows learnt from and those set aside (None if none were)."""

    train: Source
    held_out: Source | None


@dataclass(frozen=True)
class Run:
    """A run folder: its model, and the configuration if the command line made it."""

    folder: Path
    model: Any
    config: Config | None

    @property
    def name(self) -> str:
        """The model's registered name."""
        return str(self.model.registered_name)

    def needed_config(self, purpose: str) -> Config:
        """The configuration; BadRun where the run has none."""
        if self.config is None:
            raise BadRun(f"{self.folder} holds no config.toml (it was saved from Python), so {purpose}")
        return self.config

    def can(self, *capabilities: str) -> bool:
        """Whether the model keeps all these promises, e.g. 'Encodes'."""
        from pushforward.core.capabilities import capabilities as kept

        return set(capabilities) <= set(kept(self.model))

    def need(self, lack: str, *capabilities: str) -> None:
        """InvalidKind, naming models that keep these promises, where the model does not."""
        from pushforward.core.capabilities import capabilities as kept
        from pushforward.core.registry import registered_models

        if not self.can(*capabilities):
            able = [name for name, cls in registered_models() if set(capabilities) <= set(kept(cls))]
            raise InvalidKind(f"a {self.name} {lack}; models that do: {', '.join(able)}")


def open_run(folder: str | Path, device: str = "cpu") -> Run:
    """The run in a folder, its model on a device."""
    from pushforward import models  # noqa: F401 - fills the catalogue
    from pushforward.core.storage import has_preparation, load

    path = Path(folder)
    model = load(path, device=device_named(device))
    config = read_config(path, type(model))
    if config is not None and not has_preparation(path):
        model.preparation = _preparation(config)
    return Run(path, model, config)


def _preparation(config: Config) -> Preparation:
    """What was done to the data, from the configuration of a run that was made before model.json said it."""
    from pushforward.core.preparation import Preparation

    return Preparation(
        dequantise=config.data.get("dequantise") is not False,
        binarise="binarise" in [str(a) for a in config.fitting.get("augment") or ()],
        seed=int(config.data.get("split_seed") or 0),
    )


def read_config(folder: Path, cls: type) -> Config | None:
    """The configuration stored in a run folder, if any."""
    if not (folder / "config.toml").exists():
        return None
    from pushforward.cli.flags import flags_of

    content = configs.stored(folder)
    known = {flag.name: flag for flag in flags_of(cls)}
    try:
        named = configs._from_file(content, known)
        values = {flag.name: flag.read(named[flag.name], "config.toml: ") if flag.name in named else None for flag in known.values()}
        sections: dict[str, Any] = {s: {f.name: values[f.name] for f in known.values() if f.section == s} for s in configs.SECTIONS}
        return Config(str(content["model"]), str(content["source"]), **sections)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadRun(f"{folder / 'config.toml'} is damaged ({error}); restore it from a copy") from error


def built(cls: type, config: Config) -> Any:
    """A fresh model with the hyper-parameters of a configuration; InvalidValue where it does not take them."""
    try:
        return cls(**config.hyperparameters)
    except PushforwardError:
        raise
    except (TypeError, ValueError, OverflowError, RuntimeError, AttributeError) as error:
        if is_memory(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidValue(f"a {config.model} cannot be made so ({reason}); see: pushforward fit {config.model} --help") from error


def device_named(name: str) -> Any:
    """The torch device of a name; InvalidValue for one that is unknown or not here."""
    import torch

    if name in ("auto", "gpu"):
        name = "cuda" if torch.cuda.is_available() or name == "gpu" else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except Exception as error:
        others = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        have = ["cpu", *(name for name, there in others.items() if there)]
        reason = "is not a device" if isinstance(error, RuntimeError) and "xpected one of" in str(error) else "cannot be had here"
        raise InvalidValue(f"device {name!r} {reason}; this machine has {', '.join(have)}") from error
    return device


# ------------------------------------------------------------------------------------------------ data


def read_source(config: Config) -> Source:
    """The source a configuration names, as its data flags say; labels only where asked for."""
    from pushforward.data import read
    from pushforward.data.reading import asked_conditions, with_labels
    from pushforward.data.tables.text_format import settings_among

    d = config.data
    asked = asked_conditions(d.get("label"))
    source = read(
        config.source, size=d.get("size"), fit=d.get("fit"), channels=d.get("channels"), categorical=d.get("categorical") or (),
        columns=d.get("columns") or None, drop=d.get("drop") or (), download=bool(d.get("download")), **{**settings_among(d), **typed()},
        **asked,
    )  # fmt: skip
    return with_labels(source) if asked.get("label") is True else source


def read_under(run: Run, file: str, y: str | None) -> Source:
    """`read_like` with what --y says; InvalidValue where it says something of a model that has no conditions."""
    if y is not None and run.model.condition_space is None:
        raise InvalidValue(f"--y {shown(y)}: {run.folder} was fitted without conditions; leave --y out")
    return read_like(run, file, y)


def read_like(run: Run, file: str, label: str | None = None) -> Source:
    """Rows from a file or built-in name, read into the space of a run's model, with conditions where it has them."""
    from pushforward.data import read
    from pushforward.data.reading import asked_conditions

    asked = label or (run.config.data.get("label") if run.config else None) or "auto"
    conditions = asked_conditions(asked if run.model.condition_space is not None else None)
    source = read(file, like=run.model, **conditions, **settings(file, run.config.data if run.config else None))
    if run.model.condition_space is not None and source.condition_space is None:
        raise BadSource(f"{file}: the model was fitted with conditions ({run.model.condition_space}), but these data bring none; pass --y")
    some = min(64, len(source))
    own = getattr(source, "x", None)
    run.model.fitted_space().conform(source.take(_range(0, some)).x if own is None else own[:some], what=file)
    return source


def divide(config: Config, source: Source) -> Data:
    """The rows to learn from and those set aside."""
    from pushforward.data import split

    share = config.data.get("held_out") or 0
    if share == 0:
        return Data(source, None)
    train, held_out = split(source, held_out=share, seed=int(config.data.get("split_seed") or 0))
    return Data(train, held_out)


def rows_of(source: Source, most: int = MEASURED_ROWS) -> Any:
    """The first rows of a source, as one batch."""
    return source.take(_range(0, min(most, len(source))))


def labels_of(model: Any, batch: Any) -> Any:
    """A batch's conditions as a model's methods take them (a source gives labels as codes); None for a model without."""
    return None if model.condition_space is None else model.condition_space.as_given(batch.y)


def in_blocks(source: Source, size: int = 4096) -> Iterator[Any]:
    """All rows, a block at a time."""
    for start in range(0, len(source), size):
        yield source.take(_range(start, min(start + size, len(source))))


def file_names(source: Source) -> list[str] | None:
    """The names of the files rows came from, where they did."""
    files = getattr(source, "files", None)
    return None if files is None else [str(getattr(f, "shown", f)) for f in files]


def _range(start: int, stop: int) -> Tensor:
    import torch

    return torch.arange(start, stop)


# ------------------------------------------------------------------------------------------------ folders


def default_folder(model: str, source: str) -> Path:
    """runs/<model>-<source>-<n>, with the smallest n that is free."""
    import re

    stem = re.sub(r"[^\w-]+", "-", Path(source.rstrip("/")).name.split(".")[0] or "data").strip("-") or "data"
    n = 1
    while (folder := Path("runs") / f"{model}-{stem}-{n}").exists():
        n += 1
    return folder
