"""Proves from outside what users rely on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ez_homelab.observe.observed import Unknown
from ez_homelab.verify.people import ProofPeople
from ez_homelab.verify.proof import Check, Proof, failed
from ez_homelab.verify.routes import prove_route
from ez_homelab.verify.server import (
    prove_certificate,
    prove_edges,
    prove_listening,
    prove_no_docker_api,
    prove_routers,
    prove_undeclared_name,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from ez_homelab.hosts import Host
    from ez_homelab.observe import ObservedServer
    from ez_homelab.render.desired import Desired
    from ez_homelab.route import Route
    from ez_homelab.verify.dial import Dialer
    from ez_homelab.verify.sign_on import Visitors

__all__ = ["Check", "Proof", "ProofPeople", "verify_lab"]


async def verify_lab(
    desired: Desired,
    addresses: Mapping[str, str],
    hosts: Mapping[str, Host],
    observed: Mapping[str, ObservedServer | Unknown],
    people: ProofPeople,
) -> Proof:
    """The proof for every server; `addresses` says where each one's entrypoints listen.

    `people` are those who sign in; whoever has come stays for further looks of the same proof.
    A server that could not be looked at is a failed row of its own.
    """
    proofs = await asyncio.gather(
        *(
            _verify_server(desired, name, addresses[name], hosts[name], found, people)
            for name, found in observed.items()
        )
    )
    return Proof(tuple(check for checks in proofs for check in checks))


async def _verify_server(
    desired: Desired, name: str, address: str, host: Host, found: ObservedServer | Unknown, people: ProofPeople
) -> list[Check]:
    if isinstance(found, Unknown):
        return [failed(name, "can be looked at", found.reason)]
    from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
    from ez_homelab.sso.engine import PORTAL
    from ez_homelab.verify.dial import dialer

    routes = [route for route in desired.routes if route.server == name]
    checks = [
        prove_certificate(found),
        *prove_listening(desired.servers[name], found),
        prove_edges(routes, found),
    ]
    authority = await host.read(AUTHORITY_CERTIFICATE)
    if authority is None:
        return [*checks, failed("lab", "certificate authority", "there is none yet: run `ez-homelab apply`")]
    portal = f"{PORTAL}.{desired.domain}"
    signed_in = await people.on(name, _coming(desired, host, routes, dialer(address, authority), portal))
    async with dialer(address, authority) as dial:
        answers = await asyncio.gather(
            *(prove_route(route, dial, address, portal, signed_in) for route in routes),
            prove_undeclared_name(desired.domain, dial),
            prove_routers(host, routes),
            prove_no_docker_api(host),
        )
    of_routes, of_server = answers[: len(routes)], answers[len(routes) :]
    return [check for rows in (*of_routes, checks, *of_server) for check in rows]


@asynccontextmanager
async def _coming(
    desired: Desired, host: Host, routes: Sequence[Route], dialing: AbstractAsyncContextManager[Dialer], portal: str
) -> AsyncIterator[Visitors]:
    """The people of the proof, from whichever engine the lab's core stack has. Raises `EzError` as that does.

    Where they sign in themselves, it is through a dialer of their own: they outlive the look at which they come.
    """
    from ez_homelab.authelia_people import AUTHELIA
    from ez_homelab.verify.guests import guests
    from ez_homelab.verify.portal import Portal
    from ez_homelab.verify.visitors import visitors

    if any(service.app == AUTHELIA for server in desired.servers.values() for service in server.services):
        async with dialing as dial, guests(host, routes, Portal(dial, portal)) as made:
            yield made
    else:
        async with visitors(host, routes) as made:
            yield made
