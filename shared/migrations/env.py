"""Runs migrations on the engine that shared.db.migrate passes in."""

from alembic import context
from sqlalchemy import text

import shared.face_tables
import shared.text_tables  # noqa: F401  (their tables belong to Base)
from shared.tables import Base

LOCK = 7_201_936  # any number, the same for every process that upgrades

engine = context.config.attributes["engine"]

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.run_migrations()
    connection.commit()
