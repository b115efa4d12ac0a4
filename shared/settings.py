"""Configuration: the only module that reads the environment."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKPOINT_EVERY = 10.0  # seconds


class Settings(BaseSettings):
    """Every setting with its default; override `x` by the variable ATELIER_X."""

    model_config = SettingsConfigDict(env_prefix="ATELIER_", populate_by_name=True)

    home: Path = Path(".atelier")  # state of the embedded stack
    database_url: str = Field("", validation_alias="DATABASE_URL")  # empty: SQLite in home
    redis_url: str = Field("redis://127.0.0.1:6379/0", validation_alias="REDIS_URL")
    blob_url: str = ""  # file:///folder or s3://bucket/prefix; empty: a folder in home
    weights_dir: Path | None = None  # empty: a folder in home
    log_level: str = "info"
    master_key: str = ""  # 32 bytes in base64 that seal the tenants' keys; empty: a file in home

    # A job's life, in seconds
    lease: float = 30.0  # a worker that says nothing for this long has lost its jobs
    heartbeat: float = 10.0
    sweep_every: float = 5.0
    max_failures: int = 3  # lost leases before a job fails with worker_lost
    deadline: float = 24 * 3600.0  # from submit to finish, unless the request says otherwise
    max_deadline: float = 7 * 24 * 3600.0
    result_ttl: float = 7 * 24 * 3600.0  # a finished job and its blobs are kept this long
    window_batches: int = 4  # batches per worker process the relay keeps in Redis
    resend_after: float = 10.0  # a message this old with an empty queue is sent again

    # Limits
    max_body: int = 64 * 2**20  # bytes of one HTTP request
    max_inline: int = 2**20  # bytes of one data URI
    max_pixels: int = 40_000_000
    max_queued: int = 20_000  # unfinished jobs per tenant
    rate_limit: str = "600/second"  # requests per API key
    max_wait: float = 60.0  # seconds of Prefer: wait
    max_streams: int = 1_024  # open event streams per gateway process

    # Workers
    device: str = "auto"  # auto, cpu, cuda, cuda:1
    pool_start: Literal["auto", "fork", "spawn"] = "auto"  # of worker processes; CUDA needs spawn
    queue: str = ""  # set by `python -m workers.runtime`: which queue its processes serve
    torch_threads: int = 1
    # seconds between checkpoints, from which a training or a painting goes on
    checkpoint_every: float = CHECKPOINT_EVERY
    compile: bool = False  # the detectors that come with Atelier, by torch.compile; needs a g++
    worker_processes: int = 1  # processes per worker folder on this machine
    workers: str = ""  # which of them run here, comma-separated; empty: every worker found
    faces_dir: Path | None = None  # snapshots of face indexes; empty: a folder in home
    purge_within: float = 60.0  # seconds until a deleted face is in no snapshot any more
    search_quota: int = 1_000_000  # faces a tenant may search for on one day
    milvus_uri: str = ""  # of the server behind collections with backend "milvus"
    milvus_token: str = ""
    max_child_kb: int = 4_000_000  # a child over this is replaced after its batch

    # Gateway
    host: str = "127.0.0.1"
    port: int = 0  # 0: a free port, chosen at first start

    # Client
    url: str = ""  # where the API answers; empty: the stack of this home
    key: str = ""  # the API key; empty: the one that stack wrote

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home.resolve()}/atelier.db"

    @property
    def blobs(self) -> str:
        return self.blob_url or f"file://{self.home.resolve()}/blobs"

    @property
    def faces(self) -> Path:
        return self.faces_dir or self.home.resolve() / "faces"

    @property
    def weights(self) -> Path:
        return self.weights_dir or self.home.resolve() / "weights"


@lru_cache
def read_settings() -> Settings:
    return Settings()
