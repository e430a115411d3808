"""lazy.json: which apps (wake groups) may sleep, watched, read whole, checked before it counts."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .schedule import Hours, ScheduleError, read_hours, zone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo
    from pathlib import Path

log = logging.getLogger("waker.settings")

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?")
KINDS = ("http", "tcp", "health", "running")
CLIENTS = ("hold", "503")
OUTSIDE_A_RULE = re.compile(r"[\x00-\x1f\x7f]")

Kind = TypeVar("Kind")


class SettingsError(Exception):
    """Settings that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As Traefik writes it."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Ready:
    """How a container is known to be ready.

    `http`: the path answers with one of the statuses. `tcp`: the port takes connections. `health`: Docker's own health
    check says so, which may take an interval longer. `running`: it has started.
    """

    kind: str = "running"
    address: Address = Address("", 0)
    path: str = "/"
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)

    def counts(self, status: int) -> bool:
        """Whether an answer with this status says that the app is ready."""
        return any(least <= status <= most for least, most in self.statuses)


@dataclass(frozen=True, slots=True)
class Container:
    """One container of an app."""

    name: str
    ready: Ready = Ready()


@dataclass(frozen=True, slots=True)
class LazyRoute:
    """One public name of an app: Traefik's rule for it and the server behind it."""

    name: str
    rule: str
    target: Address
    entrypoints: tuple[str, ...] = ()
    middlewares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LazyApp:
    """One wake group: what sleeps and wakes as one, called an app in the waker, as most are one.

    Times in seconds, sizes in bytes; `containers` in the order in which they start.
    """

    name: str
    title: str
    routes: tuple[LazyRoute, ...]
    containers: tuple[Container, ...]
    idle: float = 900.0
    timeout: float = 120.0
    page_after: float = 1.0
    clients: str = "hold"
    awake: tuple[Hours, ...] = ()
    memory: int = 0
    held_body: int = 268_435_456


@dataclass(frozen=True, slots=True)
class Lazy:
    """lazy.json as a whole. `monitors`: patterns (Go's regular expressions) of who only looks (User-Agent)."""

    title: str
    apps: Mapping[str, LazyApp]
    monitors: tuple[str, ...] = ()
    timezone: tzinfo | None = None
    starts_at_once: int = 4
    """How many containers are started at a time; read at the waker's own start."""
    keep_connections: float = 10.0
    """Seconds that Traefik keeps a connection to an app which nothing is asked on: until then the app is in use."""

    second_look: float = 1.5
    """Seconds between the two looks before a stop; read at the waker's own start. A request that Traefik let in just
    before the change is at sign-on meanwhile, and opens its connection to the app when that has answered."""

    def route(self, name: str) -> tuple[LazyApp, LazyRoute] | None:
        """The route of that name and the app that it leads to."""
        for app in self.apps.values():
            for route in app.routes:
                if route.name == name:
                    return app, route
        return None


def read_lazy(text: str) -> Lazy:
    """The settings in a lazy.json. Raises `SettingsError` with the place of the first fault."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise SettingsError("the document is no object")
    if document.get("version") != 1:
        raise SettingsError(f"version {document.get('version')!r} is not known; this waker knows 1")
    apps = [_app(entry, f"apps[{at}]") for at, entry in enumerate(_value(document, "apps", list))]
    _each_once("app", [app.name for app in apps])
    _each_once("route", [route.name for app in apps for route in app.routes])
    _each_once("container", [container.name for app in apps for container in app.containers])
    try:
        timezone = zone(_value(document, "timezone", str, "UTC"))
    except ScheduleError as fault:
        raise SettingsError(f"timezone: {fault}") from fault
    return Lazy(
        title=_value(document, "title", str),
        apps={app.name: app for app in apps},
        monitors=tuple(_pattern(entry) for entry in _value(document, "monitors", list, [])),
        timezone=timezone,
        starts_at_once=int(_positive(document, "starts_at_once", 4)),
        keep_connections=_positive(document, "keep_connections", 10.0),
        second_look=_positive(document, "second_look", 1.5),
    )


class Settings:
    """lazy.json as it is now. `reload` looks at the file; a broken one leaves what was there before."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises `SettingsError`: without it the waker cannot start."""
        self._path = path
        self._stamp = _stamp(path)
        self.lazy = _read(path)

    def reload(self) -> bool:
        """Read the file where it has changed since the last look; whether it counts now. Never raises."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.lazy = _read(self._path)
        except SettingsError as fault:
            log.error("%s; the waker goes on with what it read before", fault)
            return False
        return True


def _stamp(path: Path) -> tuple[int, int, int]:
    """What tells a changed file: a rename gives another inode, a write another time or size."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _read(path: Path) -> Lazy:
    try:
        return read_lazy(path.read_text("utf-8"))
    except (OSError, ValueError) as fault:
        raise SettingsError(f"{path} cannot be read: {fault}") from fault
    except SettingsError as fault:
        raise SettingsError(f"{path}: {fault}") from fault


def _app(entry: object, place: str) -> LazyApp:
    if not isinstance(entry, dict):
        raise SettingsError(f"{place}: an object is expected")
    try:
        return _app_of(entry)
    except (SettingsError, ScheduleError) as fault:
        raise SettingsError(f"{place}: {fault}") from fault


def _app_of(entry: Mapping[str, Any]) -> LazyApp:
    plain = LazyApp("", "", (), ())
    return LazyApp(
        name=_name(entry),
        title=_value(entry, "title", str),
        routes=tuple(_route(one) for one in _filled(entry, "routes")),
        containers=tuple(_container(one) for one in _filled(entry, "containers")),
        idle=_positive(entry, "idle", plain.idle),
        timeout=_positive(entry, "timeout", plain.timeout),
        page_after=_positive(entry, "page_after", plain.page_after),
        clients=_one_of(entry, "clients", CLIENTS, plain.clients),
        awake=tuple(read_hours(one) for one in _value(entry, "awake", list, [])),
        memory=_value(entry, "memory", int, 0),
        held_body=int(_positive(entry, "held_body", plain.held_body)),
    )


def _route(entry: object) -> LazyRoute:
    document = _object(entry, "routes")
    rule = _value(document, "rule", str)
    if not rule.strip() or OUTSIDE_A_RULE.search(rule):
        raise SettingsError(f"rule: {rule!r} is no rule of Traefik's")
    return LazyRoute(
        name=_name(document),
        rule=rule,
        target=_server(document, "url")[0],
        entrypoints=_texts(document, "entrypoints"),
        middlewares=_texts(document, "middlewares"),
    )


def _container(entry: object) -> Container:
    document = _object(entry, "containers")
    ready = _value(document, "ready", dict, {})
    kind = _one_of(ready, "kind", KINDS, "running")
    if kind == "http":
        address, path = _server(ready, "url")
        return Container(_name(document), Ready(kind, address, path, _statuses(ready)))
    address = _server(ready, "url")[0] if kind == "tcp" else Address("", 0)
    return Container(_name(document), Ready(kind, address))


def _statuses(entry: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    found = []
    for one in _value(entry, "statuses", list, ["200-399"]):
        least, _, most = str(one).partition("-")
        if not re.fullmatch(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?", str(one)):
            raise SettingsError(f"statuses: {one!r} is neither a status nor a range such as 200-399")
        found.append((int(least), int(most or least)))
    return tuple(found)


def _server(entry: Mapping[str, Any], name: str) -> tuple[Address, str]:
    text = _value(entry, name, str)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError as fault:
        raise SettingsError(f"{name}: {text!r}: {fault}") from fault
    if parts.scheme not in ("http", "tcp") or not host:
        raise SettingsError(f"{name}: {text!r} is no address of the form http://name:port")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(host, port), path


def _value(entry: Mapping[str, Any], name: str, kind: type[Kind], default: Kind | None = None) -> Kind:
    value = entry.get(name, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SettingsError(f"{name}: {kind.__name__} expected, found {type(value).__name__}")
    return value


def _positive(entry: Mapping[str, Any], name: str, default: float) -> float:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise SettingsError(f"{name}: {value!r} is no number above 0")
    return float(value)


def _name(entry: Mapping[str, Any]) -> str:
    name = _value(entry, "name", str)
    if not NAME.fullmatch(name):
        raise SettingsError(f"name: {name!r} is no name (lower case, digits, dashes)")
    return name


def _filled(entry: Mapping[str, Any], name: str) -> list[Any]:
    found = _value(entry, name, list)
    if not found:
        raise SettingsError(f"{name}: there has to be at least one")
    return found


def _object(entry: object, name: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise SettingsError(f"{name}: objects are expected")
    return entry


def _texts(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(str(one) for one in _value(entry, name, list, []))


def _one_of(entry: Mapping[str, Any], name: str, known: tuple[str, ...], default: str) -> str:
    value = _value(entry, name, str, default)
    if value not in known:
        raise SettingsError(f"{name}: {value!r} is none of {', '.join(known)}")
    return value


def _pattern(entry: object) -> str:
    # It stands between backticks in a rule of Traefik's.
    if not isinstance(entry, str) or not entry or "`" in entry or OUTSIDE_A_RULE.search(entry):
        raise SettingsError(f"monitors: {entry!r} is no pattern")
    return entry


def _each_once(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the {what} {name} is named twice")
