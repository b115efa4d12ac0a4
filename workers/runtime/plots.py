"""Pictures of trainings: curves, labelled points in the plane, and matrices."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from warnings import catch_warnings, filterwarnings

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.ticker import MaxNLocator

SIZE = (8.0, 5.0)  # inches
DPI = 110
CELL = 0.42  # inches, of a matrix
LONGEST_LABEL = 24  # characters
# The first comes with matplotlib; the others, where they are installed, know more scripts.
FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "WenQuanYi Micro Hei", "PingFang SC")

Curve = tuple[Sequence[float], Sequence[float]]  # x, y


def draw_curves(
    curves: Mapping[str, Curve], title: str, x: str, y: str, logarithmic: bool = False
) -> bytes:
    """A PNG of one line for each name; a curve of one point is drawn as a dot.

    On a logarithmic scale of y, what is not above 0 is left out.
    """
    figure = Figure(SIZE, DPI, layout="constrained")
    axes = figure.add_subplot()
    for name, (xs, ys) in curves.items():
        axes.plot(xs, ys, label=_shorten(name), marker="o" if len(xs) < 2 else None)
    axes.set(title=title, xlabel=x, ylabel=y)
    if logarithmic and any(max(ys) > 0 for _, ys in curves.values()):
        axes.set_yscale("log", nonpositive="mask")
    axes.grid(alpha=0.3)
    if all(float(value).is_integer() for xs, _ in curves.values() for value in xs):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # half an epoch is none
    for text in axes.legend().get_texts():
        text.set_parse_math(False)  # names may come from outside, where "$" is a dollar
    return _write(figure)


def draw_points(
    labels: Sequence[str], xs: Sequence[float], ys: Sequence[float], title: str
) -> bytes:
    """A PNG with a labelled dot for each point."""
    figure = Figure((SIZE[0], SIZE[0]), DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(xs, ys, s=8)
    axes.margins(x=0.12)  # for the labels right of the dots
    for label, point in zip(labels, zip(xs, ys, strict=True), strict=True):
        axes.annotate(
            _shorten(label),
            point,
            (3, 2),
            textcoords="offset points",
            fontsize=7,
            parse_math=False,
            clip_on=True,  # else the axes shrink to make room for it
        )
    axes.set_title(title)
    axes.grid(alpha=0.3)
    return _write(figure)


def draw_matrix(
    shares: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, x: str, y: str
) -> bytes:
    """A PNG of shares (R, C) in [0, 1] as shades, with those above 0.5 % in percent."""
    size = (CELL * len(columns) + 3, CELL * len(rows) + 2.5)  # room for the labels
    figure = Figure(size, DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    for ticks, labels, turn in ((axes.set_xticks, columns, 90), (axes.set_yticks, rows, 0)):
        places = range(len(labels))
        ticks(places, [_shorten(one) for one in labels], rotation=turn, parse_math=False)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            shade = "white" if share > 0.5 else "black"
            percent = f"{100 * share:.0f}"
            axes.text(column, row, percent, color=shade, fontsize=8, ha="center", va="center")
    axes.set(title=title, xlabel=x, ylabel=y)
    return _write(figure)


def _shorten(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "\u2026"


def _write(figure: Figure) -> bytes:
    file = BytesIO()
    fonts = [font for font in FONTS if font in get_font_names()]
    with rc_context({"font.family": fonts}), catch_warnings():
        filterwarnings("ignore", "Glyph .* missing from font")  # drawn as a box, as everywhere
        figure.savefig(file, format="png")
    return file.getvalue()
