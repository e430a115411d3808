"""What the waker is told: lazy.json from the Routes, read by the waker's own reader."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.config.load import lab_from_text
from ez_homelab.config.model import AppInstance, LazySettings, OnDemandSettings, Stack
from ez_homelab.lazy import ENGINES, engine_of
from ez_homelab.lazy.builtin import routers_of
from ez_homelab.lazy.monitors import PATTERN
from ez_homelab.runtime.waker.routes import RouteFiles
from ez_homelab.runtime.waker.settings import Address, Lazy, Ready, read_lazy
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.config.model import Lab

LAZY_JSON = "/opt/stacks/core/config/waker/config/lazy.json"


def lab_of(*apps: AppInstance, **more: Any) -> Lab:
    return make_lab(stacks=[Stack("stack", apps=apps)], **more)


def asleep(name: str, app: str = "", **said: Any) -> AppInstance:
    return AppInstance(name, app or name, lazy=LazySettings(mode="stop", **said))


def told(lab: Lab) -> Lazy:
    """lazy.json as the waker reads it."""
    [file] = [file for file in desired_of(lab).servers["core"].files if file.path == LAZY_JSON]
    return read_lazy(file.content.decode())


def test_an_app_as_the_catalog_has_it() -> None:
    lazy = told(lab_of(asleep("dokuwiki")))
    app = lazy.apps["dokuwiki"]
    assert (lazy.title, app.title) == ("EZ-Homelab", "DokuWiki")
    assert (app.idle, app.timeout, app.clients, app.awake) == (1800, 60, "hold", ())
    [route] = app.routes
    assert (route.name, route.rule) == ("dokuwiki", "Host(`dokuwiki.lab.localhost`)")
    assert route.target == Address("dokuwiki", 8080)
    assert (route.entrypoints, route.middlewares) == ((), ()), "those of the entrance hold for every route"
    [container] = app.containers
    assert container.ready == Ready("http", Address("dokuwiki", 8080), "/", ((200, 200),))
    assert app.memory == 64 << 20, "what is kept free for it, as nobody has measured what it needs at rest"


def test_the_lab_file_has_the_last_word() -> None:
    said = asleep("dokuwiki", idle="1h30m", timeout="90s", group="docs", clients="503",
                  awake=("Mon-Fri 08:00-18:00", "22:00-24:00"))  # fmt: skip
    app = told(lab_of(said)).apps["docs"]
    assert (app.idle, app.timeout, app.clients) == (5400, 90, "503")
    first, second = app.awake
    assert (first.days, str(first.start), str(first.end)) == ({0, 1, 2, 3, 4}, "08:00:00", "18:00:00")
    assert (second.days, str(second.start), str(second.end)) == (set(range(7)), "22:00:00", "00:00:00")


def test_an_app_with_its_database() -> None:
    app = told(lab_of(asleep("mediawiki"))).apps["mediawiki"]
    assert [(one.name, one.ready.kind) for one in app.containers] == [
        ("mediawiki-database", "running"), ("mediawiki", "http"),
    ]  # fmt: skip
    assert app.containers[1].ready.path == "/health.php"
    assert app.memory == (112 + 72) << 20, "what they were measured to need at rest"


def test_apps_that_wake_together_are_one() -> None:
    lab = lab_of(asleep("dokuwiki", group="docs"), asleep("mediawiki", group="docs"), asleep("glances"))
    lazy = told(lab)
    assert set(lazy.apps) == {"docs", "glances"}
    assert [route.name for route in lazy.apps["docs"].routes] == ["dokuwiki", "mediawiki"]
    assert lazy.apps["docs"].title == "DokuWiki, MediaWiki"
    [group, _] = desired_of(lab).servers["core"].wake_groups
    assert group.containers == tuple(one.name for one in lazy.apps["docs"].containers)
    assert (group.name, group.apps, group.timeout) == ("docs", ("dokuwiki", "mediawiki"), lazy.apps["docs"].timeout)


def test_the_time_zone_is_the_lab_s() -> None:
    text = "version: 1\ndomain: lab.localhost\ntimezone: Europe/Berlin\nstacks: {a: [{dokuwiki: {lazy: stop}}]}\n"
    assert str(told(lab_from_text(text)).timezone) == "Europe/Berlin"


@pytest.mark.parametrize("agent", [
    "Uptime-Kuma/2.0.2", "Blackbox Exporter/0.27.0", "Blackbox Exporter/", "Prometheus/3.14.0", "Gatus/1.0",
    "kube-probe/1.32",
])  # fmt: skip
def test_who_only_looks_is_known_by_what_its_own_source_says(agent: str) -> None:
    assert re.search(PATTERN, agent)


@pytest.mark.parametrize("agent", ["", "Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5 Prometheus/3", "PrometheusFan/1"])
def test_who_uses_apps_is_no_monitor(agent: str) -> None:
    assert not re.search(PATTERN, agent)


def test_the_pattern_is_one_that_the_waker_and_traefik_take(tmp_path: Path) -> None:
    lazy = told(lab_of(asleep("dokuwiki")))
    assert lazy.monitors == (PATTERN,)
    files = RouteFiles(tmp_path, "http://127.0.0.1:9095")
    files.monitors = lazy.monitors
    routers = json.loads(files.text(lazy.apps["dokuwiki"], direct=False))["http"]["routers"]
    assert f"HeaderRegexp(`User-Agent`, `{PATTERN}`)" in routers["dokuwiki-monitor"]["rule"]
    assert set("\\").isdisjoint(PATTERN), "Go takes fewer escapes than Python"


def test_the_routers_that_are_expected_are_those_that_the_waker_writes(tmp_path: Path) -> None:
    lab = lab_of(asleep("dokuwiki"))
    lazy = told(lab)
    files = RouteFiles(tmp_path, "http://127.0.0.1:9095")
    files.monitors = lazy.monitors
    [route] = [route for route in desired_of(lab).routes if route.lazy]
    for direct in (True, False):
        written = json.loads(files.text(lazy.apps["dokuwiki"], direct=direct))["http"]["routers"]
        assert routers_of(route) == {name: router["rule"] for name, router in written.items()}


def test_the_engine_is_the_one_that_the_lab_file_names() -> None:
    assert engine_of(lab_of()) is ENGINES["builtin"]
    assert {name: engine.name for name, engine in ENGINES.items()} == {"builtin": "builtin", "sablier": "sablier"}
    sablier = lab_of()
    assert engine_of(type(sablier)(sablier.domain, on_demand=OnDemandSettings("sablier"))) is ENGINES["sablier"]


def test_where_nothing_sleeps_nothing_wakes() -> None:
    server = desired_of(lab_of(AppInstance("dokuwiki", "dokuwiki"))).servers["core"]
    assert {service.name for service in server.services} == {"docker-socket-proxy", "gate", "traefik", "dokuwiki"}
    assert server.wake_groups == ()
    assert LAZY_JSON not in {file.path for file in server.files}
