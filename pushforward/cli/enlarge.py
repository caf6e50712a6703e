"""`pushforward enlarge RUN PHOTO`: photographs and clips of any size, enlarged."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["enlarge"]


def enlarge(
    run: arguments.Run,
    file: arguments.File,
    /,
    *,
    out: arguments.Out = None,
    tile: arguments.Whole | None = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Enlarge photographs and clips: one file, a folder, a glob or a zip; sizes may differ.

    Args:
        out: .png, .jpg or .webp for one photograph, .gif, .apng, .webp or .mp4 for a clip, a
            folder/ for several; by default NAME-enlarged.png here (clips keep their suffix), or the
            folder NAME-enlarged/.
        tile: longest side of the tiles computed at a time, pixels; fewer take less memory, with the
            same result.
        json: where the images are, as JSON.
    """
    from pushforward.experiments import open_run
    from pushforward.experiments.enlargements import enlarge as enlargements

    voice = Voice(quiet, json)
    for result in enlargements(open_run(run, device), file, out, tile=tile):
        (high, wide), (height, width) = result.before, result.after
        frames = f"{result.frames} frames of " if result.frames > 1 else ""
        voice.say(
            f"{result.name}: {frames}{high}x{wide} to {height}x{width} pixels, height x width"
        )
        voice.result({"path": str(result.path)}, str(result.path))
