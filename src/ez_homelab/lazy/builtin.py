"""The waker, EZ-Homelab's own engine (`runtime/waker`): lazy.json says what may sleep, and how it is woken.

It watches the file, so no container is made anew for it, and it writes the routes of sleeping apps itself. The form is
the waker's (`runtime/waker/settings.py`); no secret is in it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ez_homelab.config.hours import read_hours
from ez_homelab.config.rules import ON_DEMAND_APPS
from ez_homelab.lazy.monitors import PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.config.model import Lab, OnDemandEngine
    from ez_homelab.lazy.engine import Files, Part, Sleeper, Source
    from ez_homelab.route import ContainerTarget, Route

TITLE = "EZ-Homelab"
LAZY_FILE = "lazy.json"

PAGE_FILES = "/.waker/"
"""Where the waker's page has its files, below each name that may sleep."""

_CONFIGURATION = (ON_DEMAND_APPS["builtin"][0], "config/")


class BuiltIn:
    """The waker as an `Engine`."""

    name: OnDemandEngine = "builtin"
    apps: tuple[str, ...] = ON_DEMAND_APPS["builtin"]
    writes: frozenset[Source] = frozenset({_CONFIGURATION})
    network = ""

    def files(self, lab: Lab, sleepers: Sequence[Sleeper]) -> Files:
        """See `Engine`."""
        text = json.dumps(settings(lab, sleepers), indent=2, ensure_ascii=False) + "\n"
        return {_CONFIGURATION: {LAZY_FILE: text.encode()}}

    def traefik_files(self, lab: Lab, sleepers: Sequence[Sleeper]) -> Mapping[str, bytes]:  # noqa: ARG002
        """See `Engine`."""
        return {}

    def labels(self, sleeper: Sleeper, container: str) -> Mapping[str, str]:  # noqa: ARG002
        """See `Engine`. The waker knows containers by their names."""
        return {}


def settings(lab: Lab, sleepers: Sequence[Sleeper]) -> dict[str, Any]:
    """What the waker reads."""
    return {
        "version": 1,
        "title": TITLE,
        "timezone": lab.timezone,
        "monitors": [PATTERN],
        "apps": [_app(sleeper) for sleeper in sorted(sleepers, key=lambda sleeper: sleeper.name)],
    }


def routers_of(route: Route) -> dict[str, str]:
    """The routers that the waker makes for a route, and their rules: in its own words `runtime/waker/routes.py`."""
    return {
        route.name: route.rule,
        f"{route.name}-page": f"({route.rule}) && PathPrefix(`{PAGE_FILES}`)",
        f"{route.name}-monitor": f"({route.rule}) && (HeaderRegexp(`User-Agent`, `{PATTERN}`))",
    }


def _app(sleeper: Sleeper) -> dict[str, Any]:
    lazy = sleeper.lazy
    return {
        "name": sleeper.name,
        "title": sleeper.title,
        "routes": [_route(route) for route in sleeper.routes],
        "containers": [{"name": part.container, "ready": _ready(part)} for part in sleeper.parts],
        "idle": lazy.idle,
        "timeout": lazy.timeout,
        "clients": lazy.clients,
        "awake": [_hours(text) for text in lazy.awake],
        "memory": sum(part.memory for part in sleeper.parts),
    }


def _route(route: Route) -> dict[str, Any]:
    return {"name": route.name, "rule": route.rule, "url": _url(route.target)}


def _ready(part: Part) -> dict[str, Any]:
    if part.target is None or part.expectation is None:
        return {"kind": part.ready}
    statuses = [str(status) for status in part.expectation.statuses]
    return {"kind": "http", "url": f"{_url(part.target)}{part.expectation.path}", "statuses": statuses}


def _url(target: ContainerTarget) -> str:
    return f"{target.scheme}://{target.container}:{target.port}"


def _hours(text: str) -> dict[str, Any]:
    hours = read_hours(text)
    return {"days": [day.lower() for day in hours.days], "from": hours.start, "until": hours.end}
