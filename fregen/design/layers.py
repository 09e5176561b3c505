"""What a design file may write for a layer: a number of neurons, an image, or a convolution.

An :class:`Image` is the input of a convolutional network, :class:`Convolution` entries follow it, numbers of neurons
come last (docs/method.md, "Topologies")::

    layers = [{ channels = 1, height = 28, width = 28 }, { channels = 32, kernel = 5, pool = 2 }, 64, 10]
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

__all__ = ["KINDS", "Convolution", "Entry", "Image", "Section", "map_shapes", "sizes"]


class Section(BaseModel):
    """A part of a design file: unknown keys are refused, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Image(Section):
    """An input of feature maps, in place of a number of neurons: ``{ channels = 1, height = 28, width = 28 }``."""

    channels: int = Field(ge=1, le=16)
    """Colours."""
    height: int = Field(ge=1, le=256)
    """Pixels."""
    width: int = Field(ge=1, le=256)
    """Pixels."""


class Convolution(Section):
    """A hidden layer of feature maps, in place of a number of neurons: ``{ channels = 32, kernel = 5, pool = 2 }``."""

    channels: int = Field(ge=1, le=1024)
    """Maps."""
    kernel: int = Field(ge=1, le=15)
    """Height and width of the kernel that reads the layer below; it moves by one pixel."""
    padding: int = Field(default=0, ge=0, le=7)
    """Rows and columns of zeros around the maps of the layer below."""
    pool: int = Field(default=1, ge=1, le=8)
    """Height and width of the windows of whose states only the greatest is forwarded; 1: all are."""

    @model_validator(mode="after")
    def _check(self) -> "Convolution":
        if self.padding >= self.kernel:
            raise ValueError(f"padding must be less than the kernel, {self.kernel}, not {self.padding}")
        return self


KINDS: dict[str, Any] = {"size": int, "image": Image, "convolution": Convolution}
"""Kinds of entries, by the names that a validation error gives them."""


def _kind(given: Any) -> str:
    """Name the kind of a layer's entry, so that a wrong one is explained as what it was meant to be."""
    if isinstance(given, Image) or (isinstance(given, dict) and not {"height", "width"}.isdisjoint(given)):
        return "image"
    return "convolution" if isinstance(given, (Convolution, dict)) else "size"


Entry = Annotated[
    Annotated[int, Field(ge=1, le=4096), Tag("size")]
    | Annotated[Image, Tag("image")]
    | Annotated[Convolution, Tag("convolution")],
    Discriminator(_kind),
]


def map_shapes(entries: Sequence[Entry]) -> dict[int, tuple[int, int, int]]:
    """Return channels, height and width of the layers that are feature maps, by index, before they are pooled.

    Raises
    ------
    ValueError
        If images, convolutions and numbers of neurons do not stand in this order, a kernel is larger than what it
        reads, or its windows do not divide the maps.
    """
    kinds = [_kind(entry) for entry in entries]
    count = kinds.count("convolution")
    if kinds[0] == "convolution" or "image" in kinds[1:]:
        raise ValueError("the input alone, the first layer, has height and width; no other has, and it has no kernel")
    if (kinds[0] == "image") != bool(count):
        raise ValueError("an input with height and width needs a layer with a kernel above it, and the reverse")
    if kinds[1 : count + 1] != ["convolution"] * count or kinds[-1] != "size":
        raise ValueError("layers with a kernel lie side by side above the input, numbers of neurons above them")
    found: dict[int, tuple[int, int, int]] = {}
    height = width = 0
    for index, entry in enumerate(entries[: count + 1]):
        if isinstance(entry, Image):
            height, width = entry.height, entry.width
            found[index] = (entry.channels, height, width)
        elif isinstance(entry, Convolution):
            if min(height, width) + 2 * entry.padding < entry.kernel:
                raise ValueError(f"hidden layer {index}: a kernel of {entry.kernel} exceeds {height} x {width} pixels")
            height, width = (side + 2 * entry.padding - entry.kernel + 1 for side in (height, width))
            if height % entry.pool or width % entry.pool:
                raise ValueError(
                    f"hidden layer {index}: windows of {entry.pool} do not divide its {height} x {width} pixels; "
                    "change pool, kernel or padding"
                )
            found[index] = (entry.channels, height, width)
            height, width = height // entry.pool, width // entry.pool
    return found


def sizes(entries: Sequence[Entry]) -> tuple[int, ...]:
    """Return the neurons of every layer; of feature maps before they are pooled."""
    shapes = map_shapes(entries)
    return tuple(entry if isinstance(entry, int) else math.prod(shapes[index]) for index, entry in enumerate(entries))
