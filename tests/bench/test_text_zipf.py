"""The made-up language: words that differ, the same text for a seed, few frequent words."""

from collections import Counter
from pathlib import Path

from bench.text_zipf import LINE, Language, spell


def test_no_two_ranks_have_the_same_word():
    words = [spell(rank) for rank in range(20_000)]
    assert len(set(words)) == len(words)
    assert all(word.isalpha() and word.islower() for word in words)
    assert [len(spell(rank)) for rank in (0, 99, 100, 10_099, 10_100)] == [2, 2, 4, 4, 6]


def test_a_text_has_the_tokens_asked_for_and_is_the_same_each_time(tmp_path: Path):
    language = Language(words=1000)
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    language.write(first, 2500, seed=1)
    Language(words=1000).write(again, 2500, seed=1)
    language.write(other, 2500, seed=2)
    assert first.read_text() == again.read_text() != other.read_text()
    lines = first.read_text().splitlines()
    assert sum(len(line.split()) for line in lines) == 2500
    assert max(len(line.split()) for line in lines) == LINE


def test_words_are_as_frequent_as_zipf_says():
    language = Language(words=10_000)
    counts = Counter(word for block in language.draw(200_000, seed=1) for word in block.split())
    ratio = counts[spell(0)] / counts[spell(9)]
    assert 3.2 < ratio < 3.9  # (10 + 2.7) / (1 + 2.7) = 3.43
    assert len(counts) < 10_000
