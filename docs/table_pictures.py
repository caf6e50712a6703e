"""`python -m docs.table_pictures`: the pictures of docs/tables.md, of the wines of scikit-learn."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from sklearn.datasets import load_wine

import pushforward as pf
from pushforward.plots import write_figure

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Draw a copy, odd rows, groups and a conditional distribution."""
    warnings.simplefilter("ignore")
    wine = load_wine(as_frame=True).data
    wine.insert(0, "id", [f"W{i:03d}" for i in range(len(wine))])
    with tempfile.TemporaryDirectory() as place:
        wine.to_csv(path := Path(place) / "wine.csv", index=False)
        figures = {
            "copy": pf.synthesise(path).plot(),
            "odd": pf.odd(path).plot(),
            "groups": pf.describe(path, groups=3).plot(),
            "given": pf.condition(path, {"alcohol": 14}).plot(),
        }
    for name, figure in figures.items():
        path = IMAGES / f"table-{name}.png"
        path.unlink(missing_ok=True)
        write_figure(figure, path)
        print(path)


if __name__ == "__main__":
    main()
