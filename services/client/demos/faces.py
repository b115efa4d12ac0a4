"""The demo of faces: two people are enrolled, looked for, told from a stranger, and deleted."""

import hashlib
import time
from collections.abc import Generator
from uuid import uuid4

from services.client.demos.scene import Demo, DemoFailed, Row, Scene, run_job

PHOTOS = (
    "astronaut.png",
    "biden.jpg",
    "obama.jpg",
    "obama2.jpg",
    "obama3.jpg",
    "obama_partial_face.jpg",
)
ENROLLED = {"obama.jpg": "obama", "obama2.jpg": "obama", "biden.jpg": "biden"}
LOOKED_FOR = {  # who has to be found; None: shown whatever comes
    "obama3.jpg": "obama",
    "obama_partial_face.jpg": None,
    "astronaut.png": "unknown",
}
CONSENT = "This is a demonstration with published photographs; everything is deleted afterwards."


def recognise_faces(scene: Scene) -> Generator[Row, None, None]:
    """Uses a collection of its own, which it deletes again: the stack may be one in use."""
    collection = f"demo-{uuid4().hex[:12]}"
    everything = {"collection": collection, "whole_collection": True}
    result, seconds = run_job(scene, "faces.create", {"collection": collection})
    yield Row("a new collection", f"for {result['model']}", seconds)
    try:
        yield from _enroll_and_search(scene, collection)
    except BaseException:
        scene.client.submit("faces.delete", everything)  # nobody waits for it
        raise
    result, seconds = run_job(scene, "faces.delete", everything)
    receipt = f"{result['deleted']} faces deleted, receipt {result['receipt'][:8]}…"
    yield Row("the collection again", receipt, seconds)


def _enroll_and_search(scene: Scene, collection: str) -> Generator[Row, None, None]:
    yield _find(scene)
    yield _verify(scene)
    yield _enroll(scene, collection)
    for name, expected in LOOKED_FOR.items():
        yield _identify(scene, collection, name, expected)


def _find(scene: Scene) -> Row:
    files = {"picture": scene.files / "obama2.jpg"}
    result, seconds = run_job(scene, "faces.find", {"annotate": True}, files)
    scene.client.download(result["annotated"], scene.folder / "obama2-faces.jpg")
    quality = ", ".join(f"{face['quality']['overall']:.2f}" for face in result["faces"])
    return Row("obama2.jpg", f"{len(result['faces'])} face, quality {quality}", seconds)


def _verify(scene: Scene) -> Row:
    files = {"first": scene.files / "obama.jpg", "second": scene.files / "obama2.jpg"}
    result, seconds = run_job(scene, "faces.verify", {}, files)
    if not result["same"]:
        raise DemoFailed("obama.jpg and obama2.jpg were not found to show the same person.")
    return Row("obama.jpg, obama2.jpg", f"the same person: {result['band']}", seconds)


def _enroll(scene: Scene, collection: str) -> Row:
    consent = {
        "purpose": "demonstration",
        "text_sha256": hashlib.sha256(CONSENT.encode()).hexdigest(),
        "expires_at": time.time() + 3600,  # should the deletion be lost
    }
    fields = {"collection": collection, "subjects": [*ENROLLED.values()], "consent": consent}
    files = {"pictures": [scene.files / name for name in ENROLLED]}
    result, seconds = run_job(scene, "faces.enroll", fields, files)
    if result["refused"]:
        raise DemoFailed(f"A portrait was refused: {result['refused'][0]['reason']}")
    people = ", ".join(dict.fromkeys(ENROLLED.values()))
    return Row(f"{len(result['faces'])} portraits", f"enrolled: {people}", seconds)


def _identify(scene: Scene, collection: str, name: str, expected: str | None) -> Row:
    files = {"picture": scene.files / name}
    result, seconds = run_job(scene, "faces.identify", {"collection": collection}, files)
    (probe,) = result["probes"]
    found = probe["subject"] or "unknown"
    if expected not in (None, found):
        raise DemoFailed(f"The face in {name} was taken for {found}, not for {expected}.")
    band = f": {probe['candidates'][0]['band']}" if probe["candidates"] else ""
    return Row(name, f"{found}{band}", seconds)


WEIGHTS = ("mtcnn-pnet.pt", "mtcnn-rnet.pt", "mtcnn-onet.pt", "dlib-face-resnet.dat")
JOBS = 5 + len(LOOKED_FOR)  # create, find, verify, enroll, delete
DEMO = Demo("faces", (*WEIGHTS, *PHOTOS), JOBS, recognise_faces)
