"""What the text worker accepts and answers."""

from workers.text import (
    embedding_contract,
    encoding_contract,
    model_contract,
    version_contract,
    vocabulary_contract,
)

TASKS = [
    *vocabulary_contract.TASKS,
    *version_contract.TASKS,
    *encoding_contract.TASKS,
    *embedding_contract.TASKS,
    *model_contract.TASKS,
]
