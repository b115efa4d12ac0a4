"""Writes the next generation of a collection's index, in a process of its own.

`python -m workers.faces.index.build COLLECTION_ID` brings the files on this machine up to what is
in SQL, and takes every trace of deleted faces out of them; of a collection that is gone nothing is
left. It can be killed at any moment: the old generation stays whole until the new one is, and what
is left over goes with the next build.
"""

import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import faiss
import numpy as np
import structlog
from sqlalchemy import bindparam, func, select

from shared.db import Sessions, db_now, insert_into, open_db
from shared.face_tables import Face, FaceCollection, FaceDeletion, FaceReplica
from shared.logs import configure_logs
from shared.sealing import Keyring, Tampered
from shared.settings import read_settings
from workers.faces.index.erase import erase_collection
from workers.faces.index.files import (
    LOCK,
    MANIFEST,
    Manifest,
    Place,
    lock,
    read_manifest,
    read_replica,
    write_manifest,
)
from workers.faces.index.follow import CollectionGone
from workers.faces.index.policy import plan_merges
from workers.faces.index.segment import SUFFIXES, SealedFace, Segment, write_segment

log = structlog.get_logger()

PAGE = 4096  # faces read from SQL at a time
NOTHING = Manifest(generation=0, seq=0, clean_seq=0, last_number=0, segments=[])

HEAD = select(FaceCollection.seq, FaceCollection.last_number).where(
    FaceCollection.id == bindparam("collection")
)
GONE = select(FaceDeletion.number).where(
    FaceDeletion.collection_id == bindparam("collection"), FaceDeletion.seq > bindparam("seq")
)
COUNT = select(func.count()).where(
    Face.collection_id == bindparam("collection"), Face.number > bindparam("number")
)
FACES = (
    select(Face.number, Face.subject_number, Face.embedding)
    .where(
        Face.collection_id == bindparam("collection"),
        Face.number > bindparam("number"),
        Face.number <= bindparam("last"),
    )
    .order_by(Face.number)
    .limit(PAGE)
)


def build(sessions: Sessions, place: Place, replica: str) -> None:
    """Bring the files up to SQL, unless another process is at it.

    Raises CollectionGone; Tampered if an embedding in SQL is not what was sealed.
    """
    with lock(place.folder) as ours:
        if not ours:
            return
        announce(sessions, place, replica)
        try:
            old = read_manifest(place) or NOTHING
            segments = [Segment.open(place, name) for name in old.segments]
            remove_others(place, old)
            new = write_generation(sessions, place, old, segments)
        except (Tampered, FileNotFoundError, CollectionGone) as error:  # or SQL is an older one
            log.error("index built anew", collection=place.collection_id, error=str(error))
            remove_others(place, NOTHING)
            new = write_generation(sessions, place, NOTHING, [])
        write_manifest(place, new)
        remove_others(place, new)
        record(sessions, place, replica, new.seq)
        write_manifest(place, replace(new, clean_seq=new.seq))


def write_generation(
    sessions: Sessions, place: Place, old: Manifest, segments: list[Segment]
) -> Manifest:
    """Write the segments that are new; the manifest that names them and those that stay."""
    span = {"collection": place.collection_id, "seq": old.seq, "number": old.last_number}
    with sessions.read() as session:
        head = session.execute(HEAD, span).one_or_none()
        gone = np.array(session.scalars(GONE, span).all(), np.int64)
        fresh = session.scalars(COUNT, span).one()
    if head is None or head.seq < old.seq:
        raise CollectionGone(f"Collection {place.collection_id} is not in SQL up to {old.seq}.")
    kept = [segment.erase(gone) for segment in segments]
    touched = [len(segment) < len(segment.numbers) for segment in kept]
    parts = [segment.faces() for segment in kept]
    parts.append(read_faces(sessions, place, old.last_number, head.last_number))
    names = []
    for run in plan_merges([*map(len, kept), fresh]):
        if len(run) == 1 and run[0] < len(kept) and not touched[run[0]]:
            names.append(kept[run[0]].name)
            continue
        name = secrets.token_hex(8)
        if write_segment(place, name, chain.from_iterable(parts[i] for i in run)):
            names.append(name)
    return Manifest(old.generation + 1, head.seq, old.clean_seq, head.last_number, names)


def read_faces(sessions: Sessions, place: Place, after: int, last: int) -> Iterator[SealedFace]:
    """The faces numbered after `after` up to `last` that are in SQL, in this order."""
    span = {"collection": place.collection_id, "number": after, "last": last}
    while True:
        with sessions.read() as session:
            page = session.execute(FACES, span).all()
        if not page:
            return
        yield from (SealedFace(*row) for row in page)
        span["number"] = page[-1].number


def remove_others(place: Place, manifest: Manifest) -> None:
    """Delete what does not belong to this generation."""
    own = {name + suffix for name in manifest.segments for suffix in SUFFIXES}
    own |= {MANIFEST, LOCK} if manifest.generation else {LOCK}
    for path in place.folder.iterdir():
        if path.name not in own:
            path.unlink()


def announce(sessions: Sessions, place: Place, replica: str) -> None:
    """Say that files will be here, before the first face is read: no receipt overlooks them."""
    row = {"collection_id": place.collection_id, "replica": replica, "seen_at": db_now()}
    with sessions.begin() as session:
        new = insert_into(session, FaceReplica).values(applied_seq=0, clean_seq=0, **row)
        session.execute(new.on_conflict_do_nothing())


def record(sessions: Sessions, place: Place, replica: str, seq: int) -> None:
    """Tell everybody how far the files of this machine are."""
    values = {"applied_seq": seq, "clean_seq": seq, "seen_at": db_now()}
    with sessions.begin() as session:
        row = insert_into(session, FaceReplica).values(
            collection_id=place.collection_id, replica=replica, **values
        )
        session.execute(
            row.on_conflict_do_update(index_elements=["collection_id", "replica"], set_=values)
        )


def main(collection_id: str) -> None:
    os.nice(10)  # searches go first
    settings = read_settings()
    configure_logs(settings.log_level)
    faiss.omp_set_num_threads(1)
    sessions = open_db(settings.database, pool_size=1)
    faces = settings.faces
    with sessions.read() as session:
        collection = session.get(FaceCollection, collection_id)
    if collection is None:
        erase_collection(collection_id, faces, sessions)
    else:
        key = Keyring(settings, sessions).key(collection.tenant)
        place = Place(faces / collection_id, collection_id, collection.dimensions, key)
        build(sessions, place, read_replica(faces))


if __name__ == "__main__":
    main(sys.argv[1])
