"""The open TCP connections of this network namespace, which is Traefik's: those to an app say that it is in use.

Fields of /proc/net/tcp and /proc/net/tcp6: https://docs.kernel.org/networking/proc_net_tcp.html
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .settings import Address

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ESTABLISHED = "01"
Remote = tuple[IPv4Address | IPv6Address, int]
Connections = Counter[tuple[int, Remote]]
"""How many there are, by local port and by where they lead."""


def read_tables() -> Connections:
    """The established connections of now. Raises `OSError`."""
    return established(path.read_text("ascii") for path in TABLES if path.exists())


def open_to(remotes: Iterable[Remote], connections: Connections, *, but: Iterable[int] = ()) -> int:
    """How many connections lead there, those from local ports `but` left out."""
    wanted, left_out = set(remotes), set(but)
    found = connections.items()
    return sum(count for (local, remote), count in found if remote in wanted and local not in left_out)


def established(tables: Iterable[str]) -> Connections:
    """The established connections: local port, and where they lead."""
    found: Connections = Counter()
    for table in tables:
        for line in table.splitlines()[1:]:
            columns = line.split()
            if len(columns) > 3 and columns[3] == ESTABLISHED:
                found[(int(columns[1].rpartition(":")[2], 16), _remote(columns[2]))] += 1
    return found


async def addresses(server: Address) -> set[Remote]:
    """Where a server's name leads now: what Traefik would connect to. Raises `OSError`, also where there is no such
    name, which is so while its container is stopped."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    return {(_plain(ip_address(entry[4][0])), server.port) for entry in found}


def _remote(text: str) -> Remote:
    address, _, port = text.partition(":")
    raw = bytes.fromhex(address)
    # The kernel writes the address as 32-bit numbers in the machine's own order.
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    ordered = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return _plain(ip_address(ordered)), int(port, 16)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address
