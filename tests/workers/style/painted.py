"""Makes small paintings for tests, and paints them."""

from typing import Any

from PIL import Image

from tests.workers.style.desk import draw_scene, draw_stripes
from workers.style.features import Features
from workers.style.painting import Painting, Subject, paint
from workers.style.recipe import make_plan
from workers.style.stops import ignore
from workers.style.transfer_contract import TransferRequest


def ask(**options: Any) -> TransferRequest:
    """For one style, if nothing else is said."""
    return TransferRequest(**{"content": "c", "styles": ["s"], **options})


def make_painting(
    content: Image.Image | None = None,
    styles: tuple[Image.Image, ...] | None = None,
    region: Image.Image | None = None,
    **options: Any,
) -> Painting:
    """Of a scene in stripes; `options` are fields of the request."""
    content, styles = content or draw_scene(), styles or (draw_stripes(),)
    request = ask(**options)
    shares = (1 / len(styles),) * len(styles)
    subject = Subject(
        content,
        styles,
        shares,
        style_scale=request.style_scale,
        region=region,
        start=request.start,
        seed=request.seed,
    )
    return Painting(subject, make_plan(request, *content.size), "float32")


def finish(painting: Painting, features: Features) -> Painting:
    while not painting.is_over():
        paint([painting], features, ignore)
    return painting


def draw_half_mask(width: int = 64, height: int = 48) -> Image.Image:
    """The left is painted, the right stays; between them it is soft."""
    return (
        Image.linear_gradient("L")
        .rotate(90)
        .resize((width, height))
        .point(lambda level: min(255, max(0, 4 * (160 - level))))
    )
