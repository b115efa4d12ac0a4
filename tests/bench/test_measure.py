"""The arithmetic of a measurement: percentiles, processor time, medians, the written report."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import drift, middle, percentile, read_cpu, run_load
from bench.report import Report, read_machine, write_report

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
numbers = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


@given(numbers, st.floats(0, 100))
def test_a_percentile_is_a_value_that_enough_values_do_not_exceed(values, rank):
    found = percentile(values, rank)
    assert found in values
    assert sum(value <= found for value in values) >= rank / 100 * len(values)
    assert sum(value < found for value in values) < max(1, rank / 100 * len(values))


def test_processor_time_of_a_tree_counts_children_alive_and_ended():
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    script = child.format(seconds=0.3) + "\nprint(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        used = read_cpu([process.pid])
        process.communicate("\n")
    assert 0.25 < used < 5


def test_processor_time_does_not_pass_while_a_process_sleeps():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        time.sleep(0.3)
        first = read_cpu([process.pid])
        time.sleep(0.2)
        assert read_cpu([process.pid]) == first
        process.communicate(b"\n")


def test_a_load_counts_finished_jobs_and_reports_failed_ones():
    turns = iter(range(10**6))

    def ask(_: httpx2.Client) -> None:
        time.sleep(0.005)
        if next(turns) % 10 == 0:
            raise RuntimeError("no")

    cell = run_load(ask, "http://127.0.0.1:9", {}, clients=2, seconds=0.5, warm_up=0.1)
    assert 5 < len(cell.latencies) <= 2 * cell.seconds / 0.005
    assert cell.milliseconds(50) >= 5
    assert cell.errors[0] == "RuntimeError('no')"
    assert cell.jobs_per_second == pytest.approx(len(cell.latencies) / cell.seconds)


def test_a_load_that_gets_nothing_done_is_an_error():
    def ask(_: httpx2.Client) -> None:
        raise RuntimeError("down")

    with pytest.raises(RuntimeError, match="down"):
        run_load(ask, "http://127.0.0.1:9", {}, clients=1, seconds=0.2, warm_up=0)


def test_the_middle_of_repeats_is_their_median_and_needs_all_of_them():
    rows = [{"a": 1.0, "b": 2.0}, {"a": 5.0, "b": None}, {"a": 3.0, "b": 4.0}]
    assert middle(rows) == {"a": 3.0, "b": None}


def test_drift_is_relative_to_the_first_measurement():
    assert drift(10.0, 8.0) == pytest.approx(0.2)


def test_a_report_is_written_with_its_machine_and_a_quick_one_beside_it(tmp_path: Path):
    report = Report("speed", ("n",), [{"n": 1.23456}], ["met: all"], [{"n": 1.0}, {"n": None}])
    machine = read_machine()
    written = json.loads(write_report(report, machine, tmp_path, quick=False).read_text())
    assert written["rows"] == [{"n": 1.235}]
    assert written["cells"] == [{"n": 1.0}, {"n": None}]
    assert {"cpu", "cores", "memory_gib", "torch", "commit", "date"} <= set(written["machine"])
    write_report(report, machine, tmp_path, quick=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speed-quick.json", "speed.json"]
