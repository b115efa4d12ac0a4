"""Small data sets of pictures and masks, made as files in a folder and as a zip."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tests.workers.file_sets import Contents, fill, make_zip
from workers.segment.labelled import LabelledPictures
from workers.segment.read_labelled import read_folder, read_zip

SIZE = (12, 8)  # width, height


def make_picture(shade: int = 0, size: tuple[int, int] = SIZE, kind: str = "PNG") -> bytes:
    return save(Image.new("RGB", size, (shade, shade, shade)), kind)


def make_mask(*indices: int, size: tuple[int, int] = SIZE, mode: str = "P") -> bytes:
    """Vertical stripes of the indices, as a palette PNG or one of greys."""
    width, height = size
    row = np.resize(np.repeat(indices, -(-width // len(indices))), width).astype(np.uint8)
    mask = Image.fromarray(np.tile(row, (height, 1)))
    if mode == "P":
        mask.putpalette([value for index in range(256) for value in (index, 0, 0)])
    return save(mask, "PNG")


def save(image: Image.Image, kind: str = "PNG") -> bytes:
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()


VOC: Contents = {
    "VOC2012/JPEGImages/a.jpg": make_picture(10, kind="JPEG"),
    "VOC2012/JPEGImages/b.jpg": make_picture(20, kind="JPEG"),
    "VOC2012/JPEGImages/unlabelled.jpg": make_picture(30, kind="JPEG"),
    "VOC2012/SegmentationClass/a.png": make_mask(0, 15, 255),
    "VOC2012/SegmentationClass/b.png": make_mask(0, 20),
    "VOC2012/SegmentationObject/a.png": make_mask(0, 1),
    "VOC2012/ImageSets/Segmentation/train.txt": "a\n",
    "VOC2012/ImageSets/Segmentation/val.txt": "b\n",
    "VOC2012/ImageSets/Segmentation/trainval.txt": "a\nb\n",
}
LISTS: Contents = {
    "train_pairs.txt": "train/a.jpg trainannot/a.png\n\n",
    "val_pairs.txt": "val/b.jpg valannot/b.png\n",
    "train/a.jpg": make_picture(10, kind="JPEG"),
    "val/b.jpg": make_picture(20, kind="JPEG"),
    "trainannot/a.png": make_mask(0, 10, 11, mode="L"),
    "valannot/b.png": make_mask(3, mode="L"),
}
FOLDERS: Contents = {
    "images/a.png": make_picture(10),
    "images/b.webp": make_picture(20, kind="WEBP"),
    "masks/a.png": make_mask(0, 2),
    "masks/b.png": make_mask(1, 255),
    "LICENSE": "MIT",
    ".DS_Store": "",
}


def read(folder: Path, files: Contents) -> LabelledPictures:
    """From a folder, after making sure that a zip gives the same."""
    found = read_folder(fill(folder, files))
    with read_zip(make_zip(files)) as zipped:
        assert zipped.fingerprint() == found.fingerprint()
        assert zipped.classes == found.classes
    return found


def without(files: Contents, *names: str) -> Contents:
    return {name: content for name, content in files.items() if name not in names}
