"""What a step of a painting costs, beside the loop that textbooks print.

Both paint the same photograph in the same style, from the same start, by the same network, layers,
weights and steps of Adam, on one thread of the CPU in 32 bits. They take turns step by step.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch
from PIL import Image
from torch import nn

from bench.options import Options
from bench.peers.textbook_style import Rescale, Settings, Textbook, make_network
from bench.pictures import open_photo
from bench.report import Report, tell
from bench.segment_memory import read_memory
from shared.settings import read_settings
from workers.style.features import Features, load_features
from workers.style.painting import Painting, Subject, paint
from workers.style.pictures import DEVIATION, MEAN, normalise, to_tensor
from workers.style.recipe import Plan, make_plan
from workers.style.stained_glass import draw_stained_glass
from workers.style.stops import ignore
from workers.style.transfer_contract import TransferRequest

PHOTO = "china.jpg"
WIDTH, HEIGHT, QUICK_SIDE = 450, 300, 64  # pixels
STEPS, QUICK_STEPS, MEMORY_STEPS = 20, 2, 3
TARGET, APART = 0.45, 0.02  # of the textbook's time; of its loss
OURS, TEXTBOOK = "atelier", "textbook"

COLUMNS = ("way", "width", "height", "steps", "cpu s/step", "of textbook", "loss", "MB peak")

Step = Callable[[], float]  # takes one, and tells the sum of the losses that it found


def run(options: Options) -> Report:
    size = (QUICK_SIDE, QUICK_SIDE) if options.quick else (WIDTH, HEIGHT)
    steps = QUICK_STEPS if options.quick else STEPS
    cells = measure(size, steps)
    peaks = {way: measure_peak(way, size) for way in WAYS}
    rows = summarise(cells, size, peaks)
    return Report("style_speed", COLUMNS, rows, judge(rows), cells)


def measure(size: tuple[int, int], steps: int) -> list[dict[str, Any]]:
    """Seconds of processor and losses of every step, of each way."""
    torch.set_num_threads(1)
    taking = {way: make(size, steps) for way, make in WAYS.items()}
    cells = []
    for number in range(steps):
        for way, step in taking.items():
            begun, cpu = time.perf_counter(), time.process_time()
            loss = step()
            spent = time.process_time() - cpu
            cell = {"way": way, "step": number, "cpu s": spent, "loss": loss}
            cells.append(cell | {"wall s": time.perf_counter() - begun})
    return cells


def measure_peak(way: str, size: tuple[int, int]) -> float:
    """MB, of a process that does nothing else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(take_some, way, size).result()


def take_some(way: str, size: tuple[int, int]) -> float:
    torch.set_num_threads(1)
    step = WAYS[way](size, MEMORY_STEPS)
    for _ in range(MEMORY_STEPS):
        step()
    return read_memory("VmHWM")


def make_ours(size: tuple[int, int], steps: int) -> Step:
    """As a job paints."""
    plan, (content, style) = plan_for(size, steps), read_pictures(size)
    subject = Subject(content, styles=(style,), shares=(1.0,))
    painting = Painting(subject, plan, "float32")
    features = load()

    def step() -> float:
        paint([painting], features, ignore)
        return painting.describe().losses.total

    return step


def make_textbook(size: tuple[int, int], steps: int) -> Step:
    """With the weights of the same network, as it is normalised."""
    plan = plan_for(size, steps)
    content, style = (normalise(to_tensor(one)).contiguous() for one in read_pictures(size))
    network = copy_network(load())
    weights = (plan.content_weight, plan.style_weight, plan.tv_weight)
    textbook = Textbook(
        network, Settings(plan.content_layers, plan.style_layers, *weights), content, style
    )
    taking = textbook.steps(lambda step: plan.find_rate(0, step))
    return lambda: next(taking)


def copy_network(features: Features) -> nn.Sequential:
    """As plain modules, for pictures that are normalised as ours are."""
    layers = make_network([(one.weight, one.bias) for one in features.layers.values()])
    mean, deviation = (torch.tensor(one).view(3, 1, 1) for one in (MEAN, DEVIATION))
    offset = (mean - features.mean) / features.deviation
    rescale = Rescale(deviation / features.deviation, offset)
    return nn.Sequential(OrderedDict([("pixels", rescale), *layers.named_children()]))


WAYS: Mapping[str, Callable[[tuple[int, int], int], Step]] = {
    OURS: make_ours,
    TEXTBOOK: make_textbook,
}


def plan_for(size: tuple[int, int], steps: int) -> Plan:
    """Of the book's second edition, but for fewer steps."""
    request = TransferRequest(content="", styles=[""], preset="d2l_v2", steps=steps)
    return make_plan(request, *size)


def read_pictures(size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Content and style, RGB, both of this (width, height)."""
    photo = open_photo(PHOTO)
    return photo.resize(size), draw_stained_glass().resize(size)


def load() -> Features:
    return load_features("vgg16", "max", read_settings().weights, torch.device("cpu"))


def summarise(
    cells: Sequence[Mapping[str, Any]], size: tuple[int, int], peaks: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Medians of all steps but the first, which plans memory; the loss that the last one found."""
    rows = []
    for way in WAYS:
        own = [cell for cell in cells if cell["way"] == way]
        spent = median(cell["cpu s"] for cell in own[1:])
        figures = {"width": size[0], "height": size[1], "steps": len(own), "cpu s/step": spent}
        rows.append({"way": way, **figures, "loss": own[-1]["loss"], "MB peak": peaks[way]})
    for row in rows:
        row["of textbook"] = row["cpu s/step"] / rows[-1]["cpu s/step"]
    return rows


def judge(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    ours, textbook = rows
    apart = abs(ours["loss"] - textbook["loss"]) / textbook["loss"]
    less = ours["MB peak"] <= textbook["MB peak"]
    return [
        f"{tell(ours['of textbook'] <= TARGET)}: a step takes {ours['of textbook']:.2f} of the "
        f"textbook's processor time; wanted {TARGET}",
        f"{tell(apart <= APART)}: after as many steps the losses are {apart:.2%} apart; "
        f"wanted {APART:.0%}",
        f"{tell(less)}: {ours['MB peak']:.0f} MB at most, the textbook {textbook['MB peak']:.0f}; "
        "wanted no more",
    ]
