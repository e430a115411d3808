"""What policy.json and people.json say: read whole, checked before it counts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICIES = ("bypass", "one_factor", "two_factor", "deny")
USER_NAME = re.compile(r"[a-z](?:[a-z0-9._-]{0,30}[a-z0-9])?")
GROUP_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
PROOF_PREFIX = "verify-"
"""User names that begin so belong to the proof's temporary identities; people.json may not have them."""

HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
CANONICAL_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/-]*")

DOT_SEGMENTS = frozenset((".", ".."))

NOT_IN_A_HEADER = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Kind = TypeVar("Kind")
Network = IPv4Network | IPv6Network


class SettingsError(Exception):
    """A settings file that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person by people.json. `user` is the sign-in name, `name` the one for display."""

    user: str
    name: str
    email: str
    groups: tuple[str, ...]
    disabled: bool = False


@dataclass(frozen=True)
class People:
    """Everybody who may have an account."""

    users: Mapping[str, Person] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class SessionTimes:
    """Seconds: without activity, at most, and at most where the person asked to be remembered."""

    idle: int = 7200
    lifetime: int = 86400
    remembered: int = 2592000


@dataclass(frozen=True)
class RoutePolicy:
    """What one host asks for. `bypass` has the open paths: one that ends with `/` is open with all below it."""

    host: str
    name: str
    title: str
    policy: str
    groups: frozenset[str] = frozenset()
    lan_only: bool = False
    bypass: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """policy.json: the lab's domain, the portal's host, and what each route asks for."""

    title: str
    domain: str
    portal: str
    lan: tuple[Network, ...]
    session: SessionTimes
    default: RoutePolicy
    routes: Mapping[str, RoutePolicy]

    def route(self, host: str) -> RoutePolicy:
        """What is asked for at a host (lower case, no port, no trailing dot)."""
        return self.routes.get(host, self.default)

    def in_lan(self, address: str) -> bool:
        """Whether an address (text) lies in the LAN; False for what is no address."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        parsed = mapped or parsed
        return any(parsed.version == network.version and parsed in network for network in self.lan)


def read_policy(text: str) -> Policy:
    """The policy in a policy.json. Raises `SettingsError` with the place of the first fault."""
    document = _document(text)
    domain, portal = _host(document, "domain"), _host(document, "portal")
    if not portal.endswith("." + domain):
        raise SettingsError(f"portal: {portal} does not lie below the domain {domain}")
    routes = [_route(entry, f"routes[{at}]") for at, entry in enumerate(_list(document, "routes"))]
    session = _mapping(document, "session")
    times = SessionTimes(**{name: _seconds(session, name) for name in ("idle", "lifetime", "remembered")})
    return Policy(
        title=_text(document, "title"),
        domain=domain,
        portal=portal,
        lan=tuple(_network(entry, f"lan[{at}]") for at, entry in enumerate(_list(document, "lan"))),
        session=times,
        default=_asks(_mapping(document, "default"), "default", host=""),
        routes=MappingProxyType({route.host: route for route in routes}),
    )


def read_people(text: str) -> People:
    """The people in a people.json. Raises `SettingsError` with the place of the first fault."""
    users = _mapping(_document(text), "users")
    return People(MappingProxyType({user: _person(user, entry) for user, entry in users.items()}))


def _document(text: str) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise SettingsError("the document is no object")
    if document.get("version") != 1:
        raise SettingsError(f"version {document.get('version')!r} is not known; this gate knows 1")
    return document


def _value(entry: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind:
    value = entry.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SettingsError(f"{name}: {kind.__name__} expected, found {type(value).__name__}")
    return value


def _text(entry: Mapping[str, Any], name: str) -> str:
    return _value(entry, name, str)


def _list(entry: Mapping[str, Any], name: str) -> list[Any]:
    return _value(entry, name, list)


def _mapping(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    return _value(entry, name, dict)


def _seconds(entry: Mapping[str, Any], name: str) -> int:
    seconds = _value(entry, name, int)
    if seconds <= 0:
        raise SettingsError(f"session.{name}: {seconds} is no length of time in seconds")
    return seconds


def _host(entry: Mapping[str, Any], name: str) -> str:
    host = _text(entry, name)
    if not HOST_NAME.fullmatch(host):
        raise SettingsError(f"{name}: {host!r} is no host name (lower case, digits, dashes, dots)")
    return host


def _network(entry: object, place: str) -> Network:
    try:
        return ip_network(str(entry))
    except ValueError as fault:
        raise SettingsError(f"{place}: {fault}") from fault


def _asks(entry: Mapping[str, Any], place: str, host: str) -> RoutePolicy:
    policy = _text(entry, "policy")
    if policy not in POLICIES:
        raise SettingsError(f"{place}.policy: {policy!r} is none of {', '.join(POLICIES)}")
    access = entry.get("access", "public")
    if access not in ("public", "lan"):
        raise SettingsError(f"{place}.access: {access!r} is neither public nor lan")
    return RoutePolicy(
        host=host,
        name=str(entry.get("name", "")),
        title=str(entry.get("title", "")),
        policy=policy,
        groups=frozenset(_groups(entry, place)),
        lan_only=access == "lan",
        bypass=tuple(_bypass(path, place) for path in _list({"bypass": [], **entry}, "bypass")),
    )


def _route(entry: object, place: str) -> RoutePolicy:
    if not isinstance(entry, dict):
        raise SettingsError(f"{place}: an object is expected")
    try:
        return _asks(entry, place, _host(entry, "host"))
    except SettingsError as fault:
        raise SettingsError(f"{place}: {fault}") from fault


def _bypass(entry: object, place: str) -> str:
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str) or not is_canonical(path):
        raise SettingsError(f"{place}.bypass: {path!r} is no plain path")
    return path


def is_canonical(path: str) -> bool:
    """Whether every server reads this path the same way: nothing encoded, no parameters, no empty or dot segments.

    Only such a path can be bypassed; what two programs may read in two ways needs sign-on.
    """
    if CANONICAL_PATH.fullmatch(path) is None or "//" in path:
        return False
    return "/." not in path or DOT_SEGMENTS.isdisjoint(path.split("/"))


def _groups(entry: Mapping[str, Any], place: str) -> tuple[str, ...]:
    groups = _list(entry, "groups")
    for group in groups:
        if not isinstance(group, str) or not GROUP_NAME.fullmatch(group):
            raise SettingsError(f"{place}.groups: {group!r} is no group name")
    return tuple(groups)


def _person(user: str, entry: object) -> Person:
    place = f"users.{user}"
    if not USER_NAME.fullmatch(user) or user.startswith(PROOF_PREFIX):
        raise SettingsError(f"{place}: not a user name")
    if not isinstance(entry, dict):
        raise SettingsError(f"{place}: an object is expected")
    name, email = str(entry.get("name") or user), str(entry.get("email") or "")
    if NOT_IN_A_HEADER.search(name + email):
        raise SettingsError(f"{place}: name and email may not hold line breaks or control characters")
    return Person(user, name, email, _groups(entry, place), _value({"disabled": False, **entry}, "disabled", bool))
