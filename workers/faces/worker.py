"""Runs face jobs: which function answers which task."""

from workers.faces import gallery_contract as gallery
from workers.faces import gallery_tasks, identify_tasks, picture_tasks, training_tasks, upkeep_tasks
from workers.faces import picture_contract as pictures
from workers.faces import training_contract as training
from workers.faces import upkeep_contract as upkeep
from workers.faces.loaded import FacesWorker
from workers.runtime.serve import serve

app = serve(
    "faces",
    FacesWorker,
    {
        pictures.FIND: picture_tasks.find,
        pictures.ENCODE: picture_tasks.encode,
        pictures.VERIFY: picture_tasks.verify,
        gallery.CREATE: gallery_tasks.create,
        gallery.COLLECTIONS: gallery_tasks.collections,
        gallery.ENROLL: gallery_tasks.enroll,
        gallery.IDENTIFY: identify_tasks.identify,
        upkeep.LIST: upkeep_tasks.list_all,
        gallery.DELETE: gallery_tasks.delete,
        upkeep.UPDATE: upkeep_tasks.update,
        upkeep.STATS: upkeep_tasks.stats,
        upkeep.RECEIPT: upkeep_tasks.receipt,
        upkeep.CALIBRATE: upkeep_tasks.calibrate,
        upkeep.EXPORT: upkeep_tasks.export,
        upkeep.IMPORT: upkeep_tasks.import_file,
        upkeep.AUDIT: upkeep_tasks.audit,
        training.TRAIN: training_tasks.train,
        training.MODELS: training_tasks.models,
        training.PROMOTE: training_tasks.promote,
    },
)
