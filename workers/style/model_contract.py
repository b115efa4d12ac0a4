"""Tasks on one-pass networks themselves: list, promote, delete, bring in, take out."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contract import Blob, FullName, Message, Task
from workers.style.fields import DEFAULT_MODEL, Model, OwnName, Published


class ModelsRequest(Message):
    """List the networks you can use."""


class ModelView(Message):
    model: str
    width: int | None = Field(description="Channels of its first layer; None: not installed.")
    blocks: int | None = Field(description="Residual blocks.")
    installed: bool
    metrics: dict[str, Any]
    origin: dict[str, Any]
    in_use: bool = Field(description="Jobs that name no model get this one.")
    created_at: float | None = Field(description="None for those that come with Atelier.")


class ModelsResult(Message):
    models: list[ModelView]


class PromoteRequest(Message):
    """Put a network in use for the jobs that name none; an older version rolls back."""

    model: FullName | Published = Field(
        description=f"One of your own as name@version, or {DEFAULT_MODEL}."
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
            description="What style.export, or `python -m workers.style.train`, wrote: safetensors."
        ),
    ]
    name: OwnName = "style"


class ImportResult(Message):
    model: str = Field("", description="Name and version.")
    width: int
    blocks: int
    parameters: int


class ExportRequest(Message):
    """Take a network out, as a file for other programs."""

    model: Model | None = None
    format: Literal["onnx", "atelier"] = Field(
        "onnx", description="onnx: for onnxruntime, TensorRT, OpenVINO; atelier: for style.import."
    )


class ExportResult(Message):
    model: str
    format: str
    file: str = Field(description="The blob id of the file.")
    bytes: int
    inputs: dict[str, list[str | int]] = Field(description="Of onnx: names and shapes.")
    outputs: dict[str, list[str | int]]
    difference: float | None = Field(
        None, description="Of onnx: the largest of a pixel in [0, 1] from torch's in onnxruntime."
    )


MODELS = Task(
    "style.models",
    ModelsRequest,
    ModelsResult,
    "List the one-pass networks you can use.",
    example={},
    max_batch=16,
)
PROMOTE = Task(
    "style.promote",
    PromoteRequest,
    ModelsResult,
    "Put a one-pass network in use.",
    example={"model": DEFAULT_MODEL},
    scope="style:train",
)
FORGET = Task(
    "style.forget",
    ForgetRequest,
    ModelsResult,
    "Delete a version of a one-pass network.",
    example={"model": "style@1"},
    scope="style:train",
)
IMPORT = Task(
    "style.import",
    ImportRequest,
    ImportResult,
    "Bring in a one-pass network that was trained elsewhere.",
    example={"file": "data:application/octet-stream;base64,AAECAw=="},
    time_limit=300.0,
    long=True,
    scope="style:train",
)
EXPORT = Task(
    "style.export",
    ExportRequest,
    ExportResult,
    "Take a one-pass network out, as ONNX or as a file of Atelier.",
    example={"model": DEFAULT_MODEL, "format": "onnx"},
    time_limit=600.0,
    long=True,
    scope="style:train",
)
TASKS = [MODELS, PROMOTE, FORGET, IMPORT, EXPORT]
