"""What the networks of a translator see of images: their levels, Lab's colours, or classes.

levels    colours as they are
Lab       made are a and b; the lightness is the condition's
classes   made are probabilities, one plane for each colour of a label map
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidKind, InvalidValue, one_of
from pushforward.core.scaling import Scaling
from pushforward.core.space import Space
from pushforward.data.colours import rgb_to_lab, to_gamut
from pushforward.data.palettes import named_palette, nearest_colour, paint, planes, scaled_palette

__all__ = ["Classes", "Colours", "Lab", "Levels", "colour_coordinates"]

Colours: TypeAlias = Literal["rgb", "lab", "classes"]
CHROMA = 110.0
"""Levels of a and b at the ends of tanh, as in the paper's code; sRGB's reach 108."""
MAPS = "labels(side=left, maps=right)"
"""The condition of label maps on the right of photographs."""
SHARPNESS = 8.0
"""Logits at the ends of tanh: of twelve classes one can then have all but 1e-6 of the probability.
"""


class Levels:
    """Images and conditions as they are, in model coordinates.

    Args:
        scaling, condition_scaling: of images and conditions to model coordinates.
    """

    error_name: ClassVar[str] = "absolute"

    def __init__(self, scaling: Scaling, condition_scaling: Scaling) -> None:
        self.scaling, self.condition_scaling = scaling, condition_scaling

    @property
    def space(self) -> Space:
        """Of the images."""
        return self.scaling.space

    def channels(self, inputs: int, outputs: int) -> int:
        """Channels that the generator makes of a condition's.

        Raises:
            InvalidValue: For images that these coordinates do not go with.
        """
        return outputs

    def condition(self, y: Tensor) -> Tensor:
        """What both networks see of conditions y (n, d, h, w)."""
        return y

    def real(self, x: Tensor) -> Tensor:
        """What the critic sees of images x (n, c, h, w) of the data."""
        return x

    def made(self, out: Tensor) -> Tensor:
        """What the critic sees of the generator's output, in (-1, 1)."""
        return out

    def error(self, out: Tensor, real: Tensor) -> Tensor:
        """The absolute error of the generator's output."""
        return (out - real).abs()

    def image(self, out: Tensor, condition: Tensor) -> Tensor:
        """The image, in model coordinates, of the generator's output for a condition."""
        return out


class Lab(Levels):
    """L / 50 - 1 as the condition, and a, b / 110 as the image (Isola et al. 2017, §A.2)."""

    def channels(self, inputs: int, outputs: int) -> int:
        """a and b."""
        if (inputs, outputs) != (1, 3):
            raise InvalidValue(
                f"{setting('colours', 'lab')} makes images of 3 channels from conditions of 1, got"
                f" {outputs} from {inputs}; pass {setting('label', 'lightness')} for images in"
                " colour"
            )
        return 2

    def condition(self, y: Tensor) -> Tensor:
        """L of the grey images, in -1..1."""
        grey = _fractions(self.condition_scaling, y)
        return (rgb_to_lab(grey.expand(-1, 3, -1, -1))[:, :1] / 50 - 1).to(y)

    def real(self, x: Tensor) -> Tensor:
        """a and b."""
        return rgb_to_lab(_fractions(self.scaling, x))[:, 1:].to(x) / CHROMA

    def image(self, out: Tensor, condition: Tensor) -> Tensor:
        """Its colours at the lightness of the condition, paled until a screen can show them."""
        rgb = to_gamut(torch.cat([50 * (condition + 1), CHROMA * out], 1))
        low, high = self.space.low, self.space.high
        image: Tensor = self.scaling(low + rgb * (high - low))
        return image.to(out)


class Classes(Levels):
    """One plane for each colour of a palette, -1..1: 1 where a pixel has it.

    The generator's output stands for probabilities, and its error is their cross-entropy: colours
    have no order, and between two of them there may lie a third.
    """

    error_name: ClassVar[str] = "cross_entropy"

    @property
    def palette(self) -> Tensor:
        """The colours (k, c), user's units.

        Raises:
            InvalidKind: For images that are no label maps.
        """
        colours, space = self.space.extra.get("palette"), self.space
        if colours is None:
            raise InvalidKind(
                f"{setting('colours', 'classes')} makes label maps, whose colours are known, but"
                f" the data are {space}; read side-by-side images with"
                f" {setting('label', MAPS)}"
            )
        return scaled_palette(named_palette(colours), space.low, space.high)

    def channels(self, inputs: int, outputs: int) -> int:
        """As many as colours."""
        return len(self.palette)

    def real(self, x: Tensor) -> Tensor:
        """The planes of the nearest colours."""
        palette = self.palette
        number, _ = nearest_colour(self.scaling.inverse(x), palette.to(x.device))
        return planes(number, len(palette), -1.0, 1.0).to(x)

    def made(self, out: Tensor) -> Tensor:
        """Probabilities, in -1..1."""
        return 2 * (SHARPNESS * out).softmax(1) - 1

    def error(self, out: Tensor, real: Tensor) -> Tensor:
        """The cross-entropy of each pixel (n, h, w), nats."""
        return cross_entropy(SHARPNESS * out, real.argmax(1), reduction="none")

    def image(self, out: Tensor, condition: Tensor) -> Tensor:
        """The colour of the most probable class."""
        painted = paint(out.argmax(1), self.palette.to(out.device))
        image: Tensor = self.scaling(painted)
        return image.to(out)


def colour_coordinates(
    colours: Colours, scaling: Scaling, condition_scaling: Scaling | None
) -> Levels:
    """The coordinates of a name.

    Raises:
        InvalidValue: For other names.
    """
    one_of("colours", colours, get_args(Colours))
    assert condition_scaling is not None
    made: dict[Colours, type[Levels]] = {"rgb": Levels, "lab": Lab, "classes": Classes}
    return made[colours](scaling, condition_scaling)


def _fractions(scaling: Scaling, u: Tensor) -> Tensor:
    """Model coordinates as shares of the range of levels."""
    space = scaling.space
    return (scaling.inverse(u) - space.low) / (space.high - space.low)
