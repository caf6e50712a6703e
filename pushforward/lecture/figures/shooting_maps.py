r"""A player in ten numbers: shooting maps

A player's shooting map is 450 numbers: the share of shots in each cell of two by two feet. An
auto-encoder writes it in ten, and restores the map from these:

$$\mathbb R^{450} \xrightarrow{\;f\;} \mathbb R^{10} \xrightarrow{\;g\;} \mathbb R^{450}.$$

The ten numbers filter the noise of single shots, and the player whose numbers are nearest shoots
alike. Players are synthetic; `pushforward recipe shot-maps` does this for the NBA, and finds that
ten *linear* numbers do as well there.

Try:

* `latent=2`: which kinds of player survive?
* PCA in its place: `pf.PCA(10).fit(maps)`.
"""

from __future__ import annotations

import pushforward as pf
from pushforward.lecture.synthetic import shooting_maps
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import heat, panels


def figure() -> Figure:
    """A map, its reconstruction from ten numbers, and the most similar player's map."""
    maps = shooting_maps(400).float().sqrt()  # Hellinger's distance compares roots
    model = pf.Autoencoder(latent=10, hidden=(128,)).fit(maps, epochs=60)
    z = model.encode(maps)
    nearest = int((z[1:] - z[0]).norm(dim=1).argmin()) + 1
    shown = {
        "A player's 600 shots": maps[0],
        "From ten numbers": model.decode(z[:1])[0],
        f"The most similar player, no. {nearest}": maps[nearest],
    }
    look = {"names": ("feet across", "feet from the baseline"), "unit": "share per cell"}
    cells = {name: x[0].clamp_min(0).square() for name, x in shown.items()}
    drawn = [heat(x, (-25, 25, 0, 36), name, high=0.03, **look) for name, x in cells.items()]
    return panels(*drawn, side=4.3, height=3.4)
