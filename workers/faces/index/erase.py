"""Removes what this machine keeps of a collection that was deleted."""

import shutil
from pathlib import Path

from sqlalchemy import delete

from shared.db import Sessions
from shared.face_tables import FaceReplica
from workers.faces.index.files import lock, read_replica


def erase_collection(collection_id: str, faces_folder: Path, sessions: Sessions) -> bool:
    """Delete its snapshots, and then the row that says they are here; False: a build is at it."""
    folder = faces_folder / collection_id
    if folder.exists():
        with lock(folder) as ours:
            if not ours:
                return False
            shutil.rmtree(folder)
    with sessions.begin() as session:
        session.execute(
            delete(FaceReplica).where(
                FaceReplica.collection_id == collection_id,
                FaceReplica.replica == read_replica(faces_folder),
            )
        )
    return True
