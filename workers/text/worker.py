"""Runs text jobs: which function answers which task."""

from workers.runtime.serve import serve
from workers.text import (
    counting_tasks,
    embedding_tasks,
    encoding_tasks,
    model_tasks,
    training_tasks,
    vocabulary_tasks,
)
from workers.text import embedding_contract as embedding
from workers.text import encoding_contract as encoding
from workers.text import model_contract as models
from workers.text import version_contract as versions
from workers.text import vocabulary_contract as vocabulary
from workers.text.loaded import TextWorker

app = serve(
    "text",
    TextWorker,
    {
        vocabulary.INGEST: counting_tasks.ingest,
        vocabulary.REMOVE: counting_tasks.remove,
        vocabulary.MERGE: counting_tasks.merge,
        vocabulary.LIST: vocabulary_tasks.list_all,
        vocabulary.RANK: vocabulary_tasks.rank,
        versions.FREEZE: vocabulary_tasks.freeze,
        versions.DIFF: vocabulary_tasks.diff,
        versions.EXPORT: vocabulary_tasks.export,
        vocabulary.DOCUMENTS: vocabulary_tasks.documents,
        vocabulary.DELETE: vocabulary_tasks.delete,
        encoding.ENCODE: encoding_tasks.encode,
        encoding.DECODE: encoding_tasks.decode,
        encoding.FEATURES_TASK: encoding_tasks.features,
        embedding.TRAIN: embedding_tasks.train,
        embedding.NEAREST: embedding_tasks.nearest,
        embedding.LOOK_UP: embedding_tasks.look_up,
        embedding.PROJECT: embedding_tasks.project,
        embedding.EXPORT: embedding_tasks.export,
        models.TRAIN: training_tasks.train,
        models.GENERATE: model_tasks.generate,
        models.CLASSIFY: model_tasks.classify,
        models.MODELS: model_tasks.models,
        models.PROMOTE: model_tasks.promote,
        models.FORGET: model_tasks.forget,
    },
)
