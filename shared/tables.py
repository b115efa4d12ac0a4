"""The database schema. Times are seconds since 1970 on the database's clock."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map = {
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON,
        float: Float(53),
    }


class Job(Base):
    """One request to one worker, from its 202 until its result expires."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # sorts by time of submission
    tenant: Mapped[str] = mapped_column(String(64))
    task: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(10))
    priority: Mapped[int]  # 0 high, 1 normal, 2 low
    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_detail: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[dict[str, Any] | None]

    fence: Mapped[int]  # rises with every claim; a worker may write only with the newest
    failures: Mapped[int]  # leases that ended without an outcome
    lease_until: Mapped[float | None]
    dispatched_at: Mapped[float | None]  # queued only: the relay has announced it
    cancel_requested: Mapped[bool]
    key_id: Mapped[int | None]  # the API key it was submitted with

    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    deadline_at: Mapped[float]
    ttl: Mapped[float]
    expires_at: Mapped[float | None]  # set when finished


# Written out in queries too: with a bound parameter neither database would use the partial index.
WAITING = text("state = 'queued' AND dispatched_at IS NULL")
ANNOUNCED = text("state = 'queued' AND dispatched_at IS NOT NULL")
QUEUED = text("state = 'queued'")
RUNNING = text("state = 'running'")
FINISHED = text("expires_at IS NOT NULL")


def _partial(name: str, *columns: str, where: Any) -> Index:
    return Index(
        name,
        *(Job.__table__.c[column] for column in columns),
        sqlite_where=where,
        postgresql_where=where,
    )


# Partial indexes: each stays as small as the state it serves, however many jobs are kept.
_partial("ix_jobs_waiting", "task", "tenant", "priority", "id", where=WAITING)
_partial("ix_jobs_announced", "task", "priority", "dispatched_at", where=ANNOUNCED)
_partial("ix_jobs_queued_deadline", "deadline_at", where=QUEUED)
_partial("ix_jobs_running_lease", "lease_until", where=RUNNING)
_partial("ix_jobs_expires", "expires_at", where=FINISHED)
Index("ix_jobs_tenant", Job.tenant, Job.id)


class IdempotencyKey(Base):
    """A client's name for one submit: the same key is the same job."""

    __tablename__ = "idempotency_keys"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))  # sha256 of what was asked
    job_id: Mapped[str] = mapped_column(String(32), index=True)


class StoredBlob(Base):
    """A file of a tenant; `object_name` says where its content lies in the blob store."""

    __tablename__ = "blobs"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # sha256 of the content
    object_name: Mapped[str] = mapped_column(String(160), unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)


class ApiKey(Base):
    """A credential: the secret itself is not stored, only its sha256."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]


class WorkerProcess(Base):
    """A worker process that was alive at `seen_at`."""

    __tablename__ = "worker_processes"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)  # host:pid
    queue: Mapped[str] = mapped_column(String(64), index=True)
    seen_at: Mapped[float]


class Broker(Base):
    """One row: the epoch found in Redis when jobs were last announced there."""

    __tablename__ = "broker"

    id: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32))


class SealedKey(Base):
    """A tenant's data key, sealed with the master key of the installation."""

    __tablename__ = "sealed_keys"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class TrainedModel(Base):
    """A model trained here: where its file is, how good it is, and what it was made from."""

    __tablename__ = "trained_models"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    worker: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    object_name: Mapped[str] = mapped_column(String(160))  # in the blob store
    sha256: Mapped[str] = mapped_column(String(64))
    metrics: Mapped[dict[str, Any]]
    origin: Mapped[dict[str, Any]]  # data, seed, options and the code's version
    promoted_at: Mapped[float | None]  # the newest one is in use where no version is named
    created_at: Mapped[float]
    deleted_at: Mapped[float | None]  # the row stays: a version means one model for ever
