"""Why a text job cannot succeed; the codes are for programs, the texts say what to do."""

from workers.runtime.run import JobError


class UnknownVocabulary(JobError):
    """There is no such vocabulary, or it is another tenant's."""

    code = "unknown_vocabulary"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no vocabulary {name!r}. `text.vocab.list` lists yours, "
            "`text.ingest` makes one."
        )


class UnknownVersion(JobError):
    """The vocabulary has no such frozen version."""

    code = "unknown_version"


class OtherTokeniser(JobError):
    """A vocabulary cannot count tokens that are cut in another way."""

    code = "other_tokeniser"


class ChangedDocument(JobError):
    """A document of this name was counted with other content."""

    code = "changed_document"


class UnknownWord(JobError):
    """The model or version does not know the word that was asked about."""

    code = "unknown_word"
