"""`run.json`: the experiment behind a run folder, in one file.

It holds the model with its hyper-parameters, the origin of the rows and the fitter's settings;
`model.json` beside it describes the fitted model alone. Runs of format 1 kept the same facts in
`config.toml` and `trainer.json` (`format_one.py`); resuming one writes `run.json` instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pushforward.core.assembled import Assembled
from pushforward.core.errors import BadRun, printable
from pushforward.core.folders import parse_json, read_file, write_text
from pushforward.core.format_one import FILES, read_content
from pushforward.core.plain import Plain, to_plain
from pushforward.core.plugins import imported_code
from pushforward.core.provenance import Provenance

__all__ = ["FORMAT", "NAME", "Manifest"]

FORMAT = 2
"""Of run.json. In format 1 its content lay in several files, which `core.format_one` reads."""
NAME = "run.json"
_DAMAGED = "restore it from a copy"


@dataclass(frozen=True)
class Manifest:
    """The experiment that produced a run.

    Args:
        model: the registered name.
        hyperparameters: as in model.json, values as {'family', 'text'}.
        data: origin of the rows; None if unknown.
        dequantise: whether U(-1/2, 1/2) was added to integers; None if unknown.
        fingerprint: of the rows as the fitter received them; '' if unknown.
        fitter: the class of the fitter ('Trainer', 'EM', ...); '' if the run cannot be resumed yet.
        settings: the fitter's settings, as plain JSON.
        command: the command line that started the run; '' for a run started from Python.
        start: the run folder whose weights this one started from, if any.
        imports: the user's files that define the model or anything it uses.
    """

    model: str
    hyperparameters: Mapping[str, Plain] = field(default_factory=dict)
    data: Provenance | None = None
    dequantise: bool | None = None
    fingerprint: str = ""
    fitter: str = ""
    settings: Mapping[str, Plain] = field(default_factory=dict)
    command: str = ""
    start: str | None = None
    imports: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Assembled, *, fingerprint: str = "", **more: Any) -> Manifest:
        """The manifest of a model that was, or is about to be, fitted.

        Args:
            fingerprint: of the rows as the fitter received them.
            more: further fields.
        """
        return cls(
            model=model.registered_name,
            hyperparameters={
                name: cast(Plain, to_plain(value))
                for name, value in model.hyperparameters().items()
            },
            data=model.provenance,
            dequantise=_was_dequantised(model),
            fingerprint=fingerprint,
            command=model.command,
            imports=imported_code(),
            **more,
        )

    @staticmethod
    def path(folder: Path) -> Path:
        """The file in a folder that records how a run was fitted."""
        return next(
            (folder / name for name in (NAME, *FILES[::-1]) if (folder / name).exists()),
            folder / NAME,
        )

    def update(self, folder: Path) -> Manifest:
        """The manifest to replace the one in a folder with.

        Facts that only the old one has are kept.
        """
        before = Manifest.read(folder)
        if before is None:
            return self
        named = self.data is not None and self.data.source is not None
        return replace(
            self,
            data=self.data if named or before.data is None else before.data,
            dequantise=self.dequantise if before.dequantise is None else before.dequantise,
            command=before.command or self.command,
            start=self.start or before.start,
            imports=tuple(dict.fromkeys([*before.imports, *self.imports])),
        )

    def write(self, folder: Path) -> None:
        """Write run.json into a folder, replacing the files of an older format."""
        content = {
            "format": FORMAT,
            "command": self.command,
            "model": {
                "name": self.model,
                "hyperparameters": self.hyperparameters,
                "start": self.start,
                "imports": list(self.imports),
            },
            "data": (
                None
                if self.data is None
                else {
                    **self.data.as_dict(),
                    "dequantise": self.dequantise,
                    "fingerprint": self.fingerprint,
                }
            ),
            "fitter": {"kind": self.fitter, "settings": dict(self.settings)},
        }
        write_text(folder / NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        for name in FILES:
            (folder / name).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Read the manifest of a run folder; None if there is none.

        Raises:
            BadRun: If it is damaged or newer.
        """
        path = folder / NAME
        if path.exists():
            return cls._parsed(path)
        content = read_content(folder)
        return None if content is None else cls(**content)

    @classmethod
    def _parsed(cls, path: Path) -> Manifest:
        try:
            content = parse_json(read_file(path))
        except ValueError as error:
            if isinstance(error, BadRun):
                raise
            raise BadRun(f"{path} is damaged ({str(error)[:160]}); {_DAMAGED}") from error
        number = content.get("format") if isinstance(content, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise BadRun(f"{path} is damaged (it has no format); {_DAMAGED}")
        if number > FORMAT:
            raise BadRun(
                f"{path} has format {printable(number)}, newer than {FORMAT}, the newest this"
                " version reads; upgrade pushforward"
            )
        try:
            return cls._from(cast(Mapping[str, Any], content))
        except BadRun as error:
            raise BadRun(f"{path} is damaged ({error}); {_DAMAGED}") from error

    @classmethod
    def _from(cls, content: Mapping[str, Any]) -> Manifest:
        model = _read_part(content, "model", dict)
        fitter = _read_part(content, "fitter", dict)
        data = _read_part(content, "data", dict, optional=True)
        imports = _read_part(model, "imports", list)
        if not all(isinstance(name, str) for name in imports):
            raise BadRun("imports has the wrong type")
        return cls(
            model=_read_part(model, "name", str),
            hyperparameters=_read_part(model, "hyperparameters", dict),
            data=None if data is None else Provenance.from_dict(data),
            dequantise=(
                None if data is None else _read_part(data, "dequantise", bool, optional=True)
            ),
            fingerprint="" if data is None else _read_part(data, "fingerprint", str),
            fitter=_read_part(fitter, "kind", str),
            settings=_read_part(fitter, "settings", dict),
            command=_read_part(content, "command", str),
            start=_read_part(model, "start", str, optional=True),
            imports=tuple(imports),
        )


def _was_dequantised(model: Assembled) -> bool | None:
    """Whether integers were dequantised: as requested, else as done.

    None while the data are unknown.
    """
    if model.dequantise is not None or model.space is None:
        return model.dequantise
    return model.preparation.dequantise


def _read_part(content: Mapping[str, Any], name: str, kind: type, *, optional: bool = False) -> Any:
    """A field of the manifest.

    Raises:
        BadRun: If it is missing or of another kind.
    """
    if name not in content:
        raise BadRun(f"{name} is missing")
    value = content[name]
    if not isinstance(value, kind) and not (optional and value is None):
        raise BadRun(f"{name} has the wrong type")
    return value
