"""Runs one worker: `python -m workers.runtime detect`, or `faces-long` for its jobs of minutes."""

import logging
import os
import sys
from importlib import import_module

from celery.signals import worker_shutting_down

from shared.contract import LONG
from shared.logs import configure_logs
from shared.settings import Settings, read_settings


def main(queue: str) -> None:
    os.environ["ATELIER_QUEUE"] = queue  # spawned processes start from nothing
    settings = read_settings()
    configure_logs(settings.log_level)
    logging.getLogger("celery").setLevel(logging.WARNING)  # one line per message says nothing
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, str(settings.torch_threads))
    module = f"workers.{queue.removesuffix(LONG)}.worker"
    app = import_module(module).app
    app.conf.include = [module]  # a spawned process has to import it for itself
    if settings.pool_start == "spawn" or (settings.pool_start == "auto" and uses_cuda(settings)):
        app.conf.worker_pool_start_method = "spawn"  # CUDA does not survive a fork
    ends: list[str] = []
    worker_shutting_down.connect(lambda how, **_: ends.append(how), weak=False)
    try:
        app.worker_main(list_options(queue, settings))
    finally:
        if "Cold" in ends:  # Celery itself would say 0
            sys.exit(1)


def list_options(queue: str, settings: Settings) -> list[str]:
    return [
        "worker",
        f"--queues={queue}",
        f"--hostname={queue}-{os.getpid()}@%h",
        "--pool=prefork",
        f"--concurrency={settings.worker_processes}",
        "--loglevel=warning",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]


def uses_cuda(settings: Settings) -> bool:
    torch = sys.modules.get("torch")
    if torch is None or settings.device == "cpu":
        return False
    return settings.device.startswith("cuda") or bool(torch.cuda.is_available())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"Usage: python -m workers.runtime NAME, a folder of workers/, or NAME{LONG}")
    main(sys.argv[1])
