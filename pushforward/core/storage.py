"""A model on disk: a folder with `model.safetensors` and `model.json`, never a pickle.

`model.json` names the registered class, its hyper-parameters as text, the spaces and the format
number, and is written once, when the run starts. `model.safetensors` holds the tensors and, in its
header, their digest; it is replaced atomically (temporary name, fsync, rename), so a reader sees
either the old or the new file.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.assembled import Assembled
from pushforward.core.data_types import PathText
from pushforward.core.devices import find_device
from pushforward.core.errors import BadRun, PushforwardError, is_out_of_memory, printable
from pushforward.core.folders import (
    check_place,
    create_run,
    parse_json,
    read_file,
    write_atomically,
    write_text,
)
from pushforward.core.global_random import seeded
from pushforward.core.kinds import fits
from pushforward.core.manifest import Manifest
from pushforward.core.model_validation import (
    check_description,
    check_hyperparameters,
    check_numbers,
    check_sizes,
)
from pushforward.core.plain import from_plain, to_plain
from pushforward.core.preparation import Preparation
from pushforward.core.provenance import Provenance
from pushforward.core.registry import model_class
from pushforward.core.scaling import Scaling
from pushforward.core.space import Space
from pushforward.core.verbs import default_torch

__all__ = [
    "FORMAT",
    "save",
    "load",
    "describe",
    "construct",
    "has_preparation",
    "write_tensors",
    "read_tensors",
    "write_text",
    "create_folder",
]

FORMAT = 2
"""Format of model.json. In format 1 the kind and form of images are called 'pictures'."""
_STORED = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16,
    torch.bfloat16, torch.float32, torch.float64)  # fmt: skip
"""The dtypes that are read."""


def save(model: Assembled, path: PathText, *, overwrite: bool = False) -> Path:
    """Write a fitted model to a new folder; an existing one is refused unless `overwrite`."""
    model.fitted_space()
    with create_run(path, overwrite=overwrite) as folder:
        write_tensors(folder / "model.safetensors", model.tensors())
        describe(model, folder)
        Manifest.of(model).write(folder)
    return Path(path)


def load(path: PathText, *, device: torch.device | str = "cpu") -> Any:
    """Load the model in a run folder onto a device: 'cpu', 'cuda:1', 'auto', …

    Raises:
        BadRun: If the folder is not a run, is damaged, or has a newer format.
    """
    with default_torch():
        return _load(Path(path), find_device(device))


def _load(folder: Path, device: torch.device) -> Assembled:
    model = construct(folder)
    tensors, _ = read_tensors(folder / "model.safetensors")
    check_numbers(model, tensors, folder / "model.safetensors")
    try:
        model.restore(tensors)
    except (RuntimeError, KeyError, AttributeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise _mismatch(folder, error) from error
    with suppress(BadRun):  # most uses do not need the origin of the rows
        manifest = Manifest.read(folder)
        model.provenance = (
            Provenance() if manifest is None or manifest.data is None else manifest.data
        )
    model.loaded_from = str(folder.absolute())
    model.eval()
    return model.to(device)


def describe(model: Assembled, folder: Path) -> None:
    """Write model.json: everything needed to rebuild the model except its tensors."""
    content = {
        "format": FORMAT,
        "model": model.registered_name,
        "hyperparameters": {k: to_plain(v) for k, v in model.hyperparameters().items()},
        "space": model.fitted_space().to_json(),
        "condition_space": (
            None if model.condition_space is None else model.condition_space.to_json()
        ),
        "scaling": model.scaling.kind,
        "preparation": model.preparation.as_dict(),
        "dtype": str(model.floating()).removeprefix("torch."),
        "versions": find_versions(),
        "command": model.command,
    }
    content["digest"] = _digest_json(content)
    write_text(folder / "model.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def construct(folder: Path) -> Assembled:
    """Build the model that model.json describes, without its tensors.

    Stored tensors must match its sizes.
    """
    content = _read_description(folder)
    path, tensors = folder / "model.json", folder / "model.safetensors"
    try:
        check_description(content)
        cls = model_class(content["model"])
        arguments = {k: from_plain(v) for k, v in content["hyperparameters"].items()}
        check_hyperparameters(cls, arguments)
    except PushforwardError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadRun(
            f"{path} does not describe a model ({_first_line(error)}); restore the folder"
        ) from error
    if tensors.exists():  # a fit that has not saved yet has no tensors
        try:
            check_sizes(lambda: _build(cls, arguments, content), read_shapes(tensors))
        except PushforwardError:
            raise
        except Exception as error:
            raise _mismatch(folder, error) from error
    try:
        model = _build(cls, arguments, content)
    except PushforwardError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise BadRun(
            f"{path} does not describe a model ({_first_line(error)}); restore the folder"
        ) from error
    if model.dtype is None:
        for child in model.children():
            if not isinstance(child, Scaling):  # scalings stay in float64
                child.to(getattr(torch, content["dtype"]))
    model.command = content.get("command", "")
    stored = content.get("preparation")  # absent in runs from before models dequantised
    if stored is not None:
        model.preparation = Preparation(**stored)
        model.dequantise = model.preparation.dequantise
    return model


def has_preparation(folder: Path) -> bool:
    """Whether model.json records the preparation of the data; the earliest runs do not."""
    return "preparation" in _read_description(folder)


def _build(cls: type, arguments: Mapping[str, Any], content: Mapping[str, Any]) -> Assembled:
    model: Assembled = cls(**arguments)
    space = Space.from_json(content["space"])
    condition_space = (
        None if content["condition_space"] is None else Space.from_json(content["condition_space"])
    )
    model.scaling_kind = content["scaling"]
    with seeded():
        model.assemble(space, condition_space)
    return model


def _mismatch(folder: Path, error: BaseException) -> BadRun:
    return BadRun(
        f"{folder}: model.json and model.safetensors do not belong together ({_first_line(error)});"
        " restore the folder"
    )


def find_versions() -> dict[str, str]:
    """Versions of the packages a result depends on."""
    versions = {"python": platform.python_version()}
    for name in ("pushforward", "torch", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return versions


# ------------------------------------------------------------------------------------------ tensors


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file atomically, with a digest in its header.

    The digest is of names, types, shapes and bytes.
    """
    from safetensors.torch import save as to_bytes

    contiguous = {k: v.detach().to("cpu").contiguous() for k, v in tensors.items()}
    header = {"format": "pt", **(metadata or {})}
    header["digest"] = _digest(contiguous, header)
    write_atomically(path, *_sort_header(to_bytes(_unshare(contiguous), metadata=header)))


def _sort_header(content: bytes) -> tuple[bytes, memoryview]:
    """The same file with a sorted header.

    The order that safetensors writes varies between calls.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(
        json.loads(content[8 : 8 + length]),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header, memoryview(content)[8 + length :]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and header of a file written by `write_tensors`.

    Raises:
        BadRun: If the file is missing, damaged or of another kind.
    """
    with _open_tensors(path) as file:
        header = dict(file.metadata() or {})
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a dict
    odd = next((k for k, v in tensors.items() if v.dtype not in _STORED), None)
    if odd is not None:
        raise BadRun(
            f"{path}: {odd} is of {tensors[odd].dtype}, which no model stores; restore it from a"
            " copy"
        )
    stated = header.pop("digest", "")
    if stated != _digest(tensors, header):
        raise BadRun(
            f"{path} was changed after it was written (its digest differs); restore it from a copy"
        )
    return tensors, header


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of stored tensors by name, from the file's header alone."""
    with _open_tensors(path) as file:
        return {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118 - not a dict


@contextmanager
def _open_tensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file.

    Raises:
        BadRun: If the file is missing, damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadRun(f"{path} is missing; expected the tensors of a fitted model there")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        if is_out_of_memory(error):
            raise
        if isinstance(error, PushforwardError):
            raise
        start = read_file(path, most=sys.maxsize, head=4)
        if start[:2] == b"PK" or start[:1] == b"\x80":
            raise BadRun(
                f"{path} is a pickle, which could run code when opened; only safetensors files are"
                " read"
            ) from error
        raise BadRun(
            f"{path} is damaged or not a safetensors file ({_first_line(error)}); restore it from a"
            " copy"
        ) from error


def create_folder(path: PathText) -> Path:
    """Create an output folder; a non-empty existing one is refused."""
    folder = Path(path)
    check_place(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRun(
            f"cannot create the folder {folder}: {error.strerror}; choose a place you can write to"
        ) from error
    return folder


def _unshare(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors that share memory, which safetensors refuses."""
    seen: set[int] = set()
    result = {}
    for key, tensor in tensors.items():
        pointer = tensor.untyped_storage().data_ptr()
        result[key] = tensor.clone() if pointer in seen else tensor
        seen.add(pointer)
    return result


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(dict(sorted(header.items()))).encode())
    for key in sorted(tensors):
        tensor = tensors[key].contiguous()
        digest.update(f"{key}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


# -------------------------------------------------------------------------------------- description


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    try:
        if not folder.exists():
            raise BadRun(f"{folder} does not exist; expected a run folder made by fit or save")
        if not path.exists():
            what = "a file; name the run first" if folder.is_file() else "without a model.json"
            raise BadRun(f"{folder} is not a run folder, but {what}")
    except (OSError, ValueError) as error:
        if isinstance(error, PushforwardError):
            raise
        raise BadRun(
            f"{folder} cannot be opened ({getattr(error, 'strerror', error)}); choose a run folder"
        ) from error
    try:
        content = parse_json(read_file(path))
    except ValueError as error:
        if isinstance(error, PushforwardError):
            raise
        raise BadRun(f"{path} is damaged ({_first_line(error)}); restore it from a copy") from error
    if not isinstance(content, dict) or "format" not in content:
        raise BadRun(f"{path} does not describe a model; restore it from a copy")
    if not fits(content["format"], int) or content["format"] > FORMAT:
        raise BadRun(
            f"{path} has format {printable(content['format'])}, newer than {FORMAT}, the newest"
            " this version reads; upgrade pushforward"
        )
    try:
        whole = content.pop("digest", "") == _digest_json(content)
    except RecursionError:
        whole = False
    if not whole:
        raise BadRun(
            f"{path} was changed after it was written (its digest differs); restore it from a copy"
        )
    return _upgrade(content)


def _upgrade(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a model.json of format 1 in today's terms."""
    for name in ("space", "condition_space"):
        space = content.get(name)
        if content["format"] == 1 and isinstance(space, dict):
            content[name] = {
                k: "images" if k in ("kind", "form") and v == "pictures" else v
                for k, v in space.items()
            }
    return content


def _digest_json(content: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
