"""Jobs of paintings that cannot be, and what they are told."""

import pytest
from PIL import Image

from tests.workers.style.desk import Desk, draw_scene, save
from workers.style.transfer_tasks import transfer

BLACK = save(Image.new("RGB", (64, 48)))
CLEAR = save(Image.new("RGBA", (64, 48), (255, 255, 255, 0)))
DAMAGED = save(draw_scene())[:200]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"style_layers": ["conv5_4"]}, "vgg16 has no layer 'conv5_4'. It has conv1_1"),
        ({"style_weights": [1, 2]}, "1 styles need as many style_weights"),
        ({"style_weights": [0]}, "must be more than 0"),
        (
            {"content_weight": 0, "style_weight": 0, "tv_weight": 0},
            "All weights are 0",
        ),
        ({"strength": 0, "content_weight": 0, "tv_weight": 0}, "All weights are 0"),
    ],
    ids=["layer", "weights", "zero", "all", "strength"],
)
def test_what_does_not_fit_is_told(sqlite_desk: Desk, fields, text):
    code, told = sqlite_desk.refuse(transfer, sqlite_desk.ask(**fields))
    assert code == "invalid_input"
    assert text in told


@pytest.mark.parametrize("name", ["content", "styles", "mask"])
@pytest.mark.parametrize(
    ("file", "text"),
    [(b"no picture", "not a JPEG, PNG or WEBP"), (DAMAGED, "damaged or incomplete")],
    ids=["none", "damaged"],
)
def test_a_file_that_is_no_picture_is_refused(sqlite_desk: Desk, name, file, text):
    blob = sqlite_desk.add(file)
    good = sqlite_desk.add_picture(draw_scene())
    fields = {name: [good, blob] if name == "styles" else blob}
    code, told = sqlite_desk.refuse(transfer, sqlite_desk.ask(**fields))
    assert code == "invalid_input"
    assert told.startswith("styles.1: " if name == "styles" else f"{name}: ")
    assert text in told


def test_a_file_that_is_gone_is_refused(sqlite_desk: Desk):
    code, told = sqlite_desk.refuse(transfer, sqlite_desk.ask(content="0" * 64))
    assert (code, "is gone" in told) == ("invalid_input", True)


@pytest.mark.parametrize("name", ["content", "styles", "mask"])
def test_a_picture_over_the_pixel_limit_is_refused(sqlite_desk: Desk, name):
    limits = sqlite_desk.worker.settings.model_copy(update={"max_pixels": 64 * 64})
    sqlite_desk.worker.settings = limits
    large = sqlite_desk.add_picture(draw_scene(65, 64))
    fields = {name: [large] if name == "styles" else large}
    code, told = sqlite_desk.refuse(transfer, sqlite_desk.ask(**fields))
    assert (code, "more than 4096" in told) == ("invalid_input", True)


def make_dot(side: int) -> bytes:
    """A mask of 2000 x 1500 pixels with a light square."""
    mask = Image.new("L", (2000, 1500))
    mask.paste(255, (700, 700, 700 + side, 700 + side))
    return save(mask)


@pytest.mark.parametrize("mask", [BLACK, CLEAR, make_dot(1)], ids=["black", "clear", "dot"])
def test_a_mask_with_nothing_to_paint_is_refused(sqlite_desk: Desk, mask):
    code, told = sqlite_desk.refuse(transfer, sqlite_desk.ask(mask=sqlite_desk.add(mask)))
    assert code == "invalid_input"
    assert "Make it light" in told


def test_what_is_light_in_a_mask_may_be_less_than_a_pixel(sqlite_desk: Desk):
    """Of the result's, which stand for squares of 31; and half as many when it is begun."""
    asked = sqlite_desk.ask(mask=sqlite_desk.add(make_dot(8)))
    result = sqlite_desk.do(transfer, asked)
    assert result.finished


def test_vgg19_must_be_pulled_first(sqlite_desk: Desk):
    code, told = sqlite_desk.refuse(transfer, sqlite_desk.ask(network="vgg19"))
    assert code == "missing_weights"
    assert "atelier weights pull vgg19.pth" in told
