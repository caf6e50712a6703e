"""NumPy's and torch's scalars as Python's own, told by what they can do,
so that help and the command line import neither.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from abc import ABCMeta
from typing import Any, ClassVar, Protocol, runtime_checkable

from pushforward.core.errors import PushforwardError
from pushforward.core.kinds import fits, read_hints
from pushforward.core.setting_kinds import find_fault, is_integers

__all__ = ["IsDataclass", "PlainSettings", "to_python", "normalise_settings"]


def to_python(value: object) -> object:
    """A NumPy scalar, an array or tensor without axes as the Python number,
    bool or text that it is; the rest unchanged.

    Lists and tuples are gone through, so that `hidden=(np.int64(8),)` is plain too.
    """
    item = getattr(value, "item", None)
    if getattr(value, "ndim", None) == 0 and callable(item):
        number = item()
        # a longdouble stays one
        return (
            number if isinstance(number, (bool, int, float, complex, str, bytes)) else float(number)
        )
    if type(value) is list:
        return [to_python(v) for v in value]
    if type(value) is tuple:
        return tuple(to_python(v) for v in value)
    return value


@runtime_checkable
class IsDataclass(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class PlainSettings(ABCMeta):
    """The metaclass of whatever has settings:
    NumPy's and torch's scalars reach its `__init__` as Python's, or not at all.

    What does not fit its annotation is refused in one line;
    `__init__` may refuse it first, in words of its own.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """An instance, made with plain arguments,
        and with its tensors on the CPU whatever torch's default device.
        """
        known, hints = _annotated(cls)
        first = [
            _normalise(v, hints.get(name)) for v, name in zip(args, [*known, *[""] * len(args)])
        ]
        named = {k: _normalise(v, hints.get(k)) for k, v in kwargs.items()}
        faults = (
            find_fault(k, v, hints[k], known[k])
            for k, v in {**dict(zip(known, first)), **named}.items()
            if k in known and k in hints
        )
        fault = next((f for f in faults if f is not None), None)
        try:
            made = cls._made(*first, **named)
        except PushforwardError:
            raise
        except Exception as error:
            if fault is not None:
                raise fault from error
            raise
        if fault is not None:
            raise fault
        return made

    def _made(cls, *args: Any, **kwargs: Any) -> Any:
        # where it is not imported, nobody has set its default device
        torch = sys.modules.get("torch")
        if torch is None or torch.get_default_device().type == "cpu":
            return super().__call__(*args, **kwargs)
        with torch.device("cpu"):
            return super().__call__(*args, **kwargs)

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of `__init__`, which `__call__` above would hide."""
        own = inspect.signature(cls.__init__)  # type: ignore[misc]
        return own.replace(
            parameters=list(own.parameters.values())[1:], return_annotation=inspect.Signature.empty
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


def _normalise(value: object, hint: object) -> object:
    """An argument made plain; for a sequence of whole numbers an
    array becomes a tuple, and so does one number alone.
    """
    if is_integers(hint):
        tolist = getattr(value, "tolist", None)
        if getattr(value, "ndim", None) == 1 and callable(tolist):
            return tuple(tolist())
        value = to_python(value)
        return (value,) if type(value) is int and not fits(value, hint) else value
    return to_python(value)


def normalise_settings(settings: IsDataclass) -> None:
    """Make the fields of a dataclass plain, in its `__post_init__`;
    refuse in one line what does not fit its annotation.
    """
    hints = read_hints(type(settings))
    for field in dataclasses.fields(settings):
        if field.init:
            value = to_python(getattr(settings, field.name))
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
