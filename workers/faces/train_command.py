"""The command line of training: `python -m workers.faces.train --data DIR --out DIR`."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.progress import Progress as Bar

from workers.faces.evaluate import measure, score_pairs
from workers.faces.folders import FaceFolders, read_folder
from workers.faces.metrics import draw_roc
from workers.faces.siamese import Architecture, save_network, to_faces
from workers.faces.train import Progress, Trained, TrainOptions, train
from workers.faces.triplets import Mining
from workers.runtime.distributed import choose_own_device, join_others

NETWORK, METRICS, ROC = "siamese.safetensors", "metrics.json", "roc.png"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, test on people held back, and write the network, its metrics and its ROC."""
    given = read_arguments(arguments)
    people = read_folder(given.data, given.side)
    learning, test = people.split(given.test, given.seed)
    options = TrainOptions(
        Architecture(given.side, given.channels),
        mining=given.mining,
        steps=given.steps,
        validation=given.validation,
        seed=given.seed,
    )
    with join_others() as first, Bar(disable=not first) as bar:
        line = bar.add_task("training", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(line, completed=progress.fraction, description=write_line(progress))

        trained = train(options, learning, show, given.out, choose_own_device())
        if first:
            bar.console.print_json(data=write_results(trained, test, given.out))


def read_arguments(arguments: Sequence[str] | None) -> Namespace:
    known = TrainOptions()
    parser = ArgumentParser("python -m workers.faces.train", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder for each person")
    parser.add_argument("--out", type=Path, required=True, help="for results and checkpoint")
    parser.add_argument("--test", type=float, default=0.25, help="share of the people held back")
    parser.add_argument("--validation", type=float, default=known.validation, help="of the others")
    parser.add_argument("--mining", choices=get_args(Mining), default=known.mining)
    parser.add_argument("--steps", type=int, default=known.steps)
    parser.add_argument("--side", type=int, default=known.architecture.side, help="pixels")
    parser.add_argument("--channels", type=int, choices=(1, 3), default=1, help="grey or RGB")
    parser.add_argument("--seed", type=int, default=known.seed)
    return parser.parse_args(arguments)


def write_line(progress: Progress) -> str:
    error = progress.validation_eer
    seen = "" if error is None else f", validation EER {error:.1%}"
    return f"loss {progress.loss:.4f}, {progress.active:.0%} of triplets active{seen}"


def write_results(trained: Trained, test: FaceFolders, folder: Path) -> dict[str, float]:
    """The files; answers with the metrics, those of the test people if there are two or more."""
    save_network(trained.network, folder / NETWORK)
    metrics = dict(trained.metrics)
    if len(test.names) > 1:
        faces = to_faces(test.chips, trained.network.architecture.channels)
        genuine, impostor = score_pairs(trained.network.encode(faces), test.labels)
        metrics |= measure(genuine, impostor)
        draw_roc(genuine, impostor, f"{len(test.names)} unseen people").save(folder / ROC)
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics
