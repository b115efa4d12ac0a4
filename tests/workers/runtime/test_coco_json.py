"""COCO's JSON files from outside take bounded memory, however much is wrong in them."""

import tracemalloc
from pathlib import PurePosixPath

import pytest

from workers.runtime import coco_json
from workers.runtime.coco_json import Instances, OnImage, parse_instances, tell_part
from workers.runtime.run import InvalidInput, TooLarge

PATH = PurePosixPath("annotations/instances_train2017.json")


def make_json(**lists: bytes) -> bytes:
    held = {"images": b"", "annotations": b"", "categories": b""} | lists
    return b"{" + b",".join(b'"%s":[%s]' % (k.encode(), v) for k, v in held.items()) + b"}"


@pytest.mark.parametrize("where", ["images", "annotations", "categories"])
def test_the_first_of_many_faults_is_told_and_no_other_is_kept(where):
    content = make_json(**{where: b",".join([b"1"] * 100_000)})
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=rf"instances_train2017.json .*: {where}\.0 "):
            parse_instances(PATH, content, Instances[OnImage])
        assert tracemalloc.get_traced_memory()[1] < 5_000_000  # 600 bytes a fault without
    finally:
        tracemalloc.stop()


def test_a_file_of_more_numbers_than_fit_into_memory_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(coco_json, "MAX_COMMAS", 100)
    with pytest.raises(TooLarge, match=r"instances_train2017.json holds more than 100 numbers"):
        parse_instances(PATH, make_json(images=b"," * 101), Instances[OnImage])


@pytest.mark.parametrize(
    ("path", "part"),
    [("val/_annotations.coco.json", "val"), ("a/captions_test2017.json", "test"), ("a.json", "")],
)
def test_a_file_or_its_folder_tells_the_part(path, part):
    assert tell_part(PurePosixPath(path)) == part
