"""User code that registers models, metrics, feature spaces, readers or values when imported.

A file is named on the command line (`--import mine.py`); an installed package names its modules in
the entry-point group `pushforward.plugins`, which are imported when a name is unknown or all names
are listed.
"""

from __future__ import annotations

import importlib
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from pushforward.core.argument_names import argument
from pushforward.core.errors import (
    DataWarning,
    InvalidValue,
    PushforwardError,
    is_out_of_memory,
    printable,
)

__all__ = [
    "GROUP",
    "has_user_code",
    "import_advice",
    "import_code",
    "imported_code",
    "imported_line",
    "is_users",
    "load_plugins",
]

GROUP = "pushforward.plugins"
"""The entry-point group of installed packages."""
_imported: list[str] = []
_plugins: list[str] = []
_loaded = False


def import_code(name: str) -> ModuleType:
    """Import a file such as 'mine.py', or a module by its dotted name, once.

    Raises:
        InvalidValue: If there is no such file or module, or where it cannot be imported.
    """
    path = Path(name).expanduser()
    try:
        module = _import_file(path) if path.suffix == ".py" else importlib.import_module(name)
        place = str(path.resolve()) if path.suffix == ".py" else name
        if place not in _imported:
            _imported.append(place)
        return module
    except PushforwardError:
        raise
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        if is_out_of_memory(error):
            raise
        raise InvalidValue(
            f"{printable(name)} cannot be imported ({type(error).__name__}: {printable(error)});"
            " fix it and try again"
        ) from error


def import_advice(names: Sequence[str]) -> str:
    """What to do where these files or modules are needed, for a message."""
    if argument("import").startswith("--"):
        return "pass " + " ".join(argument("import", name) for name in names)
    return f"import {', '.join(names)} first"


def imported_code() -> tuple[str, ...]:
    """The files and modules imported by `import_code`, for a run's manifest."""
    return tuple(_imported)


def has_user_code() -> bool:
    """Whether a file, module or installed package of the user's may have registered names."""
    load_plugins()
    return bool(_imported or _plugins)


def is_users(registered: object) -> bool:
    """Whether a registered class or function is the user's, not the package's."""
    return not str(getattr(registered, "__module__", "")).startswith("pushforward.")


def imported_line(error: BaseException) -> str:
    """Where imported code raised an error or led to it, as 'mine.py, line 12'; '' if it did not.

    Calls that do not fit a function of the file, before any of its lines ran, name the function.
    """
    places = [Path(str(sys.modules[n].__file__)) for n in _imported if n in sys.modules]
    places += [Path(name) for name in _imported if name.endswith(".py")]
    folders = {place.parent for place in places if place.name == "__init__.py"}
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path in places or not folders.isdisjoint(path.parents):
            where = f"{printable(path)}, line {frame.lineno}"
    return where or _named_in(error)


def _named_in(error: BaseException) -> str:
    """The imported file that defines what an error's message begins with, as in "'Flow' object has
    no attribute 'width'" or "Flow.log_prob() missing 1 required positional argument: 'y'".
    """
    name = re.match(r"'?(\w+)", str(error))
    if name is None or not isinstance(error, (AttributeError, TypeError)):
        return ""
    for module in list(sys.modules.values()):
        place = str(getattr(module, "__file__", None))
        defined = getattr(vars(module).get(name[1]), "__module__", None) == module.__name__
        if defined and (place in _imported or module.__name__ in _imported):
            return f"{printable(place)}, {name[1]}"
    return ""


def load_plugins() -> None:
    """Import the plugins of installed packages, once; a failing one is skipped with a warning."""
    global _loaded
    if _loaded:
        return
    _loaded = True
    from importlib.metadata import entry_points  # a tenth of the time that help takes

    for point in entry_points(group=GROUP):
        try:
            point.load()
            _plugins.append(point.value)
        except Exception as error:  # foreign code may raise anything
            warnings.warn(
                f"the plugin {point.value} cannot be loaded ({printable(error)}) and is skipped",
                DataWarning,
                stacklevel=3,
            )


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidValue(f"{printable(path)}: no such file; expected the path of a Python file")
    place = str(path.resolve())
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == place:
            return module
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_{abs(hash(place)):x}"
    spec = spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise InvalidValue(f"{printable(path)}: is not a Python file; expected the path of one")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look up their module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
