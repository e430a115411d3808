"""Who may see what: pure, the same answers as Authelia 4.39's forward-auth endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_plus

from .policy import HOST_NAME, is_canonical

if TYPE_CHECKING:
    from .kinds import Session
    from .policy import Person, Policy, RoutePolicy

SECURE = ("https", "wss")
PORT = re.compile(r":[0-9]{1,5}")
METHOD = re.compile(r"[A-Za-z-]{1,32}")
LONGEST_HOST = 253
LONGEST_URI = 8_000
"""Longer ones are not taken along to the portal: no browser would follow such a redirect."""
LOOKING = ("GET", "HEAD", "OPTIONS")


class Asked(NamedTuple):
    """One request as Traefik tells of it (X-Forwarded-*), each character one byte. Empty: not told."""

    method: str
    proto: str
    host: str
    uri: str
    address: str
    wants_page: bool = False
    """Whether a person looks at the answer: see `wants_page`."""


class Who(NamedTuple):
    """Who asks. A session without its person never gets here."""

    session: Session
    person: Person
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer. `location` is where to sign in; `person` is who the app is told about; only the portal is ever given
    the session (`with_session`)."""

    status: int
    location: str = ""
    person: Person | None = None
    with_session: bool = False


UNCLEAR = Decision(400)
FORBIDDEN = Decision(403)
OPEN = Decision(200)
PORTAL = Decision(200, with_session=True)


def decide(asked: Asked, policy: Policy, who: Who | None) -> Decision:
    """The answer to a request, for `who` by the cookie (None: nobody)."""
    host = plain_host(asked.host, policy.domain)
    if not host or not asked.uri.startswith("/") or asked.proto not in SECURE or not METHOD.fullmatch(asked.method):
        return UNCLEAR
    if host == policy.portal:
        return PORTAL
    route = policy.route(host)
    if route.policy == "deny" or (route.lan_only and not policy.in_lan(asked.address)):
        return FORBIDDEN
    if route.policy == "bypass" or (route.bypass and is_open(route, asked.uri)):
        return OPEN
    if who is None:
        return _sign_in(asked, policy)
    return _for_somebody(asked, policy, route, who)


def _for_somebody(asked: Asked, policy: Policy, route: RoutePolicy, who: Who) -> Decision:
    if route.policy == "two_factor" and who.session.factors < 2:
        may_go_on = who.has_second_factor or who.session.from_link or policy.in_lan(asked.address)
        return _sign_in(asked, policy) if may_go_on else FORBIDDEN
    if route.groups and route.groups.isdisjoint(who.person.groups):
        return FORBIDDEN
    return Decision(200, person=who.person)


def _sign_in(asked: Asked, policy: Policy) -> Decision:
    uri = asked.uri if len(asked.uri) <= LONGEST_URI else "/"
    target = quote_plus(f"{asked.proto}://{asked.host}{uri}".encode("latin-1"))
    location = f"https://{policy.portal}/?rd={target}&rm={asked.method}"
    if not asked.wants_page:
        return Decision(401, location)
    return Decision(302 if asked.method in LOOKING else 303, location)


def plain_host(host: str, domain: str) -> str:
    """The host as the policy writes it: lower case, without one port and one trailing dot; empty where that is not
    the domain or below it."""
    name, colon, port = host.lower().partition(":")
    if colon and not PORT.fullmatch(colon + port):
        return ""
    name = name.removesuffix(".")
    if name != domain and not name.endswith("." + domain):
        return ""
    return name if len(name) <= LONGEST_HOST and HOST_NAME.fullmatch(name) else ""


def is_open(route: RoutePolicy, uri: str) -> bool:
    """Whether the request's path is one of the route's bypass paths, and can be read in one way only."""
    path = uri.partition("?")[0]
    for allowed in route.bypass:
        below = allowed.endswith("/") and path.startswith(allowed)
        if (below or path == allowed) and is_canonical(path):
            return True
    return False


def wants_page(accept: str, requested_with: str) -> bool:
    """Whether a browser shows the answer to a person, who can then sign in: it takes HTML, or anything first of all,
    and the request was not made by a script. As Authelia reads it (AcceptsMIME, IsXHR)."""
    if requested_with.lower() == "xmlhttprequest":
        return False
    kinds = [kind.partition(";")[0].strip(" ") for kind in accept.split(",")]
    return kinds[0] == "*/*" or "text/html" in kinds
