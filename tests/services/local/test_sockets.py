"""The socket of supervisor fits where it is put."""

import socket
import stat
from pathlib import Path

from services.local.sockets import NAME, fits, place_socket, remove_socket


def test_the_socket_is_in_the_state_folder(tmp_path: Path):
    assert place_socket(tmp_path) == tmp_path / NAME


def test_a_deep_folder_gets_a_short_private_path_that_can_be_bound(tmp_path: Path):
    home = tmp_path / ("deep" * 30)
    home.mkdir()
    path = place_socket(home)
    try:
        assert fits(path)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{path}.1234567")
        Path(f"{path}.1234567").unlink()
    finally:
        remove_socket(path, home)
    assert not path.parent.exists()


def test_removing_a_socket_leaves_the_state_folder(tmp_path: Path):
    path = place_socket(tmp_path)
    path.touch()
    remove_socket(path, tmp_path)
    assert list(tmp_path.iterdir()) == []
