"""The tables of the text worker. Times are seconds since 1970 on the database's clock."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.tables import Base

LONGEST_WORD = 200  # characters

# Code points in order, on either database: a language's order would be slower, and may change.
Word = String(LONGEST_WORD).with_variant(String(LONGEST_WORD, collation="C"), "postgresql")
DocumentName = String(200).with_variant(String(200, collation="C"), "postgresql")


class TextVocabulary(Base):
    """A tenant's vocabulary; a lock on its name puts all changes of it in one order."""

    __tablename__ = "text_vocabularies"
    __table_args__ = (UniqueConstraint("tenant", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(60))
    tokeniser: Mapped[dict[str, Any]]
    documents: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)
    words: Mapped[int] = mapped_column(BigInteger)  # distinct
    last_seen: Mapped[int] = mapped_column(BigInteger)  # highest `first_seen` given so far
    last_version: Mapped[int]
    created_at: Mapped[float]


class TextDocument(Base):
    """A document that is counted, with its own counts, so that it can be counted down again."""

    __tablename__ = "text_documents"

    vocabulary_id: Mapped[int] = mapped_column(ForeignKey("text_vocabularies.id"), primary_key=True)
    name: Mapped[str] = mapped_column(DocumentName, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))  # of its text
    tokens: Mapped[int] = mapped_column(BigInteger)
    words: Mapped[int] = mapped_column(BigInteger)  # distinct
    counts: Mapped[bytes] = mapped_column(LargeBinary)  # workers/text/counts.py
    counted_at: Mapped[float]


class TextWord(Base):
    """How often a word occurs in the documents of a vocabulary; a word that does not has no row."""

    __tablename__ = "text_words"
    __table_args__ = {"sqlite_with_rowid": False}

    vocabulary_id: Mapped[int] = mapped_column(ForeignKey("text_vocabularies.id"), primary_key=True)
    word: Mapped[str] = mapped_column(Word, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    first_seen: Mapped[int] = mapped_column(
        BigInteger
    )  # of words as frequent, the lower ranks first


# The order of ranks: the most frequent word is the first entry, so no page is ever sorted.
Index("ix_text_words_rank", TextWord.vocabulary_id, TextWord.count.desc(), TextWord.first_seen)


class TextVersion(Base):
    """A frozen list of the most frequent words; nothing of it ever changes."""

    __tablename__ = "text_versions"

    vocabulary_id: Mapped[int] = mapped_column(ForeignKey("text_vocabularies.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int]
    min_count: Mapped[int] = mapped_column(BigInteger)
    coverage: Mapped[float]  # part of the tokens counted at the time, 0 to 1
    created_at: Mapped[float]


class TextVersionWord(Base):
    """A word of a version; its index is its rank at the time, from 1 on."""

    __tablename__ = "text_version_words"
    __table_args__ = {"sqlite_with_rowid": False}

    vocabulary_id: Mapped[int] = mapped_column(ForeignKey("text_vocabularies.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    word: Mapped[str] = mapped_column(Word)
    count: Mapped[int] = mapped_column(BigInteger)


Index(
    "ix_text_version_words",
    TextVersionWord.vocabulary_id,
    TextVersionWord.version,
    TextVersionWord.word,
    unique=True,
)
