"""Run folders of format 1, which called images pictures, still load, go on and give way."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.core.folders import ForeignFiles
from pushforward.core.storage import _digest_json
from pushforward.fitting.film import film_folder, read_frames

X = torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def as_format_one(run: Path) -> Path:
    """The run folder as it was written before images were called images."""
    content = json.loads((run / "model.json").read_text())
    content["format"] = 1
    content["space"] |= {"kind": "pictures"} | (
        {"form": "pictures"} if content["space"]["form"] == "images" else {}
    )
    del content["digest"]
    (run / "model.json").write_text(json.dumps({**content, "digest": _digest_json(content)}))
    if (run / "images").is_dir():
        (run / "images").rename(run / "pictures")
    return run


@pytest.mark.parametrize("form", ["tensor", "images"])
def test_a_model_of_images_loads(tmp_path: Path, form: str) -> None:
    source = pf.Arrays(X, space=pf.Space.infer(X, form=form))
    model = pf.PCA(2).fit(source)
    model.save(tmp_path / "run")
    old = pf.load(as_format_one(tmp_path / "run"))
    assert old.space == model.space
    assert old.space.kind == "images"
    assert torch.equal(old.log_prob(X[:3]), model.log_prob(X[:3]))


def test_a_film_goes_on_where_it_was_kept(tmp_path: Path) -> None:
    settings = {"batch": 32, "film": 4, "seed": 1}
    pf.VAE(latent=2, hidden=(8,)).fit(X, by=pf.Trainer(steps=20, run=tmp_path / "run", **settings))
    run = as_format_one(tmp_path / "run")
    before = len(read_frames(film_folder(run)))
    pf.Trainer(steps=40, resume=run).fit(pf.VAE(latent=2, hidden=(8,)), pf.read(X))
    assert film_folder(run) == run / "pictures/film"
    assert len(read_frames(film_folder(run))) > before
    assert not (run / "images").exists()


def test_its_files_give_way_to_a_new_run(tmp_path: Path) -> None:
    model = pf.PCA(2).fit(X)
    model.save(tmp_path / "run")
    (tmp_path / "run/images/film").mkdir(parents=True)
    for name in ("samples.png", "film/000000000000000.safetensors"):
        (tmp_path / "run/images" / name).write_bytes(b"")
    run = as_format_one(tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ForeignFiles)
        model.save(run, overwrite=True)
    assert sorted(p.name for p in run.iterdir()) == ["model.json", "model.safetensors", "run.json"]
