"""Tasks on collections: keep faces of known people, and find out whose face a new one is."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from shared.contract import GREY_DOT, Message, Needs, Picture, Sealed, Task
from workers.faces.picture_contract import (
    DEFAULT_MODEL,
    MAX_DIMENSIONS,
    MAX_PICTURES,
    Band,
    FaceBox,
    Model,
    Scores,
    Vector,
    Xyxy,
)

MAX_EMBEDDINGS = 1000  # of one request
YEAR = 366 * 24 * 3600.0

CollectionName = Annotated[
    str,
    Field(
        min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", examples=["staff"]
    ),
]
SubjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Your own name or number for a person.",
    ),
]
Description = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
Seconds = Annotated[float, Field(gt=0, le=100 * YEAR)]
Rate = Annotated[float, Field(ge=1e-4, le=0.5)]
FaceId = Annotated[int, Field(ge=1, le=2**62)]


class CreateRequest(Message):
    """Make an empty collection."""

    collection: CollectionName
    description: Description = ""
    model: Model | None = Field(None, description="The encoder; fixed for the collection's life.")
    dimensions: int | None = Field(
        None,
        ge=2,
        le=MAX_DIMENSIONS,
        description="For an encoder that is not here, such as arcface@1: how many numbers its "
        "embeddings have. Such a collection takes embeddings, not pictures.",
    )
    backend: Literal["local", "milvus"] = Field("local", description="What searches it.")
    retention: Seconds | None = Field(
        None, description="Seconds after which each face is deleted, whatever its consent says."
    )
    target_fpir: Rate = Field(
        0.01, description="Of searches for strangers, so many may end with a name."
    )


class CollectionView(Message):
    """A collection as it is now."""

    collection: str
    description: str
    model: str
    dimensions: int
    backend: str
    retention: float | None
    target_fpir: float
    threshold: float | None = Field(
        description="Scores from here on are a match, at its present size; null: not calibrated."
    )
    calibrated: bool = Field(description="Whether the threshold was measured on this collection.")
    faces: int
    subjects: int
    seq: int = Field(description="Rises with every change.")


class CollectionsRequest(Message):
    """List your collections."""


class CollectionsResult(Message):
    collections: list[CollectionView]


class Consent(Message):
    """What the person agreed to. Keep the text itself; here only its digest is stored."""

    purpose: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    text_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    given_at: float | None = Field(None, ge=0, le=4e9, description="Seconds since 1970; now.")
    expires_at: float | None = Field(
        None, ge=0, le=4e9, description="Seconds since 1970; the faces are deleted then."
    )


class EnrollRequest(Message):
    """Store faces of people who agreed to it. One subject for all of them, or one for each."""

    collection: CollectionName
    subjects: list[SubjectName] = Field(min_length=1, max_length=MAX_EMBEDDINGS)
    consent: Consent
    pictures: list[Picture] | None = Field(None, min_length=1, max_length=MAX_PICTURES)
    embeddings: Annotated[list[Vector] | None, Sealed()] = Field(
        None, min_length=1, max_length=MAX_EMBEDDINGS
    )
    model: Model | None = Field(
        None, description="The encoder that ready embeddings come from; it has to be the same."
    )
    quality: Literal["none", "low", "medium", "high"] = Field(
        "medium", description="Faces under this quality are refused."
    )
    crowd: Literal["refuse", "largest"] = Field(
        "refuse", description="What to do with a picture of several people."
    )

    @model_validator(mode="after")
    def _as_many_subjects(self) -> "EnrollRequest":
        if (self.pictures is None) == (self.embeddings is None):
            raise ValueError("give either pictures or embeddings")
        items = len(self.pictures or self.embeddings or ())
        if len(self.subjects) not in (1, items):
            raise ValueError(f"give one subject, or one for each of the {items} faces")
        return self


class EnrolledFace(Message):
    item: int = Field(description="Which picture or embedding of the request, from 0.")
    subject: str
    face_id: int
    quality: float | None
    xyxy: Xyxy | None


class RefusedFace(Message):
    item: int
    subject: str
    reason: str = Field(description="What is wrong with it and what to do.")


class EnrollResult(Message):
    """What is stored now; a search that begins after this answer sees it."""

    collection: str
    model: str
    faces: list[EnrolledFace] = []
    refused: list[RefusedFace]
    seq: int | None = Field(None, description="The collection's seq once they were in it.")


class IdentifyRequest(Message):
    """Whose face is it? The largest face of a picture, all of its faces, or embeddings."""

    collection: CollectionName
    picture: Picture | None = None
    all_faces: bool = Field(False, description="Look for every face of the picture.")
    embeddings: Annotated[list[Vector] | None, Sealed()] = Field(
        None, min_length=1, max_length=MAX_PICTURES
    )
    model: Model | None = None
    max_candidates: int = Field(5, ge=1, le=100, description="Subjects named for each face.")
    threshold: Annotated[float | None, Needs("faces:scores")] = Field(
        None, ge=-1, le=1, description="A match from this score on."
    )
    target_fpir: Annotated[Rate | None, Needs("faces:scores")] = Field(
        None, description="Choose the threshold for this rate instead of the collection's."
    )
    min_seq: int | None = Field(
        None, ge=0, description="Fail rather than search a database that has not seen this seq."
    )
    investigate: Annotated[bool, Needs("faces:investigate")] = Field(
        False, description="List the nearest subjects whatever their score; nobody is matched."
    )
    scores: Scores = False

    @model_validator(mode="after")
    def _one_source(self) -> "IdentifyRequest":
        if (self.picture is None) == (self.embeddings is None):
            raise ValueError("give either picture or embeddings")
        return self


class Candidate(Message):
    subject: str
    face_id: int = Field(description="The subject's nearest face.")
    band: Band
    faces: int = Field(description="How many faces of the subject were near.")
    score: float | None
    mean_score: float | None = Field(description="Of the mean of those faces.")


class Probe(Message):
    """One face that was looked for."""

    decision: Literal["match", "unknown", "investigation"]
    subject: str | None = Field(description="The best match.")
    candidates: list[Candidate]
    face: FaceBox | None


class IdentifyResult(Message):
    collection: str
    model: str
    probes: list[Probe]
    threshold: float
    target_fpir: float | None
    calibrated: bool
    searched: int = Field(description="Faces in the collection.")
    seq: int = Field(description="Every change up to here was searched.")


class DeleteRequest(Message):
    """Delete faces, a subject or a whole collection, wherever there are copies."""

    collection: CollectionName
    face_ids: list[FaceId] | None = Field(None, min_length=1, max_length=1000)
    subject: SubjectName | None = None
    whole_collection: bool = False

    @model_validator(mode="after")
    def _one_target(self) -> "DeleteRequest":
        if (self.face_ids is not None) + (self.subject is not None) + self.whole_collection != 1:
            raise ValueError("give one of face_ids, subject and whole_collection")
        return self


class DeleteResult(Message):
    """They are not found any more; the receipt tells when no copy is left on any disk."""

    deleted: int = 0
    seq: int | None = None
    receipt: str = ""


_CONSENT = {"purpose": "door access", "text_sha256": "0" * 64}


def make_task(
    name: str, request: type[Message], result: type[Message], summary: str, **more: Any
) -> Task:
    more = {"example": {"collection": "staff"}, "max_batch": 32, **more}
    return Task(f"faces.{name}", request, result, summary, **more)


CREATE = make_task(
    "create", CreateRequest, CollectionView, "Make an empty collection.", scope="faces:enroll",
    example={"collection": "staff", "model": DEFAULT_MODEL},
)  # fmt: skip
COLLECTIONS = make_task(
    "collections", CollectionsRequest, CollectionsResult, "List your collections.", example={}
)
ENROLL = make_task(
    "enroll",
    EnrollRequest,
    EnrollResult,
    "Store faces of people who agreed to it.",
    example={
        "collection": "staff",
        "subjects": ["ann"],
        "pictures": [GREY_DOT],
        "consent": _CONSENT,
    },
    max_batch=4,
    time_limit=600.0,
    scope="faces:enroll",
)
IDENTIFY = make_task(
    "identify",
    IdentifyRequest,
    IdentifyResult,
    "Find out whose face it is, or that nobody knows it.",
    example={"collection": "staff", "picture": GREY_DOT},
    max_batch=64,
    time_limit=120.0,
)
DELETE = make_task(
    "delete",
    DeleteRequest,
    DeleteResult,
    "Delete faces, subjects or a collection, wherever there are copies.",
    example={"collection": "staff", "subject": "ann"},
    scope="faces:delete",
)
