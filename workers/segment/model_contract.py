"""Tasks on segmentation networks themselves: list, promote, delete, bring in, take out."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contract import Blob, FullName, Message, Task
from workers.segment.fields import DEFAULT_MODEL, Colour, Model, OwnName


class ModelsRequest(Message):
    """List the networks you can use."""


class ModelView(Message):
    model: str
    classes: list[str]
    colours: list[Colour]
    encoder: str
    stride: int | None = Field(description="32, 16 or 8; none: the network is no FCN of these.")
    resolution: int = Field(description="Pixels of the shorter side, unless a job says.")
    installed: bool = Field(description="False: its weights must be pulled first.")
    metrics: dict[str, Any]
    origin: dict[str, Any]
    in_use: bool = Field(description="Jobs that name no model get this one.")
    created_at: float | None = Field(description="None for those that come with Atelier.")


class ModelsResult(Message):
    models: list[ModelView]


class PromoteRequest(Message):
    """Put a network in use for the jobs that name none; an older version rolls back."""

    model: FullName | Literal["fcn-8s-camvid"] = Field(
        description=f"One of your own as name@version, or {DEFAULT_MODEL}. No other of those that "
        "come with Atelier can be put in use: name them in jobs, as `model: selfie`."
    )


class ForgetRequest(Message):
    """Delete one version of a network, and its file."""

    model: FullName


class ImportRequest(Message):
    """Bring in a network that was trained elsewhere."""

    file: Annotated[
        str,
        Blob(),
        Field(
            description="What segment.export, or `python -m workers.segment.train`, wrote: "
            "safetensors."
        ),
    ]
    name: OwnName = "segmenter"


class ImportResult(Message):
    model: str = Field("", description="Name and version.")
    classes: list[str]
    encoder: str
    stride: int
    resolution: int
    parameters: int


class ExportRequest(Message):
    """Take a network out, as a file for other programs."""

    model: Model | None = None
    format: Literal["onnx", "atelier"] = Field(
        "onnx",
        description="onnx: for onnxruntime, TensorRT, OpenVINO; atelier: for segment.import.",
    )
    height: int | None = Field(
        None, ge=32, le=2048, description="Of onnx: of its pictures; by default the resolution."
    )
    width: int | None = Field(
        None, ge=32, le=2048, description="Of onnx; by default 4/3 of the height."
    )


class ExportResult(Message):
    model: str
    format: str
    file: str = Field(description="The blob id of the file.")
    bytes: int
    classes: list[str]
    inputs: dict[str, list[str | int]] = Field(description="Of onnx: names and shapes.")
    outputs: dict[str, list[str | int]]
    difference: float | None = Field(
        None, description="Of onnx: the largest of a probability from torch's in onnxruntime."
    )


MODELS = Task(
    "segment.models",
    ModelsRequest,
    ModelsResult,
    "List the segmentation networks you can use.",
    example={},
    max_batch=16,
)
PROMOTE = Task(
    "segment.promote",
    PromoteRequest,
    ModelsResult,
    "Put a segmentation network in use.",
    example={"model": DEFAULT_MODEL},
    scope="segment:train",
)
FORGET = Task(
    "segment.forget",
    ForgetRequest,
    ModelsResult,
    "Delete a version of a segmentation network.",
    example={"model": "segmenter@1"},
    scope="segment:train",
)
IMPORT = Task(
    "segment.import",
    ImportRequest,
    ImportResult,
    "Bring in a segmentation network that was trained elsewhere.",
    example={"file": "data:application/octet-stream;base64,AAECAw=="},
    time_limit=300.0,
    long=True,
    scope="segment:train",
)
EXPORT = Task(
    "segment.export",
    ExportRequest,
    ExportResult,
    "Take a segmentation network out, as ONNX or as a file of Atelier.",
    example={"model": DEFAULT_MODEL, "format": "onnx"},
    time_limit=600.0,
    long=True,
    scope="segment:train",
)
TASKS = [MODELS, PROMOTE, FORGET, IMPORT, EXPORT]
