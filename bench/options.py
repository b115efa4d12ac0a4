"""What the command line says about a measurement."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUICK_SECONDS, QUICK_REPEATS = 2.0, 1


@dataclass(frozen=True)
class Options:
    name: str
    quick: bool
    seconds: float  # of one cell, warm-up not included
    repeats: int
    only: tuple[str, ...]  # which servers; empty: all
    data: Path | None  # a data set that does not come with the product

    @property
    def warm_up(self) -> float:
        """Seconds of load before a cell counts."""
        return min(5.0, max(1.0, self.seconds / 4))


def list_benchmarks() -> list[str]:
    """The modules of this folder that have a `run`."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return [module.stem for module in modules if "\ndef run(" in module.read_text()]


def read_options(arguments: Sequence[str] | None = None) -> Options:
    parser = ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("name", choices=list_benchmarks())
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--seconds", type=float, help="length of one cell (15)")
    parser.add_argument("--repeats", type=int, help="how often each cell is measured (3)")
    parser.add_argument("--only", default="", help="servers to measure, comma-separated")
    parser.add_argument("--data", type=Path, help="folder with the data set, where one is needed")
    given = parser.parse_args(arguments)
    return Options(
        name=given.name,
        quick=given.quick,
        seconds=given.seconds or (QUICK_SECONDS if given.quick else 15.0),
        repeats=given.repeats or (QUICK_REPEATS if given.quick else 3),
        only=tuple(filter(None, given.only.split(","))),
        data=given.data,
    )
