"""What is said of samples: poor recall and precision, missing modes, and what to do next."""

from __future__ import annotations

from pathlib import Path

import pushforward as pf
from pushforward.experiments import open_run
from pushforward.experiments.sample_findings import advise_next, explain_samples, sample_findings


def measured(recall: float, precision: float) -> list[pf.Record]:
    return [pf.Record("recall", recall), pf.Record("precision", precision)]


def test_good_samples_need_no_words() -> None:
    assert sample_findings("a", measured(0.5, 0.9)) == []
    assert sample_findings("a", [pf.Record("fid", 3.0)]) == []


def test_poor_recall_and_precision_are_said_plainly() -> None:
    (missing,) = sample_findings("runs/a", measured(0.125, 0.9))
    assert missing.startswith("runs/a: recall is 0.12: 88% of the real rows are unlike anything")
    (unreal,) = sample_findings("runs/a", measured(0.9, 0.25))
    assert "75% of the samples are unlike any real row" in unreal
    modes = pf.Record("modes", 5.0, details={"ideal": 8})
    assert sample_findings("a", [modes]) == ["a: 3 of 8 modes have no sample"]
    assert sample_findings("a", [pf.Record("modes", 8.0, details={"ideal": 7.999})]) == []


def test_the_next_command_suits_what_is_poor(tmp_path: Path) -> None:
    place = tmp_path / "run"
    pf.GAN(latent=2, hidden=(4,), packing=1).fit("moons:80", steps=2, batch=20, run=place)
    run = open_run(place)
    assert advise_next(run, measured(0.1, 0.9)) == f"pushforward resume {place} --steps 1000"
    assert advise_next(run, measured(0.8, 0.9)) == ""
    lines = explain_samples(["a", str(place)], [measured(0.1, 0.1)] * 2)
    heads = [line.partition(":")[0] for line in lines]
    assert heads == ["a", "a", str(place), str(place), "next"]
    log = place / "log.jsonl"
    log.write_text(log.read_text().replace('"samples": 40', '"samples": 40000'))
    run = open_run(place)  # as after 2000 steps
    assert "packing=2" in advise_next(run, measured(0.1, 0.9))
    assert advise_next(run, measured(0.1, 0.1)) == f"pushforward resume {place} --steps +2"
