"""Answers the tasks on vocabularies by the contract; a word is what stands between blanks."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shared.blobs import sniff
from tests.services.client.checked import check
from tests.services.client.fake_api import FakeApi, JobFailed

FILE = b"a file of words"
TOKENISER = {"unit": "words", "lower": True, "nfkc": True, "letters_only": False}


@dataclass
class FakeText:
    """Vocabularies of the fake server; tests read them and change them."""

    api: FakeApi
    documents: dict[str, dict[str, str]] = field(default_factory=dict)  # name: its text
    tokenisers: dict[str, dict[str, Any]] = field(default_factory=dict)
    frozen: dict[str, list[list[str]]] = field(default_factory=dict)  # the words of each version
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (task, request)

    def __post_init__(self) -> None:
        self.api.sniff = sniff
        answers = {
            "ingest": self.ingest,
            "remove": self.remove,
            "vocab.list": self.list_all,
            "vocab.rank": self.rank,
            "vocab.freeze": self.freeze,
            "vocab.diff": self.diff,
            "vocab.merge": self.merge,
            "vocab.export": self.export,
            "vocab.documents": self.list_documents,
            "vocab.delete": self.delete,
            "encode": self.encode,
            "decode": self.decode,
        }
        for name, method in answers.items():
            task = f"text.{name}"
            self.api.answers[task] = check(task, method, self.asked)

    def requests(self, name: str) -> list[dict[str, Any]]:
        return [request for task, request in self.asked if task == f"text.{name}"]

    def held(self, name: str) -> dict[str, str]:
        if name not in self.documents:
            raise JobFailed("unknown_vocabulary", f"There is no vocabulary {name!r}.")
        return self.documents[name]

    def count(self, name: str) -> Counter[str]:
        return Counter(word for text in self.held(name).values() for word in text.lower().split())

    def totals(self, name: str) -> dict[str, int]:
        counts = self.count(name)
        held = {"total_documents": len(self.held(name)), "total_tokens": counts.total()}
        return {**held, "words": len(counts)}

    def ingest(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["vocabulary"]
        tokeniser = self.tokenisers.setdefault(name, asked["tokeniser"] or TOKENISER)
        if asked["tokeniser"] not in (None, tokeniser):
            raise JobFailed("other_tokeniser", "It cuts text in another way.")
        contents = [self.api.blobs[blob_id].decode() for blob_id in asked["files"]]
        sent = dict(zip(asked["file_ids"] or (), contents, strict=True))
        sent |= dict(zip(asked["ids"] or (), asked["texts"], strict=True))
        bad = [document for document, text in sent.items() if text.startswith("broken")]
        if bad:
            raise JobFailed("invalid_input", f"{bad[0]} is broken.")
        held = self.documents.setdefault(name, {})
        changed = [d for d, text in sent.items() if held.get(d, text) != text]
        if changed and not asked["replace"]:
            raise JobFailed("changed_document", f"{changed[0]} was counted with other content.")
        known = sum(d in held for d in sent)
        tokens = sum(len(text.split()) for d, text in sent.items() if d not in held)
        held.update(sent)
        new = {"documents": len(sent) - known, "tokens": tokens, "too_long": 0}
        known_facts = {"known": known - len(changed), "replaced": len(changed)}
        return {"vocabulary": name, **new, **known_facts, **self.totals(name)}

    def remove(self, asked: dict[str, Any]) -> dict[str, Any]:
        name, held = asked["vocabulary"], self.held(asked["vocabulary"])
        gone = [document for document in asked["documents"] if held.pop(document, None)]
        unknown = [document for document in asked["documents"] if document not in gone]
        totals = self.totals(name)
        return {"vocabulary": name, "removed": len(gone), "unknown": unknown, **totals}

    def list_all(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"vocabularies": [self._view(name) for name in self.documents]}

    def _view(self, name: str) -> dict[str, Any]:
        totals = self.totals(name)
        versions = range(1, len(self.frozen.get(name, ())) + 1)
        return {
            "vocabulary": name,
            "tokeniser": self.tokenisers[name],
            "documents": totals["total_documents"],
            "tokens": totals["total_tokens"],
            "words": totals["words"],
            "versions": [self._version(name, version) for version in versions],
            "created_at": 1.9e9,
        }

    def _version(self, name: str, version: int) -> dict[str, Any]:
        return {
            "vocabulary": name,
            "version": version,
            "size": len(self.frozen[name][version - 1]),
            "min_count": 1,
            "coverage": 0.95,
            "created_at": 1.9e9,
        }

    def rank(self, asked: dict[str, Any]) -> dict[str, Any]:
        counts = self.count(asked["vocabulary"])
        rows = [
            {"rank": place, "word": word, "count": count, "share": count / counts.total()}
            for place, (word, count) in enumerate(counts.most_common(), 1)
        ]
        nobody = {"rank": None, "count": 0, "share": 0.0}
        by_word = {row["word"]: row for row in rows}
        start = int(asked["after"] or 0)
        end = start + asked["limit"]
        page = rows[start:end]
        if asked["words"]:
            page = [by_word.get(word, {**nobody, "word": word}) for word in asked["words"]]
        return {
            "vocabulary": asked["vocabulary"],
            "words": page,
            "next": str(end) if not asked["words"] and len(rows) > end else None,
            "total_tokens": counts.total(),
            "total_words": len(counts),
        }

    def freeze(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["vocabulary"]
        words = [word for word, _ in self.count(name).most_common(asked["size"])]
        self.frozen.setdefault(name, []).append(words)
        return self._version(name, len(self.frozen[name]))

    def words(self, name: str, version: int | None) -> list[str]:
        versions = self.frozen.get(name, [])
        if not versions or (version or 1) > len(versions):
            raise JobFailed("unknown_version", "Freeze one first.")
        return versions[(version or 0) - 1]

    def diff(self, asked: dict[str, Any]) -> dict[str, Any]:
        old, new = (self.words(asked["vocabulary"], asked[name]) for name in ("old", "new"))
        both = [word for word in old if word in new]
        moved = [
            {"word": word, "old": old.index(word) + 1, "new": new.index(word) + 1}
            for word in both
            if old.index(word) != new.index(word)
        ]
        added = [word for word in new if word not in old]
        dropped = [word for word in old if word not in new]
        words = {"added_words": added, "dropped_words": dropped, "moved_words": moved}
        counts = {"added": len(added), "dropped": len(dropped), "moved": len(moved)}
        names = {name: asked[name] for name in ("vocabulary", "old", "new")}
        return {**names, **counts, **words, "same": len(both) - len(moved)}

    def merge(self, asked: dict[str, Any]) -> dict[str, Any]:
        texts = {d: text for name in asked["sources"] for d, text in self.held(name).items()}
        blobs = [self.api.add_blob(text.encode()) for text in texts.values()]
        files = {"files": blobs, "file_ids": list(texts), "ids": [], "texts": []}
        more = {"tokeniser": None, "replace": False}
        return self.ingest({"vocabulary": asked["vocabulary"], **files, **more})

    def export(self, asked: dict[str, Any]) -> dict[str, Any]:
        words = len(self.count(asked["vocabulary"]))
        named = {name: asked[name] for name in ("vocabulary", "version")}
        return {**named, "words": words, "file": self.api.add_blob(FILE)}

    def list_documents(self, asked: dict[str, Any]) -> dict[str, Any]:
        held = self.held(asked["vocabulary"])
        rows = [
            {
                "document": name,
                "sha256": "a" * 64,
                "tokens": len(text.split()),
                "words": len(set(text.split())),
                "counted_at": 1.9e9,
            }
            for name, text in sorted(held.items())
            if name > (asked["after"] or "")
        ]
        page = rows[: asked["limit"]]
        end = page[-1]["document"] if len(rows) > len(page) else None
        return {"vocabulary": asked["vocabulary"], "documents": page, "next": end}

    def delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        gone = len(self.held(asked["vocabulary"]))
        del self.documents[asked["vocabulary"]]
        versions = len(self.frozen.pop(asked["vocabulary"], []))
        return {"vocabulary": asked["vocabulary"], "documents": gone, "versions": versions}

    def encode(self, asked: dict[str, Any]) -> dict[str, Any]:
        words = self.words(asked["vocabulary"], asked["version"])
        index = {word: place for place, word in enumerate(words, 1)}
        texts = [[index.get(w, 0) for w in text.lower().split()] for text in asked["texts"]]
        found = {
            "vocabulary": asked["vocabulary"],
            "version": asked["version"] or len(self.frozen[asked["vocabulary"]]),
            "size": len(words),
            "lengths": [len(indices) for indices in texts],
            "unknown": [indices.count(0) for indices in texts],
        }
        if asked["form"] == "counts":
            counts = [Counter(indices) for indices in texts]
            rows = [{"indices": list(c), "counts": list(c.values())} for c in counts]
            return {**found, "counts": rows}
        if asked["form"] == "one_hot":
            rows = [
                {
                    "tokens": len(indices),
                    "size": len(words),
                    "rows": [row for row, index in enumerate(indices) if index],
                    "columns": [index - 1 for index in indices if index],
                }
                for indices in texts
            ]
            return {**found, "one_hot": rows}
        return {**found, "indices": [indices[: asked["length"]] for indices in texts]}

    def decode(self, asked: dict[str, Any]) -> dict[str, Any]:
        words = ["<unk>", *self.words(asked["vocabulary"], asked["version"])]
        tokens = [[words[index] for index in indices] for indices in asked["sequences"]]
        named = {"vocabulary": asked["vocabulary"], "version": 1}
        return {**named, "tokens": tokens, "texts": [" ".join(t) for t in tokens]}
