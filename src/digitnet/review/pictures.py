"""What a clerk sees: the page of a field, and the field cut out of it, upright and large."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitnet.core.errors import DataError, ImageError
from digitnet.imaging import pages
from digitnet.imaging.preview import preview
from digitnet.review.jobs import digest_of
from digitnet.review.records import Source
from digitnet.review.store import Store

KEPT = 4
"""Pages that are kept decoded."""

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
        return preview(self.decoded(source))

    def field(self, field: int) -> bytes:
        """Return a field as PNG, upright, with some paper around it. Raises as `page`."""
        source, task = self._store.source(field)
        page = self.decoded(source)
        if not task.corners:
            raise DataError(f"field {field} has no place on its page")
        return cv2.imencode(".png", upright(page, task.corners, ROOM, (HEIGHT, WIDTH)))[1].tobytes()

    def decoded(self, source: Source) -> NDArray[np.uint8]:
        """Return a page (h, w) uint8: the picture that was kept, or else the scan. Raises as `page`."""
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


def upright(
    page: NDArray[np.uint8], corners: Sequence[tuple[float, float]], room: float, most: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Cut a place out of a page, upright, with paper around it as far as there is any: (h, w) uint8.

    room: of the paper, in heights of the place. most: the height that it is scaled to, and the width at most; as it is
    where None.
    """
    place = np.array(corners, np.float32)
    along, down = place[1] - place[0], place[3] - place[0]
    high = float(np.hypot(*down))
    right, below = along / max(float(np.hypot(*along)), 1), down / max(high, 1)
    outward = np.array([-right - below, right - below, right + below, below - right]) * room * high
    place = np.clip(place + outward, 0, page.shape[::-1]).astype(np.float32)
    wide, high = (max(float(np.hypot(*(place[to] - place[0]))), 1) for to in (1, 3))
    scale = min(most[0] / high, most[1] / wide) if most else 1.0
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    ends = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32)
    matrix = cv2.getPerspectiveTransform(place, ends)
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.warpPerspective(page, matrix, size, flags=flags, borderValue=255), np.uint8)
