"""Runs a measurement: `python -m bench overhead --quick`."""

import os
import sys
from importlib import import_module
from pathlib import Path

from bench.options import read_options
from bench.report import read_machine, show, write_report

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"


def main() -> None:
    options = read_options()
    # The echo worker of the tests; before `workers` is imported, here and in every process started.
    plugins = str(ROOT / "tests" / "plugins")
    sys.path.append(plugins)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [plugins, os.getenv("PYTHONPATH")]))
    os.environ["OMP_NUM_THREADS"] = "1"
    machine = read_machine()  # first, for the load that others put on it
    report = import_module(f"bench.{options.name}").run(options)
    show(report)
    path = write_report(report, machine, RESULTS, quick=options.quick)
    print(f"Written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
