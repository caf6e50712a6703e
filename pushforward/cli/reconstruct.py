"""`pushforward reconstruct RUN FILE`: observations after a trip through the model's code."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["reconstruct"]


def reconstruct(
    run: arguments.Run,
    file: arguments.File,
    /,
    *,
    out: arguments.Out = None,
    y: arguments.Conditions = None,
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """Encode and decode every row, in the form the data came in.

    Images without --out are drawn beside their originals.

    Args:
        out: .png or a folder/ for images, .csv .parquet .npz .npy; stdout for points.
    """
    from pushforward.cli.outputs import check_out, deliver
    from pushforward.experiments import open_run
    from pushforward.experiments.images import PAIRS, pairs_path, write_pairs
    from pushforward.experiments.reconstructions import reconstruct as restore

    voice = Voice(quiet, json)
    opened = open_run(run, device)
    space = opened.model.fitted_space()
    check_out(out, space)
    restored = restore(opened, file, y, table=arguments.table_settings(table))
    x, error = restored.x, float(restored.error.mean())
    voice.say(f"squared error per observation {error:.6g} ({restored.unit}), {len(x)} rows")
    if out is not None or space.kind != "images":
        default, what = opened.folder / "reconstructions", f"{len(x)} reconstructions"
        deliver(voice, x, space, out, default, what=what)
        return
    path, n = pairs_path(opened, "reconstructions", file), min(PAIRS, len(x))
    write_pairs(restored.originals, x[:PAIRS], space, path)
    voice.say(f"the first {n} originals and reconstructions, side by side, written to")
    voice.result({"path": str(path), "n": n}, str(path))
