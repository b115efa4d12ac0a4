"""Encryption at rest: an AES-256 key for each tenant, itself sealed with the master key."""

import base64
import binascii
import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Text, cast, select, update
from sqlalchemy.orm import Session

from shared.db import Sessions, insert_into
from shared.settings import Settings
from shared.tables import Job, SealedKey

NONCE = 12  # bytes
OVERHEAD = NONCE + 16  # bytes that sealing adds: the nonce before, the tag after
KEY = 32
JOBS_AT_ONCE = 1000  # of one query: databases limit its parameters


class Tampered(Exception):
    """Sealed bytes were changed, belong elsewhere or were sealed with another key."""


class WrongMasterKey(Exception):
    """The master key is not usable, or not the one the tenants' keys were sealed with."""


class TenantKey:
    """Seals bytes for one tenant (AES-256-GCM, NIST SP 800-38D)."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._key = key

    def seal(self, content: bytes, context: bytes) -> bytes:
        """Nonce, ciphertext and tag; only `open` with the same context gives `content` back."""
        nonce = secrets.token_bytes(NONCE)
        return nonce + self._cipher.encrypt(nonce, content, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed. Raises Tampered."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], context)
        except (InvalidTag, ValueError) as error:
            raise Tampered("Sealed data was changed or is not this tenant's.") from error

    def sign(self, content: bytes) -> str:
        """A keyed digest (HMAC-SHA256) in hexadecimal, for chains that nobody else can forge."""
        return hmac.digest(self._key, content, "sha256").hex()


class Keyring:
    """The tenants' keys, made at first use and kept sealed in the database."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._master = TenantKey(read_master_key(settings))
        self._sessions = sessions
        self._keys: dict[str, TenantKey] = {}
        self._lock = threading.Lock()

    def key(self, tenant: str) -> TenantKey:
        """Not inside a transaction: a tenant's first key is written in one of its own.

        Raises WrongMasterKey if the stored key was sealed with another master key."""
        with self._lock:
            if tenant not in self._keys:
                self._keys[tenant] = self._load(tenant)
            return self._keys[tenant]

    def _load(self, tenant: str) -> TenantKey:
        with self._sessions.read() as session:
            row = session.get(SealedKey, tenant)
        if row is None:
            with self._sessions.begin() as session:
                row = self._make(session, tenant)
        try:
            return TenantKey(self._master.open(row.sealed, tenant.encode()))
        except Tampered as error:
            raise WrongMasterKey(
                f"The key of tenant {tenant} was sealed with another master key. Set "
                "ATELIER_MASTER_KEY to the one this database was used with before."
            ) from error

    def _make(self, session: Session, tenant: str) -> SealedKey:
        """This tenant's row; of two processes that make it at once, the first one's."""
        sealed = self._master.seal(secrets.token_bytes(KEY), tenant.encode())
        row = insert_into(session, SealedKey).values(tenant=tenant, sealed=sealed)
        session.execute(row.on_conflict_do_nothing())
        return session.get_one(SealedKey, tenant)


def read_master_key(settings: Settings) -> bytes:
    """32 bytes from ATELIER_MASTER_KEY, or from `master.key` in home, which is made once.

    Raises WrongMasterKey if it is not 32 bytes in base64.
    """
    text = settings.master_key or _read_key_file(settings.home / "master.key")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        raise WrongMasterKey(
            f"ATELIER_MASTER_KEY has to be {KEY} random bytes in base64: `openssl rand -base64 32`."
        )
    return key


def _read_key_file(path: Path) -> str:
    if not path.exists():
        _make_key_file(path)
    return path.read_text()


def _make_key_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".master.key.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY)).decode())
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):  # of two processes that start at once, the first one's
        os.link(part, path)
    part.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # a key that a power cut took away would take every face with it
    os.close(folder)


def seal_fields(
    key: TenantKey, job_id: str, values: dict[str, Any], names: Iterable[str]
) -> dict[str, Any]:
    """A job's JSON with these fields sealed; None stays None."""
    sealed = dict(values)
    for name in names:
        if sealed.get(name) is not None:
            content = key.seal(json.dumps(sealed[name]).encode(), _field_context(job_id, name))
            sealed[name] = {"sealed": base64.b64encode(content).decode()}
    return sealed


def open_fields(
    key: TenantKey, job_id: str, values: dict[str, Any], names: Iterable[str]
) -> dict[str, Any]:
    """The JSON that `seal_fields` was given. Raises Tampered."""
    opened = dict(values)
    for name in names:
        if opened.get(name) is not None:
            content = key.open(_read_sealed(opened[name]), _field_context(job_id, name))
            opened[name] = json.loads(content)
    return opened


def forget_fields(session: Session, job_ids: Sequence[str]) -> None:
    """Take what is sealed out of the requests of those jobs that have ended."""
    for start in range(0, len(job_ids), JOBS_AT_ONCE):
        ended = session.execute(
            select(Job.id, Job.request).where(
                Job.id.in_(job_ids[start : start + JOBS_AT_ONCE]),
                Job.finished_at.is_not(None),
                cast(Job.request, Text).contains('{"sealed":'),
            )
        ).all()
        for job_id, request in ended:
            kept = {name: None if _is_sealed(value) else value for name, value in request.items()}
            session.execute(update(Job).where(Job.id == job_id).values(request=kept))


def _is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["sealed"]


def _read_sealed(value: Any) -> bytes:
    try:
        return base64.b64decode(value["sealed"], validate=True)
    except (TypeError, KeyError, ValueError) as error:
        raise Tampered("A field that has to be sealed is not.") from error


def _field_context(job_id: str, name: str) -> bytes:
    return f"job/{job_id}/{name}".encode()
