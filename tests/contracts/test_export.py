"""Every registered model is exported, or says in one sentence that it has nothing to export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.capabilities import Decodes, Encodes, Translates
from pushforward.export import write_onnx
from tests.small_models import ENCODED, PAIRED, data

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


def run(path: Path, *inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(path))
    feeds = {known.name: x.numpy() for known, x in zip(session.get_inputs(), inputs)}
    return torch.from_numpy(session.run(None, feeds)[0])


def test_what_can_be_exported_is_and_agrees(name: str, model: Any, tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    if not isinstance(model, (Decodes, Encodes, Translates)):
        with pytest.raises(pf.PushforwardError, match="has nothing to export: no map from codes"):
            write_onnx(model, folder)
        assert not folder.exists()
        return
    if name in ENCODED:
        with pytest.raises(pf.PushforwardError, match="rows are encoded by modes"):
            write_onnx(model, folder)
        assert not folder.exists()
        return
    written = {graph.name: graph for graph in write_onnx(model, folder)}
    assert all(0 <= graph.difference <= 1e-4 for graph in written.values())
    assert {path.stem for path in folder.iterdir()} == set(written)
    if name in PAIRED:
        assert len(written) == 1
        return
    assert set(written) == {"decoder"} | ({"encoder"} if isinstance(model, Encodes) else set())
    compare_decoder(model, written["decoder"].path, 5)
    if "encoder" in written:
        x = data(name)[:5].float()
        codes = run(written["encoder"].path, x).double()
        wanted = model.encode(x).detach().double()
        assert torch.allclose(codes, wanted, atol=1e-4 * float(wanted.abs().max() + 1))


def compare_decoder(model: Any, path: Path, n: int) -> None:
    z = torch.randn(n, codes_of(model), generator=torch.Generator().manual_seed(5))
    wanted = model.decode(z).detach().double()
    space = model.fitted_space()
    if space.kind != "points":
        wanted = wanted.clamp(space.low, space.high)
    made = run(path, z).double()
    assert made.shape == wanted.shape
    assert float((made - wanted).abs().max()) < 1e-3


def codes_of(model: Any) -> int:
    return int(getattr(model, "code_width", 0) or getattr(model, "latent", 2))
