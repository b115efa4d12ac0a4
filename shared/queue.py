"""The Celery application: a lossy wake-up call from the relay to the workers.

Every option has its reason here; the record of what is to be done is the jobs table.
"""

from celery import Celery

from shared.settings import Settings


def make_celery(settings: Settings) -> Celery:
    app = Celery("atelier", broker=settings.redis_url, backend=None)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],  # never pickle
        task_ignore_result=True,  # outcomes are rows; a Redis backend blocks when Redis is down
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # the relay announces lost jobs again, and counts
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,  # a dead worker strands only its own message
        task_publish_retry=False,  # the relay tries again on its own schedule
        worker_enable_remote_control=False,  # fewer keys, fewer connections
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # the outcome goes to SQL
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # wait for Redis as long as it takes
        broker_connection_timeout=2,
        worker_hijack_root_logger=False,
        broker_transport_options={
            "visibility_timeout": 3600,  # a backstop only: leases decide
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "global_keyprefix": "atelier:",
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.2,
        },
    )
    return app


def queue_key(queue: str) -> str:
    """The Redis list that holds the messages of a queue."""
    return f"atelier:{queue}"
