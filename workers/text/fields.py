"""Fields that several text tasks have."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from shared.contract import ASKED_NAME, OWN_NAME, Blob, Message

MAX_INLINE = 1_000_000  # characters of all texts of a request; more is sent as a file
MAX_WORDS = 250_000  # distinct ones of an ingest: SQL takes 5 to 11 microseconds for each

Name = Annotated[str, Field(max_length=60, pattern=OWN_NAME)]
Vocabulary = Annotated[Name, Field(description="The name of a vocabulary.")]
Version = Annotated[
    int | None, Field(ge=1, le=2**31 - 1, description="A frozen version; none: the newest one.")
]
DocumentId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Model = Annotated[
    str,
    Field(
        max_length=70,
        pattern=ASKED_NAME,
        description="name@version, or a name: the version promoted, or else the newest.",
    ),
]
TextFile = Annotated[
    str,
    Blob(("text/plain", "application/zip")),
    Field(description="A text file, or a zip of text files."),
]
Page = Annotated[int, Field(ge=1, le=1000)]  # items of one answer
Seed = Annotated[int, Field(ge=0, le=2**31)]


def _check_encoding(name: str) -> str:
    """Only what Python itself decodes to text, so that no name runs anything odd."""
    if name.lower() not in ENCODINGS:
        raise ValueError(f"choose one of {', '.join(ENCODINGS)}")
    return name.lower()


ENCODINGS = (
    "utf-8",
    "ascii",
    "latin-1",
    "cp1250",
    "cp1251",
    "cp1252",
    "big5",
    "euc-jp",
    "euc-kr",
    "gb18030",
    "koi8-r",
    "shift_jis",
)
Encoding = Annotated[
    str, AfterValidator(_check_encoding), Field(description="How the bytes of files are read.")
]


def _check_length(texts: list[str]) -> list[str]:
    size = sum(map(len, texts))
    if size > MAX_INLINE:
        raise ValueError(
            f"the texts have {size} characters, more than the {MAX_INLINE} of a request: "
            "send a file"
        )
    return texts


Texts = Annotated[list[str], AfterValidator(_check_length)]


class Tokeniser(Message):
    """How text is cut into tokens."""

    unit: Literal["words", "characters", "chinese", "whitespace"] = Field(
        "words",
        description="words: runs of letters; characters: each one; chinese: words by a "
        "dictionary; whitespace: what blanks separate.",
    )
    lower: bool = Field(True, description="Make capital letters small.")
    nfkc: bool = Field(True, description="Write the same character in one way (Unicode NFKC).")
    letters_only: bool = Field(
        False, description="Of characters: everything but letters becomes a single blank."
    )
