"""What a worker promises: the tasks it runs, and the types that go in and out."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

BLOB_PATTERN = r"^[0-9a-f]{64}$"  # the sha256 of its content
LONG = "-long"  # ends the name of a worker's queue for jobs of minutes
PICTURES = ("image/jpeg", "image/png", "image/webp")
GREY_DOT = (  # a picture for examples, which are valid requests on their own
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
VIDEOS = ("video/mp4", "video/x-matroska", "video/x-msvideo")  # MOV is as MP4, WebM as MKV


@dataclass(frozen=True)
class Blob:
    """Marks a field that holds the id of an uploaded file; `accept` empty means any type.

    In the JSON schema its format is "blob".
    """

    accept: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"format": "blob"}


@dataclass(frozen=True)
class Sealed:
    """Marks a field that is encrypted wherever it rests, such as an embedding of a face.

    In a request it is also forgotten once the job has ended.
    """


@dataclass(frozen=True)
class Needs:
    """Marks a field that only a key with this scope may set to anything but its default."""

    scope: str


BlobId = Annotated[str, Blob(), Field(description="A blob id, or a data URI up to 1 MB.")]
Picture = Annotated[
    str,
    Blob(PICTURES),
    Field(description="The blob id of a JPEG, PNG or WEBP, or a data URI up to 1 MB."),
]

OWN_NAME = r"^[a-z0-9][a-z0-9._-]*$"  # of a trained model
ASKED_NAME = r"^[a-z0-9][a-z0-9._-]*(@[1-9][0-9]{0,8})?$"  # with or without its version
FullName = Annotated[
    str,
    Field(
        max_length=70,
        pattern=r"^[a-z0-9][a-z0-9._-]*@[1-9][0-9]{0,8}$",
        description="name@version.",
    ),
]


def forbid(published: Collection[str]) -> AfterValidator:
    """Of a name for a model of one's own: that it is none of those that come with Atelier."""

    def check(name: str) -> str:
        if name in published:
            raise ValueError(f"{name} comes with Atelier: choose another name")
        return name

    return AfterValidator(check)


class Message(BaseModel):
    """A request or a result; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Task:
    """One thing a worker does: `detect.objects` is POST /v1/detect/objects."""

    name: str  # the worker's folder, a dot, the method
    request: type[Message]
    result: type[Message]
    summary: str  # one line for people
    example: dict[str, Any] = field(hash=False)  # a valid request; files as data URIs
    max_batch: int = 1  # jobs one call of the worker method may get
    time_limit: float = 60.0  # seconds for one call; the batch is then split or failed
    long: bool = False  # runs for minutes and reports progress, in processes of its own
    scope: str = ""  # what a key needs to submit it; empty: `<worker>:run`

    @property
    def worker(self) -> str:
        return self.name.split(".")[0]

    @property
    def queue(self) -> str:
        return self.worker + LONG if self.long else self.worker

    @property
    def needed_scope(self) -> str:
        return self.scope or f"{self.worker}:run"

    @property
    def path(self) -> str:
        return "/v1/" + self.name.replace(".", "/")

    def blob_fields(self) -> Iterator[tuple[str, Blob, bool]]:
        """(field, marker, whether it is a list) for every blob in the request."""
        for name, info in self.request.model_fields.items():
            marker, many = _find_blob(info.annotation)
            own = [item for item in info.metadata if isinstance(item, Blob)]
            if own or marker:
                yield name, own[0] if own else marker or Blob(), many

    def needs(self) -> Iterator[tuple[str, str, Any]]:
        """(field, scope, default) for every field of the request that needs a scope of its own."""
        for name, info in self.request.model_fields.items():
            for item in info.metadata:
                if isinstance(item, Needs):
                    yield name, item.scope, info.get_default(call_default_factory=True)

    def list_blobs(self, message: Message) -> list[tuple[str, Blob, str]]:
        """(field, what it accepts, blob id) for every file a request names."""
        found = []
        for field_name, marker, many in self.blob_fields():
            value = getattr(message, field_name)
            ids = value if many else [value]
            found += [(field_name, marker, blob_id) for blob_id in ids or () if blob_id is not None]
        return found


def list_sealed(message: type[Message]) -> list[str]:
    """The fields of a request or result that are encrypted at rest."""
    fields = message.model_fields.items()
    return [name for name, info in fields if any(isinstance(i, Sealed) for i in info.metadata)]


def _find_blob(annotation: Any) -> tuple[Blob | None, bool]:
    """The marker inside `Picture | None` or `list[Picture]`, and whether it is in a list."""
    for argument in get_args(annotation):
        for item in getattr(argument, "__metadata__", ()):
            if isinstance(item, Blob):
                return item, get_origin(annotation) is list
        marker, many = _find_blob(argument)
        if marker:
            return marker, many or get_origin(annotation) is list
    return None, False
