"""Is the fit still healthy? Every term and every gradient is looked at, at every step.

On the CPU the look costs microseconds and happens at once; on an accelerator, and with several
processes, the numbers are kept where they are and looked at a few steps later, so that nothing
waits. The first thing that went bad is named: a term or a gradient, of which phase, and where it
began.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from pushforward.core.errors import Diverged
from pushforward.core.phase import Terms

__all__ = ["Watchdog", "bad_network", "where_it_began", "advice"]

LATER = 25


class Watchdog:
    """Watches terms and gradients.

    Args:
        at_once: look at every step (one CPU process),
            or every few steps (accelerators, several processes).
        gradients: whether gradients are watched (not under a loss scaler,
            which skips bad steps by itself).
        agree: gives every process the first one's finding, so that all stop together.
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
        """Note one phase's terms (scalars) and the norms of its networks' gradients;
        raises Diverged as soon as it knows.
        """
        names, values = [f"term {name!r}" for name in terms], list(terms.values())
        for name, parameters in networks.items():
            gradients = [p.grad for p in parameters if p.grad is not None] if self.gradients else []
            if gradients:
                names.append(f"the gradient of network {name!r}")
                # torch has no public form that every version supported has; a loop is slower.
                values.append(torch.stack(torch._foreach_norm(gradients)).sum())
        if any(v.dtype != torch.float32 for v in values):
            values = [v.to(torch.float64) for v in values]
        self._pending.append((torch.stack(values), phase, names))
        if self.at_once or len(self._pending) >= LATER:
            self.look()

    def look(self) -> None:
        """Look at everything noted so far, oldest first."""
        pending, self._pending = self._pending, []
        found = next((text for text in (_finding(*noted) for noted in pending) if text), "")
        if self.agree is not None:
            found = self.agree(found)
        if found:
            raise Diverged(found)


def _finding(values: Tensor, phase: str, names: Sequence[str]) -> str:
    """What went bad among one phase's numbers: the first one,
    and the networks whose gradients are bad with it.
    """
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


def bad_network(networks: Mapping[str, nn.Module]) -> str:
    """The first network that holds a parameter or buffer that is not finite; '' if all are well."""
    for name, network in networks.items():
        for kind, tensors in (("parameters", network.parameters()), ("buffers", network.buffers())):
            floating = [t.detach() for t in tensors if t.is_floating_point()]
            # Norms are quick and not finite where a number is not;
            # where only the norm overflowed, every number is asked.
            if (
                floating
                and not bool(
                    torch.isfinite(
                        torch.stack([n.double() for n in torch._foreach_norm(floating)])
                    ).all()
                )
                and not all(bool(torch.isfinite(t).all()) for t in floating)
            ):
                return f"network {name!r} holds {kind} that are not finite"
    return ""


def where_it_began(
    loss: Callable[[], Terms], networks: Mapping[str, nn.Module], learning: Sequence[str]
) -> str:
    """Where the first number that is not finite arises when the loss is taken again; '' if nowhere.

    In a network's parameters, in a network's output,
    in a term computed from sound outputs, or on a term's way back.
    """
    bad = bad_network(networks)
    if bad:
        return bad
    found: list[str] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], object], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            if not all(bool(torch.isfinite(t).all()) for t in _tensors(output)):
                found.append(f"network {name!r} was the first to give a value that is not finite")

        return hook

    handles = [network.register_forward_hook(note(name)) for name, network in networks.items()]
    try:
        with torch.enable_grad():
            terms = loss()
            return found[0] if found else _bad_term(terms, networks, learning)
    except Exception as error:  # the diagnosis must not hide what is being diagnosed
        return f"the loss cannot be computed again ({type(error).__name__})"
    finally:
        for handle in handles:
            handle.remove()


def _bad_term(terms: Terms, networks: Mapping[str, nn.Module], learning: Sequence[str]) -> str:
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


def _tensors(output: object) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (list, tuple)):
        for part in output:
            yield from _tensors(part)


def advice(phases: Sequence[str]) -> str:
    """What to try when a fit diverged."""
    return (
        f"try a lower rate (optimizers={{{phases[0]!r}: 'adam(rate=1e-4)'}}), clip=1.0, or"
        " on_divergence='rollback'"
    )
