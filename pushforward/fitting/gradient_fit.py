"""One fit by gradients from its settings: assemble the collaborators, then run the loop.

The order matters: everything that may be refused is checked before anything is written, the model
is built from one seeded stream, and the fit's streams are seeded once all is set up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, Interrupted, InvalidValue
from pushforward.core.events import CancelToken, Finished
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.phase import Phase
from pushforward.core.random import derive
from pushforward.core.scaling import Scaling
from pushforward.core.scan import Facts, scan
from pushforward.core.source import Source, fingerprint
from pushforward.core.stream import Stream
from pushforward.fitting.announcer import announce_to
from pushforward.fitting.budget import Budget
from pushforward.fitting.checkpoint import copy_tree
from pushforward.fitting.controls import controlled_by
from pushforward.fitting.evaluation import Evaluation, check_quality
from pushforward.fitting.feed import Feed, held_out_split, settle_batch
from pushforward.fitting.film import Camera
from pushforward.fitting.gradient_processes import GradientProcesses
from pushforward.fitting.loop import Collaborators, Loop
from pushforward.fitting.players import Players, check_names
from pushforward.fitting.progress import in_notebook
from pushforward.fitting.run_folder import RunFolder, other_rows
from pushforward.fitting.settings import FitSettings
from pushforward.fitting.signals import interruptible
from pushforward.fitting.streams import BorrowedStreams, Streams

__all__ = ["fit_by_gradients"]

SCANNED_ROWS = 1 << 18
"""Rows read before the fit from a source that is not resident: enough for its moments."""
STREAMED_ROWS, STREAMED_AT_ONCE = 1 << 15, 1024
"""Rows of a stream read before the fit, and per block: enough for its moments."""


def fit_by_gradients(settings: FitSettings, model: Learner, source: Source) -> Finished:
    """Run the fit and return how it ended.

    Raises Interrupted if a signal ended a fit that has no run folder, so that callers do not
    mistake an interrupted fit for a finished one; not in a notebook, whose reader stopped it.
    """
    processes = GradientProcesses(settings.processes)
    seed = settings.optimisation.seed
    training, held_out = held_out_split(source, settings.evaluation.held_out, seed)
    check_quality(model, held_out is not None)
    in_epochs = settings.budget.unit in (None, "epochs") or settings.evaluation.every is not None
    settings, note = _with_settled_batch(
        settings, _rows(training, counted=in_epochs), processes.world
    )
    optimisation = settings.optimisation
    observers = settings.observers
    camera = Camera(observers.film, training, seed, settings.folder.path)
    token = observers.token or CancelToken()
    with ExitStack() as stack:
        stack.enter_context(controlled_by(token))
        announcer = stack.enter_context(announce_to(observers))
        borrowed = stack.enter_context(BorrowedStreams(processes.device))
        folder = RunFolder(settings.folder, processes)
        stack.enter_context(folder.locked())
        phases = _build(settings, model, training, processes, folder)
        feed = Feed(optimisation, model, training, held_out, processes)
        budget = Budget(
            settings.budget, optimisation.batch, feed.steps_per_epoch(counted=in_epochs)
        )
        whole = feed.fingerprint if training is source or not folder.kept else fingerprint(source)
        state = folder.open(model, budget, feed.fingerprint, feed.held_out_fingerprint, whole)
        players = Players(optimisation, processes, model, phases)
        stack.enter_context(players.at_play())
        streams = Streams(seed, processes.rank, processes.device)
        evaluation = Evaluation(settings.evaluation, model, feed, players, processes, streams)
        parts = Collaborators(
            processes,
            borrowed,
            folder,
            feed,
            budget,
            players,
            streams,
            evaluation,
            camera,
            announcer,
            token,
        )
        loop = Loop(settings, model, phases, parts, note)
        if state is not None:
            with folder.checking_state():
                loop.restore(state)
        stack.enter_context(folder.logging(state["log"] if state else 0))
        signals = stack.enter_context(interruptible(token, decides=processes.first))
        finished = loop.play(resumed=state is not None)
    if signals and finished.reason == "interrupted" and not folder.kept and not in_notebook():
        raise Interrupted(saved=False)
    return finished


def _with_settled_batch(
    settings: FitSettings, rows: int | None, world: int
) -> tuple[FitSettings, str]:
    """The settings with a batch that the rows (None if not counted) and the processes admit, and a
    note if it is another than requested.
    """
    requested = settings.optimisation.batch
    try:
        batch = settle_batch(requested if rows is None else rows, settings.optimisation, world)
    except BadSource as error:
        if settings.folder.resumed:
            raise other_rows() from error
        raise
    note = "" if batch == requested else f"batch {batch}, the largest for {rows} rows"
    return settings.with_batch(batch), note


def _build(
    settings: FitSettings,
    model: Learner,
    training: Source,
    processes: GradientProcesses,
    folder: RunFolder,
) -> Sequence[Phase]:
    """Build the model from the seed on the device; return its phases."""
    torch.manual_seed(derive(settings.optimisation.seed, "init"))
    folder.refuse_others(model, training)
    start = settings.optimisation.start
    weights = None if start is None else copy_tree(start.state_dict())  # it may be the same model
    moments = model.scaling_kind == "standardised"
    if isinstance(training, Stream):
        facts = _facts(training, moments)
    else:
        facts = scan(training, most=None if training.resident else SCANNED_ROWS, moments=moments)
    model.prepare(training, facts)
    model.to(processes.device)
    if processes.dtype == torch.float64:
        for part in model.children():
            if not isinstance(part, Scaling):
                part.to(torch.float64)
    if weights is not None:
        _begin_from(weights, model, start)
    phases = list(model.phases())
    check_names(phases, model, settings.optimisation)
    return phases


def _rows(training: Source, *, counted: bool) -> int | None:
    """Number of rows; None for a stream whose rows need not be counted."""
    if isinstance(training, Stream) and not counted:
        return training.known_length
    return len(training)


def _facts(training: Stream, moments: bool) -> Facts:
    """Facts about the first rows of a stream."""
    cursor = training.cursor()
    facts = Facts.of(cursor.read(STREAMED_AT_ONCE), moments=moments)
    while facts.count < STREAMED_ROWS and len(part := cursor.read(STREAMED_AT_ONCE)):
        facts = facts.merge(Facts.of(part, moments=moments), moments=moments)
    return facts


def _begin_from(weights: Mapping[str, Tensor], model: Learner, start: Model | None) -> None:
    """Fine-tuning: adopt the weights and the scaling of a fitted model.

    A model of another class may be a part of this one, as an SRResNet is of an SRGAN.
    """
    current: dict[str, Any] = model.state_dict()
    unlike = [k for k in weights if k not in current or weights[k].shape != current[k].shape]
    if type(start) is type(model):
        unlike += [k for k in current if k not in weights]
    if unlike:
        raise InvalidValue(
            f"cannot start from this {type(start).__name__}: {unlike[0]!r} differs; start from the"
            " same model on the same space, or one that is a part of it"
        )
    model.load_state_dict({**current, **weights})
