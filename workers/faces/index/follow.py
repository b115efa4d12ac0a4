"""Reads what changed in a collection from SQL, so that an index can follow it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from shared.db import Sessions
from shared.face_tables import Face, FaceCollection, FaceDeletion
from workers.faces.index.backend import Changes, VectorBackend

PAGE = 4096  # changes read at a time: 4 MB of sealed embeddings at 512-d

SEQ = select(FaceCollection.seq).where(FaceCollection.id == bindparam("collection"))


class CollectionGone(LookupError):
    """The collection is not in the database, or is older there than what was seen of it."""


def _find_first_beyond(table: type[Face | FaceDeletion]) -> Select[int]:
    """The `seq` of the first change that does not fit on the page."""
    return (
        select(table.seq)
        .where(table.collection_id == bindparam("collection"), table.seq > bindparam("after"))
        .order_by(table.seq)
        .offset(bindparam("limit"))
        .limit(1)
    )


def _select(table: type[Face | FaceDeletion], *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .where(
            table.collection_id == bindparam("collection"),
            table.seq > bindparam("after"),
            table.seq <= bindparam("upto"),
        )
        .order_by(table.seq, table.number)
    )


BEYOND = (_find_first_beyond(Face), _find_first_beyond(FaceDeletion))
ADDED = _select(Face, Face.number, Face.subject_number, Face.embedding)
DELETED = _select(FaceDeletion, FaceDeletion.number)


def read_changes(
    session: Session, collection_id: str, after_seq: int, limit: int = PAGE
) -> Changes:
    """The next changes after `after_seq`, about `limit` of them, never half a transaction.

    The session has to be one snapshot (`Sessions.read`). Of a face that was deleted since, only
    the deletion is left, with the `seq` of its own. Raises CollectionGone.
    """
    seq = session.scalar(SEQ, {"collection": collection_id})
    if seq is None or seq < after_seq:
        raise CollectionGone(
            f"Collection {collection_id} is not in the database up to {after_seq}."
        )
    span = {"collection": collection_id, "after": after_seq, "limit": limit}
    for query in BEYOND:
        beyond = session.scalar(query, span)
        if beyond is not None:  # a page holds one transaction at least, however large
            seq = min(seq, max(beyond - 1, after_seq + 1))
    span = {"collection": collection_id, "after": after_seq, "upto": seq}
    added = session.execute(ADDED, span).all()
    return Changes(
        seq=seq,
        numbers=_to_array([row.number for row in added]),
        subjects=_to_array([row.subject_number for row in added]),
        sealed=[row.embedding for row in added],
        deleted=_to_array(session.scalars(DELETED, span).all()),
    )


def catch_up(
    sessions: Sessions, collection_id: str, backend: VectorBackend, target_seq: int
) -> None:
    """Let the index follow up to `target_seq` at least; raises CollectionGone, Tampered."""
    while backend.applied_seq < target_seq:
        with sessions.read() as session:
            changes = read_changes(session, collection_id, backend.applied_seq)
        if changes.seq == backend.applied_seq:
            raise CollectionGone(f"Collection {collection_id} has not come to {target_seq}.")
        backend.apply(changes)


def _to_array(values: Sequence[int]) -> np.ndarray:
    return np.array(values, np.int64)
