"""Reads the pictures of a job that paints one anew."""

from PIL import Image

from workers.runtime.images import decode
from workers.runtime.run import InvalidInput, Run
from workers.style.canvas import shrink
from workers.style.colours import match_brightness
from workers.style.painting import Subject
from workers.style.recipe import Plan, fit_style, share_styles
from workers.style.transfer_contract import TransferRequest

Size = tuple[int, int]  # width, height


def read_subject(run: Run[TransferRequest], plan: Plan, content: Image.Image) -> Subject:
    """What the job paints; `content` is RGB. No other picture is larger than the plan needs it.

    Raises InvalidInput for a file that is no picture, and a mask without anything to paint;
    Cancelled.
    """
    request = run.request
    size = plan.scales[-1].width, plan.scales[-1].height
    region = _read_mask(run, size)
    styles = tuple(_read_style(run, place, one, size) for place, one in enumerate(request.styles))
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


def read_picture(run: Run[TransferRequest], blob_id: str, field: str) -> Image.Image:
    """RGB. Raises InvalidInput that says in which field of the request it is."""
    try:
        return decode(run.read(blob_id))
    except InvalidInput as error:
        raise InvalidInput(f"{field}: {error}") from error


def limit(image: Image.Image, size: Size) -> Image.Image:
    """At most so large."""
    larger = image.width > size[0] or image.height > size[1]
    return shrink(image, size) if larger else image


def _read_style(run: Run[TransferRequest], place: int, blob_id: str, painted: Size) -> Image.Image:
    run.raise_if_cancelled()
    style = read_picture(run, blob_id, f"styles.{place}")
    return limit(style, fit_style(*style.size, max(painted), run.request.style_scale))


def _read_mask(run: Run[TransferRequest], painted: Size) -> Image.Image | None:
    """How much is painted, from black to white; soft if it is."""
    if run.request.mask is None:
        return None
    mask = limit(read_picture(run, run.request.mask, "mask").convert("L"), painted)
    if not mask.getbbox():
        raise InvalidInput(
            "The mask is black, or nearly so, all over: nothing would be painted. Make it light "
            "where the picture is to be painted, or leave it out."
        )
    return mask
