"""The lecture's sections and figures, in the order of the slides."""

from __future__ import annotations

from dataclasses import dataclass

from pushforward.core.errors import InvalidValue, suggest

__all__ = ["FIGURES", "SECTIONS", "Section", "module_of"]


@dataclass(frozen=True)
class Section:
    """A part of the lecture.

    Args:
        name: of its page.
        title: over it.
        aim: what its reader will have at the end.
        figures: names, in order.
        after: more text at the end of the page.
    """

    name: str
    title: str
    aim: str
    figures: tuple[str, ...]
    after: str = ""


DEMOS = """\
## Live demos

The rest of the lecture is done by hand, in the [studio](../studio.md), a page in your browser:

```sh
pushforward studio
```

* *Learn*: choose data and players, and watch each step of the game, slowly if you like.
* *Latent*: walk through the codes of a run; find a direction, such as a slant.
* *Edit*: paint, sketch or drag, and see the nearest image that the model can make.
* *Translate*: draw outlines, and see what a pix2pix makes of them.

![A GAN while it learns, in the studio](../images/studio-learn.png)

![A smile is drawn, and the model makes a face that smiles](../images/studio-edit.gif)"""

SECTIONS = (
    Section(
        "data",
        "Learning without labels",
        "you will have seen four questions that need no labels: where are the points, which"
        " belong together, what shape do they have, and how do they move?",
        ("shots", "clusters", "mapper", "trajectories"),
    ),
    Section(
        "codes",
        "Fewer numbers",
        "you will have described data by a few numbers each, with a plane (PCA) and with a curved"
        " surface (auto-encoder), and measured what was lost.",
        ("pca-projection", "pca-variance", "autoencoder", "shooting-maps"),
    ),
    Section(
        "densities",
        "Density estimation",
        "you will know what a kernel, a bandwidth and a bandwidth per point do, and how to choose"
        " them by the likelihood of points left out.",
        ("kernels", "bandwidths", "adaptive-bandwidths", "heat-map"),
    ),
    Section(
        "latent",
        "x = f(z), and its likelihood",
        "you will have pushed noise through a function, computed the density of the result, and"
        " seen why its likelihood is hard and how a bound helps.",
        (
            "push-forward",
            "ring",
            "decoder",
            "quiz",
            "bound",
            "posterior-network",
            "computation-graph",
        ),
    ),
    Section(
        "vae",
        "Variational auto-encoders",
        "you will have trained VAEs of handwritten digits, looked at their plane of codes, and"
        " drawn new digits.",
        ("vae-plane", "vae-samples"),
    ),
    Section(
        "gan",
        "Two players",
        "you will have watched a generator learn from a critic, know what the game minimises, and"
        " have met its relatives.",
        ("counterfeiter", "minimax", "f-gan", "infogan", "ebgan", "hacks", "gans-against-vaes"),
    ),
    Section(
        "images",
        "Images, clips and edits",
        "you will have run small versions of the image models: DCGAN, LAPGAN, clips,"
        " super-resolution, translation, and edits on the manifold of a generator.",
        (
            "dcgan",
            "lapgan",
            "video",
            "super-resolution",
            "translations",
            "manifold-edits",
        ),
        DEMOS,
    ),
)

FIGURES = tuple(name for section in SECTIONS for name in section.figures)


def module_of(name: str) -> str:
    """The dotted name of a figure's module; InvalidValue with the nearest name if unknown."""
    if name not in FIGURES:
        raise InvalidValue(f"unknown figure {name!r}; {suggest(name, FIGURES)}")
    return f"pushforward.lecture.figures.{name.replace('-', '_')}"
