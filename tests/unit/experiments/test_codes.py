"""Codes, projections and reconstructions from Python: those that the commands write."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.experiments import OpenedRun, open_run
from pushforward.experiments.codes import encode
from pushforward.experiments.projections import project
from pushforward.experiments.reconstructions import reconstruct


def numbers(text: str) -> torch.Tensor:
    """The numbers of a CSV file, (rows, columns)."""
    lines = list(csv.reader(text.splitlines()))[1:]
    return torch.tensor([[float(v) for v in line if "/" not in v] for line in lines]).double()


@pytest.mark.parametrize(("name", "data"), [("pca", "people.csv"), ("faces", "photos")])
def test_codes_are_those_of_the_command(
    opened: Callable[[str], OpenedRun],
    command: Callable[..., str],
    place: Path,
    name: str,
    data: str,
) -> None:
    codes = encode(opened(name), str(place / data))
    written = numbers(command("encode", place / name, place / data))
    assert torch.allclose(written.to(codes.z), codes.z)
    assert codes.space.names == ("z0", "z1")
    assert (codes.files is None) == (name == "pca")


def test_the_files_of_rows_are_named(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], place: Path
) -> None:
    codes = encode(opened("faces"), str(place / "photos"))
    assert codes.files is not None
    assert codes.files[0] == str(place / "photos" / "a" / "0.png")
    rows = list(csv.DictReader(command("encode", place / "faces", place / "photos").splitlines()))
    assert [row["file"] for row in rows] == codes.files


def test_rows_in_memory_bring_their_conditions(
    opened: Callable[[str], OpenedRun], place: Path
) -> None:
    labelled = pf.read(str(place / "photos"), label=True).take(torch.arange(24))
    assert labelled.y is not None
    names = ["ab"[int(code)] for code in labelled.y]
    codes = encode(opened("faces"), labelled.x, names)
    assert torch.equal(codes.z, encode(opened("faces"), str(place / "photos")).z)
    others = encode(opened("faces"), labelled.x, names[::-1])
    assert not torch.equal(codes.z, others.z)


def test_conditions_for_a_model_without_are_refused(
    opened: Callable[[str], OpenedRun], place: Path
) -> None:
    for verb in (encode, project, reconstruct):
        with pytest.raises(pf.InvalidValue, match="was fitted without conditions"):
            verb(opened("pca"), str(place / "people.csv"), "team")  # type: ignore[operator]


def test_projections_are_those_of_the_command(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], place: Path
) -> None:
    people = place / "people.csv"
    projections = project(opened("gan"), str(people), seed=3, prior_weight=0.1, steps=5)
    codes, space = projections.with_errors
    flags = ["--seed", 3, "--prior-weight", 0.1, "--steps", 5]
    written = numbers(command("project", place / "gan", people, *flags))
    assert torch.allclose(written.to(codes), codes)
    assert space.names == ("z0", "error")
    assert projections.error.mean() < projections.first_error.mean()
    x = projections.originals
    gap = (projections.restored[: len(x)].double() - x.double()).square().sum(1)
    assert torch.allclose(gap, projections.error[: len(x)].double(), rtol=1e-3)


def test_a_model_without_a_prior_is_projected_from_the_codes_of_the_rows(
    opened: Callable[[str], OpenedRun], place: Path
) -> None:
    people = str(place / "people.csv")
    start = project(opened("codes"), people, start="prior", steps=0)
    assert bool((start.first_error == start.error).all())
    with pytest.raises(pf.InvalidKind, match="does not decode codes; models that do: pca, "):
        project(opened("gmm"), people)


def test_reconstructions_are_those_of_the_command(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], place: Path
) -> None:
    people = place / "people.csv"
    restored = reconstruct(opened("codes"), str(people))
    written = numbers(command("reconstruct", place / "codes", people))
    assert torch.allclose(written, restored.x.double(), rtol=1e-5)
    rows = pf.read(str(people), drop="team", label=False).take(torch.arange(60)).x
    assert torch.allclose(restored.error, (restored.x.double() - rows).square().sum(1))
    assert torch.equal(restored.originals, rows[:32])


def test_errors_of_mixed_tables_are_standardised_over_all_rows(
    tmp_path: Path,
) -> None:
    rows = [f"{20 + i % 7},{20000 + 1000 * (i % 40)}" for i in range(280)]
    (tmp_path / "pay.csv").write_text("\n".join(["age,income", *rows]) + "\n")
    pf.PCA(1).fit(str(tmp_path / "pay.csv"), run=tmp_path / "run", quiet=True)
    restored = reconstruct(open_run(tmp_path / "run"), str(tmp_path / "pay.csv"))
    assert restored.unit == "squared standard deviations"
    assert float(restored.error.mean()) == pytest.approx(1, abs=1e-3)  # age is left out, var 4
