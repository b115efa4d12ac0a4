"""The tables of the faces worker. Times are seconds since 1970 on the database's clock."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.tables import Base


class FaceCollection(Base):
    """A gallery of one tenant, bound to one encoder; its row counts every change."""

    __tablename__ = "face_collections"
    __table_args__ = (UniqueConstraint("tenant", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(String(100))  # encoder and version: dlib-resnet@1
    dimensions: Mapped[int]
    backend: Mapped[str] = mapped_column(String(20))  # local or milvus
    retention: Mapped[float | None]  # seconds a face is kept; None: until its consent ends
    target_fpir: Mapped[float]  # strangers that may be named, as a fraction of searches
    calibration: Mapped[dict[str, Any] | None]
    # Both rise in the transaction of the change, under this row's lock: whoever has seen `seq`
    # has seen every change before it (a sequence would let commits overtake each other).
    seq: Mapped[int] = mapped_column(BigInteger)
    last_number: Mapped[int] = mapped_column(BigInteger)  # of faces and subjects; never used again
    faces: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float]


class FaceSubject(Base):
    """A person of a collection, under the client's own name for them."""

    __tablename__ = "face_subjects"
    __table_args__ = (UniqueConstraint("collection_id", "name"),)

    collection_id: Mapped[str] = mapped_column(ForeignKey("face_collections.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[float]


class FaceConsent(Base):
    """What a person agreed to; a face without one cannot be stored."""

    __tablename__ = "face_consents"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    collection_id: Mapped[str] = mapped_column(ForeignKey("face_collections.id"))
    subject_number: Mapped[int] = mapped_column(BigInteger)
    purpose: Mapped[str] = mapped_column(String(200))
    text_sha256: Mapped[str] = mapped_column(String(64))  # of the text that was agreed to
    given_at: Mapped[float]
    expires_at: Mapped[float | None]
    recorded_at: Mapped[float]
    job_id: Mapped[str] = mapped_column(String(32))


Index("ix_face_consents_subject", FaceConsent.collection_id, FaceConsent.subject_number)


class Face(Base):
    """One enrolled face; the embedding is sealed with the tenant's key."""

    __tablename__ = "faces"

    collection_id: Mapped[str] = mapped_column(ForeignKey("face_collections.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    subject_number: Mapped[int] = mapped_column(BigInteger)
    consent_id: Mapped[str] = mapped_column(ForeignKey("face_consents.id"))
    model: Mapped[str] = mapped_column(String(100))
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
    quality: Mapped[float | None]  # [0, 1]; None for a ready embedding
    blob_id: Mapped[str | None] = mapped_column(String(64))  # the picture it was found in
    created_at: Mapped[float]
    expires_at: Mapped[float | None]


Index("ix_faces_seq", Face.collection_id, Face.seq)
Index("ix_faces_subject", Face.collection_id, Face.subject_number)
Index("ix_faces_expires", Face.expires_at)
Index("ix_faces_consent", Face.consent_id)
Index("ix_faces_blob", Face.blob_id)


class FaceDeletion(Base):
    """A face that is gone: what the indexes still have to forget. It holds no vector."""

    __tablename__ = "face_deletions"

    collection_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class FacePurge(Base):
    """The receipt of a deletion; `purged_at` is set once no copy is left."""

    __tablename__ = "face_purges"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    collection_id: Mapped[str] = mapped_column(String(32))
    seq: Mapped[int] = mapped_column(BigInteger)
    faces: Mapped[int] = mapped_column(BigInteger)
    whole: Mapped[bool]  # the collection itself is gone
    blobs: Mapped[list[str]]  # objects of pictures that have to go too
    requested_at: Mapped[float]
    purged_at: Mapped[float | None]


class FaceReplica(Base):
    """A copy of a collection outside SQL: a folder of snapshots on some machine, or a server's."""

    __tablename__ = "face_replicas"

    collection_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    replica: Mapped[str] = mapped_column(String(32), primary_key=True)
    applied_seq: Mapped[int] = mapped_column(BigInteger)  # changes up to here are in it
    clean_seq: Mapped[int] = mapped_column(BigInteger)  # deletions up to here are erased from disk
    seen_at: Mapped[float]


class FaceAudit(Base):
    """One line of a tenant's log; the database refuses to change or delete it."""

    __tablename__ = "face_audit"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[float]
    key_id: Mapped[int | None]  # the API key that asked
    job_id: Mapped[str | None] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(40))
    collection: Mapped[str | None] = mapped_column(String(100))
    detail: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))  # over this line and the digest before it


class FaceAuditHead(Base):
    """The last line of a tenant's log; its row lock puts the lines in one order."""

    __tablename__ = "face_audit_heads"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(64))


class FaceSearches(Base):
    """How many probes a tenant has searched with on a day."""

    __tablename__ = "face_searches"

    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # since 1970, UTC
    probes: Mapped[int] = mapped_column(BigInteger)
