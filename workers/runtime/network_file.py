"""Files of networks that may come from outside: bounded, checked, refused by what is wrong."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from shared.blobs import Blobs
from workers.runtime.run import InvalidInput, Run
from workers.runtime.spool import spool

MOST_HEADER = 2**22  # bytes: a thousand classes with long names, twice
SHOWN = 80  # characters of a name in a text, which may be as long as the file
SHOWN_OF_ERROR = 500

A = TypeVar("A")
T = TypeVar("T")


def check_shown(name: str) -> str:
    if not name.isprintable():
        raise ValueError("the name has characters that cannot be shown")
    return name


# That of a class, and of what is measured
MetricName = Annotated[str, Field(max_length=120), AfterValidator(check_shown)]


def shorten(text: str, length: int = SHOWN) -> str:
    """As it can be shown: a terminal would obey some characters."""
    shown = "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:length]
    )
    return shown if len(text) <= length else f"{shown}…"


def check_header(path: Path) -> None:
    """Raises ValueError for what does not begin as safetensors do: with the header's length."""
    with path.open("rb") as file:
        if int.from_bytes(file.read(8), "little") > MOST_HEADER:
            raise ValueError("it does not begin as a file of safetensors, or is damaged.")


def read_about(reader: TypeAdapter[A], told: Any) -> A:
    """The description in a file. Raises ValueError, whose text names the first fault."""
    try:
        return reader.validate_json(json.dumps(told))  # strict JSON: no texts for numbers
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = shorten(".".join(str(part) for part in first["loc"]))
        why = shorten(first["msg"], 300)
        raise ValueError(f"{place}: {why}." if place else why) from error


def fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give an empty network its weights; raises ValueError if they are not exactly its own."""
    wanted = {name: (one.shape, one.dtype) for name, one in network.state_dict().items()}
    found = {name: (one.shape, one.dtype) for name, one in tensors.items()}
    if wanted != found:
        odd = sorted(dict(wanted.items() ^ found.items()))
        shown = ", ".join(shorten(name) for name in odd[:3])
        raise ValueError(f"The weights are not those of the network: {shown}.")
    network.load_state_dict(tensors, assign=True)


@contextmanager
def tell_faults(path: Path, what: str) -> Iterator[None]:
    """What goes wrong while a file is read is its sender's fault: "This is no `what`: ...".

    Raises InvalidInput, which does not tell where the file lies.
    """
    try:
        yield
    except (ValueError, RecursionError) as error:  # the latter of JSON a thousand levels deep
        text = shorten(str(error).replace(str(path), "the file"), SHOWN_OF_ERROR)
        raise InvalidInput(f"This is no {what}: {text}") from error


def load_sent(blobs: Blobs, run: Run[Any], most: int, what: str, load: Callable[[Path], T]) -> T:
    """What `load` reads from the safetensors of at most `most` bytes that a job came with.

    Raises InvalidInput ("This is no `what`: ...") where `load` raises ValueError; TooLarge,
    Cancelled.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        with path.open("wb") as file:
            spool(blobs, run, run.request.file, file, most)
        run.progress(0.3, "reading the network")
        with tell_faults(path, what):
            check_header(path)
            return load(path)


def check_finite(network: nn.Module) -> None:
    """Raises InvalidInput if a weight is not finite."""
    for name, weights in network.state_dict().items():
        if not weights.isfinite().all():
            raise InvalidInput(f"The weights {name} hold numbers that are not finite.")
