"""Sealed bytes open for their tenant, in their place, unchanged; nothing else does."""

import base64
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from shared.db import Sessions
from shared.sealing import (
    OVERHEAD,
    Keyring,
    Tampered,
    TenantKey,
    WrongMasterKey,
    open_fields,
    read_master_key,
    seal_fields,
)
from shared.settings import Settings
from shared.tables import SealedKey

KEY, OTHER = TenantKey(bytes(32)), TenantKey(bytes([1]) * 32)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def make_master_key(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


@given(st.binary(), st.binary())
def test_what_was_sealed_opens_and_is_longer_by_the_overhead(content: bytes, context: bytes):
    sealed = KEY.seal(content, context)
    assert KEY.open(sealed, context) == content
    assert len(sealed) == len(content) + OVERHEAD


@given(st.binary(max_size=40), st.data())
def test_one_changed_bit_is_noticed(content: bytes, data: st.DataObject):
    sealed = bytearray(KEY.seal(content, b"here"))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered):
        KEY.open(bytes(sealed), b"here")


@pytest.mark.parametrize("length", [0, 1, OVERHEAD - 1, OVERHEAD, 40])
def test_a_part_of_what_was_sealed_does_not_open(length: int):
    with pytest.raises(Tampered):
        KEY.open(KEY.seal(b"twenty-eight bytes and more", b"")[:length], b"")


def test_sealed_bytes_open_in_no_other_place_and_with_no_other_key():
    sealed = KEY.seal(b"face", b"face/1")
    for key, context in ((KEY, b"face/2"), (OTHER, b"face/1")):
        with pytest.raises(Tampered):
            key.open(sealed, context)


def test_sealing_twice_gives_other_bytes():
    """A nonce used again would give the key stream away."""
    assert len({KEY.seal(b"same", b"")[:12] for _ in range(100)}) == 100


def test_only_the_same_key_signs_alike():
    assert KEY.sign(b"line") == TenantKey(bytes(32)).sign(b"line")
    assert len({KEY.sign(b"line"), OTHER.sign(b"line"), KEY.sign(b"lime")}) == 3


@given(st.dictionaries(st.sampled_from("abc"), JSON))
def test_fields_come_back_as_they_were(values: dict[str, object]):
    sealed = seal_fields(KEY, "job", values, ["a", "b"])
    assert open_fields(KEY, "job", sealed, ["a", "b"]) == values
    for name in values.keys() & {"a", "b"}:
        assert sealed[name] is None if values[name] is None else list(sealed[name]) == ["sealed"]
    assert {name: sealed[name] for name in values if name == "c"} == {
        name: values[name] for name in values if name == "c"
    }


def test_a_field_opens_for_no_other_job_and_under_no_other_name():
    sealed = seal_fields(KEY, "job", {"a": [1.0]}, ["a"])
    with pytest.raises(Tampered):
        open_fields(KEY, "another", sealed, ["a"])
    with pytest.raises(Tampered):
        open_fields(KEY, "job", {"b": sealed["a"]}, ["b"])


@pytest.mark.parametrize(
    "value", [[0.5], "text", 7, {}, {"sealed": None}, {"sealed": "no base64!"}, {"sealed": ""}]
)
def test_a_field_that_was_never_sealed_is_not_believed(value: object):
    with pytest.raises(Tampered):
        open_fields(KEY, "job", {"a": value}, ["a"])


def test_each_tenant_has_a_key_of_its_own_that_lasts(sessions: Sessions, tmp_path: Path):
    settings = Settings(home=tmp_path)
    first, again = (Keyring(settings, sessions) for _ in range(2))
    sealed = first.key("ann").seal(b"face", b"")
    assert again.key("ann").open(sealed, b"") == b"face"
    with pytest.raises(Tampered):
        again.key("bob").open(sealed, b"")
    with sessions.read() as session:
        assert session.scalar(select(func.count()).select_from(SealedKey)) == 2


def test_threads_that_ask_at_once_get_one_key(sessions: Sessions, tmp_path: Path):
    keyrings = [Keyring(Settings(home=tmp_path), sessions) for _ in range(4)]
    barrier, signed = threading.Barrier(4), []

    def ask(keyring: Keyring) -> None:
        barrier.wait()
        signed.append(keyring.key("ann").sign(b"x"))

    threads = [threading.Thread(target=ask, args=[keyring]) for keyring in keyrings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signed) == 4
    assert len(set(signed)) == 1


def test_the_database_holds_no_key_in_clear(sessions: Sessions, tmp_path: Path):
    keyring = Keyring(Settings(home=tmp_path, master_key=make_master_key(1)), sessions)
    sealed = keyring.key("ann").seal(b"face", b"")
    with sessions.read() as session:
        stored = session.get_one(SealedKey, "ann").sealed
    assert len(stored) == 32 + OVERHEAD
    with pytest.raises(Tampered):
        TenantKey(stored[12:44]).open(sealed, b"")


def test_another_master_key_is_refused_with_the_way_out(sessions: Sessions, tmp_path: Path):
    Keyring(Settings(home=tmp_path, master_key=make_master_key(1)), sessions).key("ann")
    wrong = Keyring(Settings(home=tmp_path, master_key=make_master_key(2)), sessions)
    with pytest.raises(WrongMasterKey, match="ATELIER_MASTER_KEY"):
        wrong.key("ann")


def test_a_key_moved_to_another_tenant_does_not_open(sessions: Sessions, tmp_path: Path):
    settings = Settings(home=tmp_path)
    keyring = Keyring(settings, sessions)
    keyring.key("ann")
    keyring.key("bob")
    with sessions.begin() as session:
        stolen = session.get_one(SealedKey, "ann").sealed
        session.execute(update(SealedKey).where(SealedKey.tenant == "bob").values(sealed=stolen))
    with pytest.raises(WrongMasterKey):
        Keyring(settings, sessions).key("bob")


@pytest.mark.parametrize(
    "key", ["short", "=", "é" * 32, base64.b64encode(bytes(31)).decode(), "A" * 45]
)
def test_a_master_key_of_another_size_is_refused_with_the_way_out(key: str, tmp_path: Path):
    with pytest.raises(WrongMasterKey, match="openssl rand -base64 32"):
        read_master_key(Settings(home=tmp_path, master_key=key))
    assert not (tmp_path / "master.key").exists()


def test_a_master_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path):
    settings = Settings(home=tmp_path / "new")
    key = read_master_key(settings)
    assert len(key) == 32
    assert read_master_key(settings) == key
    path = tmp_path / "new" / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["master.key"]


def test_processes_that_start_at_once_get_one_master_key(tmp_path: Path):
    barrier, keys = threading.Barrier(8), []

    def read() -> None:
        barrier.wait()
        keys.append(read_master_key(Settings(home=tmp_path)))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
