"""Tasks on frozen versions of vocabularies: make one, compare two, write words to a file."""

from typing import Literal

from pydantic import Field

from shared.contract import Message, Task
from workers.text.fields import Page, Version, Vocabulary

_TIME = 600.0  # seconds
MAX_SIZE = 1_000_000  # words of a version, written in one transaction of 8 seconds


class VersionView(Message):
    """A frozen list of words with indices 1 to `size`."""

    vocabulary: str
    version: int = 0
    size: int = 0
    min_count: int
    coverage: float = Field(0.0, description="The part of all tokens that it knows, 0 to 1.")
    created_at: float = 0.0


class FreezeRequest(Message):
    """Keep the k most frequent words as a version whose indices never change."""

    vocabulary: Vocabulary
    size: int | None = Field(None, ge=1, le=MAX_SIZE, description="k; none: all words.")
    min_count: int = Field(1, ge=1, le=10**12, description="Rarer words are left out.")


class DiffRequest(Message):
    """What changed from one version to another."""

    vocabulary: Vocabulary
    old: int = Field(ge=1, le=2**31 - 1)
    new: int = Field(ge=1, le=2**31 - 1)
    limit: Page = 100


class MovedWord(Message):
    word: str
    old: int
    new: int


class DiffResult(Message):
    """Counts of all changes, and the first `limit` of each kind."""

    vocabulary: str
    old: int
    new: int
    added: int
    dropped: int
    moved: int
    same: int
    added_words: list[str]
    dropped_words: list[str]
    moved_words: list[MovedWord] = Field(description="Those that moved furthest first.")


class ExportRequest(Message):
    """Write a vocabulary to a file."""

    vocabulary: Vocabulary
    version: Version = Field(None, description="A frozen version; none: all words counted now.")
    format: Literal["json", "tsv", "tokenizers"] = Field(
        "json", description="tokenizers: a tokenizer.json for the library of Hugging Face."
    )


class ExportResult(Message):
    vocabulary: str
    version: int | None
    words: int
    file: str = Field(description="The blob id of the file.")


FREEZE = Task(
    "text.vocab.freeze",
    FreezeRequest,
    VersionView,
    "Keep the most frequent words as a version.",
    example={"vocabulary": "stories", "size": 10_000},
    time_limit=_TIME,
)
DIFF = Task(
    "text.vocab.diff",
    DiffRequest,
    DiffResult,
    "What changed between two versions.",
    example={"vocabulary": "stories", "old": 1, "new": 2},
    time_limit=_TIME,
)
EXPORT = Task(
    "text.vocab.export",
    ExportRequest,
    ExportResult,
    "Write a vocabulary to a file.",
    example={"vocabulary": "stories", "format": "tsv"},
    time_limit=_TIME,
)
TASKS = [FREEZE, DIFF, EXPORT]
