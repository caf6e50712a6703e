"""How the methods of every model take their arguments, in one place, and what torch looks like while they run.

`Model.__init_subclass__` puts these around the methods of each class: `sample` takes any whole number from 0 on and refuses
all else in one way, `decode` takes codes of any container and floating type, and neither torch's default device and type
nor gradient modes around a call change what it does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.numbers import numeric, tensor_over, whole

__all__ = ["settle_verbs", "signed_as", "counted", "usual_torch"]

VERBS = (
    "sample",
    "decode",
    "encode",
    "log_prob",
    "elbo",
    "density",
    "assign",
    "responsibilities",
    "translate",
    "condition",
    "marginal",
)
"""What a fitted model is asked."""


MOST = 2**40
"""The most samples one call may ask for: more than any memory holds."""


def signed_as(method: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper under the method's name and signature; not by `functools.wraps`, in which checkers of annotations lose their way."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(wrapper, name, getattr(method, name))
    wrapper.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    return wrapper


def counted(sample: Callable[..., Any]) -> Callable[..., Any]:
    """A method `sample(self, n, …)` that takes any whole number n from 0 on, NumPy's too, and refuses all else in one way."""

    def checked(self: Any, n: Any, *args: Any, **kwargs: Any) -> Any:
        count = whole(n, "n")
        if count > MOST:
            raise InvalidValue(f"n must be at most {MOST:,}, got {str(count)[:60]}; that is too many to hold: draw fewer at a time")
        y: Any = kwargs.get("y")
        if count > 0 or (hasattr(y, "__len__") and len(y) == 0):
            return sample(self, count, *args, **kwargs)
        return sample(self, 1, *args, **{**kwargs, "rng": 0})[:0]  # not every distribution can draw nothing

    return signed_as(sample, checked)


def decoding(decode: Callable[..., Any]) -> Callable[..., Any]:
    """A method `decode(self, z, …)` that takes codes in any container and floating type."""

    def cast(self: Any, z: Any, *args: Any, **kwargs: Any) -> Any:
        codes = z if isinstance(z, Tensor) and z.device.type != "meta" else tensor_over(numeric(z, "z"))
        return decode(self, codes.to(self.device, self.floating()), *args, **kwargs)

    return signed_as(decode, cast)


def unswayed(verb: Callable[..., Any]) -> Callable[..., Any]:
    """A method that makes its tensors on the CPU, or where the model is, whatever torch's default device."""

    def on_cpu(self: Any, *args: Any, **kwargs: Any) -> Any:
        if torch.get_default_device().type == "cpu":
            return verb(self, *args, **kwargs)
        with torch.device("cpu"):
            return verb(self, *args, **kwargs)

    return signed_as(verb, on_cpu)


TAKES: Mapping[str, Callable[..., Any]] = {"sample": counted, "decode": decoding}


@contextmanager
def usual_torch() -> Iterator[None]:
    """Within, torch's defaults are those it starts with: gradients on, no inference mode, the CPU, float32.

    So that `fit` does the same wherever it is called: its `precision` and `accelerator` say what it computes in and on.
    """
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        yield


def settle_verbs(cls: type) -> None:
    """Put the above around the methods that a class of models defines itself."""
    for verb in VERBS:
        method = vars(cls).get(verb)
        if callable(method):
            setattr(cls, verb, unswayed(TAKES[verb](method) if verb in TAKES else method))
