"""`pushforward encode RUN FILE`: the codes of observations."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["encode"]


def encode(
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
    """Write the code of every row: z0, z1, ... as CSV on stdout, or to a file.

    Args:
        out: .csv, .tsv, .parquet, .npz or .npy; stdout if not given.
    """
    from pushforward.cli.outputs import check_out, deliver
    from pushforward.experiments import open_run
    from pushforward.experiments.codes import code_space
    from pushforward.experiments.codes import encode as encode_rows

    opened = open_run(run, device)
    check_out(out, code_space(1))
    codes = encode_rows(opened, file, y, table=arguments.table_settings(table))
    beside = {} if codes.files is None else {"extra": {"file": codes.files}}
    default, what = opened.folder / "codes", f"{len(codes.z)} codes"
    deliver(Voice(quiet, json), codes.z, codes.space, out, default, what=what, **beside)
