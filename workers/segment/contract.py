"""What the segment worker accepts and answers."""

from workers.segment import model_contract, pixels_contract, training_contract

TASKS = [*pixels_contract.TASKS, *training_contract.TASKS, *model_contract.TASKS]
