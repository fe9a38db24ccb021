"""The tables of a job's store. Changes to them need a migration in `migrations/versions`."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

setting = Table(
    "setting",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Settings of the job as JSON, see `store.Policy`."""

form = Table(
    "form",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(60), nullable=False, unique=True),
    Column("template", Text, nullable=False),
)
"""Templates, as the JSON of their files."""

sheet = Table(
    "sheet",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file", Text, nullable=False),
    Column("page", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("form", Integer, ForeignKey("form.id")),
    Column("status", String(20), nullable=False),
    Column("turned", Integer, nullable=False),
    Column("notes", Text, nullable=False),
    Column("error", Text),
    Column("to_page", Text),
    Column("digest", String(64)),
    Column("models", Text, nullable=False, server_default="{}"),
    Column("picture", LargeBinary),
    Column("at", Float, nullable=False),
    UniqueConstraint("file", "page"),
)
"""Pages. file: as it was named; path: where it lies, "" for standard input, as JSON. notes: JSON. to_page: homography
from millimetres to pixels, JSON. digest: SHA-256 of the page's pixels, by which a scan that changed is noticed. models:
SHA-256 of each network that read it, JSON. picture: PNG, only where pictures are kept. at: seconds since 1970, as all
times here."""

field = Table(
    "field",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sheet", Integer, ForeignKey("sheet.id"), nullable=False),
    Column("name", String(60), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("critical", Boolean, nullable=False),
    Column("corners", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("status", String(20), nullable=False),
    Column("seen", Text),
    Column("alternatives", Text, nullable=False),
    Column("doubt", Float, nullable=False),
    Column("lot", Float, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("rank", Float, nullable=False),
    Column("leased_by", String(100)),
    Column("leased_until", Float),
    Column("final_text", Text),
    Column("final_status", String(20)),
    UniqueConstraint("sheet", "name"),
    Index("field_open", "open", "rank", "id"),
    Index("field_leased", "leased_by", "open"),
    Index("field_lot", "lot"),
)
"""Fields of sheets. corners: four points (x, y) in pixels of the page, JSON. text, confidence, status, seen,
alternatives: what was read. doubt: 1 minus the confidence; 2 where a person must look whatever the confidence; -1 where
there is nothing to see. lot: a random number in [0, 1) by which fields are sampled. open: whether a person is still to
look at it; rank: the highest first. final_text and final_status: what people decided, NULL until then."""

decision = Table(
    "decision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("field", Integer, ForeignKey("field.id"), nullable=False),
    Column("clerk", String(100), nullable=False),
    Column("at", Float, nullable=False),
    Column("seconds", Float),
    Column("text", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("undone", Boolean, nullable=False),
    Index("decision_field", "field"),
    Index("decision_clerk", "clerk", "id"),
)
"""What people decided, in order. key: of the request, so that one sent twice is kept once. seconds: it took."""
