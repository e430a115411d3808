"""Proves from outside what users rely on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ez_homelab.verify.proof import Check, Proof, failed
from ez_homelab.verify.routes import prove_route
from ez_homelab.verify.server import prove_certificate, prove_listening, prove_routers, prove_undeclared_name

if TYPE_CHECKING:
    from ez_homelab.hosts import Host
    from ez_homelab.observe import ObservedServer
    from ez_homelab.render.desired import Desired

__all__ = ["Check", "Proof", "verify_server"]


async def verify_server(desired: Desired, name: str, address: str, host: Host, found: ObservedServer) -> Proof:
    """The proof for one server that could be looked at; `address` is where its entrypoints listen."""
    from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
    from ez_homelab.verify.dial import dialer

    server = desired.servers[name]
    routes = [route for route in desired.routes if route.server == name]
    checks = [prove_certificate(found), *prove_listening(server, found)]
    authority = await host.read(AUTHORITY_CERTIFICATE)
    if authority is None:
        return Proof((*checks, failed("lab", "certificate authority", "there is none yet: run `ez-homelab apply`")))
    async with dialer(address, authority) as dial:
        *proven, undeclared, routers = await asyncio.gather(
            *(prove_route(route, dial, address) for route in routes),
            prove_undeclared_name(desired.domain, dial),
            prove_routers(host, routes),
        )
    rows = [row for rows in proven for row in rows]
    return Proof((*rows, *checks, *undeclared, *routers))
