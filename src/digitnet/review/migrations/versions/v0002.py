"""The hashes of all networks that read a sheet, instead of the line reader's alone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Keep the line reader's hash of sheets that were read before."""
    op.add_column("sheet", sa.Column("models", sa.Text, nullable=False, server_default="{}"))
    op.execute("""UPDATE sheet SET models = '{"line": "' || model || '"}'""")
    op.drop_column("sheet", "model")
