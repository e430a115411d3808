"""Sablier (https://sablierapp.dev, 1.20 or later) as an engine, by Traefik's own middlewares and without a plugin.

It is asked about every request (`poke`), starts what sleeps and never waits. What Traefik then does with a request
that nothing answers yet is up to the route:

    programs, and whatever is sent    `retry`: Traefik dials again until the app answers, method and body untouched
    a browser that opens an address   `errors`: Sablier's page, which asks again by itself
    monitors                          no `poke`: they wake nothing, and an app that sleeps is well

Sablier knows nothing but requests that come: a download or an open connection is no use of an app. Its own settings are
the same in every lab (files/ of its app), so no route makes it anew.
"""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ez_homelab.config.hours import DAYS, read_hours
from ez_homelab.config.rules import ON_DEMAND_APPS
from ez_homelab.errors import UsageError
from ez_homelab.lazy.monitors import PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.config.model import Lab, OnDemandEngine
    from ez_homelab.lazy.engine import Files, Sleeper, Source
    from ez_homelab.route import Route

ROUTES_FILE = "on-demand.yml"
"""In the folder that Traefik watches."""

URL = "http://sablier:10000"
SERVICE = "sablier"

DIAL_EVERY = 0.25
"""Seconds between two attempts for a request that waits; Traefik makes it half as much or half as much again."""

MAX_ANSWER = 65536
"""Bytes that Traefik takes of the answer to a poke, which names each container with its labels."""

NOTHING_ANSWERS = ("502", "504")
"""What Traefik makes of an app that it cannot reach. Not 503: that one is always the app's own."""

_BROWSER = "Method(`GET`) && HeaderRegexp(`Accept`, `text/html`)"

# Neither the cookie nor a password of the person who asks is any of Sablier's business. An empty list means all of
# them, to `errors` too (measured on 3.7.15).
_TOLD = ["Accept"]


class Sablier:
    """Sablier as an `Engine`."""

    name: OnDemandEngine = "sablier"
    apps: tuple[str, ...] = ON_DEMAND_APPS["sablier"]
    writes: frozenset[Source] = frozenset()
    network = "on-demand"

    def files(self, lab: Lab, sleepers: Sequence[Sleeper]) -> Files:  # noqa: ARG002
        """See `Engine`."""
        return {}

    def traefik_files(self, lab: Lab, sleepers: Sequence[Sleeper]) -> Mapping[str, bytes]:  # noqa: ARG002
        """See `Engine`. One file with every route of every app that may sleep."""
        if not sleepers:
            return {}
        return {ROUTES_FILE: (json.dumps({"http": routes(sleepers)}, indent=2, ensure_ascii=False) + "\n").encode()}

    def labels(self, sleeper: Sleeper, container: str) -> Mapping[str, str]:  # noqa: ARG002
        """See `Engine`. Raises `UsageError` for hours that Sablier cannot keep an app awake in."""
        return {"sablier.enable": "true", "sablier.group": sleeper.name, **_awake(sleeper)}


def routes(sleepers: Sequence[Sleeper]) -> dict[str, Any]:
    """Routers, middlewares and services (https://doc.traefik.io/traefik/v3.7/, `http`) of all that may sleep."""
    routers: dict[str, Any] = {}
    middlewares: dict[str, Any] = {"sablier-asleep": _instead("/health", 200)}
    services: dict[str, Any] = {SERVICE: _server(URL)}
    for sleeper in sorted(sleepers, key=lambda sleeper: sleeper.name):
        middlewares |= _middlewares(sleeper)
        for route in sleeper.routes:
            routers |= _routers(route, sleeper)
            target = route.target
            services[route.name] = _server(f"{target.scheme}://{target.container}:{target.port}")
    return {"routers": routers, "middlewares": middlewares, "services": services}


def _routers(route: Route, sleeper: Sleeper) -> dict[str, Any]:
    poke, page, hold = (f"{sleeper.name}-{kind}" for kind in ("poke", "page", "hold"))
    monitor = _router(route, f"({route.rule}) && HeaderRegexp(`User-Agent`, `{PATTERN}`)", "sablier-asleep")
    if sleeper.lazy.clients == "503":
        return {route.name: _router(route, route.rule, poke, page), f"{route.name}-monitor": monitor}
    return {
        route.name: _router(route, route.rule, poke, hold),
        f"{route.name}-page": _router(route, f"({route.rule}) && {_BROWSER}", poke, page),
        f"{route.name}-monitor": monitor,
    }


def _router(route: Route, rule: str, *middlewares: str) -> dict[str, Any]:
    return {"rule": rule, "service": route.name, "middlewares": [*middlewares]}


def _middlewares(sleeper: Sleeper) -> dict[str, Any]:
    """Those of one wake group. The poke comes first: the page alone would not keep an app awake that answers."""
    # By the containers' names: a group that Sablier has not heard of yet is an error, a container's name never is.
    asked = [("names", part.container) for part in sleeper.parts]
    asked.append(("session_duration", f"{round(sleeper.lazy.idle)}s"))
    poke = {
        "address": f"{URL}/api/strategies/poke?{urlencode(asked)}",
        "trustForwardHeader": False,
        "maxResponseBodySize": MAX_ANSWER,
        "authRequestHeaders": _TOLD,
    }
    page = f"/api/strategies/dynamic?{urlencode([*asked, ('display_name', sleeper.title)])}"
    # 503 and not what Sablier's page comes with: no program may take the page for the app's answer.
    made = {f"{sleeper.name}-poke": {"forwardAuth": poke}, f"{sleeper.name}-page": _instead(page, 503)}
    return made if sleeper.lazy.clients == "503" else made | {f"{sleeper.name}-hold": _hold(sleeper.lazy.timeout)}


def _hold(seconds: float) -> dict[str, Any]:
    """Dial again until the app answers, or for so long. What the app itself answers, 502 as well, is passed on."""
    return {
        "retry": {
            "attempts": ceil(seconds / DIAL_EVERY) * 2,
            "initialInterval": f"{DIAL_EVERY * 1000:.0f}ms",
            "timeout": f"{round(seconds)}s",
        }
    }


def _instead(query: str, status: int) -> dict[str, Any]:
    """What Sablier says at that path, with that status, instead of an app that does not answer."""
    return {
        "errors": {
            "status": [*NOTHING_ANSWERS],
            "statusRewrites": dict.fromkeys(NOTHING_ANSWERS, status),
            "service": SERVICE,
            "query": query,
            "errorRequestHeaders": _TOLD,
        }
    }


def _server(url: str) -> dict[str, Any]:
    return {"loadBalancer": {"servers": [{"url": url}]}}


def _awake(sleeper: Sleeper) -> dict[str, str]:
    """The labels for the hours in which it is kept awake: one span of hours, on some days or on all."""
    hours = [read_hours(text) for text in sleeper.lazy.awake]
    spans = {(each.start, each.end.replace("24:00", "00:00")) for each in hours}
    if not spans:
        return {}
    [(start, end), *more] = spans
    if more or start == end:
        raise UsageError(
            f"Sablier cannot keep {sleeper.name} awake in these hours: {', '.join(sleeper.lazy.awake)}",
            cause="it knows one span of hours for an app, the same on each of its days, and no whole days",
            fix="keep one span, or write `on_demand: {engine: builtin}`",
        )
    days = ",".join(day for day in DAYS if any(day in each.days for each in hours))
    labels = {"sablier.running-hours": f"{start}-{end}"}
    return labels if days == ",".join(DAYS) else labels | {"sablier.running-days": days}
