"""Writes a frozen version as a tokenizer.json for the library `tokenizers` of Hugging Face."""

import json
from collections.abc import Iterator
from typing import Any

from workers.runtime.run import InvalidInput
from workers.text.exporting import Words
from workers.text.fields import Tokeniser
from workers.text.lexicon import UNKNOWN

Part = dict[str, Any]  # of a tokenizer.json

# In the syntax of Oniguruma.
WORD = r"\p{L}[\p{L}\p{M}]*"
CHARACTER = r"[\s\S]"
# What `str.split` cuts at, and NUL.
BLANKS = (
    r"[\x00\x09-\x0d\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}"
    r"\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
)
# A capital sigma that ends a word has a small letter of its own, which the library does not know.
CASED, SKIPPED = r"[\p{Lu}\p{Ll}\p{Lt}]", r"[\p{M}\p{Lm}\p{Sk}.:·'\x{2019}]*"
LAST_SIGMA = rf"{CASED}{SKIPPED}\KΣ(?!{SKIPPED}{CASED})"
# Between words; none of it is kept at either end of a text or where a line ends within.
GAP = r"[^\p{L}\p{M}][^\p{L}]*"
LINE_END = r"[\x0a-\x0d\x1c-\x1e\x{85}\x{2028}\x{2029}]"
NO_GAP = rf"\A[^\p{{L}}]+|{GAP}\z|(?=[^\p{{L}}]*{LINE_END}){GAP}"


def write_tokenizer(tokeniser: Tokeniser, words: Words) -> Iterator[str]:
    """A model that knows whole words, `<unk>` being 0; its ids are our indices.

    The library knows fewer letters than we do, for its Unicode is older. Raises InvalidInput for
    Chinese, whose dictionary it does not have.
    """
    head: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": _normalise(tokeniser)},
        "pre_tokenizer": _cut(tokeniser),
        "post_processor": None,
        "decoder": {"type": "Fuse"} if tokeniser.unit == "characters" else None,
        "model": {"type": "WordLevel", "unk_token": UNKNOWN, "vocab": {UNKNOWN: 0}},
    }
    yield json.dumps(head).removesuffix("}}}")
    for index, (word, _) in enumerate(words, 1):
        yield f",\n{json.dumps(word)}: {index}"
    yield "}}}\n"


def _normalise(tokeniser: Tokeniser) -> list[Part]:
    nfkc = [{"type": "NFKC"}] if tokeniser.nfkc else []
    lower = [_replace(LAST_SIGMA, "ς"), {"type": "Lowercase"}, *nfkc] if tokeniser.lower else []
    clean = []
    if tokeniser.unit == "characters":
        clean = [_replace(r"\x00", "")]
        if tokeniser.letters_only:
            clean = [_replace(NO_GAP, ""), _replace(GAP, " ")]
    return [*nfkc, *lower, *clean]


def _replace(pattern: str, content: str) -> Part:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _cut(tokeniser: Tokeniser) -> Part:
    if tokeniser.unit == "words":
        return _split(WORD, keep=True)
    if tokeniser.unit == "characters":
        return _split(CHARACTER, keep=True)
    if tokeniser.unit == "whitespace":
        return _split(BLANKS, keep=False)
    raise InvalidInput(
        "The library `tokenizers` does not cut Chinese into words. Export `json` or `tsv`."
    )


def _split(pattern: str, keep: bool) -> Part:
    """Keep what fits the pattern and nothing else, or the other way round."""
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Removed",
        "invert": keep,
    }
