"""How gunicorn serves the gateway: one process, a thread for every open event stream."""
# ruff: noqa: N999  (the name gunicorn looks for)

from pathlib import Path

from shared.settings import read_settings

_settings = read_settings()
_SPARE_THREADS = 76  # answer ordinary requests while every stream is open

bind = f"{_settings.host}:{_settings.port}"
proc_name = "atelier-gateway"

worker_class = "gthread"
workers = 1  # metrics and streams live in one process; more gateways are more containers
threads = _settings.max_streams + _SPARE_THREADS
# The default of 1000 stops accepting at 1000 streams, however many threads there are.
worker_connections = 2 * threads
backlog = 128  # the default of 2048 hides an overload from the load balancer
timeout = 30  # seconds without a sign of life from the process, not from a request
graceful_timeout = 5  # streams never end by themselves; clients resume by Last-Event-ID
keepalive = 5
preload_app = False  # connections are opened after the fork

# A heartbeat file on a slow disk can stall a busy process until it is killed.
if Path("/dev/shm").is_dir():
    worker_tmp_dir = "/dev/shm"

control_socket_disable = True  # its default path is one per user, shared by all instances
accesslog = None  # the gateway writes its own structured log
errorlog = "-"
loglevel = _settings.log_level
