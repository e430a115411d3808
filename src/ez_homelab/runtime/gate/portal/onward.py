"""What follows once somebody is signed in: the app, the second step, or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..decide import Asked, Who, decide
from .redirects import host_of, may_follow, path_of

if TYPE_CHECKING:
    from aiohttp import web

    from .visit import Visit

Outcome = Literal["open", "second-step", "lan-only", "not-here", "not-allowed"]


def arrive(visit: Visit) -> web.Response:
    """Lead a signed-in person to where they wanted to go, or say what is in the way."""
    if visit.target is None:
        return visit.go("/")
    outcome = outcome_at(visit, visit.target)
    if outcome == "second-step":
        return visit.go(visit.here("/second-factor"))
    if outcome != "open":
        return _closed(visit, outcome)
    if may_follow(visit.method):
        return visit.go(visit.target)
    return visit.message(
        "You are signed in",
        "What you sent before signing in was not sent to the app. Go on, and send it again there.",
        links=((f"To {visit.going_to or 'the portal'}", visit.target),),
    )


def outcome_at(visit: Visit, target: str) -> Outcome:
    """What an address of the lab answers to this person: what the forward-auth server would, and in words why not."""
    host, session, policy = host_of(target), visit.session, visit.policy
    has_second_factor = visit.accounts.has_second_factor(session.user)
    asked = Asked("GET", "https", host, path_of(target), visit.address, wants_page=True)
    decision = decide(asked, policy, Who(session, visit.person, has_second_factor))
    if decision.status == 200:
        return "open"
    route = policy.route(host)
    if route.lan_only and not policy.in_lan(visit.address):
        return "lan-only"
    if route.policy == "deny" or (route.groups and route.groups.isdisjoint(visit.person.groups)):
        return "not-allowed"
    return "second-step" if decision.location else "not-here"


def _closed(visit: Visit, outcome: Outcome) -> web.Response:
    app = visit.going_to
    said = {
        "lan-only": f"{app} can be opened only at home, in the lab's own network.",
        "not-here": f"{app} asks for a second step, and you have none yet. Set it up at home, or ask whoever runs this "
        "lab for a one-time link.",
        "not-allowed": f"{app} is not open to you, {visit.session.user}. Whoever runs this lab can change that.",
    }
    return visit.message(
        "This is closed to you", said[outcome], status=403, links=(("What you may open", "/"), ("Account", "/account"))
    )
