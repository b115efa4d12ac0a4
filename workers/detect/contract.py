"""What the detect worker accepts and answers."""

from workers.detect import model_contract, objects_contract, stream_contract, training_contract

TASKS = [
    *objects_contract.TASKS,
    *stream_contract.TASKS,
    *training_contract.TASKS,
    *model_contract.TASKS,
]
