"""Tasks on vocabularies: words in SQL, ranked by how often they occur, and frozen versions."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.contract import Message, Task
from workers.text.fields import (
    DocumentId,
    Encoding,
    Name,
    TextFile,
    Texts,
    Tokeniser,
    Version,
    Vocabulary,
)

FileFormat = Annotated[
    Literal["text", "lines", "jsonl"],
    Field(
        description="text: a file is a document; lines: each line is one; jsonl: each line is an "
        'object with "text" and perhaps "id". In a zip, *.jsonl is always jsonl.'
    ),
]
Page = Annotated[int, Field(ge=1, le=1000)]
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
    too_long: int = Field(description="Words of more than 200 characters, which are not counted.")
    total_documents: int = 0
    total_tokens: int = 0
    words: int = Field(0, description="Distinct words in the vocabulary.")


class RemoveRequest(Message):
    """Take documents out of a vocabulary: their words are counted down again."""

    vocabulary: Vocabulary
    documents: list[DocumentId] = Field(min_length=1, max_length=10_000)


class RemoveResult(Message):
    vocabulary: str
    removed: int = 0
    unknown: list[str] = Field([], description="Documents that are not in the vocabulary.")
    total_documents: int = 0
    total_tokens: int = 0
    words: int = 0


class VersionView(Message):
    """A frozen list of words with indices 1 to `size`."""

    vocabulary: str
    version: int = 0
    size: int = 0
    min_count: int
    coverage: float = Field(0.0, description="The part of all tokens that it knows, 0 to 1.")
    created_at: float = 0.0


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
    words: list[AskedWord] | None = Field(None, min_length=1, max_length=1000)


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


class FreezeRequest(Message):
    """Keep the k most frequent words as a version whose indices never change."""

    vocabulary: Vocabulary
    size: int | None = Field(None, ge=1, le=10_000_000, description="k; none: all words.")
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


class MergeRequest(Message):
    """Count the documents of other vocabularies too; one that is in both counts once."""

    vocabulary: Vocabulary
    sources: list[Name] = Field(min_length=1, max_length=100)


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
    max_batch=8,
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
MERGE = Task(
    "text.vocab.merge",
    MergeRequest,
    IngestResult,
    "Count the documents of other vocabularies too.",
    example={"vocabulary": "stories", "sources": ["poems"]},
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
TASKS = [INGEST, REMOVE, LIST, RANK, FREEZE, DIFF, MERGE, EXPORT, DOCUMENTS, DELETE]
