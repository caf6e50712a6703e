"""Wrappers that give the methods of every model the same treatment of arguments and torch's state.

`Model.__init_subclass__` applies them to each class: `sample` accepts any whole number from 0 and
refuses everything else alike, `decode` accepts codes in any container and float type, and neither
torch's default device and dtype nor surrounding gradient modes change the result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.numbers import require_whole, to_numeric, view_as_tensor
from pushforward.core.random import Rng
from pushforward.core.registry import read
from pushforward.core.sampler import Sampler
from pushforward.core.units import HasUnits, TakesConditions

__all__ = ["wrap_methods", "copy_signature", "wrap_sample", "default_torch"]

P = ParamSpec("P")
R = TypeVar("R")

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
"""Methods that query a fitted model."""


MOST = 2**40
"""The most samples per call: more than any memory holds."""


def copy_signature(
    method: Callable[..., object],
    wrapper: Callable[P, R],
    signature: inspect.Signature | None = None,
) -> Callable[P, R]:
    """Give the wrapper the method's name and signature.

    `functools.wraps` would confuse type checkers.
    """
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(wrapper, name, getattr(method, name))
    wrapper.__signature__ = signature or inspect.signature(method)  # type: ignore[attr-defined]
    return wrapper


def wrap_sample(sample: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A `sample` method that checks n and applies the `Sampler` in `using`.

    Its signature is `sample(self, n, y=None, rng=None, using=None)`.

    The wrapped method itself is the sampler 'ancestral'.
    """

    method = _accept_conditions(sample)

    def checked(
        self: TakesConditions,
        n: object,
        y: Conditioning = None,
        rng: Rng = None,
        using: Sampler | str | None = None,
    ) -> Tensor:
        count = require_whole(n, "n")
        if count > MOST:
            raise InvalidValue(
                f"n must be at most {MOST:,}, got {str(count)[:60]}; that is too many for memory:"
                " draw fewer at a time"
            )
        sampler = _find_sampler(self, using)
        draw = method if sampler is None else _sample_with(sampler)
        if count > 0 or (isinstance(y, Sized) and len(y) == 0):
            samples = draw(self, count, y=y, rng=rng)
            if not isinstance(samples, Tensor) or len(samples) != count:
                got = tuple(samples.shape) if isinstance(samples, Tensor) else type(samples)
                raise ShapeMismatch(
                    f"sample of {type(self).__name__} must give {count} rows, got {got}"
                )
            return samples
        return draw(self, 1, y=y, rng=0)[:0]  # not every distribution can sample 0 rows

    return copy_signature(sample, checked, inspect.signature(checked))


def _accept_conditions(sample: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method with an argument y, which is refused if the original lacks it."""
    parameters = inspect.signature(sample).parameters
    if "y" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return sample

    def unconditional(
        self: TakesConditions, n: int, *, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        if y is not None:
            self.to_condition(y, 1)
            raise InvalidValue(
                f"sample of {type(self).__name__} does not depend on conditions; leave y out"
            )
        return sample(self, n, rng=rng)

    return unconditional


def _find_sampler(model: object, using: Sampler | str | None) -> Sampler | None:
    """The requested sampler, or the model's default; None for the model's own method."""
    choice = getattr(model, "default_sampler", None) if using is None else using
    if choice is None:
        return None
    import_module("pushforward.core.samplers")  # which registers them
    sampler = read(Sampler, choice)
    return None if sampler.own else sampler


def _sample_with(sampler: Sampler) -> Callable[..., Tensor]:
    def sampled(model: TakesConditions, n: int, **keywords: Any) -> Tensor:
        with torch.no_grad():
            return sampler(model, n, **keywords)

    return sampled


def wrap_query(verb: Callable[..., R], name: str) -> Callable[..., R]:
    """Add an argument y to a query on observations.

    It is refused, so that every signature has y.
    """
    parameters = list(inspect.signature(verb).parameters.values())
    if any(p.name == "y" or p.kind is p.VAR_KEYWORD for p in parameters) or len(parameters) < 2:
        return verb

    def refusing(
        self: HasUnits, x: object, y: Conditioning = None, *args: Any, **keywords: Any
    ) -> R:
        if y is not None:
            self.to_condition(y, 1)
            raise InvalidValue(
                f"{name} of {type(self).__name__} does not depend on conditions; leave y out"
            )
        return verb(self, x, *args, **keywords)

    y = inspect.Parameter(
        "y", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=Conditioning
    )
    return copy_signature(
        verb,
        refusing,
        inspect.signature(verb).replace(parameters=[*parameters[:2], y, *parameters[2:]]),
    )


def wrap_decode(decode: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A `decode(self, z, …)` that accepts codes in any container and float type."""

    def cast(self: HasUnits, z: ArrayLike | Tensor, *args: Any, **kwargs: Any) -> Tensor:
        codes = (
            z
            if isinstance(z, Tensor) and z.device.type != "meta"
            else view_as_tensor(to_numeric(z, "z"))
        )
        return decode(self, codes.to(self.device, self.floating()), *args, **kwargs)

    return copy_signature(decode, cast)


def wrap_devices(verb: Callable[P, R]) -> Callable[P, R]:
    """A method whose tensors are created on the CPU or the model's device.

    The default device of torch is ignored.
    """

    def on_cpu(*args: Any, **kwargs: Any) -> R:
        if torch.empty(0).device.type == "cpu":  # sooner than torch.get_default_device
            return verb(*args, **kwargs)
        with torch.device("cpu"):
            return verb(*args, **kwargs)

    return copy_signature(verb, on_cpu)


CONDITIONED = ("encode", "log_prob", "elbo", "assign", "responsibilities", "decode")
"""Queries on observations or codes, which accept conditions whether they depend on them or not."""
TAKES: Mapping[str, Callable[..., Any]] = {"sample": wrap_sample, "decode": wrap_decode}


def default_torch() -> AbstractContextManager[None]:
    """Context manager with torch's initial defaults: gradients on, no inference mode, CPU, float32.

    `fit` then behaves alike wherever it is called:
    its `precision` and `accelerator` decide the type and device.
    """
    plain = torch.empty(0)
    initial = plain.dtype == torch.float32 and plain.device.type == "cpu"
    if initial and torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
        return nullcontext()
    return _initial_torch()


@contextmanager
def _initial_torch() -> Iterator[None]:
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


def wrap_methods(cls: type) -> None:
    """Apply the wrappers to the methods that a model class defines itself."""
    for verb in VERBS:
        method = vars(cls).get(verb)
        if callable(method):
            taking = wrap_query(method, verb) if verb in CONDITIONED else method
            setattr(cls, verb, wrap_devices(TAKES[verb](taking) if verb in TAKES else taking))
