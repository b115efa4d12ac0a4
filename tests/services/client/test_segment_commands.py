"""`atelier segment PHOTO...` as people and programs use it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_segment import HEAT, MASK, OVERLAY, SHAPES, FakeSegment
from tests.services.client.photo_folder import read_all

pytestmark = pytest.mark.usefixtures("photo_folder")

EMPTY = "photos/*.nothing"


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


def test_a_row_a_photo_tells_its_classes_the_model_and_what_was_saved(
    run: CliRunner, segment: FakeSegment
) -> None:
    segment.shown[b"a.jpg"] = ["Sky", "Building", "Pole", "Road", "Tree", "Fence", "Car"]
    result = run.invoke(app, ["segment", "photos", "--out", "new/out"])
    assert result.exit_code == 0, result.output
    rows = sorted(line.split("\t") for line in result.stdout.splitlines())
    assert [row[:4] for row in rows] == [
        [
            "photos/a.jpg",
            "Sky 14.3%, Building 14.3%, Pole 14.3%, Road 14.3%, Tree 14.3% and 2 more",
            "fcn-8s-camvid",
            "new/out/a-mask.png, new/out/a-overlay.jpg",
        ],
        [
            "photos/b.png",
            "Sky 50.0%, Road 50.0%",
            "fcn-8s-camvid",
            "new/out/b-mask.png, new/out/b-overlay.jpg",
        ],
    ]
    assert all(row[4].endswith(" s") for row in rows)
    pair = {"mask.png": MASK, "overlay.jpg": OVERLAY}
    assert read_all("new/out") == {
        f"{photo}-{ending}": content for photo in "ab" for ending, content in pair.items()
    }


def test_what_is_left_open_is_asked_as_the_contract_leaves_it_open(
    run: CliRunner, segment: FakeSegment
) -> None:
    assert run.invoke(app, ["segment", "photos/a.jpg"]).exit_code == 0
    (request,) = segment.requests("pixels")
    del request["picture"]
    assert request == {"overlay": True, "heat_maps": False}
    assert read_all("segmented") == {"a-mask.png": MASK, "a-overlay.jpg": OVERLAY}
    assert read_all(".") == {}


def test_every_option_of_the_contract_can_be_chosen(run: CliRunner, segment: FakeSegment) -> None:
    looks = ["--model", "selfie", "--resolution", "256", "--no-overlay", "--opacity", "0.25"]
    more = ["--heat-maps", "--shapes", "rle", "--class", "Road", "--class", "Sky"]
    result = run.invoke(app, ["segment", "pixels", "photos/a.jpg", *looks, *more])
    assert result.exit_code == 0, result.output
    (request,) = segment.requests("pixels")
    del request["picture"]
    assert request == {
        "model": "selfie",
        "resolution": 256,
        "overlay": False,
        "opacity": 0.25,
        "heat_maps": True,
        "shapes": "rle",
        "classes": ["Road", "Sky"],
    }
    assert read_all("segmented") == {
        "a-mask.png": MASK,
        "a-heat-Road.png": HEAT + b"Road",
        "a-heat-Sky.png": HEAT + b"Sky",
        "a-shapes.json": SHAPES,
    }


def test_a_class_may_have_any_name_and_its_file_stays_in_the_folder(
    run: CliRunner, segment: FakeSegment
) -> None:
    names = ["../../etc", "traffic sign", "Traffic/sign", "???", "x" * 100, "été"]
    names += ["b-8", "b", "b!"]  # the last one's number is taken
    segment.shown[b"a.jpg"] = names
    options = ["--heat-maps", "--no-overlay", "--out", "out"]
    result = run.invoke(app, ["segment", "photos/a.jpg", *options])
    assert result.exit_code == 0, result.output
    heats = {
        name: content.removeprefix(HEAT).decode()
        for name, content in read_all("out").items()
        if name != "a-mask.png"
    }
    stems = ["etc", "traffic-sign", "Traffic-sign-2", "-3", "x" * 40, "été"]
    stems += ["b-8", "b", "b-8-8"]
    assert heats == {f"a-heat-{stem}.png": name for stem, name in zip(stems, names, strict=True)}


def test_json_is_one_object_a_photo_with_the_files_saved(
    run: CliRunner, segment: FakeSegment
) -> None:
    Path("photos/b.png").write_bytes(b"broken")
    result = run.invoke(app, ["segment", "photos", "--json", "--out", "out", "--parallel", "1"])
    assert result.exit_code == 1
    good, bad = (json.loads(line) for line in result.stdout.splitlines())
    assert good["saved"] == ["out/a-mask.png", "out/a-overlay.jpg"]
    assert good["result"]["areas"][0]["label"] == "Sky"
    assert (bad["photo"], bad["saved"], bad["result"]) == ("photos/b.png", [], None)
    assert bad["error"] == "invalid_input: The picture is damaged."
    assert len(segment.requests("pixels")) == 2


def test_what_could_not_be_saved_is_not_said_to_be(run: CliRunner, segment: FakeSegment) -> None:
    Path("out").mkdir()
    Path("out/a-mask.png").mkdir()  # a folder is in the way
    result = run.invoke(app, ["segment", "photos/a.jpg", "--json", "--out", "out", "--force"])
    assert result.exit_code == 1
    (line,) = map(json.loads, result.stdout.splitlines())
    assert line["saved"] == []
    assert "a-mask.png" in line["error"]
    assert segment.requests("pixels")


def test_photos_of_one_name_are_saved_under_names_of_their_own(
    run: CliRunner, segment: FakeSegment
) -> None:
    Path("photos/a.png").write_bytes(b"another a")
    segment.shown[b"another a"] = ["Road"]
    result = run.invoke(app, ["segment", "photos", "--no-overlay", "--out", "out"])
    assert result.exit_code == 0, result.output
    assert set(read_all("out")) == {"a-mask.png", "a-2-mask.png", "b-mask.png"}


def test_the_default_folder_may_be_written_again_and_is_never_looked_at(
    run: CliRunner, segment: FakeSegment
) -> None:
    for photos in ("photos", "**/*.[jp][pn]g"):
        assert run.invoke(app, ["segment", photos]).exit_code == 0
    assert len(segment.requests("pixels")) == 4
    assert len(read_all("segmented")) == 4
    result = run.invoke(app, ["segment", "segmented/*-overlay.jpg", "--out", "out"])
    assert result.exit_code == 0  # unless it is named
    assert set(read_all("out")) == {
        f"{photo}-overlay-{ending}" for photo in "ab" for ending in ("mask.png", "overlay.jpg")
    }


def test_in_the_default_folder_no_earlier_result_of_a_photo_stays(
    run: CliRunner, segment: FakeSegment
) -> None:
    drawn = ["--heat-maps", "--shapes", "rle"]
    assert run.invoke(app, ["segment", "photos", *drawn]).exit_code == 0
    of_b = {name for name in read_all("segmented") if name.startswith("b")}
    Path("segmented/a-heat-mask-mask.png").write_bytes(b"of a photo called a-heat-mask")
    Path("segmented/a-notes.txt").write_bytes(b"notes")
    others = {f"a-heat-x-{ending}" for ending in ("mask.png", "heat-Road.png")}
    for name in others:
        Path("segmented", name).write_bytes(b"of a photo called a-heat-x")
    Path("segmented/a-heat-x-y.png").write_bytes(b"of a class called x-y")
    segment.shown[b"a.jpg"] = ["Sky"]
    asked = ["segment", "photos/a.jpg", "--no-overlay", "--heat-maps"]
    assert run.invoke(app, asked).exit_code == 0
    kept = {"a-mask.png", "a-heat-Sky.png", "a-heat-mask-mask.png", "a-notes.txt"}
    assert set(read_all("segmented")) == {*kept, *others, *of_b}


@pytest.mark.usefixtures("segment")
@pytest.mark.parametrize("out", ["out", "segmented"])
def test_elsewhere_and_beside_photos_nothing_is_deleted(run: CliRunner, out: str) -> None:
    assert run.invoke(app, ["segment", "photos/a.jpg", "--out", out]).exit_code == 0
    asked = ["segment", "photos/a.jpg", f"{out}/a-overlay.jpg", "--no-overlay", "--force"]
    result = run.invoke(app, [*asked, "--out", out])
    assert result.exit_code == 0, result.output
    assert "a-overlay.jpg" in read_all(out)


OWN = b"drawn by hand"


@pytest.mark.usefixtures("segment")
@pytest.mark.parametrize("own", ["a-mask.png", "b-overlay.jpg", "a-heat-Sky.png", "a-shapes.json"])
def test_a_file_of_the_user_is_replaced_by_force_alone(
    run: CliRunner, api: FakeApi, own: str
) -> None:
    Path("out").mkdir()
    Path("out", own).write_bytes(OWN)
    asked = ["segment", "photos", "--out", "out", "--heat-maps", "--shapes", "rle"]
    result = run.invoke(app, asked)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"out/{own} is there already: choose another --out")
    assert not api.requests
    assert read_all("out") == {own: OWN}
    assert run.invoke(app, [*asked, "--force"]).exit_code == 0
    assert Path("out", own).read_bytes() != OWN


@pytest.mark.usefixtures("segment")
def test_files_that_no_result_has_are_in_nobodys_way(run: CliRunner) -> None:
    for name in ("photos/c-mask.jpg", "photos/a-heat-Sky.png", "photos/a-shapes.json"):
        Path(name).write_bytes(OWN)
    result = run.invoke(app, ["segment", "photos/a.jpg", "--out", "photos"])
    assert result.exit_code == 0, result.output
    assert len(read_all("photos")) == 3 + 3 + 2


@pytest.mark.usefixtures("segment")
def test_no_photo_of_a_call_is_replaced_even_by_force(run: CliRunner, api: FakeApi) -> None:
    Path("photos/a-mask.png").write_bytes(OWN)
    result = run.invoke(app, ["segment", "photos", "--out", "./photos", "--force"])
    assert result.exit_code == 2
    assert "photos/a-mask.png is a photo" in result.stderr
    assert not api.requests


@pytest.mark.usefixtures("segment")
@pytest.mark.parametrize(
    "options",
    [
        [EMPTY],
        [],
        ["photos", "--resolution", "8"],
        ["photos", "--opacity", "1.5"],
        ["photos", "--shapes", "circles"],
        ["photos", "--model", "No Model"],
        ["photos", "--class", ""],
        ["photos", "--out", "photos/a.jpg"],
    ],
    ids=["no photo", "nothing", "resolution", "opacity", "shapes", "model", "class", "out"],
)
def test_what_cannot_be_done_is_a_usage_error_before_anything_is_sent(
    run: CliRunner, api: FakeApi, options: list[str]
) -> None:
    result = run.invoke(app, ["segment", *options])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert not api.requests


def test_no_server_ends_with_three_and_says_what_to_do(run: CliRunner) -> None:
    result = run.invoke(app, ["segment", "photos"])
    assert result.exit_code == 3
    assert "atelier up" in result.stderr
