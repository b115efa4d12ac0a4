"""What a job is told whose names nobody knows."""

import pytest

from workers.runtime.near_names import find_places, tell_near
from workers.runtime.run import InvalidInput


def test_names_that_are_alike_are_proposed_and_are_not_taken_for_all() -> None:
    assert tell_near(["Polo"], ["Sky", "Pole", "Road"]) == "Did you mean Pole?"
    assert tell_near(["rod", "sly"], ["sky", "road"]) == "Did you mean road, sky?"


def test_where_none_is_alike_the_first_ones_are_named() -> None:
    assert tell_near(["zzz"], ["Sky", "Pole"]) == "There are Sky, Pole."
    many = [f"class {number}" for number in range(102)]
    assert tell_near(["zzz"], many).endswith(", class 98, class 99 and 2 more.")


def test_places_are_those_of_the_known_names() -> None:
    assert find_places(["b", "a"], ["a", "b"]) == [1, 0]
    with pytest.raises(InvalidInput, match=r"no class 'c'\. There are a, b\."):
        find_places(["c"], ["a", "b"])
