"""Downloads on request, verified by SHA-256 before they are put in place."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from pushforward.core.errors import BadSource

__all__ = ["Remote", "MNIST", "CIFAR10", "cache_folder", "fetch"]


@dataclass(frozen=True)
class Remote:
    """A file: its URLs, tried in turn, and its SHA-256."""

    urls: tuple[str, ...]
    sha256: str


_MNIST_HOMES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_MNIST_SUMS = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MNIST = {
    name: Remote(tuple(home + name for home in _MNIST_HOMES), total)
    for name, total in _MNIST_SUMS.items()
}
CIFAR10 = Remote(
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)


def cache_folder() -> Path:
    """The download folder: $PUSHFORWARD_CACHE, else pushforward in the user's cache folder."""
    folder = os.environ.get("PUSHFORWARD_CACHE")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pushforward"


def fetch(remote: Remote, path: Path) -> Path:
    """Download a file to `path` unless it exists.

    Raises:
        BadSource: If no URL responds or the checksum differs.
    """
    if path.is_file():
        return path
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for url in remote.urls:
            try:
                digest = _copy(url, part)
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                reasons.append(f"{url}: {getattr(error, 'reason', error)}")
                continue
            if digest == remote.sha256:
                part.replace(path)
                return path
            reasons.append(f"{url}: expected SHA-256 {remote.sha256[:12]}…, got {digest[:12]}…")
    except OSError as error:
        raise BadSource(
            f"cannot write {path} ({error.strerror}); set PUSHFORWARD_CACHE to a folder that can be"
            " written"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    raise BadSource(
        f"cannot fetch {path.name} ({'; '.join(reasons)}); fetch it by hand and put it at {path}"
    )


def _copy(url: str, path: Path) -> str:
    """Download a URL to a file; return its SHA-256."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=60) as answer, path.open("wb") as file:
        while block := answer.read(2**20):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()
