"""Networks as ONNX files for other programs, and what onnxruntime makes of them."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import onnx
import torch
from onnxruntime import InferenceSession, SessionOptions  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F

from workers.runtime.run import JobError, Run, TooLarge

OPSET = 18  # onnxruntime reads it from 1.14 on, TensorRT from 8.6 on
INPUT = "pictures"
LARGEST = 2**31 - 2**24  # bytes of weights; protobuf, and so the file, ends at 2 GiB
BATCHES = (1, 3)  # pictures that the two are compared on
CELLS = 8  # colours along a side of a picture made up
SEED = 0
TRACED, CHECKED = 0.3, 0.9  # of a job that writes a file

N = TypeVar("N", bound=nn.Module)
C = TypeVar("C")
Shapes = dict[str, list[str | int]]  # by name; what may differ has a name in place of a size


class NotEqual(JobError):
    """The exported network does not answer as the original does."""

    code = "parity"


@dataclass(frozen=True)
class Checked:
    """What onnxruntime tells about a file, and how far its answers are from torch's at most."""

    inputs: Shapes
    outputs: Shapes
    difference: float  # of a number in [0, 1]


def make_file(
    run: Run[Any], write: Callable[[Path], None], check: Callable[[Path], C]
) -> tuple[bytes, C]:
    """(the file that `write` writes, what `check` says of it), told step by step.

    Raises Cancelled, and what the two raise.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        run.progress(0.0, "tracing")
        write(path)
        run.progress(TRACED, "checking in onnxruntime")
        checked = check(path)
        run.progress(CHECKED, "saving")
        return path.read_bytes(), checked


def copy_to_cpu(network: N) -> N:
    """The same in the plain layout, not compiled; the one that is served stays as it is."""
    return copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)


def write_onnx(
    network: nn.Module,
    size: tuple[int, int],
    outputs: Sequence[str],
    about: Mapping[str, str],
    path: Path,
    least_side: int | None = None,
    same_shape: bool = False,
) -> None:
    """The call of a network, which is on the CPU and in eval, for any number of pictures at once.

    It takes RGB pictures (B, 3, height, width) in [0, 1], of the one `size` (height, width), and
    answers so many `outputs`. `about` becomes the file's metadata. With `least_side` the pictures
    may have any sides from so many pixels on. `same_shape`: the answers have that of the pictures.
    """
    pictures = torch.zeros(2, 3, *size)  # of one, torch would make a constant
    free = {0: torch.export.Dim("batch")}
    if least_side is not None:
        free |= {2: torch.export.Dim("height", min=least_side)}
        free |= {3: torch.export.Dim("width", min=least_side)}
    program = torch.onnx.export(
        network,
        (pictures,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(outputs),
        dynamic_shapes=(free,),
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export made no program")
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with the folders of this machine
    if same_shape:
        for answer in program.model.graph.outputs:  # whose sizes torch tells as long formulas
            answer.shape = program.model.graph.inputs[0].shape
    program.model.metadata_props.update(about)
    program.save(path)


def check_bytes(network: nn.Module) -> None:
    """Raises TooLarge if no ONNX file can hold the weights. To write one takes three times them."""
    held = sum(tensor.nbytes for tensor in network.state_dict().values())
    if held > LARGEST:
        raise TooLarge(
            f"The network holds {held / 2**30:.1f} GiB, and an ONNX file 2 at most: "
            "export it in the format atelier."
        )


def open_onnx(path: Path) -> InferenceSession:
    """The file in onnxruntime on the CPU, after onnx has checked it."""
    onnx.checker.check_model(path, full_check=True)
    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # which keeps, and doubles, what it has had once
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_onnx(session: InferenceSession, pictures: Tensor) -> list[Tensor]:
    """Its outputs, in their order."""
    return [torch.from_numpy(one) for one in session.run(None, {INPUT: pictures.numpy()})]


def list_shapes(session: InferenceSession) -> tuple[Shapes, Shapes]:
    """(of the inputs, of the outputs)."""
    inputs, outputs = (
        {one.name: list(one.shape) for one in nodes}
        for nodes in (session.get_inputs(), session.get_outputs())
    )
    return inputs, outputs


def make_pictures(size: tuple[int, int]) -> Iterator[Tensor]:
    """(B, 3, height, width) in [0, 1] for each of BATCHES: noise, and areas with soft edges."""
    generator = torch.Generator().manual_seed(SEED)
    for count in BATCHES:
        for cells in (size, (CELLS, CELLS)):
            picture = torch.rand(count, 3, *cells, generator=generator)
            yield F.interpolate(picture, size, mode="bilinear").clamp(0, 1)
