"""Jobs that paint a picture anew."""

from typing import get_args

import numpy as np
import pytest
from PIL import Image

from tests.workers.style.desk import Desk, draw_noise, draw_scene, draw_stripes, save
from workers.runtime import reporting
from workers.style import colours, painting_job
from workers.style.pictures import encode_painting
from workers.style.recipe import make_plan
from workers.style.transfer_contract import Preset, TransferResult
from workers.style.transfer_tasks import transfer


def read(desk: Desk, result: TransferResult) -> np.ndarray:
    """The pixels (H, W, 3) of the painting."""
    return np.asarray(desk.open_picture(result.picture).convert("RGB"), int)


def test_a_picture_is_painted_and_its_losses_fall(desk: Desk):
    result: TransferResult = desk.do(transfer, desk.ask())
    assert (result.width, result.height, result.steps, result.finished) == (64, 48, 6, True)
    painting = desk.open_picture(result.picture)
    assert (painting.format, painting.size) == ("JPEG", (64, 48))
    assert np.abs(read(desk, result) - np.asarray(draw_scene(), int)).mean() > 2
    for losses in (result.start, result.losses):
        assert losses.total == pytest.approx(losses.content + losses.style + losses.tv)
    assert result.losses.total < result.start.total
    curve = desk.open_picture(result.curve)
    assert (curve.format, curve.size) == ("PNG", (880, 550))
    assert desk.list_checkpoints() == []


def test_the_losses_are_those_of_the_picture_that_is_told(sqlite_desk: Desk):
    """With no step worth its name, they are those before it; a content is no way from itself."""
    asked = sqlite_desk.ask(steps=1, learning_rate=1e-9, format="png")
    result = sqlite_desk.do(transfer, asked)
    assert result.losses.content == pytest.approx(0, abs=1e-6)
    assert result.losses.style == pytest.approx(result.start.style, rel=1e-3)
    assert np.abs(read(sqlite_desk, result) - np.asarray(draw_scene(), int)).max() <= 1


@pytest.mark.parametrize("preset", get_args(Preset))
def test_the_recipe_is_all_that_it_was_painted_by(sqlite_desk: Desk, preset):
    asked = sqlite_desk.ask(preset=preset, steps=2, strength=3.0, tv_weight=0.25)
    recipe = sqlite_desk.do(transfer, asked).recipe
    assert recipe == make_plan(asked, 64, 48).describe("float32")
    assert (recipe.tv_weight, sum(scale.steps for scale in recipe.scales)) == (0.25, 2)


def test_what_is_asked_for_replaces_what_the_preset_says(sqlite_desk: Desk):
    asked = sqlite_desk.ask(
        size=48,
        steps=3,
        scales=1,
        style_layers=["conv2_1", "relu2_2"],
        content_layers=["pool2"],
        style_weight=2,
        strength=0.5,
        pooling="average",
        cost="d2l",
        optimiser="lbfgs",
        learning_rate=0.5,
        precision="float32",
    )
    result = sqlite_desk.do(transfer, asked)
    assert result.recipe.model_dump() | {"content_weight": 1, "tv_weight": 1} == {
        "content_layers": ["pool2"],
        "style_layers": ["conv2_1", "relu2_2"],
        "content_weight": 1,
        "style_weight": 1,
        "tv_weight": 1,
        "cost": "d2l",
        "network": "vgg16",
        "pooling": "average",
        "optimiser": "lbfgs",
        "learning_rate": 0.5,
        "precision": "float32",
        "scales": [{"width": 48, "height": 36, "steps": 3}],
    }


def test_followers_hear_of_every_step_and_see_the_first_at_once(sqlite_desk: Desk):
    sqlite_desk.do(transfer, sqlite_desk.ask())
    told = [event["step"] for event in sqlite_desk.steps]
    assert [step.split(":")[0] for step in told] == [f"step {n} of 6" for n in range(1, 7)]
    assert all(", style " in step and ", tv 0.0" in step for step in told)
    work = np.cumsum([1, 1, 1, 1, 4, 4])  # twice the side is four times the work
    assert sqlite_desk.progress == pytest.approx(work / 12, abs=1e-3)
    assert [event["preview"] is not None for event in sqlite_desk.steps] == [True, *[False] * 5]
    preview = sqlite_desk.open_picture(sqlite_desk.previews[0])
    assert (preview.format, preview.size) == ("JPEG", (32, 24))


@pytest.mark.parametrize(
    ("every", "shown"), [(1, [1, 2, 3, 4, 5, 6]), (2, [1, 2, 4, 6]), (4, [1, 4]), (9, [1])]
)
def test_previews_come_at_the_steps_asked_for(sqlite_desk: Desk, every, shown):
    sqlite_desk.do(transfer, sqlite_desk.ask(preview_every=every))
    events = enumerate(sqlite_desk.steps, start=1)
    assert [step for step, event in events if event["preview"]] == shown
    sizes = [sqlite_desk.open_picture(one).width for one in sqlite_desk.previews]
    # after the last step at 32 pixels the painting is at the next size
    assert sizes == [32 if step < 4 else 64 for step in shown]


def test_of_more_previews_than_are_kept_only_some_come(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(painting_job, "PREVIEWS", 4)
    sqlite_desk.do(transfer, sqlite_desk.ask(steps=9, preview_every=1))
    events = enumerate(sqlite_desk.steps, start=1)
    assert [step for step, event in events if event["preview"]] == [1, 3, 6, 9]


def test_previews_come_some_seconds_apart_if_nothing_is_asked(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(reporting, "PREVIEW_EVERY", 0.0)
    monkeypatch.setattr(reporting, "DRAWING", 0)
    monkeypatch.setattr(reporting, "SHARE", 0.0)
    sqlite_desk.do(transfer, sqlite_desk.ask())
    assert len(sqlite_desk.previews) == 6


def test_a_png_keeps_every_pixel_while_previews_are_jpegs(sqlite_desk: Desk):
    asked = sqlite_desk.ask(format="png", preview_every=1)
    result = sqlite_desk.do(transfer, asked)
    painting = sqlite_desk.open_picture(result.picture)
    assert painting.format == "PNG"
    assert sqlite_desk.read(sqlite_desk.previews[-1]) == encode_painting(painting)


def test_the_colours_of_the_content_can_stay(sqlite_desk: Desk):
    """All that is left of the style is in the brightness; of all colours it has none."""
    asked = sqlite_desk.ask(colours="content", format="png", preview_every=1)
    result = sqlite_desk.do(transfer, asked)
    content, painted = (np.asarray(draw_scene(), float), read(sqlite_desk, result))
    room = (painted.min(axis=2) > 0) & (painted.max(axis=2) < 255)  # no colour had to fade
    assert room.mean() > 0.9
    chroma = [one - (one @ colours.WEIGHTS)[..., None] for one in (content, painted)]
    assert np.abs(chroma[0] - chroma[1])[room].mean() < 1.5
    assert np.abs((painted - content) @ colours.WEIGHTS).mean() > 2
    first = np.asarray(sqlite_desk.open_picture(sqlite_desk.previews[0]), int)
    assert first[3:9, 5:12, 0].mean() > first[3:9, 5:12, 2].mean() + 60  # the disc is red


@pytest.mark.parametrize("size", [(64, 48), (16, 12), (640, 480)], ids=str)
@pytest.mark.parametrize("dark", ["black", (255, 255, 255, 0)], ids=["black", "clear"])
def test_outside_a_mask_the_picture_stays(sqlite_desk: Desk, size, dark):
    mask = Image.new("RGBA", size, dark)
    mask.paste((255, 255, 255), (0, 0, size[0] // 2, size[1]))
    asked = sqlite_desk.ask(mask=sqlite_desk.add_picture(mask), format="png")
    painted = read(sqlite_desk, sqlite_desk.do(transfer, asked))
    change = np.abs(painted - np.asarray(draw_scene(), int)).max(axis=2)
    assert change[:, 36:].max() <= 1
    assert change[:, :28].mean() > 3


@pytest.mark.parametrize(
    "content",
    [
        draw_scene().convert("L"),
        Image.fromarray(np.asarray(draw_scene().convert("L")).astype(np.uint16) * 257),
        draw_scene().convert("P"),
        draw_scene().convert("RGBA"),
    ],
    ids=["grey", "grey-16", "palette", "alpha"],
)
def test_any_picture_can_be_painted_and_be_a_style(sqlite_desk: Desk, content):
    blob = sqlite_desk.add_picture(content)
    for asked in (sqlite_desk.ask(content=blob), sqlite_desk.ask(styles=[blob])):
        result = sqlite_desk.do(transfer, asked)
        assert (result.width, result.height, result.finished) == (64, 48, True)


def test_what_is_transparent_is_painted_as_white(sqlite_desk: Desk):
    clear = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    asked = sqlite_desk.ask(content=sqlite_desk.add_picture(clear), steps=1, learning_rate=1e-9)
    assert read(sqlite_desk, sqlite_desk.do(transfer, asked)).min() > 250


def test_a_picture_is_painted_as_it_is_held(sqlite_desk: Desk):
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    asked = sqlite_desk.ask(content=sqlite_desk.add(save(draw_scene(), "JPEG", exif=turned)))
    result = sqlite_desk.do(transfer, asked)
    assert (result.width, result.height) == (48, 64)
    upright = np.asarray(draw_scene().transpose(Image.Transpose.ROTATE_270), int)
    assert np.abs(read(sqlite_desk, result) - upright).mean() < 60


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        ((1, 1), None, (1, 1)),
        ((1, 1), 32, (32, 32)),
        ((1, 400), 64, (1, 64)),
        ((8000, 5000), 40, (40, 25)),
    ],
    ids=str,
)
def test_the_least_and_the_largest_pictures_are_painted(sqlite_desk: Desk, size, asked, expected):
    content = sqlite_desk.add_picture(Image.new("RGB", size, (90, 120, 200)))
    styles = [content, sqlite_desk.add_picture(draw_noise(1, 1))]
    fields = {"content": content, "styles": styles, "steps": 2}
    result = sqlite_desk.do(transfer, sqlite_desk.ask(**fields, size=asked))
    assert (result.width, result.height) == expected
    assert read(sqlite_desk, result).shape == (*reversed(expected), 3)


def test_several_styles_are_mixed_by_their_weights(sqlite_desk: Desk):
    styles = [sqlite_desk.add_picture(one) for one in (draw_stripes(), draw_noise())]
    mixed = [
        sqlite_desk.do(transfer, sqlite_desk.ask(styles=styles, style_weights=weights))
        for weights in ([1, 0], [1, 1], [0, 1])
    ]
    alone = sqlite_desk.do(transfer, sqlite_desk.ask())
    assert mixed[0].picture == alone.picture
    assert len({one.picture for one in mixed}) == 3


def test_marks_of_a_style_are_as_large_as_asked(sqlite_desk: Desk):
    """A style is looked at larger then, which is another style."""
    scales = [sqlite_desk.do(transfer, sqlite_desk.ask(style_scale=s)) for s in (0.5, 1, 2)]
    assert len({one.picture for one in scales}) == 3


def test_noise_depends_on_its_seed_alone(sqlite_desk: Desk):
    seeds = [0, 0, 1]
    made = [sqlite_desk.do(transfer, sqlite_desk.ask(start="noise", seed=s)) for s in seeds]
    assert made[0].picture == made[1].picture != made[2].picture
    assert np.abs(read(sqlite_desk, made[0]) - np.asarray(draw_scene(), int)).mean() > 20
