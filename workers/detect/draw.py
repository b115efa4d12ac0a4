"""Draws boxes and their labels into a copy of a picture."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from workers.detect.objects_contract import Box

Color = tuple[int, int, int]
Place = tuple[float, float, float, float]  # left, top, right, bottom
READABLE = 640  # pixels; a smaller picture is enlarged to make room for the labels
LONGEST = 65_500  # pixels: no JPEG is longer
LARGEST_FONT, WIDEST_LINE = 96, 14  # pixels; both are as in a picture of 4320 pixels at most
GOLDEN = 0.618034  # steps of this on the colour circle stay far apart


def annotate(picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """A copy with the boxes drawn, the best on top.

    Small pictures come back enlarged, and those longer than a JPEG can be shrunk.
    """
    longest = max(picture.size)
    zoom = min(max(1, -(-READABLE // longest)), LONGEST / longest)
    width, height = (max(1, round(size * zoom)) for size in picture.size)
    canvas = picture.resize((width, height))
    draw = ImageDraw.Draw(canvas)
    font = load_font(max(12, min(round(max(canvas.size) / 45), LARGEST_FONT)))
    line = max(2, min(round(max(canvas.size) / 300), WIDEST_LINE))
    labels = place_labels(canvas.size, boxes, font, zoom)
    for box in reversed(boxes):
        corners = [value * zoom for value in box.xyxy]
        draw.rectangle(corners, outline=class_color(box.class_id), width=line)
    for box, place in reversed(list(zip(boxes, labels, strict=True))):
        color = class_color(box.class_id)
        draw.rectangle(place, fill=color)
        ink = "black" if brightness(color) > 140 else "white"
        middle = ((place[0] + place[2]) / 2, (place[1] + place[3]) / 2)
        draw.text(middle, label_of(box), fill=ink, font=font, anchor="mm")
    return canvas


def place_labels(
    size: tuple[int, int], boxes: Sequence[Box], font: ImageFont.FreeTypeFont, zoom: float
) -> list[Place]:
    """Where each label goes: inside the picture and, while there is room, off better labels."""
    places: list[Place] = []
    for box in boxes:
        width = font.getlength(label_of(box)) + font.size * 0.6
        height = font.size * 1.4
        left, top, right, bottom = (value * zoom for value in box.xyxy)
        corners = [(left, top - height), (right - width, top - height), (left, bottom), (left, top)]
        tries = [keep_inside(corner, (width, height), size) for corner in corners]
        free = [place for place in tries if not any(overlap(place, other) for other in places)]
        places.append((free or tries)[0])
    return places


def keep_inside(
    corner: tuple[float, float], extent: tuple[float, float], size: tuple[int, int]
) -> Place:
    x = max(0.0, min(corner[0], size[0] - extent[0]))
    y = max(0.0, min(corner[1], size[1] - extent[1]))
    return (x, y, x + extent[0], y + extent[1])


def overlap(one: Place, other: Place) -> bool:
    beside = one[2] <= other[0] or other[2] <= one[0]
    above = one[3] <= other[1] or other[3] <= one[1]
    return not (beside or above)


def label_of(box: Box) -> str:
    return f"{box.label} {box.score:.0%}"


def class_color(class_id: int) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(class_id * GOLDEN % 1, 0.85, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def brightness(color: Color) -> float:
    """0 to 255, as the eye weighs the colours (ITU-R BT.601)."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


@lru_cache
def load_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels have FreeType
    return font
