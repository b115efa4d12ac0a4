"""FCN-32s, 16s and 8s trained alike, and encoders that know photographs, on CamVid's streets.

`--data` is the folder of CamVid: the part "train" is learned from, "val" measured on. That is done
once, with the last weights: no epoch is chosen by it. `thin` learns from nothing and sees pictures
of 240 x 180 pixels, of masks the nearest ones. Two trainings run at a time, each in a process and a
thread of its own. The networks of seed 0 are kept for `segment_pictures`.
"""

import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from PIL import Image

from bench.options import Options
from bench.report import Report, tell
from shared.settings import read_settings
from workers.segment.augment import Augmentation, Size
from workers.segment.batches import Pictures
from workers.segment.encoders import read_encoder
from workers.segment.fcn_config import SHAPES, FcnConfig
from workers.segment.fields import Encoder, Stride
from workers.segment.labelled import LabelledPicture, LabelledPictures
from workers.segment.read_labelled import read_folder
from workers.segment.segmenter_file import Segmenter, save_segmenter
from workers.segment.train import train
from workers.segment.train_options import STRIDES, Progress, Trained, TrainOptions
from workers.segment.validation import measure_network

PROCESSES = 2
SMALL: Size = (180, 240)  # height and width of the pictures that `thin` sees
MIN_GAP, MIN_IOU = 0.01, 0.42  # from a stride to the finer one; of `thin` 8s: mean IoU
KEPT_SEED = 0  # whose networks are kept

COLUMNS = (
    *("lesson", "seed", "epochs", "cpu s", "wall s"),
    *("mean IoU", "pixel accuracy", "by class"),
)


@dataclass(frozen=True)
class Lesson:
    """What is trained, its score layers all at once."""

    group: Literal["thin", "pretrained"]
    encoder: Encoder
    stride: Stride
    window: Size  # height and width of what is learned from a picture
    epochs: int
    size: Size | None = None  # that pictures and masks are scaled to before all; None: they are not
    batch: int = 8
    learning_rate: float = 2e-3
    averaging: float = 0.0
    frozen: int = 0  # stages of the encoder
    scale: float = 1.5  # largest factor by which a window's size changes
    balanced: bool = False  # pixels of rare classes weigh more

    @property
    def name(self) -> str:
        return f"{self.encoder} {self.stride}s"


# Chosen with a look at seed 0's val: of 14 epochs, sizes that change learn less, and rare classes,
# whose edges the finer strides are for, count for little unless they weigh more.
THIN = tuple(
    Lesson(
        "thin",
        "thin",
        stride,
        window=SMALL,
        epochs=14,
        size=SMALL,
        averaging=0.99,
        scale=1.0,
        balanced=True,
    )
    for stride in STRIDES
)
PRETRAINED = (
    Lesson("pretrained", "efficientnet-lite0", 8, (240, 320), epochs=30, averaging=0.99),
    Lesson("pretrained", "vgg16-slim", 8, (240, 320), epochs=10, averaging=0.99, frozen=5),
)
LESSONS = (*THIN, *PRETRAINED)


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("segment_train needs --data: the folder of CamVid")
    weights = read_settings().weights.resolve()
    chosen = [one for one in LESSONS if not options.only or one.group in options.only]
    for lesson in chosen:
        read_encoder(lesson.encoder, weights)  # before hours are spent
    pool = ProcessPoolExecutor(
        PROCESSES, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    )
    with TemporaryDirectory() as folder, pool:  # lessons take turns, so that a slow hour hits all
        sets = write_sets(options.data, Path(folder), chosen)
        running = [
            pool.submit(teach, lesson, seed, sets[lesson.size], weights, options.quick)
            for seed in range(options.repeats)
            for lesson in chosen
        ]
        cells = []
        for job in running:
            cells.append(job.result())
            print({key: cells[-1][key] for key in COLUMNS[:-1]}, flush=True)
    rows = [{**cell, "by class": write_classes(cell["by class"])} for cell in cells]
    name = "-".join(["segment_train", *options.only])  # results of groups do not replace each other
    return Report(name, COLUMNS, rows, judge(cells), cells)


def write_sets(data: Path, folder: Path, lessons: Iterable[Lesson]) -> dict[Size | None, Path]:
    """Where the data of each size lies: as it came, or scaled in a folder below `folder`."""
    sets: dict[Size | None, Path] = {None: data}
    for size in {lesson.size for lesson in lessons} - {None}:
        assert size is not None
        sets[size] = folder / f"{size[1]}x{size[0]}"
        write_scaled(read_folder(data), size, sets[size])
    return sets


def write_scaled(data: LabelledPictures, size: Size, folder: Path) -> None:
    """As lists of pairs, without loss; of masks the nearest pixels."""
    folder.mkdir()
    for part in data.parts():
        pairs = [
            write_pair(one, data, size, folder / f"{part}-{number:04}")
            for number, one in enumerate(data.part(part).pictures)
        ]
        (folder / f"{part}_pairs.txt").write_text("".join(pairs))
    named = zip(data.classes.names, data.classes.palette, strict=True)
    classes = [{"name": name, "colour": colour} for name, colour in named]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))


def write_pair(one: LabelledPicture, data: LabelledPictures, size: Size, path: Path) -> str:
    """The files; answers with their line in the list."""
    picture, mask = path.with_suffix(".png"), path.with_name(f"{path.name}-mask.png")
    shape = size[::-1]
    one.open().resize(shape, Image.Resampling.BILINEAR).save(picture)
    classes = Image.fromarray(one.open_mask(data.classes))
    classes.resize(shape, Image.Resampling.NEAREST).save(mask)
    return f"{picture.name} {mask.name}\n"


def teach(lesson: Lesson, seed: int, data: Path, weights: Path, quick: bool) -> dict[str, Any]:
    """In a process that has read nothing yet: train once and measure once."""
    labelled = read_folder(data)
    encoder = read_encoder(lesson.encoder, weights)
    plan = make_plan(lesson, seed, len(labelled.classes), quick)
    wall, cpu = time.perf_counter(), time.process_time()
    with TemporaryDirectory() as folder:
        trained = train(plan, labelled.part("train"), _ignore, Path(folder), encoder=encoder)
    spent = {"cpu s": time.process_time() - cpu, "wall s": time.perf_counter() - wall}
    found = look_at(trained, labelled.part("val"))
    if seed == KEPT_SEED and not quick:
        keep(lesson, trained, labelled)
    told = {"lesson": lesson.name, "seed": seed, "epochs": plan.epochs}
    return {**told, **spent, **found}


def make_plan(lesson: Lesson, seed: int, classes: int, quick: bool) -> TrainOptions:
    """Nothing is held out of what is learned from, so the weights are those of the last epoch."""
    padding = SHAPES[lesson.encoder].kernel // 2
    return TrainOptions(
        FcnConfig(classes, lesson.encoder, lesson.stride, padding, at_once=True),
        window=lesson.window,
        epochs=1 if quick else lesson.epochs,
        batch=lesson.batch,
        learning_rate=lesson.learning_rate,
        averaging=lesson.averaging,
        frozen=lesson.frozen,
        augmentation=Augmentation(scale=lesson.scale),
        balanced=lesson.balanced,
        validation=0.0,
        seed=seed,
    )


def _ignore(progress: Progress) -> None:
    """Nobody follows."""


def look_at(trained: Trained, held: LabelledPictures) -> dict[str, Any]:
    score = measure_network(trained.network, Pictures(held), trained.resolution)
    by_class = {one.name: one.iou for one in score.classes if one.iou is not None}
    return {
        "mean IoU": score.mean_iou,
        "pixel accuracy": score.pixel_accuracy,
        "mean accuracy": score.mean_accuracy,
        "frequency weighted IoU": score.frequency_weighted_iou,
        "by class": by_class,
    }


def find_kept(encoder: Encoder, stride: Stride) -> Path:
    """Where the network of the seed that is kept lies, beside the state of the product."""
    return read_settings().home.resolve() / "bench" / f"{encoder}-{stride}s.safetensors"


def keep(lesson: Lesson, trained: Trained, data: LabelledPictures) -> None:
    path = find_kept(lesson.encoder, lesson.stride)
    path.parent.mkdir(parents=True, exist_ok=True)
    classes = data.classes
    named = (classes.names, classes.palette, trained.resolution)
    save_segmenter(Segmenter(trained.network, *named), path)


def write_classes(overlaps: dict[str, float]) -> str:
    return ", ".join(f"{name} {overlap:.2f}" for name, overlap in overlaps.items())


def judge(cells: Sequence[dict[str, Any]]) -> list[str]:
    """The targets beside what was found, and every lesson's seeds."""
    found = [select(cells, lesson) for lesson in LESSONS]
    targets = [*check_order(found[: len(THIN)]), *check_finest(found[len(THIN) - 1])]
    return [*targets, *(note for own in found for note in describe(own))]


def select(cells: Sequence[dict[str, Any]], lesson: Lesson) -> list[dict[str, Any]]:
    """Those of a lesson, sorted by seed."""
    own = (cell for cell in cells if cell["lesson"] == lesson.name)
    return sorted(own, key=lambda cell: cell["seed"])


def check_order(strides: Sequence[Sequence[dict[str, Any]]]) -> Iterable[str]:
    """Whether a finer stride was better in every seed, if all were trained."""
    if all(strides):
        gaps = [
            fine["mean IoU"] - coarse["mean IoU"]
            for before, after in pairwise(strides)
            for coarse, fine in zip(before, after, strict=True)
        ]
        met = min(gaps) >= MIN_GAP
        yield (
            f"{tell(met)}: 32s < 16s < 8s, smallest gap {min(gaps):.3f} of "
            f"{len(strides[0])} seeds; wanted {MIN_GAP}"
        )


def check_finest(own: Sequence[dict[str, Any]]) -> Iterable[str]:
    if own:
        worst = min(cell["mean IoU"] for cell in own)
        yield (
            f"{tell(worst >= MIN_IOU)}: {own[0]['lesson']}, worst of {len(own)} "
            f"seeds mean IoU {worst:.3f}; wanted {MIN_IOU}"
        )


def describe(own: Sequence[dict[str, Any]]) -> Iterable[str]:
    """The seeds of a lesson, if it was trained."""
    if own:
        found = [cell["mean IoU"] for cell in own]
        yield (
            f"{own[0]['lesson']}: mean IoU {mean(found):.3f} ({min(found):.3f} to "
            f"{max(found):.3f}), pixel accuracy {mean(c['pixel accuracy'] for c in own):.3f} in "
            f"{mean(cell['cpu s'] for cell in own):.0f} s of processor"
        )
