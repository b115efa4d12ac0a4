"""Tasks on detectors themselves: list, promote, delete, bring in, take out."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contract import Blob, BlobId, FullName, Message, Task
from workers.detect.fields import DEFAULT_MODEL, Labels, Model, OwnName, Score
from workers.detect.yolo_config import MAX_ANCHOR

Pixels = Annotated[int, Field(ge=1, le=MAX_ANCHOR)]
Anchor = Annotated[list[Pixels], Field(min_length=2, max_length=2)]


class ModelsRequest(Message):
    """List the detectors you can use."""


class ModelView(Message):
    model: str
    classes: list[str]
    side: int = Field(description="Pixels of the square it sees.")
    score_threshold: float = Field(description="Used where a job gives none.")
    iou_threshold: float
    metrics: dict[str, Any]
    origin: dict[str, Any]
    in_use: bool = Field(description="Jobs that name no model get this one.")
    created_at: float | None = Field(description="None for those that come with Atelier.")


class ModelsResult(Message):
    models: list[ModelView]


class PromoteRequest(Message):
    """Put a detector in use for the jobs that name none; an older version rolls back."""

    model: FullName | Literal["nanodet-g"] = Field(
        description=f"name@version, or {DEFAULT_MODEL}: the one that comes with Atelier for this."
    )


class ForgetRequest(Message):
    """Delete one version of a detector, and its file."""

    model: FullName


class ImportRequest(Message):
    """Bring in a detector that was trained elsewhere."""

    file: Annotated[str, Blob(), Field(description="The file of the weights.")]
    kind: Literal["atelier", "darknet"] = Field(
        "atelier",
        description="atelier: what detect.export or `python -m workers.detect.train` wrote; "
        "darknet: the .weights of a yolov3-tiny.cfg.",
    )
    name: OwnName = "detector"
    classes: Labels | None = Field(None, description="Of darknet: the lines of its .names file.")
    cfg: BlobId | None = Field(
        None,
        description="Of darknet: its .cfg, which tells the anchors, their masks, and the side of "
        "the pictures. Without it the side is 416.",
    )
    anchors: list[Anchor] | None = Field(
        None,
        min_length=6,
        max_length=6,
        description="Of darknet, instead of cfg: width and height of three anchors of the fine "
        "grid, then three of the coarse one, masks applied; by default those of the published "
        "weights.",
    )
    bordered: bool = Field(
        True,
        description="Of darknet: it was trained on pictures that kept their shape, between grey "
        "borders. False: stretched over the square, as AlexeyAB's Darknet does by default.",
    )
    score_threshold: Score | None = Field(
        None, description="Used where a job gives none; by default the file's, or 0.25."
    )


class ImportResult(Message):
    model: str = Field("", description="Name and version.")
    classes: list[str]
    side: int
    parameters: int


class ExportRequest(Message):
    """Take a detector out, as a file for other programs."""

    model: Model | None = None
    format: Literal["onnx", "atelier"] = Field(
        "onnx",
        description="onnx: for onnxruntime, TensorRT, OpenVINO; atelier: for detect.import.",
    )


class ExportResult(Message):
    model: str
    format: str
    file: str = Field(description="The blob id of the file.")
    bytes: int
    side: int
    classes: list[str]
    inputs: dict[str, list[str | int]] = Field(description="Of onnx: names and shapes.")
    outputs: dict[str, list[str | int]]
    box_difference: float | None = Field(
        None, description="Of onnx: the largest from torch's boxes in onnxruntime, in pixels."
    )
    score_difference: float | None = None


MODELS = Task(
    "detect.models",
    ModelsRequest,
    ModelsResult,
    "List the detectors you can use.",
    example={},
    max_batch=16,
)
PROMOTE = Task(
    "detect.promote",
    PromoteRequest,
    ModelsResult,
    "Put a detector in use.",
    example={"model": DEFAULT_MODEL},
    scope="detect:train",
)
FORGET = Task(
    "detect.forget",
    ForgetRequest,
    ModelsResult,
    "Delete a version of a detector.",
    example={"model": "detector@1"},
    scope="detect:train",
)
IMPORT = Task(
    "detect.import",
    ImportRequest,
    ImportResult,
    "Bring in a detector that was trained elsewhere.",
    example={"file": "data:application/octet-stream;base64,AAECAw==", "kind": "atelier"},
    time_limit=300.0,
    long=True,
    scope="detect:train",
)
EXPORT = Task(
    "detect.export",
    ExportRequest,
    ExportResult,
    "Take a detector out, as ONNX or as a file of Atelier.",
    example={"model": DEFAULT_MODEL, "format": "onnx"},
    time_limit=600.0,
    long=True,
    scope="detect:train",
)
TASKS = [MODELS, PROMOTE, FORGET, IMPORT, EXPORT]
