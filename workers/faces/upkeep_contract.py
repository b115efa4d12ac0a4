"""Tasks that keep collections in order: look at, calibrate, export, import, audit."""

from typing import Any, Literal

from pydantic import Field

from shared.contract import BlobId, Message
from workers.faces.gallery_contract import (
    YEAR,
    CollectionName,
    CollectionView,
    Description,
    Rate,
    SubjectName,
    make_task,
)


class UpdateRequest(Message):
    """Change what may change of a collection; what is left out stays."""

    collection: CollectionName
    description: Description | None = None
    target_fpir: Rate | None = Field(None, description="A calibration holds for its own rate.")
    retention: float | None = Field(
        None,
        ge=0,
        le=100 * YEAR,
        description="Of faces enrolled from now on, in seconds; 0: until their consent ends.",
    )


class StatsRequest(Message):
    """Look at one collection and its index."""

    collection: CollectionName


class StatsResult(CollectionView):
    """A collection, and the index of the process that answered."""

    index: dict[str, Any]
    lag: int = Field(description="Changes that the index had not seen yet; a search waits for 0.")
    consents_expiring: int = Field(description="Faces that expire within 30 days.")
    searches_today: int
    search_quota: int


class ListRequest(Message):
    """The subjects of a collection and their faces, in the order they were enrolled."""

    collection: CollectionName
    subject: SubjectName | None = None
    cursor: int = Field(0, ge=0, le=2**62)
    limit: int = Field(100, ge=1, le=1000, description="Faces at most.")


class ListedFace(Message):
    subject: str
    face_id: int
    quality: float | None
    purpose: str
    enrolled_at: float
    expires_at: float | None


class ListResult(Message):
    faces: list[ListedFace]
    next: int | None = Field(description="Send it as `cursor` for the next page.")


class ReceiptRequest(Message):
    """Whether everything that was deleted is erased."""

    receipt: str = Field(pattern=r"^[0-9a-f]{32}$")


class ReceiptResult(Message):
    state: Literal["pending", "purged"]
    faces: int
    requested_at: float
    purged_at: float | None
    waiting_for: list[str] = Field(description="What still holds a copy.")


class CalibrateRequest(Message):
    """Measure the threshold on the collection itself."""

    collection: CollectionName
    target_fpir: Rate | None = Field(None, description="Also becomes the collection's own.")
    probes: int = Field(10_000, ge=100, le=100_000, description="Faces to search with at most.")


class CalibrateResult(Message):
    threshold: float
    target_fpir: float
    measured_fpir: float
    probes: int
    faces: int
    fnir: float | None = Field(description="Of subjects with several faces, so many are missed.")
    enough: bool = Field(description="Whether at least 30 false matches stand behind the figure.")


class ExportRequest(Message):
    """Write a collection into one file."""

    collection: CollectionName
    encrypted: bool = Field(True, description="So that only this tenant can import it.")


class ExportResult(Message):
    file: str = Field(description="The blob id of the file.")
    faces: int
    seq: int


class ImportRequest(Message):
    """Fill a new collection from an exported file."""

    collection: CollectionName
    file: BlobId
    backend: Literal["local", "milvus"] = "local"


class ImportResult(Message):
    collection: str
    faces: int
    subjects: int
    seq: int = 0


class AuditRequest(Message):
    """Read the log of what was done with faces, and check that nobody changed it."""

    after: int = Field(0, ge=0, le=2**62)
    limit: int = Field(100, ge=1, le=1000)


class AuditLine(Message):
    position: int
    at: float
    key_id: int | None
    job_id: str | None
    action: str
    collection: str | None
    detail: dict[str, Any]


class AuditResult(Message):
    lines: list[AuditLine]
    next: int | None
    intact: bool = Field(
        description="Whether the chain holds over these lines, and ends with the last page. All "
        "pages from 0 on are the whole of it."
    )
    broken_at: int | None


UPDATE = make_task(
    "update",
    UpdateRequest,
    CollectionView,
    "Change what may change of a collection.",
    example={"collection": "staff", "description": "the front door"},
    scope="faces:enroll",
)
STATS = make_task("stats", StatsRequest, StatsResult, "Look at a collection and its index.")
LIST = make_task("list", ListRequest, ListResult, "List the faces of a collection.")
RECEIPT = make_task(
    "receipt",
    ReceiptRequest,
    ReceiptResult,
    "Whether everything that was deleted is erased.",
    example={"receipt": "0" * 32},
)
CALIBRATE = make_task(
    "calibrate",
    CalibrateRequest,
    CalibrateResult,
    "Measure the threshold on the collection itself.",
    max_batch=1,
    time_limit=3600.0,
    long=True,
    scope="faces:enroll",
)
EXPORT = make_task(
    "export",
    ExportRequest,
    ExportResult,
    "Write a collection into one file.",
    max_batch=1,
    time_limit=3600.0,
    long=True,
    scope="faces:export",
)
IMPORT = make_task(
    "import",
    ImportRequest,
    ImportResult,
    "Fill a new collection from an exported file.",
    example={"collection": "staff", "file": "data:application/octet-stream;base64,AAAA"},
    max_batch=1,
    time_limit=3600.0,
    long=True,
    scope="faces:enroll",
)
AUDIT = make_task(
    "audit",
    AuditRequest,
    AuditResult,
    "Read the log of what was done with faces.",
    example={},
    scope="faces:audit",
)
