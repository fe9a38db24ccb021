"""What a clerk sees: the page of a field, and the field cut out of it, upright and large."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError, ImageError
from digitnet.imaging import pages
from digitnet.review.jobs import digest_of
from digitnet.review.records import Source
from digitnet.review.store import Store

KEPT = 4
"""Pages that are kept decoded."""

SIDE, QUALITY = 2_400, 85
"""Pixels of the longer side of the page that is sent, at most, and its quality as JPEG, 0..100."""

HEIGHT, WIDTH = 160, 1_600
"""Pixels of a field that is sent: its height, and its width at most."""

ROOM = 0.35
"""Paper shown around a field, in heights of it."""


class Pictures:
    """Gives pictures of a job's fields. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        """Take the job."""
        self._store, self._lock = store, threading.Lock()
        self._pages: OrderedDict[tuple[str, int, str | None], NDArray[np.uint8]] = OrderedDict()

    def page(self, field: int) -> tuple[bytes, float]:
        """Return a field's page as JPEG, and its scale: pixels of it to a pixel of the page.

        Raises ImageError where the scan cannot be read, DataError where it has changed since, or there is no field.
        """
        source, _ = self._store.source(field)
        page = self._decoded(source)
        scale = min(1.0, SIDE / max(page.shape))
        if scale < 1:
            size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
            page = np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes(), scale

    def field(self, field: int) -> bytes:
        """Return a field as PNG, upright, with some paper around it. Raises as `page`."""
        source, task = self._store.source(field)
        page = self._decoded(source)
        if not task.corners:
            raise DataError(f"field {field} has no place on its page")
        corners = np.array(task.corners, np.float32)
        wide, high = (float(np.hypot(*(corners[to] - corners[0]))) for to in (1, 3))
        scale = min(HEIGHT / max(high * (1 + 2 * ROOM), 1), WIDTH / max(wide + 2 * ROOM * high, 1))
        room = ROOM * high * scale
        size = round(wide * scale + 2 * room), round(high * scale + 2 * room)
        right, bottom = size[0] - room, size[1] - room
        places = np.array([(room, room), (right, room), (right, bottom), (room, bottom)], np.float32)
        matrix = cv2.getPerspectiveTransform(corners, places)
        flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        cut = cv2.warpPerspective(page, matrix, (max(size[0], 1), max(size[1], 1)), flags=flags, borderValue=255)
        return cv2.imencode(".png", cut)[1].tobytes()

    def _decoded(self, source: Source) -> NDArray[np.uint8]:
        key = source.path, source.page, source.digest
        with self._lock:
            if (known := self._pages.get(key)) is not None:
                self._pages.move_to_end(key)
                return known
        if source.picture is not None:
            page = pages.page(source.picture, source.path or "standard input")
        elif not source.path:
            raise ImageError("the scan came from standard input; read it again with --keep-images to see it")
        else:
            page = pages.page(Path(source.path), number=source.page)
            if digest_of(page) != source.digest:
                raise DataError(f"{source.path}: the scan has changed since it was read; put the old one back")
        with self._lock:
            self._pages[key] = page
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)
        return page
