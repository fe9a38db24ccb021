"""Limited resources with a maximum share per client: connections, and the memory of arriving bodies."""

from __future__ import annotations

import ipaddress
from collections import Counter


class Shares:
    """A limited amount that clients take from and give back. Not thread-safe: it belongs to one event loop."""

    def __init__(self, whole: int, each: int) -> None:
        """whole: the amount that all clients may hold together. each: the amount that one client may hold."""
        self.whole, self.each = whole, each
        self._held: Counter[str] = Counter()
        self._taken = 0

    def take(self, client: str, amount: int = 1) -> bool:
        """Take an amount for a client, and return whether it was available; otherwise nothing is taken."""
        if self._taken + amount > self.whole or self._held[client] + amount > self.each:
            if not self._held[client]:
                del self._held[client]
            return False
        self._taken += amount
        self._held[client] += amount
        return True

    def give(self, client: str, amount: int = 1) -> None:
        """Give back what was taken."""
        self._taken -= amount
        self._held[client] -= amount
        if not self._held[client]:
            del self._held[client]

    def full(self) -> bool:
        """Return whether nothing is left for any client."""
        return self._taken >= self.whole


def client_of(address: tuple[str, int] | None) -> str:
    """Return the name under which a peer's address is counted: an IPv4 address, or the /64 network of an IPv6 one.

    Whoever has one IPv6 address usually has all 2**64 of its network. "" for peers without an address (Unix sockets).
    """
    if address is None:
        return ""
    try:
        ip = ipaddress.ip_address(address[0].partition("%")[0])
    except ValueError:
        return address[0]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
