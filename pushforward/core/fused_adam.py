"""torch's fused Adam with its tensors gathered once.

`torch.optim.Adam.step` looks up every parameter's state, groups the tensors by device and dtype and
checks for compilation at every step: for a small network that takes longer than the arithmetic. The
groups change only when a state is loaded, so they are cached here; the arithmetic is the same
kernel, bit for bit.

PyTorch's own methods load its compiler at their first call, to keep them out of compiled code: that
takes as long as importing torch, and more than many a training does. They are therefore called as
they are beneath that, and the state is made here.

The kernel pairs numbers by their position in memory, so every moment must have the strides of its
parameter. `match_layout` ensures this for states loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor

__all__ = ["FusedAdam", "is_dense", "match_layout"]

Gathered = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]


class FusedAdam(torch.optim.Adam):
    """Adam with one fused kernel call for all parameters of a group.

    Takes torch.optim.Adam's arguments for rate, betas, epsilon and weight decay. Steps with missing
    gradients or a loss scaler use torch's own implementation.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True
        )
        self._known: tuple[Any, list[Gathered]] | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch's is overloaded
        """Take one step; return the closure's result, if there is one."""
        gradients = [[p.grad for p in group["params"]] for group in self.param_groups]
        whole = (
            closure is None
            and getattr(self, "grad_scale", None) is None
            and all(g is not None and not g.is_sparse for row in gradients for g in row)
        )
        if whole and not self.state:
            self._make_state()
        gathered = self._gathered() if whole else None
        if gathered is None:
            self._separate_counts()
            loss: float | None = super().step(closure)
            return loss
        for group, tensors, grads in zip(self.param_groups, gathered, gradients):
            parameters, means, squares, steps = tensors
            # torch has no public form of either kernel but Adam.step,
            # whose bookkeeping is what this saves.
            for count in {id(count): count for count in steps}.values():
                count.add_(1)
            torch._fused_adam_(
                parameters,
                grads,
                means,
                squares,
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
        return None

    step.hooked = True  # type: ignore[attr-defined]  # the profiler's mark around every step costs as much as the step

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with settings of its own."""
        unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters."""
        unwrap(torch.optim.Optimizer.zero_grad)(self, set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The state, as torch.optim.Adam's."""
        found: dict[str, Any] = unwrap(torch.optim.Optimizer.state_dict)(self)
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state, each moment in its parameter's memory format."""
        unwrap(torch.optim.Optimizer.load_state_dict)(self, state_dict)
        match_layout(self)

    def _make_state(self) -> None:
        """No steps and no moments, as torch.optim.Adam makes them at its first step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                means, squares = (torch.zeros_like(parameter) for _ in range(2))
                count = torch.zeros((), dtype=torch.float32, device=parameter.device)
                self.state[parameter] = {"step": count, "exp_avg": means, "exp_avg_sq": squares}

    def _gathered(self) -> list[Gathered] | None:
        """Every group's tensors.

        None before they exist, or if one kernel cannot process them all.
        """
        # a loaded state is another object
        if self._known is None or self._known[0] is not self.state:
            held = [
                [(p, self.state.get(p)) for p in group["params"]] for group in self.param_groups
            ]
            kinds = {(p.device, p.dtype) for row in held for p, _ in row}
            if len(kinds) > 1 or not all(state for row in held for _, state in row):
                return None
            match_layout(self)
            _share_counts([state for row in held for _, state in row])
            self._known = self.state, [_transpose(row) for row in held]
        return self._known[1]

    def _separate_counts(self) -> None:
        """Before torch's own step, which counts for each parameter: a count of its own."""
        seen: set[int] = set()
        for state in self.state.values():
            if id(state["step"]) in seen:
                state["step"], self._known = state["step"].clone(), None
            seen.add(id(state["step"]))


def _share_counts(states: list[Any]) -> None:
    """One tensor for all parameters' equal numbers of steps: to count in many takes longer."""
    counts: dict[float, Tensor] = {}
    for state in states:
        state["step"] = counts.setdefault(float(state["step"]), state["step"])


@torch.no_grad()
def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give state tensors with their parameter's shape its strides too, keeping the values.

    Fused kernels walk through parameters and moments side by side in memory: a contiguous moment of
    a channels-last weight would be paired with other numbers of that weight.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if (
                isinstance(value, Tensor)
                and value.shape == parameter.shape
                and value.stride() != parameter.stride()
            ):
                state[name] = torch.empty_like(
                    parameter, dtype=value.dtype, device=value.device
                ).copy_(value)


def is_dense(parameter: Tensor) -> bool:
    """Whether a tensor's elements fill memory without gaps or overlap.

    A copy then has its strides.
    """
    return torch.empty_like(parameter, device="meta").stride() == parameter.stride()


def _transpose(row: list[tuple[Tensor, Any]]) -> Gathered:
    names = ("exp_avg", "exp_avg_sq", "step")
    means, squares, steps = ([state[name] for _, state in row] for name in names)
    return [p for p, _ in row], means, squares, steps
