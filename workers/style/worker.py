"""Runs style jobs: which function answers which task."""

from workers.runtime.serve import serve
from workers.style import (
    apply_tasks,
    export_tasks,
    import_tasks,
    model_tasks,
    training_tasks,
    transfer_tasks,
)
from workers.style import model_contract as models
from workers.style import training_contract as training
from workers.style import transfer_contract as transfer
from workers.style.loaded import StyleWorker

app = serve(
    "style",
    StyleWorker,
    {
        transfer.TRANSFER: transfer_tasks.transfer,
        training.TRAIN: training_tasks.train,
        training.APPLY: apply_tasks.apply,
        models.MODELS: model_tasks.models,
        models.PROMOTE: model_tasks.promote,
        models.FORGET: model_tasks.forget,
        models.IMPORT: import_tasks.bring_in,
        models.EXPORT: export_tasks.export,
    },
)
