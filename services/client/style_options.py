"""Options that `atelier style` commands have: values of the contract, and what they mean."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Colour(StrEnum):
    style = "style"
    content = "content"


class Preset(StrEnum):
    quick = "quick"
    d2l_v1 = "d2l_v1"
    d2l_v2 = "d2l_v2"
    gatys = "gatys"


class Network(StrEnum):
    vgg16 = "vgg16"
    vgg19 = "vgg19"


class Pooling(StrEnum):
    max = "max"
    average = "average"


class Cost(StrEnum):
    d2l = "d2l"
    ng = "ng"


class Optimiser(StrEnum):
    adam = "adam"
    lbfgs = "lbfgs"


class Start(StrEnum):
    content = "content"
    noise = "noise"


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


Colours = Annotated[
    Colour, typer.Option(help="content: the painting keeps the colours of the photo.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there already.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="stained-glass, or one of yours: NAME or NAME@VERSION; by default the one in use."
    ),
]
ContentLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--content-layer",
        metavar="LAYER",
        help="Where shapes are compared, such as relu4_2; repeatable.",
    ),
]
StyleLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--style-layer",
        metavar="LAYER",
        help="Where styles are compared, such as relu3_1; repeatable.",
    ),
]
Mix = Annotated[
    list[float] | None,
    typer.Option(min=0, max=1e12, help="How much of each STYLE, in their order; repeatable."),
]
Mask = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Paint only where this picture is light."),
]
