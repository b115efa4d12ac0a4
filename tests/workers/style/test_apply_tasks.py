"""Jobs that paint in one pass: of pictures of any kind, alone and together."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.style.desk import Desk, draw_scene, save
from tests.workers.style.painters import make_painter, make_plain, register
from workers.runtime import memory
from workers.runtime.images import decode
from workers.runtime.run import Cancelled
from workers.style import apply_memory, served
from workers.style.apply_tasks import apply
from workers.style.fields import DEFAULT_MODEL
from workers.style.pictures import encode_painting, to_image, to_tensor
from workers.style.served import Served
from workers.style.training_contract import ApplyRequest

ORANGE, BLUE = (1.0, 0.5, 0.0), (0.0, 0.0, 1.0)


def ask(desk: Desk, image: Image.Image, **fields: object) -> ApplyRequest:
    return ApplyRequest.model_validate({"picture": desk.add_picture(image), **fields})


def show(desk: Desk, blob_id: str) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(desk.open_picture(blob_id))


def test_a_picture_is_painted_by_the_network_in_one_pass(desk: Desk):
    painter = make_painter(seed=1)
    name = register(desk, painter)
    scene = draw_scene(90, 61)
    result = desk.do(apply, ask(desk, scene, model="mine"))
    assert (result.model, result.width, result.height) == (name, 90, 61)
    shown = desk.open_picture(result.picture)
    assert (shown.format, shown.size) == ("JPEG", (90, 61))
    with torch.inference_mode():
        wanted = to_image(painter.network(to_tensor(scene)))
    written = np.asarray(decode(encode_painting(wanted)), np.float32)
    assert np.abs(np.asarray(shown) - written).mean() < 0.1  # a rounding here and there
    assert desk.progress == [0.0]


def test_the_one_that_comes_with_atelier_paints_if_none_is_named(sqlite_desk: Desk):
    assert sqlite_desk.do(apply, ask(sqlite_desk, draw_scene())).model == DEFAULT_MODEL


def test_strength_is_the_share_of_the_painting(sqlite_desk: Desk):
    register(sqlite_desk, make_plain(*ORANGE))
    grey = Image.new("RGB", (40, 40), (100, 100, 100))
    for strength, wanted in ((0, (100, 100, 100)), (0.5, (178, 114, 50)), (1, (255, 128, 0))):
        request = ask(sqlite_desk, grey, model="mine", strength=strength)
        shown = show(sqlite_desk, sqlite_desk.do(apply, request).picture)
        assert np.allclose(shown.mean(axis=(0, 1)), wanted, atol=2)


def test_the_colours_of_the_picture_can_stay(sqlite_desk: Desk):
    register(sqlite_desk, make_plain(0.5, 0.5, 0.5))
    red = Image.new("RGB", (40, 40), (200, 40, 40))
    request = ask(sqlite_desk, red, model="mine", colours="content")
    shown = show(sqlite_desk, sqlite_desk.do(apply, request).picture).mean(axis=(0, 1))
    assert shown @ (0.299, 0.587, 0.114) == pytest.approx(127.5, abs=3)  # the painting's brightness
    assert shown[0] - shown[1] > 100
    assert shown[1] == pytest.approx(shown[2], abs=3)


@pytest.mark.parametrize(
    ("own", "size", "wanted"),
    [
        ((60, 40), None, (60, 40)),
        ((1500, 1000), None, (1024, 683)),
        ((60, 40), 120, (120, 80)),
        ((60, 40), 33, (33, 22)),
        ((1, 1), None, (1, 1)),
        ((1, 1), 64, (64, 64)),
        ((2000, 3), None, (1024, 2)),
        ((3, 300), 40, (1, 40)),
    ],
)
def test_the_result_has_the_shape_of_the_picture(own, size, wanted, sqlite_desk: Desk):
    result = sqlite_desk.do(apply, ask(sqlite_desk, Image.new("RGB", own, "teal"), size=size))
    assert (result.width, result.height) == wanted
    assert sqlite_desk.open_picture(result.picture).size == wanted


def turn(image: Image.Image) -> bytes:
    """Stored on its side, with the note that it is."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    file = BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    "write",
    [
        turn,
        lambda image: save(image.convert("RGBA")),
        lambda image: save(image.convert("L")),
        lambda image: save(image.quantize(4)),
        lambda image: save(image, "WEBP"),
        lambda image: save(image, "JPEG"),
    ],
    ids=["turned", "alpha", "grey", "palette", "webp", "jpeg"],
)
def test_pictures_of_all_kinds_are_painted(write, sqlite_desk: Desk):
    request = ApplyRequest(picture=sqlite_desk.add(write(draw_scene(64, 48))))
    result = sqlite_desk.do(apply, request)
    assert (result.width, result.height) == (64, 48)


def test_what_cannot_be_painted_is_refused_and_costs_the_others_nothing(sqlite_desk: Desk):
    good = ask(sqlite_desk, draw_scene())
    damaged = ApplyRequest(picture=sqlite_desk.add(save(draw_scene())[:200]))
    text = ApplyRequest(picture=sqlite_desk.add(b"no picture"))
    huge = ask(sqlite_desk, Image.new("L", (8000, 5001)))
    unknown = ask(sqlite_desk, draw_scene(), model="nobody@3")
    gone = ApplyRequest(picture="0" * 64)
    first, *refusals, last = sqlite_desk.do_all(
        apply, good, damaged, text, huge, unknown, gone, good
    )
    assert show(sqlite_desk, first.picture).tobytes() == show(sqlite_desk, last.picture).tobytes()
    assert [refusal.code for refusal in refusals] == [
        *("invalid_input",) * 3, "unknown_model", "invalid_input",
    ]  # fmt: skip
    assert "40008000 pixels" in str(refusals[2])


def test_a_picture_as_large_as_can_be_is_painted_small(sqlite_desk: Desk):
    result = sqlite_desk.do(apply, ask(sqlite_desk, Image.new("L", (8000, 5000)), size=64))
    assert (result.width, result.height) == (64, 40)


def test_a_network_of_another_tenant_is_unknown(desk: Desk):
    name = register(desk, make_painter())
    desk.do(apply, ask(desk, draw_scene(), model=name))  # so it is in memory
    other = Desk(desk.worker)
    assert other.refuse(apply, ask(other, draw_scene(), model=name))[0] == "unknown_model"


def test_a_damaged_installation_says_so(sqlite_desk: Desk, tmp_path, monkeypatch):
    monkeypatch.setattr(served, "FOLDER", tmp_path)
    told = "stained-glass cannot be loaded, for its file {}. Install Atelier again."
    asked = ask(sqlite_desk, draw_scene())
    assert sqlite_desk.refuse(apply, asked) == ("missing_weights", told.format("is not there"))
    (tmp_path / "stained-glass.safetensors").write_bytes(b"{}" * 100)
    assert sqlite_desk.refuse(apply, asked) == ("missing_weights", told.format("cannot be read"))


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures the networks paint, pass by pass."""
    passes, paint = [], Served.paint

    def count(one: Served, pixels: torch.Tensor) -> torch.Tensor:
        passes.append(len(pixels))
        return paint(one, pixels)

    monkeypatch.setattr(Served, "paint", count)
    return passes


def test_pictures_of_one_size_and_network_share_a_pass(sqlite_desk: Desk, monkeypatch):
    passes, other = count_passes(monkeypatch), Desk(sqlite_desk.worker)
    theirs = other.make(ask(other, draw_scene(48, 64)))
    own = register(sqlite_desk, make_plain(*BLUE))
    scenes = [draw_scene(48, 64), draw_scene(48, 64), draw_scene(64, 48), draw_scene(96, 128)]
    fields = [{}, {"model": own}, {}, {"size": 64}]
    runs = [
        sqlite_desk.make(ask(sqlite_desk, scene, **field))
        for scene, field in zip(scenes, fields, strict=True)
    ]
    answers = apply(sqlite_desk.worker, [theirs, *runs])
    assert sorted(passes) == [1, 1, 3]  # theirs, the first and the last of these
    assert [answer.model for answer in answers] == [
        DEFAULT_MODEL, DEFAULT_MODEL, own, DEFAULT_MODEL, DEFAULT_MODEL,
    ]  # fmt: skip
    assert other.read(answers[0].picture) == sqlite_desk.read(answers[1].picture)
    assert show(sqlite_desk, answers[2].picture)[..., 2].mean() > 250


def test_pictures_together_are_painted_as_if_alone(sqlite_desk: Desk):
    scenes = [draw_scene(50, 40), draw_scene(50, 40).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    requests = [ask(sqlite_desk, scene) for scene in scenes]
    for together, request in zip(sqlite_desk.do_all(apply, *requests), requests, strict=True):
        alone = show(sqlite_desk, sqlite_desk.do(apply, request).picture)
        assert np.abs(show(sqlite_desk, together.picture).astype(int) - alone).max() <= 2


def test_no_more_pictures_share_a_pass_than_memory_is_meant_to_hold(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(apply_memory, "MOST_TOGETHER", 2 * 64 * 48)
    passes, request = count_passes(monkeypatch), ask(sqlite_desk, draw_scene(64, 48))
    assert len(sqlite_desk.do_all(apply, *[request] * 5)) == 5
    assert passes == [2, 2, 1]


def test_what_this_machine_cannot_paint_is_refused_before_it_is_begun(
    sqlite_desk: Desk, monkeypatch
):
    monkeypatch.setattr(memory, "find_memory", lambda: 2**20)
    code, why = sqlite_desk.refuse(apply, ask(sqlite_desk, draw_scene(), size=2048))
    assert (code, "choose a smaller `size`" in why) == ("too_large", True)
    assert sqlite_desk.steps == []
    sqlite_desk.do(apply, ask(sqlite_desk, draw_scene()))


def test_a_job_that_was_cancelled_is_not_painted(sqlite_desk: Desk, monkeypatch):
    passes = count_passes(monkeypatch)
    sqlite_desk.stops = lambda: True
    with pytest.raises(Cancelled):
        sqlite_desk.do(apply, ask(sqlite_desk, draw_scene()))
    assert passes == []
