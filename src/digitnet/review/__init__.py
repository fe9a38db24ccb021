"""Review: the store of a job, what people decide about its fields, and how often accepted fields are wrong.

It imports `core`, `imaging`, `reading` and `forms`. Start with `store.py`, what is kept and handed out; `tables.py` has
its tables, `database.py` the connection, `jobs.py` what a sheet becomes in it. SQLAlchemy is loaded with the store.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.review.records import Task
    from digitnet.review.store import Store

__all__ = ["Store", "Task"]

__getattr__, __dir__ = lazily(__name__, {"records": ["Task"], "store": ["Store"]})
