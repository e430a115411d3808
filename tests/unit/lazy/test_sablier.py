"""What Sablier's lab has in Traefik's watched folder, and which labels its containers have."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from ez_homelab.catalog.loader import Catalog
from ez_homelab.config.load import lab_from_text
from ez_homelab.errors import UsageError
from ez_homelab.lazy.engine import Part, Sleeper
from ez_homelab.lazy.sablier import ROUTES_FILE, Sablier
from ez_homelab.route import ContainerTarget, Expectation, Lazy, Route
from ez_homelab.testing.make_lab import desired_of, make_lab

LAB = make_lab(apps=0)


def sleeper(name: str = "wiki", *containers: str, **lazy: Any) -> Sleeper:
    told = Lazy(name, idle=1800.0, timeout=90.0, **lazy)
    target = ContainerTarget(name, 8080)
    route = Route(name, name.title(), f"{name}.lab.localhost", "core", "x", target, Expectation(), lazy=told)
    return Sleeper("core", told, (route,), tuple(Part(container, 0) for container in containers or (name,)))


def told(*sleepers: Sleeper) -> Any:
    [(name, text)] = Sablier().traefik_files(LAB, sleepers).items()
    assert name == ROUTES_FILE
    assert json.loads(text) == yaml.safe_load(text)
    return json.loads(text)["http"]


def asked(middleware: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    [(_, settings)] = middleware.items()
    parts = urlsplit(settings.get("address") or settings["query"])
    return parts.path, parse_qsl(parts.query)


def test_nothing_sleeps_so_traefik_gets_no_file() -> None:
    assert Sablier().traefik_files(LAB, ()) == {}


def test_programs_wait_and_browsers_see_the_page_and_each_is_asked_about_first() -> None:
    whole = told(sleeper("wiki", "wiki-database", "wiki"))
    assert {name: router["middlewares"] for name, router in whole["routers"].items()} == {
        "wiki": ["wiki-poke", "wiki-hold"],
        "wiki-page": ["wiki-poke", "wiki-page"],
        "wiki-monitor": ["sablier-asleep"],
    }
    assert {router["service"] for router in whole["routers"].values()} == {"wiki"}
    assert whole["services"]["wiki"] == {"loadBalancer": {"servers": [{"url": "http://wiki:8080"}]}}
    names = [("names", "wiki-database"), ("names", "wiki"), ("session_duration", "1800s")]
    assert asked(whole["middlewares"]["wiki-poke"]) == ("/api/strategies/poke", names)
    page = ("/api/strategies/dynamic", [*names, ("display_name", "Wiki")])
    assert asked(whole["middlewares"]["wiki-page"]) == page
    assert whole["middlewares"]["wiki-hold"]["retry"]["timeout"] == "90s"


def test_whoever_wants_503_gets_it_with_the_page() -> None:
    routers = told(sleeper(clients="503"))["routers"]
    assert {name: router["middlewares"] for name, router in routers.items()} == {
        "wiki": ["wiki-poke", "wiki-page"],
        "wiki-monitor": ["sablier-asleep"],
    }


def test_the_longer_rule_is_the_more_special_one() -> None:
    """Traefik prefers longer rules, and a monitor may well say that it reads HTML."""
    rules = {name: router["rule"] for name, router in told(sleeper())["routers"].items()}
    assert len(rules["wiki"]) < len(rules["wiki-page"]) < len(rules["wiki-monitor"])
    assert all("Host(`wiki.lab.localhost`)" in rule for rule in rules.values())


def test_sablier_is_told_no_cookie_and_an_own_503_is_left_alone() -> None:
    middlewares = told(sleeper(clients="503"))["middlewares"]
    assert middlewares["wiki-poke"]["forwardAuth"]["authRequestHeaders"] == ["Accept"]
    for name, status in (("wiki-page", 503), ("sablier-asleep", 200)):
        errors = middlewares[name]["errors"]
        assert errors["errorRequestHeaders"] == ["Accept"]
        assert errors["status"] == ["502", "504"]
        assert errors["statusRewrites"] == {"502": status, "504": status}


def test_a_title_with_marks_of_an_address_stays_a_title() -> None:
    lazy = Lazy("wiki", 60.0, 30.0)
    title = "Q&A: 100 % {status} #1"
    route = Route("wiki", title, "wiki.lab.localhost", "core", "x", ContainerTarget("wiki", 80), Expectation())
    whole = told(Sleeper("core", lazy, (route,), (Part("wiki", 0),)))
    assert asked(whole["middlewares"]["wiki-page"])[1][-1] == ("display_name", title)
    assert "{" not in whole["middlewares"]["wiki-page"]["errors"]["query"]


@pytest.mark.parametrize(
    ("awake", "labels"),
    [
        ((), {}),
        (("08:00-18:00",), {"sablier.running-hours": "08:00-18:00"}),
        (
            ("Mon-Fri 08:00-24:00",),
            {"sablier.running-hours": "08:00-00:00", "sablier.running-days": "Mon,Tue,Wed,Thu,Fri"},
        ),
        (
            ("Sat 22:00-02:00", "Mon 22:00-02:00"),
            {"sablier.running-hours": "22:00-02:00", "sablier.running-days": "Mon,Sat"},
        ),
    ],
)
def test_the_hours_in_which_it_stays_awake_are_labels(awake: tuple[str, ...], labels: dict[str, str]) -> None:
    always = {"sablier.enable": "true", "sablier.group": "wiki"}
    assert Sablier().labels(sleeper(awake=awake), "wiki") == always | labels


@pytest.mark.parametrize("awake", [("Mon-Fri 08:00-18:00", "Sat 10:00-23:00"), ("00:00-24:00",)])
def test_hours_that_sablier_does_not_know_are_refused(awake: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        Sablier().labels(sleeper(awake=awake), "wiki")
    assert all(hours in refused.value.what for hours in awake)
    assert refused.value.fix


LAZY_LAB = """version: 1
domain: lab.localhost
on_demand: {engine: sablier}
stacks:
  tools:
    apps:
      wiki: {app: mediawiki, lazy: {mode: stop}}
      glances: {}
"""


def test_in_a_lab_only_traefik_reaches_it_and_only_it_reaches_its_way_to_docker() -> None:
    [server] = desired_of(lab_from_text(LAZY_LAB)).servers.values()
    written = [yaml.safe_load(file.content) for file in server.files if file.path.endswith("/compose.yaml")]
    containers = {name: service for stack in written for name, service in stack["services"].items()}
    joined = {name: set(service.get("networks", ())) for name, service in containers.items()}
    assert {name for name, networks in joined.items() if "on-demand" in networks} == {"traefik", "sablier"}
    assert {name for name, networks in joined.items() if "docker-control" in networks} == {
        "sablier",
        "docker-control-proxy",
    }
    assert joined["docker-control-proxy"] == {"docker-control"}
    assert {network.name: network.internal for network in server.networks}.items() >= {
        "on-demand": True,
        "docker-control": True,
    }.items()
    asleep = {name for name, service in containers.items() if "sablier.enable" in service["labels"]}
    assert asleep == {name for name in containers if name.startswith("wiki")}
    assert not [name for name in asleep if "traefik.enable" in containers[name]["labels"]]


def test_its_own_settings_start_and_stop_nothing_by_themselves() -> None:
    text = Catalog.shipped().app("sablier").files["sablier.yml"]
    settings = yaml.safe_load(text)
    assert settings["provider"]["reject-unlabeled-requests"] is True
    assert settings["provider"]["auto-stop-on-startup"] is False
    assert settings["storage"]["file"] == ""


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = Catalog.shipped().app("sablier").files["themes/ez-homelab.html"].decode()
    assert "://" not in page
    assert "<script" not in page
