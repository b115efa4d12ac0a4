"""Text: vocabularies, what is counted in them, frozen versions; models can be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

CODE_POINTS = sa.String(length=200).with_variant(sa.String(length=200, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "text_vocabularies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("tokeniser", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "text_documents",
        sa.Column("vocabulary_id", sa.Integer(), nullable=False),
        sa.Column("name", CODE_POINTS, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("counted_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["vocabulary_id"], ["text_vocabularies.id"]),
        sa.PrimaryKeyConstraint("vocabulary_id", "name"),
    )
    op.create_table(
        "text_words",
        sa.Column("vocabulary_id", sa.Integer(), nullable=False),
        sa.Column("word", CODE_POINTS, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["vocabulary_id"], ["text_vocabularies.id"]),
        sa.PrimaryKeyConstraint("vocabulary_id", "word"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_text_words_rank",
        "text_words",
        ["vocabulary_id", sa.literal_column("count DESC"), "first_seen"],
        unique=False,
    )
    op.create_table(
        "text_versions",
        sa.Column("vocabulary_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("min_count", sa.BigInteger(), nullable=False),
        sa.Column("coverage", sa.Float(precision=53), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["vocabulary_id"], ["text_vocabularies.id"]),
        sa.PrimaryKeyConstraint("vocabulary_id", "version"),
    )
    op.create_table(
        "text_version_words",
        sa.Column("vocabulary_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("word", CODE_POINTS, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["vocabulary_id"], ["text_vocabularies.id"]),
        sa.PrimaryKeyConstraint("vocabulary_id", "version", "index"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_text_version_words",
        "text_version_words",
        ["vocabulary_id", "version", "word"],
        unique=True,
    )
    op.add_column("trained_models", sa.Column("deleted_at", sa.Float(precision=53)))


def downgrade() -> None:
    op.drop_column("trained_models", "deleted_at")
    op.drop_index("ix_text_version_words", table_name="text_version_words")
    op.drop_table("text_version_words")
    op.drop_table("text_versions")
    op.drop_index("ix_text_words_rank", table_name="text_words")
    op.drop_table("text_words")
    op.drop_table("text_documents")
    op.drop_table("text_vocabularies")
