"""The stored part of a model: hyper-parameters and tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pushforward.core.errors import InvalidKind
from pushforward.core.registry import Value, model_name
from pushforward.core.scalars import PlainSettings
from pushforward.core.space import Space

__all__ = ["Stored"]


class Stored(nn.Module, metaclass=PlainSettings):
    """A module that can report everything needed to recreate it."""

    space: Space | None

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments of `__init__` with their current values."""
        kind = type(self)
        names = [n for n in inspect.signature(kind.__init__).parameters if n != "self"]
        absent = [n for n in names if not hasattr(self, n)]
        if absent:
            raise InvalidKind(
                f"{kind.__name__} cannot be stored: its argument {absent[0]} is not kept; set"
                f" self.{absent[0]} in __init__, or define hyperparameters()"
            )
        return {n: getattr(self, n) for n in names}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that `save` writes."""
        return {k: v.detach().to("cpu").contiguous() for k, v in self.state_dict().items()}

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on stored buffers by name: axes and a rule.

        For example, {'covariance_': 'd d covariance'}.

        Axes of the same name must agree; 'd' is the size of the space, and a hyper-parameter's name
        stands for its value. The rules are 'positive', 'weights' (not negative), 'shares'
        (summing to one), 'covariance' and 'definite'.
        """
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load `tensors`; buffers whose size is fitted adopt the stored size."""
        buffers, parts = (
            dict(self.named_buffers(remove_duplicate=False)),
            dict(self.named_modules()),
        )
        for key, value in tensors.items():
            holder, _, leaf = key.rpartition(".")
            module = parts.get(holder)
            if (
                module is not None
                and leaf in module._buffers
                and (buffers.get(key) is None or buffers[key].shape != value.shape)
            ):
                module._buffers[leaf] = value.clone()
        self.load_state_dict(dict(tensors))

    def __repr__(self) -> str:
        arguments = ", ".join(
            f"{k}={v if isinstance(v, Value) else repr(v)}"
            for k, v in self.hyperparameters().items()
        )
        where = f" on {self.space}" if self.space is not None else ", not fitted"
        return f"{type(self).__name__}({arguments}){where}"

    @property
    def registered_name(self) -> str:
        """The name under which the model is saved and loaded."""
        return model_name(type(self))
