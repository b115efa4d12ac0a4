"""A network runs where it was told to."""

from workers.runtime.devices import choose_device


def test_a_named_device_is_taken_as_it_is():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("cuda:1").index == 1
