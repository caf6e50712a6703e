r"""Fitting by mergeable statistics: passes over the rows, each one E step and one M step.

`EM` holds the settings; `protocols.py` defines what it requires of a model, and `passes.py` runs
one fit. Besides expectation maximisation this covers Lloyd's k-means and every closed form based on
moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pushforward.core.argument_names import setting
from pushforward.core.devices import ACCELERATORS
from pushforward.core.errors import Interrupted, InvalidValue, quote, suggest
from pushforward.core.events import CancelToken, Finished, Listener
from pushforward.core.numbers import normalise_settings
from pushforward.core.source import Source
from pushforward.core.threads import loops_only
from pushforward.fitting.announcer import announce_to
from pushforward.fitting.controls import controlled_by
from pushforward.fitting.explicit_settings import ExplicitSettings, require_stored
from pushforward.fitting.facts import Scanner
from pushforward.fitting.pass_folder import SETTINGS, PassFolder, stored_settings
from pushforward.fitting.passes import Passes
from pushforward.fitting.processes import MOST_PROCESSES, join_processes
from pushforward.fitting.protocols import PassModel
from pushforward.fitting.settings import (
    Callback,
    FolderSettings,
    ObserverSettings,
    PassSettings,
    ProcessSettings,
)

__all__ = ["EM"]

UNTHREADED = 1 << 18
"""Numbers in the data below which PyTorch's threads cost more than they save."""
FREE = ("devices", "accelerator", "strategy", "num_nodes", "save_every")
"""Settings that do not affect the result.

They are stored, so that a resumed run continues alike, but may be changed.
"""


@dataclass
class EM(ExplicitSettings):
    """Fits models by passes of mergeable statistics.

    θ ← M(⊕ T(block; θ)) is repeated until the objective converges.

    **Reference** Dempster, Laird & Rubin (1977), Maximum likelihood from incomplete data via the EM
    algorithm. https://doi.org/10.1111/j.2517-6161.1977.tb01600.x

    Args:
        steps: the most passes per start.
        tolerance: stop when a pass raises the objective by less than this (nats per row);
            0 disables the test.
        block: rows per block; the model's preference by default.
        seed: of the starts.
        devices, num_nodes, strategy: as in Lightning Fabric;
            processes started by torchrun are always joined.
        accelerator: 'auto' (a CUDA device if there is one, else the CPU), 'cpu', 'cuda', 'cuda:1';
            the fitted model stays there, and `model.to('cpu')` moves it.
        run: folder for checkpoints, log and model; a killed fit resumes from there, bit for bit.
        overwrite: replace an existing run folder.
        resume: run folder to continue, with its original settings; `steps` may be larger.
        save_every: seconds between checkpoints, between passes or,
            in a long one, of the statistics merged so far.
        listeners: called with every event, in the first process only.
        callbacks: called with every event and the model, likewise.
        token: stops the fit after the current pass when cancelled.
        quiet: show no progress. By default there is a line on a terminal,
            a table in a notebook, and nothing elsewhere.

    Every process reads its own share of the rows; one all-gather per pass collects the statistics,
    and all processes merge them in the same order, so all get the same bits. Data that are not
    resident are streamed in blocks.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> pf.PCA(2).fit(x, by=pf.EM(block=100)).encode(x).shape
        torch.Size([500, 2])
    """

    steps: int = 100
    tolerance: float = 1e-6
    block: int | None = None
    seed: int = 0
    devices: int = 1
    accelerator: str = "auto"
    strategy: str = "auto"
    num_nodes: int = 1
    run: str | Path | None = None
    overwrite: bool = False
    resume: str | Path | None = None
    save_every: float = 60.0
    listeners: Sequence[Listener] = field(default=(), repr=False)
    callbacks: Sequence[Callback] = field(default=(), repr=False)
    token: CancelToken | None = field(default=None, repr=False)
    quiet: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        normalise_settings(self)
        if self.resume is not None:
            self._take_stored(Path(self.resume))
        if not self.save_every >= 0:
            raise InvalidValue(
                f"save_every is in seconds and must not be negative, got {self.save_every}; pass"
                " 60, say"
            )
        for name in ("steps", "block", "devices", "num_nodes"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or value < 1
            ):
                raise InvalidValue(
                    f"{name} must be a whole number above 0, got {value!r}; pass {name}=1, say"
                )
        if not self.tolerance >= 0:
            raise InvalidValue(
                f"tolerance must not be negative, got {self.tolerance}; pass 0 to use every step"
            )
        if self.accelerator.partition(":")[0] not in ("auto", "cpu", "gpu", *ACCELERATORS):
            raise InvalidValue(
                f"accelerator must be 'auto', 'cpu', 'cuda' or 'cuda:1', say, got"
                f" {quote(self.accelerator)}"
            )
        if max(self.devices, self.num_nodes) > MOST_PROCESSES:
            raise InvalidValue(
                f"devices and num_nodes must be at most {MOST_PROCESSES}, got"
                f" {max(self.devices, self.num_nodes)}"
            )
        if self.strategy not in ("auto", "ddp"):
            from lightning_fabric.strategies import STRATEGY_REGISTRY

            strategies = ["auto", *STRATEGY_REGISTRY.available_strategies()]
            if self.strategy not in strategies:
                raise InvalidValue(
                    f"unknown strategy {self.strategy!r}; {suggest(str(self.strategy), strategies)}"
                )

    def fit(self, model: Any, source: Source) -> Finished:
        """Fit `model` to `source` from scratch, in every process.

        Raises:
            Interrupted: If a signal stopped the fit before it had a model; its state is saved.
        """
        fitted, token = PassModel(model), self.token or CancelToken()
        passes = PassSettings(self.steps, self.tolerance, self.block, self.seed)
        with torch.no_grad():
            processes = join_processes(self._processes())
            run = PassFolder(
                self._folder(),
                passes,
                model,
                source,
                first=processes.first,
                world=processes.world,
                token=token,
                batch=fitted.batch,
            )
            observers = ObserverSettings(
                self.listeners, self.callbacks, token=token, quiet=self.quiet
            )
            alone = loops_only(len(source) * source.space.size < UNTHREADED)
            with alone, controlled_by(token), announce_to(observers) as announcer, run.opened():
                scanner = Scanner(source, processes, run)
                model.prepare(source, scanner.facts(sampled=fitted.samples_facts))
                model.to(processes.device)
                run.prepared = True
                fit = Passes(passes, announcer, fitted, source, processes, run, scanner)
                with loops_only(fitted.looped):
                    finished = fit.play()
        model.eval()
        if run.kept and finished.reason == "interrupted" and fitted.single:
            raise Interrupted(saved=True)
        return finished

    def _processes(self) -> ProcessSettings:
        return ProcessSettings(
            self.accelerator, self.devices, self.strategy, num_nodes=self.num_nodes
        )

    def _folder(self) -> FolderSettings:
        path = None if self.run is None else Path(self.run)
        resumed = self.resume is not None
        content = {name: getattr(self, name) for name in FREE}
        return FolderSettings(path, resumed, self.overwrite, self.save_every, content=content)

    def _take_stored(self, folder: Path) -> None:
        """Adopt the settings of the run to resume.

        Explicit ones must agree, except for more steps.
        """
        stored = stored_settings(folder)
        explicit = {name: getattr(self, name) for name in self.given}
        if self.run is not None and Path(self.run) != folder:
            raise InvalidValue(
                f"{setting('resume', str(folder))} continues in that folder, got"
                f" {setting('run', str(self.run))} too;"
                " leave run out"
            )
        require_stored(explicit, stored, folder, ("tolerance", "block", "seed"))
        for name in SETTINGS:
            if name != "steps" or name not in explicit:
                setattr(self, name, stored[name])
        self.run = folder
