"""Rules that hold for every worker, including the one you are about to add."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from services.catalog import find_workers, load_tasks
from shared.contract import Message

ROOT = Path(__file__).parents[2]
OURS = [name for name in find_workers() if (ROOT / "workers" / name).exists()]
TASKS = [task for task in load_tasks().values() if task.worker in OURS]
MODEL_LIBRARIES = ("torch", "torchvision", "faiss", "numpy", "PIL")


def by_name(task):
    return task.name


@pytest.mark.parametrize("task", TASKS, ids=by_name)
def test_example_is_a_valid_request(task):
    task.request.model_validate(task.example)


@pytest.mark.parametrize("task", TASKS, ids=by_name)
def test_request_and_result_refuse_unknown_fields(task):
    assert issubclass(task.request, Message)
    assert issubclass(task.result, Message)
    assert task.request.model_config["extra"] == "forbid"


@pytest.mark.parametrize("task", TASKS, ids=by_name)
def test_name_limit_and_batch_make_sense(task):
    worker, method = task.name.split(".", 1)
    assert worker in OURS
    assert method
    assert task.max_batch >= 1
    assert task.time_limit > 0
    assert task.summary.endswith(".")


@pytest.mark.parametrize("name", OURS)
def test_contract_loads_no_model_library(name):
    code = (
        f"import sys, workers.{name}.contract; "
        f"sys.exit(any(m in sys.modules for m in {MODEL_LIBRARIES}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_every_task_has_a_method(name):
    source = (ROOT / "workers" / name / "worker.py").read_text()
    called = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
    served = [n for n in called if getattr(n.func, "id", "") == "serve"]
    assert len(served) == 1
    assert served[0].args[0].value == name
    tasks = [task for task in TASKS if task.worker == name]
    assert len(served[0].args[2].keys) == len(tasks)


@pytest.mark.parametrize("name", OURS)
def test_has_a_compose_service_tests_and_a_readme(name):
    assert f"\n  worker-{name}:" in (ROOT / "docker-compose.yml").read_text()
    assert (ROOT / "tests" / "workers" / name).is_dir()
    assert (ROOT / "workers" / name / "README.md").is_file()


def test_the_gateway_never_loads_a_model_library():
    code = (
        "import sys, services.gateway.app, services.relay.__main__; "
        "services.gateway.app.load_tasks(); "
        f"sys.exit(any(m in sys.modules for m in {MODEL_LIBRARIES}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
