"""A lab and its Routes from the gate's policy.json: what an engine that is not the gate is told of the same lab."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ez_homelab.config.model import SignOnSettings
from ez_homelab.config.people import Person
from ez_homelab.route import BypassPath, ContainerTarget, Expectation, Route, SignOn
from ez_homelab.testing.make_lab import make_lab

if TYPE_CHECKING:
    from ez_homelab.config.model import Lab
    from ez_homelab.testing.front.engine import Document


def lab_of(policy: Document) -> Lab:
    """The lab of that domain and those networks, without apps; its engine is Authelia."""
    settings = SignOnSettings("authelia", tuple(policy["lan"]))
    return replace(make_lab(apps=0, domain=policy["domain"]), sign_on=settings)


def routes_of(policy: Document) -> list[Route]:
    """Its routes."""
    return [_route(entry) for entry in policy["routes"]]


def people_of(people: Document) -> dict[str, Person]:
    """The people of people.json, by user name."""
    return {
        user: Person(entry["name"], entry["email"], tuple(entry["groups"]), entry["disabled"])
        for user, entry in people["users"].items()
    }


def _route(entry: dict[str, Any]) -> Route:
    bypass = tuple(BypassPath(item["path"], item["reason"]) for item in entry["bypass"])
    sign_on = SignOn(entry["policy"], tuple(entry["groups"]), bypass, entry["access"])
    target = ContainerTarget(entry["name"], 80)
    return Route(entry["name"], entry["title"], entry["host"], "core", "stack", target, Expectation(), sign_on)
