"""Which words a training is about: those of its own corpus, or of a frozen version."""

from workers.runtime.run import TooLarge
from workers.text.corpora import WordChoice
from workers.text.embedding_contract import EmbedTrainRequest
from workers.text.lexicon import Lexicon
from workers.text.loaded import TextWorker
from workers.text.model_contract import TrainRequest
from workers.text.versions import find_version, list_words


def choose_words(
    worker: TextWorker, tenant: str, request: TrainRequest | EmbedTrainRequest, most: int
) -> WordChoice:
    """Raises UnknownVocabulary, UnknownVersion; TooLarge for a version of over `most` words."""
    if request.vocabulary is None:
        return WordChoice(request.tokeniser, request.max_words, request.min_count)
    with worker.sessions.read() as session:
        frozen = find_version(session, tenant, request.vocabulary, request.version)
        if frozen.size > most:
            raise TooLarge(
                f"The version has {frozen.size} words. Freeze one of {most} at most, by `size` of "
                "`text.vocab.freeze`."
            )
        words = tuple(word for word, _ in list_words(session, frozen))
    return WordChoice(frozen.tokeniser, frozen=Lexicon(frozen.tokeniser, words))
