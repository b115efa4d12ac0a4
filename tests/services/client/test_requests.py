"""What the server would refuse is a usage error before anything is sent."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_detect import FakeDetect


@pytest.mark.parametrize(
    ("command", "option", "value", "field"),
    [
        ("objects", "--max", "1001", "max_detections"),
        ("objects", "--model", "No Model", "model"),
        ("objects", "--class", "", "classes.0"),
        ("stream", "--max-frames", "200001", "max_frames"),
        ("train", "--name", "nanodet-g", "name"),
        ("train", "--learning-rate", "0", "learning_rate"),
        ("evaluate", "--overlap", "0", "overlap"),
        ("evaluate", "--model", "raccoons@0", "model"),
    ],
)
def test_it_is_named_by_its_field(
    detect: FakeDetect, tmp_path: Path, command: str, option: str, value: str, field: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a bear")
    result = CliRunner().invoke(app, ["detect", command, str(tmp_path), option, value])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"{field}: ")
    assert result.stdout == ""
    assert not detect.api.requests
