"""Answers the tasks of faces as the contract has it; a picture's first word is who it shows."""

import json
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from services.catalog import load_tasks
from tests.services.client.fake_api import DRAWN, Answer, FakeApi, JobFailed

BOX = {
    "xyxy": [10.0, 20.0, 110.0, 140.0],
    "score": 0.99,
    "landmarks": [[0.0, 0.0]] * 5,
    "quality": {"overall": 0.9, "size": 0.9, "sharpness": 0.9, "pose": 0.9, "detector": 0.9},
}
CREATED = {"description": "", "model": None, "retention": None, "target_fpir": 0.01}
ROC = b"a curve"
RECEIPT = "ab" * 16
MODEL = "dlib-resnet@1"


@dataclass
class FakeFaces:
    """Collections of the fake server; tests read them and change them."""

    api: FakeApi
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    faces: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (task, request)
    holders: list[list[str]] = field(default_factory=list)  # of a receipt, look by look
    broken_at: int | None = None
    enough: bool = True
    trained_on: list[str] = field(default_factory=list)  # the files of the zip

    def __post_init__(self) -> None:
        methods = (self.find, self.verify, self.create, self.stats, self.enroll, self.identify)
        more = (self.delete, self.receipt, self.calibrate, self.export, self.audit, self.train)
        named = {method.__name__: method for method in methods + more}
        named |= {"collections": self.list_collections, "list": self.list_faces}
        named |= {"update": self.update}
        named |= {"import": self.fill, "models": self.list_models, "promote": self.list_models}
        for name, method in named.items():
            self.api.answers[f"faces.{name}"] = self._check(f"faces.{name}", method)

    def _check(self, name: str, method: Answer) -> Answer:
        """The method behind the contract: what goes in and out has to fit it."""
        task = load_tasks()[name]

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            fields = {name: read_field(value) for name, value in request.items()}
            asked = task.request.model_validate(fields).model_dump()  # an error fails the test
            self.asked.append((name, fields))
            return task.result.model_validate(method(asked)).model_dump()

        return answer

    def requests(self, name: str) -> list[dict[str, Any]]:
        return [request for task, request in self.asked if task == f"faces.{name}"]

    def person(self, blob_id: str) -> str:
        """Raises JobFailed for a picture of nobody."""
        who = self.api.blobs[blob_id].decode().split()[0]
        if who == "nobody":
            raise JobFailed("no_face", "No face was found.")
        return who

    def held(self, name: str) -> list[dict[str, Any]]:
        if name not in self.collections:
            raise JobFailed("unknown_collection", f"There is no collection {name!r}.")
        return self.faces[name]

    def find(self, asked: dict[str, Any]) -> dict[str, Any]:
        crop = self.api.add_blob(b"a face alone") if asked["crops"] else None
        people = self.api.blobs[asked["picture"]].decode().split()
        faces = [] if people[0] == "nobody" else [{**BOX, "crop": crop} for _ in people]
        drawn = self.api.add_blob(DRAWN) if asked["annotate"] else None
        return {"width": 8, "height": 8, "faces": faces, "annotated": drawn}

    def verify(self, asked: dict[str, Any]) -> dict[str, Any]:
        same = self.person(asked["first"]) == self.person(asked["second"])
        score = 0.93 if same else 0.4
        return {
            "same": same,
            "band": "very likely" if same else "unlikely",
            "score": score if asked["scores"] else None,
            "threshold": 0.8,
            "target_fmr": asked["target_fmr"],
            "method": asked["method"],
            "model": MODEL,
            "faces": [BOX, BOX],
        }

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["collection"] in self.collections:
            raise JobFailed("collection_exists", "There is one already.")
        view = {
            **{name: asked[name] for name in ("collection", "description", "backend")},
            "model": asked["model"] or MODEL,
            "dimensions": 128,
            "retention": asked["retention"],
            "target_fpir": asked["target_fpir"],
            "threshold": 0.85,
            "calibrated": False,
        }
        self.collections[asked["collection"]] = view
        self.faces[asked["collection"]] = []
        return self.view(asked["collection"])

    def update(self, asked: dict[str, Any]) -> dict[str, Any]:
        for name in ("description", "retention", "target_fpir"):
            if asked.get(name) is not None:
                self.collections[asked["collection"]][name] = asked[name] or None
        return self.view(asked["collection"])

    def view(self, name: str) -> dict[str, Any]:
        faces = self.held(name)
        people = len({face["subject"] for face in faces})
        return {**self.collections[name], "faces": len(faces), "subjects": people, "seq": 1}

    def list_collections(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"collections": [self.view(name) for name in self.collections]}

    def stats(self, asked: dict[str, Any]) -> dict[str, Any]:
        more = {"index": {"kind": "flat"}, "lag": 0, "consents_expiring": 0}
        quota = {"searches_today": 3, "search_quota": 1000}
        return {**self.view(asked["collection"]), **more, **quota}

    def enroll(self, asked: dict[str, Any]) -> dict[str, Any]:
        held = self.held(asked["collection"])
        stored, refused = [], []
        for item, blob_id in enumerate(asked["pictures"]):
            subject = asked["subjects"][item if len(asked["subjects"]) > 1 else 0]
            try:
                self.person(blob_id)
            except JobFailed as error:
                refused.append({"item": item, "subject": subject, "reason": error.args[1]})
                continue
            face = {"subject": subject, "face_id": len(held) + 1, "quality": 0.9}
            held.append({**face, "consent": asked["consent"], "blob": blob_id})
            stored.append({**face, "item": item, "xyxy": BOX["xyxy"]})
        if not stored:
            raise JobFailed("no_face", refused[0]["reason"])
        return {
            "collection": asked["collection"],
            "model": MODEL,
            "faces": stored,
            "refused": refused,
            "seq": 2,
        }

    def identify(self, asked: dict[str, Any]) -> dict[str, Any]:
        held = self.held(asked["collection"])
        self.person(asked["picture"])
        shown = self.api.blobs[asked["picture"]].decode().split()
        people = shown if asked["all_faces"] else shown[:1]
        probes = [self._probe(person, held, asked["scores"]) for person in people]
        return {
            "collection": asked["collection"],
            "model": MODEL,
            "probes": probes,
            "threshold": 0.85,
            "target_fpir": asked["target_fpir"] or 0.01,
            "calibrated": False,
            "searched": len(held),
            "seq": 2,
        }

    def _probe(self, person: str, held: list[dict[str, Any]], scores: bool) -> dict[str, Any]:
        near = [
            {
                "subject": face["subject"],
                "face_id": face["face_id"],
                "band": "very likely",
                "faces": 1,
                "score": 0.93 if scores else None,
                "mean_score": None,
            }
            for face in held
            if self.person(face["blob"]) == person
        ][:1]
        subject = near[0]["subject"] if near else None
        decision = "match" if near else "unknown"
        return {"decision": decision, "subject": subject, "candidates": near, "face": BOX}

    def list_faces(self, asked: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "subject": face["subject"],
                "face_id": face["face_id"],
                "quality": face["quality"],
                "purpose": face["consent"]["purpose"],
                "enrolled_at": 1.9e9,
                "expires_at": face["consent"]["expires_at"],
            }
            for face in self.held(asked["collection"])
            if asked["subject"] in (None, face["subject"]) and face["face_id"] > asked["cursor"]
        ]
        page = rows[: asked["limit"]]
        return {"faces": page, "next": page[-1]["face_id"] if len(rows) > len(page) else None}

    def delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        held = self.held(asked["collection"])
        if asked["whole_collection"]:
            del self.collections[asked["collection"]]
            gone, left = held, []
        else:
            ids = asked["face_ids"] or ()
            gone = [f for f in held if f["subject"] == asked["subject"] or f["face_id"] in ids]
            left = [face for face in held if face not in gone]
        self.faces[asked["collection"]] = left
        return {"deleted": len(gone), "seq": 3, "receipt": RECEIPT}

    def receipt(self, _: dict[str, Any]) -> dict[str, Any]:
        holders = self.holders.pop(0) if self.holders else []
        return {
            "state": "pending" if holders else "purged",
            "faces": 1,
            "requested_at": 1.9e9,
            "purged_at": None if holders else 1.9e9,
            "waiting_for": holders,
        }

    def calibrate(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.held(asked["collection"])
        return {
            "threshold": 0.87,
            "target_fpir": asked["target_fpir"] or 0.01,
            "measured_fpir": 0.01,
            "probes": 100,
            "faces": 100,
            "fnir": 0.02,
            "enough": self.enough,
        }

    def export(self, asked: dict[str, Any]) -> dict[str, Any]:
        faces = self.held(asked["collection"])
        content = json.dumps({"encrypted": asked["encrypted"], "of": asked["collection"]})
        return {"file": self.api.add_blob(content.encode()), "faces": len(faces), "seq": 7}

    def fill(self, asked: dict[str, Any]) -> dict[str, Any]:
        content = json.loads(self.api.blobs[asked["file"]])
        self.create({**CREATED, "collection": asked["collection"], "backend": asked["backend"]})
        self.faces[asked["collection"]] = list(self.held(content["of"]))
        faces = len(self.faces[asked["collection"]])
        return {"collection": asked["collection"], "faces": faces, "subjects": 1, "seq": 1}

    def audit(self, asked: dict[str, Any]) -> dict[str, Any]:
        lines = [
            {
                "position": position,
                "at": 1.9e9,
                "key_id": 1,
                "job_id": None,
                "action": "enroll",
                "collection": "staff",
                "detail": {"faces": 1},
            }
            for position in range(asked["after"] + 1, 4)
        ]
        intact = self.broken_at is None
        return {"lines": lines, "next": None, "intact": intact, "broken_at": self.broken_at}

    def train(self, asked: dict[str, Any]) -> dict[str, Any]:
        with zipfile.ZipFile(BytesIO(self.api.blobs[asked["pictures"]])) as archive:
            self.trained_on = sorted(archive.namelist())
        return {
            "model": f"{asked['name']}@1",
            "metrics": {"eer": 0.08},
            "steps": asked["steps"],
            "people": {"tested": 2},
            "roc": self.api.add_blob(ROC),
        }

    def list_models(self, asked: dict[str, Any]) -> dict[str, Any]:
        default = asked.get("model", MODEL)
        views = [
            {"model": name, "dimensions": 128, "metrics": metrics, "origin": {}}
            for name, metrics in ((MODEL, {}), ("siamese@1", {"eer": 0.08}))
        ]
        return {"models": [{**view, "default": view["model"] == default} for view in views]}


def read_field(value: Any) -> Any:
    """A list or an object in a form is JSON."""
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value
