"""Detectors trained on a few hundred pictures: what they reach, in which time, from which start.

`--data` has the folders `bccd` (blood cells) and `raccoon`. Of data with parts, "train" is learned
from and "val" measured on; of other data a fifth, drawn by the seed, is measured on, and equal
pictures are on one side. That is done once, with the last weights: no epoch is chosen by it. Two
trainings run at a time, each in a process and a thread of its own.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from bench.options import Options
from bench.report import Report, tell
from shared.settings import read_settings
from shared.weights import locate
from workers.detect.batches import Squares
from workers.detect.labelled import LabelledPictures
from workers.detect.read_labelled import read_folder
from workers.detect.suppression import Suppression
from workers.detect.train import train
from workers.detect.train_options import Progress, Trained, TrainOptions
from workers.detect.validation import LEAST_SCORE, measure
from workers.detect.yolo_config import Preset, YoloConfig
from workers.runtime.efficientnet_lite import PUBLISHED, read_pretrained

PROCESSES = 2
SIDE = 224  # pixels
HELD_OUT = 0.2  # of data without parts
SURE = 0.5  # score
MIN_PRECISION, MAX_SECONDS = 0.75, 600.0  # mean average precision, seconds of processor

COLUMNS = (
    *("data", "preset", "start", "seed", "epochs", "cpu s", "wall s"),
    *("mAP50", "mAP50 of sure", "by class"),
)

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Lesson:
    """What is trained; of one data set those that are compared take about the same time."""

    data: str
    preset: Preset
    start: Literal["scratch", "pretrained"]
    grid: int
    epochs: int

    @property
    def name(self) -> str:
        return f"{self.preset} from {self.start}"


TARGETS = (
    Lesson("bccd", "small", "scratch", grid=14, epochs=60),
    Lesson("raccoon", "small", "scratch", grid=7, epochs=84),
)
LESSONS = (
    *TARGETS,
    Lesson("raccoon", "efficientnet-lite0", "pretrained", grid=7, epochs=14),
    Lesson("raccoon", "efficientnet-lite0", "scratch", grid=7, epochs=14),
)


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("detect_train needs --data: a folder with bccd and raccoon")
    weights = read_settings().weights.resolve()
    locate(PUBLISHED, weights)  # before hours are spent
    chosen = [one for one in LESSONS if not options.only or one.data in options.only]
    pool = ProcessPoolExecutor(
        PROCESSES, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    )
    with pool:  # lessons take turns, so that a slow hour hits all
        running = [
            pool.submit(teach, lesson, seed, options, weights)
            for seed in range(options.repeats)
            for lesson in chosen
        ]
        cells = []
        for job in running:
            cells.append(job.result())
            print({key: cells[-1][key] for key in COLUMNS[:-1]}, flush=True)
    rows = [{**cell, "by class": write_classes(cell["by class"])} for cell in cells]
    return Report("detect_train", COLUMNS, rows, judge(cells), cells)


def teach(lesson: Lesson, seed: int, options: Options, weights: Path) -> dict[str, Any]:
    """In a process that has read nothing yet."""
    assert options.data is not None
    data = read_folder(options.data / lesson.data)
    trunk = read_pretrained(weights) if lesson.start == "pretrained" else None
    return measure_lesson(lesson, seed, data, trunk, options.quick)


def measure_lesson(
    lesson: Lesson, seed: int, data: LabelledPictures, trunk: Weights | None, quick: bool
) -> dict[str, Any]:
    """Train once and measure once."""
    learning, held = choose_parts(data, seed)
    plan = TrainOptions(
        YoloConfig(lesson.preset, len(learning.names), SIDE, lesson.grid),
        epochs=1 if quick else lesson.epochs,
        validation=0.0,
        seed=seed,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    trained = learn(plan, learning, trunk)
    spent = {"cpu s": time.process_time() - cpu, "wall s": time.perf_counter() - wall}
    return {
        "data": lesson.data,
        "preset": lesson.preset,
        "start": lesson.start,
        "seed": seed,
        "epochs": plan.epochs,
        **spent,
        **look_at(trained, held),
    }


def choose_parts(data: LabelledPictures, seed: int) -> tuple[LabelledPictures, LabelledPictures]:
    """(to learn from, to measure on)."""
    if "val" in data.parts():
        return data.part("train"), data.part("val")
    return data.split(HELD_OUT, seed)


def learn(plan: TrainOptions, learning: LabelledPictures, trunk: Weights | None) -> Trained:
    with TemporaryDirectory() as folder:
        return train(plan, learning, _ignore, Path(folder), trunk=trunk)


def _ignore(progress: Progress) -> None:
    """Nobody follows."""


def look_at(trained: Trained, held: LabelledPictures) -> dict[str, Any]:
    squares = Squares(held.pictures, SIDE, bordered=False)
    every, sure = (
        measure(trained.network, squares, held.names, Suppression(score_threshold=score))
        for score in (LEAST_SCORE, SURE)
    )
    by_class = {name: curve.average for name, curve in every.curves.items()}
    return {"mAP50": every.mean, "mAP50 of sure": sure.mean, "by class": by_class}


def write_classes(averages: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {average:.2f}" for name, average in averages.items())


def judge(cells: Sequence[dict[str, Any]]) -> list[str]:
    """The targets beside what was found, and how starts compare."""
    targets = [note for lesson in TARGETS for note in check(lesson, select(cells, lesson))]
    return [*targets, *(note for lesson in LESSONS for note in describe(select(cells, lesson)))]


def check(lesson: Lesson, own: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Whether every seed reached the target, if it was trained."""
    if own:
        worst, longest = min(cell["mAP50"] for cell in own), max(cell["cpu s"] for cell in own)
        met = worst >= MIN_PRECISION and longest <= MAX_SECONDS
        yield (
            f"{tell(met)}: {lesson.name} on {lesson.data}, worst of {len(own)} "
            f"seeds mAP50 {worst:.3f}, longest {longest:.0f} s; wanted {MIN_PRECISION} in "
            f"{MAX_SECONDS:.0f} s"
        )


def select(cells: Sequence[dict[str, Any]], lesson: Lesson) -> list[dict[str, Any]]:
    wanted = (lesson.data, lesson.preset, lesson.start)
    return [cell for cell in cells if (cell["data"], cell["preset"], cell["start"]) == wanted]


def describe(cells: Sequence[dict[str, Any]]) -> Iterable[str]:
    """The seeds of a lesson, if it was trained."""
    if cells:
        found = [cell["mAP50"] for cell in cells]
        yield (
            f"{cells[0]['data']}, {cells[0]['preset']} from {cells[0]['start']}: mAP50 "
            f"{mean(found):.3f} ({min(found):.3f} to {max(found):.3f}) in "
            f"{mean(cell['cpu s'] for cell in cells):.0f} s of processor"
        )
