"""Cuts text into tokens, and joins tokens to text again."""

import unicodedata
from collections.abc import Callable, Iterable

import regex
import rjieba

from workers.text.fields import Tokeniser

_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")
_LETTER = regex.compile(r"\p{L}")
_MARK = regex.compile(r"\p{M}")
_ODD = regex.compile(r"[^\x00-\x7f\p{L}]")  # neither ASCII nor a letter
_MAX_ODD = 32  # kinds of them; replacing more is slower than the pattern of a word

# ASCII, anything but letters as a blank: translated and split, text is cut three times as fast as
# by a pattern.
_LETTERS = "".join(c if c.isalpha() else " " for c in map(chr, range(128)))
_SMALL_LETTERS = _LETTERS.lower()
_LETTER_BYTES = bytes(b if b > 127 or chr(b).isalpha() else 32 for b in range(256))  # of UTF-8


def cut(tokeniser: Tokeniser, text: str) -> list[str]:
    """The tokens of a text in order, of any length; never an empty one, never one with a NUL.

    Letters are those of Unicode, with the marks on them. The text has no lone surrogates.
    """
    return _CUTS[tokeniser.unit](tokeniser, text)


def join(tokeniser: Tokeniser, tokens: Iterable[str]) -> str:
    """Tokens as a text: words with blanks between them, characters and Chinese without."""
    return (" " if tokeniser.unit in ("words", "whitespace") else "").join(tokens)


def _cut_words(tokeniser: Tokeniser, text: str) -> list[str]:
    if text.isascii():
        return text.translate(_SMALL_LETTERS if tokeniser.lower else _LETTERS).split()
    return _find_words(_normalise(tokeniser, text))


def _find_words(text: str) -> list[str]:
    """All that fits `_WORD`; where no marks are, as fast as in ASCII."""
    blanked = text.encode().translate(_LETTER_BYTES).decode()
    odd = "".join(set(_ODD.findall(blanked)))
    if len(odd) > _MAX_ODD or _MARK.search(odd):
        words: list[str] = _WORD.findall(text)
        return words
    for character in odd:
        blanked = blanked.replace(character, " ")
    return blanked.split()


def _cut_characters(tokeniser: Tokeniser, text: str) -> list[str]:
    if not tokeniser.letters_only:
        return list(_normalise(tokeniser, text).replace("\0", ""))
    # As in "Dive into Deep Learning", 9.2: nothing is between the end of a line and the next.
    lines = text.splitlines()
    return list("".join(" ".join(_cut_words(tokeniser, line)) for line in lines))


def _cut_whitespace(tokeniser: Tokeniser, text: str) -> list[str]:
    return _normalise(tokeniser, text).replace("\0", " ").split()


def _cut_chinese(tokeniser: Tokeniser, text: str) -> list[str]:
    """Words by the dictionary of jieba; numbers, punctuation and blanks are none."""
    clean = _normalise(tokeniser, text).replace("\0", " ")
    return [token for token in rjieba.cut(clean) if _LETTER.search(token)]


def _normalise(tokeniser: Tokeniser, text: str) -> str:
    """NFKC, then small letters, then NFKC again: a capital J with a caron is no single
    character, the small one is."""
    if tokeniser.nfkc:
        text = _to_nfkc(text)
    if tokeniser.lower:
        text = text.lower()
        if tokeniser.nfkc:
            text = _to_nfkc(text)
    return text


def _to_nfkc(text: str) -> str:
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return text
    return unicodedata.normalize("NFKC", text)


_CUTS: dict[str, Callable[[Tokeniser, str], list[str]]] = {
    "words": _cut_words,
    "characters": _cut_characters,
    "whitespace": _cut_whitespace,
    "chinese": _cut_chinese,
}
