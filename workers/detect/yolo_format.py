"""Reads labels as Darknet and its successors write them: a text file for each picture."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from workers.detect.label_files import Files, check_names, read_lines, read_number, read_text
from workers.detect.labelled import Entry, Labels, Tally
from workers.runtime.data_paths import MAX_QUOTED, Paths, is_picture, part_of, quote
from workers.runtime.run import InvalidInput

MAX_BYTES = 1_000_000  # of a label file, or a list of names
MAX_CONFIG_BYTES = 100_000  # of data.yaml, which is read in seconds
MAX_LIST_BYTES = 20_000_000  # of a list of pictures
PARTS = ("train", "val", "test")
PICTURE_FOLDERS = ("images", "JPEGImages")  # Darknet looks for labels/ in place of them
MAX_PLACES = 20  # folders or lists of one part
LARGEST = 1.001  # of a share of the picture: what rounding to three digits may leave


class PlainLoader(yaml.BaseLoader):
    """Texts, lists and mappings alone: what becomes a number or a date can fail in many ways.

    Refuses references: a few lines of them can stand for more than fits into memory. And tags.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent) or self.peek_event().tag is not None:
            raise yaml.YAMLError("references and tags are not allowed")
        return super().compose_node(parent, index)


def read_yolo(files: Files) -> tuple[tuple[str, ...], list[Entry]]:
    """(class names, what is told of each picture); raises InvalidInput, which names the file.

    The classes are those of data.yaml, classes.txt or obj.names. The labels of
    images/a.jpg are in labels/a.txt, or in a.txt beside it; a picture without such a file shows
    none of the classes. The parts are those of data.yaml, else of train.txt, val.txt and test.txt,
    else of the folders' names. A picture in two parts belongs to the first.
    Raises TooLarge for a file of too many bytes, or beyond the limits of `Tally`.
    """
    config = _read_config(files)
    names = check_names(*_find_names(files, config))
    pictures = sorted(filter(is_picture, files))
    parts = _read_parts(files, config, pictures)
    entries, tally = [], Tally()
    for picture in pictures:
        source = find_label(picture, files)
        labels = _read_labels(source, files, len(names)) if source else Labels.of([], [])
        tally.add(source or picture, len(labels))
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
            if not 0 <= class_id < classes:
                raise ValueError(f"there is no class {str(class_id)[:MAX_QUOTED]}")
        except ValueError as error:
            raise InvalidInput(f"{path}, line {number}: {error}.") from error
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
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: an escape
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
        numbers = [str(place) for place in range(len(names))]
        if set(names) != set(numbers):
            raise InvalidInput("data.yaml: the classes are not numbered 0, 1, 2 ...")
        names = [names[number] for number in numbers]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput("data.yaml: `names` is not a list of names.")
    return tuple(names)


def _find(files: Files, names: Sequence[str]) -> PurePosixPath | None:
    """The file of one of these names that lies in the fewest folders."""
    found = [path for path in files if path.name in names]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def _read_parts(
    files: Files, config: Mapping[str, Any], pictures: Sequence[PurePosixPath]
) -> dict[PurePosixPath, str]:
    texts = Paths(path for path in files if path.suffix == ".txt")
    known = Paths(pictures)
    parts: dict[PurePosixPath, str] = {}
    for part in PARTS:
        for place in _find_places(config, part):
            if place[-1].endswith(".txt"):
                source = min(texts.alike(place), default=None)
                found = _read_list(source, files, known) if source else set()
            else:
                found = {path for path in pictures if _contains(path.parent.parts, place)}
            parts = dict.fromkeys(found, part) | parts
    return parts


def _find_places(config: Mapping[str, Any], part: str) -> set[tuple[str, ...]]:
    """The folders and lists of pictures of a part, as `_steps`."""
    told = config.get(part, f"{part}.txt" if not config else None)
    places = told if isinstance(told, list) else [told]
    if len(places) > MAX_PLACES:
        raise InvalidInput(f"data.yaml: {part} is spread over more than {MAX_PLACES} places.")
    return {steps for place in places if isinstance(place, str) and (steps := _steps(place))}


def _read_list(source: PurePosixPath, files: Files, known: Paths) -> set[PurePosixPath]:
    """The pictures that a file lists.

    Where a path begins depends on the machine that wrote it, so what it ends with counts.
    """
    found, seen = set[PurePosixPath](), set[tuple[str, ...]]()
    for number, line in read_lines(source, files, MAX_LIST_BYTES):
        steps = _steps(line)
        if steps in seen:
            continue
        seen.add(steps)
        pictures = known.alike(steps)
        if not pictures:
            raise InvalidInput(f"{source}, line {number}: the picture {quote(line)} is missing.")
        found |= pictures
    return found


def _steps(place: str) -> tuple[str, ...]:
    """The folders and the name in a path, without what leads to where it begins."""
    path = PurePosixPath(place.replace("\\", "/"))
    return tuple(step for step in path.parts if step not in ("/", ".."))


def _contains(folders: tuple[str, ...], steps: tuple[str, ...]) -> bool:
    starts = range(len(folders) - len(steps) + 1)
    return any(folders[start : start + len(steps)] == steps for start in starts)
