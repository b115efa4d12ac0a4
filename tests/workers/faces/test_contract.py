"""What a key has to be allowed for each face job, and that no embedding rests in clear."""

import pytest

from shared.contract import list_sealed
from workers.faces.contract import TASKS

BY_NAME = {task.name.partition(".")[2]: task for task in TASKS}
SCOPES = {
    "faces:run": {
        "find",
        "verify",
        "collections",
        "stats",
        "identify",
        "list",
        "receipt",
        "models",
    },
    "faces:embeddings": {"encode"},
    "faces:enroll": {"create", "update", "enroll", "calibrate", "import"},
    "faces:delete": {"delete"},
    "faces:export": {"export"},
    "faces:audit": {"audit"},
    "faces:train": {"train", "promote"},
}
FIELDS = {
    ("identify", "investigate", "faces:investigate"),
    ("identify", "scores", "faces:scores"),
    ("identify", "threshold", "faces:scores"),
    ("verify", "scores", "faces:scores"),
    ("verify", "threshold", "faces:scores"),
    ("verify", "target_fmr", "faces:scores"),
    ("identify", "target_fpir", "faces:scores"),
}


def test_every_task_has_the_scope_it_is_meant_to_have():
    found: dict[str, set[str]] = {}
    for name, task in BY_NAME.items():
        found.setdefault(task.needed_scope, set()).add(name)
    assert found == SCOPES


def test_scores_and_investigations_need_scopes_of_their_own():
    """Thresholds too: who may choose them can find a score out step by step."""
    found = {
        (name, field, scope) for name, task in BY_NAME.items() for field, scope, _ in task.needs()
    }
    assert found == FIELDS


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_field_that_holds_an_embedding_is_sealed(task):
    for message in (task.request, task.result):
        holding = [name for name in message.model_fields if "embedding" in name]
        assert set(holding) == set(list_sealed(message))


def test_jobs_of_minutes_are_long():
    long = {name for name, task in BY_NAME.items() if task.long}
    assert long == {"calibrate", "export", "import", "train"}
    assert {BY_NAME[name].queue for name in long} == {"faces-long"}
