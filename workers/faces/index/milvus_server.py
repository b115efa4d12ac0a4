"""What is asked of a Milvus server besides faces: room for collections, and to forget them."""

from collections.abc import Iterator

from sqlalchemy import delete

from shared.db import Sessions
from shared.face_tables import FaceReplica

try:
    from pymilvus import DataType, MilvusClient, MilvusException
except ImportError as error:
    raise ImportError(
        "Collections on Milvus need one more package: pip install 'atelier[milvus]'"
    ) from error

REPLICA = "milvus"  # in face_replicas
PREFIX = "atelier_faces_"
# A call may run inside a transaction, which PostgreSQL ends after 15 idle seconds.
TIMEOUT = 10.0  # seconds
LOAD_TIMEOUT = 600.0  # seconds, for a server that has to read its segments first


def connect(uri: str, token: str) -> MilvusClient:
    """Raises MilvusException if there is no server."""
    return MilvusClient(uri=uri, token=token, timeout=TIMEOUT)


def is_lite(uri: str) -> bool:
    """Whether it is a file of milvus-lite, which takes no orders to compact."""
    return uri.endswith(".db")


def filter_by(collection_id: str) -> str:
    """The rows of one collection of ours, which share a collection of Milvus with others."""
    return f'collection == "{collection_id}"'


def open_room(client: MilvusClient, dimensions: int, index: str) -> str:
    """The loaded Milvus collection of all faces with that many numbers; made if it is missing."""
    name = f"{PREFIX}{dimensions}"
    if not client.has_collection(name, timeout=TIMEOUT):
        try:
            _make_room(client, name, dimensions, index)
        except MilvusException:
            if not client.has_collection(name, timeout=TIMEOUT):  # else another process was faster
                raise
    client.load_collection(name, timeout=LOAD_TIMEOUT)
    return name


def _make_room(client: MilvusClient, name: str, dimensions: int, index: str) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("collection", DataType.VARCHAR, max_length=32, is_partition_key=True)
    schema.add_field("number", DataType.INT64)
    schema.add_field("subject", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type=index, metric_type="IP")
    client.create_collection(
        name, schema=schema, index_params=indexes, consistency_level="Strong", timeout=TIMEOUT
    )


def compact(client: MilvusClient, name: str) -> Iterator[None]:
    """Rewrite the segments without what was deleted; yields while the server is at it."""
    client.flush(name, timeout=TIMEOUT)
    for is_l0 in (True, False):  # hand the deletions to the segments, then rewrite those
        job = client.compact(name, is_l0=is_l0, timeout=TIMEOUT)
        while client.get_compaction_state(job, timeout=TIMEOUT) != "Completed":
            yield


def erase_collection(
    uri: str, token: str, collection_id: str, sessions: Sessions
) -> Iterator[None]:
    """Forget a collection that was deleted, then the row that says it is here.

    Yields while the server is at it; to begin again is harmless. On milvus-lite the row stays.
    """
    client = connect(uri, token)
    try:
        for name in client.list_collections(timeout=TIMEOUT):
            if name.startswith(PREFIX):
                client.delete(name, filter=filter_by(collection_id), timeout=TIMEOUT)
                yield from compact(client, name)
    finally:
        client.close()
    if not is_lite(uri):
        with sessions.begin() as session:
            own = FaceReplica.collection_id == collection_id, FaceReplica.replica == REPLICA
            session.execute(delete(FaceReplica).where(*own))
