"""plot, assign and condition: an image, clusters and conditional distributions from a run."""

import csv
import datetime
import io
import json
import math
import re

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.dates import DAYS, DURATION, SECONDS
from pushforward.core.space import Column
from pushforward.models.classical.gaussian import Gaussian

SMALL = ("--latent", "2", "--hidden", "8", "--batch", "16", "--steps", "4", "-q")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal([0, 0], 1, (60, 2)), rng.normal([9, -6], 1, (40, 2))])
    lines = ["height,age", *(f"{a:.3f},{b:.3f}" for a, b in x)]
    (root / "people.csv").write_text("\n".join(lines) + "\n")
    for arguments in (
        ["fit", "gmm", root / "people.csv", "--components", "2", "--run", root / "gmm", "-q"],
        ["fit", "kmeans", root / "people.csv", "--clusters", "2", "--run", root / "kmeans", "-q"],
        ["fit", "pca", root / "people.csv", "--components", "2", "--run", root / "pca", "-q"],
        ["fit", "autoencoder", root / "people.csv", "--run", root / "codes", *SMALL],
    ):
        assert main([str(a) for a in arguments]) == 0
    return root


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        ("gmm", None),
        ("gmm", "density"),
        ("gmm", "corner"),
        ("gmm", "marginals"),
        ("gmm", "choice"),
        ("kmeans", None),
        ("kmeans", "choice"),
        ("pca", None),
        ("pca", "scree"),
        ("codes", None),
    ],
)
def test_every_kind_is_an_image_whose_path_is_on_stdout(cli, made, tmp_path, run, kind):
    target = tmp_path / "a.png"
    done = cli(
        "plot", made / run, *(["--kind", kind] if kind else []), "--out", target, "--most", 3
    )
    assert (done.code, done.out) == (0, f"{target}\n"), done.err
    with Image.open(target) as image:
        assert image.width > 300


def test_rows_can_be_left_out(cli, made, tmp_path):
    done = cli(
        "plot",
        made / "gmm",
        "--kind",
        "density",
        "--data",
        "none",
        "--out",
        tmp_path / "density.png",
        "--json",
    )
    assert json.loads(done.out)["kind"] == "density"


def test_labels_colour_the_codes(cli, made, tmp_path):
    (tmp_path / "named.csv").write_text("height,age,team\n1,2,red\n3,4,blue\n2,0,red\n")
    done = cli(
        "plot",
        made / "codes",
        "--kind",
        "embedding",
        "--data",
        tmp_path / "named.csv",
        "--label",
        "team",
        "--out",
        "a.png",
    )
    assert (done.code, done.out) == (0, "a.png\n"), done.err


def test_a_plot_goes_into_the_run_s_images(cli, made):
    done = cli("plot", made / "pca", "--kind", "scree", "--json")
    assert json.loads(done.out) == {"path": str(made / "pca/images/scree.png"), "kind": "scree"}
    assert (made / "pca/images/scree.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pca", "--kind", "clusters"], "PCA assigns no clusters"),
        (["gmm", "--kind", "scree"], "GMM has no principal components"),
        (["pca", "--kind", "screee"], "got 'screee'; did you mean 'scree'?"),
        (["pca", "--kind", "choice"], "choice is for gmm and kmeans, got pca"),
        (["gmm", "--kind", "embedding"], "the gmm model has no codes to draw; try --kind clusters"),
        (["gmm", "--kind", "density", "--axes", "height,nothing"], "no column 'nothing'"),
        (["gmm", "--most", "1"], "--most must be at least 2, got 1"),
        (["gmm", "--out", "a.xyz"], "expected .png, .pdf or .svg"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(cli, made, arguments, said):
    done = cli("plot", made / arguments[0], *arguments[1:])
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert said in done.err
    assert done.out == ""


def test_without_its_data_a_run_is_drawn_without_rows_or_says_what_to_pass(cli, made, tmp_path):
    Gaussian.of(torch.zeros(2), torch.eye(2)).save(tmp_path / "distribution")
    done = cli("plot", tmp_path / "distribution")
    assert done.code == 0
    assert "drawn without rows" in done.err
    pf.GMM(2).fit(torch.randn(50, 2, generator=torch.Generator().manual_seed(0))).save(
        tmp_path / "saved"
    )
    done = cli("plot", tmp_path / "saved")
    assert done.code == 2
    assert "pass --data FILE" in done.err


def test_assign_gives_the_cluster_of_every_row(cli, made):
    for run in ("gmm", "kmeans"):
        done = cli("assign", made / run, made / "people.csv", "--responsibilities")
        assert done.code == 0
        found = rows(done.out)
        owner = [int(r["cluster"]) for r in found]
        assert len(found) == 100
        assert len(set(owner[:60])) == len(set(owner[60:])) == 1
        assert owner[0] != owner[-1]
        assert all(math.isclose(float(r["p0"]) + float(r["p1"]), 1, abs_tol=1e-6) for r in found)
        assert float(found[0][f"p{owner[0]}"]) > 0.9
        assert "100 rows: " in done.err


def test_assign_writes_files_and_json_and_refuses_others(cli, made, tmp_path):
    done = cli("assign", made / "gmm", made / "people.csv", "--out", "clusters.csv", "-q")
    assert (done.code, done.out, done.err) == (0, "clusters.csv\n", "")
    assert len(rows((tmp_path / "clusters.csv").read_text())) == 100
    assert set(
        json.loads(cli("assign", made / "gmm", made / "people.csv", "--json").out.splitlines()[0])
    ) == {"row", "cluster"}
    done = cli("assign", made / "pca", made / "people.csv")
    assert done.code == 2
    assert "the pca model has no clusters; models that do: " in done.err


def test_condition_prints_the_distribution_in_closed_form(cli, tmp_path):
    names = pf.Space.infer(pandas.DataFrame({"height": [0.0, 9.0], "age": [0.0, -6.0]}))
    model = pf.GMM.of(
        torch.tensor([0.6, 0.4]),
        torch.tensor([[0.0, 0.0], [3.0, -6.0]]),
        torch.eye(2).expand(2, 2, 2),
        names,
    )
    model.save(tmp_path / "gmm")
    distribution = model.condition({"height": 1.5})
    assert float(distribution.weights_.min()) > 0.3
    assert cli("condition", tmp_path / "gmm", "height=1.5", "-o", "exact.csv").code == 0
    done = cli("condition", tmp_path / "gmm", "height=1.5")
    assert done.code == 0
    (short,) = rows(done.out)
    (row,) = rows((tmp_path / "exact.csv").read_text())
    assert all(len(short[key]) <= 5 < len(row[key]) for key in row if key != "column")
    assert all(abs(float(short[k]) - float(row[k])) <= 0.005 for k in row if k != "column")
    assert row["column"] == "age"
    assert float(row["mean"]) == pytest.approx(
        float(distribution.weights_ @ distribution.means_[:, 0]), abs=1e-12
    )
    draws = distribution.sample(100_000, rng=1)[:, 0]
    assert float(row["sd"]) == pytest.approx(float(draws.std()), rel=0.01)
    assert float(row["q50"]) == pytest.approx(float(draws.median()), abs=0.1)
    assert "given height = 1.5" in done.err


def test_condition_draws_samples_and_saves_the_distribution(cli, made, tmp_path):
    done = cli("condition", made / "pca", "age=-6", "-n", 5, "--seed", 3, "--save", "given")
    assert done.code == 0
    assert len(rows(done.out)) == 5
    assert done.out == cli("condition", made / "pca", "age=-6", "-n", 5, "--seed", 3).out
    assert pf.load(tmp_path / "given").fitted_space().names == ("height",)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gmm", "height"], "expected column=value, got 'height'; the columns are height, age"),
        (["gmm", "height=tall"], "height must be a number, got 'tall'"),
        (["gmm", "height=2024-06-01"], "height must be a number, got '2024-06-01'"),
        (["gmm", "height=nan"], "height must be finite"),
        (["gmm", "height=1", "height=2"], "'height' is given twice"),
        (["gmm", "height=1", "age=2"], "leave at least one free"),
        (["gmm", "weight=1"], "no column 'weight'"),
        (["gmm", "height=1", "-n", "0"], "-n must be at least 1, got 0"),
        (["kmeans", "height=1"], "the kmeans model has no closed conditionals; models that do: "),
    ],
)
def test_what_cannot_be_known_is_one_line(cli, made, arguments, said):
    done = cli("condition", made / arguments[0], *arguments[1:])
    assert done.code == 2
    assert said in done.err
    assert done.out == ""


DATED = 19875.0  # 2024-06-01 in days since 1970-01-01


@pytest.fixture(scope="module")
def dated():
    """A mixture over a day, a moment with a time zone, a duration,
    a share and a height, all of them correlated.
    """
    columns = (
        Column("day", "integer", unit=DAYS),
        Column("moment", "integer", unit=SECONDS, dtype="datetime64[ns, UTC]"),
        Column("span", unit=DURATION, dtype="timedelta64[ns]"),
        Column("height"),
        Column("share", unit="%"),
    )
    scale = torch.tensor([10.0, 10 * 86400.0, 3600.0, 2.0, 5.0], dtype=torch.float64)
    correlation = 0.6 + 0.4 * torch.eye(5, dtype=torch.float64)
    mean = torch.tensor([DATED - 3, (DATED - 3) * 86400, 7200.0, 1.0, 50.0], dtype=torch.float64)
    return Gaussian.of(
        mean,
        correlation * torch.outer(scale, scale),
        pf.Space("points", (5,), columns, form="frame"),
    )


@pytest.mark.parametrize(
    ("axis", "value", "number"),
    [
        ("day", "2024-06-01", DATED),
        ("day", "2024-06-01T12:00", DATED + 0.5),
        ("day", datetime.date(2024, 6, 1), DATED),
        ("day", datetime.datetime(2024, 6, 1, 12), DATED + 0.5),
        ("day", pandas.Timestamp("2024-06-01"), DATED),
        ("day", np.datetime64("2024-06-01"), DATED),
        ("day", "19875", DATED),
        ("day", 19875, DATED),
        ("moment", "2024-06-01T02:00:00+02:00", DATED * 86400),
        ("moment", pandas.Timestamp("2024-06-01T02:00", tz="Europe/Paris"), DATED * 86400),
        ("span", "1 days 01:00:00", 90000.0),
        ("span", datetime.timedelta(hours=2), 7200.0),
        ("span", np.timedelta64(2, "h"), 7200.0),
        ("span", np.timedelta64(7200 * 10**9, "ns"), 7200.0),
        ("day", np.datetime64("2024-06-01", "ns"), DATED),
        ("share", "40 %", 40.0),
        ("share", "40%", 40.0),
        ("share", "40", 40.0),
        ("height", "1.5", 1.5),
        ("height", torch.tensor(1.5), 1.5),
    ],
)
def test_values_to_condition_on_are_read_as_their_column_is(
    cli, dated, tmp_path, axis, value, number
):
    expected = dated.condition({axis: number}).mean_
    assert torch.equal(dated.condition({axis: value}).mean_, expected)
    if isinstance(value, str):
        dated.save(tmp_path / "dated")
        assert (
            cli("condition", tmp_path / "dated", f"{axis}={value}").out
            == cli("condition", tmp_path / "dated", f"{axis}={number!r}").out
        )


@pytest.mark.parametrize(
    ("axis", "value", "said"),
    [
        (
            "day",
            "yesterday",
            (
                "day must be a date such as 2024-06-01, or a number in days since 1970-01-01, got"
                " 'yesterday'"
            ),
        ),
        ("day", datetime.timedelta(1), "day must be a date such as"),
        ("moment", "40%", "or a number in seconds since 1970-01-01, got '40%'"),
        ("span", pandas.Timestamp("2024-06-01"), "span must be a duration such as"),
        ("share", "many", "share must be a number in per cent, such as 40 or '40%', got 'many'"),
        ("height", pandas.Timestamp("2024-06-01"), "height must be a number, got"),
        ("height", np.timedelta64(2, "h"), "height must be a number, got"),
        ("height", None, "height must be a number, got None"),
        ("height", 10**400, "height must be a number, got 1000"),
        ("share", 10**400, "share must be a number in per cent, such as 40 or '40%', got 1000"),
        ("day", pandas.NaT, "finite"),
    ],
)
def test_a_value_that_its_column_cannot_take_is_named(dated, axis, value, said):
    with pytest.raises(pf.InvalidValue, match=re.escape(said)):
        dated.condition({axis: value})


def test_the_conditional_distribution_of_dates_is_told_in_dates(cli, dated, tmp_path):
    dated.save(tmp_path / "dated")
    done = cli("condition", tmp_path / "dated", "moment=2024-06-01T00:00Z")
    assert "given moment = 2024-06-01T00:00:00" in done.err
    day = rows(done.out)[0]
    assert day["column"] == "day"
    times = [datetime.date.fromisoformat(day[name]) for name in ("q05", "q50", "q95")]
    assert times == sorted(times)
    assert abs((datetime.date.fromisoformat(day["mean"]) - datetime.date(2024, 6, 1)).days) < 10
    assert 0 < float(day["sd"]) < 100
    assert float(rows(done.out)[2]["mean"])  # a height stays a number


@pytest.mark.parametrize("kind", [None, "embedding", "corner", "marginals", "density"])
def test_a_plot_that_images_do_not_have_is_not_advised(kind: str | None, cli) -> None:
    assert cli("fit", "gan", "digits", "--steps", "1", "--run", "run", "-q").code == 0
    done = cli("plot", "run", *(["--kind", kind] if kind else []))
    assert done.code == 2
    assert "write samples instead (sample), or a film of the training (film)" in done.err
    for other in ("embedding", "--kind"):
        assert other not in done.err.partition(";")[2]
