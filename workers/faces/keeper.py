"""The thread that keeps a worker's indexes up to date while nobody searches, and ends retention."""

import threading

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from shared.blobs import Blobs
from shared.db import Sessions, db_now
from shared.face_tables import Face
from shared.sealing import Keyring
from workers.faces.audit import Actor
from workers.faces.deletion import delete_faces, erase_pictures, find_expired, settle_receipts
from workers.faces.gallery import Collection, read_collection
from workers.faces.indexes import Indexes
from workers.faces.refusals import UnknownCollection, UnknownFace

log = structlog.get_logger()

DELETE_AT_ONCE = 5000  # expired faces of a collection, each tick
TICK = 1.0  # seconds; how soon a deleted face is out of the memory of every process


class Keeper(threading.Thread):
    """Daemon: it ends with its process, and whatever it was doing is done again later."""

    def __init__(
        self, sessions: Sessions, keyring: Keyring, indexes: Indexes, blobs: Blobs
    ) -> None:
        super().__init__(name="faces-keeper", daemon=True)
        self.sessions, self.keyring = sessions, keyring
        self.indexes, self.blobs = indexes, blobs
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(TICK):
            try:
                self.tick()
            except Exception:  # a thread that ended would keep deleted faces for ever
                log.exception("faces not tended")

    def tick(self) -> None:
        self.indexes.tend()
        delete_expired(self.sessions, self.keyring)
        erase_pictures(self.sessions, self.blobs)
        try:
            settle_receipts(self.sessions)
        except SQLAlchemyError as error:  # another process is at it, or busy: next time
            log.info("receipts not settled yet", error=str(error))


def delete_expired(sessions: Sessions, keyring: Keyring) -> int:
    """Delete the faces whose consent or retention has ended; how many."""
    with sessions.read() as session:
        collections = [read_collection(session, name) for name in find_expired(session)]
    return sum(
        _delete_of(sessions, keyring, collection) for collection in filter(None, collections)
    )


def _delete_of(sessions: Sessions, keyring: Keyring, collection: Collection) -> int:
    """A part of them at a time: one long transaction would hold up every other writer."""
    actor = Actor(collection.tenant)
    over = Face.number.in_(
        select(Face.number)
        .where(Face.collection_id == collection.id, Face.expires_at <= db_now())
        .limit(DELETE_AT_ONCE)
    )
    try:
        key = keyring.key(collection.tenant)
        with sessions.begin() as session:
            return delete_faces(session, key, actor, collection, over, "retention").faces
    except (UnknownCollection, UnknownFace):
        return 0  # somebody else was quicker
    except Exception:  # the faces of other collections must not stay because of it
        log.exception("expired faces not deleted", collection=collection.id)
        return 0
