"""Runs segment jobs: which function answers which task."""

from workers.runtime.serve import serve
from workers.segment import (
    evaluation_tasks,
    export_tasks,
    import_tasks,
    model_tasks,
    pixels_tasks,
    training_tasks,
)
from workers.segment import model_contract as models
from workers.segment import pixels_contract as pixels
from workers.segment import training_contract as training
from workers.segment.loaded import SegmentWorker

app = serve(
    "segment",
    SegmentWorker,
    {
        pixels.PIXELS: pixels_tasks.pixels,
        training.TRAIN: training_tasks.train,
        training.EVALUATE: evaluation_tasks.evaluate,
        models.MODELS: model_tasks.models,
        models.PROMOTE: model_tasks.promote,
        models.FORGET: model_tasks.forget,
        models.IMPORT: import_tasks.bring_in,
        models.EXPORT: export_tasks.export,
    },
)
