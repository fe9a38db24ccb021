"""The HTTP service and its page, `web/`.

It imports `core`, `imaging`, `data`, `models`, `reading` and `evaluation`; it is the only wing that imports HTTP
packages. Start with `app.py`, then `service.py`; requests are limited in `requests.py`, `connection.py` and
`middleware.py`.
"""

from typing import TYPE_CHECKING

from digitnet.core.lazy import lazily

if TYPE_CHECKING:
    from digitnet.serving.app import create_app
    from digitnet.serving.process import run
    from digitnet.serving.requests import Limits
    from digitnet.serving.service import Settings

__all__ = [
    "Limits",
    "Settings",
    "create_app",
    "run",
]

__getattr__, __dir__ = lazily(
    __name__, {"app": ["create_app"], "process": ["run"], "requests": ["Limits"], "service": ["Settings"]}
)
