"""API keys: made, found, rotated and revoked; only a digest of the secret is stored."""

import hashlib
import hmac
import secrets

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.tables import ApiKey

PREFIX_LENGTH = 12


def create_key(
    session: Session,
    tenant: str,
    name: str,
    scopes: list[str],
    expires_at: float | None = None,
) -> str:
    """Store a new key and return its text, which nobody can see again."""
    prefix, secret = secrets.token_hex(PREFIX_LENGTH // 2), secrets.token_urlsafe(32)
    text = f"atl_{prefix}_{secret}"
    session.add(
        ApiKey(
            prefix=prefix,
            digest=_digest(text),
            tenant=tenant,
            name=name,
            scopes=scopes,
            created_at=session.scalar(select(db_now())),
            expires_at=expires_at,
        )
    )
    return text


def find_key(session: Session, text: str) -> ApiKey | None:
    """The valid key behind `text`; None if it is unknown, expired or revoked."""
    parts = text.split("_", 2)
    if len(parts) != 3 or parts[0] != "atl" or len(parts[1]) != PREFIX_LENGTH:
        return None
    if not (text.isascii() and text.isprintable()):  # PostgreSQL would refuse a NUL
        return None
    row = session.execute(
        select(ApiKey, db_now().label("now")).where(ApiKey.prefix == parts[1])
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.ApiKey.digest, _digest(text)):
        return None
    key: ApiKey = row.ApiKey
    ends = [at for at in (key.expires_at, key.revoked_at) if at is not None]
    return None if any(at <= row.now for at in ends) else key


def list_keys(session: Session) -> list[ApiKey]:
    return list(session.scalars(select(ApiKey).order_by(ApiKey.id)))


def revoke_key(session: Session, key_id: int) -> bool:
    """True if there was such a key and it was not revoked yet."""
    revoked = session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=db_now())
        .returning(ApiKey.id)
    )
    return revoked.first() is not None


def rotate_key(session: Session, key_id: int, grace: float) -> str:
    """A new key with the same rights; the old one ends in `grace` seconds.

    Raises LookupError if there is no such key.
    """
    old = session.get(ApiKey, key_id)
    now = session.scalar(select(db_now())) or 0.0
    if old is None or old.revoked_at is not None or (old.expires_at or now + 1) <= now:
        raise LookupError(f"There is no key {key_id} in use. `atelier keys list` shows them.")
    text = create_key(session, old.tenant, old.name, old.scopes, old.expires_at)
    old.expires_at = min(now + grace, old.expires_at or now + grace)
    return text


def _digest(text: str) -> str:
    # The secret has 256 random bits: a slow password hash would add nothing.
    return hashlib.sha256(text.encode()).hexdigest()
