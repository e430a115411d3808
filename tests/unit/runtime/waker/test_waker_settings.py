"""lazy.json: what it says, what is no lazy.json, and what a broken one changes."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ez_homelab.runtime.waker.options import ControlOptions, Options
from ez_homelab.runtime.waker.schedule import is_on, read_hours, zone
from ez_homelab.runtime.waker.settings import Address, Settings, SettingsError, read_lazy

WIKI: dict[str, Any] = {
    "name": "wiki",
    "title": "Wiki",
    "routes": [{"name": "wiki", "rule": "Host(`wiki.lab`)", "url": "http://wiki:8080"}],
    "containers": [
        {"name": "wiki-db", "ready": {"kind": "tcp", "url": "tcp://wiki-db:3306"}},
        {"name": "wiki", "ready": {"kind": "http", "url": "http://wiki:8080/h?x=1", "statuses": ["200-299", "401"]}},
    ],
    "idle": 600,
    "awake": [{"days": ["mon"], "from": "07:00", "until": "23:00"}],
    "clients": "503",
}
LAZY: dict[str, Any] = {"version": 1, "title": "Lab", "timezone": "Europe/Berlin", "apps": [WIKI]}
FAULTS = yaml.safe_load(Path(__file__).with_name("lazy_faults.yaml").read_text())


def test_what_it_says() -> None:
    lazy = read_lazy(json.dumps(LAZY))
    app = lazy.apps["wiki"]
    assert [container.name for container in app.containers] == ["wiki-db", "wiki"]
    database, wiki = (container.ready for container in app.containers)
    assert (database.kind, database.address) == ("tcp", Address("wiki-db", 3306))
    assert (wiki.path, wiki.counts(204), wiki.counts(401), wiki.counts(503)) == ("/h?x=1", True, True, False)
    assert (app.idle, app.timeout, app.clients) == (600, 120, "503")
    assert lazy.route("wiki") == (app, app.routes[0])
    assert lazy.route("other") is None


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["says"] for fault in FAULTS])
def test_what_is_refused(fault: dict[str, Any]) -> None:
    document = copy.deepcopy(LAZY)
    place: Any = document
    for step in fault["at"][:-1]:
        place = place[step]
    place[fault["at"][-1]] = fault["value"]
    with pytest.raises(SettingsError, match=fault["says"]):
        read_lazy(json.dumps(document))


def test_a_broken_file_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "lazy.json"
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings(path)
    path.write_text(json.dumps(LAZY))
    settings = Settings(path)
    assert not settings.reload()
    for broken in ("{", "[]", json.dumps({**LAZY, "version": 2})):
        path.write_text(broken)
        assert not settings.reload()
        assert "wiki" in settings.lazy.apps
    path.unlink()
    assert not settings.reload()
    path.write_text(json.dumps({**LAZY, "apps": []}))
    assert settings.reload()
    assert not settings.lazy.apps


@pytest.mark.parametrize(
    ("entry", "moment", "on"),
    [
        ({"days": ["mon"], "from": "07:00", "until": "23:00"}, "2026-11-23T07:00", True),
        ({"days": ["mon"], "from": "07:00", "until": "23:00"}, "2026-11-23T23:00", False),
        ({"days": ["mon"], "from": "07:00", "until": "23:00"}, "2026-11-24T08:00", False),
        ({"days": ["mon"], "from": "22:00", "until": "02:00"}, "2026-11-24T01:59", True),
        ({"days": ["mon"], "from": "22:00", "until": "02:00"}, "2026-11-23T01:59", False),
        ({"from": "18:00", "until": "24:00"}, "2026-11-29T23:59", True),
        ({"from": "00:00", "until": "24:00"}, "2026-11-25T12:00", True),
    ],
)
def test_hours(entry: dict[str, Any], moment: str, on: bool) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    assert is_on([read_hours(entry)], now, UTC) is on


def test_hours_are_those_of_the_labs_own_zone() -> None:
    hours = [read_hours({"from": "07:00", "until": "08:00"})]
    now = datetime(2026, 11, 23, 6, 30, tzinfo=UTC).timestamp()
    assert is_on(hours, now, zone("Europe/Berlin"))
    assert not is_on(hours, now, UTC)


def test_options() -> None:
    options = Options.from_environment({"WAKER_PORT": "9000", "WAKER_NUDGE": "/n", "WAKER_TRAEFIK": "http://t:1/"})
    assert (options.port, options.nudge, options.traefik) == (9000, Path("/n"), "http://t:1")
    control = ControlOptions.from_environment({"WAKER_CONTROL": "/c", "WAKER_ENGINE": "unix:///e"})
    assert (control.socket, control.engine, control.port) == (Path("/c"), "unix:///e", 9095)
    assert f"unix://{ControlOptions().socket}" == Options().docker
    for port in ("0", "x", "70000"):
        with pytest.raises(SettingsError, match="WAKER_PORT"):
            Options.from_environment({"WAKER_PORT": port})
        with pytest.raises(SettingsError, match="WAKER_PORT"):
            ControlOptions.from_environment({"WAKER_PORT": port})
