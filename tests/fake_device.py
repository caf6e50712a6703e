"""A second device that any machine has: tensors that compute on the CPU and claim not to be there.

`fake` is PyTorch's private device under another name. A tensor of it is a wrapper around one of the
CPU, and a dispatch mode sees every operation of every layer (autograd, optimisers, indexing): it
computes on the wrapped tensors, and raises `Mixed` where tensors or random streams of two devices
meet as they must not on a card. NumPy cannot see such a tensor, as it cannot see a card's.

What a card allows is allowed here: numbers (0-d tensors) of the CPU in elementwise operations,
indices of the CPU into a device's tensor, and copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from pushforward.core.devices import ACCELERATORS

__all__ = ["FAKE", "Fake", "Mixed", "fake_device"]

aten = torch.ops.aten
COPIES = (aten.copy_.default, aten._copy_from.default)
INDEXED = (
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
    aten._unsafe_index.Tensor,
)
WITH_DATA = (torch.tensor, torch.as_tensor, torch.asarray)
CPU = torch.device("cpu")
_Generator = torch.Generator


class Mixed(RuntimeError):
    """Tensors of two devices met."""


if "fake" not in str(torch._C._get_privateuse1_backend_name()):
    backend_registration._setup_privateuseone_for_python_backend("fake")
FAKE = torch.device("fake", 0)


def is_fake(device: Any) -> bool:
    """Whether a device, by whatever name, is the fake one."""
    return device is not None and torch.device(device).type == "fake"


class Fake(torch.Tensor):
    """A tensor of the fake device; `raw` is the CPU's tensor that holds its numbers."""

    raw: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> Fake:
        made: Fake = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=FAKE,
        )
        made.raw = raw
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Fake({self.raw})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _fake_of, (self.raw,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = Fake(self.raw.clone()).requires_grad_(self.requires_grad)
        memo[id(self)] = made
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


def _empty_strided(size: Any, stride: Any, **kwargs: Any) -> Fake:
    return Fake(torch.empty_strided(size, stride, dtype=kwargs.get("dtype")))


def _copy_from(source: torch.Tensor, into: torch.Tensor, non_blocking: bool = False) -> Any:
    _raw(into).copy_(_raw(source))
    return into


# Indices that are lists become tensors below the modes.
_library = torch.library.Library("aten", "IMPL")
_library.impl("empty_strided", _empty_strided, "PrivateUse1")
_library.impl("_copy_from", _copy_from, "PrivateUse1")


def _fake_of(raw: torch.Tensor) -> Fake:
    return Fake(raw)


class _OfBoth(type(_Generator)):  # type: ignore[misc]
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _Generator)


class FakeGenerator(_Generator, metaclass=_OfBoth):
    """A random stream that may live on the fake device."""

    where: torch.device = CPU

    def __new__(cls, device: Any = "cpu") -> FakeGenerator:
        made: FakeGenerator = super().__new__(cls, "cpu" if is_fake(device) else device)
        made.where = FAKE if is_fake(device) else torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where it claims to live."""
        return self.where


def _compute(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """The operation's result, on the device that a card would have it on."""
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if leaf is not None]
    fakes = [leaf for leaf in leaves if isinstance(leaf, Fake)]
    others = [x for x in leaves if isinstance(x, torch.Tensor) and not isinstance(x, Fake)]
    device = kwargs.get("device")
    target = bool(fakes) if device is None else is_fake(device)
    _refuse_mixture(func, args, fakes, others)
    if device is not None:
        kwargs = {**kwargs, "device": CPU if is_fake(device) else device}
    inputs = tree_map(_raw, (args, dict(kwargs)))
    if func is aten._efficientzerotensor.default:
        # Derivatives of `sgn` are zeros without memory, which only keys above this mode can read:
        # an addition here would follow a null pointer.
        func = aten.zeros.default
    out = func(*inputs[0], **inputs[1])
    if fakes and torch.Tag.inplace_view in func.tags:
        _reshape_wrapper(args[0])
    if not target:
        return out
    # An operation in place gives its own argument back.
    own = {id(leaf.raw): leaf for leaf in fakes}

    def placed(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return own[id(x)] if id(x) in own else Fake(x)

    return tree_map(placed, out)


def _reshape_wrapper(wrapper: Any) -> None:
    """Give a wrapper the shape of its tensor, which an operation such as `unsqueeze_` changed."""
    with no_dispatch():
        wrapper.data = Fake(wrapper.raw)


def _raw(value: Any) -> Any:
    return value.raw if isinstance(value, Fake) else value


def _refuse_mixture(
    func: Any, args: Sequence[Any], fakes: Sequence[Any], others: Sequence[torch.Tensor]
) -> None:
    if not fakes or not others or func in COPIES:
        return
    numbers = all(x.dim() == 0 for x in others)
    if numbers and (torch.Tag.pointwise in func.tags or "_foreach_" in str(func)):
        return
    if func in INDEXED and isinstance(args[0], Fake):
        values = args[2] if len(args) > 2 else args[0]
        if isinstance(values, Fake) or values.dim() == 0:
            return
    raise Mixed(f"{func} got tensors of the CPU and of the fake device")


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


class _Function(TorchFunctionMode):
    """What never reaches the dispatcher: data from Python, and the way back to it."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in WITH_DATA and is_fake(kwargs.get("device")):
            del kwargs["device"]
            return func(*args, **kwargs).to(FAKE)
        if args and isinstance(args[0], Fake):
            name = getattr(func, "__name__", "")
            if name == "tolist":
                return args[0].raw.tolist()
            if name in ("numpy", "__array__"):
                raise TypeError("cannot convert a tensor of the fake device to NumPy; .cpu() first")
        result = func(*args, **kwargs)
        stream = kwargs.get("generator")
        drawn = stream is not None and isinstance(result, torch.Tensor)
        if drawn and is_fake(stream.device) != isinstance(result, Fake):
            name = getattr(func, "__name__", func)
            raise Mixed(f"{name}: the random stream is on {stream.device}, its numbers are not")
        return result


@contextmanager
def fake_device() -> Iterator[torch.device]:
    """Context manager: within, tensors can be on the device 'fake', which 'auto' is."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "Generator", FakeGenerator))
        stack.enter_context(mock.patch.dict(ACCELERATORS, {"fake": lambda: 1}))
        overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.enter_context(_Dispatch())
        stack.enter_context(_Function())
        yield FAKE
