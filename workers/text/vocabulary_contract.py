"""Tasks on vocabularies: words counted in SQL, ranked by how often they occur."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.contract import Message, Task
from workers.text.fields import (
    DocumentId,
    Encoding,
    Name,
    Page,
    TextFile,
    Texts,
    Tokeniser,
    Vocabulary,
)
from workers.text.version_contract import VersionView

FileFormat = Annotated[
    Literal["text", "lines", "jsonl"],
    Field(
        description="text: a file is a document; lines: each line is one; jsonl: each line is an "
        'object with "text" and perhaps "id". In a zip, *.jsonl is always jsonl.'
    ),
]
AskedWord = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]


class IngestRequest(Message):
    """Count the words of documents, each document once however often it is sent."""

    vocabulary: Name = Field(description="It is made if there is none of this name.")
    texts: Texts = Field(default=[], max_length=1000, description="Short documents.")
    ids: list[DocumentId] | None = Field(
        None, max_length=1000, description="A name for each of `texts`; none: their sha256."
    )
    files: list[TextFile] = Field(default=[], max_length=64)
    file_ids: list[DocumentId] | None = Field(
        None, max_length=64, description="A name for each of `files`; none: their sha256."
    )
    format: FileFormat = "text"
    encoding: Encoding = "utf-8"
    tokeniser: Tokeniser | None = Field(None, description="Of a new vocabulary; none: words.")
    replace: bool = Field(
        False, description="A known document with other content: count it anew, or refuse it."
    )

    @model_validator(mode="after")
    def _check(self) -> "IngestRequest":
        if not self.texts and not self.files:
            raise ValueError("send `texts` or `files`")
        for ids, items in ((self.ids, self.texts), (self.file_ids, self.files)):
            if ids is not None and len(ids) != len(items):
                raise ValueError(f"there are {len(ids)} ids for {len(items)} items")
        return self


class IngestResult(Message):
    """What was counted, and what the vocabulary holds now."""

    vocabulary: str
    documents: int = Field(0, description="Counted by this job.")
    known: int = Field(0, description="Left out, for they were counted before.")
    replaced: int = 0
    tokens: int = Field(0, description="Counted by this job.")
    too_long: int = Field(
        0, description="Words of more than 200 characters in these documents, not counted."
    )
    total_documents: int = 0
    total_tokens: int = 0
    words: int = Field(0, description="Distinct words in the vocabulary.")


class RemoveRequest(Message):
    """Take documents out of a vocabulary: their words are counted down again."""

    vocabulary: Vocabulary
    documents: list[DocumentId] = Field(
        min_length=1,
        max_length=10_000,
        description="With at most 2 million words, each document's.",
    )


class RemoveResult(Message):
    vocabulary: str
    removed: int = 0
    unknown: list[str] = Field([], description="Documents that are not in the vocabulary.")
    total_documents: int = 0
    total_tokens: int = 0
    words: int = 0


class VocabularyView(Message):
    vocabulary: str
    tokeniser: Tokeniser
    documents: int
    tokens: int
    words: int
    versions: list[VersionView]
    created_at: float


class ListRequest(Message):
    """List your vocabularies."""


class ListResult(Message):
    vocabularies: list[VocabularyView]


class RankRequest(Message):
    """The most frequent words in order, a page at a time, or the ranks of given words."""

    vocabulary: Vocabulary
    limit: Page = 100
    after: str | None = Field(None, max_length=100, description="`next` of the page before.")
    words: list[AskedWord] | None = Field(
        None, min_length=1, max_length=1000, description="Cut as the vocabulary's documents are."
    )


class RankedWord(Message):
    rank: int | None = Field(description="1 for the most frequent; none: never seen.")
    word: str
    count: int
    share: float = Field(description="Of all counted tokens, 0 to 1.")


class RankResult(Message):
    vocabulary: str
    words: list[RankedWord]
    next: str | None = Field(description="Send it as `after` for the next page.")
    total_tokens: int
    total_words: int


class MergeRequest(Message):
    """Count the documents of other vocabularies too; one that is in both counts once."""

    vocabulary: Vocabulary
    sources: list[Name] = Field(
        min_length=1, max_length=100, description="With at most a million distinct words in all."
    )


class DocumentsRequest(Message):
    """List what was counted."""

    vocabulary: Vocabulary
    limit: Page = 100
    after: DocumentId | None = Field(None, description="`next` of the page before.")


class DocumentView(Message):
    document: str
    sha256: str
    tokens: int
    words: int
    counted_at: float


class DocumentsResult(Message):
    vocabulary: str
    documents: list[DocumentView]
    next: str | None


class DeleteRequest(Message):
    """Delete a vocabulary with its documents and versions."""

    vocabulary: Vocabulary


class DeleteResult(Message):
    vocabulary: str
    documents: int = 0
    versions: int = 0


_TIME = 600.0  # seconds; an ingest of 256 MB takes a tenth of that
INGEST = Task(
    "text.ingest",
    IngestRequest,
    IngestResult,
    "Count the words of documents into a vocabulary.",
    example={"vocabulary": "stories", "texts": ["It was the best of times."]},
    max_batch=2,  # large ones hold the lock of a vocabulary for seconds
    time_limit=_TIME,
)
REMOVE = Task(
    "text.remove",
    RemoveRequest,
    RemoveResult,
    "Take documents out of a vocabulary again.",
    example={"vocabulary": "stories", "documents": ["chapter-1"]},
    time_limit=_TIME,
)
LIST = Task(
    "text.vocab.list", ListRequest, ListResult, "List your vocabularies.", example={}, max_batch=16
)
RANK = Task(
    "text.vocab.rank",
    RankRequest,
    RankResult,
    "The most frequent words, or the ranks of given ones.",
    example={"vocabulary": "stories", "limit": 10},
    max_batch=16,
)
MERGE = Task(
    "text.vocab.merge",
    MergeRequest,
    IngestResult,
    "Count the documents of other vocabularies too.",
    example={"vocabulary": "stories", "sources": ["poems"]},
    time_limit=_TIME,
)
DOCUMENTS = Task(
    "text.vocab.documents",
    DocumentsRequest,
    DocumentsResult,
    "List the documents of a vocabulary.",
    example={"vocabulary": "stories"},
)
DELETE = Task(
    "text.vocab.delete",
    DeleteRequest,
    DeleteResult,
    "Delete a vocabulary.",
    example={"vocabulary": "stories"},
    time_limit=_TIME,
)
TASKS = [INGEST, REMOVE, MERGE, LIST, RANK, DOCUMENTS, DELETE]
