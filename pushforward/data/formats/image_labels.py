"""Labels of files: from a metadata table, or from the folders they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue
from pushforward.data.formats.image_lists import ImageFile
from pushforward.data.formats.metadata import Metadata
from pushforward.data.options import Options

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
        raise InvalidValue(
            f"{setting('label', options.label_name)} names a column of metadata.csv, but there is"
            " none beside"
            " the images; add it"
        )
    return folders if len(set(folders)) > 1 and "." not in folders else None
