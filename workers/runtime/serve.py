"""Turns a worker class into a Celery application; with __main__.py the only code on Celery."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from billiard import process
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown, worker_shutting_down

from shared.blobs import Blobs
from shared.contract import Task
from shared.db import open_db
from shared.events import Events
from shared.logs import configure_logs
from shared.queue import make_celery
from shared.settings import Settings, read_settings
from workers.runtime.acks import repair_acks
from workers.runtime.executor import Executor
from workers.runtime.heartbeat import Heartbeat

log = structlog.get_logger()

WorkerClass = Callable[[Settings], Any]
Methods = Mapping[Task, Callable[..., Any]]


@dataclass
class Loaded:
    """What a pool process has once its model is in memory."""

    worker: Any
    executor: Executor


def serve(name: str, worker_class: WorkerClass, methods: Methods) -> Celery:
    """A Celery app that answers each task with its method, on one worker object per process."""
    settings = read_settings()
    repair_acks()
    app = make_celery(settings)
    app.conf.worker_max_memory_per_child = settings.max_child_kb
    app.conf.worker_proc_alive_timeout = 600  # loading a model takes longer than Celery's 4 s
    loaded: list[Loaded] = []

    def load(**_: Any) -> None:
        try:
            loaded.append(_load(name, worker_class, settings))
        except Exception:
            # Celery would go on with a pool that can do nothing: end it, for all to see.
            log.exception("worker not loaded", worker=name)
            os.kill(os.getppid(), signal.SIGQUIT)
            raise

    def leave(**_: Any) -> None:
        if loaded:
            loaded[0].executor.heartbeat.leave()
            if hasattr(loaded[0].worker, "close"):
                loaded[0].worker.close()

    worker_process_init.connect(load, weak=False)
    worker_process_shutdown.connect(leave, weak=False)
    worker_shutting_down.connect(_tell_children, weak=False)
    for task, method in methods.items():
        _register(app, task, method, loaded)
    return app


def _register(app: Celery, task: Task, method: Callable[..., Any], loaded: list[Loaded]) -> None:
    # Each call has its own limit (executor); this one is for a process that cannot even tick.
    hard_limit = task.time_limit * (2 * task.max_batch + 1) + 120

    @app.task(name=task.name, time_limit=hard_limit)
    def run() -> None:
        worker = loaded[0].worker
        # what this machine should do at once
        count = getattr(worker, "count_together", lambda _: task.max_batch)
        loaded[0].executor.run_next(task, partial(method, worker), count(task))


def _load(name: str, worker_class: WorkerClass, settings: Settings) -> Loaded:
    if not structlog.is_configured():  # a spawned process starts from nothing
        configure_logs(settings.log_level)
    sessions = open_db(settings.database, pool_size=2)
    heartbeat = Heartbeat(settings, sessions, settings.queue or name)
    signal.signal(signal.SIGUSR2, lambda *_: heartbeat.stopping.set())
    worker = worker_class(settings)
    torch = sys.modules.get("torch")
    if torch:  # more threads than cores spin against each other
        torch.set_num_threads(settings.torch_threads)
    if hasattr(worker, "warm_up"):
        worker.warm_up()
    blobs, events = Blobs(settings.blobs, sessions), Events(settings.redis_url)
    heartbeat.start()
    log.info("worker ready", worker=name, pid=os.getpid())
    return Loaded(worker, Executor(settings, sessions, blobs, events, heartbeat))


def _tell_children(**_: Any) -> None:
    """A planned stop: pool processes finish or hand back what they run, and claim no more."""
    for child in process.active_children():
        os.kill(child.pid, signal.SIGUSR2)
