"""The address of the service for other devices of its network, as text and as a QR code."""

from __future__ import annotations

import socket
from urllib.parse import quote

import segno


def invitation(host: str, port: int, token: str | None) -> dict[str, str]:
    """Return the page's address and its QR code: `url`, and `svg`, dark on light.

    The token stands behind the #, which browsers do not send: it appears in no log.
    """
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}/" + (f"#/draw?token={quote(token, safe='')}" if token else "")
    svg = segno.make(url, micro=False, error="m").svg_inline(scale=4, border=4, light="#fff")
    return {"url": url, "svg": svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)}


def reachable(host: str) -> str:
    """Return the host under which other machines reach a service that listens on `host`, an address or a name.

    For all addresses, 0.0.0.0 or ::, it is the one that this machine would send from; nothing is sent.
    """
    if host not in ("0.0.0.0", "::"):  # noqa: S104
        return host
    family, somewhere = (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((somewhere, 9))
            return str(probe.getsockname()[0])
        except OSError:  # no network at all
            return socket.gethostname()
