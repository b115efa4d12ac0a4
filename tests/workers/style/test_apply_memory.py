"""What painting in one pass may take of the memory."""

import pytest

from workers.style.apply_memory import measure_pass
from workers.style.one_pass import OnePassConfig


@pytest.mark.parametrize(
    ("width", "size", "measured"),
    [
        (8, (2048, 2048), 465),
        (16, (2048, 2048), 783),
        (32, (1024, 1024), 366),
        (32, (1920, 1080), 729),
        (32, (2048, 2048), 1423),
        (64, (1024, 1024), 686),
    ],
)
def test_a_pass_takes_what_was_measured_and_not_much_less(width, size, measured):
    """MB at the peak beyond those before, of the resident set, on one core."""
    assert measured < measure_pass(OnePassConfig(width), *size) / 2**20 < 1.6 * measured
