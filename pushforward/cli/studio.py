"""`pushforward studio [FOLDER]`: a local page to watch models learn, explore and edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.core.errors import BadRun, InvalidValue
from pushforward.core.install_line import install_line

__all__ = ["studio"]


def studio(
    folder: str = "runs",
    /,
    *,
    host: str = "127.0.0.1",
    port: arguments.Whole | None = None,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
) -> None:
    """Open a local page: watch fits, walk through latent space, edit, draw and translate.

    Args:
        folder: a run, or a folder of runs; nothing outside it is read.
        host: to listen on; this machine only unless changed.
        port: to listen on; a free one from 8400 if not given.
        browser: whether to open the page in the browser.
    """
    from pushforward.experiments.opened import find_device

    voice = Voice(quiet)
    path = _folder(folder)
    if port is not None and not 0 <= port < 65536:
        raise InvalidValue(f"--port must lie between 0 and 65535, got {port}")
    find_device(device)
    try:
        from pushforward.studio import serve
    except ModuleNotFoundError as error:
        raise InvalidValue(
            f"the studio needs {error.name}, which is not installed; {install_line('studio')}"
        ) from error

    def ready(address: str) -> None:
        voice.say("the studio is open; Ctrl-C ends it")
        voice.result({"address": address}, address)
        if browser:
            import webbrowser

            webbrowser.open(address)

    serve(path, host=host, port=port, device=device, ready=ready)


def _folder(folder: str) -> Path:
    path = Path(folder)
    if folder == "runs" and not path.exists():
        return Path()
    if not path.is_dir():
        raise BadRun(f"there is no folder {folder}; pass a run, or a folder of runs")
    return path
