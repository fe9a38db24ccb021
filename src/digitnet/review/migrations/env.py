"""Run by Alembic: migrates over the connection that `database.py` opened."""

from alembic import context

from digitnet.review.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
