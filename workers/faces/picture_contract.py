"""Tasks on pictures alone: find faces, encode them, compare two of them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.contract import GREY_DOT, Message, Needs, Picture, Sealed, Task

MAX_PICTURES = 64  # of one request
MAX_DIMENSIONS = 4096
DEFAULT_MODEL = "dlib-resnet@1"

Xyxy = Annotated[list[float], Field(min_length=4, max_length=4)]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
Vector = Annotated[list[float], Field(min_length=2, max_length=MAX_DIMENSIONS)]
Model = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^[a-z0-9][a-z0-9-]*(@[1-9][0-9]{0,8})?$",
        description="An encoder and its version, such as dlib-resnet@1.",
    ),
]
Scores = Annotated[
    bool,
    Needs("faces:scores"),
    Field(
        description="Also answer with the number behind each band. Needs the scope faces:scores, "
        "since many scores together give a face away."
    ),
]
Band = Literal["very likely", "likely", "uncertain", "unlikely"]


class Quality(Message):
    """How usable a face is, each from 0 to 1."""

    overall: float
    size: float
    sharpness: float
    pose: float
    detector: float


class FaceBox(Message):
    """One face in a picture."""

    xyxy: Xyxy = Field(description="Left, top, right, bottom in pixels of the upright picture.")
    score: float
    landmarks: list[Point] = Field(
        description="Left eye, right eye, nose, left and right corner of the mouth, as seen."
    )
    quality: Quality


class FindRequest(Message):
    """Find the faces in one picture."""

    picture: Picture
    largest: bool = Field(False, description="Only the largest face.")
    min_size: int = Field(20, ge=12, le=2000, description="Smaller faces are not looked for.")
    score_threshold: float = Field(0.9, ge=0, le=1, description="Less certain ones are dropped.")
    max_faces: int = Field(100, ge=1, le=1000, description="The largest so many are kept.")
    annotate: bool = Field(False, description="Also draw boxes and landmarks into a copy.")
    crops: bool = Field(False, description="Also cut every face out, upright, as a JPEG.")


class FoundFace(FaceBox):
    crop: str | None = Field(None, description="The blob id of the face alone.")


class FindResult(Message):
    """The faces of a picture, the largest first."""

    width: int
    height: int
    faces: list[FoundFace]
    annotated: str | None = Field(None, description="The blob id of a JPEG with the boxes drawn.")


class EncodeRequest(Message):
    """Turn the largest face of each picture into numbers."""

    pictures: list[Picture] = Field(min_length=1, max_length=MAX_PICTURES)
    model: Model = DEFAULT_MODEL


class EncodeResult(Message):
    """One embedding a picture; null where no face was found."""

    model: str
    embeddings: Annotated[list[Vector | None], Sealed()] = Field(
        description="Unit vectors: the squared distance of two is 2 - 2 times their dot product."
    )
    faces: list[FaceBox | None]


class VerifyRequest(Message):
    """Are two faces of one person? Each is the largest face of a picture, or an embedding."""

    first: Picture | None = None
    second: Picture | None = None
    first_embedding: Annotated[Vector | None, Sealed()] = None
    second_embedding: Annotated[Vector | None, Sealed()] = None
    model: Model = DEFAULT_MODEL
    method: Literal["distance", "classifier", "chi2"] = Field(
        "distance",
        description="Compare by distance, or by logistic regression on |f1 - f2| or on "
        "(f1 - f2)^2 / (f1 + f2).",
    )
    target_fmr: Annotated[float, Needs("faces:scores")] = Field(
        1e-3, ge=1e-6, le=0.1, description="Of pairs of strangers, so many may be called the same."
    )
    threshold: Annotated[float | None, Needs("faces:scores")] = Field(
        None, ge=-1, le=1, description="Decide by this score instead of by target_fmr."
    )
    scores: Scores = False

    @model_validator(mode="after")
    def _two_faces(self) -> "VerifyRequest":
        for name in ("first", "second"):
            if (getattr(self, name) is None) == (getattr(self, f"{name}_embedding") is None):
                raise ValueError(f"give either {name} or {name}_embedding")
        return self


class VerifyResult(Message):
    """The decision, and what it rests on."""

    same: bool
    band: Band
    score: float | None = Field(
        description="1 - d/2, where d is the squared distance; of a classifier, the probability."
    )
    threshold: float
    target_fmr: float | None = Field(description="What the threshold was chosen for.")
    method: str
    model: str
    faces: list[FaceBox | None]


FIND = Task(
    "faces.find",
    FindRequest,
    FindResult,
    "Find faces: a box, five landmarks and a quality for each.",
    example={"picture": GREY_DOT},
    max_batch=8,
)
ENCODE = Task(
    "faces.encode",
    EncodeRequest,
    EncodeResult,
    "Turn faces into embeddings.",
    example={"pictures": [GREY_DOT]},
    max_batch=4,
    time_limit=120,
    scope="faces:embeddings",
)
VERIFY = Task(
    "faces.verify",
    VerifyRequest,
    VerifyResult,
    "Compare two faces: the same person or not.",
    example={"first": GREY_DOT, "second": GREY_DOT},
    max_batch=8,
)
