"""A contract says which fields of a request hold files, however they are written."""

import json
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from services.catalog import load_tasks
from shared.contract import PICTURES, Blob, BlobId, Message, Picture, Task


class Nothing(Message):
    pass


def make_task(request):
    return Task("detect.objects", request, Nothing, summary="", example={})


def read_blob_fields(request):
    return list(make_task(request).blob_fields())


def test_a_single_blob_is_found_with_what_it_accepts():
    class Request(Message):
        weights: BlobId
        image: Picture
        threshold: float = 0.5

    assert read_blob_fields(Request) == [
        ("weights", Blob(), False),
        ("image", Blob(PICTURES), False),
    ]


def test_a_list_of_blobs_is_marked_as_a_list():
    class Request(Message):
        images: list[Picture]
        limited: Annotated[list[Picture], Field(max_length=3)]
        described: list[Picture] = Field(description="Pictures.")

    names = ("images", "limited", "described")
    assert read_blob_fields(Request) == [(name, Blob(PICTURES), True) for name in names]


def test_an_optional_blob_is_a_single_one():
    class Request(Message):
        mask: Picture | None = None
        limited: Annotated[Picture | None, Field(description="A mask.")] = None

    assert read_blob_fields(Request) == [
        ("mask", Blob(PICTURES), False),
        ("limited", Blob(PICTURES), False),
    ]


def test_an_optional_list_of_blobs_is_a_list():
    class Request(Message):
        masks: list[Picture] | None = None
        holes: list[Picture | None] = []

    assert read_blob_fields(Request) == [
        ("masks", Blob(PICTURES), True),
        ("holes", Blob(PICTURES), True),
    ]


def test_other_fields_are_no_blobs():
    class Request(Message):
        words: list[str]
        count: Annotated[int, Field(gt=0)] = 1
        language: str | None = None

    assert read_blob_fields(Request) == []


def test_the_schema_tells_a_client_which_fields_take_a_blob():
    class Request(Message):
        image: Picture
        more: list[BlobId]
        zipped: Annotated[str, Blob(("application/zip",)), Field(description="A zip.")]
        mask: Picture | None = None
        words: str = ""

    properties = Request.model_json_schema()["properties"]
    assert properties["image"]["format"] == "blob"
    assert properties["more"]["items"]["format"] == "blob"
    assert properties["zipped"] | {"title": ""} == {
        "type": "string",
        "format": "blob",
        "description": "A zip.",
        "title": "",
    }
    assert properties["mask"]["anyOf"][0]["format"] == "blob"
    assert "JPEG" in properties["mask"]["anyOf"][0]["description"]
    assert "format" not in properties["words"]


@pytest.mark.parametrize("task", load_tasks().values(), ids=lambda task: task.name)
def test_every_field_that_takes_a_file_says_so_in_its_schema(task):
    properties = task.request.model_json_schema()["properties"]
    for name, _, _ in task.blob_fields():
        assert '"format": "blob"' in json.dumps(properties[name])


@pytest.mark.parametrize("sent", [{"x": float("nan")}, {"x": float("inf")}, {"x": 1, "y": 2}])
def test_a_message_refuses_unknown_fields_and_numbers_that_json_lacks(sent):
    class Request(Message):
        x: float

    with pytest.raises(ValidationError):
        Request.model_validate(sent)


def test_a_task_names_its_queue_and_path():
    task = make_task(Nothing)
    assert (task.queue, task.path) == ("detect", "/v1/detect/objects")
