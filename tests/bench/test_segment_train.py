"""Trainings that are measured: on pictures they did not learn from, and judged by every seed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.options import Options
from bench.segment_train import (
    PRETRAINED,
    THIN,
    Lesson,
    find_kept,
    judge,
    make_plan,
    run,
    teach,
    write_classes,
    write_sets,
)
from shared.settings import read_settings
from tests.workers.segment.coloured import CLASSES, write_pictures
from workers.segment.read_labelled import read_folder
from workers.segment.segmenter_file import load_segmenter

TINY = replace(THIN[2], window=(32, 48), size=(16, 32))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four pictures to learn from and two to measure on, named in lists."""
    folder = tmp_path / "data"
    for part, count in (("train", 4), ("val", 2)):
        write_pictures(folder / part, count, seed=count)
        lines = [
            f"{part}/images/{number:03}.png {part}/masks/{number:03}.png\n"
            for number in range(count)
        ]
        (folder / f"{part}_pairs.txt").write_text("".join(lines))
    (folder / "classes.json").write_text('{"classes": ["background", "red", "blue"]}')
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where networks are kept."""
    settings = read_settings().model_copy(update={"home": tmp_path})
    monkeypatch.setattr("bench.segment_train.read_settings", lambda: settings)
    return tmp_path


def cell(lesson: Lesson, seed: int, iou: float) -> dict[str, Any]:
    found = {"mean IoU": iou, "pixel accuracy": 0.8, "cpu s": 200.0}
    return {"lesson": lesson.name, "seed": seed, **found}


def make_cells(*seeds: tuple[float, ...]) -> list[dict[str, Any]]:
    """The mean IoU of 32s, 16s and 8s of each seed."""
    return [
        cell(lesson, seed, iou)
        for seed, found in enumerate(seeds)
        for lesson, iou in zip(THIN, found, strict=True)
    ]


def test_scaled_data_has_the_parts_the_classes_and_pixels_of_the_original(
    data: Path, tmp_path: Path
) -> None:
    whole = read_folder(data)
    sets = write_sets(data, tmp_path, [TINY, TINY, replace(TINY, size=None)])
    assert sets[None] == data
    scaled = read_folder(sets[(16, 32)])
    assert (scaled.classes.names, scaled.classes.palette) == (CLASSES.names, CLASSES.palette)
    for part in ("train", "val"):
        for small, large in zip(scaled.part(part).pictures, whole.part(part).pictures, strict=True):
            assert (small.width, small.height) == (32, 16)
            # of 64 x 64 pixels the one in the middle of 4 rows and 2 columns
            truth = large.open_mask(whole.classes)[2::4, 1::2]
            assert (small.open_mask(scaled.classes) == truth).all()
            grey = (np.asarray(one).mean() for one in (small.open(), large.open()))
            assert next(grey) == pytest.approx(next(grey), abs=1)


def test_a_lesson_is_learned_without_a_look_at_what_it_is_measured_on(
    data: Path, tmp_path: Path, home: Path
) -> None:
    lesson = replace(TINY, size=None, epochs=2)
    row = teach(lesson, 0, data, tmp_path, quick=False)
    assert (row["lesson"], row["seed"], row["epochs"]) == ("thin 8s", 0, 2)
    assert 0 < row["mean IoU"] < 1
    assert row["cpu s"] > 0
    assert set(row["by class"]) <= set(CLASSES.names)
    kept = load_segmenter(find_kept("thin", 8))
    assert find_kept("thin", 8).is_relative_to(home)
    assert (kept.names, kept.resolution) == (CLASSES.names, 64)
    (data / "val" / "masks" / "000.png").write_bytes((data / "val/masks/001.png").read_bytes())
    teach(lesson, 0, data, tmp_path, quick=False)
    again = load_segmenter(find_kept("thin", 8)).network.state_dict()
    assert all(one.equal(again[name]) for name, one in kept.network.state_dict().items())


def test_a_quick_look_is_one_epoch_and_keeps_nothing(
    data: Path, tmp_path: Path, home: Path
) -> None:
    assert teach(TINY, 0, data, tmp_path, quick=True)["epochs"] == 1
    assert not (home / "bench").exists()


def test_every_lesson_can_be_planned() -> None:
    plans = [make_plan(lesson, 1, 11, quick=False) for lesson in (*THIN, *PRETRAINED)]
    assert [plan.network.stride for plan in plans] == [32, 16, 8, 8, 8]
    alike = {(plan.epochs, plan.window, plan.learning_rate, plan.batch) for plan in plans[:3]}
    assert alike == {(14, (180, 240), 2e-3, 8)}
    assert {(plan.validation, plan.seed, len(plan.stages)) for plan in plans} == {(0.0, 1, 1)}


def test_every_seed_must_have_the_order_and_the_finest_its_target() -> None:
    good, close, weak = (0.38, 0.42, 0.45), (0.38, 0.44, 0.445), (0.3, 0.33, 0.4)
    order, finest, *lessons = judge(make_cells(good, good))
    assert order.startswith("met: 32s < 16s < 8s, smallest gap 0.030 of 2 seeds")
    assert finest.startswith("met: thin 8s, worst of 2 seeds mean IoU 0.450")
    assert lessons[0].startswith("thin 32s: mean IoU 0.380 (0.380 to 0.380), pixel accuracy 0.800")
    assert judge(make_cells(good, close))[0].startswith(
        "MISSED: 32s < 16s < 8s, smallest gap 0.005"
    )
    assert judge(make_cells(weak, good))[1].startswith("MISSED: thin 8s, worst of 2 seeds")


def test_seeds_are_compared_with_themselves_in_whatever_order_they_came() -> None:
    cells = make_cells((0.1, 0.2, 0.3), (0.3, 0.4, 0.5))
    assert judge(cells[::-1]) == judge(cells)
    assert "smallest gap 0.100" in judge(cells[::-1])[0]


def test_what_was_not_trained_is_not_judged() -> None:
    (note,) = judge([cell(PRETRAINED[0], 0, 0.6)])
    assert note.startswith("efficientnet-lite0 8s: mean IoU 0.600")


def test_classes_are_told_with_their_overlap() -> None:
    assert write_classes({"cat": 0.5, "dog": 1.0}) == "cat 0.50, dog 1.00"


def test_without_the_data_it_says_what_it_needs() -> None:
    options = Options("segment_train", quick=True, seconds=1, repeats=1, only=(), data=None)
    with pytest.raises(SystemExit, match="--data"):
        run(options)
