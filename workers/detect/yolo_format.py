"""Reads labels as Darknet and its successors write them: a text file for each picture."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from workers.detect.label_files import (
    Files,
    check_names,
    is_picture,
    part_of,
    read_lines,
    read_number,
    read_text,
)
from workers.detect.labelled import Entry, Labels
from workers.runtime.run import InvalidInput

MAX_BYTES = 1_000_000  # of a label file, or a list of names
MAX_CONFIG_BYTES = 100_000  # of data.yaml, which is read in seconds
MAX_LIST_BYTES = 20_000_000  # of a list of pictures
PARTS = ("train", "val", "test")
PICTURE_FOLDERS = ("images", "JPEGImages")  # Darknet looks for labels/ in place of them
MAX_PLACES = 100  # folders or lists of one part
LARGEST = 1.001  # of a share of the picture: what rounding to three digits may leave


class PlainLoader(yaml.SafeLoader):
    """Refuses references: a few lines of them can stand for more than fits into memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a reference is not allowed")
        return super().compose_node(parent, index)


def read_yolo(
    files: Files, wanted: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[Entry]]:
    """(class names, what is told of each picture); raises InvalidInput, which names the file.

    The classes are `wanted`, or those of data.yaml, classes.txt or obj.names. The labels of
    images/a.jpg are in labels/a.txt, or in a.txt beside it; a picture without such a file shows
    none of the classes. The parts are those of data.yaml, else of train.txt, val.txt and test.txt,
    else of the folders' names. A picture in two parts belongs to the first.
    """
    config = _read_config(files)
    names = check_names(*((wanted, "classes") if wanted else _find_names(files, config)))
    pictures = sorted(filter(is_picture, files))
    parts = _read_parts(files, config, pictures)
    entries = []
    for picture in pictures:
        source = find_label(picture, files)
        labels = _read_labels(source, files, len(names)) if source else Labels.of([], [])
        part = parts.get(picture, part_of(picture.parent.parts))
        entries.append(Entry(source or picture, picture, labels, part, relative=True))
    _check_strays(files, {entry.source for entry in entries})
    return names, entries


def find_label(picture: PurePosixPath, files: Files) -> PurePosixPath | None:
    """The label file of a picture, or None."""
    beside = picture.with_suffix(".txt")
    folders = beside.parts[:-1]
    for place in reversed(range(len(folders))):
        if folders[place] in PICTURE_FOLDERS:
            path = PurePosixPath(*folders[:place], "labels", *beside.parts[place + 1 :])
            if path in files:
                return path
    return beside if beside in files else None


def _read_labels(path: PurePosixPath, files: Files, classes: int) -> Labels:
    """Boxes as shares of the picture: class, middle, width and height of each line."""
    boxes, ids = [], []
    for number, line in read_lines(path, files, MAX_BYTES):
        try:
            class_id, box = _read_line(line.split())
        except ValueError as error:
            raise InvalidInput(f"{path}, line {number}: {error}.") from error
        if not 0 <= class_id < classes:
            raise InvalidInput(f"{path}, line {number}: there is no class {class_id}.")
        boxes.append(box)
        ids.append(class_id)
    return Labels.of(boxes, ids)


def _read_line(words: list[str]) -> tuple[int, tuple[float, ...]]:
    if len(words) != 5:
        raise ValueError(f"{len(words)} words, where a class and four numbers are a box")
    x, y, width, height = (read_number(word) for word in words[1:])
    if min(x, y, width, height) < 0 or max(x, y, width, height) > LARGEST:
        raise ValueError("a box is given in shares of the picture, 0 to 1")
    return int(words[0]), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _check_strays(files: Files, used: set[PurePosixPath]) -> None:
    """Raises InvalidInput for a label file of a picture that is not there."""
    for path in sorted(files.keys() - used):
        if path.suffix == ".txt" and "labels" in path.parts and path.name != "classes.txt":
            raise InvalidInput(f"{path}: its picture is missing.")


def _read_config(files: Files) -> Mapping[str, Any]:
    """data.yaml; {} if there is none. Raises InvalidInput if it is no mapping."""
    path = _find(files, ("data.yaml", "data.yml", "dataset.yaml"))
    if path is None:
        return {}
    try:
        config = PlainLoader(read_text(path, files, MAX_CONFIG_BYTES)).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no plain YAML file.") from error
    if not isinstance(config, dict):
        raise InvalidInput(f"{path} names no classes.")
    return config


def _find_names(
    files: Files, config: Mapping[str, Any]
) -> tuple[tuple[str, ...], PurePosixPath | str]:
    """(the class names, where they are written)."""
    if "names" in config:
        return _names_of(config["names"]), "data.yaml"
    path = _find(files, ("classes.txt", "obj.names"))
    if path is None:
        raise InvalidInput("The classes have no names: add data.yaml, classes.txt or obj.names.")
    return tuple(line for _, line in read_lines(path, files, MAX_BYTES)), path


def _names_of(names: object) -> tuple[str, ...]:
    """From a list, or a mapping of 0, 1, 2 ... to a name each."""
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise InvalidInput("data.yaml: the classes are not numbered 0, 1, 2 ...")
        names = [names[place] for place in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise InvalidInput("data.yaml: `names` is not a list of names.")
    return tuple(str(name) for name in names)


def _find(files: Files, names: Sequence[str]) -> PurePosixPath | None:
    """The file of one of these names that lies in the fewest folders."""
    found = [path for path in files if path.name in names]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def _read_parts(
    files: Files, config: Mapping[str, Any], pictures: Sequence[PurePosixPath]
) -> dict[PurePosixPath, str]:
    parts: dict[PurePosixPath, str] = {}
    for part in PARTS:
        told = config.get(part, f"{part}.txt" if not config else None)
        places = told if isinstance(told, list) else [told]
        if len(places) > MAX_PLACES:
            raise InvalidInput(f"data.yaml: {part} is spread over more than {MAX_PLACES} places.")
        for place in places:
            if isinstance(place, str):
                parts = dict.fromkeys(_pictures_of(place, files, pictures), part) | parts
    return parts


def _pictures_of(
    place: str, files: Files, pictures: Sequence[PurePosixPath]
) -> list[PurePosixPath]:
    """The pictures of a folder, or of a list of pictures; [] if there is no such thing.

    Where a path begins depends on the machine that wrote it, so what it ends with counts.
    """
    steps = _steps(place)
    if not place.endswith(".txt"):
        return [path for path in pictures if steps and _contains(path.parent.parts, steps)]
    source = next((path for path in files if _ends_alike(path.parts, steps)), None)
    if source is None:
        return []
    by_name: dict[str, list[PurePosixPath]] = {}
    for path in pictures:
        by_name.setdefault(path.name, []).append(path)
    listed = []
    for number, line in read_lines(source, files, MAX_LIST_BYTES):
        named = by_name.get(PurePosixPath(line.replace("\\", "/")).name, [])
        own = [path for path in named if _ends_alike(path.parts, _steps(line))]
        if not own:
            raise InvalidInput(f"{source}, line {number}: the picture {line} is missing.")
        listed += own
    return listed


def _steps(place: str) -> tuple[str, ...]:
    """The folders and the name in a path, without what leads to where it begins."""
    path = PurePosixPath(place.replace("\\", "/"))
    return tuple(step for step in path.parts if step not in ("/", ".."))


def _contains(folders: tuple[str, ...], steps: tuple[str, ...]) -> bool:
    starts = range(len(folders) - len(steps) + 1)
    return any(folders[start : start + len(steps)] == steps for start in starts)


def _ends_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    return shared > 0 and one[-shared:] == other[-shared:]
