"""Faces: collections, consents, sealed embeddings, an audit log; trained models; who submitted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# An audit log that could be edited would prove nothing: the database itself refuses.
SQLITE_TRIGGER = """
CREATE TRIGGER face_audit_no_{verb} BEFORE {verb} ON face_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""
POSTGRES_FUNCTION = """
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$
"""
POSTGRES_TRIGGER = """
CREATE TRIGGER face_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON face_audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
"""


def upgrade() -> None:
    op.create_table(
        "face_audit",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.String(length=32), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("collection", sa.String(length=100), nullable=True),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "position"),
    )
    op.create_table(
        "face_audit_heads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "face_collections",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("backend", sa.String(length=20), nullable=False),
        sa.Column("retention", sa.Float(precision=53), nullable=True),
        sa.Column("target_fpir", sa.Float(precision=53), nullable=False),
        sa.Column("calibration", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("faces", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "name"),
    )
    op.create_table(
        "face_deletions",
        sa.Column("collection_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "seq", "number"),
    )
    op.create_table(
        "face_purges",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("collection_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("faces", sa.BigInteger(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("blobs", sa.JSON(), nullable=False),
        sa.Column("requested_at", sa.Float(precision=53), nullable=False),
        sa.Column("purged_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "face_replicas",
        sa.Column("collection_id", sa.String(length=32), nullable=False),
        sa.Column("replica", sa.String(length=32), nullable=False),
        sa.Column("applied_seq", sa.BigInteger(), nullable=False),
        sa.Column("clean_seq", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "replica"),
    )
    op.create_table(
        "face_searches",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("probes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "day"),
    )
    op.create_table(
        "sealed_keys",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "trained_models",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_name", sa.String(length=160), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("origin", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("promoted_at", sa.Float(precision=53), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "worker", "name", "version"),
    )
    op.create_table(
        "face_consents",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("collection_id", sa.String(length=32), nullable=False),
        sa.Column("subject_number", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=200), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("given_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=True),
        sa.Column("recorded_at", sa.Float(precision=53), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["face_collections.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_face_consents_subject",
        "face_consents",
        ["collection_id", "subject_number"],
        unique=False,
    )
    op.create_table(
        "face_subjects",
        sa.Column("collection_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["face_collections.id"],
        ),
        sa.PrimaryKeyConstraint("collection_id", "number"),
        sa.UniqueConstraint("collection_id", "name"),
    )
    op.create_table(
        "faces",
        sa.Column("collection_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("subject_number", sa.BigInteger(), nullable=False),
        sa.Column("consent_id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.Float(precision=53), nullable=True),
        sa.Column("blob_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["face_collections.id"],
        ),
        sa.ForeignKeyConstraint(
            ["consent_id"],
            ["face_consents.id"],
        ),
        sa.PrimaryKeyConstraint("collection_id", "number"),
    )
    op.create_index("ix_faces_expires", "faces", ["expires_at"], unique=False)
    op.create_index("ix_faces_consent", "faces", ["consent_id"], unique=False)
    op.create_index("ix_faces_blob", "faces", ["blob_id"], unique=False)
    op.create_index("ix_faces_seq", "faces", ["collection_id", "seq"], unique=False)
    op.create_index("ix_faces_subject", "faces", ["collection_id", "subject_number"], unique=False)
    op.add_column("jobs", sa.Column("key_id", sa.Integer(), nullable=True))
    _protect_audit()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER face_audit_append_only ON face_audit")
        op.execute("DROP FUNCTION refuse_audit_change")
    op.drop_column("jobs", "key_id")
    op.drop_index("ix_faces_blob", table_name="faces")
    op.drop_index("ix_faces_consent", table_name="faces")
    op.drop_index("ix_faces_subject", table_name="faces")
    op.drop_index("ix_faces_seq", table_name="faces")
    op.drop_index("ix_faces_expires", table_name="faces")
    op.drop_table("faces")
    op.drop_table("face_subjects")
    op.drop_index("ix_face_consents_subject", table_name="face_consents")
    op.drop_table("face_consents")
    op.drop_table("trained_models")
    op.drop_table("sealed_keys")
    op.drop_table("face_searches")
    op.drop_table("face_replicas")
    op.drop_table("face_purges")
    op.drop_table("face_deletions")
    op.drop_table("face_collections")
    op.drop_table("face_audit_heads")
    op.drop_table("face_audit")


def _protect_audit() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(SQLITE_TRIGGER.format(verb=verb))
    else:
        op.execute(POSTGRES_FUNCTION)
        op.execute(POSTGRES_TRIGGER)
