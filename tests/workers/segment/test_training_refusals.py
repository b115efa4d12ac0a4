"""What jobs of training are told that cannot succeed."""

from io import BytesIO

import pytest
from PIL import Image

from tests.workers.file_sets import Contents, make_zip
from tests.workers.segment.desk import Desk
from tests.workers.segment.mask_files import FOLDERS, LISTS, make_mask, make_picture
from tests.workers.segment.tiny_trainings import TINY, ask, make_files
from workers.runtime import memory
from workers.runtime.run import InvalidInput
from workers.runtime.trained import UnknownModel
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.training_contract import TrainRequest
from workers.segment.training_tasks import check_found, train

RECTANGLES = make_files(8)
# the decay of a step makes the weights nine times as large
DIVERGING = {
    "optimiser": "sgd",
    "learning_rate": 10,
    "weight_decay": 1,
    "batch_size": 1,
    "epochs": 20,
}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"learning_rate": 1e-9, "epochs": 1}, "It found no class"),
        (DIVERGING, "Lower `learning_rate`"),
    ],
    ids=["useless", "diverged"],
)
def test_what_learned_nothing_is_not_kept(sqlite_desk: Desk, values, text):
    files = RECTANGLES if "optimiser" in values else make_unseen()
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, files, **values))
    assert (code, text in why, "othing was kept" in why) == ("invalid_input", True, True), why
    assert sqlite_desk.list_checkpoints() == []
    with pytest.raises(UnknownModel):
        sqlite_desk.worker.models.check(sqlite_desk.tenant, "segmenter")


def test_weights_that_are_no_numbers_are_not_kept():
    network = FCN(FcnConfig(2, "thin", fc6_padding=1))
    check_found(network, {"mean_iou": 0.1})
    network.score.bias.data[0] = float("nan")
    with pytest.raises(InvalidInput, match="no numbers any more, so nothing was kept"):
        check_found(network, {"mean_iou": 0.1})


def make_unseen() -> Contents:
    """What is to be found is a class that nothing learned from shows."""
    files = make_files(4, "train") | make_files(2, "val")
    size = (64, 64)
    files |= {name: make_mask(0, size=size) for name in files if name.startswith("masks/train")}
    return files | {name: make_mask(1, size=size) for name in files if name.startswith("masks/val")}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"fc6_padding": 3}, "The padding of fc6 must be 0, 1 or 100"),
        ({"encoder": "vgg16", "fc6_padding": 1}, "The padding of fc6 must be 0, 3 or 100"),
        ({"encoder": "efficientnet-lite0", "fc6_padding": 100}, "choose another padding of fc6"),
        ({"frozen": 1}, "use 0, or another `encoder`"),
        ({"encoder": "vgg16-slim", "pretrained": False, "frozen": 5}, "`pretrained` true"),
        ({"parts": 5}, "as many as `batch_size`, and cannot be 5 parts: use 4 `parts` at most"),
        (
            {"held_out": 0.75, "batch_size": 64, "parts": 8},
            "A batch has 2 pictures, as many as there are to learn from",
        ),
        ({"height": 32, "width": 32, "parts": 4}, "larger `height`, `width` or `batch_size`"),
        ({"held_out": 0.9, "batch_size": 1, "height": 32, "width": 32}, "or fewer `parts`"),
    ],
    ids=["padding", "vgg16", "original", "thin", "chance", "parts", "few", "cell", "one"],
)
def test_options_that_do_not_fit_together_are_refused(sqlite_desk: Desk, values, text):
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, RECTANGLES, **values))
    assert (code, text in why) == ("invalid_input", True), why
    assert sqlite_desk.list_checkpoints() == []


def test_more_stages_than_there_are_cannot_be_frozen():
    with pytest.raises(ValueError, match="less than or equal to 5"):
        TrainRequest(data="x", frozen=6)


def test_data_of_other_parts_alone_is_refused_as_that(sqlite_desk: Desk):
    files = make_files(2, "val") | make_files(1, "test")
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, files))
    assert (code, "all pictures are in part test or val." in why) == ("invalid_input", True), why


VOID = {"masks/a.png": make_mask(255), "masks/b.png": make_mask(255)}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "There are no masks"),
        ({"images/a.png": make_picture()}, "There are no masks"),
        ({**FOLDERS, **VOID}, "show no class"),
        ({**LISTS, "trainannot/a.png": make_mask(255)}, "no pixel with a class to learn from"),
        ({**LISTS, "valannot/b.png": make_mask(255)}, "part val show no class"),
        ({**FOLDERS, "images/a.png": b"text"}, "images/a.png"),
        ({**FOLDERS, "masks/a.png": make_mask(0, size=(9, 9))}, "masks/a.png has 9 x 9 pixels"),
        ({**LISTS, "trainannot/a.png": make_mask(40)}, "trainannot/a.png"),
        ({**FOLDERS, "images/a.png": make_picture(1)[:-40]}, "images/a.png"),
        ({**FOLDERS, "classes.json": "{"}, "classes.json is not JSON"),
        ({**FOLDERS, "classes.json": '{"classes": ["a", "b", "c\\nd"]}'}, "cannot be shown"),
        ({"../a.xml": "x"}, "leaves the zip"),
    ],
    ids=[
        "empty",
        "bare",
        "void",
        "void-train",
        "void-val",
        "text",
        "size",
        "index",
        "cut-off",
        "json",
        "name",
        "path",
    ],
)
def test_data_that_cannot_be_used_is_refused_and_leaves_no_checkpoint(sqlite_desk, files, text):
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, files))
    assert (code, text in why) == ("invalid_input", True), why
    assert sqlite_desk.list_checkpoints() == []


def test_what_is_no_zip_is_refused(sqlite_desk: Desk):
    whole = make_zip(RECTANGLES).getvalue()
    for content in (b"text", whole[:-30], b"PK\3\4" + b"0" * 99):
        request = TrainRequest.model_validate({**TINY, "data": sqlite_desk.add(content)})
        code, why = sqlite_desk.refuse(train, request)
        assert (code, "zip cannot be read" in why) == ("invalid_input", True), why


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(sqlite_desk: Desk):
    file = BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    files = {**FOLDERS, "images/a.png": file.getvalue()}
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, files))
    assert (code, "more than 40000000" in why) == ("invalid_input", True), why


def test_what_does_not_fit_into_memory_is_refused_at_once(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 4 * 2**30)
    for values in (
        {"height": 2048, "width": 2048},
        {"encoder": "vgg16", "pretrained": False},
    ):
        code, why = sqlite_desk.refuse(train, ask(sqlite_desk, RECTANGLES, **values))
        assert (code, "GB of memory" in why) == ("too_large", True), why
    assert sqlite_desk.list_checkpoints() == []


def test_weights_that_were_not_fetched_are_asked_for(sqlite_desk: Desk, tmp_path):
    elsewhere = sqlite_desk.worker.settings.model_copy(update={"weights_dir": tmp_path / "none"})
    sqlite_desk.worker.settings = elsewhere
    for encoder in ("efficientnet-lite0", "vgg16-slim"):
        request = ask(sqlite_desk, RECTANGLES, encoder=encoder)
        code, why = sqlite_desk.refuse(train, request)
        assert (code, "atelier weights pull" in why) == ("missing_weights", True), why
        assert "`pretrained` false" in why
