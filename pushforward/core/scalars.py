"""NumPy's and torch's scalars as Python's own, told by what they can do, so that help and the command line import neither."""

from __future__ import annotations

import dataclasses
import functools
import sys
from abc import ABCMeta
from typing import Any

__all__ = ["Settled", "plain", "settle"]


def plain(value: Any) -> Any:
    """A NumPy scalar, an array or tensor without axes as the Python number, bool or text that it is; the rest unchanged.

    Lists and tuples are gone through, so that `hidden=(np.int64(8),)` is plain too.
    """
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        number = value.item()
        return number if isinstance(number, (bool, int, float, complex, str, bytes)) else float(number)  # a longdouble stays one
    if type(value) in (list, tuple):
        return type(value)(plain(v) for v in value)
    return value


class Settled(ABCMeta):
    """The metaclass of whatever has settings: NumPy's and torch's scalars reach its `__init__` as Python's."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """An instance, made with plain arguments, and with its tensors on the CPU whatever torch's default device."""
        names = list(cls.__signature__.parameters.values()) if any(_is_row(v) for v in (*args, *kwargs.values())) else []
        given = {p.name: p for p in names}
        first = [_listed(v, names[i]) if i < len(names) else plain(v) for i, v in enumerate(args)]
        named = {k: _listed(v, given[k]) if k in given else plain(v) for k, v in kwargs.items()}
        plainly = functools.partial(super().__call__, *first, **named)
        torch = sys.modules.get("torch")  # where it is not imported, nobody has set its default device
        if torch is None or torch.get_default_device().type == "cpu":
            return plainly()
        with torch.device("cpu"):
            return plainly()

    @property
    def __signature__(cls) -> Any:
        """That of `__init__`, which `__call__` above would hide."""
        import inspect

        own = inspect.signature(cls.__init__)  # type: ignore[misc]
        return own.replace(parameters=list(own.parameters.values())[1:], return_annotation=inspect.Signature.empty)


def _is_row(value: Any) -> bool:
    return getattr(value, "ndim", None) == 1 and callable(getattr(value, "tolist", None))


def _listed(value: Any, parameter: Any) -> Any:
    """An array for a parameter that is a sequence of whole numbers as a tuple."""
    wanted = str(parameter.annotation)
    return tuple(value.tolist()) if _is_row(value) and ("Sequence[int]" in wanted or "int, ..." in wanted) else plain(value)


def settle(settings: Any) -> None:
    """Make the fields of a dataclass plain, in its `__post_init__`."""
    for field in dataclasses.fields(settings):
        if field.init:
            object.__setattr__(settings, field.name, plain(getattr(settings, field.name)))
