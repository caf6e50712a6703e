"""Labels of files: from a metadata table, or from the folders they lie in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue, printable, suggest
from pushforward.data.formats.image_lists import ImageFile
from pushforward.data.formats.metadata import Metadata
from pushforward.data.options import Options
from pushforward.data.pairings import usual_pairings

__all__ = ["file_labels"]


def file_labels(
    files: Sequence[ImageFile], table: Metadata | None, options: Options
) -> list[Any] | None:
    """A label for each file: from the metadata table, else from its sub-folder, else none."""
    if not options.labelled or options.y is not None:
        return None
    if table is not None:
        labels = table.labels(files, options.label_name)
        if labels is not None:
            return labels
    folders = [PurePosixPath(f.name).parent.as_posix() for f in files]
    if options.label_name is not None and table is None:
        raise InvalidValue(_no_such_label(files, options.label_name, options))
    return folders if len(set(folders)) > 1 and "." not in folders else None


def _no_such_label(files: Sequence[ImageFile], label: str, options: Options) -> str:
    """Why a label names nothing, and what it may have been meant to name."""
    known = usual_pairings("clips" if options.cuts_clips else "images")
    text = f"{setting('label', label)} names no column of a metadata.csv beside the images"
    root = Path(str(files[0].path).removesuffix(files[0].name)) if files else Path()
    inside = sorted({PurePosixPath(f.name).parts[0] for f in files if "/" in f.name})
    if label in inside:
        others = [name for name in inside if name != label]
        images = root / (others[0] if len(others) == 1 else "FOLDER")
        return (
            f"{text}, but a folder among them; read the images from one folder,"
            f" {printable(images)}, with the conditions in another:"
            f" {setting('y', root / label)}"
        )
    if (root.parent / label).is_dir():
        return f"{text}; did you mean the folder beside them, {setting('y', root.parent / label)}?"
    if "/" in label:
        folder = Path(label).expanduser()
        readable = folder.parent.is_dir() and os.access(folder.parent, os.R_OK)
        beside = [str(p) for p in folder.parent.iterdir()] if readable else []
        near = suggest(label, beside)
        advice = near if near.startswith("did you mean") else "correct the path"
        return f"{setting('label', label)}: there is no such folder; {advice}"
    near = suggest(label, [name.partition("(")[0] for name in known])
    advice = near if near.startswith("did you mean") else "choose one of these, or add the column"
    return (
        f"{text}, no folder of conditions, and none of the conditions made of the images"
        f" themselves, {', '.join(known)}; {advice}"
    )
