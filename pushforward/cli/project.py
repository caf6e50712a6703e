"""`pushforward project RUN FILE`: the codes that restore observations best, and what is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.core.errors import InvalidValue

__all__ = ["project"]


def project(
    run: arguments.Run,
    file: arguments.File,
    /,
    *,
    start: Literal["encoder", "prior", "hybrid"] | None = None,
    steps: arguments.Whole = 50,
    prior_weight: float = 0.0,
    candidates: arguments.Whole = 32,
    seed: arguments.Seed = 0,
    out: arguments.Out = None,
    restored: str | None = None,
    y: arguments.Conditions = None,
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """Find the code of every row by optimisation, and its squared error.

    Args:
        start: the encoder's code, draws of the prior, or the better of both (hybrid); the
            encoder's if there is one.
        steps: most optimisation steps per row; 0 returns the start.
        prior_weight: the cost of a code's squared distance from the centre.
        candidates: draws of the prior, the best of which starts each row.
        out: codes and errors: .csv, .tsv, .parquet or .npz; stdout if not given.
        restored: also what the codes decode to: .png or a folder/, .csv .parquet .npz .npy.
    """
    from pushforward.cli.outputs import check_out, deliver
    from pushforward.data import write
    from pushforward.experiments import open_run
    from pushforward.experiments.codes import code_space
    from pushforward.experiments.images import PAIRS, pairs_path, write_pairs
    from pushforward.experiments.projections import project as find_codes

    if out is not None and Path(out).suffix == ".npy":
        raise InvalidValue(
            f"{out}: an .npy file holds no errors beside the codes; use .npz or .csv"
        )
    voice = Voice(quiet, json)
    opened = open_run(run, device)
    check_out(out, code_space(1))
    check_out(restored, opened.model.fitted_space())
    projections = find_codes(
        opened,
        file,
        y,
        start=start,
        steps=steps,
        prior_weight=prior_weight,
        candidates=candidates,
        seed=seed,
        table=arguments.table_settings(table),
    )
    voice.say(
        f"squared error per observation {float(projections.error.mean()):.6g}, at the start"
        f" {float(projections.first_error.mean()):.6g}, {len(projections.z)} rows"
    )
    back, space = projections.restored, opened.model.fitted_space()
    if restored is not None:
        path = write(back, space, restored)
        voice.say(f"{len(back)} restored observations written to {path}")
    elif space.kind == "images":
        path, n = pairs_path(opened, "projections", file), min(PAIRS, len(back))
        write_pairs(projections.originals, back[:PAIRS], space, path)
        voice.say(f"the first {n} originals and their projections, side by side, in {path}")
    extra: dict[str, Any] = {} if projections.files is None else {"file": projections.files}
    codes, space = projections.with_errors
    if out is not None and Path(out).suffix == ".npz":
        codes, space = projections.z, code_space(projections.z.shape[1])
        extra["error"] = projections.error.numpy()
    what = f"{len(codes)} codes"
    deliver(voice, codes, space, out, opened.folder / "projections", what=what, extra=extra)
