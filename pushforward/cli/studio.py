"""`pushforward studio [FOLDER]`: a local page to watch models learn, explore and edit."""

from __future__ import annotations

import sys
import threading
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
        host: to listen on; this machine only unless changed. 0.0.0.0 is every network it is in:
            who knows the address may then use the studio from there.
        port: to listen on; a free one from 8400 if not given.
        browser: whether to open the page in the browser.
    """
    from pushforward.core.devices import find_device

    voice = Voice(quiet)
    path = _folder(folder)
    if port is not None and not 0 <= port < 65536:
        raise InvalidValue(f"--port must lie between 0 and 65535, got {port}")
    find_device(device)
    try:
        from pushforward.studio import serve
        from pushforward.studio.guard import is_loopback
    except ModuleNotFoundError as error:
        raise InvalidValue(
            f"the studio needs {error.name}, which is not installed; {install_line('studio')}"
        ) from error

    def ready(address: str) -> None:
        voice.say("the studio is open; Ctrl-C ends it")
        if not is_loopback(host):
            voice.say(
                f"listening on {host}: whoever reaches this machine and has the address may use"
                " it, and what is sent is not encrypted; in networks that you trust only. From"
                " other machines, put this one's name or number in place of 127.0.0.1"
            )
        voice.result({"address": address}, address)
        sys.stdout.flush()
        if browser:
            import webbrowser

            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    serve(path, host=host, port=port, device=device, ready=ready)


def _folder(folder: str) -> Path:
    path = Path(folder)
    if folder == "runs" and not path.exists():
        return Path()
    if not path.is_dir():
        raise BadRun(f"there is no folder {folder}; pass a run, or a folder of runs")
    return path
