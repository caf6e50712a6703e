"""Graphs as ONNX: what they take, what is checked, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.export import onnx_files, write_onnx
from pushforward.export.graphs import find_graphs
from tests.small_models import fitted, images, rows

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


def run(path: Path, *inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(path))
    feeds = {known.name: x.numpy() for known, x in zip(session.get_inputs(), inputs)}
    return torch.from_numpy(session.run(None, feeds)[0])


LIKELIHOODS = (
    "gaussian(predicted=True)",
    "bernoulli",
    "continuous_bernoulli",
    "discretised_logistic",
)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_is_decoded_to_its_mean(likelihood: str, tmp_path: Path) -> None:
    x = (images(shape=(1, 4, 4)) - 4).div(2).mul(16).round().to(torch.uint8)
    x = x.float().div(16) if "bernoulli" in likelihood else x
    settings = {"likelihood": likelihood}
    model = fitted("vae", x, settings=settings)
    (decoder, _) = write_onnx(model, tmp_path / "vae")
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    wanted = model.decode(z).detach().clamp(model.space.low, model.space.high)
    assert torch.allclose(run(decoder.path, z).float(), wanted.float(), atol=1e-4 * 16)


def test_labels_are_a_second_input(tmp_path: Path) -> None:
    x, y = rows(), torch.arange(96) % 3
    model = fitted("gan", x, y)
    (decoder,) = write_onnx(model, tmp_path / "gan")
    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(run(decoder.path, z, y[:3]), model.decode(z, y[:3]), atol=1e-4)
    one, two = run(decoder.path, z, torch.zeros(3).long()), run(decoder.path, z, y[:3])
    assert not torch.allclose(one[1:], two[1:])


def test_a_translator_takes_images_of_other_sizes(tmp_path: Path) -> None:
    model = fitted("pix2pix")
    (translator,) = write_onnx(model, tmp_path / "pix")
    y = torch.rand(2, 1, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 + 4
    wanted = model.translate(y, using="mean").clamp(model.space.low, model.space.high)
    assert torch.allclose(run(translator.path, y), wanted, atol=2e-4)


def test_values_far_from_zero_keep_their_digits(tmp_path: Path) -> None:
    x = rows() + 1e7
    model = fitted("pca", x)
    decoder, encoder = write_onnx(model, tmp_path / "pca")
    made = run(decoder.path, run(encoder.path, x[:4]).double())
    assert torch.allclose(made, model.decode(model.encode(x[:4])), atol=1e-6)


def test_metadata_name_the_model_its_space_and_the_version(tmp_path: Path) -> None:
    (decoder, *_) = write_onnx(fitted("pca"), tmp_path / "pca")
    facts = {p.key: p.value for p in onnx.load(decoder.path).metadata_props}
    assert facts["model"] == "pca"
    assert facts["graph"] == "decoder"
    assert pf.Space.from_json(json.loads(facts["space"])).shape == (3,)
    assert facts["version"]


def test_a_graph_that_differs_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: Callable[..., Any] = onnx_files.trace

    def spoil(*args: Any, **settings: Any) -> Any:
        proto = traced(*args, **settings)
        weights = proto.graph.initializer[0]
        values = onnx.numpy_helper.to_array(weights)
        spoiled = (values * 1.01).astype(values.dtype)
        weights.CopyFrom(onnx.numpy_helper.from_array(spoiled, weights.name))
        return proto

    monkeypatch.setattr(onnx_files, "trace", spoil)
    with pytest.raises(pf.PushforwardError, match=r"differs from the model by .* nothing was"):
        write_onnx(fitted("pca"), tmp_path / "pca")
    assert not (tmp_path / "pca").exists()


def test_random_codes_follow_the_width_of_the_model() -> None:
    (decoder, *_) = find_graphs(fitted("infogan"))
    assert onnx_files.random_rows(decoder.inputs[0], 4, rng=0).shape == (4, 6)


# ---------------------------------------------------------------------------------- command line


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fitted("pca").save("runs/pca")
    return tmp_path


def test_the_command_writes_graphs(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "runs/pca", "--to", "onnx"]) == 0
    printed = capsys.readouterr()
    assert "decoder: differs from the model by" in printed.err
    assert printed.out.splitlines() == ["pca-onnx/decoder.onnx", "pca-onnx/encoder.onnx"]


def check_refusal(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path().rglob("*"))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert text in " ".join(error.split())
    assert "Traceback" not in error
    assert sorted(Path().rglob("*")) == before


def test_an_unknown_format_is_refused(run_folder: Path, capsys: Any) -> None:
    check_refusal(["export", "runs/pca", "--to", "pdf"], "--to must be", capsys)


def test_an_existing_output_is_kept(run_folder: Path, capsys: Any) -> None:
    Path("pca-onnx").mkdir()
    Path("pca.html").write_text("mine")
    for kind, name in (("onnx", "pca-onnx"), ("page", "pca.html")):
        check_refusal(["export", "runs/pca", "--to", kind], f"{name} exists", capsys)
    assert Path("pca.html").read_text() == "mine"


def test_a_model_without_a_map_is_refused(run_folder: Path, capsys: Any) -> None:
    fitted("kde").save("runs/kde")
    for kind in ("onnx", "page"):
        check_refusal(["export", "runs/kde", "--to", kind], "KDE has nothing to export", capsys)


def test_a_run_without_a_model_is_refused(run_folder: Path, capsys: Any) -> None:
    Path("runs/pca/model.safetensors").unlink()
    check_refusal(["export", "runs/pca"], "runs/pca", capsys)


def test_a_missing_extra_says_how_to_install_it(
    run_folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for kind in ("onnx", "page"):
        check_refusal(["export", "runs/pca", "--to", kind], "export]", capsys)
