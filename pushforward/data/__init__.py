"""Sources of data: files, folders, archives and built-in names, each with its space.

`read` turns anything into a `core.source.Source`; `split` sets rows aside; `report` describes a
source and its problems; `write` stores samples in the original form of the data. Names load on
first use, so that importing this package costs nothing beyond core; `__init__.pyi` lists them.
"""

from __future__ import annotations

from pushforward.core.lazy import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "reading": ["read"],
        "formats.registry": ["register_reader"],
        "options": ["Options"],
        "sources.arrays": ["from_array"],
        "splits": ["split", "Split"],
        "survey": ["report"],
        "reports": ["Report"],
        "export.writing": ["write"],
        "export.single_images": ["write_image"],
        "export.grids": ["image_grid"],
        "formats.builtin": ["NAMES", "centres"],
    },
)
