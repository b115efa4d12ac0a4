"""Trainings that are measured: on pictures they did not learn from, and judged by the worst."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.detect_train import (
    LESSONS,
    TARGETS,
    Lesson,
    choose_parts,
    judge,
    measure_lesson,
    teach,
    write_classes,
)
from bench.options import Options
from tests.workers.detect.coloured import make_pictures, write_yolo
from workers.detect.labelled import LabelledPictures
from workers.runtime.efficientnet_lite import build_trunk

TARGET = TARGETS[0]


def cell(lesson: Lesson, **found: float) -> dict[str, Any]:
    return {"data": lesson.data, "preset": lesson.preset, "start": lesson.start, **found}


def test_the_parts_of_the_data_count_and_otherwise_the_seed() -> None:
    known, unseen = make_pictures(4, 0, "train"), make_pictures(3, 1, "val")
    both = replace(known, pictures=known.pictures + unseen.pictures)
    assert choose_parts(both, seed=0) == choose_parts(both, seed=1) == (known, unseen)
    whole = make_pictures(20)
    drawn = [choose_parts(whole, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(part.pictures) for part in drawn[0]] == [16, 4]
    assert not list_digests(drawn[0][0]) & list_digests(drawn[0][1])


def list_digests(data: LabelledPictures) -> set[str]:
    return {picture.digest for picture in data.pictures}


def test_a_lesson_is_learned_and_measured() -> None:
    lesson = Lesson("coloured", "efficientnet-lite0", "pretrained", grid=7, epochs=9)
    trunk = build_trunk(32).state_dict()
    row = measure_lesson(lesson, 3, make_pictures(5), trunk, quick=True)
    told = ("coloured", "efficientnet-lite0", "pretrained", 3, 1)
    assert tuple(row[key] for key in ("data", "preset", "start", "seed", "epochs")) == told
    assert 0 <= row["mAP50 of sure"] <= row["mAP50"] <= 1
    assert row["cpu s"] > 0
    assert set(row["by class"]) <= {"red", "blue"}


def test_a_process_reads_the_data_itself(tmp_path: Path) -> None:
    write_yolo(tmp_path / "coloured", 4)
    write_yolo(tmp_path / "coloured", 2, part="val", seed=1)
    lesson = Lesson("coloured", "small", "scratch", grid=7, epochs=9)
    options = Options("detect_train", True, seconds=1, repeats=1, only=(), data=tmp_path)
    assert teach(lesson, 0, options, weights=tmp_path)["epochs"] == 1


def test_every_seed_must_reach_the_target_in_time() -> None:
    good, slow, weak = (
        cell(TARGET, **{"mAP50": precision, "cpu s": seconds})
        for precision, seconds in ((0.8, 500.0), (0.9, 601.0), (0.7, 400.0))
    )
    assert judge([good])[0].startswith("met: small from scratch on bccd, worst of 1 seeds")
    for cells in ([good, slow], [good, weak]):
        assert judge(cells)[0].startswith("MISSED")
    summary = judge([good, weak])[1]
    assert "bccd, small from scratch: mAP50 0.750 (0.700 to 0.800) in 450 s" in summary


def test_what_was_not_trained_is_not_judged() -> None:
    other = cell(LESSONS[-1], **{"mAP50": 0.5, "cpu s": 10.0})
    (note,) = judge([other])
    assert note.startswith("raccoon, efficientnet-lite0 from scratch: mAP50 0.500")


def test_classes_are_told_with_their_average_precision() -> None:
    assert write_classes({"cat": 0.5, "dog": 1.0}) == "cat 0.50, dog 1.00"
