"""What the faces worker accepts and answers."""

from workers.faces import gallery_contract as gallery
from workers.faces import picture_contract as pictures
from workers.faces import training_contract as training
from workers.faces import upkeep_contract as upkeep

TASKS = [
    pictures.FIND,
    pictures.ENCODE,
    pictures.VERIFY,
    gallery.CREATE,
    gallery.COLLECTIONS,
    upkeep.UPDATE,
    upkeep.STATS,
    gallery.ENROLL,
    gallery.IDENTIFY,
    upkeep.LIST,
    gallery.DELETE,
    upkeep.RECEIPT,
    upkeep.CALIBRATE,
    upkeep.EXPORT,
    upkeep.IMPORT,
    upkeep.AUDIT,
    training.TRAIN,
    training.MODELS,
    training.PROMOTE,
]
