"""Tasks on word embeddings: train them, look words up, draw them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contract import Message, Task
from workers.text.fields import Encoding, Model, Name, Seed, TextFile, Tokeniser, Version

Word = Annotated[str, Field(min_length=1, max_length=200)]


class EmbedTrainRequest(Message):
    """Learn a vector for each word from the words around it."""

    corpus: TextFile
    name: Name = "words"
    encoding: Encoding = "utf-8"
    tokeniser: Tokeniser = Tokeniser()
    vocabulary: Name | None = Field(
        None,
        description="Learn vectors for the words of a frozen version, cut by its tokeniser: "
        "`tokeniser`, `max_words` and `min_count` do not count then.",
    )
    version: Version = None
    method: Literal["skip-gram", "cbow"] = "skip-gram"
    dimensions: int = Field(100, ge=2, le=1000)
    window: int = Field(5, ge=1, le=20, description="Words on each side, at most.")
    negatives: int = Field(5, ge=1, le=20, description="Random words for each true one.")
    epochs: int = Field(5, ge=1, le=1000)
    min_count: int = Field(5, ge=1, le=10**9, description="Rarer words get no vector.")
    max_words: int = Field(100_000, ge=2, le=1_000_000)
    subsample: float = Field(1e-3, ge=0, le=1, description="Frequent words are thinned; 0: not.")
    learning_rate: float = Field(0.025, gt=0, le=1)
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.version is not None and self.vocabulary is None:
            raise ValueError("`version` is one of a `vocabulary`: name it too")
        return self


class EmbedTrainResult(Message):
    model: str = Field("", description="Name and version.")
    words: int
    dimensions: int
    tokens: int = Field(description="Of the corpus, those with a vector.")
    loss: float = Field(description="Mean of the last tenth of the training, in nats a pair.")
    curve: str = Field(description="The blob id of a picture of the loss.")
    projection: str = Field(description="The blob id of a picture of the most frequent words.")


class NearestRequest(Message):
    """The words whose vectors point the same way; with several, analogies.

    positive king, woman and negative man asks: man is to king as woman is to whom?
    """

    model: Model
    positive: list[Word] = Field(min_length=1, max_length=10)
    negative: list[Word] = Field(default=[], max_length=10)
    limit: int = Field(10, ge=1, le=100)


class Neighbour(Message):
    word: str
    similarity: float = Field(description="The cosine of the angle, -1 to 1.")


class NearestResult(Message):
    model: str
    neighbours: list[Neighbour]


class LookUpRequest(Message):
    """The vectors of words."""

    model: Model
    words: list[Word] = Field(min_length=1, max_length=1000)


class LookUpResult(Message):
    model: str
    dimensions: int
    vectors: list[list[float] | None] = Field(description="None for a word without a vector.")


class ProjectRequest(Message):
    """Draw words in the plane: their vectors' two principal components."""

    model: Model
    words: list[Word] | None = Field(
        None, min_length=2, max_length=500, description="None: the most frequent ones."
    )
    limit: int = Field(100, ge=2, le=500, description="How many of the most frequent.")


class Point(Message):
    word: str
    x: float
    y: float


class ProjectResult(Message):
    model: str
    points: list[Point]
    explained: list[float] = Field(description="The part of the variance on x and on y.")
    picture: str = Field(description="The blob id of a PNG.")


class EmbedExportRequest(Message):
    """Write vectors to a file that word2vec, gensim and others read."""

    model: Model
    format: Literal["text", "binary"] = "text"


class EmbedExportResult(Message):
    model: str
    words: int
    file: str = Field(description="The blob id of the file.")


TRAIN = Task(
    "text.embed.train",
    EmbedTrainRequest,
    EmbedTrainResult,
    "Learn word vectors from a text.",
    example={"corpus": "data:text/plain,the%20best%20of%20times", "min_count": 1},
    time_limit=24 * 3600.0,
    long=True,
    scope="text:train",
)
NEAREST = Task(
    "text.embed.nearest",
    NearestRequest,
    NearestResult,
    "Words of similar meaning, and analogies.",
    example={"model": "words", "positive": ["king", "woman"], "negative": ["man"]},
    max_batch=32,
)
LOOK_UP = Task(
    "text.embed.lookup",
    LookUpRequest,
    LookUpResult,
    "The vectors of words.",
    example={"model": "words", "words": ["king"]},
    max_batch=32,
)
PROJECT = Task(
    "text.embed.project",
    ProjectRequest,
    ProjectResult,
    "Draw words in the plane.",
    example={"model": "words", "limit": 50},
)
EXPORT = Task(
    "text.embed.export",
    EmbedExportRequest,
    EmbedExportResult,
    "Write word vectors to a file in the format of word2vec.",
    example={"model": "words"},
    time_limit=600.0,
)
TASKS = [TRAIN, NEAREST, LOOK_UP, PROJECT, EXPORT]
