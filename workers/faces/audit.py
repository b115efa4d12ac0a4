"""The audit log of faces: append-only, each line signed over the one before it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.face_tables import FaceAudit, FaceAuditHead
from shared.sealing import TenantKey

# Built once: making a statement costs more than running it, and every search writes a line.
HEADS, LINES = cast(Table, FaceAuditHead.__table__), cast(Table, FaceAudit.__table__)
NEXT = {
    name: make(HEADS)
    .values(tenant=bindparam("tenant"), position=1, digest="")
    .on_conflict_do_update(index_elements=["tenant"], set_={"position": HEADS.c.position + 1})
    .returning(HEADS.c.position, HEADS.c.digest, db_now().label("at"))
    for name, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
WRITE = insert(LINES)
MOVE = update(HEADS).where(HEADS.c.tenant == bindparam("whose")).values(digest=bindparam("newest"))


@dataclass(frozen=True)
class Actor:
    """On whose behalf something is done; retention has neither key nor job."""

    tenant: str
    key_id: int | None = None
    job_id: str | None = None


def append_line(
    session: Session,
    key: TenantKey,
    actor: Actor,
    action: str,
    collection: str | None,
    detail: Mapping[str, Any],
) -> None:
    """Add a line in the transaction of what it tells of. It holds no name and no embedding."""
    connection = session.connection()
    # This row's lock is held to the end of the transaction: lines have one order.
    head = connection.execute(NEXT[connection.dialect.name], {"tenant": actor.tenant}).one()
    line = {
        "tenant": actor.tenant,
        "position": head.position,
        "at": head.at,
        "key_id": actor.key_id,
        "job_id": actor.job_id,
        "action": action,
        "collection": collection,
        "detail": dict(detail),
    }
    digest = sign_line(key, head.digest, line)
    connection.execute(WRITE, {**line, "digest": digest})
    connection.execute(MOVE, {"whose": actor.tenant, "newest": digest})


def sign_line(key: TenantKey, before: str, line: Mapping[str, Any]) -> str:
    """The digest of a line: HMAC-SHA256 over the digest before it and its canonical JSON."""
    return key.sign(f"{before}\n{json.dumps(line, sort_keys=True)}".encode())


def read_lines(session: Session, tenant: str, after: int, limit: int) -> list[FaceAudit]:
    return list(
        session.scalars(
            select(FaceAudit)
            .where(FaceAudit.tenant == tenant, FaceAudit.position > after)
            .order_by(FaceAudit.position)
            .limit(limit)
        )
    )


def check_page(
    session: Session, key: TenantKey, tenant: str, after: int, lines: Sequence[FaceAudit]
) -> int | None:
    """The first of the lines behind `after` at which the chain does not hold.

    Without lines: whether it ends there, at its head. Pages that follow one another and an empty
    one at the end are the whole chain.
    """
    before = session.get(FaceAudit, (tenant, after))
    position, digest = after, before.digest if before else ""
    for line in lines:
        position += 1
        digest = sign_line(key, digest, _read_line(line))
        if line.position != position or line.digest != digest:
            return position
    if lines:
        return None
    head = session.get(FaceAuditHead, tenant)
    expected = (head.position, head.digest) if head else (0, "")
    return None if (position, digest) == expected or after > expected[0] else position + 1


def _read_line(line: FaceAudit) -> dict[str, Any]:
    names = ("tenant", "position", "at", "key_id", "job_id", "action", "collection", "detail")
    return {name: getattr(line, name) for name in names}
