"""Jobs on vocabularies from the request to the result."""

import json
from typing import Any

import pytest

from tests.workers.text.desk import Desk
from workers.text.counting_tasks import ingest, merge, remove
from workers.text.fields import Tokeniser
from workers.text.version_contract import DiffRequest, ExportRequest, FreezeRequest
from workers.text.vocabulary_contract import (
    DeleteRequest,
    DocumentsRequest,
    IngestRequest,
    ListRequest,
    MergeRequest,
    RankRequest,
    RemoveRequest,
)
from workers.text.vocabulary_tasks import (
    delete,
    diff,
    documents,
    export,
    freeze,
    list_all,
    rank,
)

TEXTS = ["It was the best of times.", "It was the worst of times."]
IDS = ["one", "two"]


def ask_ingest(*texts: str, vocabulary: str = "stories", **values: Any) -> IngestRequest:
    return IngestRequest(vocabulary=vocabulary, texts=list(texts), **values)


def rank_words(desk: Desk, vocabulary: str = "stories", **values: Any) -> list[tuple[str, int]]:
    result = desk.do(rank, RankRequest(vocabulary=vocabulary, **values))
    return [(each.word, each.count) for each in result.words]


def test_an_ingest_tells_what_it_counted_and_what_there_is(desk: Desk):
    first = desk.do(ingest, ask_ingest(*TEXTS, ids=IDS))
    assert (first.documents, first.known, first.replaced, first.tokens) == (2, 0, 0, 12)
    assert (first.total_documents, first.total_tokens, first.words) == (2, 12, 7)
    again = desk.do(ingest, ask_ingest(TEXTS[0], "Some more times.", ids=["one", "three"]))
    assert (again.documents, again.known, again.tokens) == (1, 1, 3)
    assert (again.total_documents, again.total_tokens, again.words) == (3, 15, 9)
    assert rank_words(desk, limit=2) == [("times", 3), ("it", 2)]


def test_an_effect_that_runs_again_after_a_lost_transaction_counts_once(desk: Desk):
    run = desk.make(ask_ingest(*TEXTS))
    [answer] = ingest(desk.worker, [run])
    with desk.worker.sessions.begin() as session:
        for effect in run.effects:
            effect(session)
        session.rollback()
    assert desk.finish(run, answer) == desk.do(ingest, ask_ingest(*TEXTS)).model_copy(
        update={"documents": 2, "known": 0, "tokens": 12}
    )


def test_files_are_counted_as_they_come(desk: Desk):
    file = desk.add(" ".join(TEXTS * 1000).encode())
    result = desk.do(ingest, IngestRequest(vocabulary="stories", files=[file], file_ids=["book"]))
    assert (result.documents, result.tokens, result.words) == (1, 12_000, 7)
    assert desk.steps[-1]["fraction"] > 0.9


def test_a_file_that_is_gone_is_an_error_of_its_job_alone(desk: Desk):
    gone = IngestRequest(vocabulary="stories", files=["0" * 64])
    refusal, result = desk.do_all(ingest, gone, ask_ingest(*TEXTS))
    assert refusal.code == "invalid_input"
    assert "Upload it again" in str(refusal)
    assert result.documents == 2


def test_the_same_documents_in_two_jobs_of_a_batch_are_counted_once(desk: Desk):
    first, second = desk.do_all(ingest, ask_ingest(*TEXTS), ask_ingest(*TEXTS))
    assert (first.documents, second.documents, second.known) == (2, 0, 2)
    assert second.total_tokens == 12


def test_a_changed_document_is_refused_or_replaced(desk: Desk):
    desk.do(ingest, ask_ingest(*TEXTS, ids=IDS))
    code, text = desk.refuse(ingest, ask_ingest("Quite another.", ids=["one"]))
    assert code == "changed_document"
    assert "'one'" in text
    result = desk.do(ingest, ask_ingest("Quite another.", ids=["one"], replace=True))
    assert (result.documents, result.replaced, result.total_tokens) == (0, 1, 8)


def test_a_vocabulary_keeps_its_tokeniser(desk: Desk):
    characters = Tokeniser(unit="characters")
    desk.do(ingest, ask_ingest("abba", tokeniser=characters))
    assert desk.refuse(ingest, ask_ingest("more", tokeniser=Tokeniser()))[0] == "other_tokeniser"
    desk.do(ingest, ask_ingest("baa"))
    assert rank_words(desk) == [("a", 4), ("b", 3)]


def test_a_vocabulary_made_anew_with_another_tokeniser_while_a_job_ran(desk: Desk):
    run = desk.make(ask_ingest(*TEXTS))
    [answer] = ingest(desk.worker, [run])
    desk.do(ingest, ask_ingest("abba", tokeniser=Tokeniser(unit="characters")))
    assert getattr(desk.finish(run, answer), "code", None) == "other_tokeniser"


def test_removing_documents(desk: Desk):
    desk.do(ingest, ask_ingest(*TEXTS, ids=IDS))
    request = RemoveRequest(vocabulary="stories", documents=["two", "nine"])
    result = desk.do(remove, request)
    assert (result.removed, result.unknown, result.total_documents) == (1, ["nine"], 1)
    assert (result.total_tokens, result.words) == (6, 6)


def test_documents_are_listed_page_by_page(desk: Desk):
    names = ["b", "a", "Z", "é", "c"]
    desk.do(ingest, ask_ingest(*(f"text {n}" for n in "vwxyz"), ids=names))
    found, after = [], None
    for _ in range(3):
        page = desk.do(documents, DocumentsRequest(vocabulary="stories", limit=2, after=after))
        found += [each.document for each in page.documents]
        after = page.next
    assert found == sorted(names)  # by code points
    assert after is None
    assert all(each.tokens == 2 and len(each.sha256) == 64 for each in page.documents)


def test_pages_of_ranks_follow_each_other(desk: Desk):
    desk.do(ingest, ask_ingest("c c c b b a d"))
    first = desk.do(rank, RankRequest(vocabulary="stories", limit=3))
    second = desk.do(rank, RankRequest(vocabulary="stories", limit=3, after=first.next))
    assert [(each.rank, each.word) for each in [*first.words, *second.words]] == [
        *((1, "c"), (2, "b"), (3, "a"), (4, "d")),
    ]
    assert first.words[0].share == pytest.approx(3 / 7)
    assert second.next is None
    assert (first.total_tokens, first.total_words) == (7, 4)
    assert desk.refuse(rank, RankRequest(vocabulary="stories", after="x"))[0] == "invalid_input"


def test_ranks_of_words_come_in_the_order_asked(desk: Desk):
    desk.do(ingest, ask_ingest("c c c b b a d"))
    asked = ["d", "never", "c", "d", ""]
    result = desk.do(rank, RankRequest(vocabulary="stories", words=asked))
    assert [(each.word, each.rank, each.count) for each in result.words] == [
        *(("d", 4, 1), ("never", None, 0), ("c", 1, 3), ("d", 4, 1), ("", None, 0)),
    ]


def test_words_are_ranked_as_documents_are_cut(desk: Desk):
    desk.do(ingest, ask_ingest("The caf\u00e9 the"))
    asked = ["The", "Cafe\u0301", "the caf\u00e9", "12", "caf\u00e9"]
    result = desk.do(rank, RankRequest(vocabulary="stories", words=asked))
    assert [each.word for each in result.words] == asked
    assert [(each.rank, each.count) for each in result.words] == [
        *((1, 2), (2, 1), (None, 0), (None, 0), (2, 1)),
    ]


def test_versions_are_listed_and_compared(desk: Desk):
    desk.do(ingest, ask_ingest("c c c b b a d"))
    assert desk.do(freeze, FreezeRequest(vocabulary="stories", size=2)).coverage == 5 / 7
    desk.do(ingest, ask_ingest("b b e"))
    version = desk.do(freeze, FreezeRequest(vocabulary="stories", min_count=1))
    assert (version.version, version.size, version.min_count) == (2, 5, 1)
    [view] = desk.do(list_all, ListRequest()).vocabularies
    assert [each.version for each in view.versions] == [1, 2]
    assert (view.documents, view.tokens, view.words) == (2, 10, 5)
    changes = desk.do(diff, DiffRequest(vocabulary="stories", old=1, new=2))
    assert (changes.added, changes.moved, changes.added_words) == (3, 2, ["a", "d", "e"])
    assert (
        desk.refuse(diff, DiffRequest(vocabulary="stories", old=1, new=3))[0] == "unknown_version"
    )


def test_merging_counts_documents_of_both_once(desk: Desk):
    desk.do(ingest, ask_ingest(*TEXTS, ids=IDS, vocabulary="a"))
    desk.do(ingest, ask_ingest(TEXTS[1], "More.", ids=["two", "three"], vocabulary="b"))
    result = desk.do(merge, MergeRequest(vocabulary="all", sources=["a", "b", "a"]))
    assert (result.documents, result.known, result.tokens, result.words) == (3, 1, 13, 8)
    again = desk.do(merge, MergeRequest(vocabulary="all", sources=["b"]))
    assert (again.documents, again.known, again.total_tokens) == (0, 2, 13)
    desk.do(ingest, ask_ingest(*TEXTS, "More.", ids=[*IDS, "three"], vocabulary="same"))
    assert rank_words(desk, "all") == rank_words(desk, "same")


def test_merging_refuses_what_it_cannot_add(desk: Desk):
    desk.do(ingest, ask_ingest(*TEXTS, ids=IDS, vocabulary="a"))
    desk.do(ingest, ask_ingest("Other.", ids=["two"], vocabulary="b"))
    other = Tokeniser(unit="characters")
    desk.do(ingest, ask_ingest("Other.", ids=["two"], vocabulary="c", tokeniser=other))
    code, text = desk.refuse(merge, MergeRequest(vocabulary="a", sources=["b"]))
    assert code == "changed_document"
    assert "'two'" in text
    for sources, expected in (
        (["c"], "other_tokeniser"),
        (["a"], "invalid_input"),
        (["nothing"], "unknown_vocabulary"),
    ):
        assert desk.refuse(merge, MergeRequest(vocabulary="a", sources=sources))[0] == expected
    assert desk.refuse(merge, MergeRequest(vocabulary="new", sources=["a", "c"]))[0] == (
        "other_tokeniser"
    )
    assert len(desk.do(list_all, ListRequest()).vocabularies) == 3


def test_a_merged_vocabulary_can_lose_documents_again(desk: Desk):
    desk.do(ingest, ask_ingest(*TEXTS, ids=IDS, vocabulary="a"))
    desk.do(ingest, ask_ingest("More times.", ids=["three"], vocabulary="b"))
    before = rank_words(desk, "a")
    desk.do(merge, MergeRequest(vocabulary="a", sources=["b"]))
    desk.do(remove, RemoveRequest(vocabulary="a", documents=["three"]))
    assert rank_words(desk, "a") == before


def test_exports_of_counts_and_of_versions(desk: Desk):
    desk.do(ingest, ask_ingest("c c c b b a d"))
    desk.do(freeze, FreezeRequest(vocabulary="stories", size=2))
    desk.do(ingest, ask_ingest("d d d d"))
    live = desk.do(export, ExportRequest(vocabulary="stories"))
    content = json.loads(desk.read(live.file))
    assert content["words"] == [["d", 5], ["c", 3], ["b", 2], ["a", 1]]
    assert (live.words, live.version) == (4, None)
    frozen = desk.do(export, ExportRequest(vocabulary="stories", version=1, format="tsv"))
    assert desk.read(frozen.file) == b"1\tc\t3\n2\tb\t2\n"
    library = desk.do(export, ExportRequest(vocabulary="stories", version=1, format="tokenizers"))
    vocabulary = json.loads(desk.read(library.file))["model"]["vocab"]
    assert vocabulary == {"<unk>": 0, "c": 1, "b": 2}
    code, text = desk.refuse(export, ExportRequest(vocabulary="stories", format="tokenizers"))
    assert code == "invalid_input"
    assert "version" in text


def test_deleting_a_vocabulary(desk: Desk):
    desk.do(ingest, ask_ingest(*TEXTS))
    desk.do(freeze, FreezeRequest(vocabulary="stories"))
    result = desk.do(delete, DeleteRequest(vocabulary="stories"))
    assert (result.documents, result.versions) == (2, 1)
    assert desk.refuse(delete, DeleteRequest(vocabulary="stories"))[0] == "unknown_vocabulary"


def test_nothing_of_a_tenant_is_known_to_another(desk: Desk):
    desk.do(ingest, ask_ingest(*TEXTS, ids=IDS))
    desk.do(freeze, FreezeRequest(vocabulary="stories"))
    other, name = Desk(desk.worker), "stories"
    for method, request in (
        (remove, RemoveRequest(vocabulary=name, documents=IDS)),
        (rank, RankRequest(vocabulary=name)),
        (freeze, FreezeRequest(vocabulary=name)),
        (diff, DiffRequest(vocabulary=name, old=1, new=1)),
        (merge, MergeRequest(vocabulary="mine", sources=[name])),
        (export, ExportRequest(vocabulary=name)),
        (documents, DocumentsRequest(vocabulary=name)),
        (delete, DeleteRequest(vocabulary=name)),
    ):
        assert other.refuse(method, request)[0] == "unknown_vocabulary"
    assert other.do(list_all, ListRequest()).vocabularies == []
    assert other.do(ingest, ask_ingest("mine")).total_tokens == 1
    assert desk.do(rank, RankRequest(vocabulary=name)).total_tokens == 12
