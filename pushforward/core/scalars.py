"""Conversion of NumPy's and torch's scalars to Python's without importing either."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from abc import ABCMeta
from typing import Any, ClassVar, Protocol, runtime_checkable

from pushforward.core.errors import PushforwardError, require_known
from pushforward.core.kinds import fits, read_hints
from pushforward.core.setting_kinds import find_fault, is_integers

__all__ = ["IsDataclass", "PlainSettings", "to_python", "normalise_settings"]


PYTHON = frozenset({bool, int, float, str, type(None)})
"""Types that need no conversion."""


def to_python(value: object) -> object:
    """A NumPy scalar or 0-dimensional array or tensor as a Python number, bool or text.

    Else unchanged.

    Applies to the elements of lists and tuples too, so that `hidden=(np.int64(8),)` is converted.
    """
    if type(value) in PYTHON:
        return value
    item = getattr(value, "item", None)
    if getattr(value, "ndim", None) == 0 and callable(item):
        number = item()
        # a longdouble is kept
        return (
            number if isinstance(number, (bool, int, float, complex, str, bytes)) else float(number)
        )
    if type(value) is list:
        return [v if type(v) in PYTHON else to_python(v) for v in value]
    if type(value) is tuple:
        return tuple([v if type(v) in PYTHON else to_python(v) for v in value])
    return value


@runtime_checkable
class IsDataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class PlainSettings(ABCMeta):
    """Metaclass of classes with settings.

    `__init__` receives NumPy's and torch's scalars as Python's.

    Arguments that do not match their annotation are refused with one line;
    `__init__` may refuse them first, in its own words.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Create an instance from plain arguments, with tensors on the CPU.

        The default device of torch is ignored.
        """
        defaults, hints = _annotated(cls)
        first = [
            _normalise(v, hints.get(name)) for v, name in zip(args, [*defaults, *[""] * len(args)])
        ]
        keywords = {k: _normalise(v, hints.get(k)) for k, v in kwargs.items()}
        fault = None
        for name, value in {**dict(zip(defaults, first)), **keywords}.items():
            if fault is None and name in defaults and name in hints:
                fault = find_fault(name, value, hints[name], defaults[name])
        try:
            instance = cls._made(*first, **keywords)
        except PushforwardError:
            raise
        except Exception as error:
            if fault is not None:
                raise fault from error
            # values are read from texts, which are answered as a whole
            if not dataclasses.is_dataclass(cls) and not _takes_anything(cls):
                require_known(cls.__name__, keywords, defaults)
            raise
        if fault is not None:
            raise fault
        return instance

    def _made(cls, *args: Any, **kwargs: Any) -> Any:
        # torch's default device can only be set once torch is imported
        torch = sys.modules.get("torch")
        if torch is None or torch.get_default_device().type == "cpu":
            return super().__call__(*args, **kwargs)
        with torch.device("cpu"):
            return super().__call__(*args, **kwargs)

    @property
    def __signature__(cls) -> inspect.Signature:
        """The signature of `__init__`, which `__call__` would hide."""
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        return signature.replace(
            parameters=list(signature.parameters.values())[1:],
            return_annotation=inspect.Signature.empty,
        )


@functools.cache
def _annotated(cls: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """The defaults of a class's arguments and their annotations, by name."""
    signature: inspect.Signature = cls.__signature__  # type: ignore[attr-defined]
    single = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    defaults = {p.name: p.default for p in signature.parameters.values() if p.kind in single}
    return defaults, read_hints(cls if dataclasses.is_dataclass(cls) else cls.__init__)  # type: ignore[misc]


def _takes_anything(cls: type) -> bool:
    """Whether `__init__` takes keywords of any name."""
    kinds = inspect.signature(cls).parameters.values()
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in kinds)


def _normalise(value: object, hint: object) -> object:
    """A plain argument; for a sequence of integers, an array or a single number becomes a tuple."""
    if is_integers(hint):
        tolist = getattr(value, "tolist", None)
        if getattr(value, "ndim", None) == 1 and callable(tolist):
            return tuple(tolist())
        value = to_python(value)
        return (value,) if type(value) is int and not fits(value, hint) else value
    return to_python(value)


@functools.cache
def _fields(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a dataclass that are arguments."""
    return tuple(field for field in dataclasses.fields(kind) if field.init)


def normalise_settings(settings: IsDataclass) -> None:
    """Convert a dataclass's fields to Python values in `__post_init__`, and check them."""
    hints = read_hints(type(settings))
    for field in _fields(type(settings)):
        given = getattr(settings, field.name)
        if given is not field.default:
            value = to_python(given)
            object.__setattr__(settings, field.name, value)
            default = (
                field.default_factory()
                if field.default_factory is not dataclasses.MISSING
                else field.default
            )
            fault = find_fault(
                field.name, value, hints.get(field.name, Any), default, instances=True
            )
            if fault is not None:
                raise fault
