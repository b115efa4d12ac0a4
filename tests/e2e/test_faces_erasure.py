"""What is deleted is on no disk any more once its receipt says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from shared.db import open_db
from shared.face_tables import Face, FaceCollection
from shared.sealing import Keyring
from shared.settings import Settings, read_settings
from shared.weights import locate
from tests.chaos.faces import COLLECTION, CONSENT, TENANT, run_job, seed_faces
from tests.e2e.stack import Site, run_site, wait_for
from workers.faces.index.backend import open_vector

GALLERY = 90_000  # so many that the index has segments on disk
PURGE_WITHIN = 4.0  # seconds


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("erasure") / "home"
    weights = read_settings().weights
    with run_site(home, 1, "faces", purge_within=PURGE_WITHIN, weights_dir=weights) as site:
        ask(site, "create")
        seed_faces(Settings(home=home), GALLERY)
        wait_for(lambda: ask(site, "stats")["index"]["segments"], "segments on disk")
        yield site


def ask(site: Site, method: str, **request: Any) -> dict[str, Any]:
    job = run_job(site.client, f"faces.{method}", {"collection": COLLECTION, **request})
    assert job["state"] == "succeeded", job["error"]
    result: dict[str, Any] = job["result"]
    return result


def wait_until_purged(site: Site, receipt: str) -> None:
    def purged() -> bool:
        job = run_job(site.client, "faces.receipt", {"receipt": receipt})
        return bool(job["result"]["state"] == "purged")

    wait_for(purged, "the receipt", patience=60)


def read_face(site: Site, number: int) -> tuple[bytes, np.ndarray]:
    """A face as SQL keeps it, and in clear."""
    sessions = open_db(site.database)
    with sessions.read() as session:
        collection_id = session.scalar(select(FaceCollection.id))
        sealed = session.scalar(select(Face.embedding).where(Face.number == number))
    assert sealed
    key = Keyring(Settings(home=site.stack.home), sessions).key(TENANT)
    vector = open_vector(key, str(collection_id), number, sealed)
    sessions.engine.dispose()
    return sealed, vector


def list_needles(sealed: bytes, vector: np.ndarray) -> dict[str, bytes]:
    """The forms in which an embedding could have been kept."""
    return {
        "sealed": sealed,
        "float16": vector.astype("<f2").tobytes(),
        "float32": vector.astype("<f4").tobytes(),
        "float64": vector.astype("<f8").tobytes(),
        "JSON": json.dumps(vector[:3].astype(float).tolist())[1:-1].encode(),
    }


def find_files(site: Site, needle: bytes) -> list[str]:
    """The files under the state folder that hold these bytes."""
    files = [path for path in site.stack.home.rglob("*") if path.is_file()]
    return sorted(str(p.relative_to(site.stack.home)) for p in files if holds(p, needle))


def holds(path: Path, needle: bytes) -> bool:
    try:
        return needle in path.read_bytes()
    except FileNotFoundError:  # a file of the index that was replaced just now
        return False


def test_an_embedding_is_sealed_wherever_it_is_and_gone_once_purged(site: Site):
    number = ask(site, "list", subject="seed-123")["faces"][0]["face_id"]
    needles = list_needles(*read_face(site, number))
    before = {form: find_files(site, needle) for form, needle in needles.items()}
    sealed_in = before.pop("sealed")
    assert any(name.startswith("faces/") for name in sealed_in)
    assert any(name.startswith("atelier.db") for name in sealed_in)
    assert before == {"float16": [], "float32": [], "float64": [], "JSON": []}

    deleted = ask(site, "delete", face_ids=[number])
    assert deleted["deleted"] == 1
    wait_until_purged(site, deleted["receipt"])
    assert {form: find_files(site, needle) for form, needle in needles.items()} == {
        form: [] for form in needles
    }


def test_an_embedding_that_was_sent_is_in_clear_nowhere(site: Site):
    vector = np.random.default_rng(5).standard_normal(128)
    sent = [round(value, 5) for value in vector.tolist()]
    ask(site, "enroll", subjects=["sent"], embeddings=[sent], consent=CONSENT)
    ask(site, "identify", embeddings=[sent])
    text = json.dumps(sent)[1:60].encode()
    assert find_files(site, text) == []
    assert find_files(site, text.replace(b", ", b",")) == []


def test_the_picture_of_a_deleted_face_goes_with_it(site: Site):
    content = locate("biden.jpg", read_settings().weights).read_bytes()
    blob = site.client.post("/v1/blobs", content=content).json()["id"]
    ask(site, "enroll", subjects=["joe"], pictures=[blob], consent=CONSENT)
    assert len(find_files(site, content)) == 1
    deleted = ask(site, "delete", subject="joe")
    wait_until_purged(site, deleted["receipt"])
    assert find_files(site, content) == []
    assert site.client.get(f"/v1/blobs/{blob}").status_code == 404


def test_a_deleted_collection_leaves_nothing(site: Site):
    number = ask(site, "list", subject="seed-456")["faces"][0]["face_id"]
    sealed, _ = read_face(site, number)
    deleted = ask(site, "delete", whole_collection=True)
    assert deleted["deleted"] > GALLERY / 2
    wait_until_purged(site, deleted["receipt"])
    assert find_files(site, sealed) == []
    assert list((site.stack.home / "faces").glob("*/*")) == []
