"""Is the fit still healthy? Every term and every gradient is looked at, at every step.

On a processor the look costs microseconds and happens at once; on an accelerator the numbers are kept on the device
and looked at a few steps later, so that the device never waits. The first thing that went bad is named: the data, else
the first network whose output was not finite, else the network whose gradient was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from pushforward.core.errors import Diverged
from pushforward.core.phase import Batch, Terms

__all__ = ["Watchdog", "first_bad_network"]

LATER = 25


class Watchdog:
    """Watches terms and gradients.

    Arguments:
        at_once: look at every step (processors), or every few steps (accelerators).
        gradients: whether gradients are watched (not under a loss scaler, which skips bad steps by itself).
    """

    def __init__(self, at_once: bool, gradients: bool = True) -> None:
        self.at_once, self.gradients = at_once, gradients
        self._pending: list[tuple[Tensor, str, list[str]]] = []

    def watch(self, phase: str, terms: Mapping[str, Tensor], networks: Mapping[str, nn.Module]) -> None:
        """Note one phase's terms (scalars) and gradient norms; raises Diverged as soon as it knows."""
        names = [f"term {name!r}" for name in terms]
        values = [t.detach().sum().to(torch.float32) for t in terms.values()]
        if self.gradients:
            for name, network in networks.items():
                gradients = [p.grad for p in network.parameters() if p.grad is not None]
                if gradients:
                    names.append(f"the gradient of network {name!r}")
                    values.append(torch.stack(torch._foreach_norm(gradients)).sum().to(torch.float32))
        self._pending.append((torch.stack(values), phase, names))
        if self.at_once or len(self._pending) >= LATER:
            self.look()

    def look(self) -> None:
        """Look at everything noted so far, oldest first."""
        pending, self._pending = self._pending, []
        for values, phase, names in pending:
            if not bool(torch.isfinite(values).all()):
                bad = int((~torch.isfinite(values)).nonzero()[0])
                kind = "NaN" if bool(torch.isnan(values[bad])) else "infinite"
                raise Diverged(f"{names[bad]} of phase {phase!r} became {kind}")


@torch.no_grad()
def first_bad_network(loss: Callable[[], Terms], networks: Mapping[str, nn.Module], batch: Batch) -> str:
    """Where the first non-finite number arises: in the data, in a network's parameters or in its output; '' if nowhere."""
    if not bool(torch.isfinite(batch.x).all()):
        return "the data of that batch are not finite"
    for name, network in networks.items():
        if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):
            return f"network {name!r} holds parameters that are not finite"
    found: list[str] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
                found.append(f"network {name!r} was the first to give a value that is not finite")

        return hook

    handles = [network.register_forward_hook(note(name)) for name, network in networks.items()]  # type: ignore[arg-type]
    try:
        loss()
    except Exception as error:  # the diagnosis must not hide what is being diagnosed
        return f"the loss cannot be computed again ({type(error).__name__})"
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""


def advice(phases: Sequence[str]) -> str:
    """What to try when a fit diverged."""
    which = " or ".join(f"optimizers={{{p!r}: 'adam(rate=1e-4)'}}" for p in phases[:1])
    return f"try a lower rate ({which}), clip=1.0, or on_divergence='rollback'"
