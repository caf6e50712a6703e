"""Detection of divergence: every term and gradient is checked at every step.

On the CPU the check costs microseconds and happens at once; on an accelerator, and with several
processes, the numbers stay on the device and are checked a few steps later, so that nothing waits.
The first bad quantity is named: a term or a gradient, its phase, and its origin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from pushforward.core.argument_names import setting
from pushforward.core.errors import Diverged
from pushforward.core.phase import Terms

__all__ = ["Watchdog", "find_bad_network", "locate_fault", "advise"]

LATER = 25
"""Steps whose terms are checked together.

Each check waits for the device, and a fault is found at most so many steps late.
"""
SMALL = 1e15
"""Norms below it have a finite total in float32: the squares of 10^8 of them can be summed."""


class Watchdog:
    """Checks terms and gradients.

    Args:
        at_once: check at every step (one CPU process, which `agree` would not ask),
            else every few steps (accelerators, several processes).
        gradients: whether to check gradients (not under a loss scaler,
            which skips bad steps itself).
        agree: shares the first process's finding, so that all stop together.
    """

    def __init__(
        self, at_once: bool, gradients: bool = True, agree: Callable[[str], str] | None = None
    ) -> None:
        self.at_once, self.gradients, self.agree = at_once, gradients, agree
        self._pending: list[tuple[Tensor, str, list[str]]] = []

    def watch(
        self,
        phase: str,
        terms: Mapping[str, Tensor],
        networks: Mapping[str, Sequence[nn.Parameter]],
    ) -> None:
        """Record one phase's terms (scalars) and its networks' gradient norms.

        Raise Diverged once a bad one is found.
        """
        gradients_of = {
            name: [p.grad for p in parameters if p.grad is not None] if self.gradients else []
            for name, parameters in networks.items()
        }
        if self.at_once and not self._pending and _are_small(terms, gradients_of):
            return
        names, values = [f"term {name!r}" for name in terms], list(terms.values())
        for name, gradients in gradients_of.items():
            if gradients:
                names.append(f"the gradient of network {name!r}")
                values.append(get_total_norm(gradients))
        if any(v.dtype != torch.float32 for v in values):
            values = [v.to(torch.float64) for v in values]
        self._pending.append((torch.stack(values), phase, names))
        if self.at_once or len(self._pending) >= LATER:
            self.look()

    def look(self) -> None:
        """Check everything recorded so far, oldest first."""
        pending, self._pending = self._pending, []
        finding = next(
            (text for text in (_describe_first(*noted) for noted in pending) if text), ""
        )
        if self.agree is not None:
            finding = self.agree(finding)
        if finding:
            raise Diverged(finding)


def _are_small(terms: Mapping[str, Tensor], gradients: Mapping[str, Sequence[Tensor]]) -> bool:
    """Whether terms and gradients are so small that every number of `watch` is finite.

    It takes half the time of those numbers, of a small network's step a twentieth.
    """
    every = [g for some in gradients.values() for g in some]
    # torch's public form, `get_total_norm`, groups the tensors first, which takes longer
    norms = torch._foreach_norm(every) if every else ()
    numbers = torch.stack([*terms.values(), *norms]).tolist()
    return all(-SMALL < number < SMALL for number in numbers)


def _describe_first(values: Tensor, phase: str, names: Sequence[str]) -> str:
    """The first bad number of one phase, and the networks whose gradients are bad as well."""
    numbers = values.tolist()
    bad = [i for i, number in enumerate(numbers) if not math.isfinite(number)]
    if not bad:
        return ""
    kind = "NaN" if math.isnan(numbers[bad[0]]) else "infinite"
    also = [names[i] for i in bad[1:] if "gradient" in names[i]]
    return (
        f"{names[bad[0]]} of phase {phase!r} became"
        f" {kind}{', with ' + ' and '.join(also) if also else ''}"
    )


def find_bad_network(networks: Mapping[str, nn.Module]) -> str:
    """The first network with a parameter or buffer that is not finite; '' if there is none."""
    for name, network in networks.items():
        for kind, tensors in (("parameters", network.parameters()), ("buffers", network.buffers())):
            floating = [t.detach() for t in tensors if t.is_floating_point()]
            # Norms are fast, and not finite if a number is not;
            # if only the norm overflowed, every number is checked.
            if (
                floating
                and not bool(torch.isfinite(get_total_norm(floating)))
                and not all(bool(torch.isfinite(t).all()) for t in floating)
            ):
                return f"network {name!r} holds {kind} that are not finite"
    return ""


def locate_fault(
    loss: Callable[[], Terms], networks: Mapping[str, nn.Module], learning: Sequence[str]
) -> str:
    """Where the first non-finite number arises when the loss is recomputed; '' if nowhere.

    In a network's parameters or output, in a term computed from finite outputs,
    or in a backward pass.
    """
    bad = find_bad_network(networks)
    if bad:
        return bad
    findings: list[str] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], object], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            if not all(bool(torch.isfinite(t).all()) for t in _iterate_tensors(output)):
                findings.append(f"network {name!r} was the first with a value that is not finite")

        return hook

    handles = [network.register_forward_hook(note(name)) for name, network in networks.items()]
    try:
        with torch.enable_grad():
            terms = loss()
            return findings[0] if findings else _find_bad_term(terms, networks, learning)
    except Exception as error:  # the diagnosis must not hide the original error
        return f"the loss cannot be computed again ({type(error).__name__})"
    finally:
        for handle in handles:
            handle.remove()


def _find_bad_term(terms: Terms, networks: Mapping[str, nn.Module], learning: Sequence[str]) -> str:
    for term, value in terms.items():
        if not bool(torch.isfinite(value).all()):
            return f"term {term!r} is not finite although every network's output is"
    for term, value in terms.items():
        for name in learning:
            parameters = [p for p in networks[name].parameters() if p.requires_grad]
            if not value.requires_grad or not parameters:
                continue
            gradients = torch.autograd.grad(
                value.sum(), parameters, retain_graph=True, allow_unused=True
            )
            if not all(bool(torch.isfinite(g).all()) for g in gradients if g is not None):
                return f"term {term!r} is finite, but its gradient in network {name!r} is not"
    return ""


def _iterate_tensors(output: object) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (list, tuple)):
        for part in output:
            yield from _iterate_tensors(part)


def advise(phases: Sequence[str]) -> str:
    """Advice for a fit that diverged."""
    return (
        f"a lower rate ({setting('optimizers', {phases[0]: 'adam(rate=1e-4)'})}),"
        f" {setting('clip', 1.0)}, or {setting('on_divergence', 'rollback')}"
    )
