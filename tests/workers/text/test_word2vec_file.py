"""The format of word2vec, read by a parser that knows nothing of its writer."""

import numpy as np
import pytest

from workers.runtime.run import Cancelled
from workers.text.fields import Tokeniser
from workers.text.lexicon import Lexicon
from workers.text.vectors import WordVectors
from workers.text.word2vec_file import Format, list_exported, write_word2vec

WORDS = ("the", "größe", " ", "北京", "\n", "unheard", "a\u3000b")


def make_vectors() -> WordVectors:
    table = np.random.default_rng(0).normal(size=(len(WORDS) + 1, 5)).astype(np.float32)
    table[[0, 6]] = 0
    return WordVectors(Lexicon(Tokeniser(), WORDS), table)


def write(vectors: WordVectors, form: Format) -> bytes:
    parts = write_word2vec(vectors, list_exported(vectors), form, lambda _: None)
    return b"".join(parts)


def read_text(content: bytes) -> tuple[tuple[int, int], dict[str, np.ndarray]]:
    head, *lines = content.decode().rstrip("\n").split("\n")
    words, size = map(int, head.split(" "))
    found = {}
    for line in lines:
        word, *numbers = line.split(" ")
        found[word] = np.array([float(number) for number in numbers], np.float32)
    return (words, size), found


def read_binary(content: bytes) -> tuple[tuple[int, int], dict[str, np.ndarray]]:
    head, _, rest = content.partition(b"\n")
    words, size = map(int, head.split())
    found = {}
    while rest:
        word, _, rest = rest.partition(b" ")
        found[word.decode()] = np.frombuffer(rest[: 4 * size], "<f4")
        assert rest[4 * size : 4 * size + 1] == b"\n"
        rest = rest[4 * size + 1 :]
    return (words, size), found


@pytest.mark.parametrize(("form", "read"), [("text", read_text), ("binary", read_binary)])
def test_a_file_holds_every_vector_exactly_and_no_word_with_a_blank(form: Format, read):
    vectors = make_vectors()
    shape, found = read(write(vectors, form))
    assert shape == (3, 5)
    assert list(found) == ["the", "größe", "北京"]
    for word, index in (("the", 1), ("größe", 2), ("北京", 4)):
        np.testing.assert_array_equal(found[word], vectors.table[index])


def test_a_file_starts_as_word2vec_has_it():
    vectors = WordVectors(Lexicon(Tokeniser(), ("a",)), np.array([[0, 0], [0.5, -2]], np.float32))
    assert write(vectors, "text") == b"1 2\na 0.5 -2.0\n"
    assert write(vectors, "binary") == b"1 2\na \x00\x00\x00?\x00\x00\x00\xc0\n"


def test_writing_can_be_stopped():
    def stop(_: float) -> None:
        raise Cancelled

    vectors = make_vectors()
    with pytest.raises(Cancelled):
        b"".join(write_word2vec(vectors, list_exported(vectors), "text", stop))
