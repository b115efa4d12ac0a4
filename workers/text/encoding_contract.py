"""Tasks that turn text and facts about people into numbers, and back."""

from typing import Annotated, Literal

from pydantic import Field, StrictFloat, StrictInt

from shared.contract import Message, Task
from workers.text.fields import Texts, Version, Vocabulary

MAX_LENGTH = 100_000  # tokens of one sequence
MAX_CELLS = 1_000_000  # of all dense one-hot matrices of a job
FEATURES = 199  # age, sex, 197 countries

Sequences = Annotated[list[list[Annotated[int, Field(ge=0)]]], Field(min_length=1, max_length=256)]


class EncodeRequest(Message):
    """Turn texts into the indices of a frozen vocabulary, one-hot rows or counts."""

    vocabulary: Vocabulary
    version: Version = None
    texts: Texts = Field(min_length=1, max_length=256)
    form: Literal["indices", "one_hot", "counts"] = "indices"
    dense: bool = Field(False, description="one_hot: as matrices, not as lists of the ones.")
    unknown: Literal["zero", "ignore"] = Field(
        "zero", description="Words that are not in the vocabulary: index 0, or left out."
    )
    length: int | None = Field(
        None, ge=1, le=MAX_LENGTH, description="Cut or fill up to so many tokens."
    )
    pad: Literal["right", "left"] = Field("right", description="Where zeros are filled in.")
    truncate: Literal["right", "left"] = Field("right", description="Which end is cut off.")


class OneHot(Message):
    """A matrix of `tokens` x `size`, zero but for ones at (rows[i], columns[i]).

    Column j belongs to index j + 1; an unknown word is a row of zeros.
    """

    tokens: int
    size: int
    rows: list[int]
    columns: list[int]


class Counts(Message):
    """How often each index occurs in a text, ascending by index."""

    indices: list[int]
    counts: list[int]


class EncodeResult(Message):
    """One item for each text, in the field of the form that was asked for."""

    vocabulary: str
    version: int
    size: int
    lengths: list[int] = Field(description="Tokens of each text, before padding.")
    unknown: list[int] = Field(description="How many of them are not in the vocabulary.")
    indices: list[list[int]] | None = None
    one_hot: list[OneHot] | None = None
    dense: list[list[list[int]]] | None = None
    counts: list[Counts] | None = None


class DecodeRequest(Message):
    """Turn indices back into words."""

    vocabulary: Vocabulary
    version: Version = None
    sequences: Sequences


class DecodeResult(Message):
    vocabulary: str
    version: int
    tokens: list[list[str]] = Field(description="Index 0 is <unk>.")
    texts: list[str]


class Person(Message):
    """Facts about a person."""

    age: Annotated[StrictInt | StrictFloat, Field(ge=0, le=150, description="Years.")]
    sex: Annotated[StrictInt, Field(ge=0, le=1, description="0 male, 1 female.")]
    country: Annotated[
        StrictInt | Annotated[str, Field(pattern=r"^[A-Z]{2}$")],
        Field(description="1 to 197 or an ISO 3166 code of two letters; 0: not given."),
    ] = 0


class FeaturesRequest(Message):
    """Turn facts about people into vectors: age, sex, 197 countries one-hot."""

    people: list[Person] = Field(min_length=1, max_length=1000)


class FeaturesResult(Message):
    vectors: list[list[float]] = Field(description="199 numbers for each person.")
    countries: list[str | None] = Field(description="Their names.")


ENCODE = Task(
    "text.encode",
    EncodeRequest,
    EncodeResult,
    "Turn texts into indices, one-hot rows or counts.",
    example={"vocabulary": "stories", "texts": ["the best of times"]},
    max_batch=32,
)
DECODE = Task(
    "text.decode",
    DecodeRequest,
    DecodeResult,
    "Turn indices back into words.",
    example={"vocabulary": "stories", "sequences": [[1, 2, 0]]},
    max_batch=32,
)
FEATURES_TASK = Task(
    "text.features",
    FeaturesRequest,
    FeaturesResult,
    "Turn age, sex and country into vectors of 199 numbers.",
    example={"people": [{"age": 36, "sex": 1, "country": "GB"}]},
    max_batch=32,
)
TASKS = [ENCODE, DECODE, FEATURES_TASK]
