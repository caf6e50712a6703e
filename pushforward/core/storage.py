"""A model on disk: a folder with `model.safetensors` and `model.json`, never a pickle.

`model.json` names the registered class, its hyper-parameters as text, the spaces and the format number, and is written
once, when the run begins. `model.safetensors` holds the tensors and, in its own header, a digest of them; it is replaced
whole (temporary name, fsync, rename), so a reader sees the old one or the new one and never half of either.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadRun, PushforwardError
from pushforward.core.folders import check_place, new_run, written_whole
from pushforward.core.model import Model
from pushforward.core.preparation import Preparation
from pushforward.core.registry import Value, model_class
from pushforward.core.scaling import Scaling
from pushforward.core.space import Space
from pushforward.core.turns import seeded
from pushforward.core.verbs import usual_torch

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
    "new_folder",
]

FORMAT = 1


def save(model: Model, path: Any, *, overwrite: bool = False) -> Path:
    """Write a fitted model to a new folder; an existing one is refused unless `overwrite`."""
    model.fitted_space()
    with new_run(path, overwrite=overwrite) as folder:
        write_tensors(folder / "model.safetensors", model.tensors())
        describe(model, folder)
    return Path(path)


def load(path: Any, *, device: torch.device | str = "cpu") -> Any:
    """The model in a run folder, on a device. Raises BadRun for anything that is not one, is damaged, or is newer."""
    with usual_torch():
        return _loaded(Path(path), torch.device(device))


def _loaded(folder: Path, device: torch.device) -> Model:
    model = construct(folder)
    tensors, _ = read_tensors(folder / "model.safetensors")
    try:
        model.restore(tensors)
    except (RuntimeError, KeyError, AttributeError) as error:
        raise BadRun(
            f"{folder}: model.json and model.safetensors do not belong together ({_first_line(error)}); restore the folder"
        ) from error
    model.eval()
    return model.to(device)


def describe(model: Model, folder: Path) -> None:
    """Write model.json: what is needed to build the model again, apart from its tensors."""
    content = {
        "format": FORMAT,
        "model": model.registered_name,
        "hyperparameters": {k: _encode(v) for k, v in model.hyperparameters().items()},
        "space": model.fitted_space().to_json(),
        "condition_space": None if model.condition_space is None else model.condition_space.to_json(),
        "scaling": model.scaling.kind,
        "preparation": model.preparation.as_dict(),
        "dtype": str(model.floating()).removeprefix("torch."),
        "versions": versions(),
        "command": model.command,
    }
    content["digest"] = _digest_json(content)
    write_text(folder / "model.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def construct(folder: Path) -> Model:
    """The model that model.json describes, built but not yet filled."""
    content = _read_description(folder)
    try:
        cls = model_class(content["model"])
        model: Model = cls(**{k: _decode(v) for k, v in content["hyperparameters"].items()})
        space = Space.from_json(content["space"])
        condition_space = None if content["condition_space"] is None else Space.from_json(content["condition_space"])
        model.scaling_kind = content["scaling"]
        with seeded():
            model.assemble(space, condition_space)
        if model.dtype is None:
            for child in model.children():
                if not isinstance(child, Scaling):  # its numbers stay in float64
                    child.to(getattr(torch, content["dtype"]))
        model.command = content.get("command", "")
        stored = content.get("preparation")  # not written before dequantising was the model's own
        if stored is not None:
            model.preparation = Preparation(**stored)
            model.dequantise = model.preparation.dequantise
    except PushforwardError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadRun(f"{folder / 'model.json'} does not describe a model ({_first_line(error)}); restore the folder") from error
    return model


def has_preparation(folder: Path) -> bool:
    """Whether model.json says how the data were prepared, which the first runs did not."""
    return "preparation" in _read_description(folder)


def versions() -> dict[str, str]:
    """The versions a result depends on."""
    found = {"python": platform.python_version()}
    for name in ("pushforward", "torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


# ------------------------------------------------------------------------------------------------------- tensors


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file atomically, with a digest of names, types, shapes and bytes in its header."""
    from safetensors.torch import save as to_bytes

    own = {k: v.detach().to("cpu").contiguous() for k, v in tensors.items()}
    header = {"format": "pt", **(metadata or {})}
    header["digest"] = _digest(own, header)
    _write_atomically(path, *_in_order(to_bytes(_unshared(own), metadata=header)))


def _in_order(content: bytes) -> tuple[bytes, memoryview]:
    """The same file with its header sorted: safetensors writes metadata in an order that changes from call to call."""
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header, memoryview(content)[8 + length :]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the header of a file that `write_tensors` wrote; BadRun if missing, damaged or something else."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadRun(f"{path} is missing; expected the tensors of a fitted model there")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = dict(file.metadata() or {})
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        with path.open("rb") as raw:
            start = raw.read(4)
        if start[:2] == b"PK" or start[:1] == b"\x80":
            raise BadRun(f"{path} is a pickle, which could run code when opened; only safetensors files are read") from error
        raise BadRun(f"{path} is damaged or not a safetensors file ({_first_line(error)}); restore it from a copy") from error
    stated = header.pop("digest", "")
    if stated != _digest(tensors, header):
        raise BadRun(f"{path} was changed after it was written (its digest differs); restore it from a copy")
    return tensors, header


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    _write_atomically(path, text.encode())


def new_folder(path: Any) -> Path:
    """Make an output folder; one that exists with something in it is refused."""
    folder = Path(path)
    check_place(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRun(f"cannot create the folder {folder}: {error.strerror}; choose a place you can write to") from error
    return folder


def _write_atomically(path: Path, *content: bytes | memoryview) -> None:
    try:
        with written_whole(path) as temporary, temporary.open("wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        raise BadRun(f"cannot write {path}: {error.strerror}; what was there before is untouched: free or choose another place") from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Safetensors refuses tensors that share memory; views get their own."""
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


# ---------------------------------------------------------------------------------------------------- description


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not folder.exists():
        raise BadRun(f"{folder} does not exist; expected a run folder made by fit or save")
    if not path.is_file():
        raise BadRun(f"{folder} is not a run folder: it holds no model.json")
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadRun(f"{path} is damaged ({_first_line(error)}); restore it from a copy") from error
    if not isinstance(content, dict) or "format" not in content:
        raise BadRun(f"{path} does not describe a model; restore it from a copy")
    if not isinstance(content["format"], int) or content["format"] > FORMAT:
        raise BadRun(f"{path} has format {content['format']}, newer than {FORMAT}, the newest this version reads; upgrade pushforward")
    if content.pop("digest", "") != _digest_json(content):
        raise BadRun(f"{path} was changed after it was written (its digest differs); restore it from a copy")
    return content


def _digest_json(content: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def _encode(value: Any) -> Any:
    """A hyper-parameter as JSON: values as {'family', 'text'}, tuples as lists, tensors as nested lists."""
    if isinstance(value, Value):
        return {"family": value.family, "text": str(value)}
    if isinstance(value, (list, tuple)):
        return [_encode(v) for v in value]
    if isinstance(value, Tensor):
        return value.tolist()
    return value


def _decode(value: Any) -> Any:
    """What `_encode` wrote; a value comes back as its text, which every model reads in its `__init__`."""
    if isinstance(value, dict) and set(value) == {"family", "text"}:
        return value["text"]
    if isinstance(value, list):
        return tuple(_decode(v) for v in value)
    return value


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
