"""Jobs that give every pixel a class: of pictures of any kind, alone and together."""

import base64
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.workers.segment.coloured import COLOURS
from tests.workers.segment.desk import PARTS, fill, make_segmenter, paint
from tests.workers.segment.mask_files import save
from workers.runtime.images import decode
from workers.segment.fields import DEFAULT_MODEL
from workers.segment.pixels_contract import PIXELS, PixelsRequest, PixelsResult
from workers.segment.pixels_tasks import pixels


def test_every_pixel_has_the_class_of_its_colour(sqlite_desk, ask):
    result = sqlite_desk.do(pixels, ask(save(paint(PARTS))))
    assert np.array_equal(sqlite_desk.open_mask(result.mask), PARTS)
    assert (result.width, result.height, result.seen) == (64, 64, (64, 64))
    assert result.model == DEFAULT_MODEL
    assert [(area.label, area.class_id, area.pixels, area.share) for area in result.areas] == [
        ("red", 1, 2560, 0.625),
        ("background", 0, 1536, 0.375),
    ]
    assert [area.colour for area in result.areas] == [COLOURS[1], COLOURS[0]]
    assert (result.overlay, result.heat_maps, result.shapes) == (None, None, None)


def test_areas_come_the_largest_first(sqlite_desk, ask):
    mask = np.zeros((64, 128), np.uint8)
    mask[:, 64:] = 1
    mask[:32, :32] = 2
    areas = sqlite_desk.do(pixels, ask(save(paint(mask)))).areas
    assert [area.label for area in areas] == ["red", "background", "blue"]
    assert sum(area.pixels for area in areas) == 64 * 128
    assert sum(area.share for area in areas) == pytest.approx(1)


def test_the_mask_shows_the_colours_of_the_classes(sqlite_desk, ask):
    result = sqlite_desk.do(pixels, ask(save(paint(PARTS))))
    shown = sqlite_desk.open_picture(result.mask).convert("RGB")
    assert (shown.getpixel((0, 0)), shown.getpixel((63, 63))) == (COLOURS[1], COLOURS[0])


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (61, 67), (640, 480), (1, 5000), (3000, 2)])
def test_a_picture_of_any_shape_gets_a_mask_of_its_size(size, sqlite_desk, ask):
    request = ask(fill(2, size), overlay=True, heat_maps=True, shapes="rle")
    result = sqlite_desk.do(pixels, request)
    assert (result.width, result.height) == size
    mask = sqlite_desk.open_mask(result.mask)
    assert mask.shape == size[::-1]
    assert (mask == 2).all()
    assert sqlite_desk.open_picture(result.overlay).size == size
    assert sqlite_desk.open_picture(result.heat_maps[0].picture).size == tuple(
        max(1, round(side * min(1, 1024 / max(size)))) for side in size
    )


def test_a_picture_is_looked_at_smaller_or_larger_if_the_job_says_so(sqlite_desk, ask):
    large = save(paint(PARTS.repeat(4, axis=0).repeat(4, axis=1)))
    for resolution, seen in ((None, (64, 64)), (100, (100, 100)), (256, (256, 256))):
        result = sqlite_desk.do(pixels, ask(large, resolution=resolution))
        assert result.seen == seen
        mask = sqlite_desk.open_mask(result.mask)
        assert mask.shape == (256, 256)
        assert (mask[:, :128] == 1).all()
        assert (mask[:, 192:] == 0).all()


def turn(picture: Image.Image) -> bytes:
    """Stored on its side, with the note that it is."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    file = BytesIO()
    picture.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    return file.getvalue()


def add_alpha(picture: Image.Image) -> bytes:
    picture.putalpha(Image.new("L", picture.size, 255))
    return save(picture)


@pytest.mark.parametrize(
    "write",
    [turn, add_alpha, lambda picture: save(picture.quantize(4)), lambda one: save(one, "WEBP")],
    ids=["turned", "alpha", "palette", "webp"],
)
def test_pictures_of_all_kinds_are_understood(write, sqlite_desk, ask):
    mask = np.zeros((64, 128), np.uint8)
    mask[:, 64:], mask[32:, :64] = 1, 2
    result = sqlite_desk.do(pixels, ask(write(paint(mask))))
    found = sqlite_desk.open_mask(result.mask)
    assert found.shape == mask.shape
    assert (found != mask).mean() < 0.1  # at the borders


@pytest.mark.parametrize("mode", ["L", "I;16", "1"])
def test_grey_pictures_are_understood(mode, sqlite_desk, ask):
    grey = Image.new(mode, (70, 50), {"L": 115, "I;16": 115 << 8, "1": 0}[mode])
    name = sqlite_desk.register(make_segmenter("black", "grey", colours=((0, 0, 0), (115,) * 3)))
    result = sqlite_desk.do(pixels, ask(save(grey), model=name))
    assert [(area.label, area.share) for area in result.areas] == [
        ("black" if mode == "1" else "grey", 1.0)
    ]


def test_the_overlay_shows_the_colours_over_the_picture_but_no_background(sqlite_desk, ask):
    palette = ((115, 115, 115), (230, 40, 40))
    name = sqlite_desk.register(make_segmenter("background", "thing", colours=palette))
    half = np.repeat([[0, 1]], 64, axis=0).repeat(32, axis=1)
    picture = Image.fromarray(np.array([(100, 120, 100), (255, 0, 0)], np.uint8)[half])
    request = ask(save(picture), model=name, overlay=True, opacity=1)
    drawn = sqlite_desk.open_picture(sqlite_desk.do(pixels, request).overlay)
    assert (drawn.format, drawn.size) == ("JPEG", (64, 64))
    assert np.allclose(np.asarray(drawn)[32, 8], (100, 120, 100), atol=6)
    assert np.allclose(np.asarray(drawn)[32, 56], (230, 40, 40), atol=6)


def test_heat_maps_tell_how_likely_the_classes_are(sqlite_desk, ask):
    result = sqlite_desk.do(pixels, ask(save(paint(PARTS)), heat_maps=True))
    assert [one.label for one in result.heat_maps] == ["background", "red", "blue"]
    likely = [np.asarray(sqlite_desk.open_picture(one.picture)) for one in result.heat_maps]
    assert {one.shape for one in likely} == {(64, 64)}
    assert np.abs(np.sum(likely, axis=0, dtype=int) - 255).max() <= 2  # each is rounded
    assert likely[1][32, 4] > 240 > 10 > likely[1][32, 60]
    assert likely[0][32, 60] > 240 > 10 > likely[0][32, 4]
    for one, shown in zip(result.heat_maps, likely, strict=True):
        assert one.highest == pytest.approx(shown.max() / 255, abs=0.005)


def test_only_the_classes_asked_for_are_drawn(sqlite_desk, ask):
    request = ask(save(paint(PARTS)), heat_maps=True, shapes="rle", classes=["red", "blue", "red"])
    result = sqlite_desk.do(pixels, request)
    assert [one.class_id for one in result.heat_maps] == [1, 2]
    shapes = json.loads(sqlite_desk.read(result.shapes))
    assert [one["category_id"] for one in shapes["annotations"]] == [1]
    assert {area.label for area in result.areas} == {"red", "background"}


@pytest.mark.parametrize("form", ["polygons", "rle"])
def test_shapes_are_a_coco_json(form, sqlite_desk, ask):
    result = sqlite_desk.do(pixels, ask(save(paint(PARTS)), shapes=form))
    shapes = json.loads(sqlite_desk.read(result.shapes))
    areas = {one["category_id"]: one["area"] for one in shapes["annotations"]}
    assert areas == {0: 1536, 1: 2560}


def test_an_unknown_class_is_answered_with_close_ones(sqlite_desk, ask):
    code, why = sqlite_desk.refuse(pixels, ask(fill(0), classes=["bleu"]))
    assert (code, "blue" in why, "red" in why) == ("invalid_input", True, False)


def test_too_many_heat_maps_are_refused_until_some_are_named(sqlite_desk, ask):
    names = [f"class {number}" for number in range(65)]
    colours = [(number, 2 * number, 255 - number) for number in range(65)]
    model = sqlite_desk.register(make_segmenter(*names, colours=colours))
    code, why = sqlite_desk.refuse(pixels, ask(fill(0), model=model, heat_maps=True))
    assert (code, "`classes`" in why) == ("too_large", True)
    request = ask(fill(0), model=model, heat_maps=True, classes=names[3:5])
    assert [one.class_id for one in sqlite_desk.do(pixels, request).heat_maps] == [3, 4]


def test_a_picture_over_the_pixel_limit_is_refused(sqlite_desk, ask):
    limits = sqlite_desk.worker.settings.model_copy(update={"max_pixels": 1000})
    sqlite_desk.worker.settings = limits
    code, why = sqlite_desk.refuse(pixels, ask(fill(1)))
    assert (code, "1000" in why) == ("invalid_input", True)


def test_a_file_that_is_gone_is_refused(sqlite_desk):
    request = PixelsRequest(picture="blob_00000000000000000000000000")
    assert sqlite_desk.refuse(pixels, request)[0] == "invalid_input"


def test_people_are_told_from_the_background(sqlite_desk, ask, weights):
    portrait = (weights / "obama.jpg").read_bytes()
    result = sqlite_desk.do(pixels, ask(portrait, model="selfie"))
    assert result.seen == (256, 256)
    mask, size = sqlite_desk.open_mask(result.mask), decode(portrait).size
    assert mask.shape == size[::-1]
    height, width = mask.shape
    assert mask[height // 2, width // 2] == 1
    assert mask[5, 5] == 0
    assert {area.label for area in result.areas} == {"background", "person"}


def test_the_example_is_a_request_the_worker_answers(sqlite_desk, ask):
    request = PixelsRequest.model_validate(PIXELS.example)
    content = base64.b64decode(request.picture.partition(",")[2])
    result = sqlite_desk.do(pixels, ask(content))
    assert (result.width, result.height) == (1, 1)
    assert PixelsResult.model_validate_json(result.model_dump_json()) == result
