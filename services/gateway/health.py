"""Is it alive, is it ready, what can it do, how is it doing."""

import time
from collections.abc import Iterable
from typing import Any

import structlog
from apiflask import APIBlueprint
from flask import Flask, Response, current_app, g, jsonify, request
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy import func, select, text

from services.gateway.auth import PUBLIC, requires
from services.gateway.context import Context, context
from services.gateway.openapi import answers
from services.gateway.views import ReadinessView, TaskList
from shared.contract import Task
from shared.db import db_now
from shared.liveness import count_workers
from shared.tables import QUEUED, RUNNING, Job

log = structlog.get_logger()


def make_blueprint(registry: CollectorRegistry) -> APIBlueprint:
    bp = APIBlueprint("health", __name__, tag="Service")

    @bp.get("/healthz")
    @bp.doc(operation_id="health")
    @requires(PUBLIC)
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @bp.get("/readyz")
    @bp.doc(operation_id="ready")
    @bp.output(ReadinessView, description="Jobs are accepted.")
    @requires(PUBLIC)
    def readyz() -> Response:
        """Jobs are accepted (200) or not (503), what answers, and how many workers are alive."""
        ctx = context()
        checks = {name: _try(check) for name, check in _checks(ctx)}
        accepting = checks["database"] == checks["blobs"] == "ok"
        status = "ready" if all(v == "ok" for v in checks.values()) else "degraded"
        response = jsonify(
            status=status if accepting else "unavailable",
            checks=checks,
            workers=_count_workers(ctx) if checks["database"] == "ok" else {},
        )
        response.status_code = 200 if accepting else 503
        return response

    @bp.get("/docs")
    @bp.doc(hide=True)
    @requires(PUBLIC)
    def docs() -> Response:
        """The API document as a page; all its parts come from this server."""
        return current_app.send_static_file("swagger-ui/index.html")

    @bp.get("/metrics")
    @bp.doc(
        operation_id="metrics",
        responses=answers("Prometheus text", "text/plain"),
    )
    @requires("metrics:read")
    def metrics() -> Response:
        """Counters and gauges for Prometheus."""
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    @bp.get("/v1/tasks")
    @bp.doc(operation_id="list_tasks")
    @bp.output(TaskList)
    @requires("jobs:read")
    def tasks() -> Response:
        """Every task, with the JSON schemas of its request and result and an example."""
        return jsonify(items=[_show_task(task) for task in context().tasks.values()])

    return bp


def _checks(ctx: Context) -> list[tuple[str, Any]]:
    return [
        ("database", lambda: _ask_database(ctx)),
        ("broker", ctx.events.redis.ping),
        ("blobs", ctx.blobs.check),
    ]


def _ask_database(ctx: Context) -> None:
    with ctx.sessions.read() as session:
        session.execute(text("SELECT 1"))


def _try(check: Any) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001  (readiness reports whatever is wrong)
        log.warning("not ready", error=repr(error))
        return type(error).__name__
    return "ok"


def _count_workers(ctx: Context) -> dict[str, int]:
    with ctx.sessions.read() as session:
        return count_workers(session, ctx.settings.heartbeat)


def _show_task(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "path": task.path,
        "summary": task.summary,
        "request": task.request.model_json_schema(),
        "result": task.result.model_json_schema(),
        "example": task.example,
        "max_batch": task.max_batch,
        "time_limit": task.time_limit,
        "long": task.long,
    }


class JobMetrics(Collector):
    """Gauges counted from the job table when Prometheus asks."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def collect(self) -> Iterable[Metric]:
        jobs = GaugeMetricFamily("atelier_jobs", "Unfinished jobs.", labels=["task", "state"])
        oldest = GaugeMetricFamily(
            "atelier_oldest_queued_seconds", "Age of the oldest waiting job.", labels=["task"]
        )
        with self.ctx.sessions.read() as session:
            for state, where in (("queued", QUEUED), ("running", RUNNING)):
                rows = session.execute(
                    select(Job.task, func.count(), db_now() - func.min(Job.created_at))
                    .where(where)
                    .group_by(Job.task)
                )
                for task, count, age in rows:
                    jobs.add_metric([task, state], count)
                    if state == "queued":
                        oldest.add_metric([task], age)
        workers = GaugeMetricFamily("atelier_workers", "Live processes.", labels=["worker"])
        for queue, count in _count_workers(self.ctx).items():
            workers.add_metric([queue], count)
        try:
            self.ctx.events.redis.ping()
            broker_up = 1
        except RedisError:
            broker_up = 0
        up = GaugeMetricFamily("atelier_broker_up", "Whether Redis answers.", value=broker_up)
        return [jobs, oldest, workers, up]


def measure_requests(app: Flask, registry: CollectorRegistry) -> None:
    """A histogram of request times by route."""
    seconds = Histogram(
        "atelier_http_seconds",
        "Time to answer a request.",
        ["route", "method", "status"],
        registry=registry,
    )

    @app.before_request
    def start() -> None:
        g.started_at = time.perf_counter()

    @app.after_request
    def observe(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "(none)"
        elapsed = time.perf_counter() - g.get("started_at", time.perf_counter())
        seconds.labels(route, request.method, response.status_code).observe(elapsed)
        return response
