"""Reads the pictures of a job that paints one anew."""

from collections.abc import Iterator

from PIL import Image

from workers.runtime.images import decode
from workers.runtime.run import InvalidInput, Run
from workers.style.canvas import resize
from workers.style.colours import match_brightness
from workers.style.painting import Subject
from workers.style.recipe import Plan, fit_style, share_styles
from workers.style.transfer_contract import TransferRequest

Size = tuple[int, int]  # width, height


def read_subject(
    run: Run[TransferRequest], plan: Plan, content: Image.Image, max_pixels: int
) -> Subject:
    """What the job paints; `content` is RGB. No other picture is larger than the plan needs it.

    `max_pixels`: of a file. Raises InvalidInput for a file that is no picture, and a mask without
    anything to paint; Cancelled.
    """
    request = run.request
    size = plan.scales[-1].width, plan.scales[-1].height
    region = _read_mask(run, size, max_pixels)
    styles = tuple(
        limit(style, fit_style(*style.size, max(size), request.style_scale))
        for style in _read_styles(run, max_pixels)
    )
    if request.colours == "content":
        styles = tuple(match_brightness(style, content) for style in styles)
        content = content.convert("L").convert("RGB")
    return Subject(
        content=content,
        styles=styles,
        shares=share_styles(request),
        style_scale=request.style_scale,
        region=region,
        start=request.start,
        seed=request.seed,
    )


def read_picture(
    run: Run[TransferRequest], blob_id: str, field: str, max_pixels: int, paper: str = "white"
) -> Image.Image:
    """RGB. Raises InvalidInput that says in which field of the request it is."""
    try:
        return decode(run.read(blob_id), max_pixels, paper)
    except InvalidInput as error:
        raise InvalidInput(f"{field}: {error}") from error


def limit(image: Image.Image, size: Size) -> Image.Image:
    """At most so large."""
    larger = image.width > size[0] or image.height > size[1]
    return resize(image, size) if larger else image


def _read_styles(run: Run[TransferRequest], max_pixels: int) -> Iterator[Image.Image]:
    for place, blob_id in enumerate(run.request.styles):
        run.raise_if_cancelled()
        yield read_picture(run, blob_id, f"styles.{place}", max_pixels)


def _read_mask(run: Run[TransferRequest], painted: Size, max_pixels: int) -> Image.Image | None:
    """How much is painted, from black or transparent to white; soft if it is."""
    if run.request.mask is None:
        return None
    light = read_picture(run, run.request.mask, "mask", max_pixels, paper="black").convert("L")
    mask = limit(light, painted)
    if not mask.getbbox():
        raise InvalidInput(
            "The mask is black or transparent, or nearly so, all over: nothing would be painted. "
            "Make it light where the picture is to be painted, or leave it out."
        )
    return mask
