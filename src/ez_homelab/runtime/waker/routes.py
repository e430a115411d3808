"""The route files: one for each app, in a folder that Traefik watches. They say where the app's names lead now."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .settings import LazyApp, LazyRoute

log = logging.getLogger("waker.routes")

MARK = "X-Ez-Waker"
"""The field by which Traefik tells the waker whose request it is. Set by the router, over whatever a client sent."""
OWN_PATHS = "/.waker/"

IDLE_CONNECTIONS = 200
"""As Traefik's own transport has it. Without it a transport of one's own keeps two, and an app that is awake gets 0.69
of the requests (measured on 3.7.15)."""


class RouteFiles:
    """The folder. `waker` is the waker's own URL, `monitors` are patterns of User-Agents."""

    def __init__(self, folder: Path, waker: str, nudge: Path | None = None) -> None:
        """`nudge`: a file in Traefik's watched folder that is touched after each change, where `folder` itself is a
        subfolder of it: Traefik 3.7 reads subfolders and does not watch them (measured)."""
        self._folder = folder
        self._waker = waker
        self._nudge = nudge
        self.monitors: tuple[str, ...] = ()
        self.keep_connections = 10.0

    def text(self, app: LazyApp, *, direct: bool) -> str:
        """The file of an app: leading to the app itself, or to the waker."""
        # JSON is YAML too, and nothing in it has to be quoted by hand.
        return json.dumps({"http": self._document(app, direct=direct)}, indent=1) + "\n"

    def write(self, app: LazyApp, *, direct: bool) -> None:
        """Put the file in its place, whole. Raises `OSError`."""
        self._write(app.name, self.text(app, direct=direct))

    def leads(self, app: LazyApp) -> bool | None:
        """Whether the file leads to the app (True) or to the waker (False); None where it is neither's."""
        with contextlib.suppress(OSError, ValueError):
            found = (self._folder / _file(app.name)).read_text("utf-8")
            for direct in (True, False):
                if found == self.text(app, direct=direct):
                    return direct
        return None

    def remove(self, app: str) -> None:
        """Take an app's file away. Where that cannot be done, its names go on leading where they led."""
        try:
            (self._folder / _file(app)).unlink(missing_ok=True)
            self.nudge()
        except OSError as fault:
            log.warning("the route of %s cannot be taken away: %s", app, fault)

    def others(self, apps: Iterable[str]) -> list[str]:
        """The names of files that are here for apps that are none of these."""
        known = {_file(app) for app in apps}
        try:
            return [path.name[4:-4] for path in self._folder.glob("app-*.yml") if path.name not in known]
        except OSError:
            return []

    def _write(self, app: str, text: str) -> None:
        # Traefik reads *.yml only, so it never sees half a file.
        beside = self._folder / f".{_file(app)}.new"
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._folder / _file(app))
        self.nudge()

    def nudge(self) -> None:
        """Have Traefik read the files again. Raises `OSError`, also where it would touch a file that is gone."""
        if self._nudge is None:
            return
        os.utime(self._nudge)
        # A file that is mounted by itself stays the old one where it is replaced.
        if not self._nudge.stat().st_nlink:
            raise OSError(f"{self._nudge} was replaced; `docker restart waker` sees the new one")

    def _document(self, app: LazyApp, *, direct: bool) -> dict[str, Any]:
        routers: dict[str, Any] = {}
        services: dict[str, Any] = {}
        middlewares: dict[str, Any] = {}
        for route in app.routes:
            routers |= self._routers(route, direct=direct)
            services |= _services(route, self._waker)
            for kind in ("app", "page", "monitor"):
                told = {"customRequestHeaders": {MARK: f"{route.name}/{kind}"}}
                middlewares[f"{route.name}-{kind}"] = {"headers": told}
        timeouts = {"dialTimeout": "30s", "idleConnTimeout": f"{self.keep_connections * 1000:.0f}ms"}
        transport = {"maxIdleConnsPerHost": IDLE_CONNECTIONS, "forwardingTimeouts": timeouts}
        transports = {f"{route.name}-lazy": transport for route in app.routes}
        return {"routers": routers, "services": services, "middlewares": middlewares, "serversTransports": transports}

    def _routers(self, route: LazyRoute, *, direct: bool) -> dict[str, Any]:
        mine = f"{route.name}-waker"
        rules = {f"{route.name}-page": (f"({route.rule}) && PathPrefix(`{OWN_PATHS}`)", "page")}
        if self.monitors:
            seen = " || ".join(f"HeaderRegexp(`User-Agent`, `{pattern}`)" for pattern in self.monitors)
            rules[f"{route.name}-monitor"] = (f"({route.rule}) && ({seen})", "monitor")
        routers = {name: _router(route, rule, mine, kind) for name, (rule, kind) in rules.items()}
        routers[route.name] = (
            _router(route, route.rule, route.name) if direct else _router(route, route.rule, mine, "app")
        )
        return routers


def _file(app: str) -> str:
    return f"app-{app}.yml"


def _router(route: LazyRoute, rule: str, service: str, kind: str = "") -> dict[str, Any]:
    middlewares = [*route.middlewares, *([f"{route.name}-{kind}"] if kind else [])]
    return {
        "rule": rule,
        "service": service,
        **({"entryPoints": [*route.entrypoints]} if route.entrypoints else {}),
        **({"middlewares": middlewares} if middlewares else {}),
    }


def _services(route: LazyRoute, waker: str) -> dict[str, Any]:
    # Both are there all the time: a request that was let in just before a change still finds its service.
    balancers: dict[str, dict[str, Any]] = {
        route.name: {"servers": [{"url": route.target.url}], "serversTransport": f"{route.name}-lazy"},
        f"{route.name}-waker": {"servers": [{"url": waker}]},
    }
    return {name: {"loadBalancer": balancer} for name, balancer in balancers.items()}
