"""`atelier style CONTENT STYLE...` as people and programs use it."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from services.client.cli import app
from services.client.client import Client
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_style import CURVE, HALF_DONE, PAINTING, FakeStyle, show_previews
from workers.style.transfer_contract import TransferRequest

OWN = b"drawn by hand"
FILES = ("house.jpg", "waves.png", "mosaic.jpg", "mask.png")


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of pictures, below the one where commands run."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in FILES:
        Path("in", name).write_bytes(name.encode())


def call(run: CliRunner, *arguments: str) -> str:
    """What a command that has to succeed prints."""
    result = run.invoke(app, ["style", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def read_here() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path().iterdir() if file.is_file()}


def test_the_painting_is_saved_here_under_both_names_and_the_losses_are_shown(
    run: CliRunner, style: FakeStyle
) -> None:
    result = run.invoke(app, ["style", "in/house.jpg", "in/waves.png"])
    assert result.exit_code == 0, result.output
    assert [line.split("\t") for line in result.stdout.splitlines()] == [
        ["content", "0.125", "0.25"],
        ["style", "1", "0.25"],
        ["total variation", "0.0625", "0.03125"],
        ["total", "1.188", "0.5312"],
    ]
    assert "house-waves.jpg: 64 x 48 pixels, 10 steps in 1.5 s.\n" in result.stderr
    assert read_here() == {"house-waves.jpg": PAINTING}
    (request,) = style.requests("transfer")
    assert style.api.blobs[request["content"]] == b"house.jpg"
    assert [style.api.blobs[blob_id] for blob_id in request["styles"]] == [b"waves.png"]


def test_what_is_left_open_is_what_the_contract_leaves_open(
    run: CliRunner, style: FakeStyle
) -> None:
    call(run, "transfer", "in/house.jpg", "in/waves.png", "in/mosaic.jpg")
    (request,) = style.requests("transfer")
    files = {name: request[name] for name in ("content", "styles")}
    assert TransferRequest.model_validate(request) == TransferRequest(**files)


def test_every_option_of_the_contract_can_be_chosen(run: CliRunner, style: FakeStyle) -> None:
    sizes = ["--preset", "gatys", "--size", "64", "--steps", "5", "--scales", "2"]
    weights = ["--strength", "2", "--content-weight", "3", "--style-weight", "4"]
    weights += ["--tv-weight", "5", "--mix", "1", "--mix", "2", "--cost", "ng"]
    layers = ["--content-layer", "relu3_1", "--style-layer", "conv1_1", "--style-layer", "pool2"]
    network = ["--network", "vgg19", "--pooling", "average", "--precision", "bfloat16"]
    steps = ["--optimiser", "lbfgs", "--learning-rate", "0.5", "--start", "noise", "--seed", "7"]
    looks = ["--style-scale", "2", "--colours", "content", "--mask", "in/mask.png", "--png"]
    more = ["--preview-every", "3"]
    styles = ["in/waves.png", "in/mosaic.jpg"]
    call(run, "in/house.jpg", *styles, *sizes, *weights, *layers, *network, *steps, *looks, *more)
    (request,) = style.requests("transfer")
    chosen = TransferRequest.model_validate(request).model_dump()
    files = {name: request[name] for name in ("content", "styles")}
    default = TransferRequest(**files).model_dump()
    assert {name for name in chosen if chosen[name] == default[name]} == {"content", "styles"}
    assert chosen["style_weights"] == [1, 2]
    assert chosen["style_layers"] == ["conv1_1", "pool2"]
    assert style.api.blobs[chosen["mask"]] == b"mask.png"
    assert read_here() == {"house-waves.png": PAINTING}


def test_previews_are_saved_as_they_come_and_counted(run: CliRunner, style: FakeStyle) -> None:
    shown = show_previews(style.api, 3)
    result = run.invoke(app, ["style", "in/house.jpg", "in/waves.png", "--previews", "a/b"])
    assert result.exit_code == 0, result.output
    saved = sorted(Path("a/b").iterdir())
    assert [file.name for file in saved] == [f"house-waves-000{n}.jpg" for n in (1, 2, 3)]
    assert [file.read_bytes() for file in saved] == shown
    assert "3 previews are in a/b.\n" in result.stderr


def test_json_is_one_object_with_the_files_saved(run: CliRunner, style: FakeStyle) -> None:
    show_previews(style.api, 1)
    places = ["--out", "p.png", "--curve", "c.png", "--previews", "shown"]
    told = json.loads(call(run, "in/house.jpg", "in/waves.png", "--json", *places))
    assert told["state"] == "succeeded"
    assert told["result"]["losses"]["content"] == 0.25
    assert told["saved"] == ["p.png", "c.png"]
    assert told["previews"] == ["shown/p-0001.jpg"]
    assert read_here() == {"p.png": PAINTING, "c.png": CURVE}
    (request,) = style.requests("transfer")
    assert request["format"] == "png"


@pytest.mark.usefixtures("style")
@pytest.mark.parametrize(("code", "told"), [(0, ""), (1, "No program here shows pictures.\n")])
def test_the_result_is_opened_if_that_is_asked(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch, code: int, told: str
) -> None:
    opened: list[str] = []

    def launch(name: str) -> int:
        assert Path(name).read_bytes() == PAINTING
        opened.append(name)
        return code

    monkeypatch.setattr(typer, "launch", launch)
    result = run.invoke(app, ["style", "in/house.jpg", "in/waves.png", "--open"])
    assert (result.exit_code, opened) == (0, ["house-waves.jpg"])
    assert result.stderr.endswith(f"steps in 1.5 s.\n{told}")


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_cancels_and_saves_what_was_painted_so_far(
    run: CliRunner, style: FakeStyle, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    show_previews(style.api, 2)
    style.api.hold = True
    events = Client.events

    def interrupted(client: Client, job_id: str) -> Any:
        client.job(job_id)  # it runs
        shown = events(client, job_id)
        yield next(shown)
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "events", interrupted)
    asked = ["style", "in/house.jpg", "in/waves.png", "--open", "--previews", "shown"]
    result = run.invoke(app, [*asked, "--json"] if as_json else asked)
    assert result.exit_code == 130, result.output
    (job,) = style.api.jobs.values()
    assert job["state"] == "cancelled"
    assert read_here() == {"house-waves.jpg": HALF_DONE}
    assert len(list(Path("shown").iterdir())) == 1
    assert f"Cancelled: job {job['id']}.\n" in result.stderr
    if as_json:
        told = json.loads(result.stdout)
        assert (told["state"], told["result"]["finished"]) == ("cancelled", False)
        assert told["saved"] == ["house-waves.jpg"]
    else:
        assert "Not finished. house-waves.jpg: 64 x 48 pixels, 5 steps" in result.stderr


def test_ctrl_c_before_anything_was_painted_saves_nothing(
    run: CliRunner, api: FakeApi, style: FakeStyle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "events", interrupt)
    result = run.invoke(app, ["style", "in/house.jpg", "in/waves.png"])
    assert result.exit_code == 130, result.output
    assert [job["state"] for job in api.jobs.values()] == ["cancelled"]
    assert not read_here()
    assert not style.asked


def test_a_job_that_somebody_else_cancelled_leaves_its_picture_and_fails(
    run: CliRunner, style: FakeStyle, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Client.events

    def cancelled(client: Client, job_id: str) -> Any:
        client.job(job_id)
        client.cancel(job_id)
        yield from events(client, job_id)

    monkeypatch.setattr(Client, "events", cancelled)
    result = run.invoke(app, ["style", "in/house.jpg", "in/waves.png"])
    assert result.exit_code == 1, result.output
    assert result.stderr.endswith("steps in 2.0 s.\ncancelled\n")
    assert read_here() == {"house-waves.jpg": HALF_DONE}
    assert style.requests("transfer")


@pytest.mark.usefixtures("style")
def test_a_failed_job_says_why_and_writes_nothing(run: CliRunner) -> None:
    Path("in/house.jpg").write_bytes(b"broken")
    result = run.invoke(app, ["style", "in/house.jpg", "in/waves.png"])
    assert result.exit_code == 1
    assert result.stderr == "invalid_input: The picture is damaged.\n"
    assert not read_here()


@pytest.mark.usefixtures("style")
@pytest.mark.parametrize(
    ("own", "options"),
    [
        ("house-waves.jpg", []),
        ("curve.png", ["--curve", "curve.png"]),
        ("house-waves-0002.jpg", ["--previews", "."]),
    ],
    ids=["painting", "curve", "preview"],
)
def test_a_file_of_the_user_is_replaced_by_force_alone(
    run: CliRunner, api: FakeApi, own: str, options: list[str]
) -> None:
    show_previews(api, 2)
    Path(own).write_bytes(OWN)
    asked = ["style", "in/house.jpg", "in/waves.png", *options]
    result = run.invoke(app, asked)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{own} is there already: choose another --")
    assert not api.requests
    assert read_here() == {own: OWN}
    assert run.invoke(app, [*asked, "--force"]).exit_code == 0
    assert Path(own).read_bytes() != OWN


@pytest.mark.parametrize("picture", ["in/house.jpg", "in/waves.png", "in/mask.png"])
def test_no_picture_of_a_call_is_replaced_even_by_force(
    run: CliRunner, api: FakeApi, picture: str
) -> None:
    asked = ["in/house.jpg", "in/waves.png", "--mask", "in/mask.png", "--force"]
    result = run.invoke(app, ["style", *asked, "--out", f"./{picture}"])
    assert result.exit_code == 2
    assert f"{picture} is a photo" in result.stderr
    assert not api.requests


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "There is no file in/none.jpg."),
        (["--mask", "in"], "There is no file in."),
        (["--out", "p.webp"], "p.webp: name a .jpg or a .png."),
        (["--out", "p.jpg", "--png"], "p.jpg: with --png, name a .png."),
        (["--curve", "c.jpg"], "c.jpg: name a .png for --curve."),
        (["--out", "c.png", "--curve", "in/../c.png"], "in/../c.png is the painting: "),
        (["--out", "none/p.jpg"], "There is no folder"),
        (["--learning-rate", "0"], "learning_rate: "),
        (["--style-layer", "relu9_1"], "style_layers.0: "),
        (["--previews", "/proc/p"], "/proc/p cannot be made"),
    ],
    ids=["style", "mask", "kind", "png", "curve", "one", "folder", "rate", "layer", "previews"],
)
def test_what_cannot_be_done_is_a_usage_error_before_anything_is_sent(
    run: CliRunner, api: FakeApi, options: list[str], reason: str
) -> None:
    style = "in/waves.png" if options else "in/none.jpg"
    result = run.invoke(app, ["style", "in/house.jpg", style, *options])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(reason)
    assert not api.requests


@pytest.mark.parametrize("arguments", [[], ["in/house.jpg"]], ids=["nothing", "no style"])
def test_a_content_and_a_style_are_needed(run: CliRunner, arguments: list[str]) -> None:
    result = run.invoke(app, ["style", *arguments])
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr


def test_no_server_ends_with_three_and_says_what_to_do(run: CliRunner) -> None:
    result = run.invoke(app, ["style", "in/house.jpg", "in/waves.png"])
    assert result.exit_code == 3
    assert "atelier up" in result.stderr
