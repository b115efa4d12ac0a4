"""Tasks on recurrent networks: train them, write text, tell classes of text apart."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shared.contract import FullName, Message, Task
from workers.text.fields import Encoding, Model, Name, Seed, TextFile, Texts, Tokeniser, Version


class TrainRequest(Message):
    """Train a language model on a text, or a classifier on labelled texts.

    Labelled texts: lines `label TAB text`; JSON lines with "label" and "text"; or a zip with a
    file for each label, one text a line.
    """

    kind: Literal["language", "classifier"] = "language"
    corpus: TextFile
    name: Name = "model"
    encoding: Encoding = "utf-8"
    tokeniser: Tokeniser = Field(
        Tokeniser(), description="Characters or words; unless `vocabulary` says how."
    )
    vocabulary: Name | None = Field(
        None, description="Use the words of a frozen version, as it cuts them."
    )
    version: Version = None
    max_words: int = Field(10_000, ge=1, le=200_000, description="Rarer ones become <unk>.")
    min_count: int = Field(1, ge=1, le=10**9)
    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    hidden: int = Field(256, ge=1, le=2048)
    layers: int = Field(1, ge=1, le=4)
    bidirectional: bool = Field(False, description="Of a classifier: read both ways.")
    embedding: int | None = Field(
        None, ge=1, le=2048, description="Numbers for a token; none: one-hot rows."
    )
    tied: bool = Field(
        False, description="Of a language model: the output has the weights of the embedding."
    )
    dropout: float = Field(0.0, ge=0, lt=1)
    batches: Literal["sequential", "random"] = Field(
        "sequential", description="Of a language model: carry the state on, or reset it."
    )
    steps: int = Field(64, ge=2, le=1000, description="Tokens the gradient goes back.")
    batch_size: int = Field(32, ge=1, le=4096)
    epochs: int = Field(20, ge=1, le=10_000)
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(2e-3, gt=0, le=100)
    decay: float = Field(
        0.5,
        gt=0,
        le=1,
        description="The rate is multiplied by it after an epoch without a better held-out loss.",
    )
    clip: float = Field(1.0, gt=0, le=1000, description="The longest a gradient may be.")
    held_out: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Part of the corpus to measure on: the end, or of the texts of each label; "
        "texts that are equal are all held out, or none.",
    )
    patience: int = Field(
        3, ge=1, le=10_000, description="Epochs without a better held-out loss, then it stops."
    )
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.bidirectional and self.kind == "language":
            raise ValueError("`bidirectional` is for a classifier: a language model reads one way")
        if self.tied and (self.kind != "language" or self.embedding != self.hidden):
            raise ValueError("`tied` is for a language model whose `embedding` equals `hidden`")
        if self.version is not None and self.vocabulary is None:
            raise ValueError("`version` is one of a `vocabulary`: name it too")
        return self


class TrainResult(Message):
    model: str = Field("", description="Name and version.")
    kind: str
    metrics: dict[str, float] = Field(
        description="Perplexity or accuracy by the weights that are kept: of the held-out part "
        "where the name says so, or else of up to 100,000 tokens or 5,000 texts learned from."
    )
    epochs: int
    stopped_early: bool
    words: int
    parameters: int
    labels: list[str] | None
    curve: str = Field(description="The blob id of a picture of the losses.")
    sample: str | None = Field(description="What a language model writes.")


class GenerateRequest(Message):
    """Let a language model go on with a text."""

    model: Model
    prefix: Annotated[str, Field(max_length=10_000)] = ""
    length: int = Field(200, ge=1, le=10_000, description="Tokens to write.")
    temperature: float = Field(
        0.8, ge=0, le=10, description="0: always the likeliest; more: more surprising."
    )
    top_k: int | None = Field(None, ge=1, le=200_000, description="Choose among the k likeliest.")
    seed: Seed = 0


class GenerateResult(Message):
    model: str
    text: str = Field(description="The prefix and what was written.")
    continuation: str
    perplexity: float = Field(description="Of what was written, by the model itself.")


class ClassifyRequest(Message):
    """Which class each text belongs to."""

    model: Model
    texts: Texts = Field(
        min_length=1,
        max_length=256,
        description="Of a text that is longer, the first 1,000 tokens are read.",
    )


class Classified(Message):
    label: str
    probability: float
    probabilities: dict[str, float]


class ClassifyResult(Message):
    model: str
    items: list[Classified]


class ModelsRequest(Message):
    """List your embeddings, language models and classifiers."""


class ModelView(Message):
    model: str
    kind: str = Field(description="language, classifier or embedding.")
    metrics: dict[str, Any]
    origin: dict[str, Any]
    in_use: bool = Field(description="This version is meant where only the name is given.")
    created_at: float


class ModelsResult(Message):
    models: list[ModelView]


class PromoteRequest(Message):
    """Make a version the one that is meant where only its name is given."""

    model: FullName


class ForgetRequest(Message):
    """Delete one version of a model, and its file."""

    model: FullName


TRAIN = Task(
    "text.train",
    TrainRequest,
    TrainResult,
    "Train a language model or a classifier.",
    example={"corpus": "data:text/plain,the%20best%20of%20times", "epochs": 1},
    time_limit=7 * 24 * 3600.0,
    long=True,
    scope="text:train",
)
GENERATE = Task(
    "text.generate",
    GenerateRequest,
    GenerateResult,
    "Let a language model go on with a text.",
    example={"model": "model", "prefix": "It was the "},
    time_limit=300.0,
)
CLASSIFY = Task(
    "text.classify",
    ClassifyRequest,
    ClassifyResult,
    "Tell which class texts belong to.",
    example={"model": "model", "texts": ["a fine film"]},
    max_batch=16,
)
MODELS = Task(
    "text.models", ModelsRequest, ModelsResult, "List your text models.", example={}, max_batch=16
)
PROMOTE = Task(
    "text.promote",
    PromoteRequest,
    ModelsResult,
    "Put a version of a model in use.",
    example={"model": "model@1"},
    scope="text:train",
)
FORGET = Task(
    "text.forget",
    ForgetRequest,
    ModelsResult,
    "Delete a version of a model.",
    example={"model": "model@1"},
    scope="text:train",
)
TASKS = [TRAIN, GENERATE, CLASSIFY, MODELS, PROMOTE, FORGET]
