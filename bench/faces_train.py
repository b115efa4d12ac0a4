"""Unseen people told apart after training from nothing, beside eigenfaces and raw pixels.

`--data` is the ORL collection: folders s1 ... s30 of ten grey pictures of 92 x 112. The network
learns from s1-s22 and is tested on all pairs of s23-s30. Its settings were chosen on thirds of
s1-s22 only; eigenfaces get the number of components that is best for them.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from bench.eigenfaces import Eigenfaces, encode_pixels
from bench.options import Options
from bench.report import Report, tell
from workers.faces.evaluate import measure, score_pairs
from workers.faces.folders import FaceFolders, read_folder
from workers.faces.siamese import Architecture, to_faces
from workers.faces.train import Progress, TrainOptions, train
from workers.faces.triplets import Mining

LEARNING = [f"s{person}" for person in range(1, 23)]
TEST = [f"s{person}" for person in range(23, 31)]
MININGS: tuple[Mining, ...] = ("batch-hard", "random", "semi-hard")
SIDE = 48  # pixels
COMPONENTS = 40
MAX_EER = 0.11
MIN_GAIN = 0.03  # under eigenfaces

COLUMNS = ("method", "seeds", "eer", "eer std", "eer worst", "tar at far 0.01", "cpu s")


def run(options: Options) -> Report:
    torch.set_num_threads(1)
    if options.data is None:
        raise SystemExit("Say where the ORL faces are: --data DIR")
    people = read_folder(options.data, SIDE)
    learning, test = people.select(LEARNING), people.select(TEST)
    cells = list(measure_baselines(learning, test))
    for seed in range(options.repeats):  # minings take turns, so that a slow hour hits all
        for mining in MININGS:
            cells.append(measure_training(mining, seed, learning, test))
            print(f"{mining} seed {seed}: EER {cells[-1]['eer']:.1%}", flush=True)
    rows = [summarize(cells, method) for method in dict.fromkeys(cell["method"] for cell in cells)]
    return Report("faces_train", COLUMNS, rows, judge(rows), cells)


def measure_baselines(learning: FaceFolders, test: FaceFolders) -> Iterator[dict[str, Any]]:
    started = time.process_time()
    yield describe("pixels", encode_pixels(test.chips), test, started)
    started = time.process_time()
    points = Eigenfaces(learning.chips, COMPONENTS).encode(test.chips)
    yield describe("eigenfaces", points, test, started)


def measure_training(
    mining: Mining, seed: int, learning: FaceFolders, test: FaceFolders
) -> dict[str, Any]:
    architecture = Architecture(side=SIDE)
    # All are needed to learn from: 22 people, less four to stop by, are few.
    options = TrainOptions(architecture=architecture, mining=mining, seed=seed, validation=0.0)
    started = time.process_time()
    with TemporaryDirectory() as folder:
        trained = train(options, learning, _ignore, Path(folder))
    points = trained.network.encode(to_faces(test.chips, architecture.channels))
    return {
        **describe(mining, points, test, started),
        "seed": seed,
        "loss": trained.metrics["loss"],
    }


def _ignore(progress: Progress) -> None:
    """Nobody follows."""


def describe(method: str, points: np.ndarray, test: FaceFolders, started: float) -> dict[str, Any]:
    spent = time.process_time() - started
    return {"method": method, **measure(*score_pairs(points, test.labels)), "cpu s": spent}


def summarize(cells: list[dict[str, Any]], method: str) -> dict[str, Any]:
    own = [cell for cell in cells if cell["method"] == method]
    errors = [cell["eer"] for cell in own]
    return {
        "method": method,
        "seeds": len(own),
        "eer": mean(errors),
        "eer std": stdev(errors) if len(own) > 1 else None,
        "eer worst": max(errors),
        "tar at far 0.01": mean(cell["tar_at_far_0.01"] for cell in own),
        "cpu s": mean(cell["cpu s"] for cell in own),
    }


def judge(rows: list[dict[str, Any]]) -> list[str]:
    """The targets beside what was found."""
    error = {row["method"]: row["eer"] for row in rows}
    hard, eigenfaces = error["batch-hard"], error["eigenfaces"]
    gain = eigenfaces - hard
    return [
        f"{tell(hard <= MAX_EER)}: batch-hard EER {hard:.1%}; wanted {MAX_EER:.0%} at most",
        f"{tell(gain >= MIN_GAIN)}: {100 * gain:.1f} points under eigenfaces "
        f"({eigenfaces:.1%}; raw pixels {error['pixels']:.1%}); wanted {100 * MIN_GAIN:.0f}",
        f"{tell(hard <= error['random'])}: batch-hard {hard:.1%}, random mining "
        f"{error['random']:.1%}; wanted no worse",
    ]
