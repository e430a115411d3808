"""The proof of one route: its name, its certificate, its answer, the redirect from plain HTTP."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from ez_homelab.verify.proof import Check, judged, passed
from ez_homelab.verify.sign_on import prove_sign_on

if TYPE_CHECKING:
    from ez_homelab.route import Route
    from ez_homelab.verify.dial import Dialer
    from ez_homelab.verify.sign_on import Visitors


async def prove_route(
    route: Route, dialer: Dialer, address: str, portal: str, visitors: Visitors | str, *, asleep: bool = False
) -> list[Check]:
    """Every claim about one route. What an app answers behind sign-on is among the claims of sign-on.

    `asleep` leaves out what the app itself has to answer.
    """
    name, sign_on, redirect = await asyncio.gather(
        prove_name(route, address),
        prove_sign_on(route, dialer, portal, visitors, asleep=asleep),
        _prove_redirect(route, dialer),
    )
    return [name, *sign_on, redirect]


async def prove_name(route: Route, address: str) -> Check:
    """That the name leads to the server."""
    if route.host.endswith(".localhost"):
        # RFC 6761, 6.3: browsers and curl answer these names themselves, without asking anyone.
        return passed(route.name, "name", "this machine only: browsers and curl answer .localhost names themselves")
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(route.host, 443, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return judged(route.name, "name", False, f"{route.host} does not resolve: {error.strerror}")
    addresses = sorted({str(end[4][0]) for end in found})
    return judged(route.name, "name", address in addresses, f"{route.host} is {', '.join(addresses)}")


async def _prove_redirect(route: Route, dialer: Dialer) -> Check:
    answer = await dialer.get(f"http://{route.host}/")
    holds = answer.status in (301, 302, 307, 308) and answer.location == route.address
    return judged(route.name, "plain HTTP redirects", holds, str(answer))
