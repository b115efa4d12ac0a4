"""The application factory; gunicorn runs it."""

import math
import threading
import time
from importlib.metadata import version

from apiflask import APIFlask
from flask import Response, g, request
from flask_limiter import Limiter
from prometheus_client import CollectorRegistry

from services.catalog import load_tasks
from services.gateway import files, health, jobs, submit
from services.gateway.admission import Admission
from services.gateway.auth import Authenticator
from services.gateway.context import Context
from services.gateway.hub import Hub
from services.gateway.openapi import make_processor
from services.gateway.problems import register as register_problems
from services.gateway.record import Recorder
from shared.blobs import Blobs
from shared.contract import Task
from shared.db import open_db
from shared.events import Events
from shared.logs import configure_logs
from shared.sealing import Keyring
from shared.settings import Settings, read_settings

VERSION = version("atelier")


def create_app(settings: Settings | None = None, tasks: dict[str, Task] | None = None) -> APIFlask:
    settings = settings or read_settings()
    configure_logs(settings.log_level)
    ctx = _build_context(settings, tasks or load_tasks())
    app = APIFlask(__name__, title="Atelier", version=VERSION, docs_path=None)
    app.extensions["atelier"] = ctx
    _configure(app, settings)

    registry = CollectorRegistry()
    registry.register(health.JobMetrics(ctx))
    health.measure_requests(app, registry)
    register_problems(app)
    app.register_blueprint(health.make_blueprint(registry))
    app.register_blueprint(files.make_blueprint())
    app.register_blueprint(jobs.make_blueprint())
    app.register_blueprint(submit.make_blueprint(ctx.tasks))
    app.spec_processor(make_processor(ctx.tasks))
    Authenticator(app)
    _limit_rate(app, settings)
    app.after_request(_harden)
    return app


def _build_context(settings: Settings, tasks: dict[str, Task]) -> Context:
    sessions = open_db(settings.database, pool_size=20)
    blobs = Blobs(settings.blobs, sessions)
    keyring = Keyring(settings, sessions)
    return Context(
        settings=settings,
        sessions=sessions,
        blobs=blobs,
        recorder=Recorder(sessions, blobs, keyring),
        keyring=keyring,
        events=Events(settings.redis_url),
        hub=Hub(settings.redis_url),
        slots=threading.Semaphore(settings.max_streams),
        admission=Admission(sessions, settings.max_queued),
        tasks=tasks,
    )


def _configure(app: APIFlask, settings: Settings) -> None:
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_body,
        MAX_FORM_MEMORY_SIZE=2 * settings.max_inline,
        MAX_FORM_PARTS=200,
        OPENAPI_VERSION="3.1.0",
        AUTO_SERVERS=False,
    )
    app.url_map.merge_slashes = False  # an odd id is a 404, not a redirect to somewhere else


def _limit_rate(app: APIFlask, settings: Settings) -> None:
    """Requests per key, counted in Redis; in this process while Redis is away."""
    limiter = Limiter(
        key_func=lambda: str(g.caller.key_id) if "caller" in g else request.remote_addr or "",
        application_limits=[settings.rate_limit],
        storage_uri=settings.redis_url,
        storage_options={"socket_timeout": 1, "socket_connect_timeout": 1},
        strategy="fixed-window",
        in_memory_fallback=[settings.rate_limit],
        swallow_errors=True,  # of requests that were waiting for Redis when it was found away
        key_prefix="atelier",
    )
    limiter.init_app(app)

    @app.after_request
    def say_when(response: Response) -> Response:
        limit = limiter.current_limit
        if response.status_code == 429 and limit and "Retry-After" not in response.headers:
            response.headers["Retry-After"] = str(max(1, math.ceil(limit.reset_at - time.time())))
        return response


def _harden(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'self'; img-src 'self' data:"
    )
    return response
