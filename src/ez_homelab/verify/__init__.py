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
from ez_homelab.verify.visitors import MINUTES
from ez_homelab.verify.waking import Waking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from ez_homelab.hosts import Host
    from ez_homelab.observe import ObservedServer
    from ez_homelab.render.desired import Desired
    from ez_homelab.route import Route
    from ez_homelab.verify.dial import Dialer
    from ez_homelab.verify.sign_on import Visitors

__all__ = ["Check", "Proof", "ProofPeople", "Waking", "verify_lab"]

LEFT_ASLEEP = Waking()


async def verify_lab(
    desired: Desired,
    addresses: Mapping[str, str],
    hosts: Mapping[str, Host],
    observed: Mapping[str, ObservedServer | Unknown],
    people: ProofPeople,
    waking: Waking = LEFT_ASLEEP,
) -> Proof:
    """The proof for every server; `addresses` says where each one's entrypoints listen.

    `people` are those who sign in; whoever has come stays for further looks of the same proof. Apps that sleep are left
    asleep, but for those of `waking`.
    A server that could not be looked at is a failed row of its own.
    """
    proofs = await asyncio.gather(
        *(
            _verify_server(desired, name, addresses[name], hosts[name], found, people, waking)
            for name, found in observed.items()
        )
    )
    return Proof(tuple(check for checks in proofs for check in checks))


async def _verify_server(
    desired: Desired,
    name: str,
    address: str,
    host: Host,
    found: ObservedServer | Unknown,
    people: ProofPeople,
    waking: Waking,
) -> list[Check]:
    if isinstance(found, Unknown):
        return [failed(name, "can be looked at", found.reason)]
    from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
    from ez_homelab.sso.engine import PORTAL
    from ez_homelab.verify.dial import dialer
    from ez_homelab.verify.lazy import Front, LazyProof
    from ez_homelab.verify.on_demand import lazy_groups, on_demand

    server, routes = desired.servers[name], [route for route in desired.routes if route.server == name]
    groups, engine = lazy_groups(server, routes), on_demand(host, server, found)
    plain = [route for route in routes if not route.lazy]
    checks = [
        prove_certificate(found),
        *prove_listening(server, found),
        prove_edges(routes, found),
    ]
    authority = await host.read(AUTHORITY_CERTIFICATE)
    if authority is None:
        return [*checks, failed("lab", "certificate authority", "there is none yet: run `ez-homelab apply`")]
    portal = f"{PORTAL}.{desired.domain}"
    minutes = MINUTES + waking.minutes(server.wake_groups)
    coming = _coming(desired, host, routes, dialer(address, authority), portal, minutes)
    signed_in = await people.on(name, coming)
    async with dialer(address, authority) as dial:
        answers = await asyncio.gather(
            *(prove_route(route, dial, address, portal, signed_in) for route in plain),
            prove_undeclared_name(desired.domain, dial),
            prove_routers(host, routes, engine.routers(routes)),
            prove_no_docker_api(host),
        )
        # Not beside the others, which would wait for apps that start.
        of_lazy = await LazyProof(host, groups, engine, Front(dial, address, portal, signed_in), waking).rows()
    of_routes, of_server = answers[: len(plain)], answers[len(plain) :]
    return [check for rows in (*of_routes, of_lazy, checks, *of_server) for check in rows]


@asynccontextmanager
async def _coming(
    desired: Desired,
    host: Host,
    routes: Sequence[Route],
    dialing: AbstractAsyncContextManager[Dialer],
    portal: str,
    minutes: int = MINUTES,
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
        async with visitors(host, routes, minutes) as made:
            yield made
