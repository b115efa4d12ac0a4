"""The task that gives every pixel of a picture a class."""

from typing import Literal

from pydantic import Field

from shared.contract import GREY_DOT, Message, Picture, Task
from workers.segment.fields import Colour, Labels, Looking, Share


class PixelsRequest(Looking):
    """Give every pixel of a picture a class."""

    picture: Picture
    overlay: bool = Field(False, description="Also draw the classes' colours over the picture.")
    opacity: Share = Field(0.5, description="Of the colours in the overlay.")
    heat_maps: bool = Field(
        False, description="Also draw, for each class, how likely it is everywhere."
    )
    shapes: Literal["polygons", "rle"] | None = Field(
        None,
        description="Also write the regions of the classes as a COCO JSON: as polygons, or as run "
        "lengths, which are exact.",
    )
    classes: Labels | None = Field(
        None, description="Draw heat maps and write shapes of these alone."
    )


class Area(Message):
    """How much of the picture has a class."""

    label: str
    class_id: int = Field(description="Its index in the mask.")
    colour: Colour
    pixels: int
    share: Share = Field(description="Of all pixels.")


class HeatMap(Message):
    """Where a class is how likely."""

    label: str
    class_id: int
    highest: Share = Field(description="The highest probability anywhere.")
    picture: str = Field(
        description="The blob id of a PNG whose indices are probabilities, from 0 to 255, and "
        "whose palette shows them as colours; at most 1024 pixels on its longer side."
    )


class PixelsResult(Message):
    """What is where in a picture."""

    width: int
    height: int
    model: str = Field(description="The one that looked; of yours, with its version.")
    seen: tuple[int, int] = Field(description="Width and height of what the network looked at.")
    areas: list[Area] = Field(description="Of the classes that are there, the largest first.")
    mask: str = Field(
        description="The blob id of a PNG of the picture's size whose indices are the classes."
    )
    overlay: str | None = Field(None, description="The blob id of a JPEG.")
    heat_maps: list[HeatMap] | None = None
    shapes: str | None = Field(None, description="The blob id of a COCO JSON.")


PIXELS = Task(
    name="segment.pixels",
    request=PixelsRequest,
    result=PixelsResult,
    summary="Give every pixel a class: a mask, areas, heat maps, shapes; of a street, or yours.",
    example={"picture": GREY_DOT, "model": "fcn-8s-camvid", "overlay": False},
    max_batch=8,
    time_limit=1800.0,  # of a whole batch, whose pictures may have 40 megapixels each, all seen
)
TASKS = [PIXELS]
