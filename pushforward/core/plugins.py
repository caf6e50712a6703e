"""Code of the user's that has to be imported before what it registers can be named: models, readers, values."""

from __future__ import annotations

import importlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pushforward.core.errors import InvalidValue, PushforwardError, is_memory, shown

__all__ = ["import_code"]


def import_code(name: str) -> ModuleType:
    """Import a file such as 'mine.py', or a module by its dotted name; once, however often it is asked for.

    Raises InvalidValue where there is no such file or module, or where it cannot be imported.
    """
    path = Path(name).expanduser()
    try:
        return _file(path) if path.suffix == ".py" else importlib.import_module(name)
    except PushforwardError:
        raise
    except Exception as error:  # the code of others may raise anything
        if is_memory(error):
            raise
        raise InvalidValue(f"{shown(name)} cannot be imported ({type(error).__name__}: {shown(error)}); mend it and try again") from error


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidValue(f"{shown(path)}: no such file; pass the path of a Python file to --import")
    place = str(path.resolve())
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == place:
            return module
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_{abs(hash(place)):x}"
    spec = spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise InvalidValue(f"{shown(path)}: is not a Python file; pass the path of one to --import")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
