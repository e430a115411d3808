"""Subnets for our networks: Docker's own pools end near thirty networks (measured), so each gets one of ours."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from ez_homelab.errors import PrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

POOL = IPv4Network("10.201.0.0/16")
PREFIX = 26


def free_subnets(taken: Iterable[str]) -> Iterator[str]:
    """The pool's subnets (62 addresses each) that overlap nothing taken, lowest first.

    Raises `PrerequisiteError` when asked for one more than there are.
    """
    used = sorted(_ipv4(taken), key=lambda network: int(network.network_address))
    for subnet in POOL.subnets(new_prefix=PREFIX):
        if not any(subnet.overlaps(other) for other in used):
            yield str(subnet)
    raise PrerequisiteError(
        f"no free subnet left in {POOL}",
        cause="other networks of the server cover the range that EZ-Homelab takes its subnets from",
        fix="docker network prune",
    )


def _ipv4(subnets: Iterable[str]) -> Iterator[IPv4Network]:
    for subnet in subnets:
        if ":" not in subnet:
            network = IPv4Network(subnet, strict=False)
            if network.overlaps(POOL) and network.prefixlen >= POOL.prefixlen:
                yield network
