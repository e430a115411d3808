"""What the gate is told: policy.json from the Routes, people.json from the lab's people, and how Traefik asks it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.config.load import lab_from_text
from ez_homelab.config.model import LAN, AppInstance, SignOnSettings, Stack
from ez_homelab.config.people import Person
from ez_homelab.route import BypassPath, SignOn
from ez_homelab.runtime.gate.settings import Settings
from ez_homelab.sso import ENGINES, engine_of
from ez_homelab.sso.builtin import BuiltIn
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ez_homelab.config.model import Lab
    from ez_homelab.route import Route


def lab_of(*apps: AppInstance) -> Lab:
    return make_lab(stacks=[Stack("stack", apps=apps)])


def told(lab: Lab, people: Mapping[str, Person] | None = None) -> dict[str, Any]:
    """Both files as the gate reads them, by name."""
    engine = ENGINES["builtin"]
    files = engine.files(lab, desired_of(lab).routes, people or {})
    assert files.keys() == engine.writes
    return {name: json.loads(text) for name, text in files["gate", "config/"].items()}


def rule(**said: Any) -> Any:
    """The gate's rule for Prometheus, of which the lab file says this."""
    [found] = told(lab_of(AppInstance("prometheus", "prometheus", **said)))["policy.json"]["routes"]
    return found


def test_the_policy_of_a_lab() -> None:
    policy = told(lab_of(AppInstance("dokuwiki", "dokuwiki"), AppInstance("cal", "radicale")))["policy.json"]
    assert policy == {
        "version": 1,
        "title": "EZ-Homelab",
        "domain": "lab.localhost",
        "portal": "auth.lab.localhost",
        "lan": [*LAN],
        "session": {"idle": 7200, "lifetime": 86400, "remembered": 2592000},
        "default": {"policy": "one_factor", "groups": []},
        "routes": [
            {
                "host": "cal.lab.localhost", "name": "cal", "title": "Radicale", "policy": "bypass", "groups": [],
                "access": "public", "bypass": [],
            },
            {
                "host": "dokuwiki.lab.localhost", "name": "dokuwiki", "title": "DokuWiki", "policy": "one_factor",
                "groups": [], "access": "public", "bypass": [],
            },
        ],
    }  # fmt: skip


def test_an_admin_tool_is_guarded_and_the_lab_file_has_the_last_word() -> None:
    assert (rule()["policy"], rule()["groups"], rule()["access"]) == ("two_factor", ["admins"], "lan")
    own = rule(policy="one_factor", groups=(), access="public", bypass={"/-/healthy": "asked by the uptime monitor"})
    assert (own["policy"], own["groups"], own["access"]) == ("one_factor", [], "public")
    assert own["bypass"] == [{"path": "/-/healthy", "reason": "asked by the uptime monitor"}]


@pytest.mark.parametrize("policy", ["bypass", "deny"])
def test_what_is_open_or_denied_as_a_whole_has_no_groups_and_no_paths(policy: Any) -> None:
    found = rule(policy=policy)
    assert (found["policy"], found["groups"], found["bypass"]) == (policy, [], [])


def test_the_networks_of_the_lab() -> None:
    lab = replace(lab_of(), sign_on=SignOnSettings(lan=("192.168.7.0/24",)))
    assert told(lab)["policy.json"]["lan"] == ["192.168.7.0/24"]


def test_people_without_anything_secret() -> None:
    people = {
        "zoe": Person("Zoë", disabled=True),
        "anna": Person("Anna Smith", "anna@example.org", ("admins", "family")),
    }
    found = told(lab_of(), people)["people.json"]
    assert found == {
        "version": 1,
        "users": {
            "anna": {
                "name": "Anna Smith", "email": "anna@example.org", "groups": ["admins", "family"], "disabled": False,
            },
            "zoe": {"name": "Zoë", "email": "", "groups": [], "disabled": True},
        },
    }  # fmt: skip
    assert list(found["users"]) == ["anna", "zoe"], "the order of the file is not the order of the mapping"


def test_the_middleware_takes_what_the_engine_says_and_nothing_from_the_client() -> None:
    [(kind, settings)] = engine_of(lab_of()).forward_auth().items()
    assert kind == "forwardAuth"
    assert settings == {
        "address": "http://gate:9092/api/authz/forward-auth",
        "trustForwardHeader": False,
        "maxResponseBodySize": 65536,
        "authResponseHeaders": ["Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name", "Cookie"],
    }


def test_a_lab_names_its_engine_and_has_the_builtin_one_where_it_does_not() -> None:
    text = "version: 1\ndomain: lab.localhost\n"
    assert engine_of(lab_from_text(text)).name == "builtin"
    for name, engine in ENGINES.items():
        assert engine_of(lab_from_text(f"{text}sign_on: {{engine: {name}}}\n")) is engine
        assert engine.name == name


def test_a_route_is_closed_unless_something_says_otherwise() -> None:
    assert SignOn() == SignOn("one_factor", (), (), "public")
    routes: tuple[Route, ...] = desired_of(lab_of(AppInstance("wiki", "dokuwiki"))).routes
    assert {route.name: route.sign_on.policy for route in routes} == {"gate": "bypass", "wiki": "one_factor"}


def test_paths_are_in_an_order_of_their_own() -> None:
    said = AppInstance("wiki", "dokuwiki", bypass={"/b/": "two", "/a": "one"})
    route = next(route for route in desired_of(lab_of(said)).routes if route.name == "wiki")
    assert route.sign_on.bypass == (BypassPath("/a", "one"), BypassPath("/b/", "two"))


def test_the_gate_reads_what_is_written_for_it(tmp_path: Path) -> None:
    bypass = {"/lib/exe/webhook.php": "called by a service on the web", "/.well-known/": "for certificates"}
    lab = lab_of(
        AppInstance("wiki", "dokuwiki", bypass=bypass, groups=("family",)),
        AppInstance("numbers", "prometheus"),
        AppInstance("cal", "radicale"),
        AppInstance("gone", "glances", policy="deny"),
    )
    people = {"anna": Person("Anna Smith", "anna@example.org", ("admins",)), "z": Person("Zoë", disabled=True)}
    for name, text in BuiltIn().files(lab, desired_of(lab).routes, people)["gate", "config/"].items():
        (tmp_path / name).write_bytes(text)
    settings = Settings.load(tmp_path)
    policies = {host: route.policy for host, route in settings.policy.routes.items()}
    assert policies == {
        "cal.lab.localhost": "bypass", "gone.lab.localhost": "deny", "numbers.lab.localhost": "two_factor",
        "wiki.lab.localhost": "one_factor",
    }  # fmt: skip
    wiki = settings.policy.route("wiki.lab.localhost")
    assert (wiki.bypass, wiki.groups, wiki.lan_only) == (tuple(sorted(bypass)), {"family"}, False)
    assert settings.policy.route("numbers.lab.localhost").lan_only
    assert settings.policy.route("by-hand.lab.localhost").policy == "one_factor"
    assert settings.policy.in_lan("192.168.1.7")
    assert not settings.policy.in_lan("203.0.113.7")
    assert settings.people.users["anna"].groups == ("admins",)
    assert settings.people.users["z"].disabled
