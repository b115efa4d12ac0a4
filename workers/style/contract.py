"""What the style worker accepts and answers."""

from workers.style import model_contract, training_contract, transfer_contract

TASKS = [*transfer_contract.TASKS, *training_contract.TASKS, *model_contract.TASKS]
