"""Small data sets of labelled pictures, made as files in a folder and as a zip."""

import json
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.workers.file_sets import Contents, fill, make_zip
from workers.detect.labelled import LabelledPictures
from workers.detect.read_labelled import read_folder, read_zip


def make_picture(shade: int = 0, size: tuple[int, int] = (100, 80), kind: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(file, kind)
    return file.getvalue()


def make_object(name: str, box: tuple[object, ...], difficult: int | None = 0) -> str:
    corners = "".join(
        f"<{corner}>{value}</{corner}>"
        for corner, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    flag = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    return f"<object><name>{name}</name>{flag}<bndbox>{corners}</bndbox></object>"


def make_xml(*objects: str, size: tuple[int, int] | None = (100, 80)) -> str:
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation>{shape}{''.join(objects)}</annotation>"


def make_coco(**changes: object) -> str:
    """Two pictures, a cat and a dog on the first; the ids have gaps as COCO's."""
    content = {
        "info": {"year": 2026},
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 9, "file_name": "b.jpg", "width": 100, "height": 80},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 18, "bbox": [0, 0, 5, 5.5], "iscrowd": 1},
        ],
    }
    return json.dumps(content | changes)


VOC: Contents = {
    "JPEGImages/a.jpg": make_picture(10),
    "JPEGImages/b.jpg": make_picture(20),
    "JPEGImages/c.jpg": make_picture(30),
    "Annotations/a.xml": make_xml(
        make_object("dog", (1, 1, 100, 80)), make_object("cat", (11, 21, 40, 60), 1)
    ),
    "Annotations/b.xml": make_xml(make_object("cat", (11, 21, 40, 60), None)),
    "Annotations/c.xml": make_xml(),
    "ImageSets/Main/train.txt": "a\nb\n",
    "ImageSets/Main/val.txt": "c\n",
    "ImageSets/Main/cat_train.txt": "a 1\nb 1\n",
    "LICENSE": "MIT",
}
COCO: Contents = {
    "train2017/a.jpg": make_picture(10),
    "train2017/b.jpg": make_picture(20),
    "annotations/instances_train2017.json": make_coco(),
    "annotations/captions_train2017.json": '{"images": [], "annotations": []}',
}
YOLO: Contents = {
    "images/train/a.jpg": make_picture(10),
    "images/train/b.jpg": make_picture(20),
    "images/val/c.jpg": make_picture(30),
    "labels/train/a.txt": "0 0.25 0.5 0.3 0.5\n1 0.5 0.5 1 1\n\n",
    "labels/val/c.txt": "",
    "data.yaml": "train: images/train\nval: images/val\nnames: [cat, dog]\n",
}


def read(folder: Path, files: Contents, **options) -> LabelledPictures:
    """From a folder, after making sure that a zip gives the same."""
    found = read_folder(fill(folder, files), **options)
    with read_zip(make_zip(files), **options) as zipped:
        assert zipped.fingerprint() == found.fingerprint()
        assert (zipped.empty, zipped.repeated) == (found.empty, found.repeated)
        assert [one.open().size for one in zipped.pictures] == [
            (one.width, one.height) for one in found.pictures
        ]
    return found


def boxes(found: LabelledPictures, place: int) -> list[list[float]]:
    """The boxes of a picture, by its place in the data set."""
    rows: list[list[float]] = found.pictures[place].labels.boxes.tolist()
    return rows


def without(files: Contents, *names: str) -> Contents:
    return {name: content for name, content in files.items() if name not in names}
