"""Vocabularies that are filled without a worker, and what must be in them."""

import hashlib
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.db import Sessions
from shared.text_tables import TextDocument, TextVocabulary, TextWord
from workers.text.counting import Counted, CountedDocument, count_documents
from workers.text.counts import pack, unpack
from workers.text.fields import Tokeniser
from workers.text.ranking import read_all
from workers.text.vocabulary import find_vocabulary, lock_vocabularies, open_vocabulary

TENANT, NAME = "tenant", "stories"
SPLIT = Tokeniser(unit="whitespace")

Texts = Mapping[str, str]  # document -> its text


def make_document(name: str, text: str) -> CountedDocument:
    counts = Counter(text.split())
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return CountedDocument(name, sha256, counts.total(), len(counts), pack(counts))


def put(session: Session, texts: Texts, vocabulary: str = NAME, replace: bool = False) -> Counted:
    lock_vocabularies(session, TENANT, [vocabulary])
    row = open_vocabulary(session, TENANT, vocabulary, SPLIT)
    total = Counter(word for text in texts.values() for word in text.split())
    documents = [make_document(*item) for item in texts.items()]
    return count_documents(session, row, documents, total, replace)


def fill(
    sessions: Sessions, texts: Texts, vocabulary: str = NAME, replace: bool = False
) -> Counted:
    with sessions.begin() as session:
        return put(session, texts, vocabulary, replace)


def rank_all(sessions: Sessions, vocabulary: str = NAME) -> list[tuple[str, int]]:
    """(word, count) in the order of ranks."""
    with sessions.read() as session:
        row = find_vocabulary(session, TENANT, vocabulary)
        return list(read_all(session, row.id))


def check_sums(sessions: Sessions, vocabulary: str = NAME) -> None:
    """What is counted is what the documents hold, to the last token."""
    with sessions.read() as session:
        row = find_vocabulary(session, TENANT, vocabulary)
        documents = session.scalars(
            select(TextDocument).where(TextDocument.vocabulary_id == row.id)
        ).all()
        truth: Counter[str] = Counter()
        for document in documents:
            truth.update(unpack(document.counts))
        words = session.execute(
            select(TextWord.word, TextWord.count).where(TextWord.vocabulary_id == row.id)
        ).all()
        seen = session.scalar(
            select(func.count(TextWord.first_seen.distinct())).where(
                TextWord.vocabulary_id == row.id
            )
        )
    assert dict(iter(words)) == truth
    assert (row.documents, row.tokens, row.words) == (len(documents), truth.total(), len(truth))
    assert seen == len(truth)  # no two words are as old


def find_row(sessions: Sessions, vocabulary: str = NAME) -> TextVocabulary:
    with sessions.read() as session:
        return find_vocabulary(session, TENANT, vocabulary)
