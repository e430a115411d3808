"""The gate, EZ-Homelab's own engine (`runtime/gate`): policy.json says who may open what, people.json who there is.

It watches both, so neither a new person nor a new policy makes a container anew. The forms are the gate's
(`runtime/gate/policy.py`); no secret is in them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ez_homelab.config.rules import SIGN_ON_APPS
from ez_homelab.route import SignOn
from ez_homelab.sso.engine import PORTAL, forward_auth_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.config.model import Lab, SignOnEngine
    from ez_homelab.config.people import Person
    from ez_homelab.route import Route
    from ez_homelab.sso.engine import Client, Files, Source

TITLE = "EZ-Homelab"

FORWARD_AUTH = "http://gate:9092/api/authz/forward-auth"
"""On the network that only the gate and Traefik share; nothing but this question is answered on that port."""

SESSION_SECONDS = {"idle": 7200, "lifetime": 86400, "remembered": 2592000}
"""How long a session lasts: unused, at most, and where somebody asked to stay signed in (two hours, a day, 30 days)."""

_CONFIGURATION = (SIGN_ON_APPS["builtin"][0], "config/")


class BuiltIn:
    """The gate as an `Engine`."""

    name: SignOnEngine = "builtin"
    apps: tuple[str, ...] = SIGN_ON_APPS["builtin"]
    writes: frozenset[Source] = frozenset({_CONFIGURATION})

    @property
    def entrypoint(self) -> dict[str, object]:
        """See `Engine`. The gate itself opens no path that could be read in two ways."""
        return {}

    def forward_auth(self) -> dict[str, object]:
        """See `Engine`. `Cookie` comes back without the gate's own cookie, so that no app ever sees a session."""
        return forward_auth_to(FORWARD_AUTH, "Cookie")

    def files(
        self,
        lab: Lab,
        routes: Sequence[Route],
        people: Mapping[str, Person],
        clients: Sequence[Client] = (),  # noqa: ARG002
    ) -> Files:
        """See `Engine`."""
        texts = {"policy.json": policy(lab, routes), "people.json": people_of(people)}
        return {_CONFIGURATION: {name: _json(value) for name, value in texts.items()}}


def policy(lab: Lab, routes: Sequence[Route]) -> dict[str, Any]:
    """Who may open what: a rule for every route but the portal, and one for hosts that are no route of the lab."""
    portal = f"{PORTAL}.{lab.domain}"
    return {
        "version": 1,
        "title": TITLE,
        "domain": lab.domain,
        "portal": portal,
        "lan": [*lab.sign_on.lan],
        "session": SESSION_SECONDS,
        "default": {"policy": SignOn().policy, "groups": [*SignOn().groups]},
        "routes": [_rule(route) for route in sorted(routes, key=lambda route: route.host) if route.host != portal],
    }


def people_of(people: Mapping[str, Person]) -> dict[str, Any]:
    """Who there is, by user name."""
    users = {
        user: {
            "name": person.name,
            "email": person.email,
            "groups": [*person.groups],
            "disabled": person.disabled,
        }
        for user, person in sorted(people.items())
    }
    return {"version": 1, "users": users}


def _rule(route: Route) -> dict[str, Any]:
    sign_on = route.sign_on
    return {
        "host": route.host,
        "name": route.name,
        "title": route.title,
        "policy": sign_on.policy,
        "groups": [*sign_on.groups],
        "access": sign_on.access,
        "bypass": [{"path": bypass.path, "reason": bypass.reason} for bypass in sign_on.bypass],
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
