"""Tasks that make and choose encoders: train a Siamese network, promote what it gave."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from shared.contract import Blob, Message, Task
from workers.faces.picture_contract import DEFAULT_MODEL

ModelName = Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Zip = Annotated[str, Blob(("application/zip",)), Field(description="A zip: a folder per person.")]


class TrainRequest(Message):
    """Train a Siamese network on your own pictures."""

    pictures: Zip
    name: ModelName = "siamese"
    loss: Literal["triplet", "contrastive"] = "triplet"
    mining: Literal["random", "semi-hard", "batch-hard"] = "batch-hard"
    margin: float = Field(0.2, gt=0, le=2)
    steps: int = Field(600, ge=1, le=100_000)
    seed: int = Field(0, ge=0, le=2**31)
    held_out: float = Field(0.25, gt=0, lt=1, description="Part of the people to test on.")

    @field_validator("name")
    @classmethod
    def _not_shipped(cls, name: str) -> str:
        if name == DEFAULT_MODEL.partition("@")[0]:
            raise ValueError(f"{name} comes with Atelier: choose another name")
        return name


class TrainResult(Message):
    """The trained model, and how well it tells people apart that it never saw."""

    model: str = Field("", description="Name and version: what collections are created with.")
    metrics: dict[str, float]
    steps: int
    people: dict[str, int] = Field(description="How many were trained, validated and tested on.")
    roc: str = Field(description="The blob id of a picture of true against false matches.")


class ModelsRequest(Message):
    """List the encoders you can use."""


class ModelView(Message):
    model: str
    dimensions: int
    metrics: dict[str, Any]
    origin: dict[str, Any]
    default: bool


class ModelsResult(Message):
    models: list[ModelView]


class PromoteRequest(Message):
    """Make a model the one that new collections get; an older version rolls back."""

    model: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9][a-z0-9-]*@[1-9][0-9]{0,8}$")]


TRAIN = Task(
    "faces.train",
    TrainRequest,
    TrainResult,
    "Train a Siamese network on a folder of pictures for each person.",
    example={"pictures": "data:application/zip;base64,UEsDBAAAAAA="},
    time_limit=24 * 3600.0,
    long=True,
    scope="faces:train",
)
MODELS = Task(
    "faces.models", ModelsRequest, ModelsResult, "List the encoders you can use.", example={}
)
PROMOTE = Task(
    "faces.promote",
    PromoteRequest,
    ModelsResult,
    "Make a model the default of new collections.",
    example={"model": "dlib-resnet@1"},
    scope="faces:train",
)
