"""Ports are free, stay the same, and give way to others."""

import socket

import pytest

from services.local.errors import StackError
from services.local.ports import choose_port, claim_port

HERE = "127.0.0.1"


@pytest.fixture
def busy_port():
    with socket.socket() as server:
        server.bind((HERE, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_chosen_port_can_be_bound():
    port = choose_port(HERE, None)
    with socket.socket() as server:
        server.bind((HERE, port))


def test_a_free_port_is_kept():
    port = choose_port(HERE, None)
    assert choose_port(HERE, port) == port


def test_a_port_taken_by_somebody_else_is_given_up(busy_port):
    assert choose_port(HERE, busy_port) != busy_port


def test_one_stack_does_not_use_a_port_twice():
    port = choose_port(HERE, None)
    assert choose_port(HERE, port, frozenset({port})) != port


def test_a_requested_port_that_is_taken_is_an_error_that_says_what_to_do(busy_port):
    with pytest.raises(
        StackError, match=rf"Port {busy_port} .*another program has it.*ATELIER_PORT"
    ):
        claim_port(HERE, busy_port)


def test_an_address_of_another_machine_is_an_error():
    with pytest.raises(StackError, match="not an address of this machine"):
        claim_port("192.0.2.1", 20_000)  # reserved for documentation
