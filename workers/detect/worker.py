"""Runs detect jobs: which function answers which task."""

from workers.detect import (
    evaluation_tasks,
    export_tasks,
    import_tasks,
    model_tasks,
    objects_tasks,
    stream_tasks,
    training_tasks,
)
from workers.detect import model_contract as models
from workers.detect import objects_contract as objects
from workers.detect import stream_contract as stream
from workers.detect import training_contract as training
from workers.detect.loaded import DetectWorker
from workers.runtime.serve import serve

app = serve(
    "detect",
    DetectWorker,
    {
        objects.OBJECTS: objects_tasks.objects,
        stream.STREAM: stream_tasks.stream,
        training.TRAIN: training_tasks.train,
        training.EVALUATE: evaluation_tasks.evaluate,
        models.MODELS: model_tasks.models,
        models.PROMOTE: model_tasks.promote,
        models.FORGET: model_tasks.forget,
        models.IMPORT: import_tasks.bring_in,
        models.EXPORT: export_tasks.export,
    },
)
