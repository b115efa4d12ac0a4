"""Two workers that exist only as contracts, with every kind of field a request can have."""

from typing import Any

from shared.contract import BlobId, Message, Picture, Task


class MixRequest(Message):
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    tags: list[str] | None = None
    notes: dict[str, Any] = {}
    cover: Picture | None = None
    pages: list[Picture] = []
    files: list[BlobId] | None = None


class MixResult(Message):
    text: str


class SendRequest(Message):
    file: BlobId


MIX = Task("shop.mix", MixRequest, MixResult, "Mix.", example={"text": "hello"}, max_batch=4)
SEND = Task("mail.send", SendRequest, MixResult, "Send.", example={"file": "data:text/plain,hello"})
TASKS = {task.name: task for task in (MIX, SEND)}
