"""A run that goes on in a thread of the studio, because a page asked for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from pushforward.core.errors import PushforwardError
from pushforward.core.events import CancelToken, Event
from pushforward.experiments.resuming import extend_budget, find_run_to_resume, resume

__all__ = ["ResumedFit"]


class ResumedFit:
    """One fit, resumed; it writes to the folder of its run.

    It needs no page: it ends by itself, when it is stopped, or with the studio, and saves.

    Args:
        folder: of the run.
        budget: the whole budget by unit, or '+50' to extend it; the run's own if empty.

    Raises:
        PushforwardError: If it cannot be resumed; what turns up later is in `error`.
    """

    shows_progress = shows_warnings = True  # on the page, not in the studio's terminal

    def __init__(self, folder: Path, budget: Mapping[str, str]) -> None:
        self.folder, self.error = folder, ""
        self._run, self._budget, self._token = find_run_to_resume(folder), budget, CancelToken()
        extend_budget(self._run.manifest, budget)  # so that a wrong one is refused at once
        self._thread = threading.Thread(target=self._fit, name=f"resume-{folder.name}", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End it after the present step."""
        self._token.cancel()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, or so long."""
        self._thread.join(seconds)

    def __call__(self, event: Event) -> None:
        """Listen; the page reads the log."""

    def _fit(self) -> None:
        try:
            resume(
                self.folder,
                budget=self._budget,
                listeners=[self],
                token=self._token,
                run=self._run,
            )
        except PushforwardError as error:
            self.error = str(error)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
