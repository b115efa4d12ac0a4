"""The classes of a data set: their names, their colours, and the indices that mean none."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from workers.runtime.run import InvalidInput
from workers.segment.fields import Byte, Colour
from workers.segment.metrics import VOID

FILE = "classes.json"  # beside the pictures; it names the classes
VOC_NAMES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
    "motorbike person pottedplant sheep sofa train tvmonitor"
)
CAMVID_NAMES = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist"
CAMVID_PALETTE: tuple[Colour, ...] = (  # as Cityscapes shows such things; people stand out
    *((70, 130, 180), (70, 70, 70), (153, 153, 153), (128, 64, 128), (244, 35, 232)),
    *((107, 142, 35), (220, 220, 0), (190, 153, 153), (0, 0, 142), (220, 20, 60), (255, 140, 0)),
)


@dataclass(frozen=True)
class Classes:
    """What the indices of a mask mean. The class of index i is the one at place i."""

    names: tuple[str, ...]
    palette: tuple[Colour, ...]  # one for each name
    void: frozenset[int] = frozenset({VOID})  # indices of pixels without a class

    def __len__(self) -> int:
        return len(self.names)


CAMVID = Classes(tuple(CAMVID_NAMES.split()), CAMVID_PALETTE, frozenset({11, VOID}))


class NamedClass(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    colour: Colour | None = None


def name_plain(one: Any) -> Any:
    """A class that is given as its name alone."""
    return {"name": one} if isinstance(one, str) else one


class ClassesFile(BaseModel):
    """`{"classes": [{"name": "sky", "colour": [70, 130, 180]}, "road"], "void": [11]}`."""

    model_config = ConfigDict(extra="forbid")

    classes: Annotated[
        list[Annotated[NamedClass, BeforeValidator(name_plain)]],
        Field(min_length=1, max_length=VOID, fail_fast=True),
    ]
    void: Annotated[list[Byte], Field(max_length=VOID + 1, fail_fast=True)] = [VOID]


def read_classes(content: bytes, path: str) -> Classes:
    """The classes that a JSON names. Raises InvalidInput, which names it."""
    try:
        given = ClassesFile.model_validate(json.loads(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InvalidInput(f"{path}: {place}: {first['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not JSON: {error}.") from error
    named = given.classes
    names = tuple(one.name.strip() for one in named)
    if len(set(names)) < len(names) or "" in names:
        raise InvalidInput(f"{path}: a name of a class is blank or there twice.")
    if not all(name.isprintable() for name in names):
        raise InvalidInput(f"{path}: the name of a class has characters that cannot be shown.")
    plain = make_palette(len(named))
    palette = [one.colour or colour for one, colour in zip(named, plain, strict=True)]
    void = frozenset(given.void) | {VOID}
    if min(void) < len(named):
        raise InvalidInput(f"{path}: index {min(void)} is void, and one of the classes too.")
    return Classes(names, tuple(palette), void)


def name_classes(names: Sequence[str]) -> Classes:
    """With the colours of Pascal VOC."""
    return Classes(tuple(names), make_palette(len(names)))


def make_palette(count: int) -> tuple[Colour, ...]:
    """So many colours of Pascal VOC: the bits of the index, shared among red, green and blue.

    >>> make_palette(3)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    """
    colours = []
    for index in range(count):
        red, green, blue = (
            sum((index >> (3 * bit + part) & 1) << (7 - bit) for bit in range(3))
            for part in range(3)
        )
        colours.append((red, green, blue))
    return tuple(colours)
