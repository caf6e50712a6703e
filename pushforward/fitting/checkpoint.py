"""The complete state for exact resumption, in one file: `state/<samples seen>.safetensors`.

A tree of dicts, lists, numbers, text and tensors is split into named tensors and a JSON skeleton in
the file's header. The file is written under a temporary name, fsynced and renamed, and the previous
one is kept: a complete state is on disk whenever the process dies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor

from pushforward.core.errors import BadRun
from pushforward.core.folders import parse_json
from pushforward.core.storage import read_tensors, write_tensors

__all__ = ["Checkpoints", "flatten", "unflatten", "copy_tree"]

T = TypeVar("T")


def flatten(tree: object) -> tuple[dict[str, Tensor], Any]:
    """The tensors of a tree by path, and its JSON skeleton with references to them."""
    tensors: dict[str, Tensor] = {}

    def walk(node: object, path: str) -> object:
        if isinstance(node, Tensor):
            tensors[path] = node.detach()
            return {"tensor": path}
        if isinstance(node, dict):
            return {"items": [[k, walk(v, f"{path}/{k}")] for k, v in node.items()]}
        if isinstance(node, (list, tuple)):
            kind = "list" if isinstance(node, list) else "tuple"
            return {kind: [walk(v, f"{path}/{i}") for i, v in enumerate(node)]}
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        raise TypeError(f"a {type(node).__name__} at {path} cannot be stored in a checkpoint")

    return tensors, walk(tree, "")


def unflatten(tensors: dict[str, Tensor], skeleton: object) -> object:
    """The inverse of `flatten`."""
    if isinstance(skeleton, dict):
        if "tensor" in skeleton:
            return tensors[skeleton["tensor"]]
        if "items" in skeleton:
            return {k: unflatten(tensors, v) for k, v in skeleton["items"]}
        kind = list if "list" in skeleton else tuple
        return kind(unflatten(tensors, v) for v in skeleton["list" if kind is list else "tuple"])
    return skeleton


class Checkpoints:
    """The states of one run; the newest two are kept.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / "state"

    def save(self, tree: object, samples: int) -> Path:
        """Write a complete state, then remove the one before the previous."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise BadRun(
                f"cannot write {self.folder}: {error.strerror}; free some space or choose another"
                " place"
            ) from error
        tensors, skeleton = flatten(tree)
        path = self.folder / f"{samples:015d}.safetensors"
        write_tensors(path, tensors, {"tree": json.dumps(skeleton)})
        keep = [path, *(p for p in self._newest_first() if p.name < path.name)][:2]
        # older ones, and later ones abandoned by a rollback
        for other in list(self._newest_first()):
            if other not in keep:
                other.unlink(missing_ok=True)
        return path

    def newest(self) -> Any | None:
        """The newest complete state; None if there is none.

        Raises:
            BadRun: If all are damaged.
        """
        damage: BadRun | None = None
        for path in self._newest_first():
            try:
                tensors, header = read_tensors(path)
                state = unflatten(tensors, parse_json(header["tree"], finite=False))
                if not isinstance(state, dict):
                    raise TypeError("no state")
                return state
            except (BadRun, KeyError, ValueError, TypeError, RecursionError) as error:
                damage = (
                    error
                    if isinstance(error, BadRun)
                    else BadRun(f"{path} is not a checkpoint; remove it")
                )
        if damage is not None:
            raise damage
        return None

    def _newest_first(self) -> Iterator[Path]:
        return (
            iter(sorted(self.folder.glob("[0-9]*.safetensors"), reverse=True))
            if self.folder.is_dir()
            else iter(())
        )


def copy_tree(tree: T) -> T:
    """A deep copy whose tensors share no memory with the originals."""
    if isinstance(tree, Tensor):
        return cast(T, tree.detach().clone())
    if isinstance(tree, dict):
        return cast(T, {k: copy_tree(v) for k, v in tree.items()})
    if isinstance(tree, (list, tuple)):
        return type(tree)(copy_tree(v) for v in tree)
    return tree
