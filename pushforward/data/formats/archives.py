"""Zip archives from untrusted sources, checked by their directory before anything is unpacked.

An archive of a few kilobytes can claim, and unpack to, many gigabytes. The claimed sizes are
therefore compared with the archive's own size, and no member is unpacked beyond its claim.
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any, cast

from pushforward.core.data_types import BinaryFile
from pushforward.core.errors import BadSource
from pushforward.data.files import decoding, printable, require_file

__all__ = ["Archive", "is_archive_name"]

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_RATIO = 100
"""Times its own size that an archive may unpack to: images are compressed already and stay below 2,
while an archive made to fill the memory reaches deflate's limit, about 1000.
"""
_HARMLESS = 2**26
"""Bytes that may be unpacked whatever the ratio: 64 MB hurt nobody."""
_LARGEST_MEMBER = 2**29
"""The largest member that is unpacked, 512 MB: an image of the most pixels allowed is smaller."""
_IN_MEMORY = 2**23
"""Members up to 8 MB, as nearly all images are, are unpacked into memory, which is faster than to
seek in a compressed stream.
"""


def is_archive_name(name: str) -> bool:
    """Whether the name is that of an archive or a packed file."""
    return name.lower().endswith(_ARCHIVES)


class Archive:
    """An open zip archive; a pickled one is reopened when it is unpickled.

    Args:
        path: of the archive.

    Raises:
        BadSource: For a file that is not a zip archive,
            or whose directory claims implausible sizes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = self._open()
        self.members = self._safe()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _open(self) -> zipfile.ZipFile:
        require_file(self.path)
        try:
            return zipfile.ZipFile(self.path)
        except Exception as error:
            # a damaged directory raises many kinds of error
            text = (
                "is not a zip archive that can be read; the file is damaged or cut short: fetch it"
                " again"
            )
            raise BadSource(f"{printable(self.path)}: {text}") from error

    def _safe(self) -> list[zipfile.ZipInfo]:
        """The files in the archive, the last of each name.

        Raises:
            BadSource: If they would unpack to an implausible size.
        """
        members = self._zip.infolist()
        total = sum(m.file_size for m in members)
        if total > _HARMLESS and total > _RATIO * self.path.stat().st_size:
            raise BadSource(
                f"{printable(self.path)}: would unpack to {total / 2**20:.0f} MB, more than"
                f" {_RATIO} times its own size; unpack it yourself if you trust it, and pass the"
                " folder"
            )
        return [m for m in {self.plain_name(m): m for m in members}.values() if not m.is_dir()]

    def repeated(self) -> list[str]:
        """Names that occur more than once; the last one is used, as when unpacking."""
        counted = Counter(self.plain_name(m) for m in self._zip.infolist())
        return sorted(name for name, count in counted.items() if count > 1)

    @staticmethod
    def plain_name(member: zipfile.ZipInfo) -> str:
        """The member's name with forward slashes."""
        return member.filename.replace("\\", "/")

    @staticmethod
    def leads_out(name: str) -> bool:
        """Whether a member's name points outside the folder of the unpacked archive."""
        return name.startswith("/") or ".." in PurePosixPath(name).parts or name[1:2] == ":"

    @staticmethod
    def is_link(member: zipfile.ZipInfo) -> bool:
        """Whether the member is a symbolic link (its content is a path)."""
        return stat.S_ISLNK(member.external_attr >> 16)

    def open(self, member: zipfile.ZipInfo) -> BinaryFile:
        """A binary file of the member's content: in memory if small,
        else unpacked while reading.
        """
        name = f"{self.path}/{member.filename}"
        if member.flag_bits & 1:
            raise BadSource(
                f"{printable(name)}: is encrypted; unpack the archive with its password and pass"
                " the folder"
            )
        if member.file_size > _LARGEST_MEMBER:
            size = f"{member.file_size / 2**20:.0f} MB"
            raise BadSource(
                f"{printable(name)}: would unpack to {size}, expected at most"
                f" {_LARGEST_MEMBER // 2**20} MB; remove it"
            )
        with decoding(name, "cannot be unpacked"):
            file = self._zip.open(member)
            if member.file_size > _IN_MEMORY:
                return cast(BinaryFile, file)
            with file:
                return io.BytesIO(file.read())

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """The member's content."""
        with (
            self.open(member) as file,
            decoding(f"{self.path}/{member.filename}", "cannot be unpacked"),
        ):
            content: bytes = file.read()
        return content
