"""Who listens for TCP connections on a server, as its kernel says (`ss`, iproute2)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket. `address` `*` is both families; `[::]` is IPv6 alone, which takes nothing from IPv4.

    `program` and `pid` are empty where only root may see whose it is. `evidence` is the kernel's own line, shortened.
    """

    address: str
    port: int
    program: str
    pid: str
    evidence: str


def parse_listeners(output: str) -> list[Listener]:
    """The listeners in what `ss -Hltnp` prints, in its order."""
    return [listener for line in output.splitlines() if (listener := _listener(line))]


def _listener(line: str) -> Listener | None:
    fields = line.split(None, 5)
    address, _, port = fields[3].rpartition(":") if len(fields) > 3 else ("", "", "")
    if not port.isdecimal():
        return None
    owner = re.search(r'\(\("([^"]*)",pid=(\d+)', line)
    if address.startswith("[::ffff:"):  # an IPv4 address on a socket of both families
        address = address.removeprefix("[::ffff:").removesuffix("]")
    program, pid = (owner[1], owner[2]) if owner else ("", "")
    return Listener(address, int(port), program, pid, " ".join(fields[3:4] + fields[5:]))
