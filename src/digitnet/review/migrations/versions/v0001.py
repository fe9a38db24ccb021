"""The first tables of a job's store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "setting",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "form",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(60), nullable=False, unique=True),
        sa.Column("template", sa.Text, nullable=False),
    )
    op.create_table(
        "sheet",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("form", sa.Integer, sa.ForeignKey("form.id")),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("turned", sa.Integer, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("to_page", sa.Text),
        sa.Column("digest", sa.String(64)),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("picture", sa.LargeBinary),
        sa.Column("at", sa.Float, nullable=False),
        sa.UniqueConstraint("file", "page"),
    )
    op.create_table(
        "field",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sheet", sa.Integer, sa.ForeignKey("sheet.id"), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("critical", sa.Boolean, nullable=False),
        sa.Column("corners", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("seen", sa.Text),
        sa.Column("alternatives", sa.Text, nullable=False),
        sa.Column("doubt", sa.Float, nullable=False),
        sa.Column("lot", sa.Float, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("rank", sa.Float, nullable=False),
        sa.Column("leased_by", sa.String(100)),
        sa.Column("leased_until", sa.Float),
        sa.Column("final_text", sa.Text),
        sa.Column("final_status", sa.String(20)),
        sa.UniqueConstraint("sheet", "name"),
    )
    op.create_index("field_open", "field", ["open", "rank", "id"])
    op.create_index("field_leased", "field", ["leased_by", "open"])
    op.create_index("field_lot", "field", ["lot"])
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("field", sa.Integer, sa.ForeignKey("field.id"), nullable=False),
        sa.Column("clerk", sa.String(100), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("undone", sa.Boolean, nullable=False),
    )
    op.create_index("decision_field", "decision", ["field"])
    op.create_index("decision_clerk", "decision", ["clerk", "id"])
