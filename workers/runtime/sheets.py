"""Puts pictures of a training beside and below each other."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

from workers.runtime.plots import draw_curves

MARGIN = 8  # pixels between the pictures


def arrange(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """One picture of all, in rows; each in the middle of a cell as large as the largest needs."""
    width, height = (max(one.size[side] for one in pictures) + MARGIN for side in (0, 1))
    columns, rows = min(columns, len(pictures)), -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), "white")
    for place, picture in enumerate(pictures):
        left = MARGIN + place % columns * width + (width - MARGIN - picture.width) // 2
        top = MARGIN + place // columns * height + (height - MARGIN - picture.height) // 2
        sheet.paste(picture, (left, top))
    return sheet


def put_beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """In a row, at the top."""
    width, height = sum(one.width for one in pictures), max(one.height for one in pictures)
    sheet = Image.new("RGB", (width, height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    return sheet


def put_below(pictures: Sequence[Image.Image]) -> Image.Image:
    """In a column, in the middle."""
    width, height = max(one.width for one in pictures), sum(one.height for one in pictures)
    sheet = Image.new("RGB", (width, height), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, ((width - picture.width) // 2, top))
        top += picture.height
    return sheet


def plot_history(
    losses: Sequence[float], looks: Sequence[float | None], unit: str, measure: str, short: str
) -> Image.Image:
    """The loss of each epoch and, beside it, the measure wherever somebody looked.

    `unit` of the losses, and the measure's name and its `short` one, stand at the axes.
    """
    epochs = range(1, len(losses) + 1)
    loss = {"learned from": (epochs, losses)}
    charts = [draw_curves(loss, "Loss", "epoch", unit)]
    seen = [(epoch, look) for epoch, look in zip(epochs, looks, strict=True) if look is not None]
    if seen:
        held = {"held out": ([epoch for epoch, _ in seen], [look for _, look in seen])}
        charts.append(draw_curves(held, measure, "epoch", short))
    return put_beside([Image.open(BytesIO(chart)).convert("RGB") for chart in charts])
