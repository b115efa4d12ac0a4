"""The demo of text: words counted, people encoded and networks trained, on what Python brings."""

import re
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any
from uuid import uuid4

from services.client.demos.scene import Demo, DemoFailed, Row, Scene, run_job

SENTENCE = "the name of a class is bound to the class object"
WORD = "class"  # its neighbours are shown
MODULES = ("argparse", "statistics", "tarfile", "unittest.mock")  # a line of which one?
LINE = "def add_argument(self, *args, **kwargs):"  # of argparse
RULE = re.compile(r"[-=*~+|]{3,}")  # of a table; half of what a network would learn to draw
LANGUAGE = {  # some seconds on one core
    "name": "demo-topics",
    "tokeniser": {"unit": "characters", "lower": False},
    "hidden": 128,
    "batch_size": 16,
    "epochs": 2,
    "learning_rate": 0.008,
}
CLASSIFIER = {
    "kind": "classifier",
    "name": "demo-modules",
    "embedding": 48,
    "hidden": 48,
    "cell": "gru",
    "epochs": 4,
    "learning_rate": 0.005,
}
BETTER = 0.2  # of all lines, by which a classifier must beat the most frequent label


def work_on_text(scene: Scene) -> Generator[Row, None, None]:
    """Uses a vocabulary of its own, which it deletes again: the stack may be one in use."""
    vocabulary = {"vocabulary": f"demo-{uuid4().hex[:12]}"}
    try:
        yield from _count(scene, vocabulary)
        yield from _encode(scene, vocabulary)
        yield from _embed(scene, vocabulary)
    except BaseException:
        scene.client.submit("text.vocab.delete", vocabulary)  # nobody waits for it
        raise
    result, seconds = run_job(scene, "text.vocab.delete", vocabulary)
    yield Row("the vocabulary again", f"{result['documents']} documents deleted", seconds)
    yield from _write(scene)
    yield from _classify(scene)


def _count(scene: Scene, vocabulary: dict[str, Any]) -> Generator[Row, None, None]:
    request = {**vocabulary, "texts": [*topics.values()], "ids": [*topics]}
    result, seconds = run_job(scene, "text.ingest", request)
    counted = f"{result['tokens']:,} words counted, {result['words']:,} of them distinct"
    yield Row(f"{len(topics)} pages about Python", counted, seconds)
    result, seconds = run_job(scene, "text.ingest", request)
    if result["documents"] or result["known"] != len(topics):
        raise DemoFailed(f"{result['documents']} documents were counted twice.")
    yield Row("the same pages again", f"{result['known']} known, none counted twice", seconds)
    result, seconds = run_job(scene, "text.vocab.rank", {**vocabulary, "limit": 6})
    ranked = ", ".join(f"{row['word']} {row['count']:,}" for row in result["words"])
    yield Row("the most frequent words", ranked, seconds)
    result, seconds = run_job(scene, "text.vocab.freeze", {**vocabulary, "size": 2000})
    frozen = f"version {result['version']}: {result['size']:,} words"
    yield Row("2,000 words frozen", f"{frozen}, {result['coverage']:.1%} of the text", seconds)


def _encode(scene: Scene, vocabulary: dict[str, Any]) -> Generator[Row, None, None]:
    result, seconds = run_job(scene, "text.encode", {**vocabulary, "texts": [SENTENCE]})
    (indices,) = result["indices"]
    yield Row(SENTENCE, " ".join(map(str, indices)), seconds)
    result, seconds = run_job(scene, "text.decode", {**vocabulary, "sequences": [indices]})
    (text,) = result["texts"]
    if text != SENTENCE:
        raise DemoFailed(f"The sentence came back as: {text}")
    yield Row("these numbers", text, seconds)
    person = {"age": 36, "sex": 1, "country": "GB"}
    result, seconds = run_job(scene, "text.features", {"people": [person]})
    (vector,), (country,) = result["vectors"], result["countries"]
    place = vector.index(1.0, 2)
    shown = f"{len(vector)} numbers: age {vector[0]:g}, sex {vector[1]:g}, {country} at {place}"
    yield Row("a woman of 36 in GB", shown, seconds)


def _embed(scene: Scene, vocabulary: dict[str, Any]) -> Generator[Row, None, None]:
    options = {**vocabulary, "name": "demo-words", "dimensions": 50, "epochs": 8}
    corpus = scene.client.upload("\n".join(topics.values()).encode())["id"]
    request = {**options, "corpus": corpus}
    result, seconds = run_job(scene, "text.embed.train", request)
    model = {"model": result["model"]}
    scene.client.download(result["projection"], scene.folder / "text-words.png")
    shown = f"{result['model']}: {result['words']:,} vectors of {result['dimensions']} numbers"
    yield Row("word vectors", shown, seconds)
    result, seconds = run_job(
        scene, "text.embed.nearest", {**model, "positive": [WORD], "limit": 5}
    )
    near = [f"{row['word']} {row['similarity']:.2f}" for row in result["neighbours"]]
    yield Row(f"words like {WORD}", ", ".join(near), seconds)


def _write(scene: Scene) -> Generator[Row, None, None]:
    pages = (" ".join(RULE.sub(" ", page).split()) for page in topics.values())
    corpus = scene.client.upload("\n".join(pages).encode())["id"]
    result, seconds = run_job(scene, "text.train", {**LANGUAGE, "corpus": corpus})
    scene.client.download(result["curve"], scene.folder / "text-language.png")
    perplexity = result["metrics"]["held_out_perplexity"]
    shown = f"{result['model']}: perplexity {perplexity:.2f} a character it never saw"
    yield Row("an LSTM reads the pages", shown, seconds)
    request = {"model": result["model"], "prefix": "The ", "length": 120, "temperature": 0.5}
    result, seconds = run_job(scene, "text.generate", request)
    yield Row("it writes", " ".join(result["text"].split()), seconds)


def _classify(scene: Scene) -> Generator[Row, None, None]:
    lines = [(name, line) for name in MODULES for line in _read_lines(name)]
    labelled = "".join(f"{name}\t{line}\n" for name, line in lines)
    corpus = scene.client.upload(labelled.encode())["id"]
    result, seconds = run_job(scene, "text.train", {**CLASSIFIER, "corpus": corpus})
    scene.client.download(result["curve"], scene.folder / "text-classifier.png")
    model, metrics = result["model"], result["metrics"]
    accuracy, guess = metrics["held_out_accuracy"], metrics["held_out_majority"]
    if accuracy < guess + BETTER:
        raise DemoFailed(f"Of lines it never saw, only {accuracy:.0%} were put into their module.")
    shown = f"{model}: {accuracy:.0%} of lines it never saw are right, guessing: {guess:.0%}"
    yield Row(f"which of {len(MODULES)} modules a line is from", shown, seconds)
    result, seconds = run_job(scene, "text.classify", {"model": model, "texts": [LINE]})
    (item,) = result["items"]
    yield Row(LINE, f"{item['label']} {item['probability']:.2f}", seconds)


def _read_lines(module: str) -> list[str]:
    """Lines of a module's source that hold a word."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise DemoFailed(f"This Python has no source of its module {module}.")
    lines = Path(spec.origin).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if re.search("[A-Za-z]{2}", line)]


JOBS = 14  # 4 to count, 3 to encode, 2 for vectors, 1 to delete, 2 to write, 2 to classify
DEMO = Demo("text", (), JOBS, work_on_text)
